/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What a request wants eaten: the query string, understood and checked.
 *
 *   size    bytes, optional K, M, G or T (powers of 1024), or N% of the limit in force
 *   rate    bytes a second, the same form without %
 *   hold    seconds, a decimal fraction allowed
 *   kind    one of the names of oom_kind_t
 *   leak    0 or 1
 *   repeat  1 to OOM_PLAN_REPEAT_MAX
 *
 * Empty pairs, as the last one in "size=1M&", are passed over. Nothing here allocates. */
#ifndef OOM_PLAN_H
#define OOM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OOM_PLAN_UNLIMITED UINT64_MAX
#define OOM_PLAN_BYTES_MAX ((uint64_t)INT64_MAX)
#define OOM_PLAN_HOLD_MAX_SEC 604800u /* a week: whoever wants more has forgotten it */
#define OOM_PLAN_REPEAT_MAX 1000000u
#define OOM_PLAN_STEP_MIN_BYTES ((uint64_t)1 << 20)
#define OOM_PLAN_ERROR_MAX 768 /* the longest sentence has about 560 bytes */

typedef enum {
    OOM_KIND_ANON,    /* malloc */
    OOM_KIND_MMAP,    /* private anonymous mappings */
    OOM_KIND_SHM,     /* shared memory */
    OOM_KIND_FILE,    /* clean page cache */
    OOM_KIND_MLOCK,   /* locked mappings */
    OOM_KIND_THREAD,  /* stacks of many threads */
    OOM_KIND_FORK,    /* a child that writes every page again: copy-on-write comes true */
    OOM_KIND_RESERVE, /* address space never touched */
    OOM_KIND_COUNT
} oom_kind_t;

typedef struct {
    oom_kind_t kind;
    uint64_t size_bytes; /* of one cycle, in the worker; or OOM_PLAN_UNLIMITED */
    uint64_t rate_bytes; /* per second; 0: as fast as it goes */
    uint64_t hold_msec;
    bool leak;
    uint32_t repeat;
} oom_plan_t;

/* An amount whose percentage waits for the limit it is one of. */
typedef struct {
    enum { OOM_AMOUNT_BYTES, OOM_AMOUNT_PERCENT, OOM_AMOUNT_UNLIMITED } unit;
    uint64_t n;
} oom_amount_t;

typedef struct {
    uint64_t limit_bytes; /* in force here: what a percentage is one of */
    uint64_t cap_bytes;   /* OOMMaxSize, or OOM_PLAN_UNLIMITED */
} oom_bounds_t;

/* The name of a kind as the query writes it. */
const char *oom_plan_kind(oom_kind_t kind);

/* Reads "64M", "50%" or, where OOMMaxSize is meant, "unlimited" (in any case of letters).
 * 0, or -EINVAL: no number, zero, an unknown unit, or more than OOM_PLAN_BYTES_MAX. */
int oom_plan_amount(const char *text, oom_amount_t *amount);

/* The amount in bytes, at least 1. An amount beyond OOM_PLAN_BYTES_MAX is cut to it. */
uint64_t oom_plan_resolve(const oom_amount_t *amount, uint64_t limit_bytes);

/* Parses the query (NULL or "" when there is none; undecoded, without the '?').
 *
 * Without size, a plan is unlimited, but for the kinds no kill ends: file and reserve
 * come to twice the limit, fork to 60 % of it. What was not asked for is cut to the cap;
 * what was asked for above it is refused. Against the cap counts all that is there at one
 * time, as cap.h says.
 *
 * 0; or -EINVAL and err holds one sentence in printable ASCII, without newline: the
 * parameter, what was given, what is allowed. err has OOM_PLAN_ERROR_MAX bytes. */
int oom_plan_parse(const char *query, const oom_bounds_t *bounds, oom_plan_t *plan,
                   char *err, size_t errsize);

/* By how much memory grows between two lines: a power of two, about 1/32 of what it can
 * grow to, at least OOM_PLAN_STEP_MIN_BYTES. */
uint64_t oom_plan_step(const oom_plan_t *plan, uint64_t limit_bytes);

#endif
