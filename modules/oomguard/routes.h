/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the requests of each route took of memory: a table of fixed size, in memory that all
 * processes of httpd share. No thread locks it: a place is taken by an exchange of its hash, a
 * thread that finds a route without its text writes it (every thread writes the same), and counts
 * are added. What is added while a place is given to another route may be counted for that one.
 *
 * A hash stands in one place of a set of OG_ROUTES_WAYS. The places of a set are taken in their
 * order; where all are taken, the least interesting route goes: one without kills, that took the
 * least, and was asked for least. What went is counted.
 *
 * Memory is counted in pages of the machine. */
#ifndef OG_ROUTES_H
#define OG_ROUTES_H

#include "lib/atomic.h"
#include "oomguard/route.h"

#include <stdbool.h>
#include <stdint.h>

#define OG_ROUTES 512
#define OG_ROUTES_WAYS 8

/* What makes a route. A text that is longer is cut. */
typedef struct {
    const char *vhost, *handler, *pattern;
} og_route_key_t;

typedef struct {
    uint64_t hash;  /* of the route; 0: never taken; 2: vacant; odd: being given to a route */
    uint64_t ready; /* the hash that the text below is of */
    uint64_t requests;
    uint64_t faults; /* pages that their threads touched first */
    uint32_t most;   /* of one request */
    uint32_t kills;  /* OOM kills that a request of it is named for */
    uint64_t spare[3];
    char vhost[64];
    char handler[32];
    char pattern[OG_ROUTE_PATTERN_MAX];
} og_route_t;

_Static_assert(sizeof(og_route_t) == 256, "whole cache lines");

typedef struct {
    uint64_t seed; /* of the hashes: nobody can make his request another route's */
    uint64_t evicted;
    uint64_t spare[6];
    og_route_t routes[OG_ROUTES];
} og_routes_t;

/* Even, and more than 2. */
uint64_t og_routes_hash(const og_routes_t *t, const og_route_key_t *key);

/* The route with this key, and this hash of it, made if it is not there. NULL if all places of
 * its set are being given to others. */
og_route_t *og_routes_take(og_routes_t *t, uint64_t hash, const og_route_key_t *key);

/* The route with this hash, or NULL. */
og_route_t *og_routes_find(og_routes_t *t, uint64_t hash);

/* A request of it took so many pages. */
void og_routes_took(og_route_t *r, uint64_t faults);

/* A request of it has ended. */
static inline void og_routes_ended(og_route_t *r, uint64_t faults)
{
    OG_ADD(&r->requests, 1);
    if (faults > 0)
        og_routes_took(r, faults);
}

/* A request of it is named for an OOM kill. */
void og_routes_killed(og_route_t *r);

/* Copies the route at a place, 0 to OG_ROUTES - 1. False if there is none. */
bool og_routes_copy(const og_routes_t *t, unsigned at, og_route_t *out);

#endif
