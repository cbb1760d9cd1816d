/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The processes that httpd forked, workers among them, in shared memory: each writes itself
 * down right after fork(2). So the table neither locks nor allocates, and is of a fixed size;
 * one that lives is displaced only where eight of its neighbours live as well. */
#ifndef OG_FORKED_H
#define OG_FORKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OG_FORKED_MAX 1024

/* What is known of one, set by whoever knows. */
#define OG_FORKED_WORKER 1U    /* by its own word */
#define OG_FORKED_LEFT 2U      /* it runs its cleanups: it ends because it wants to */
#define OG_FORKED_SHOT 4U      /* httpd has sent it SIGKILL */
#define OG_FORKED_DISMISSED 8U /* httpd stops, or starts anew */
#define OG_FORKED_SIGNAL(n) ((uint32_t)(n) << 8) /* it was killed by that, httpd says */
#define OG_FORKED_SIGNAL_OF(marks) ((int)((marks) >> 8 & 0x7f))

/* It may be long gone, and another one have its pid: begun_usec, of CLOCK_BOOTTIME as in
 * /proc/PID/stat, tells them apart. */
typedef struct {
    int32_t pid; /* 0: none */
    int32_t ppid;
    uint64_t begun_usec;
    uint32_t marks;
} og_process_t;

/* All zero is an empty one. */
typedef struct {
    og_process_t entries[OG_FORKED_MAX];
} og_forked_t;

/* Async-signal-safe, errno untouched. */
void og_forked_add(og_forked_t *f, pid_t pid, pid_t ppid, uint64_t usec);

/* Adds marks to the process that has this pid, if it is known. Async-signal-safe. */
void og_forked_mark(og_forked_t *f, pid_t pid, uint32_t marks);

/* The process that had this pid, the last one if there were several. False if none is known. */
bool og_forked_find(const og_forked_t *f, pid_t pid, og_process_t *out);

/* Calls fn for each. */
void og_forked_each(const og_forked_t *f, void (*fn)(const og_process_t *p, void *ctx), void *ctx);

void og_forked_forget(og_forked_t *f, pid_t pid);

/* Forgets those that ended. */
void og_forked_sweep(og_forked_t *f);

#endif
