/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Which route leaks: by least squares over the windows, how much each request of a route adds to
 * its process (never less than nothing), and how sure that is. What it
 * adds to a backend counts as well.
 *
 * Pages are the machine's. Nothing is allocated. */
#ifndef OG_SUSPECTS_H
#define OG_SUSPECTS_H

#include "oomguard/windows.h"

#include <stddef.h>

#define OG_SUSPECTS 48 /* routes that are told apart, in workers, and in backends */

typedef struct {
    uint64_t hash;     /* the route's */
    double pages;      /* that a request adds: an estimate */
    double error;      /* of that: standard error; infinite: nothing is known */
    double share;      /* of what all have added, 0 to 1 */
    uint32_t requests; /* that this is known of */
} og_suspect_t;

typedef struct {
    unsigned n; /* 0: too few windows to tell anything */
    og_suspect_t of[2 * OG_SUSPECTS]; /* what a request surely adds: the most first */
} og_suspects_t;

typedef enum {
    OG_SUSPICION_UNKNOWN, /* too little is known */
    OG_SUSPICION_NONE,    /* it is not seen to add anything */
    OG_SUSPICION_WEAK,    /* it is, but others add more */
    OG_SUSPICION_FAIR,
    OG_SUSPICION_STRONG   /* most of all growth is its, and that is far from chance */
} og_suspicion_t;

/* Takes some milliseconds, with a full ring and many routes some twenty. */
void og_suspects_find(og_suspects_t *out, const og_windows_t *w, const og_routes_t *t);

/* The one with this hash, or NULL. */
const og_suspect_t *og_suspects_of(const og_suspects_t *s, uint64_t hash);

/* Of that; NULL is unknown. */
og_suspicion_t og_suspects_judge(const og_suspect_t *s);

/* More than 0 if the first is to be looked at before the other: one that is fairly or strongly
 * suspected, one that is named for kills, one whose requests took the most. */
int og_suspects_compare(const og_suspects_t *s, const og_route_t *a, const og_route_t *b);

/* "retains 2.0 MiB a request (+-0.1) over 4211 requests, 97 % of all growth", or what else there
 * is to say, NUL-terminated. Its length. */
size_t og_suspects_say(const og_suspect_t *s, const og_route_t *r, unsigned page_bytes, char *buf,
                       size_t size);

#endif
