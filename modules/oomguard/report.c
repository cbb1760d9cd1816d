/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Whose kill it was, and the line about it in the error log. */
#include "oomguard/entry.h"
#include "oomguard/event.h"
#include "oomguard/guard.h"
#include "oomguard/post.h"
#include "oomguard/procs.h"
#include "oomguard/render.h"

#include "apr_strings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How far a worker's death in our books may lie before its kill in the log. A record that is
 * read at once is as old as now; of an older one only the kernel's clock speaks, which may
 * drift against ours by 500 ppm. */
#define SLACK_USEC (5 * 1000000ULL)
#define DRIFT_PARTS 2000

/* How far the start of a process in /proc, in ticks, may lie from when it told its own. */
#define START_SLACK_USEC 1000000

/* A request whose backend was killed ends with that, most often just before the kill is read (our
 * clock has a grain of some milliseconds), or that long before. */
#define JUST_ENDED_USEC 8000
#define ENDED_USEC 1000000

/* Is the killed the process that httpd forked, or has a stranger got its pid since? */
static int is_still(const witness_t *w, const og_process_t *forked, const og_kmsg_kill_t *k, uint64_t usec,
                    og_report_t *r)
{
    uint64_t asleep = parent_boot() - parent_now(); /* CLOCK_MONOTONIC did not count that */
    og_procs_stat_t st;
    int64_t apart;

    if (forked->begun_usec > usec + asleep + SLACK_USEC)
        return 0;
    if (og_procs_stat("/proc", k->pid, &st) == 0 && st.start_usec != 0) {
        apart = (int64_t)st.start_usec - (int64_t)forked->begun_usec;
        return apart < START_SLACK_USEC && apart > -START_SLACK_USEC;
    }
    /* Gone already. A stranger would most likely have been in another cgroup. */
    if (k->task_memcg[0] != '\0' && strcmp(k->task_memcg, w->cgroup.path) != 0)
        return 0;
    r->sure = "likely of this httpd: it forked a process with this pid";
    return 1;
}

/* It died before this httpd was there. Of the one before nothing is left but its master's PID
 * and the cgroup, if it had one of its own. */
static og_role_t former(const witness_t *w, const og_kmsg_kill_t *k, og_report_t *r)
{
    r->sure = "of the httpd before this one";
    if (k->pid == w->task.former)
        return OG_ROLE_MASTER;
    if (w->task.former == 0 || strcmp(w->cgroup.path, "/") == 0 ||
        strcmp(k->task_memcg, w->cgroup.path) != 0)
        return OG_ROLE_STRANGER;
    r->sure = "likely of the httpd before this one: it ran in the same memory cgroup";
    return OG_ROLE_FORMER;
}

/* Is it one that works for httpd, by its name, and not an earlier one's successor? */
static int is_backend(const witness_t *w, const og_kmsg_kill_t *k, uint64_t usec)
{
    const og_backend_t *b = og_backends_find(og_ledger_backends(w->ledger), k->pid);
    uint64_t asleep = parent_boot() - parent_now();

    return b != NULL && b->kind == OG_BACKEND_NAMED && b->start_usec <= usec + asleep &&
           strncmp(b->comm, k->comm, sizeof b->comm - 1) == 0;
}

