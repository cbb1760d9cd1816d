/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/event.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* All of an object and nothing else; what = is made for this. */
static void is_json(json_t *what, const char *expected)
{
    json_error_t err;
    json_t *j = json_loads(expected, JSON_REJECT_DUPLICATES, &err);
    char *said = json_dumps(what, 0);

    ck_assert_msg(j != NULL, "%s: %s", err.text, expected);
    ck_assert_msg(json_equal(what, j), "%s", said);
    free(said);
    json_decref(j);
    json_decref(what);
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
    r.late = false;
    r.again = true;
    r.worker = NULL;
    j = kill_event(&r);
    ck_assert(json_is_false(json_object_get(j, "late")));
    ck_assert(json_is_true(json_object_get(j, "again")));
    ck_assert_ptr_null(json_object_get(j, "requests"));
    ck_assert_ptr_null(json_object_get(j, "route"));
    json_decref(j);
}
END_TEST

START_TEST(roles)
{
    static const char *const names[] = { "stranger", "neighbour", "master", "worker", "watcher",
                                         "former", "backend", "helper" };
    og_kmsg_kill_t k = kill_of();
    og_report_t r = { .kill = &k, .role = (og_role_t)_i };
    json_t *j = kill_event(&r);

    ck_assert_str_eq(string(j, "role"), names[_i]);
    json_decref(j);
}
END_TEST

/* A helper's request, and its route, as a worker's; but of no slot. */
START_TEST(what_a_helper_worked_for)
{
    og_kmsg_kill_t k = kill_of();
    og_worker_t w = worker_of(1);
    og_route_t asked = { .vhost = "v", .pattern = "/a" };
    og_report_t r = { .kill = &k, .role = OG_ROLE_HELPER, .served = &w.requests[0], .served_of = 3,
                      .usec = 3500000, .past = { .route = &asked, .page_bytes = 4096 } };
    json_t *j, *q;

    w.requests[0].pages = 2;
    j = kill_event(&r);
    q = json_array_get(json_object_get(j, "requests"), 0);
    ck_assert_int_eq(integer(j, "in_flight"), 3);
    ck_assert_uint_eq(json_array_size(json_object_get(j, "requests")), 1);
    ck_assert_str_eq(string(q, "path"), "/a");
    ck_assert_double_eq(json_real_value(json_object_get(q, "seconds")), 2.5);
    ck_assert_int_eq(integer(q, "taken_bytes"), 8192);
    ck_assert_str_eq(string(json_object_get(j, "route"), "pattern"), "/a");
    ck_assert(json_is_null(json_object_get(j, "most_suspect")));
    ck_assert_ptr_null(json_object_get(j, "slot"));
    json_decref(j);
}
END_TEST

/* Each key, where it is known and where it is not. */
START_TEST(a_request)
{
    og_request_t q = { .begun_usec = 1000000, .method = "GET", .path = "/a?b", .vhost = "v",
                       .client = "192.0.2.1", .handler = "h", .log_id = "Zx@", .pages = 3 };
    json_t *j;

    is_json(og_event_request(&q, 1250000, 65536),
            "{\"method\":\"GET\",\"path\":\"/a?b\",\"vhost\":\"v\",\"client\":\"192.0.2.1\","
            "\"handler\":\"h\",\"log_id\":\"Zx@\",\"seconds\":0.25,\"taken_bytes\":196608}");
    q.handler[0] = q.log_id[0] = q.vhost[0] = q.client[0] = '\0';
    q.pages = 0;
    is_json(og_event_request(&q, 999999, 4096),
            "{\"method\":\"GET\",\"path\":\"/a?b\",\"vhost\":\"\",\"client\":\"\",\"handler\":null,"
            "\"log_id\":null,\"seconds\":0.0,\"taken_bytes\":0}");
    q.method[0] = '\0';
    q.pages = OG_LEDGER_UNKNOWN;
    is_json(og_event_request(&q, 1000001, 4096),
            "{\"method\":null,\"path\":null,\"vhost\":null,\"client\":null,\"handler\":null,"
            "\"log_id\":null,\"seconds\":1e-06,\"taken_bytes\":null}");
    q.pages = 1;
    j = og_event_request(&q, 0, 0);
    ck_assert(json_is_null(json_object_get(j, "taken_bytes")));
    json_decref(j);
}
END_TEST

