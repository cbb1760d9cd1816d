/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/blame.h"

/* Of two of one thread, the one that it is in now: the other's response is still being written. */
static const og_request_t *later(const og_request_t *a, const og_request_t *b)
{
    return a == NULL || b->begun_usec > a->begun_usec ? b : a;
}

/* Less than that is what any request takes. */
#define LARGE_PAGES 256

const og_request_t *og_blame(const og_worker_t *w, const og_kmsg_kill_t *kill, og_blame_t *why)
{
    int n = og_worker_listed(w);
    const og_request_t *q = w->requests, *largest = q, *longest = q, *asked = NULL, *killed = NULL;

    if (n == 0)
        return NULL;
    if (w->in_flight == 1) {
        *why = OG_BLAME_ALONE;
        return q;
    }
    for (int i = 0; i < n; i++) {
        if (og_request_pages(&q[i]) > og_request_pages(largest))
            largest = &q[i];
        if (q[i].begun_usec < longest->begun_usec)
            longest = &q[i];
        if (kill != NULL && q[i].tid == kill->invoked_pid && kill->invoked_pid != 0)
            asked = later(asked, &q[i]);
        /* A log that names threads names one by its id, and the process by its own. */
        if (kill != NULL && q[i].tid == kill->pid && kill->pid != w->pid)
            killed = later(killed, &q[i]);
    }
    if (killed != NULL) {
        *why = OG_BLAME_KILLED;
        return killed;
    }
    if (og_request_pages(largest) >= LARGE_PAGES &&
        2 * og_request_pages(largest) > w->pages) {
        *why = OG_BLAME_LARGEST;
        return largest;
    }
    *why = asked != NULL ? OG_BLAME_ASKED : OG_BLAME_LONGEST;
    return asked != NULL ? asked : longest;
}
