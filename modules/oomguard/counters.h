/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the kernel counts of OOM kills, besides what it logs: in httpd's memory cgroup, or, if
 * that counts none, of the whole machine. Read again and again from a file that stays open,
 * which takes no memory.
 *
 * Sources: memory.events in Documentation/admin-guide/cgroup-v2.rst (of the cgroup and all
 * below it; mount option memory_localevents: of itself), memory.oom_control in
 * cgroup-v1/memory.rst (of itself; oom_kill since Linux 4.13), and oom_kill in /proc/vmstat
 * (since 4.13). A kill is counted right before its "Killed process" is logged. */
#ifndef OG_COUNTERS_H
#define OG_COUNTERS_H

#include "lib/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OG_COUNTERS_UNKNOWN UINT64_MAX

typedef struct {
    int fd;       /* of version 2 it can be polled for POLLPRI: something changed; -1: none */
    bool machine; /* not of a cgroup */
} og_counters_t;

/* UNKNOWN: this kernel does not count it, or not here. */
typedef struct {
    uint64_t oom;      /* how often memory could not be had */
    uint64_t oom_kill; /* processes killed */
    uint64_t oom_group_kill;
    uint64_t max, high; /* how often the limit, or the throttle, was met */
} og_counts_t;

/* Opens what there is, and reads it once. 0 or -errno: nothing that counts kills. */
int og_counters_open(og_counters_t *c, const og_cgroup_t *cg, const char *proc);

/* 0 or -errno; -EINVAL if the file does not count kills. */
int og_counters_read(const og_counters_t *c, og_counts_t *out);

/* Reads them from the text of such a file. False if it does not count kills. */
bool og_counters_parse(const char *text, size_t len, og_counts_t *out);

/* Is the victim, whose cgroup the log names, among those that are counted? */
bool og_counters_count(const og_counters_t *c, const og_cgroup_t *cg, const char *task_memcg);

#endif