/* Likewise. What a route is suspected of is one of five words. */
START_TEST(a_route)
{
    og_route_t r = { .vhost = "v", .handler = "h", .pattern = "/{n}", .requests = 3, .faults = 5,
                     .most = UINT32_MAX, .kills = 2 };
    og_suspect_t s = { .pages = 0.5, .error = INFINITY, .share = 0.25, .requests = 64 };
    json_t *j;

    is_json(og_event_route(&r, NULL, 4096),
            "{\"vhost\":\"v\",\"handler\":\"h\",\"pattern\":\"/{n}\",\"requests\":3,"
            "\"taken_bytes\":20480,\"most_bytes\":17592186040320,\"kills\":2,\"suspicion\":"
            "\"unknown\",\"why\":\"takes 6.7 KiB a request over 3 requests, too few to tell what "
            "it retains\",\"retained_bytes\":null,\"retained_each\":null,\"retained_error\":null,"
            "\"retained_share\":null,\"retained_of\":null}");
    j = og_event_route(&r, &s, 4096);
    ck_assert_str_eq(string(j, "suspicion"), "unknown");
    ck_assert(json_is_null(json_object_get(j, "retained_of")));
    json_decref(j);
    s.error = 0.125;
    is_json(og_event_route(&r, &s, 4096),
            "{\"vhost\":\"v\",\"handler\":\"h\",\"pattern\":\"/{n}\",\"requests\":3,"
            "\"taken_bytes\":20480,\"most_bytes\":17592186040320,\"kills\":2,\"suspicion\":"
            "\"weak\",\"why\":\"retains 2.0 KiB a request (+-0.5 KiB) over 64 requests, 25 % of "
            "all growth\",\"retained_bytes\":131072,\"retained_each\":2048.0,\"retained_error\":"
            "512.0,\"retained_share\":0.25,\"retained_of\":64}");
    s.pages = -0.5; /* its processes shrank */
    j = og_event_route(&r, &s, 4096);
    ck_assert_str_eq(string(j, "suspicion"), "none");
    ck_assert_int_eq(integer(j, "retained_bytes"), -131072);
    json_decref(j);
    s = (og_suspect_t){ .pages = 512, .error = 150, .share = 0.75, .requests = 50 };
    j = og_event_route(&r, &s, 4096);
    ck_assert_str_eq(string(j, "suspicion"), "fair");
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

    strcpy(w.requests[0].path, "/\x80\x7f\xff\"\n\x1b");
    strcpy(w.requests[0].vhost, "caf\xc3\xa9");
    j = kill_event(&r);
    q = json_array_get(json_object_get(j, "requests"), 0);
    ck_assert_str_eq(string(q, "path"), "/%80\x7f%ff\"\n\x1b");
    ck_assert_str_eq(string(q, "vhost"), "caf\xc3\xa9");
    json_decref(j);
}
END_TEST

/* Nothing is read behind it: here there is no memory. */
START_TEST(text_at_the_end_of_memory)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    og_request_t *q = (og_request_t *)(pages + page) - 1;
    json_t *j;

    ck_assert_ptr_ne(pages, MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    strcpy(q->method, "GET");
    strcpy(q->path + sizeof q->path - 3, "/\xff");
    memset(q->path, '/', sizeof q->path - 3);
    j = og_event_request(q, 0, 0);
    ck_assert_uint_eq(strlen(string(j, "path")), sizeof q->path - 1 + 2);
    json_decref(j);
}
END_TEST

/* Each kind of finding, by all of its keys. */
#define HEAD \
    "{\"time\":\"1970-01-01T00:00:01.000002Z\",\"id\":\"x\",\"late\":false,\"again\":false,"
#define OF_WORKER "\"role\":\"worker\",\"pid\":9"

