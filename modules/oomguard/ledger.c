/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/ledger.h"
#include "oomguard/procs.h"

#include <string.h>

#define CELL_FREE 0
#define CELL_TAKEN 1 /* its owner is still writing */

/* To be changed with whatever sizes and names below do not show. */
#define LAYOUT_REVISION 2

/* Who has a slot, or had. */
typedef struct {
    int32_t pid;
    int32_t generation;
    uint64_t started_usec;
    uint32_t row;  /* of request cells */
    uint32_t used; /* the cells from here on were never taken: pages that nobody touched */
} slot_t;

struct og_ledger {
    uint32_t slots, cells;
    uint32_t dead_next;   /* where the next dead goes, modulo OG_LEDGER_DEAD */
    uint32_t said;        /* bits of og_ledger_first */
    uint64_t missed;
    uint32_t seen_at; /* which of the two is valid */
    og_seen_t seen[2];
    struct {
        uint64_t stamp; /* odd while the master writes */
        og_worker_t worker;
    } dead[OG_LEDGER_DEAD];
    og_forked_t forked;
    slot_t ousted[OG_LEDGER_OUSTED];
    /* Then slot_t[slots], rounded up to whole cache lines, and og_request_t[slots][cells]. */
    _Alignas(64) unsigned char rest[];
};

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

unsigned long og_ledger_layout(void)
{
    unsigned long sizes[] = { LAYOUT_REVISION, sizeof(og_ledger_t), sizeof(slot_t),
                              sizeof(og_request_t), sizeof(og_worker_t),
                              OG_LEDGER_DEAD_REQUESTS };
    unsigned long n = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        n = n * 1000003 + sizes[i];
    return n;
}

static size_t slots_size(unsigned slots)
{
    return ((size_t)slots * sizeof(slot_t) + 63) & ~(size_t)63;
}

static slot_t *slot_of(const og_ledger_t *l, unsigned slot)
{
    return (slot_t *)l->rest + slot;
}

size_t og_ledger_size(unsigned slots, unsigned cells)
{
    return sizeof(og_ledger_t) + slots_size(slots) +
           (size_t)slots * cells * sizeof(og_request_t);
}

og_ledger_t *og_ledger_init(void *mem, unsigned slots, unsigned cells)
{
    og_ledger_t *l = mem;

    l->slots = slots;
    l->cells = cells;
    for (unsigned i = 0; i < slots; i++)
        slot_of(l, i)->row = i;
    return l;
}

static og_request_t *row(const og_ledger_t *l, unsigned slot)
{
    return (og_request_t *)(l->rest + slots_size(l->slots)) + (size_t)slot * l->cells;
}

