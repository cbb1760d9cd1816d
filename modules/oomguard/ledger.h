/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the suite remembers in shared memory, so that the dead can be asked: the workers, the
 * requests they are in, the lately dead, and the other processes that httpd forked.
 *
 * Nobody locks and nobody allocates. A worker's entry is written by the master, a request by
 * the thread that serves it, a dead one by the master. Readers copy, and look again whether
 * what they copied is still the same thing. No pointers: the memory is mapped by processes of several generations.
 *
 * Size: OG_LEDGER_CELL_BYTES a request cell, times slots and cells, and about 900 KiB for
 * the rest; pages that are never written cost nothing. */
#ifndef OG_LEDGER_H
#define OG_LEDGER_H

#include "oomguard/forked.h"
#include "oomguard/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define OG_LEDGER_CELL_BYTES 384
#define OG_LEDGER_DEAD OG_VERDICT_WAITING /* the dead that are remembered */
#define OG_LEDGER_DEAD_REQUESTS 4  /* of each, the oldest requests in flight */
#define OG_LEDGER_OUSTED 64        /* workers that live on after their slot was given away */

/* A request in flight. Text is cut to fit, raw (escape it when you print it), and ends with
 * a NUL; a request whose host wants it untold has none. Times are microseconds of
 * CLOCK_MONOTONIC throughout. */
typedef struct {
    uint64_t id; /* 0: free; 1: being written; else a request */
    uint64_t begun_usec;
    int32_t pid, tid;
    char method[16];
    char client[48];
    char vhost[64];
    char path[232]; /* without the query */
} og_request_t;

_Static_assert(sizeof(og_request_t) == OG_LEDGER_CELL_BYTES, "documented size of a cell");

/* A worker, the living and the dead: pid, start and generation together name one. */
typedef struct {
    int32_t pid; /* 0: none */
    int32_t slot; /* of the scoreboard, or -1 */
    int32_t generation; /* or -1: the master has not noted it yet */
    int32_t in_flight; /* of the dead: how many requests were */
    uint32_t marks;    /* of the dead: OG_FORKED_... */
    uint64_t started_usec;
    uint64_t ended_usec; /* 0 while it lives */
    og_request_t requests[OG_LEDGER_DEAD_REQUESTS]; /* oldest first */
} og_worker_t;

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

/* Takes a free cell of the slot for a request. *hint is the caller's, one a thread, 0 at
 * first: the cell it had last is tried first. NULL if all are taken; that is counted. A
 * request without texts (NULL) is there, but nobody is told which it is. */
og_request_t *og_ledger_begin(og_ledger_t *l, int slot, unsigned *hint, pid_t pid, pid_t tid,
                              uint64_t usec, const char *method, const char *client,
                              const char *vhost, const char *path);

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

/* True for the first caller with this bit, whichever process it is in: what is to be
 * complained of once in the life of the server. */
bool og_ledger_first(og_ledger_t *l, uint32_t bit);

#endif