static const struct {
    og_finding_t finding;
    const char *says;
} findings[] = {
    { { .kind = OG_FINDING_COUNTED, .death = { .pid = 9 }, .vanished = 2, .kills = 7 },
      HEAD "\"event\":\"counted\",\"vanished\":2," OF_WORKER "}" },
    { { .kind = OG_FINDING_UNATTRIBUTED, .kills = 3, .records = 7 },
      HEAD "\"event\":\"unattributed\",\"kills\":3}" },
    { { .kind = OG_FINDING_UNATTRIBUTED, .kills = OG_VERDICT_UNKNOWN },
      HEAD "\"event\":\"unattributed\",\"kills\":null}" },
    { { .kind = OG_FINDING_GAP, .records = 5, .kills = 0 },
      HEAD "\"event\":\"gap\",\"records\":5,\"kills\":0}" },
    { { .kind = OG_FINDING_GAP, .records = OG_VERDICT_UNKNOWN, .kills = OG_VERDICT_UNKNOWN },
      HEAD "\"event\":\"gap\",\"records\":null,\"kills\":null}" },
    { { .kind = OG_FINDING_KILLED, .death = { .pid = 9 } },
      HEAD "\"event\":\"sigkill\"," OF_WORKER "}" },
    { { .kind = OG_FINDING_SHOT, .death = { .pid = 9 } },
      HEAD "\"event\":\"httpd-sigkill\"," OF_WORKER "}" },
    { { .kind = OG_FINDING_CRASHED, .death = { .pid = 9, .signal = 11 } },
      HEAD "\"event\":\"crash\",\"signal\":11," OF_WORKER "}" },
    { { .kind = OG_FINDING_VANISHED, .death = { .pid = 9 }, .owed = 2, .vanished = 1 },
      HEAD "\"event\":\"vanished\"," OF_WORKER "}" },
};

START_TEST(each_finding)
{
    og_case_t c = { .finding = &findings[_i].finding };

    is_json(read_again(og_event_case(&c, "x", 1000002)), findings[_i].says);
}
END_TEST

/* Its worker, and what that was in when it ended. */
START_TEST(the_worker_of_a_finding)
{
    og_finding_t f = { .kind = OG_FINDING_SHOT, .death = { .pid = 9, .ended_usec = 2000000 } };
    og_worker_t w = worker_of(1);
    og_route_t leaks = { .vhost = "v", .pattern = "/leak" };
    og_case_t c = { .finding = &f, .worker = &w, .late = true, .again = true,
                    .past = { .other = &leaks, .page_bytes = 4096 } };
    json_t *j, *q;

    w.slot = w.generation = 0;
    w.requests[0].pages = 1;
    j = read_again(og_event_case(&c, "x", 0));
    q = json_array_get(json_object_get(j, "requests"), 0);
    ck_assert(json_is_true(json_object_get(j, "late")));
    ck_assert(json_is_true(json_object_get(j, "again")));
    ck_assert(json_is_integer(json_object_get(j, "slot")));
    ck_assert_int_eq(integer(j, "slot"), 0);
    ck_assert(json_is_integer(json_object_get(j, "generation")));
    ck_assert_int_eq(integer(j, "generation"), 0);
    ck_assert_int_eq(integer(j, "in_flight"), 1);
    ck_assert_double_eq(json_real_value(json_object_get(q, "seconds")), 1);
    ck_assert_int_eq(integer(q, "taken_bytes"), 4096);
    ck_assert(json_is_null(json_object_get(j, "route")));
    ck_assert_str_eq(string(json_object_get(j, "most_suspect"), "pattern"), "/leak");
    json_decref(j);
    w.slot = w.generation = -1;
    j = read_again(og_event_case(&c, "x", 0));
    ck_assert(json_is_null(json_object_get(j, "slot")));
    ck_assert(json_is_null(json_object_get(j, "generation")));
    json_decref(j);
}
END_TEST

START_TEST(a_start)
{
    is_json(og_event_start(), "{\"event\":\"start\"}");
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

/* Whatever comes next has all of the arena, again and again. */
START_TEST(each_event_has_the_arena)
{
    og_finding_t f = { .kind = OG_FINDING_SHOT, .death = { .pid = 9 } };
    og_case_t c = { .finding = &f };

    og_event_arena();
    for (int i = 0; i < 2000; i++) {
        ck_assert_uint_gt(og_event_line(og_event_start(), line, sizeof line), 0);
        ck_assert_str_eq(line, "{\"event\":\"start\"}");
    }
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_gt(og_event_line(og_event_case(&c, "x", 0), line, sizeof line), 0);
        json_decref(parse(strlen(line)));
        og_event_arena(); /* parsing takes of it, too */
    }
}
END_TEST