static og_role_t role_of(const witness_t *w, const og_kmsg_kill_t *k, uint64_t usec,
                         uint64_t slack, og_worker_t *worker, og_report_t *r)
{
    og_process_t forked;
    og_procs_stat_t st;

    if (!w->live && k->usec < w->task.began_usec)
        return former(w, k, r);
    if (k->pid == w->task.master) {
        if (og_ledger_worker(w->ledger, k->pid, k->invoked_pid, usec, slack, worker))
            r->worker = worker; /* httpd -X: one process is both */
        return OG_ROLE_MASTER;
    }
    /* It died before this one was there: later, somebody else has its pid. */
    if (k->pid == w->task.predecessor && !w->live)
        return OG_ROLE_WATCHER;
    if (og_ledger_worker(w->ledger, k->pid, k->invoked_pid, usec, slack, worker)) {
        r->worker = worker;
        return OG_ROLE_WORKER;
    }
    if (og_forked_find(og_ledger_forked(w->ledger), k->pid, &forked) &&
        is_still(w, &forked, k, usec, r)) {
        r->ppid = forked.ppid;
        return OG_ROLE_HELPER;
    }
    /* Not forked by what has our handler: a CGI script's own child, say. It is dying, and
     * may still be seen. */
    if (og_procs_descends("/proc", k->pid, w->task.master)) {
        if (og_procs_stat("/proc", k->pid, &st) == 0)
            r->ppid = st.ppid;
        r->sure = "known by its parents";
        return OG_ROLE_HELPER;
    }
    if (is_backend(w, k, usec))
        return OG_ROLE_BACKEND;
    if (k->task_memcg[0] == '\0' || strcmp(k->task_memcg, w->cgroup.path) != 0)
        return OG_ROLE_STRANGER;
    /* Gone before it could be seen. In the root cgroup everybody is, so that tells nothing. */
    if (k->uid == (int64_t)geteuid() && strcmp(w->cgroup.path, "/") != 0) {
        r->sure = "likely of this httpd: it ran as httpd's user in httpd's memory cgroup";
        return OG_ROLE_HELPER;
    }
    return OG_ROLE_NEIGHBOUR;
}

/* As of the last look: at a kill there is no time for it. */
static og_suspects_t suspects;

void report_suspects(const witness_t *w)
{
    og_suspects_find(&suspects, og_ledger_windows(w->ledger), og_ledger_routes(w->ledger));
}

static const og_route_t *copy_route(const witness_t *w, uint64_t hash, og_route_t *copy)
{
    og_routes_t *routes = og_ledger_routes(w->ledger);
    const og_route_t *route = hash != 0 ? og_routes_find(routes, hash) : NULL;

    return route != NULL && og_routes_copy(routes, (unsigned)(route - routes->routes), copy) &&
                   copy->hash == hash
               ? copy
               : NULL;
}

/* What is known of the route of the request that is named, to which the kill is added if it is
 * told for the first time; and of the one that is most suspect, if that is another: a worker that
 * is full is killed in whatever request asks for more. */
static void recall(const witness_t *w, const og_request_t *q, int again, og_past_t *past)
{
    static og_route_t copy, other;
    og_route_t *route = q != NULL && q->route != 0
                            ? og_routes_find(og_ledger_routes(w->ledger), q->route)
                            : NULL;

    past->page_bytes = (unsigned)sysconf(_SC_PAGESIZE);
    if (route != NULL && !again)
        og_routes_killed(route);
    if (route != NULL && (past->route = copy_route(w, q->route, &copy)) != NULL)
        past->suspect = og_suspects_of(&suspects, copy.hash);
    if (suspects.n > 0 && og_suspects_judge(&suspects.of[0]) >= OG_SUSPICION_FAIR &&
        (q == NULL || suspects.of[0].hash != q->route) &&
        (past->other = copy_route(w, suspects.of[0].hash, &other)) != NULL)
        past->other_suspect = &suspects.of[0];
}

static const og_request_t *blame(const og_worker_t *worker, const og_kmsg_kill_t *k)
{
    og_blame_t why;

    return og_blame(worker, k, &why);
}

/* The requests that a process may have worked for: those of its parent, if that is a worker
 * (mod_cgi), else all that have such processes work for them. */
typedef struct {
    og_routes_t *routes;
    int64_t ppid;
    og_request_t best;
    int n;
    bool of_parent;
    bool last; /* the one that ended last is meant */
} served_t;

/* More than 0 if a is rather the one than b: by its route, else because it is older. */
static int is_rather(const served_t *s, const og_request_t *a, const og_request_t *b)
{
    const og_route_t *x = og_routes_find(s->routes, a->route);
    const og_route_t *y = og_routes_find(s->routes, b->route);
    int n;

    if (s->last)
        return a->ended_usec > b->ended_usec;
    n = x != NULL && y != NULL ? og_suspects_compare(&suspects, x, y) : 0;
    return n != 0 ? n : a->begun_usec < b->begun_usec;
}

static void consider(const og_request_t *q, void *ctx)
{
    served_t *s = ctx;
    bool of_parent = s->ppid > 0 && q->pid == s->ppid;

    if (s->of_parent && !of_parent)
        return;
    if (of_parent && !s->of_parent)
        s->n = 0;
    s->of_parent = of_parent;
    if (s->n++ == 0 || is_rather(s, q, &s->best) > 0)
        s->best = *q;
}

