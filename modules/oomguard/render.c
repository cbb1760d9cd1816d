/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/render.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char *buf;
    size_t size, len;
} sink_t;

static void say(sink_t *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(sink_t *s, const char *format, ...)
{
    va_list args;
    int n;

    if (s->len + 1 >= s->size)
        return;
    va_start(args, format);
    n = vsnprintf(s->buf + s->len, s->size - s->len, format, args);
    va_end(args);
    if (n > 0)
        s->len += (size_t)n < s->size - s->len ? (size_t)n : s->size - s->len - 1;
}

/* Text from outside, in quotes. In what the kernel logged, \xNN is an escape already. */
static void quote_text(sink_t *s, const char *text, bool logged)
{
    say(s, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (logged && c == '\\' && text[1] == 'x') {
            say(s, "%%");
            text++;
        }
        else if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            say(s, "%%%02x", c);
        else
            say(s, "%c", c);
    }
    say(s, "\"");
}

static void quote(sink_t *s, const char *text)
{
    quote_text(s, text, false);
}

static void quote_logged(sink_t *s, const char *text)
{
    quote_text(s, text, true);
}

static void mib(sink_t *s, int64_t kib)
{
    if (kib < 0)
        say(s, "unknown");
    else
        say(s, "%" PRId64 ".%" PRId64 " MiB", kib / 1024, kib % 1024 * 10 / 1024);
}

static void victim(sink_t *s, const og_report_t *r)
{
    static const char *const roles[] = { "process", "process", "master", "worker", "watcher",
                                         "helper" };

    say(s, "the kernel killed %s %d ", roles[r->role], (int)r->kill->pid);
    quote_logged(s, r->kill->comm);
    if (r->worker != NULL) {
        if (r->worker->slot >= 0)
            say(s, ", slot %d", r->worker->slot);
        say(s, ", generation %d", r->worker->generation);
        if (r->worker->pid != r->kill->pid)
            say(s, ", a thread of pid %d", r->worker->pid);
    }
    if (r->role == OG_ROLE_HELPER && r->ppid > 0)
        say(s, ", child of %" PRId64, r->ppid);
}

static void killer(sink_t *s, const og_kmsg_kill_t *k)
{
    switch (k->killer) {
    case OG_KILLER_MEMCG:
        say(s, ": memory cgroup ");
        if (k->oom_memcg[0] != '\0')
            quote(s, k->oom_memcg);
        else
            say(s, "(the log did not say which)");
        say(s, " is at its limit");
        if (k->limit_kib >= 0) {
            say(s, " of ");
            mib(s, k->limit_kib);
        }
        break;
    case OG_KILLER_GLOBAL:
        say(s, ": the machine is out of memory");
        break;
    case OG_KILLER_CPUSET:
        say(s, ": the memory nodes of its cpuset are full");
        break;
    case OG_KILLER_MEMPOLICY:
        say(s, ": the memory nodes of its policy are full");
        break;
    default:
        say(s, ": out of memory (where, the log did not say)");
    }
    if (k->group_kill)
        say(s, ", and memory.oom.group kills all that is in it");
    if (k->invoked_by[0] != '\0') {
        say(s, " when ");
        quote_logged(s, k->invoked_by);
        say(s, " asked for more");
    }
}

static void memory(sink_t *s, const og_kmsg_kill_t *k)
{
    say(s, "; it had anon ");
    mib(s, k->anon_rss_kib);
    say(s, ", file ");
    mib(s, k->file_rss_kib);
    say(s, ", shmem ");
    mib(s, k->shmem_rss_kib);
    if (k->oom_score_adj != OG_KMSG_UNKNOWN)
        say(s, ", oom_score_adj %" PRId64, k->oom_score_adj);
    if (k->uid >= 0)
        say(s, ", uid %" PRId64, k->uid);
}

/* The request that is to be named, and why that one. */
static const og_request_t *choose(const og_report_t *r, const char **why)
{
    const og_worker_t *w = r->worker;

    for (int i = 0; i < w->in_flight && i < OG_LEDGER_DEAD_REQUESTS; i++) {
        /* A log that names threads names one by its id, and the process by its own. */
        if (w->requests[i].tid == r->kill->pid && r->kill->pid != w->pid) {
            *why = "likely: the killed thread's";
            return &w->requests[i];
        }
        if (w->requests[i].tid == r->kill->invoked_pid && r->kill->invoked_pid != 0) {
            *why = "likely: its thread asked for the memory that was not there";
            return &w->requests[i];
        }
    }
    *why = "a guess: the longest";
    return &w->requests[0];
}

static void request(sink_t *s, const og_report_t *r)
{
    const og_worker_t *w = r->worker;
    const og_request_t *q;
    const char *why;
    uint64_t msec;

    if (w->in_flight == 0) {
        say(s, "; no request in flight is known");
        return;
    }
    q = choose(r, &why);
    msec = r->usec > q->begun_usec ? (r->usec - q->begun_usec) / 1000 : 0;
    say(s, "; request ");
    if (q->method[0] == '\0')
        say(s, "of a host with OOMGuard Off");
    else {
        quote(s, q->method);
        say(s, " ");
        quote(s, q->path);
        if (strlen(q->path) == sizeof q->path - 1)
            say(s, "..."); /* it was cut */
        say(s, " vhost ");
        quote(s, q->vhost);
        say(s, " client ");
        quote(s, q->client);
    }
    say(s, " for %" PRIu64 ".%03" PRIu64 " s", msec / 1000, msec % 1000);
    if (w->in_flight == 1)
        say(s, r->missed ? " (likely: the only one known; others found no room to be noted)"
                         : " (certain: the only one in flight)");
    else
        say(s, " (%s, of %d in flight)", why, w->in_flight);
}

size_t og_render_line(const og_report_t *r, char *buf, size_t size)
{
    sink_t s = { buf, size, 0 };

    buf[0] = '\0';
    victim(&s, r);
    killer(&s, r->kill);
    memory(&s, r->kill);
    if (r->worker != NULL)
        request(&s, r);
    if (r->sure != NULL)
        say(&s, "; %s", r->sure);
    if (r->late)
        say(&s, "; read late, while nobody watched");
    return s.len;
}