/* Copies a request that is in flight; false if there is none, or if it went while we read. */
static bool copy_request(const og_request_t *cell, og_request_t *out)
{
    uint64_t id = LOAD(&cell->id);

    if (id <= CELL_TAKEN)
        return false;
    memcpy(out, cell, sizeof *out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (LOAD(&cell->id) != id)
        return false;
    out->id = id;
    return true;
}

static bool serves(const og_worker_t *w, pid_t tid)
{
    int n = w->in_flight < OG_LEDGER_DEAD_REQUESTS ? w->in_flight : OG_LEDGER_DEAD_REQUESTS;

    for (int i = 0; i < n; i++) {
        if (w->requests[i].tid == tid)
            return true;
    }
    return false;
}

/* Collects what a worker is serving: the number, the oldest, and that of tid. */
static void collect(const og_ledger_t *l, const slot_t *of, pid_t pid, pid_t tid,
                    og_worker_t *w)
{
    const og_request_t *cells = row(l, of->row);
    unsigned used = LOAD(&slot_of(l, of->row)->used);
    og_request_t r, wanted = { .id = CELL_FREE };

    w->in_flight = 0;
    for (unsigned i = 0; i < used; i++) {
        int at;

        if (!copy_request(&cells[i], &r) || r.pid != pid)
            continue;
        if (tid != 0 && r.tid == tid)
            wanted = r;
        at = w->in_flight < OG_LEDGER_DEAD_REQUESTS ? w->in_flight : OG_LEDGER_DEAD_REQUESTS;
        w->in_flight++;
        while (at > 0 && w->requests[at - 1].begun_usec > r.begun_usec) {
            if (at < OG_LEDGER_DEAD_REQUESTS)
                w->requests[at] = w->requests[at - 1];
            at--;
        }
        if (at < OG_LEDGER_DEAD_REQUESTS)
            w->requests[at] = r;
    }
    if (wanted.id != CELL_FREE && !serves(w, tid))
        w->requests[OG_LEDGER_DEAD_REQUESTS - 1] = wanted;
}

static void clear(og_ledger_t *l, const slot_t *of, pid_t pid)
{
    og_request_t *cells = row(l, of->row);
    unsigned used = LOAD(&slot_of(l, of->row)->used);

    for (unsigned i = 0; i < used; i++) {
        if (cells[i].pid == pid)
            STORE(&cells[i].id, CELL_FREE);
    }
}

/* Those who have a slot, then those who had: slots + OG_LEDGER_OUSTED of them. */
static const slot_t *nth_living(const og_ledger_t *l, unsigned i)
{
    return i < l->slots ? slot_of(l, i) : &l->ousted[i - l->slots];
}

/* --- In the master: the only one that writes slots, and so may read them as they are. */

static slot_t *ousted_of(const og_ledger_t *l, pid_t pid)
{
    for (unsigned i = 0; i < OG_LEDGER_OUSTED; i++) {
        if (LOAD(&l->ousted[i].pid) == pid)
            return (slot_t *)&l->ousted[i];
    }
    return NULL;
}

/* The entry is there before its pid is, and not changed while that is. */
static void fill(slot_t *to, pid_t pid, int generation, uint64_t usec)
{
    STORE(&to->pid, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    to->generation = generation;
    to->started_usec = usec;
    STORE(&to->pid, (int32_t)pid);
}

void og_ledger_started(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    slot_t *w, *spare;

    if (slot < 0 || (unsigned)slot >= l->slots)
        return;
    w = slot_of(l, (unsigned)slot);
    if (w->pid != 0 && w->pid != pid && (spare = ousted_of(l, 0)) != NULL) {
        spare->row = w->row;
        fill(spare, w->pid, w->generation, w->started_usec);
    }
    fill(w, pid, generation, usec);
}

void og_ledger_exited(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    uint32_t at = l->dead_next % OG_LEDGER_DEAD;
    og_worker_t *d = &l->dead[at].worker;
    slot_t *w = slot >= 0 && (unsigned)slot < l->slots ? slot_of(l, (unsigned)slot) : NULL;
    og_process_t forked;

    if (w == NULL || w->pid != pid)
        w = ousted_of(l, pid);
    __atomic_add_fetch(&l->dead[at].stamp, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memset(d, 0, sizeof *d);
    d->pid = (int32_t)pid;
    d->slot = w != NULL ? (int32_t)w->row : -1;
    d->generation = generation;
    d->started_usec = w != NULL ? w->started_usec : 0;
    d->ended_usec = usec;
    if (og_forked_find(&l->forked, pid, &forked))
        d->marks = forked.marks;
    if (w != NULL)
        collect(l, w, pid, 0, d);
    __atomic_add_fetch(&l->dead[at].stamp, 1, __ATOMIC_RELEASE);
    STORE(&l->dead_next, l->dead_next + 1);
    /* Only now may the slot forget it: whoever looks finds it in one place or the other. */
    if (w != NULL) {
        STORE(&w->pid, 0);
        clear(l, w, pid);
    }
    og_forked_forget(&l->forked, pid); /* a worker is one of them, too */
}

void og_ledger_sweep(og_ledger_t *l, uint64_t usec)
{
    for (unsigned i = 0; i < l->slots + OG_LEDGER_OUSTED; i++) {
        const slot_t *w = nth_living(l, i);

        if (w->pid != 0 && og_procs_gone(w->pid))
            og_ledger_exited(l, (int)w->row, w->pid, w->generation, usec);
    }
    og_forked_sweep(&l->forked);
}

og_forked_t *og_ledger_forked(og_ledger_t *l)
{
    return &l->forked;
}

/* --- In a worker. */

int og_ledger_slot(const og_ledger_t *l, pid_t pid)
{
    for (unsigned i = 0; i < l->slots + OG_LEDGER_OUSTED; i++) {
        if (LOAD(&nth_living(l, i)->pid) == pid)
            return (int)nth_living(l, i)->row;
    }
    return -1;
}

/* Readers need look no further than to the last cell that was ever taken. */
static void note_used(slot_t *w, uint32_t cells)
{
    uint32_t used = __atomic_load_n(&w->used, __ATOMIC_RELAXED);

    while (used < cells && !__atomic_compare_exchange_n(&w->used, &used, cells, false,
                                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static void put(char *out, size_t size, const char *text)
{
    size_t len = text != NULL ? strnlen(text, size - 1) : 0;

    memcpy(out, text != NULL ? text : "", len);
    out[len] = '\0';
}

og_request_t *og_ledger_begin(og_ledger_t *l, int slot, unsigned *hint, pid_t pid, pid_t tid,
                              uint64_t usec, const char *method, const char *client,
                              const char *vhost, const char *path)
{
    static __thread uint32_t count; /* makes the id differ from the cell's last one */
    og_request_t *cells, *cell = NULL;

    if (slot < 0 || (unsigned)slot >= l->slots)
        return NULL;
    cells = row(l, (unsigned)slot);
    for (unsigned i = 0; i < l->cells; i++) {
        unsigned at = (*hint + i) % l->cells;
        uint64_t free_id = CELL_FREE;

        if (__atomic_load_n(&cells[at].id, __ATOMIC_RELAXED) == CELL_FREE &&
            __atomic_compare_exchange_n(&cells[at].id, &free_id, CELL_TAKEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            *hint = at;
            cell = &cells[at];
            note_used(slot_of(l, (unsigned)slot), at + 1);
            break;
        }
    }
    if (cell == NULL) {
        __atomic_add_fetch(&l->missed, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    __atomic_thread_fence(__ATOMIC_RELEASE);
    cell->begun_usec = usec;
    cell->pid = (int32_t)pid;
    cell->tid = (int32_t)tid;
    put(cell->method, sizeof cell->method, method);
    put(cell->client, sizeof cell->client, client);
    put(cell->vhost, sizeof cell->vhost, vhost);
    put(cell->path, sizeof cell->path, path);
    STORE(&cell->id, (uint64_t)(uint32_t)tid << 32 | ++count | 1U << 31);
    return cell;
}

void og_ledger_end(og_request_t *cell)
{
    STORE(&cell->id, CELL_FREE);
}

/* --- In whoever asks. */

/* Was there something that lived from then to then (0: still does) at that time? */
static bool alive_at(uint64_t from, uint64_t to, uint64_t usec, uint64_t slack_usec)
{
    return from <= usec + slack_usec && (to == 0 || usec <= to + slack_usec);
}

static bool living(const og_ledger_t *l, const slot_t *of, pid_t tid, og_worker_t *out)
{
    int32_t pid = LOAD(&of->pid);

    if (pid == 0)
        return false;
    memset(out, 0, sizeof *out);
    out->pid = pid;
    out->slot = (int32_t)of->row;
    out->generation = of->generation;
    out->started_usec = of->started_usec;
    collect(l, of, pid, tid, out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return LOAD(&of->pid) == pid;
}

static bool buried(const og_ledger_t *l, uint32_t nth, og_worker_t *out)
{
    uint32_t at = nth % OG_LEDGER_DEAD;
    uint64_t stamp = LOAD(&l->dead[at].stamp);

    if (stamp == 0 || stamp % 2 != 0)
        return false;
    memcpy(out, &l->dead[at].worker, sizeof *out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return LOAD(&l->dead[at].stamp) == stamp;
}

/* A worker by its own word, that the master has not noted yet. Its requests tell its slot. */
static bool newborn(const og_ledger_t *l, pid_t pid, pid_t tid, og_worker_t *out)
{
    og_process_t p;

    if (!og_forked_find(&l->forked, pid, &p) || (p.marks & OG_FORKED_WORKER) == 0)
        return false;
    memset(out, 0, sizeof *out);
    out->pid = (int32_t)pid;
    out->slot = out->generation = -1;
    for (unsigned i = 0; i < l->slots && out->in_flight == 0; i++) {
        const slot_t row_only = { .row = i };

        collect(l, &row_only, pid, tid, out);
        if (out->in_flight > 0)
            out->slot = (int32_t)i;
    }
    return true;
}

bool og_ledger_worker(const og_ledger_t *l, pid_t pid, pid_t tid, uint64_t usec,
                      uint64_t slack_usec, og_worker_t *out)
{
    uint32_t dead;

    for (unsigned i = 0; i < l->slots + OG_LEDGER_OUSTED; i++) {
        if (LOAD(&nth_living(l, i)->pid) == pid && living(l, nth_living(l, i), tid, out) &&
            out->pid == pid && alive_at(out->started_usec, 0, usec, slack_usec))
            return true;
    }
    /* Asked for only now: it may have been buried while we looked at the living. */
    dead = LOAD(&l->dead_next);
    for (uint32_t i = 1; i <= OG_LEDGER_DEAD && i <= dead; i++) {
        if (buried(l, dead - i, out) && (out->pid == pid || serves(out, pid)) &&
            alive_at(out->started_usec, out->ended_usec, usec, slack_usec))
            return true;
    }
    /* No process, but perhaps a thread of one. */
    for (unsigned i = 0; i < l->slots + OG_LEDGER_OUSTED; i++) {
        if (living(l, nth_living(l, i), pid, out) && serves(out, pid) &&
            alive_at(out->started_usec, 0, usec, slack_usec))
            return true;
    }
    return newborn(l, pid, tid, out);
}

uint64_t og_ledger_missed(const og_ledger_t *l)
{
    return LOAD(&l->missed);
}

bool og_ledger_next_dead(const og_ledger_t *l, uint32_t *n, og_worker_t *out)
{
    uint32_t end = LOAD(&l->dead_next);

    if (end - *n > OG_LEDGER_DEAD)
        *n = end - OG_LEDGER_DEAD;
    while (*n != end) {
        if (buried(l, (*n)++, out))
            return true;
    }
    return false;
}

void og_ledger_seen(const og_ledger_t *l, og_seen_t *out)
{
    memcpy(out, &l->seen[LOAD(&l->seen_at) % 2], sizeof *out);
}

void og_ledger_set_seen(og_ledger_t *l, const og_seen_t *seen)
{
    uint32_t at = l->seen_at + 1;

    memcpy(&l->seen[at % 2], seen, sizeof *seen);
    STORE(&l->seen_at, at);
}

void og_ledger_set_pending(og_ledger_t *l, uint64_t pending)
{
    STORE(&l->seen[LOAD(&l->seen_at) % 2].pending, pending);
}

bool og_ledger_first(og_ledger_t *l, uint32_t bit)
{
    return (__atomic_fetch_or(&l->said, bit, __ATOMIC_RELAXED) & bit) == 0;
}
