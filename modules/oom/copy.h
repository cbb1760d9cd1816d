/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* kind=fork: a child that writes every page of a meal, so that what copy-on-write
 * promised has to be there twice. It does only what is async-signal-safe, since other
 * threads of the parent may have held any lock, and it dies with the thread that forked
 * it. */
#ifndef OOM_COPY_H
#define OOM_COPY_H

#include "oom/meal.h"

/* The time, passed in. Both are called in the child, too: async-signal-safe. */
typedef struct {
    uint64_t (*now_nsec)(void);        /* monotonic */
    void (*sleep_nsec)(uint64_t nsec); /* may be shorter than asked for */
} oom_clock_t;

/* When so many bytes are due at this rate (bytes a second, not 0), from a start on. */
uint64_t oom_copy_due_nsec(uint64_t start_nsec, uint64_t bytes, uint64_t rate);

/* Forks. rate: bytes a second, or 0. 0 or -errno and meal->step. */
int oom_copy_start(oom_meal_t *meal, uint64_t rate, const oom_clock_t *clock);

/* Bytes written by the child so far. */
uint64_t oom_copy_written(const oom_meal_t *meal);

/* True if there is a child and it lives. If it has died, it is reaped, and *signal is
 * what killed it (0 if nothing did). */
bool oom_copy_alive(oom_meal_t *meal, int *signal);

/* Ends the child, if there is one, and waits for it. */
void oom_copy_stop(oom_meal_t *meal);

#endif
