/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* By what processes grow, and what they were asked for meanwhile. Who touches a page first is not
 * who keeps it: a request that keeps what others gave back to the heap takes nothing, and the
 * others have to take more. But over many requests a process is larger after those in which the
 * leaking route had its part.
 *
 * So each process notes, after so many requests or so long a time, by what it has grown and how
 * many requests of which routes it has ended since the last time: a window. So do all of them
 * together for the backends, with the requests that these worked for. Windows lie in a ring in
 * memory that all processes share; suspects.h finds in them who leaks.
 *
 * Pages are the machine's. No pointers, no locks; nothing is allocated. */
#ifndef OG_WINDOWS_H
#define OG_WINDOWS_H

#include "oomguard/routes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OG_WINDOWS 2048
#define OG_WINDOW_REQUESTS 64
#define OG_WINDOW_USEC (10 * 1000000ULL)
#define OG_WINDOW_ROUTES 28 /* of one window; what else was there is not told apart */

typedef struct {
    uint64_t stamp; /* odd while it is written; 0: never was */
    int32_t pid;    /* whose growth it is; OG_WINDOW_BACKENDS: that of all backends together */
    int32_t grown;  /* pages */
    uint32_t seen;
    struct {
        uint16_t at;       /* in the table of routes */
        uint16_t requests;
        uint32_t hash;     /* of the route, its lower half: its place may be another's by now */
    } routes[OG_WINDOW_ROUTES];
    uint32_t spare[3];
} og_window_t;

_Static_assert(sizeof(og_window_t) == 256, "whole cache lines");

#define OG_WINDOW_BACKENDS 0

typedef struct {
    uint32_t next; /* modulo OG_WINDOWS */
    uint32_t spare[15];
    og_window_t windows[OG_WINDOWS];
} og_windows_t;

/* What a process, or all of them, have seen since the last window. All zero is one that has seen
 * nothing. */
typedef struct {
    uint32_t requests;
    uint32_t left_out; /* so many windows are still to be left out */
    uint64_t shut;     /* by who closes the window, since that time; 0: nobody does */
    uint64_t usec; /* of the last window, or the first request */
    int64_t pages; /* there were then */
    uint64_t who;  /* had them then: see og_windows_close */
    uint64_t present[OG_ROUTES / 64];
    uint16_t counts[OG_ROUTES];
} og_seeing_t;

/* A process warms up in its first requests: so many windows of one with so many threads are of
 * no use. */
void og_windows_begin(og_seeing_t *s, unsigned threads);

/* A request of the route at that place has ended, which began at that time. True if the window is
 * full: it may be shut. Any number of threads at a time. */
bool og_windows_see(og_seeing_t *s, unsigned at, uint64_t usec);

/* True for one caller, if there is anything in the window, and it has lasted for so long or has
 * so many requests: that caller is to call og_windows_close. usec is now. */
bool og_windows_shut(og_seeing_t *s, uint64_t usec, uint64_t least_usec, uint32_t requests);

/* Ends the window: there are so many pages now. who is a number of those that have them, as of
 * backends that come and go: the first window with others is left out. */
void og_windows_close(og_seeing_t *s, og_windows_t *w, const og_routes_t *t, pid_t pid,
                      uint64_t usec, int64_t pages, uint64_t who);

/* Copies a window, 0 to OG_WINDOWS - 1. False if there is none. */
bool og_windows_copy(const og_windows_t *w, unsigned i, og_window_t *out);

#endif