/* Those that are in flight, or have just ended; else the last one that did. */
static void find_served(const witness_t *w, og_report_t *r)
{
    static const uint64_t ended_usec[] = { JUST_ENDED_USEC, ENDED_USEC };
    static served_t s;

    /* Of the master's own children those that work for requests are known by now; others, piped
     * loggers above all, do not. */
    if (r->role == OG_ROLE_HELPER && r->ppid == w->task.master &&
        og_backends_find(og_ledger_backends(w->ledger), r->kill->pid) == NULL)
        return;
    memset(&s, 0, sizeof s);
    s.routes = og_ledger_routes(w->ledger);
    s.ppid = r->ppid;
    for (int i = 0; i < 2 && s.n == 0; i++) {
        s.last = i > 0;
        og_ledger_served(w->ledger,
                         r->role == OG_ROLE_HELPER ? OG_BACKEND_FORKED : OG_BACKEND_NAMED,
                         r->usec, r->usec > ended_usec[i] ? r->usec - ended_usec[i] : 0,
                         consider, &s);
    }
    if (s.n == 0)
        return;
    s.best.pages = OG_LEDGER_UNKNOWN; /* what its own thread took is not what this one did */
    r->served = &s.best;
    r->served_of = s.n;
    r->served_last = s.last;
    r->of_parent = s.of_parent;
}

void report_note(witness_t *w)
{
    const og_verdict_t *v = &w->seen.verdict;

    og_ledger_set_seen(w->ledger, &w->seen);
    w->note.resume_seq = w->seen.resume_seq;
    w->note.pending_seq = w->seen.pending;
    w->note.oom_kills = v->have_count && !w->counters.machine ? v->count - v->excess
                                                              : OG_STATE_UNKNOWN;
    if (w->task.state->fd >= 0)
        og_state_save(w->task.state, &w->note);
}

enum { TOLD, TELL, TELL_AGAIN };

/* What is being told is noted before and after: a watcher that dies over it leaves the next
 * one in doubt, and not at a loss. Before, nothing but that is noted: what the verdict has
 * found already is to be found again. The history, which is written last, can dispel the
 * doubt. */
static int begin(witness_t *w, uint64_t key, const char *id)
{
    char needle[OG_EVENT_ID_MAX + 16];
    int doubt = key == w->doubt;

    snprintf(needle, sizeof needle, "\"id\":\"%s\"", id);
    if (doubt) {
        w->doubt = 0;
        if (og_history_has(w->task.history, needle, OG_HISTORY_TAIL_MAX))
            return TOLD;
    }
    og_ledger_set_pending(w->ledger, key);
    w->note.pending_seq = key;
    if (w->task.state->fd >= 0)
        og_state_save(w->task.state, &w->note);
    return doubt ? TELL_AGAIN : TELL;
}

static void end(witness_t *w)
{
    w->seen.pending = 0;
    w->note.events++;
    report_note(w);
}

/* A name that the next boot does not have again. */
static void name_event(const witness_t *w, uint64_t key, char id[OG_EVENT_ID_MAX])
{
    snprintf(id, OG_EVENT_ID_MAX, "%.8s-%" APR_UINT64_T_FMT, w->note.boot_id, key);
}

static void post(witness_t *w, int level, const char *line, json_t *event)
{
    static og_entry_t entry;
    int rc;

    if (!conf_of(w->server)->journal)
        return;
    og_entry_make(&entry, level, line, event); /* httpd's levels are syslog's */
    rc = og_post_send(OG_POST_SOCKET, entry.fields, entry.count);
    if (rc != 0 && !w->unposted)
        ap_log_error(APLOG_MARK, APLOG_ERR, -rc, w->server,
                     "OG0314: the journal took no entry by " OG_POST_SOCKET "; what is missing "
                     "there stands here, and this is said once until it works again");
    w->unposted = rc != 0;
}

