/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* SetHandler oomguard-status: what the suite knows, for programs. */
#include "oomguard/account.h"
#include "oomguard/event.h"
#include "oomguard/guard.h"
#include "lib/file.h"

#include "apr_strings.h"
#include "http_protocol.h"

#include <stdlib.h>
#include <unistd.h>

static json_t *anonymous_of(const og_worker_t *w, unsigned page)
{
    char path[64], text[128];
    int64_t pages;

    apr_snprintf(path, sizeof path, "/proc/%d/statm", w->pid);
    if (og_file_read(path, text, sizeof text) < 0 || (pages = og_account_parse(text)) < 0)
        return NULL;
    return json_integer(pages * page);
}

static json_t *workers(const og_ledger_t *l, uint64_t now, unsigned page)
{
    json_t *list = json_array();
    og_worker_t w;

    for (unsigned i = 0; i < og_ledger_slots(l); i++) {
        if (og_ledger_nth(l, i, &w))
            json_array_append_new(list, json_pack(
                "{s:i, s:i, s:i, s:f, s:o?, s:i, s:o}", "slot", w.slot, "pid", w.pid,
                "generation", w.generation, "seconds",
                now > w.started_usec ? (double)(now - w.started_usec) / 1e6 : 0.0, "anon_bytes",
                anonymous_of(&w, page), "in_flight", w.in_flight, "requests",
                og_event_requests(&w, now, page)));
    }
    return list;
}

/* In flight are those whose cells say so: no count could be right about a worker that died. */
typedef struct {
    const og_route_t *routes;
    int n, *in_flight;
} tally_t;

static uint64_t tally(const og_request_t *q, void *ctx)
{
    tally_t *t = ctx;

    for (int i = 0; i < t->n; i++)
        t->in_flight[i] += t->routes[i].hash == q->route;
    return OG_LEDGER_UNKNOWN;
}

static int most_suspect_first(const void *a, const void *b, void *suspects)
{
    return -og_suspects_compare(suspects, a, b);
}

static json_t *routes(request_rec *r, og_ledger_t *l, unsigned page)
{
    og_routes_t *table = og_ledger_routes(l);
    og_route_t *found = apr_palloc(r->pool, OG_ROUTES * sizeof *found);
    og_suspects_t *suspects = apr_palloc(r->pool, sizeof *suspects);
    json_t *list = json_array();
    tally_t t = { found, 0, NULL };

    og_suspects_find(suspects, og_ledger_windows(l), table);
    for (unsigned i = 0; i < OG_ROUTES; i++)
        t.n += og_routes_copy(table, i, &found[t.n]);
    qsort_r(found, (size_t)t.n, sizeof *found, most_suspect_first, suspects);
    t.in_flight = apr_pcalloc(r->pool, sizeof *t.in_flight * (apr_size_t)t.n);
    og_ledger_look(l, tally, &t);
    for (int i = 0; i < t.n; i++) {
        json_t *route = og_event_route(&found[i], og_suspects_of(suspects, found[i].hash), page);

        json_object_set_new(route, "in_flight", json_integer(t.in_flight[i]));
        json_array_append_new(list, route);
    }
    return list;
}

static json_t *kills(const og_ledger_t *l, uint64_t now, unsigned page)
{
    json_t *list = json_array();
    og_kill_t k;

    for (unsigned i = 0; og_ledger_told(l, i, &k); i++) {
        json_t *request = k.request.id != 0 ? og_event_request(&k.request, k.usec, page) : NULL;

        json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:s, s:f, s:o?}", "id", k.id,
                                              "event", k.event, "pid", k.pid, "role", k.role,
                                              "seconds_ago",
                                              now > k.usec ? (double)(now - k.usec) / 1e6 : 0.0, "request",
                                              request));
    }
    return list;
}

static int write_out(const char *data, size_t len, void *r)
{
    return ap_rwrite(data, (int)len, r) < 0 ? -1 : 0;
}

int status_answer(request_rec *r)
{
    og_ledger_t *l = parent_retained()->ledger;
    unsigned page = (unsigned)sysconf(_SC_PAGESIZE);
    uint64_t now = parent_now();
    const og_routes_t *table;
    json_t *all;
    int rc;

    r->allowed |= AP_METHOD_BIT << M_GET;
    if (r->method_number != M_GET)
        return HTTP_METHOD_NOT_ALLOWED;
    if (r->args != NULL && strcmp(r->args, "format=json") != 0) {
        r->status = HTTP_BAD_REQUEST;
        ap_set_content_type(r, "text/plain; charset=utf-8");
        ap_rputs("Write ?format=json, or nothing behind the path: there is no other format.\n", r);
        return OK;
    }
    if (l == NULL || !parent_is_ready()) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "OG0403: there is no status: OOMGuard is off");
        return HTTP_SERVICE_UNAVAILABLE;
    }
    table = og_ledger_routes(l);
    all = json_pack("{s:o, s:o, s:o, s:I, s:I}", "workers", workers(l, now, page), "kills",
                    kills(l, now, page), "routes", routes(r, l, page), "routes_evicted",
                    (json_int_t)table->evicted, "requests_missed",
                    (json_int_t)og_ledger_missed(l));
    ap_set_content_type(r, "application/json");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    rc = json_dump_callback(all, write_out, r, JSON_COMPACT);
    json_decref(all);
    if (rc == 0)
        ap_rputs("\n", r);
    return OK; /* a client that is gone is no error of ours */
}
