/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Processes as /proc shows them. Source: proc_pid_stat(5). */
#ifndef OG_PROCS_H
#define OG_PROCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    pid_t pid, ppid;
    uint64_t start_usec; /* of CLOCK_BOOTTIME, to a hundredth of a second; 0: not told */
    uint64_t faults; /* pages that it touched first; UINT64_MAX: not told */
    int64_t resident_pages; /* -1: not told */
    char comm[64]; /* as the kernel has it, unescaped */
} og_procs_stat_t;

/* Parses the text of /proc/PID/stat. 0 or -EINVAL. */
int og_procs_parse(const char *text, og_procs_stat_t *st);

/* Reads it, with the files below proc (normally "/proc"). 0 or -errno; -ENOENT if it ended. */
int og_procs_stat(const char *proc, pid_t pid, og_procs_stat_t *st);

/* The same of one of its threads. What is dead is told of until it is waited for. */
int og_procs_thread(const char *proc, pid_t pid, pid_t tid, og_procs_stat_t *st);

/* Is there no process with that pid any more? A zombie is one. Async-signal-safe, errno
 * untouched. */
bool og_procs_gone(pid_t pid);

/* Is pid a child of ancestor, or a child's child, as far as parents are still there? */
bool og_procs_descends(const char *proc, pid_t pid, pid_t ancestor);

/* Calls fn for every process there is. 0 or -errno. Allocates. */
int og_procs_each(const char *proc, void (*fn)(const og_procs_stat_t *st, void *ctx),
                  void *ctx);

#endif
