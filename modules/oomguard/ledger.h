/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the suite remembers in shared memory, so that the dead can be asked: the workers, the
 * requests they are in, the lately dead, the other processes that httpd forked, and what the
 * requests of each route did.
 *
 * Nobody locks and nobody allocates. A worker's entry is written by the master, a request by
 * the thread that serves it, a dead one by the master. Readers copy, and look again whether
 * what they copied is still the same thing. No pointers: the memory is mapped by processes of
 * several generations.
 *
 * Size: OG_LEDGER_CELL_BYTES a request cell, times slots and cells, and about 1.8 MiB for
 * the rest; pages that nobody has touched cost nothing. */
#ifndef OG_LEDGER_H
#define OG_LEDGER_H

#include "lib/atomic.h"
#include "oomguard/backends.h"
#include "oomguard/forked.h"
#include "oomguard/routes.h"
#include "oomguard/verdict.h"
#include "oomguard/windows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define OG_LEDGER_CELL_BYTES 512
#define OG_LEDGER_DEAD OG_VERDICT_WAITING /* the dead that are remembered */
#define OG_LEDGER_DEAD_REQUESTS 4  /* of each, the largest requests in flight, then the oldest */
#define OG_LEDGER_OUSTED 64        /* workers that live on after their slot was given away */

#define OG_LEDGER_UNKNOWN UINT64_MAX

/* A request in flight. Text is cut to fit, raw (escape it when you print it), and ends with
 * a NUL; a request whose host wants it untold has none. Times are microseconds of
 * CLOCK_MONOTONIC throughout. */
typedef struct {
    uint64_t id; /* 0: free; 1: being written; else a request */
    uint64_t begun_usec;
    int32_t pid, tid;
    uint64_t faults; /* of its thread when it began, see account.h; or UNKNOWN */
    uint64_t route;  /* the hash of its route, see routes.h; 0: not known yet */
    /* What it has taken so far, in pages, when somebody looked last; or UNKNOWN. In a cell
     * itself this is the watcher's word, of the request that seen_id names. */
    uint64_t seen_id, pages;
    uint32_t count; /* makes the id differ from the cell's last one */
    uint32_t named; /* is handler of this request, and (2) log_id as well? */
    /* Its owner's note: the route of its requests with this path and handler, and the number of
     * the host whose rules say so, which is the host of the vhost above; 0: nobody's. */
    uint64_t kept_route, kept_by;
    /* Who else works for it, an og_backend_kind_t, and of such ones: when it ended, if the cell
     * is free and still has its text. */
    uint32_t kind, spare;
    uint64_t ended_usec;
    char method[16];
    char client[48];
    char vhost[64];
    char handler[32]; /* "" until one is to run */
    char log_id[32];  /* likewise; "" if it has none */
    char path[224]; /* with the query only where that is wanted */
} og_request_t;

_Static_assert(sizeof(og_request_t) == OG_LEDGER_CELL_BYTES, "documented size of a cell");

/* What it has taken at least. */
static inline uint64_t og_request_pages(const og_request_t *q)
{
    return q->pages != OG_LEDGER_UNKNOWN ? q->pages : 0;
}

/* A worker, the living and the dead: pid, start and generation together name one. */
typedef struct {
    int32_t pid; /* 0: none */
    int32_t slot; /* of the scoreboard, or -1 */
    int32_t generation; /* or -1: the master has not noted it yet */
    int32_t in_flight; /* of the dead: how many requests were */
    uint32_t marks;    /* of the dead: OG_FORKED_... */
    uint64_t pages;    /* that all of these have taken, as far as is known */
    uint64_t started_usec;
    uint64_t ended_usec; /* 0 while it lives */
    og_request_t requests[OG_LEDGER_DEAD_REQUESTS]; /* largest first, as far as is known */
} og_worker_t;

/* So many of them are in requests. */
static inline int og_worker_listed(const og_worker_t *w)
{
    return w->in_flight < OG_LEDGER_DEAD_REQUESTS ? w->in_flight : OG_LEDGER_DEAD_REQUESTS;
}

typedef struct og_ledger og_ledger_t;

/* A number that differs for every layout of this memory: it outlives the module, and the next
 * one, of another release perhaps, must not take it for its own. */
unsigned long og_ledger_layout(void);

/* Bytes needed for so many slots (the MPM's hard limit of daemons) with so many cells each. */
size_t og_ledger_size(unsigned slots, unsigned cells);

/* Makes a ledger of zeroed memory of that size, aligned to 64. */
og_ledger_t *og_ledger_init(void *mem, unsigned slots, unsigned cells);

/* --- In the master. */

/* A worker has got a slot. Whoever had it and was not seen ending lives on without: the
 * worker MPM does that after a graceful restart. */
void og_ledger_started(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec);

/* Puts a worker among the dead, and frees its slot if that is still its own. The slot may be
 * -1. */
void og_ledger_exited(og_ledger_t *l, int slot, pid_t pid, int generation, uint64_t usec);

/* Puts workers among the dead that ended while nobody kept this account, and forgets forked
 * processes that ended. */
void og_ledger_sweep(og_ledger_t *l, uint64_t usec);

/* --- In a worker. */

/* The slot the master gave to pid (and may have given to another one since), or -1. */
int og_ledger_slot(const og_ledger_t *l, pid_t pid);