/* It is handed out piece by piece, aligned, to its last byte and no further. What may lack
 * something is not written. */
START_TEST(the_arena_ends)
{
    enum { ARENA = 256 * 1024, LIMIT = ARENA / 4 * 3 };
    json_malloc_t take;
    json_free_t give;
    json_t *event;
    char *p, *end = NULL;

    og_event_arena();
    json_get_alloc_funcs(&take, &give);
    og_event_start();
    p = take(1);
    ck_assert_uint_eq((uintptr_t)p % 16, 0);
    ck_assert_ptr_eq(take(16), p + 16);
    ck_assert_ptr_eq(take(17), p + 32);
    give(p + 32);
    ck_assert_ptr_eq(take(16), p + 64); /* what is given back is not to be had again */
    while ((p = take(16)) != NULL)
        end = p + 16;
    og_event_start();
    p = take(16);
    ck_assert_ptr_null(take((size_t)(end - p) - 15));
    ck_assert_ptr_eq(take((size_t)(end - p) - 16), p + 16);
    ck_assert_ptr_null(take(1));
    event = og_event_start();
    while (take(16) != end - ARENA + LIMIT - 32)
        ;
    ck_assert_uint_gt(og_event_line(event, line, sizeof line), 0);
    event = og_event_start();
    while (take(16) != end - ARENA + LIMIT - 16)
        ;
    ck_assert_uint_eq(og_event_line(event, line, sizeof line), 0);
    ck_assert_str_eq(line, "");
}
END_TEST

static int opened;

/* What stands in for libc's: nobody is to need it. */
int open(const char *path, int flags, ...)
{
    (void)path, (void)flags;
    opened++;
    errno = ENOENT;
    return -1;
}

/* Near an OOM kill there is no memory, and no file is opened. */
START_TEST(the_arena_is_there_before)
{
    json_malloc_t take;
    json_free_t give;
    struct rusage before, after;

    og_event_arena();
    json_get_alloc_funcs(&take, &give);
    ck_assert_uint_gt(og_event_line(og_event_start(), line, sizeof line), 0);
    ck_assert_int_eq(opened, 0);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
    memset(take(128 * 1024), 1, 128 * 1024);
    ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
    ck_assert_int_lt(after.ru_minflt - before.ru_minflt, 16);
}
END_TEST

/* To the last byte of the buffer, with its NUL. */
START_TEST(a_line_that_just_fits)
{
    static const char expected[] = "{\"event\":\"start\"}";
    char buf[sizeof expected];
    json_t *event = og_event_start();

    ck_assert_uint_eq(og_event_line(event, buf, sizeof buf), sizeof expected - 1);
    ck_assert_str_eq(buf, expected);
    ck_assert_uint_eq(og_event_line(event, buf, sizeof buf - 1), 0);
    ck_assert_str_eq(buf, "");
    json_decref(event);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("event");

    tcase_add_test(tc, a_kill);
    tcase_add_test(tc, what_is_not_to_be_told);
    tcase_add_test(tc, routes);
    tcase_add_test(tc, text_from_outside);
    tcase_add_loop_test(tc, roles, OG_ROLE_STRANGER, OG_ROLE_HELPER + 1);
    tcase_add_test(tc, what_a_helper_worked_for);
    tcase_add_test(tc, a_request);
    tcase_add_test(tc, a_route);
    tcase_add_test(tc, text_at_the_end_of_memory);
    tcase_add_loop_test(tc, each_finding, 0, (int)(sizeof findings / sizeof *findings));
    tcase_add_test(tc, the_worker_of_a_finding);
    tcase_add_test(tc, a_start);
    tcase_add_test(tc, the_longest_from_the_arena);
    tcase_add_test(tc, each_event_has_the_arena);
    tcase_add_test(tc, the_arena_ends);
    tcase_add_test(tc, the_arena_is_there_before);
    tcase_add_test(tc, a_line_that_just_fits);
    return unit_run("event", &tc, 1);
}
