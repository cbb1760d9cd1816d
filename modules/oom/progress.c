/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct {
    char *buf;
    size_t size, len;
} out_t;

static const char *const states[OOM_STATE_COUNT] = {
    "plan", "growing", "copying",     "holding",         "given_back",
    "kept", "refused", "client_gone", "server_stopping", "child_killed"
};

__attribute__((format(printf, 2, 3))) static void put(out_t *o, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(o->buf + o->len, o->size - o->len, fmt, ap);
    va_end(ap);
    if (n > 0)
        o->len += (size_t)n < o->size - o->len ? (size_t)n : o->size - o->len - 1;
}

/* "64.0 MiB". In integers: no locale's comma. */
static void put_bytes(out_t *o, uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    unsigned u = 0;

    if (bytes == OOM_PROGRESS_UNKNOWN) {
        put(o, "unknown");
        return;
    }
    if (bytes < 1024) {
        put(o, "%" PRIu64 " B", bytes);
        return;
    }
    for (; bytes >= 1024 * 1024; bytes /= 1024)
        u++;
    put(o, "%" PRIu64 ".%" PRIu64 " %ciB", bytes / 1024, bytes % 1024 * 10 / 1024,
        units[u]);
}

static void put_plan(out_t *o, const oom_progress_t *p)
{
    const oom_plan_t *plan = p->plan;

    put(o, "plan: kind %s, size ", oom_plan_kind(plan->kind));
    if (plan->size_bytes == OOM_PLAN_UNLIMITED)
        put(o, "unlimited");
    else
        put_bytes(o, plan->size_bytes);
    if (plan->rate_bytes != 0) {
        put(o, ", rate ");
        put_bytes(o, plan->rate_bytes);
        put(o, "/s");
    }
    put(o, ", hold %" PRIu64 ".%03" PRIu64 " s, repeat %" PRIu32 ", then %s", //
        plan->hold_msec / 1000, plan->hold_msec % 1000, plan->repeat,
        plan->leak ? "kept" : "given back");
    put(o, "; pid %ld, limit in force ", (long)p->pid);
    put_bytes(o, p->limit_bytes);
}

/* What the line is about, up to the figures all lines end with. */
static void put_head(out_t *o, const oom_progress_t *p)
{
    static const char *const verbs[OOM_STATE_COUNT] = {
        [OOM_STATE_GROWING] = "allocated ",
        [OOM_STATE_COPYING] = "copying, allocated ",
        [OOM_STATE_HOLDING] = "holding ",
        [OOM_STATE_GIVEN_BACK] = "done: ",
        [OOM_STATE_KEPT] = "done: ",
        [OOM_STATE_CLIENT_GONE] = "client gone: ",
        [OOM_STATE_SERVER_STOPPING] = "server stopping: "
    };

    if (p->state == OOM_STATE_PLAN) {
        put_plan(o, p);
        return;
    }
    if (p->state == OOM_STATE_REFUSED)
        put(o, "refused: %s: %s: ", p->refused_step, p->refused_error);
    else if (p->state == OOM_STATE_CHILD_KILLED)
        put(o, "child killed by signal %d: ", p->signal);
    else
        put(o, "%s", verbs[p->state]);
    put_bytes(o, p->allocated_bytes);
    if (p->state >= OOM_STATE_GIVEN_BACK) {
        if (p->plan->leak)
            put(o, " kept until the worker (pid %ld) ends", (long)p->pid);
        else
            put(o, " given back");
    }
    else if (p->plan->repeat > 1)
        put(o, " in cycle %" PRIu32 " of %" PRIu32, p->cycle, p->plan->repeat);
}

static void put_text(out_t *o, const oom_progress_t *p)
{
    put_head(o, p);
    put(o, ", rss ");
    put_bytes(o, p->rss_bytes);
    put(o, ", cgroup ");
    put_bytes(o, p->cgroup_usage_bytes);
    if (p->cgroup_limit_bytes == OOM_PROGRESS_UNKNOWN)
        put(o, " without limit");
    else {
        put(o, " of ");
        put_bytes(o, p->cgroup_limit_bytes);
    }
    put(o, ", %" PRIu64 ".%03" PRIu64 " s\n", p->elapsed_usec / 1000000,
        p->elapsed_usec / 1000 % 1000);
}

static void put_key(out_t *o, const char *key, uint64_t n)
{
    if (n == OOM_PROGRESS_UNKNOWN)
        put(o, ",\"%s\":null", key);
    else
        put(o, ",\"%s\":%" PRIu64, key, n);
}

/* Texts of this module and of the C library's errors: nothing to escape but by law. */
static void put_string(out_t *o, const char *key, const char *s)
{
    put(o, ",\"%s\":\"", key);
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\' || (unsigned char)*s < ' ')
            put(o, "\\u%04x", (unsigned char)*s);
        else
            put(o, "%c", *s);
    }
    put(o, "\"");
}

static void put_json(out_t *o, const oom_progress_t *p)
{
    const oom_plan_t *plan = p->plan;

    put(o, "{\"state\":\"%s\"", states[p->state]);
    put_key(o, "allocated_bytes", p->allocated_bytes);
    put_key(o, "rss_bytes", p->rss_bytes);
    put_key(o, "cgroup_usage_bytes", p->cgroup_usage_bytes);
    put_key(o, "cgroup_limit_bytes", p->cgroup_limit_bytes);
    put(o, ",\"elapsed_seconds\":%" PRIu64 ".%06" PRIu64, p->elapsed_usec / 1000000,
        p->elapsed_usec % 1000000);
    put_key(o, "cycle", p->cycle);
    if (p->state == OOM_STATE_PLAN) {
        put(o, ",\"pid\":%ld", (long)p->pid);
        put_string(o, "kind", oom_plan_kind(plan->kind));
        put_key(o, "size_bytes", plan->size_bytes);
        put_key(o, "rate_bytes_per_second",
                plan->rate_bytes != 0 ? plan->rate_bytes : OOM_PROGRESS_UNKNOWN);
        put(o, ",\"hold_seconds\":%" PRIu64 ".%03" PRIu64, plan->hold_msec / 1000,
            plan->hold_msec % 1000);
        put_key(o, "repeat", plan->repeat);
        put(o, ",\"leak\":%s", plan->leak ? "true" : "false");
        put_key(o, "limit_bytes", p->limit_bytes);
    }
    if (p->state >= OOM_STATE_GIVEN_BACK)
        put(o, ",\"leak\":%s", plan->leak ? "true" : "false");
    if (p->state == OOM_STATE_REFUSED) {
        put_string(o, "refused", p->refused_step);
        put_string(o, "error", p->refused_error);
    }
    if (p->state == OOM_STATE_CHILD_KILLED)
        put(o, ",\"signal\":%d", p->signal);
    put(o, "}\n");
}

size_t oom_progress_line(char *buf, size_t size, bool json, const oom_progress_t *p)
{
    out_t o = { buf, size, 0 };

    if (json)
        put_json(&o, p);
    else
        put_text(&o, p);
    return o.len;
}
