/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/event.h"
#include "oomguard/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define ARENA_BYTES (256 * 1024)
#define ALIGN_BYTES 16

static _Alignas(ALIGN_BYTES) unsigned char arena[ARENA_BYTES];
static size_t used;

static void *take(size_t n)
{
    void *p = arena + used;

    n = (n + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (n > sizeof arena - used)
        return NULL;
    used += n;
    return p;
}

static void give(void *p)
{
    (void)p;
}

void og_event_arena(void)
{
    memset(arena, 0, sizeof arena); /* now, not when there is no memory */
    json_set_alloc_funcs(take, give);
    json_object_seed(1); /* or it would open files for one, later; no key is a stranger's */
}

/* Text from outside may be no UTF-8: then what is not ASCII stands as %NN, as in the line. */
static json_t *text(const char *s)
{
    json_t *j = json_string(s);
    char out[3 * OG_KMSG_CGROUP_MAX + 1];
    size_t n = 0;

    if (j != NULL)
        return j;
    for (; *s != '\0' && n + 4 < sizeof out; s++) {
        unsigned char c = (unsigned char)*s;

        n += (size_t)snprintf(out + n, sizeof out - n, c < 0x80 ? "%c" : "%%%02x", c);
    }
    return json_string(out);
}

static json_t *text_or_null(const char *s)
{
    return *s != '\0' ? text(s) : NULL;
}

json_t *og_event_request(const og_request_t *q, uint64_t usec, unsigned page_bytes)
{
    double seconds = usec > q->begun_usec ? (double)(usec - q->begun_usec) / 1e6 : 0;
    bool told = q->method[0] != '\0';

    return json_pack("{s:o?, s:o?, s:o?, s:o?, s:o?, s:o?, s:f, s:o?}", "method",
                     text_or_null(q->method), "path", told ? text(q->path) : NULL, "vhost",
                     told ? text(q->vhost) : NULL, "client", told ? text(q->client) : NULL,
                     "handler", text_or_null(q->handler), "log_id", text_or_null(q->log_id),
                     "seconds", seconds, "taken_bytes",
                     q->pages != OG_LEDGER_UNKNOWN && page_bytes != 0
                         ? json_integer((json_int_t)(q->pages * page_bytes))
                         : NULL);
}

json_t *og_event_requests(const og_worker_t *w, uint64_t usec, unsigned page_bytes)
{
    json_t *list = json_array();

    for (int i = 0; i < og_worker_listed(w); i++)
        json_array_append_new(list, og_event_request(&w->requests[i], usec, page_bytes));
    return list;
}

json_t *og_event_route(const og_route_t *r, const og_suspect_t *s, unsigned page_bytes)
{
    static const char *const suspicions[] = { "unknown", "none", "weak", "fair", "strong" };
    char said[160];
    json_t *j;

    og_suspects_say(s, r, page_bytes, said, sizeof said);
    j = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:i, s:s, s:s}", "vhost", text(r->vhost),
                  "handler", text(r->handler), "pattern", text(r->pattern), "requests",
                  (json_int_t)r->requests, "taken_bytes", (json_int_t)(r->faults * page_bytes),
                  "most_bytes", (json_int_t)r->most * page_bytes, "kills", (int)r->kills,
                  "suspicion", suspicions[og_suspects_judge(s)], "why", said);
    if (og_suspects_judge(s) == OG_SUSPICION_UNKNOWN)
        s = NULL;
    json_object_set_new(j, "retained_bytes", s != NULL ? json_integer((json_int_t)(
                            s->pages * page_bytes * s->requests)) : json_null());
    json_object_set_new(j, "retained_each", s != NULL ? json_real(s->pages * page_bytes)
                                                      : json_null());
    json_object_set_new(j, "retained_error", s != NULL ? json_real(s->error * page_bytes)
                                                       : json_null());
    json_object_set_new(j, "retained_share", s != NULL ? json_real(s->share) : json_null());
    json_object_set_new(j, "retained_of", s != NULL ? json_integer(s->requests) : json_null());
    return j;
}

static json_t *route_or_null(const og_route_t *r, const og_suspect_t *s, unsigned page_bytes)
{
    return r != NULL ? og_event_route(r, s, page_bytes) : json_null();
}