static void record(witness_t *w, const json_t *event)
{
    static char line[OG_EVENT_LINE_MAX];
    size_t len;
    int rc;

    if (w->task.history->fd < 0)
        return;
    len = og_event_line(event, line, sizeof line);
    rc = len > 0 ? og_history_append(w->task.history, line, len) : -E2BIG;
    if (rc != 0 && !w->complained)
        ap_log_error(APLOG_MARK, APLOG_ERR, -rc, w->server,
                     "OG0312: can't write to OOMGuardHistory (is the disk full?); what is missing "
                     "there stands here, and this is said once until it works again");
    w->complained = rc != 0;
}

static void copy_text(char *out, size_t size, const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));

    apr_cpystrn(out, text != NULL ? text : "", size);
}

/* The history is last: what it has, no watcher tells again. An entry of the journal may so be
 * there twice, and is not lost. */
static void publish(witness_t *w, int level, const char *line, json_t *event,
                    const og_request_t *named)
{
    static og_kill_t told;

    memset(&told, 0, sizeof told);
    told.usec = parent_now();
    told.pid = (int32_t)json_integer_value(json_object_get(event, "pid"));
    copy_text(told.event, sizeof told.event, event, "event");
    copy_text(told.role, sizeof told.role, event, "role");
    copy_text(told.id, sizeof told.id, event, "id");
    if (named != NULL)
        told.request = *named;
    og_ledger_tell(w->ledger, &told);
    post(w, level, line, event);
    record(w, event);
    json_decref(event);
}

void report_start(witness_t *w)
{
    char line[64];
    json_t *event = og_event_start();

    if (conf_of(w->server)->routes)
        report_suspects(w); /* and what this reads and writes */
    snprintf(line, sizeof line, "the watcher of httpd %d has begun", (int)w->task.master);
    post(w, APLOG_INFO, line, event);
    json_decref(event);
}

static og_where_t where_of(const witness_t *w, const og_kmsg_kill_t *k, og_role_t role)
{
    if (k->task_memcg[0] != '\0')
        return og_counters_count(&w->counters, &w->cgroup, k->task_memcg) ? OG_WHERE_INSIDE
                                                                          : OG_WHERE_OUTSIDE;
    return role == OG_ROLE_STRANGER || role == OG_ROLE_BACKEND ? OG_WHERE_UNKNOWN
                                                               : OG_WHERE_INSIDE;
}

/* What is told, at which level, and how it begins. */
typedef struct {
    int level;
    const char *tag;
} tone_t;

#define TAG_MAX 64

static const tone_t stranger = { APLOG_INFO, "OG0103: not of this httpd: " },
                    neighbour = { APLOG_NOTICE, "OG0102: in httpd's memory cgroup, but not of "
                                                "this httpd: " },
                    works_for_us = { APLOG_CRIT, "OG0112: " },
                    ours = { APLOG_CRIT, "OG0101: " };

/* A watcher that was there, and did not run for long, did not watch either: the dead worker is
 * where the record says, and not where a new one's would be. */
static bool is_late(const witness_t *w, const og_kmsg_kill_t *k, uint64_t now, uint64_t drift,
                    og_worker_t *worker)
{
    return now > k->usec + SLACK_USEC &&
           !og_ledger_worker(w->ledger, k->pid, k->invoked_pid, now, SLACK_USEC, worker) &&
           og_ledger_worker(w->ledger, k->pid, k->invoked_pid, k->usec, SLACK_USEC + drift,
                            worker);
}

