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

static void place(sink_t *s, const og_worker_t *w)
{
    if (w->slot >= 0)
        say(s, ", slot %d", w->slot);
    if (w->generation >= 0)
        say(s, ", generation %d", w->generation);
}

static void victim(sink_t *s, const og_report_t *r)
{
    static const char *const roles[] = { "process", "process", "master", "worker", "watcher",
                                         "process", "backend", "helper" };

    say(s, "the kernel killed %s %d ", roles[r->role], (int)r->kill->pid);
    quote_logged(s, r->kill->comm);
    if (r->worker != NULL) {
        place(s, r->worker);
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

static void history(sink_t *s, const og_route_t *r, const og_suspect_t *suspect, unsigned page_bytes)
{
    char text[160];

    quote(s, r->vhost);
    say(s, " ");
    quote(s, r->handler);
    say(s, " ");
    quote(s, r->pattern);
    og_suspects_say(suspect, r, page_bytes, text, sizeof text);
    say(s, " %s, %" PRIu32 " kill%s", text, r->kills, r->kills == 1 ? "" : "s");
}

static void routes(sink_t *s, const og_past_t *past)
{
    if (past->route != NULL) {
        say(s, "; its route ");
        history(s, past->route, past->suspect, past->page_bytes);
    }
    if (past->other != NULL) {
        say(s, "; most suspect is ");
        history(s, past->other, past->other_suspect, past->page_bytes);
    }
}

static void request(sink_t *s, const og_request_t *q, uint64_t usec, const og_past_t *past)
{
    uint64_t msec = usec > q->begun_usec ? (usec - q->begun_usec) / 1000 : 0;

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
        if (q->log_id[0] != '\0') {
            say(s, " id ");
            quote(s, q->log_id);
        }
    }
    say(s, " for %" PRIu64 ".%03" PRIu64 " s", msec / 1000, msec % 1000);
    if (q->pages != OG_LEDGER_UNKNOWN && past->page_bytes != 0) {
        say(s, ", which took ");
        mib(s, (int64_t)(q->pages * (past->page_bytes / 1024)));
    }
}

static void of_worker(sink_t *s, const og_worker_t *w, const og_kmsg_kill_t *kill, uint64_t usec,
                      bool missed, const og_past_t *past)
{
    static const char *const whys[] = {
        [OG_BLAME_KILLED] = "likely: the killed thread's",
        [OG_BLAME_LARGEST] = "likely: it took more than the others together",
        [OG_BLAME_ASKED] = "likely: its thread asked for the memory that was not there",
        [OG_BLAME_LONGEST] = "a guess: the longest",
    };
    og_blame_t why;
    const og_request_t *q = og_blame(w, kill, &why);

    if (q == NULL) {
        say(s, "; no request in flight is known");
        routes(s, past);
        return;
    }
    request(s, q, usec, past);
    if (why != OG_BLAME_ALONE)
        say(s, " (%s, of %d in flight)", whys[why], w->in_flight);
    else
        say(s, missed ? " (likely: the only one known; others found no room to be noted)"
                      : " (certain: the only one in flight)");
    routes(s, past);
}

static void of_helper(sink_t *s, const og_report_t *r)
{
    request(s, r->served, r->usec, &r->past);
    if (r->served_of == 1)
        say(s, r->of_parent ? " (certain: its parent was in no other)"
                            : " (likely: such a process works for no other)");
    else
        say(s, " (a guess: of %d that %s, the one %s)", r->served_of,
            r->of_parent ? "its parent was in" : "such a process works for",
            r->served_last ? "that ended last" : "of the most suspect route");
    routes(s, &r->past);
}

static void doubts(sink_t *s, bool late, bool again)
{
    if (late)
        say(s, "; read late, while nobody watched");
    if (again)
        say(s, "; perhaps told before: the watcher died over it");
}

size_t og_render_line(const og_report_t *r, char *buf, size_t size)
{
    sink_t s = { buf, size, 0 };

    buf[0] = '\0';
    victim(&s, r);
    killer(&s, r->kill);
    memory(&s, r->kill);
    if (r->worker != NULL)
        of_worker(&s, r->worker, r->kill, r->usec, r->missed, &r->past);
    else if (r->served != NULL)
        of_helper(&s, r);
    if (r->sure != NULL)
        say(&s, "; %s", r->sure);
    doubts(&s, r->late, r->again);
    return s.len;
}

static void counter(sink_t *s, const og_case_t *c)
{
    if (c->cgroup == NULL)
        say(s, "this machine");
    else {
        say(s, "memory cgroup ");
        quote(s, c->cgroup);
    }
}

/* Why the log did not tell it. */
static void silence(sink_t *s, const og_case_t *c)
{
    say(s, "; the kernel's log ");
    if (!c->log)
        say(s, "is not read");
    else if (c->finding->gap)
        say(s, "lost records then");
    else
        say(s, "does not show it");
}

static void who(sink_t *s, const og_case_t *c)
{
    say(s, "worker %d", c->finding->death.pid);
    if (c->worker != NULL)
        place(s, c->worker);
}

size_t og_render_case(const og_case_t *c, char *buf, size_t size)
{
    const og_finding_t *f = c->finding;
    sink_t s = { buf, size, 0 };

    buf[0] = '\0';
    switch (f->kind) {
    case OG_FINDING_COUNTED:
        say(&s, "the kernel killed ");
        who(&s, c);
        say(&s, ": ");
        counter(&s, c);
        say(&s, " counts an OOM kill more, and this worker vanished");
        if (f->vanished > 1)
            say(&s, " (a guess: one of %" PRIu32 " that did)", f->vanished);
        else
            say(&s, " (likely: no other one did)");
        silence(&s, c);
        break;
    case OG_FINDING_UNATTRIBUTED:
        say(&s, "the kernel killed %" PRIu64 " process%s, as ", f->kills,
            f->kills == 1 ? "" : "es");
        counter(&s, c);
        say(&s, " counts, and nobody knows which: no worker vanished");
        silence(&s, c);
        break;
    case OG_FINDING_GAP:
        if (f->records != OG_VERDICT_UNKNOWN)
            say(&s, "%" PRIu64 " ", f->records);
        say(&s, "records of the kernel's log were %s before they could be read; ",
            f->records != OG_VERDICT_UNKNOWN ? "overwritten" : "overwritten or cleared");
        if (f->kills == OG_VERDICT_UNKNOWN)
            say(&s, "a kill among them has no line");
        else {
            counter(&s, c);
            say(&s, " counts %" PRIu64 " OOM kill%s among them", f->kills,
                f->kills == 1 ? "" : "s");
        }
        break;
    case OG_FINDING_KILLED:
        who(&s, c);
        say(&s, " vanished, and not by the OOM killer");
        if (c->cgroup == NULL || c->cgroup[0] != '\0') {
            say(&s, ": ");
            counter(&s, c);
            say(&s, " counts no further kill");
        }
        else
            say(&s, ": the kernel's log has no such kill");
        say(&s, "; somebody's SIGKILL, or a module that called exit()");
        break;
    case OG_FINDING_SHOT:
        say(&s, "httpd itself sent SIGKILL to ");
        who(&s, c);
        say(&s, ", which did not stop in time; it was not the OOM killer");
        break;
    case OG_FINDING_CRASHED:
        who(&s, c);
        say(&s, " crashed by signal %d; it was not the OOM killer", f->death.signal);
        break;
    case OG_FINDING_VANISHED:
        who(&s, c);
        say(&s, " vanished, and whether by the OOM killer can't be said: ");
        if (f->owed > 0)
            say(&s, "it may be one of those that were told without a name");
        else if (c->log && f->gap)
            say(&s, "the kernel's log lost records then, and nothing counts kills");
        else
            say(&s, "neither the kernel's log nor its counter can be read");
    }
    if (c->worker != NULL)
        of_worker(&s, c->worker, NULL, f->death.ended_usec, c->missed, &c->past);
    doubts(&s, c->late, c->again);
    return s.len;
}
