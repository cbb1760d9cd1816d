/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/render.h"
#include "unit.h"

#include <string.h>

static og_kmsg_kill_t kill_of(pid_t pid)
{
    og_kmsg_kill_t k = { .killer = OG_KILLER_MEMCG, .pid = pid, .comm = "httpd", .uid = 33,
                         .total_vm_kib = 200000, .anon_rss_kib = 121037, .file_rss_kib = 2048,
                         .shmem_rss_kib = 0, .pgtables_kib = 300, .oom_score_adj = 200,
                         .usage_kib = 131072, .limit_kib = 131072, .oom_memcg = "/demo",
                         .task_memcg = "/demo", .invoked_by = "httpd" };

    return k;
}

static og_worker_t worker_of(pid_t pid, int in_flight)
{
    og_worker_t w = { .pid = pid, .slot = 3, .generation = 2, .in_flight = in_flight };

    for (int i = 0; i < OG_LEDGER_DEAD_REQUESTS && i < in_flight; i++) {
        w.requests[i] = (og_request_t){ .id = 9, .begun_usec = 1000000, .pid = pid,
                                        .tid = pid + 1 + i, .method = "GET",
                                        .client = "127.0.0.1", .vhost = "a.example",
                                        .path = "/oom" };
    }
    return w;
}

static char line[OG_RENDER_LINE_MAX];

static void render(const og_report_t *r)
{
    size_t len = og_render_line(r, line, sizeof line);

    ck_assert_uint_eq(len, strlen(line));
}

START_TEST(says_all_of_a_worker)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 2234000 };

    render(&r);
    ck_assert_str_eq(line,
                     "the kernel killed worker 4242 \"httpd\", slot 3, generation 2: memory "
                     "cgroup \"/demo\" is at its limit of 128.0 MiB when \"httpd\" asked for "
                     "more; it had "
                     "anon 118.2 MiB, file 2.0 MiB, shmem 0.0 MiB, oom_score_adj 200, uid 33; "
                     "request \"GET\" \"/oom\" vhost \"a.example\" client \"127.0.0.1\" for "
                     "1.234 s (certain: the only one in flight)");
}
END_TEST

/* And of a route that leaks, be it the request's own, another one's, or nobody's who is known. */
START_TEST(says_who_is_suspected)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_route_t asked = { .vhost = "a.example", .handler = "h", .pattern = "/{n}", .requests = 2,
                         .faults = 512, .kills = 1 };
    og_route_t leaks = { .vhost = "v", .handler = "\n", .pattern = "/leak", .requests = 50 };
    og_suspect_t suspect = { .pages = 512, .error = 25.6, .share = 0.97, .requests = 4211 };
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 2234000,
                      .past = { .route = &asked, .other = &leaks, .other_suspect = &suspect,
                                .page_bytes = 4096 } };

    w.requests[0].pages = 25600;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, " for 1.234 s, which took 100.0 MiB (certain: "));
    ck_assert_ptr_nonnull(strstr(line, "; its route \"a.example\" \"h\" \"/{n}\" takes 1.0 MiB a "
                                       "request over 2 requests, too few to tell what it retains, "
                                       "1 kill; most suspect is \"v\" \"%0a\" \"/leak\" retains "
                                       "2.0 MiB a request (+-102.4 KiB) over 4211 requests, 97 % "
                                       "of all growth, 0 kills"));
    w = worker_of(4242, 0);
    r.past.route = NULL;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "; no request in flight is known; most suspect is \"v\" "));
}
END_TEST

/* A helper's request is one of its parent's, or one that such helpers are there for. */
START_TEST(says_what_a_helper_worked_for)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4000, 1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_HELPER, .ppid = 4000, .usec = 2234000,
                      .served = &w.requests[0], .served_of = 1, .of_parent = true };

    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "killed helper 4242 \"httpd\", child of 4000: "));
    ck_assert_ptr_nonnull(strstr(line, "\"GET\" \"/oom\" "));
    ck_assert_ptr_nonnull(strstr(line, "(certain: its parent was in no other)"));
    r.of_parent = false;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "(likely: such a process works for no other)"));
    r.served_of = 3;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "(a guess: of 3 that such a process works for, the one of "
                                       "the most suspect route)"));
}
END_TEST

START_TEST(admits_what_it_guesses)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 7);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 2234000 };

    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "(a guess: the longest, of 7 in flight)"));
    k.pid = 4244; /* the thread of the second */
    strcpy(w.requests[1].path, "/second");
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "\"/second\""));
    ck_assert_ptr_nonnull(strstr(line, "(likely: the killed thread's, of 7 in flight)"));
    ck_assert_ptr_nonnull(strstr(line, "worker 4244"));
    ck_assert_ptr_nonnull(strstr(line, "a thread of pid 4242"));
    k.pid = 4242;
    k.invoked_pid = 4245; /* the thread of the third */
    strcpy(w.requests[2].path, "/third");
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "\"/third\" vhost"));
    ck_assert_ptr_nonnull(strstr(line, "(likely: its thread asked for the memory that was "
                                       "not there, of 7 in flight)"));
    w = worker_of(4242, 0);
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "no request in flight is known"));
}
END_TEST

