/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The processes that do a worker's work for it, and live on: daemons that httpd forked
 * (mod_wsgi, mod_fcgid), servers that it is a proxy for (php-fpm). Which request made them grow
 * they alone know; over many requests, the route that does stands out: see suspects.h.
 *
 * A table of fixed size in memory that all processes of httpd share. One process enters them,
 * the watcher; all workers charge. Memory is in pages; resident, with what is of files. */
#ifndef OG_BACKENDS_H
#define OG_BACKENDS_H

#include "lib/atomic.h"
#include "oomguard/procs.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OG_BACKENDS 64

/* Whose work one does. */
typedef enum {
    OG_BACKEND_NONE,
    OG_BACKEND_FORKED,  /* of handlers whose daemons httpd forks */
    OG_BACKEND_NAMED    /* of a proxy: found by its name */
} og_backend_kind_t;

typedef struct {
    int32_t pid; /* 0: nobody */
    uint32_t kind;
    uint64_t start_usec; /* with the pid, names a process: see procs.h */
    char comm[16];
} og_backend_t;

typedef struct {
    uint32_t used; /* the places from here on were never taken */
    uint32_t wanted; /* bits of kinds that somebody had work for */
    og_backend_t backends[OG_BACKENDS];
} og_backends_t;

/* This process is one. False if there is no room. */
bool og_backends_add(og_backends_t *t, const og_procs_stat_t *st, og_backend_kind_t kind);

/* Forgets those that ended. By who adds. */
void og_backends_sweep(og_backends_t *t, const char *proc);

/* The one with this pid, or NULL. */
const og_backend_t *og_backends_find(const og_backends_t *t, pid_t pid);

/* Has anybody had work for this kind since this was asked last? By who adds. */
bool og_backends_wanted(og_backends_t *t, og_backend_kind_t kind);

/* Somebody has work for this kind. */
void og_backends_want(og_backends_t *t, og_backend_kind_t kind);

/* Was there ever one? */
static inline bool og_backends_any(const og_backends_t *t)
{
    return OG_PEEK(&t->used) > 0;
}

/* To look at one takes up to 40 microseconds. After so many requests since the last look, another
 * one at all of them costs each request 10 at most, which is little beside what a backend's work
 * for it costs. */
static inline uint32_t og_backends_worth(const og_backends_t *t)
{
    return 4 * OG_PEEK(&t->used);
}

/* What all of them have now; *who is a number of those that are. */
int64_t og_backends_now(const og_backends_t *t, const char *proc, uint64_t *who);

#endif
