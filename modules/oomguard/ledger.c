/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/ledger.h"
#include "oomguard/procs.h"

#include <string.h>
#include <sys/random.h>

#define CELL_FREE 0
#define CELL_TAKEN 1 /* its owner is still writing */

/* To be changed with whatever sizes and names below do not show. */
#define LAYOUT_REVISION 6

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
    uint32_t told_next; /* where the next kill goes, modulo OG_LEDGER_KILLS */
    struct {
        uint64_t stamp; /* odd while it is written */
        og_kill_t kill;
    } told[OG_LEDGER_KILLS];
    _Alignas(64) og_routes_t routes;
    _Alignas(64) og_backends_t backends;
    _Alignas(64) og_windows_t windows;
    _Alignas(64) og_seeing_t seeing;
    slot_t ousted[OG_LEDGER_OUSTED];
    /* Then slot_t[slots], rounded up to whole cache lines, and og_request_t[slots][cells]. */
    _Alignas(64) unsigned char rest[];
};

unsigned long og_ledger_layout(void)
{
    unsigned long sizes[] = { LAYOUT_REVISION, sizeof(og_ledger_t), sizeof(slot_t),
                              sizeof(og_request_t), sizeof(og_worker_t), sizeof(og_routes_t),
                              sizeof(og_backends_t), sizeof(og_windows_t), sizeof(og_seeing_t),
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
    if (getrandom(&l->routes.seed, sizeof l->routes.seed, GRND_NONBLOCK) < 0)
        l->routes.seed = 0; /* too early after boot for one: they are hashed all the same */
    og_windows_begin(&l->seeing, 1);
    return l;
}

static og_request_t *row(const og_ledger_t *l, unsigned slot)
{
    return (og_request_t *)(l->rest + slots_size(l->slots)) + (size_t)slot * l->cells;
}

/* Copies a request that is in flight; false if there is none, or if it went while we read. */
static bool copy_request(const og_request_t *cell, og_request_t *out)
{
    uint64_t id = OG_LOAD(&cell->id);

    if (id <= CELL_TAKEN)
        return false;
    og_atomic_read(out, cell, sizeof *out);
    if (OG_PEEK(&cell->id) != id)
        return false;
    out->id = id;
    if (out->seen_id != id)
        out->pages = OG_LEDGER_UNKNOWN;
    if (out->named == 0)
        out->handler[0] = '\0';
    if (out->named != 2)
        out->log_id[0] = '\0';
    return true;
}

/* Is a more worth knowing than b: larger as far as is known, else older? */
static bool is_first(const og_request_t *a, const og_request_t *b)
{
    uint64_t a_pages = og_request_pages(a), b_pages = og_request_pages(b);

    return a_pages != b_pages ? a_pages > b_pages : a->begun_usec < b->begun_usec;
}

static bool serves(const og_worker_t *w, pid_t tid)
{
    for (int i = 0; i < og_worker_listed(w); i++) {
        if (w->requests[i].tid == tid)
            return true;
    }
    return false;
}

/* Collects what a worker is serving: the number, the first, and that of tid. */
static void collect(const og_ledger_t *l, const slot_t *of, pid_t pid, pid_t tid,
                    og_worker_t *w)
{
    unsigned nth = OG_LOAD(&of->row), used = OG_LOAD(&slot_of(l, nth)->used);
    const og_request_t *cells = row(l, nth);
    og_request_t r, wanted = { .id = CELL_FREE };

    w->in_flight = 0;
    w->pages = 0;
    for (unsigned i = 0; i < used; i++) {
        int at;

        if (!copy_request(&cells[i], &r) || r.pid != pid)
            continue;
        w->pages += og_request_pages(&r);
        /* A thread may have left one whose response is still being written, for another. */
        if (tid != 0 && r.tid == tid &&
            (wanted.id == CELL_FREE || r.begun_usec > wanted.begun_usec))
            wanted = r;
        at = og_worker_listed(w);
        w->in_flight++;
        while (at > 0 && is_first(&r, &w->requests[at - 1])) {
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
    unsigned used = OG_LOAD(&slot_of(l, of->row)->used);

    for (unsigned i = 0; i < used; i++) {
        if (OG_PEEK(&cells[i].pid) == pid)
            OG_STORE(&cells[i].id, CELL_FREE);
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
        if (OG_LOAD(&l->ousted[i].pid) == pid)
            return (slot_t *)&l->ousted[i];
    }
    return NULL;
}

/* The entry is there before its pid is, and not changed while that is. */
static void fill(slot_t *to, pid_t pid, int generation, uint64_t usec)
{
    OG_POKE(&to->pid, 0);
    OG_STORE(&to->generation, generation);
    OG_STORE(&to->started_usec, usec);
    OG_STORE(&to->pid, (int32_t)pid);
}

void og_ledger_started(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    slot_t *w, *spare;

    if (slot < 0 || (unsigned)slot >= l->slots)
        return;
    w = slot_of(l, (unsigned)slot);
    if (w->pid != 0 && w->pid != pid && (spare = ousted_of(l, 0)) != NULL) {
        OG_STORE(&spare->row, w->row);
        fill(spare, w->pid, w->generation, w->started_usec);
    }
    fill(w, pid, generation, usec);
}

void og_ledger_exited(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec)
{
    uint32_t at = l->dead_next % OG_LEDGER_DEAD;
    og_worker_t d = { .pid = (int32_t)pid, .generation = generation, .ended_usec = usec };
    slot_t *w = slot >= 0 && (unsigned)slot < l->slots ? slot_of(l, (unsigned)slot) : NULL;
    og_process_t forked;

    if (w == NULL || w->pid != pid)
        w = ousted_of(l, pid);
    d.slot = w != NULL ? (int32_t)w->row : -1;
    d.started_usec = w != NULL ? w->started_usec : 0;
    if (og_forked_find(&l->forked, pid, &forked))
        d.marks = forked.marks;
    if (w != NULL)
        collect(l, w, pid, 0, &d);
    og_stamped_write(&l->dead[at].stamp, &l->dead[at].worker, &d, sizeof d);
    OG_STORE(&l->dead_next, l->dead_next + 1);
    /* Only now may the slot forget it: whoever looks finds it in one place or the other. */
    if (w != NULL) {
        OG_STORE(&w->pid, 0);
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
        if (OG_LOAD(&nth_living(l, i)->pid) == pid)
            return (int)OG_LOAD(&nth_living(l, i)->row);
    }
    return -1;
}

/* Readers need look no further than to the last cell that was ever taken. */
static void note_used(slot_t *w, uint32_t cells)
{
    uint32_t used = OG_PEEK(&w->used);

    while (used < cells && !__atomic_compare_exchange_n(&w->used, &used, cells, false,
                                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

static size_t put(char *out, size_t size, const char *text)
{
    size_t len = text != NULL ? strnlen(text, size - 1) : 0;

    og_atomic_text(out, text != NULL ? text : "", len);
    return len;
}

/* Most often the request before had the same: true if it had. */
static bool put_anew(char *out, size_t size, const char *text)
{
    if (text != NULL && strcmp(out, text) == 0)
        return true;
    put(out, size, text);
    return false;
}

/* It does not begin at a whole word. */
static void put_query(char *out, size_t size, const char *query)
{
    OG_STORE(out++, '?');
    for (size--; size > 1 && *query != '\0'; size--)
        OG_STORE(out++, *query++);
    OG_STORE(out, '\0');
}

og_request_t *og_ledger_begin(og_ledger_t *l, int slot, unsigned *hint, const og_asked_t *asked,
                              bool *same)
{
    og_request_t *cells, *cell = NULL;
    const og_request_t *had;
    size_t len;

    *same = false;
    if (slot < 0 || (unsigned)slot >= l->slots)
        return NULL;
    cells = row(l, (unsigned)slot);
    had = &cells[*hint];
    for (unsigned i = 0, at = *hint; i < l->cells; i++, at++) {
        uint64_t free_id = CELL_FREE;

        if (at >= l->cells)
            at = 0;

        if (OG_PEEK(&cells[at].id) == CELL_FREE &&
            __atomic_compare_exchange_n(&cells[at].id, &free_id, CELL_TAKEN, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            *hint = at;
            cell = &cells[at];
            note_used(slot_of(l, (unsigned)slot), at + 1);
            break;
        }
    }
    if (cell == NULL) {
        OG_ADD(&l->missed, 1);
        return NULL;
    }
    if (!asked->same_client || cell != had || cell->tid != (int32_t)asked->tid ||
        cell->pid != (int32_t)asked->pid)
        put_anew(cell->client, sizeof cell->client, asked->client);
    OG_STORE(&cell->begun_usec, asked->usec);
    OG_STORE(&cell->pid, (int32_t)asked->pid);
    OG_STORE(&cell->tid, (int32_t)asked->tid);
    OG_STORE(&cell->faults, asked->faults);
    OG_STORE(&cell->route, 0);
    put_anew(cell->method, sizeof cell->method, asked->method);
    *same = put_anew(cell->path, sizeof cell->path, asked->path);
    if (asked->by == 0 || cell->kept_by != asked->by) {
        *same = false;
        OG_STORE(&cell->kept_by, 0);
        put(cell->vhost, sizeof cell->vhost, asked->vhost);
    }
    if (!*same)
        OG_STORE(&cell->kept_route, 0); /* of another path, or by other rules */
    if (asked->query != NULL && (len = strlen(cell->path)) + 2 < sizeof cell->path)
        put_query(cell->path + len, sizeof cell->path - len, asked->query);
    OG_STORE(&cell->named, 0);
    OG_STORE(&cell->kind, OG_BACKEND_NONE);
    OG_STORE(&cell->ended_usec, 0);
    OG_STORE(&cell->count, cell->count + 1);
    OG_STORE(&cell->id, (uint64_t)(uint32_t)asked->tid << 32 | cell->count | 1U << 31);
    return cell;
}

/* Who reads the handler while it is written may see half of it, but sees its end: the last byte
 * of a text is never anything but that. */
bool og_ledger_rename(og_request_t *cell, const char *handler, const char *log_id)
{
    bool same = put_anew(cell->handler, sizeof cell->handler, handler);

    if (log_id != NULL)
        put(cell->log_id, sizeof cell->log_id, log_id);
    OG_STORE(&cell->named, log_id != NULL ? 2 : 1);
    return same;
}

void og_ledger_end(og_request_t *cell)
{
    OG_STORE(&cell->id, CELL_FREE);
}

/* --- In whoever asks. */

/* Was there something that lived from then to then (0: still does) at that time? */
static bool alive_at(uint64_t from, uint64_t to, uint64_t usec, uint64_t slack_usec)
{
    return from <= usec + slack_usec && (to == 0 || usec <= to + slack_usec);
}

static bool living(const og_ledger_t *l, const slot_t *of, pid_t tid, og_worker_t *out)
{
    int32_t pid = OG_LOAD(&of->pid);

    if (pid == 0)
        return false;
    memset(out, 0, sizeof *out);
    out->pid = pid;
    out->slot = (int32_t)OG_LOAD(&of->row);
    out->generation = OG_LOAD(&of->generation);
    out->started_usec = OG_LOAD(&of->started_usec);
    collect(l, of, pid, tid, out);
    return OG_LOAD(&of->pid) == pid;
}

static bool buried(const og_ledger_t *l, uint32_t nth, og_worker_t *out)
{
    uint32_t at = nth % OG_LEDGER_DEAD;

    return og_stamped_read(&l->dead[at].stamp, out, &l->dead[at].worker, sizeof *out);
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
        if (OG_LOAD(&nth_living(l, i)->pid) == pid && living(l, nth_living(l, i), tid, out) &&
            out->pid == pid && alive_at(out->started_usec, 0, usec, slack_usec))
            return true;
    }
    /* Asked for only now: it may have been buried while we looked at the living. */
    dead = OG_LOAD(&l->dead_next);
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

og_routes_t *og_ledger_routes(og_ledger_t *l)
{
    return &l->routes;
}

og_backends_t *og_ledger_backends(og_ledger_t *l)
{
    return &l->backends;
}

og_windows_t *og_ledger_windows(og_ledger_t *l)
{
    return &l->windows;
}

og_seeing_t *og_ledger_seeing(og_ledger_t *l)
{
    return &l->seeing;
}

/* Copies a request that has ended, and whose cell nobody has taken since. */
static bool copy_ended(const og_request_t *cell, og_request_t *out)
{
    if (OG_LOAD(&cell->id) != CELL_FREE || OG_PEEK(&cell->ended_usec) == 0)
        return false;
    og_atomic_read(out, cell, sizeof *out);
    return OG_LOAD(&cell->id) == CELL_FREE && OG_PEEK(&cell->ended_usec) == out->ended_usec;
}

void og_ledger_served(const og_ledger_t *l, og_backend_kind_t kind, uint64_t begun_usec,
                      uint64_t ended_usec, void (*fn)(const og_request_t *request, void *ctx),
                      void *ctx)
{
    for (unsigned slot = 0; slot < l->slots; slot++) {
        const og_request_t *cells = row(l, slot);
        unsigned used = OG_LOAD(&slot_of(l, slot)->used);

        for (unsigned i = 0; i < used; i++) {
            og_request_t r;

            if (OG_PEEK(&cells[i].kind) == (uint32_t)kind &&
                (copy_request(&cells[i], &r) ||
                 (copy_ended(&cells[i], &r) && r.ended_usec >= ended_usec)) &&
                r.kind == (uint32_t)kind && r.begun_usec <= begun_usec)
                fn(&r, ctx);
        }
    }
}

unsigned og_ledger_slots(const og_ledger_t *l)
{
    return l->slots;
}

bool og_ledger_nth(const og_ledger_t *l, unsigned slot, og_worker_t *out)
{
    return living(l, slot_of(l, slot), 0, out);
}

void og_ledger_look(og_ledger_t *l, og_look_t *fn, void *ctx)
{
    for (unsigned slot = 0; slot < l->slots; slot++) {
        og_request_t *cells = row(l, slot);
        unsigned used = OG_LOAD(&slot_of(l, slot)->used);

        for (unsigned i = 0; i < used; i++) {
            og_request_t r;
            uint64_t pages;

            if (!copy_request(&cells[i], &r) ||
                (pages = fn(&r, ctx)) == OG_LEDGER_UNKNOWN)
                continue;
            OG_STORE(&cells[i].pages, pages);
            OG_STORE(&cells[i].seen_id, r.id);
        }
    }
}

uint64_t og_ledger_missed(const og_ledger_t *l)
{
    return OG_LOAD(&l->missed);
}

bool og_ledger_next_dead(const og_ledger_t *l, uint32_t *n, og_worker_t *out)
{
    uint32_t end = OG_LOAD(&l->dead_next);

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
    memcpy(out, &l->seen[OG_LOAD(&l->seen_at) % 2], sizeof *out);
}

void og_ledger_set_seen(og_ledger_t *l, const og_seen_t *seen)
{
    uint32_t at = l->seen_at + 1;

    memcpy(&l->seen[at % 2], seen, sizeof *seen);
    OG_STORE(&l->seen_at, at);
}

void og_ledger_set_pending(og_ledger_t *l, uint64_t pending)
{
    OG_STORE(&l->seen[OG_LOAD(&l->seen_at) % 2].pending, pending);
}

void og_ledger_tell(og_ledger_t *l, const og_kill_t *k)
{
    uint32_t at = l->told_next % OG_LEDGER_KILLS;

    og_stamped_write(&l->told[at].stamp, &l->told[at].kill, k, sizeof *k);
    OG_STORE(&l->told_next, l->told_next + 1);
}

bool og_ledger_told(const og_ledger_t *l, unsigned nth, og_kill_t *out)
{
    uint32_t next = OG_LOAD(&l->told_next), at = (next - 1 - nth) % OG_LEDGER_KILLS;

    return nth < OG_LEDGER_KILLS && nth < next &&
           og_stamped_read(&l->told[at].stamp, out, &l->told[at].kill, sizeof *out);
}

bool og_ledger_first(og_ledger_t *l, uint32_t bit)
{
    return (__atomic_fetch_or(&l->said, bit, __ATOMIC_RELAXED) & bit) == 0;
}
