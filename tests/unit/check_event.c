/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/event.h"
#include "unit.h"

#include <jansson.h>
#include <string.h>

static char line[OG_EVENT_LINE_MAX];

static og_worker_t worker_of(int in_flight)
{
    og_worker_t w = { .pid = 7, .slot = 3, .generation = 2, .in_flight = in_flight };

    for (int i = 0; i < OG_LEDGER_DEAD_REQUESTS; i++)
        w.requests[i] = (og_request_t){ .begun_usec = 1000000, .method = "GET", .path = "/a",
                                        .vhost = "v", .client = "192.0.2.1" };
    return w;
}

static og_kmsg_kill_t kill_of(void)
{
    og_kmsg_kill_t k = { .killer = OG_KILLER_MEMCG, .pid = 7, .comm = "httpd", .uid = 48,
                         .anon_rss_kib = 100, .total_vm_kib = OG_KMSG_UNKNOWN,
                         .task_memcg = "/a", .oom_memcg = "/a" };

    return k;
}

/* What was written, read again. One line, and nothing behind the object. */
static json_t *parse(size_t len)
{
    json_error_t err;
    json_t *j;

    ck_assert_uint_gt(len, 0);
    ck_assert_uint_eq(len, strlen(line));
    ck_assert(strchr(line, '\n') == NULL);
    j = json_loads(line, JSON_REJECT_DUPLICATES, &err);
    ck_assert_msg(j != NULL, "%s: %s", err.text, line);
    return j;
}

static const char *string(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static json_int_t integer(const json_t *j, const char *key)
{
    return json_integer_value(json_object_get(j, key));
}

/* An event as its line has it. */
static json_t *read_again(json_t *event)
{
    size_t len = og_event_line(event, line, sizeof line);

    json_decref(event);
    return parse(len);
}

static json_t *kill_event(const og_report_t *r)
{
    return read_again(og_event_kill(r, "cafe-12", 1700000000000042));
}

START_TEST(a_kill)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(6);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 3500000,
                      .late = true };
    json_t *j = kill_event(&r), *q = json_array_get(json_object_get(j, "requests"), 0);

    ck_assert_str_eq(string(j, "event"), "kill");
    ck_assert_str_eq(string(j, "time"), "2023-11-14T22:13:20.000042Z");
    ck_assert_str_eq(string(j, "id"), "cafe-12");
    ck_assert_str_eq(string(j, "role"), "worker");
    ck_assert_str_eq(string(j, "killer"), "memcg");
    ck_assert(json_is_true(json_object_get(j, "late")));
    ck_assert(json_is_false(json_object_get(j, "again")));
    ck_assert(json_is_null(json_object_get(j, "total_vm_kib")));
    ck_assert_int_eq(integer(j, "anon_rss_kib"), 100);
    ck_assert_int_eq(integer(j, "slot"), 3);
    ck_assert_int_eq(integer(j, "in_flight"), 6);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "requests")), 4);
    ck_assert_str_eq(string(q, "path"), "/a");
    ck_assert(json_real_value(json_object_get(q, "seconds")) == 2.5);
    json_decref(j);
}
END_TEST

START_TEST(routes)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(1);
    og_route_t asked = { .vhost = "v", .pattern = "/a", .requests = 2, .faults = 512 };
    og_route_t leaks = { .vhost = "v", .handler = "h", .pattern = "/leak", .requests = 50 };
    og_suspect_t suspect = { .pages = 512, .error = 25.5, .share = 0.75, .requests = 50 };
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .past = {
        .route = &asked, .other = &leaks, .other_suspect = &suspect, .page_bytes = 4096 } };
    json_t *j = kill_event(&r), *route = json_object_get(j, "route");

    ck_assert_str_eq(string(route, "pattern"), "/a");
    ck_assert_int_eq(integer(route, "taken_bytes"), 512 * 4096);
    ck_assert(json_is_null(json_object_get(route, "retained_each")));
    ck_assert_str_eq(string(route, "suspicion"), "unknown");
    route = json_object_get(j, "most_suspect");
    ck_assert_str_eq(string(route, "handler"), "h");
    ck_assert_str_eq(string(route, "suspicion"), "strong");
    ck_assert_int_eq(integer(route, "retained_bytes"), 50 * 512 * 4096);
    ck_assert_double_eq(json_real_value(json_object_get(route, "retained_share")), 0.75);
    json_decref(j);
    r.past.other = NULL;
    j = kill_event(&r);
    ck_assert(json_is_null(json_object_get(j, "most_suspect")));
    json_decref(j);
}
END_TEST