void report_kill(witness_t *w, const og_kmsg_kill_t *k)
{
    static char line[TAG_MAX + OG_RENDER_LINE_MAX];
    static og_worker_t worker;
    const og_request_t *named = NULL;
    const tone_t *tone;
    char id[OG_EVENT_ID_MAX];
    size_t len;
    int how;
    og_report_t r = { .kill = k, .ppid = OG_KMSG_UNKNOWN };
    uint64_t now = parent_now(), drift = k->usec / DRIFT_PARTS, slack, seq;
    pid_t pid = k->pid;

    r.late = !w->live || is_late(w, k, now, drift, &worker);
    r.usec = r.late ? k->usec : now;
    slack = SLACK_USEC + (r.late ? drift : 0);
    r.missed = og_ledger_missed(w->ledger) > 0;
    r.role = role_of(w, k, r.usec, slack, &worker, &r);
    if (r.worker != NULL) {
        pid = r.worker->pid;
        if (og_verdict_was_told(&w->seen.verdict, pid, r.worker->started_usec, &seq))
            return;
    }
    name_event(w, k->seq, id);
    how = begin(w, k->seq, id);
    r.again = how == TELL_AGAIN;
    if (how != TOLD) {
        if (r.worker != NULL)
            named = blame(&worker, k);
        else if (r.role == OG_ROLE_HELPER || r.role == OG_ROLE_BACKEND) {
            find_served(w, &r);
            named = r.served;
        }
        recall(w, named, r.again, &r.past);
        tone = r.role == OG_ROLE_STRANGER    ? &stranger
               : r.role == OG_ROLE_NEIGHBOUR ? &neighbour
               : r.role == OG_ROLE_BACKEND   ? &works_for_us
                                             : &ours;
        len = (size_t)snprintf(line, TAG_MAX, "%s", tone->tag);
        og_render_line(&r, line + len, sizeof line - len);
        ap_log_error(APLOG_MARK, tone->level, 0, w->server, "%s", line);
        if (tone == &ours || tone == &works_for_us)
            publish(w, tone->level, line, og_event_kill(&r, id, apr_time_now()), named);
    }
    og_verdict_told(&w->seen.verdict, pid, where_of(w, k, r.role), k->seq, r.usec);
    if (w->seen.resume_seq <= k->seq)
        w->seen.resume_seq = k->seq + 1;
    end(w);
}

/* A number of its own for each finding; those of the log's records are far smaller, and the
 * state has room for 63 bits. One that is found again has the same. Those that name nobody
 * are counted from httpd's start on. */
static uint64_t key_of(const witness_t *w, const og_finding_t *f)
{
    uint64_t which = f->death.pid == 0
                         ? w->task.began_usec << 8 | (f->number & 0xff)
                         : ((uint64_t)(uint32_t)f->death.pid << 32 ^ f->death.started_usec) >> 8;

    return 1ULL << 62 | (uint64_t)f->kind << 56 | (which & ((1ULL << 56) - 1));
}

static const tone_t findings[] = {
    [OG_FINDING_COUNTED] = { APLOG_CRIT, "OG0104: " },
    [OG_FINDING_UNATTRIBUTED] = { APLOG_CRIT, "OG0105: " },
    [OG_FINDING_GAP] = { APLOG_WARNING, "OG0307: " },
    [OG_FINDING_KILLED] = { APLOG_WARNING, "OG0106: " },
    [OG_FINDING_SHOT] = { APLOG_WARNING, "OG0107: " },
    [OG_FINDING_CRASHED] = { APLOG_WARNING, "OG0108: " },
    [OG_FINDING_VANISHED] = { APLOG_WARNING, "OG0109: " },
};

void report_finding(witness_t *w, const og_finding_t *f)
{
    static char line[TAG_MAX + OG_RENDER_LINE_MAX];
    static og_worker_t worker;
    const og_request_t *named = NULL;
    const tone_t *tone = &findings[f->kind];
    char id[OG_EVENT_ID_MAX];
    size_t len;
    uint64_t key = key_of(w, f);
    og_case_t c = { .finding = f, .log = w->task.log != LOG_NONE, .late = !w->live,
                    .cgroup = w->counters.fd < 0 ? "" : w->cgroup.path,
                    .missed = og_ledger_missed(w->ledger) > 0 };
    int how;

    if (w->counters.fd >= 0 && w->counters.machine)
        c.cgroup = NULL;
    if (f->death.pid != 0 && og_ledger_worker(w->ledger, f->death.pid, 0, f->death.ended_usec,
                                              0, &worker))
        c.worker = &worker;
    name_event(w, key, id);
    how = begin(w, key, id);
    c.again = how == TELL_AGAIN;
    if (how != TOLD) {
        if (c.worker != NULL)
            named = blame(&worker, NULL);
        recall(w, named, c.again || f->kind != OG_FINDING_COUNTED, &c.past);
        len = (size_t)snprintf(line, TAG_MAX, "%s", tone->tag);
        og_render_case(&c, line + len, sizeof line - len);
        ap_log_error(APLOG_MARK, tone->level, 0, w->server, "%s", line);
        publish(w, tone->level, line, og_event_case(&c, id, apr_time_now()), named);
    }
    end(w);
}