/* A line of an old kernel that told nothing but the pid. */
START_TEST(is_not_certain_without_having_seen_all)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .missed = true };

    render(&r);
    ck_assert_ptr_null(strstr(line, "certain"));
    ck_assert_ptr_nonnull(strstr(line, "(likely: the only one known; "));
    memset(w.requests, 0, sizeof w.requests);
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "; request of a host with OOMGuard Off for "));
}
END_TEST

START_TEST(admits_what_it_does_not_know)
{
    og_kmsg_kill_t k = { .pid = 5, .comm = "x", .uid = OG_KMSG_UNKNOWN,
                         .total_vm_kib = OG_KMSG_UNKNOWN, .anon_rss_kib = OG_KMSG_UNKNOWN,
                         .file_rss_kib = OG_KMSG_UNKNOWN, .shmem_rss_kib = OG_KMSG_UNKNOWN,
                         .pgtables_kib = OG_KMSG_UNKNOWN, .oom_score_adj = OG_KMSG_UNKNOWN,
                         .usage_kib = OG_KMSG_UNKNOWN, .limit_kib = OG_KMSG_UNKNOWN };
    og_report_t r = { .kill = &k, .role = OG_ROLE_HELPER, .ppid = OG_KMSG_UNKNOWN,
                      .late = true };

    render(&r);
    ck_assert_str_eq(line, "the kernel killed helper 5 \"x\": out of memory (where, the log did "
                           "not say); it had anon unknown, file unknown, shmem unknown; read "
                           "late, while nobody watched");
}
END_TEST

START_TEST(names_every_killer)
{
    static const char *const says[] = { "where, the log did not say",
                                        "the machine is out of memory",
                                        "\"/demo\" is at its limit", "its cpuset", "its policy" };
    og_kmsg_kill_t k = kill_of(1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_MASTER };

    k.killer = (og_killer_t)_i;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, says[_i]));
    ck_assert_ptr_nonnull(strstr(line, "the kernel killed master 1 "));
}
END_TEST

/* A score of -1 is a score. */
START_TEST(tells_minus_one_from_unknown)
{
    og_kmsg_kill_t k = kill_of(1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_STRANGER };

    k.oom_score_adj = -1;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "oom_score_adj -1,"));
}
END_TEST

/* Nothing from outside ends a field, a line or a terminal's patience. */
START_TEST(escapes)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 1000000 };

    strcpy(w.requests[0].path, "/\" vhost \"forged\n[crit] \x1b[2J\\\x7f\xc3\xa4");
    strcpy(k.comm, "a\\x0ab\"c");
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "\"/%22 vhost %22forged%0a[crit] "
                                       "%1b[2J%5c%7f%c3%a4\""));
    ck_assert_ptr_nonnull(strstr(line, "\"a%0ab%22c\""));
    for (const char *p = line; *p != '\0'; p++)
        ck_assert(*p >= 0x20 && *p < 0x7f && *p != '\\'); /* which httpd would double */
}
END_TEST

/* The longest there can be fits; a smaller buffer cuts and does not overrun. */
START_TEST(fits)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 1000000,
                      .late = true, .past = { .page_bytes = 4096 } };
    og_route_t route = { .hash = 1 };
    og_suspect_t suspect = { .pages = 1e12, .error = 1e9, .share = 1, .requests = UINT32_MAX };

    memset(route.vhost, 1, sizeof route.vhost - 1);
    memset(route.handler, 1, sizeof route.handler - 1);
    memset(route.pattern, 1, sizeof route.pattern - 1);
    r.past.route = r.past.other = &route;
    r.past.suspect = r.past.other_suspect = &suspect;
    memset(k.oom_memcg, 1, sizeof k.oom_memcg - 1);
    memset(k.comm, '"', sizeof k.comm - 1);
    memset(k.invoked_by, '"', sizeof k.invoked_by - 1);
    memset(w.requests[0].path, 1, sizeof w.requests[0].path - 1); /* as if cut */
    memset(w.requests[0].vhost, 1, sizeof w.requests[0].vhost - 1);
    memset(w.requests[0].method, 1, sizeof w.requests[0].method - 1);
    memset(w.requests[0].client, 1, sizeof w.requests[0].client - 1);
    memset(w.requests[0].log_id, 1, sizeof w.requests[0].log_id - 1);
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "while nobody watched"));
    ck_assert_ptr_nonnull(strstr(line, "\"... vhost"));
    for (size_t size = 1; size < 600; size++) {
        char *small = malloc(size);

        ck_assert_uint_lt(og_render_line(&r, small, size), size);
        free(small);
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("render");

    tcase_add_test(tc, says_all_of_a_worker);
    tcase_add_test(tc, says_who_is_suspected);
    tcase_add_test(tc, says_what_a_helper_worked_for);
    tcase_add_test(tc, admits_what_it_guesses);
    tcase_add_test(tc, is_not_certain_without_having_seen_all);
    tcase_add_test(tc, admits_what_it_does_not_know);
    tcase_add_loop_test(tc, names_every_killer, OG_KILLER_UNKNOWN, OG_KILLER_MEMPOLICY + 1);
    tcase_add_test(tc, tells_minus_one_from_unknown);
    tcase_add_test(tc, escapes);
    tcase_add_test(tc, fits);
    return unit_run("render", &tc, 1);
}
