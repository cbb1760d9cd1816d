/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/ledger.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define CELL_FREE 0
#define CELL_TAKEN 1 /* its owner is still writing */

/* How many cells a request may look at: in a crowd it goes unrecorded rather than searching. */
#define CELLS_TRIED 16

/* How many places a forked process may look at before it takes somebody's. */
#define PROCESSES_TRIED 8

struct og_ledger {
    uint32_t slots, cells;
    uint32_t dead_next;   /* where the next dead goes, modulo OG_LEDGER_DEAD */
    uint32_t said;        /* bits of og_ledger_first */
    uint64_t missed;
    uint64_t resume_seq;
    struct {
        uint64_t stamp; /* odd while the master writes */
        og_worker_t worker;
    } dead[OG_LEDGER_DEAD];
    og_process_t processes[OG_LEDGER_PROCESSES];
    /* Then slot_t[slots], rounded up to whole cache lines, and og_request_t[slots][cells]. */
    _Alignas(64) unsigned char rest[];
};

/* Who has a slot. */
typedef struct {
    int32_t pid;
    int32_t generation;
    uint64_t started_usec;
} slot_t;

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

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

/* Collects what pid is serving in a slot: the number, the oldest, and that of tid. */
static void collect(const og_ledger_t *l, unsigned slot, pid_t pid, pid_t tid, og_worker_t *w)
{
    const og_request_t *cells = row(l, slot);
    og_request_t r, wanted = { .id = CELL_FREE };

    w->in_flight = 0;
    for (unsigned i = 0; i < l->cells; i++) {
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

static void clear(og_ledger_t *l, unsigned slot, pid_t pid)
{
    og_request_t *cells = row(l, slot);

    for (unsigned i = 0; i < l->cells; i++) {
        if (cells[i].pid == pid)
            STORE(&cells[i].id, CELL_FREE);
    }
}

void og_ledger_started(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    slot_t *w;

    if (slot < 0 || (unsigned)slot >= l->slots)
        return;
    w = slot_of(l, (unsigned)slot);
    STORE(&w->pid, 0);
    w->generation = generation;
    w->started_usec = usec;
    STORE(&w->pid, (int32_t)pid);
}

void og_ledger_exited(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    uint32_t at = l->dead_next % OG_LEDGER_DEAD;
    og_worker_t *d = &l->dead[at].worker;
    slot_t *w = slot >= 0 && (unsigned)slot < l->slots ? slot_of(l, (unsigned)slot) : NULL;
    bool own = w != NULL && w->pid == pid;

    __atomic_add_fetch(&l->dead[at].stamp, 1, __ATOMIC_ACQ_REL);
    memset(d, 0, sizeof *d);
    d->pid = (int32_t)pid;
    d->slot = own ? slot : -1;
    d->generation = generation;
    d->started_usec = own ? w->started_usec : 0;
    d->ended_usec = usec;
    if (own)
        collect(l, (unsigned)slot, pid, 0, d);
    __atomic_add_fetch(&l->dead[at].stamp, 1, __ATOMIC_ACQ_REL);
    STORE(&l->dead_next, l->dead_next + 1);
    /* Only now may the slot forget it: whoever looks finds it in one place or the other. */
    if (own) {
        STORE(&w->pid, 0);
        clear(l, (unsigned)slot, pid);
    }
}

/* errno is the caller's, who may be between its fork(2) and what it does next. */
static bool gone(pid_t pid)
{
    int saved = errno;
    bool is = kill(pid, 0) != 0 && errno == ESRCH;

    errno = saved;
    return is;
}

void og_ledger_sweep(og_ledger_t *l, uint64_t usec)
{
    for (unsigned i = 0; i < l->slots; i++) {
        const slot_t *w = slot_of(l, i);

        if (w->pid != 0 && gone(w->pid))
            og_ledger_exited(l, (int)i, w->pid, w->generation, usec);
    }
}

int og_ledger_slot(const og_ledger_t *l, pid_t pid)
{
    for (unsigned i = 0; i < l->slots; i++) {
        if (LOAD(&slot_of(l, i)->pid) == pid)
            return (int)i;
    }
    return -1;
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
    unsigned tries = l->cells < CELLS_TRIED ? l->cells : CELLS_TRIED;

    if (slot < 0 || (unsigned)slot >= l->slots)
        return NULL;
    cells = row(l, (unsigned)slot);
    for (unsigned i = 0; i < tries; i++) {
        unsigned at = (*hint + i) % l->cells;
        uint64_t free_id = CELL_FREE;

        if (__atomic_load_n(&cells[at].id, __ATOMIC_RELAXED) == CELL_FREE &&
            __atomic_compare_exchange_n(&cells[at].id, &free_id, CELL_TAKEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            *hint = at;
            cell = &cells[at];
            break;
        }
    }
    if (cell == NULL) {
        __atomic_add_fetch(&l->missed, 1, __ATOMIC_RELAXED);
        return NULL;
    }
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

void og_ledger_forked(og_ledger_t *l, pid_t pid, pid_t ppid, uint64_t usec)
{
    og_process_t *p = NULL;

    for (unsigned i = 0; i < PROCESSES_TRIED; i++) {
        og_process_t *q = &l->processes[((unsigned)pid + i) % OG_LEDGER_PROCESSES];
        int32_t old = LOAD(&q->pid);

        if (old == 0 || old == pid || gone(old)) {
            p = q;
            break;
        }
        if (p == NULL || q->begun_usec < p->begun_usec)
            p = q;
    }
    STORE(&p->pid, 0);
    p->ppid = (int32_t)ppid;
    p->begun_usec = usec;
    STORE(&p->pid, (int32_t)pid);
}

/* Was there something that lived from then to then (0: still does) at that time? */
static bool alive_at(uint64_t from, uint64_t to, uint64_t usec, uint64_t slack_usec)
{
    return from <= usec + slack_usec && (to == 0 || usec <= to + slack_usec);
}

static bool living(const og_ledger_t *l, unsigned slot, pid_t tid, og_worker_t *out)
{
    const slot_t *w = slot_of(l, slot);
    int32_t pid = LOAD(&w->pid);

    if (pid == 0)
        return false;
    memset(out, 0, sizeof *out);
    out->pid = pid;
    out->slot = (int32_t)slot;
    out->generation = w->generation;
    out->started_usec = w->started_usec;
    collect(l, slot, pid, tid, out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return LOAD(&w->pid) == pid;
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

bool og_ledger_worker(const og_ledger_t *l, pid_t pid, pid_t tid, uint64_t usec,
                      uint64_t slack_usec, og_worker_t *out)
{
    uint32_t dead;

    for (unsigned i = 0; i < l->slots; i++) {
        if (living(l, i, tid, out) && (out->pid == pid || serves(out, pid)) &&
            alive_at(out->started_usec, 0, usec, slack_usec))
            return true;
    }
    /* Asked for only now: it may have been buried while we looked at the living. */
    dead = LOAD(&l->dead_next);
    for (uint32_t i = 1; i <= OG_LEDGER_DEAD && i <= dead; i++) {
        if (buried(l, dead - i, out) && (out->pid == pid || serves(out, pid)) &&
            alive_at(out->started_usec, out->ended_usec, usec, slack_usec))
            return true;
    }
    return false;
}

bool og_ledger_process(const og_ledger_t *l, pid_t pid, uint64_t usec, uint64_t slack_usec,
                       og_process_t *out)
{
    for (unsigned i = 0; i < PROCESSES_TRIED; i++) {
        const og_process_t *p = &l->processes[((unsigned)pid + i) % OG_LEDGER_PROCESSES];

        if (LOAD(&p->pid) != pid)
            continue;
        *out = *p;
        if (LOAD(&p->pid) == pid && alive_at(out->begun_usec, 0, usec, slack_usec))
            return true;
    }
    return false;
}

uint64_t og_ledger_missed(const og_ledger_t *l)
{
    return LOAD(&l->missed);
}

uint64_t og_ledger_resume(const og_ledger_t *l)
{
    return LOAD(&l->resume_seq);
}

void og_ledger_set_resume(og_ledger_t *l, uint64_t seq)
{
    STORE(&l->resume_seq, seq);
}

bool og_ledger_first(og_ledger_t *l, uint32_t bit)
{
    return (__atomic_fetch_or(&l->said, bit, __ATOMIC_RELAXED) & bit) == 0;
}
