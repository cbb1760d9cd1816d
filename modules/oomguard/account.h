/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* How much memory a request took, and how much of that its process kept.
 *
 * Taken is exact: the pages that its own thread was the first to touch (minor faults of
 * RUSAGE_THREAD, getrusage(2)). It knows nothing of what was given back, and where huge pages
 * come by themselves (transparent_hugepage/enabled is "always") one of them may be 512.
 *
 * Kept is an estimate: the process' anonymous memory (resident - shared of proc_pid_statm(5)),
 * looked at when a request that took OG_ACCOUNT_SMALL pages has ended, less what was charged to
 * requests before. A request is charged for no more than it took, either way; what is above is
 * another's that is still running, and waits for it. Smaller ones are let run up, thread by
 * thread, and whoever fills the measure is charged for all of them: over many requests, each for
 * its part. All charges together are what the process has grown
 * by since it began, as far as it was in requests that it grew. The kernel keeps that number in
 * parts, a part for each processor, and may be wrong by some dozen pages at any moment; that
 * does not add up either. What is swapped out is not in it. */
#ifndef OG_ACCOUNT_H
#define OG_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* A look costs a system call, as much as four faults. Any request takes a page or two, for the
 * file it sends, say. Where one may be a huge page, none is small. */
#define OG_ACCOUNT_SMALL 8
#define OG_ACCOUNT_MEASURE 64

/* A process'. All its threads may use one. */
typedef struct {
    int statm;         /* a descriptor, or -1 */
    int64_t fault;     /* pages that come with one fault, at most */
    int64_t base;      /* pages it had before its first request */
    int64_t charged;   /* pages, since then */
} og_account_t;

/* Opens the calling process' own, with the files below proc and sys (normally "/proc" and
 * "/sys"). 0 or -errno. */
int og_account_open(og_account_t *a, const char *proc, const char *sys);

/* The process has done what it does before the first request. */
void og_account_begin(og_account_t *a);

/* These two are asked for every request. Pages the calling thread has touched first, since it
 * began: one system call. And: is a request that took so many not looked at for itself? */
static inline uint64_t og_account_faults(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

static inline bool og_account_is_small(const og_account_t *a, uint64_t faults)
{
    return faults < OG_ACCOUNT_SMALL && a->fault == 1;
}

/* What a request is charged for that took so many pages, by a look; below 0 if the process
 * shrank. One system call. 0 if it can't be read. */
int64_t og_account_look(og_account_t *a, uint64_t faults);

/* The same, but small ones are let run up. *small is the thread's, 0 at first: what its small
 * requests have run up. */
static inline int64_t og_account_charge(og_account_t *a, uint64_t *small, uint64_t faults)
{
    if (og_account_is_small(a, faults)) {
        *small += faults;
        if (*small < OG_ACCOUNT_MEASURE)
            return 0;
        faults = *small;
        *small = 0;
    }
    return og_account_look(a, faults);
}

/* Anonymous memory of the process in pages, or -1. One system call. */
int64_t og_account_now(const og_account_t *a);

/* Anonymous memory in pages, of the text of statm; -1 if it is none. */
int64_t og_account_parse(const char *statm);

#endif
