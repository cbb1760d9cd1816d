/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The lines of the answer, for people or one JSON object each. Nothing here allocates:
 * the next page may be the one that is not there. */
#ifndef OOM_PROGRESS_H
#define OOM_PROGRESS_H

#include "oom/plan.h"

#include <sys/types.h>

#define OOM_PROGRESS_UNKNOWN UINT64_MAX
#define OOM_PROGRESS_LINE_MAX 1024 /* the longest line has about 620 bytes */

typedef enum {
    OOM_STATE_PLAN, /* the first line: nothing has happened yet */
    OOM_STATE_GROWING,
    OOM_STATE_COPYING,
    OOM_STATE_HOLDING,
    /* The rest are last lines. */
    OOM_STATE_GIVEN_BACK,
    OOM_STATE_KEPT,
    OOM_STATE_REFUSED,
    OOM_STATE_CLIENT_GONE,
    OOM_STATE_SERVER_STOPPING,
    OOM_STATE_CHILD_KILLED,
    OOM_STATE_COUNT
} oom_state_t;

/* Bytes; each may be OOM_PROGRESS_UNKNOWN. */
typedef struct {
    oom_state_t state;
    const oom_plan_t *plan;
    pid_t pid;
    uint64_t limit_bytes; /* what the plan's percentages are of */
    uint32_t cycle;
    uint64_t allocated_bytes, rss_bytes, cgroup_usage_bytes, cgroup_limit_bytes;
    uint64_t elapsed_usec;
    const char *refused_step; /* what was refused, and in which words */
    const char *refused_error;
    int signal; /* what killed the child */
} oom_progress_t;

/* Renders one line, with its newline, into buf of OOM_PROGRESS_LINE_MAX bytes. Its
 * length. */
size_t oom_progress_line(char *buf, size_t size, bool json, const oom_progress_t *p);

#endif