/* What a request is when it begins. A text may be NULL: nobody is told which it is. */
typedef struct {
    pid_t pid, tid;
    uint64_t usec, faults;
    uint64_t by; /* a number of its host and process, never 0, that no other has; 0: no matter */
    const char *method, *client, *vhost, *path, *query;
    bool same_client; /* as of the request that the caller had before, in the cell *hint names */
} og_asked_t;

/* Takes a free cell of the slot for a request. *hint is the caller's, one a thread, 0 at
 * first: the cell it had last is tried first. NULL if all are taken; that is counted. *same:
 * the cell's note of a route holds, if the handler is the same. */
og_request_t *og_ledger_begin(og_ledger_t *l, int slot, unsigned *hint, const og_asked_t *asked,
                              bool *same);

/* Who is to answer it; log_id may be NULL. By the thread that has the cell. True if the handler
 * is that of the request that the cell was named for before. */
bool og_ledger_rename(og_request_t *cell, const char *handler, const char *log_id);

static inline bool og_ledger_name(og_request_t *cell, const char *handler, const char *log_id)
{
    if (log_id != NULL || strcmp(cell->handler, handler) != 0)
        return og_ledger_rename(cell, handler, log_id);
    OG_STORE(&cell->named, 1);
    return true;
}

/* Which route it is of. */
static inline void og_ledger_route(og_request_t *cell, uint64_t route)
{
    OG_STORE(&cell->route, route);
}

/* Frees it. */
void og_ledger_end(og_request_t *cell);

/* --- In whoever asks. */

/* The worker that had this pid (or served a request with this thread id) at that time, give
 * or take slack. Of a living one, the request of the thread tid (0: none) is among those
 * listed, if it has one: the last of them, if it is too young. False if none is remembered. */
bool og_ledger_worker(const og_ledger_t *l, pid_t pid, pid_t tid, uint64_t usec,
                      uint64_t slack_usec, og_worker_t *out);

/* The other processes. */
og_forked_t *og_ledger_forked(og_ledger_t *l);

/* The routes, the backends, the windows. */
og_routes_t *og_ledger_routes(og_ledger_t *l);
og_backends_t *og_ledger_backends(og_ledger_t *l);
og_windows_t *og_ledger_windows(og_ledger_t *l);
og_seeing_t *og_ledger_seeing(og_ledger_t *l); /* what all have seen of the backends' requests */

/* So many slots there are; the worker that has one now, and the requests it is in. False if
 * nobody has. */
unsigned og_ledger_slots(const og_ledger_t *l);
bool og_ledger_nth(const og_ledger_t *l, unsigned slot, og_worker_t *out);

/* Calls fn for each request that is in flight. What it says of the pages the request has taken
 * so far is noted; OG_LEDGER_UNKNOWN: nothing. One process at a time may say anything. */
typedef uint64_t og_look_t(const og_request_t *request, void *ctx);
void og_ledger_look(og_ledger_t *l, og_look_t *fn, void *ctx);

/* Calls fn for each request that backends of this kind work for and that had begun by then: one
 * that is in flight, or has ended since that other time and whose cell still has it. */
void og_ledger_served(const og_ledger_t *l, og_backend_kind_t kind, uint64_t begun_usec,
                      uint64_t ended_usec, void (*fn)(const og_request_t *request, void *ctx),
                      void *ctx);

/* Requests that found no cell since the start. */
uint64_t og_ledger_missed(const og_ledger_t *l);

/* The dead after the nth that were buried since the start: *n is the caller's, 0 at first.
 * True, and *n goes on, if there is one. Those that were overwritten before they could be
 * read are left out. */
bool og_ledger_next_dead(const og_ledger_t *l, uint32_t *n, og_worker_t *out);

/* What the watcher has seen so far, for the next one to go on with. */
typedef struct {
    uint64_t resume_seq;  /* of the kernel's log: from where to read on; 0: not known yet */
    uint64_t pending;     /* what is being told just now: a record's number, or whatever is
                           * the finding's; 0: nothing */
    uint32_t buried;      /* for og_ledger_next_dead */
    og_verdict_t verdict;
} og_seen_t;

/* Replaced as a whole: one that dies in the midst of it leaves the one before. */
void og_ledger_seen(const og_ledger_t *l, og_seen_t *out);
void og_ledger_set_seen(og_ledger_t *l, const og_seen_t *seen);

/* Replaces nothing but pending. */
void og_ledger_set_pending(og_ledger_t *l, uint64_t pending);

/* What was told of lately, for who asks. Text is cut to fit. */
#define OG_LEDGER_KILLS 32
typedef struct {
    uint64_t usec; /* when it was told */
    int32_t pid;   /* 0: nobody's */
    char event[16], role[16], id[64];
    og_request_t request; /* that is named for it; its id is 0 if none is */
} og_kill_t;

/* One process at a time may do that. */
void og_ledger_tell(og_ledger_t *l, const og_kill_t *k);

/* The nth of them, 0 is the latest. False if there is none. */
bool og_ledger_told(const og_ledger_t *l, unsigned nth, og_kill_t *out);

/* True for the first caller with this bit, whichever process it is in: what is to be
 * complained of once in the life of the server. */
bool og_ledger_first(og_ledger_t *l, uint32_t bit);

#endif
