/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The lines of an OOM kill, each by itself: what kmsg.c makes kills of. Nothing here
 * remembers. Every line is matched from its start, since the kernel echoes foreign text,
 * and whatever foreign text it holds is bounded from the side where none of it can
 * interfere. */
#ifndef OG_KMSG_LINE_H
#define OG_KMSG_LINE_H

#include "oomguard/kmsg.h"
#include "oomguard/span.h"

typedef enum {
    OG_LINE_OTHER,
    OG_LINE_INVOKED, /* "%s invoked oom-killer: gfp_mask=": comm */
    OG_LINE_CPU,     /* "CPU: %d UID: %d PID: %d Comm: ", older ones without UID: pid */
    OG_LINE_TASK_IN, /* "Task in %s killed as a result of limit of %s": task, limit */
    OG_LINE_USAGE,   /* "memory: usage %llukB, limit %llukB, failcnt %lu": both numbers */
    OG_LINE_OOM_KILL, /* "oom-kill:constraint=": see og_line_oom_kill */
    OG_LINE_KILL,     /* "%s: Kill process %d (%s) score": killer */
    OG_LINE_GROUP,    /* "Tasks in %s are going to be killed [...]": limit */
    OG_LINE_NO_KILL,  /* the victim was exiting already, or there is none */
    OG_LINE_TASK      /* a line of the list of tasks */
} og_line_kind_t;

/* Set as far as the kind above says. */
typedef struct {
    og_span_t comm, task, limit;
    int64_t usage_kib, limit_kib;
    pid_t pid;
    og_killer_t killer;
} og_line_t;

/* Makes every number unknown and every string empty. */
void og_line_clear(og_kmsg_kill_t *kill);

/* What a line around a kill is, and what it tells. */
og_line_kind_t og_line_read(og_span_t s, og_line_t *line);

/* Is it the line of a kill? Then *kill has what it tells, with the killer its first words
 * name, and is clear otherwise. On false, *kill is not to be used. */
bool og_line_killed(og_span_t s, og_kmsg_kill_t *kill);

/* Reads killer and cgroups into *kill from the "oom-kill:" line before it. False, and
 * *kill untouched, if the line speaks of another kill. */
bool og_line_oom_kill(og_span_t s, og_kmsg_kill_t *kill);

#endif