START_TEST(what_is_not_to_be_told)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w };
    json_t *j, *q;

    w.requests[0].method[0] = '\0';
    w.generation = -1;
    j = kill_event(&r);
    q = json_array_get(json_object_get(j, "requests"), 0);
    ck_assert(json_is_null(json_object_get(q, "path")));
    ck_assert(json_is_null(json_object_get(q, "client")));
    ck_assert(json_is_null(json_object_get(j, "generation")));
    json_decref(j);
}
END_TEST

/* Bytes that are no UTF-8, quotes, control bytes: still one line that can be parsed. */
START_TEST(text_from_outside)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w };
    json_t *j, *q;

    strcpy(w.requests[0].path, "/\xff\"\n\x1b");
    strcpy(w.requests[0].vhost, "caf\xc3\xa9");
    j = kill_event(&r);
    q = json_array_get(json_object_get(j, "requests"), 0);
    ck_assert_str_eq(string(q, "path"), "/%ff\"\n\x1b");
    ck_assert_str_eq(string(q, "vhost"), "caf\xc3\xa9");
    json_decref(j);
}
END_TEST

START_TEST(findings)
{
    og_finding_t f = { .kind = OG_FINDING_COUNTED, .vanished = 2,
                       .death = { .pid = 9, .signal = 11, .ended_usec = 2000000 } };
    og_case_t c = { .finding = &f };
    json_t *j;

    j = read_again(og_event_case(&c, "x", 0));
    ck_assert_str_eq(string(j, "event"), "counted");
    ck_assert_int_eq(integer(j, "pid"), 9);
    ck_assert_int_eq(integer(j, "vanished"), 2);
    ck_assert(json_object_get(j, "slot") == NULL);
    json_decref(j);
    f.kind = OG_FINDING_CRASHED;
    j = read_again(og_event_case(&c, "x", 0));
    ck_assert_int_eq(integer(j, "signal"), 11);
    json_decref(j);
    f = (og_finding_t){ .kind = OG_FINDING_GAP, .records = 5, .kills = OG_VERDICT_UNKNOWN };
    j = read_again(og_event_case(&c, "x", 0));
    ck_assert_int_eq(integer(j, "records"), 5);
    ck_assert(json_is_null(json_object_get(j, "kills")));
    ck_assert(json_object_get(j, "pid") == NULL);
    json_decref(j);
}
END_TEST

/* All memory comes from the arena, again and again; and the longest event has room. */
START_TEST(the_longest_from_the_arena)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(OG_LEDGER_DEAD_REQUESTS);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w };
    og_route_t route = { .hash = 1 };
    char tiny[100];

    memset(route.vhost, 1, sizeof route.vhost - 1);
    memset(route.handler, 1, sizeof route.handler - 1);
    memset(route.pattern, 1, sizeof route.pattern - 1);
    r.past = (og_past_t){ .route = &route, .other = &route, .page_bytes = 4096 };
    memset(k.task_memcg, 1, sizeof k.task_memcg - 1);
    memset(k.oom_memcg, 1, sizeof k.oom_memcg - 1);
    for (int i = 0; i < OG_LEDGER_DEAD_REQUESTS; i++) {
        memset(w.requests[i].path, 0xff, sizeof w.requests[i].path - 1);
        memset(w.requests[i].vhost, 0xff, sizeof w.requests[i].vhost - 1);
        memset(w.requests[i].handler, 1, sizeof w.requests[i].handler - 1);
        memset(w.requests[i].log_id, 1, sizeof w.requests[i].log_id - 1);
    }
    og_event_arena();
    for (int i = 0; i < 1000; i++) {
        json_t *event = og_event_kill(&r, "x", 0);
        size_t len = og_event_line(event, line, sizeof line);

        ck_assert_uint_gt(len, 4 * 1000);
        ck_assert_uint_eq(len, strlen(line));
        ck_assert_uint_eq(og_event_line(event, tiny, sizeof tiny), 0);
        ck_assert_str_eq(tiny, "");
        json_decref(event);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("event");

    tcase_add_test(tc, a_kill);
    tcase_add_test(tc, what_is_not_to_be_told);
    tcase_add_test(tc, routes);
    tcase_add_test(tc, text_from_outside);
    tcase_add_test(tc, findings);
    tcase_add_test(tc, the_longest_from_the_arena);
    return unit_run("event", &tc, 1);
}
