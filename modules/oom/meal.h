/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The memory of one cycle, or with leak of all: got, filled and given back, each kind in
 * its own way. Used by eat and copy. Its own records live in pages it maps, not in the
 * heap it may be filling. */
#ifndef OOM_MEAL_H
#define OOM_MEAL_H

#include "oom/plan.h"

#include <pthread.h>
#include <sys/types.h>

#define OOM_MEAL_PAGE_BYTES 4096u /* noise repeats at this distance */
#define OOM_MEAL_STACK_BYTES (1024u * 1024)
#define OOM_MEAL_READ_BYTES (64u * 1024) /* one read of kind=file */
#define OOM_MEAL_TABLE 254

typedef struct {
    char *at; /* NULL: an empty slot */
    size_t len;
} oom_chunk_t;

/* A page of records. */
typedef struct oom_table {
    struct oom_table *next;
    size_t used;
    oom_chunk_t chunk[OOM_MEAL_TABLE];
} oom_table_t;

typedef struct oom_meal {
    struct oom_meal *next_kept;
    oom_kind_t kind;
    const char *step; /* what was being done when an error was returned */
    oom_table_t *first, *last;
    char *at; /* where the chunk begun last goes on */
    uint64_t stamp;
    int fd; /* kind=file; otherwise -1 */
    off_t file_bytes;
    pid_t child;             /* kind=fork: the copy; 0 if there is none */
    uint64_t *written_bytes; /* kind=fork: shared with the copy */
    pthread_mutex_t lock;    /* kind=thread: what the threads wait at */
    pthread_cond_t gate;
    bool open;
    bool threads;     /* there is at least one, */
    pthread_t newest; /* and this was started last */
    uint64_t noise[OOM_MEAL_PAGE_BYTES / sizeof(uint64_t)];
    char scratch[OOM_MEAL_READ_BYTES]; /* untouched unless kind=file */
} oom_meal_t;

/* Makes an empty meal. dir, for kind=file, is a folder on a disk. seed makes the noise.
 * 0 or -errno; then *step names what failed, and -EMEDIUMTYPE is a dir in memory. */
int oom_meal_open(oom_kind_t kind, const char *dir, uint64_t seed, oom_meal_t **meal,
                  const char **step);

/* Begins a chunk of len bytes, a multiple of its kind's grain. 0 or -errno and
 * meal->step. */
int oom_meal_get(oom_meal_t *meal, size_t len);

/* Makes the next len bytes of the chunk really there. For kind=thread at most
 * OOM_MEAL_STACK_BYTES, which become one thread's stack. 0 or -errno and meal->step. */
int oom_meal_touch(oom_meal_t *meal, size_t len);

/* Writes len bytes anew, so that no page equals another or its former self.
 * Async-signal-safe. */
void oom_meal_fill(oom_meal_t *meal, char *at, size_t len);

/* Gives everything back. */
void oom_meal_close(oom_meal_t *meal);

#endif
