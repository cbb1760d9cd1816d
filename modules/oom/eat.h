/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Carries a plan out: grows, holds, gives back, and begins again. Runs in the caller's
 * thread, which learns of every step and may stop it. Any number of threads may eat at
 * one time. */
#ifndef OOM_EAT_H
#define OOM_EAT_H

#include "oom/copy.h"
#include "oom/plan.h"

/* Given back when memory was refused, so that whoever called can still say so. */
#define OOM_EAT_EMERGENCY_BYTES (1024u * 1024)

typedef enum {
    OOM_PHASE_GROWING,
    OOM_PHASE_COPYING, /* kind=fork: the child is at work; bytes counts what it wrote */
    OOM_PHASE_HOLDING
} oom_phase_t;

typedef struct {
    oom_phase_t phase;
    uint32_t cycle; /* from 1 */
    uint64_t bytes; /* there now, with what earlier cycles leaked */
} oom_eaten_t;

/* Told of every step, at the end of growth, at the start of a hold, and about once a
 * second when nothing else happens. False: stop now. */
typedef bool (*oom_eat_tell_fn)(void *baton, const oom_eaten_t *eaten);

/* What leak keeps until the process ends. All zero to begin with; shared by all threads.
 */
typedef struct {
    struct oom_meal *head;
} oom_kept_t;

typedef struct {
    const char *file_dir; /* kind=file: a folder on a disk, writable */
    uint64_t step_bytes;  /* a multiple of 4096 */
    oom_clock_t clock;
    oom_kept_t *kept;
    oom_eat_tell_fn tell;
    void *baton;
} oom_eater_t;

typedef enum {
    OOM_END_DONE,
    OOM_END_STOPPED, /* tell said so */
    OOM_END_CHILD_KILLED
} oom_end_t;

typedef struct {
    uint64_t bytes;   /* the most that was there */
    const char *step; /* what was refused; NULL if nothing was */
    int signal;       /* what killed the child, if one was killed */
} oom_outcome_t;

/* Eats. When it returns, the memory is given back or, with leak, in eater->kept. Sizes
 * are rounded up to oom_cap_grain_bytes. An oom_end_t, or -errno of what was refused;
 * *out is filled in any case. */
int oom_eat_run(const oom_plan_t *plan, const oom_eater_t *eater, oom_outcome_t *out);

/* Gives back what was kept. No thread may be eating. */
void oom_eat_drop(oom_kept_t *kept);

#endif