static void add_routes(json_t *j, const og_past_t *past)
{
    json_object_set_new(j, "route", route_or_null(past->route, past->suspect, past->page_bytes));
    json_object_set_new(j, "most_suspect",
                        route_or_null(past->other, past->other_suspect, past->page_bytes));
}

static void add_worker(json_t *j, const og_worker_t *w, uint64_t usec, const og_past_t *past)
{
    json_object_set_new(j, "slot", w->slot >= 0 ? json_integer(w->slot) : json_null());
    json_object_set_new(j, "generation",
                        w->generation >= 0 ? json_integer(w->generation) : json_null());
    json_object_set_new(j, "in_flight", json_integer(w->in_flight));
    json_object_set_new(j, "requests", og_event_requests(w, usec, past->page_bytes));
    add_routes(j, past);
}

static void add_common(json_t *j, const char *event, const char *id, int64_t usec, bool late,
                       bool again)
{
    time_t sec = (time_t)(usec / 1000000);
    char when[64];
    struct tm tm;
    size_t n;

    gmtime_r(&sec, &tm);
    n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(when + n, sizeof when - n, ".%06dZ", (int)(usec % 1000000));
    json_object_set_new(j, "time", json_string(when));
    json_object_set_new(j, "event", json_string(event));
    json_object_set_new(j, "id", json_string(id));
    json_object_set_new(j, "late", json_boolean(late));
    json_object_set_new(j, "again", json_boolean(again));
}

typedef struct {
    char *buf;
    size_t size, len;
} sink_t;

static int put(const char *s, size_t n, void *data)
{
    sink_t *sink = data;

    if (n >= sink->size - sink->len)
        return -1;
    memcpy(sink->buf + sink->len, s, n);
    sink->len += n;
    return 0;
}

/* An object that lacks something for want of room is none. */
size_t og_event_line(const json_t *event, char *buf, size_t size)
{
    sink_t sink = { buf, size, 0 };
    bool whole = used < sizeof arena - ARENA_BYTES / 4 &&
                 json_dump_callback(event, put, &sink, JSON_COMPACT) == 0;

    buf[whole ? sink.len : 0] = '\0';
    return whole ? sink.len : 0;
}

json_t *og_event_kill(const og_report_t *r, const char *id, int64_t usec)
{
    static const char *const roles[] = { "stranger", "neighbour", "master", "worker", "watcher",
                                         "former", "backend", "helper" };
    json_t *j;

    used = 0;
    j = og_json_kill(r->kill);
    add_common(j, "kill", id, usec, r->late, r->again);
    json_object_set_new(j, "role", json_string(roles[r->role]));
    if (r->worker != NULL)
        add_worker(j, r->worker, r->usec, &r->past);
    else if (r->served != NULL) {
        json_object_set_new(j, "in_flight", json_integer(r->served_of));
        json_object_set_new(j, "requests", json_pack("[o]", og_event_request(r->served, r->usec,
                                                                             r->past.page_bytes)));
        add_routes(j, &r->past);
    }
    return j;
}

static json_t *number(uint64_t n)
{
    return n == OG_VERDICT_UNKNOWN ? json_null() : json_integer((json_int_t)n);
}

json_t *og_event_case(const og_case_t *c, const char *id, int64_t usec)
{
    static const char *const events[] = { "counted", "unattributed", "gap", "sigkill",
                                          "httpd-sigkill", "crash", "vanished" };
    const og_finding_t *f = c->finding;
    json_t *j;

    used = 0;
    j = json_object();
    add_common(j, events[f->kind], id, usec, c->late, c->again);
    if (f->death.pid != 0) {
        json_object_set_new(j, "role", json_string("worker"));
        json_object_set_new(j, "pid", json_integer(f->death.pid));
    }
    if (f->kind == OG_FINDING_CRASHED)
        json_object_set_new(j, "signal", json_integer(f->death.signal));
    if (f->kind == OG_FINDING_COUNTED)
        json_object_set_new(j, "vanished", json_integer(f->vanished));
    if (f->kind == OG_FINDING_GAP)
        json_object_set_new(j, "records", number(f->records));
    if (f->kind == OG_FINDING_GAP || f->kind == OG_FINDING_UNATTRIBUTED)
        json_object_set_new(j, "kills", number(f->kills));
    if (c->worker != NULL)
        add_worker(j, c->worker, f->death.ended_usec, &c->past);
    return j;
}

json_t *og_event_start(void)
{
    used = 0;
    return json_pack("{s:s}", "event", "start");
}
