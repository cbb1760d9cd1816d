/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/render.h"
#include "unit.h"

#include <stdio.h>
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

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
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

/* What is not seen to retain anything is not said to, be the estimate below zero: its process
 * shrank. */
START_TEST(says_nothing_of_a_route_that_gives_back)
{
    og_kmsg_kill_t k = kill_of(4242);
    og_worker_t w = worker_of(4242, 1);
    og_route_t asked = { .vhost = "v", .handler = "h", .pattern = "/a", .requests = 1, .faults = 3,
                         .kills = 2 };
    og_suspect_t suspect = { .pages = -512, .error = 1, .share = 0.97, .requests = 4211 };
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w,
                      .past = { .route = &asked, .suspect = &suspect, .page_bytes = 4096 } };

    render(&r);
    ck_assert(ends_with(line, "; its route \"v\" \"h\" \"/a\" takes 12.0 KiB a request over 1 "
                              "request, and is not seen to retain any, 2 kills"));
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
    r.of_parent = r.served_last = true;
    r.past.route = &(og_route_t){ .pattern = "/{n}" };
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, " for 1.234 s (a guess: of 3 that its parent was in, the "
                                       "one that ended last); its route \"\" \"\" \"/{n}\" has had "
                                       "no request that ended, 0 kills"));
}
END_TEST

/* Whose child it is is said of what httpd forked, and where it is known. */
START_TEST(names_every_role)
{
    static const char *const says[] = { "process", "process", "master", "worker", "watcher",
                                        "process", "backend", "helper" };
    og_kmsg_kill_t k = kill_of(5);
    og_report_t r = { .kill = &k, .role = (og_role_t)_i, .ppid = 1 };
    char expected[64];

    snprintf(expected, sizeof expected, "the kernel killed %s 5 \"httpd\"%s: ", says[_i],
             _i == OG_ROLE_HELPER ? ", child of 1" : "");
    render(&r);
    ck_assert(strncmp(line, expected, strlen(expected)) == 0);
    r.ppid = 0;
    render(&r);
    ck_assert_ptr_null(strstr(line, "child"));
}
END_TEST

/* The first slot, and the first generation; and those that are not known. */
START_TEST(says_where_a_worker_was)
{
    og_kmsg_kill_t k = kill_of(5);
    og_worker_t w = { .pid = 5 };
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w };

    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "worker 5 \"httpd\", slot 0, generation 0: "));
    w.slot = -1;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "worker 5 \"httpd\", generation 0: "));
    w.slot = 1;
    w.generation = -1;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "worker 5 \"httpd\", slot 1: "));
    ck_assert_ptr_null(strstr(line, "thread"));
}
END_TEST

/* How long it ran, what it took, by which name the error log knows it: each as far as it is
 * known. */
START_TEST(says_what_is_known_of_a_request)
{
    og_kmsg_kill_t k = kill_of(5);
    og_worker_t w = worker_of(5, 1);
    og_request_t *q = &w.requests[0];
    og_report_t r = { .kill = &k, .role = OG_ROLE_WORKER, .worker = &w, .usec = 1000999,
                      .past = { .page_bytes = 65536 } };

    q->pages = OG_LEDGER_UNKNOWN;
    strcpy(q->log_id, "Zx@\"");
    memset(q->path, 'p', sizeof q->path - 2);
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "ppp\" vhost \"a.example\" client \"127.0.0.1\" id "
                                       "\"Zx@%22\" for 0.000 s (certain"));
    r.usec = 62001000;
    q->pages = 3;
    q->path[sizeof q->path - 2] = 'p';
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "ppp\"... vhost"));
    ck_assert_ptr_nonnull(strstr(line, " for 61.001 s, which took 0.1 MiB (certain"));
    r.usec = 999999; /* clocks differ */
    r.past.page_bytes = 0;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, " for 0.000 s (certain"));
    r.usec = 1999000;
    strcpy(q->method, "M");
    strcpy(q->log_id, "Z");
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "; request \"M\" "));
    ck_assert_ptr_nonnull(strstr(line, " id \"Z\" for 0.999 s (certain"));
}
END_TEST

START_TEST(says_why_and_how_it_is_known)
{
    og_kmsg_kill_t k = kill_of(5);
    og_report_t r = { .kill = &k, .role = OG_ROLE_HELPER, .sure = "known by its parents",
                      .again = true };

    k.group_kill = true;
    k.oom_memcg[0] = k.invoked_by[0] = '\0';
    k.limit_kib = k.uid = 0;
    k.file_rss_kib = 512;
    k.anon_rss_kib = 1023;
    k.shmem_rss_kib = 1024;
    render(&r);
    ck_assert_str_eq(line, "the kernel killed helper 5 \"httpd\": memory cgroup (the log did not "
                           "say which) is at its limit of 0.0 MiB, and memory.oom.group kills all "
                           "that is in it; it had anon 0.9 MiB, file 0.5 MiB, shmem 1.0 MiB, "
                           "oom_score_adj 200, uid 0; known by its parents; perhaps told before: "
                           "the watcher died over it");
    k.limit_kib = OG_KMSG_UNKNOWN;
    r.late = true;
    r.sure = NULL;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, " is at its limit, and memory.oom.group "));
    ck_assert(ends_with(line, ", uid 0; read late, while nobody watched; perhaps told before: the "
                              "watcher died over it"));
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
    w.pages = w.requests[1].pages = 1000;
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "(likely: it took more than the others together, of 7 in "
                                       "flight)"));
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
    static const char *const says[] = { "out of memory (where, the log did not say)",
                                        "the machine is out of memory",
                                        "memory cgroup \"/demo\" is at its limit of 128.0 MiB",
                                        "the memory nodes of its cpuset are full",
                                        "the memory nodes of its policy are full" };
    og_kmsg_kill_t k = kill_of(1);
    og_report_t r = { .kill = &k, .role = OG_ROLE_MASTER };
    char expected[128];

    k.killer = (og_killer_t)_i;
    snprintf(expected, sizeof expected, "the kernel killed master 1 \"httpd\": %s when \"httpd\" ",
             says[_i]);
    render(&r);
    ck_assert(strncmp(line, expected, strlen(expected)) == 0);
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
    ck_assert_ptr_null(strstr(line, "\"...")); /* what is not cut */
    for (const char *p = line; *p != '\0'; p++)
        ck_assert(*p >= 0x20 && *p < 0x7f && *p != '\\'); /* which httpd would double */
    /* What is printable stands as it is; the kernel's \xNN is one only in what it logged. */
    strcpy(w.requests[0].path, "/ ~\x1f\\x41");
    strcpy(k.comm, " ~\\y\\x41");
    render(&r);
    ck_assert_ptr_nonnull(strstr(line, "\"/ ~%1f%5cx41\""));
    ck_assert_ptr_nonnull(strstr(line, "\" ~%5cy%41\""));
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
    for (size_t size = 1, len = strlen(line); size < len + 3;
         size += size < 100 || size + 100 > len ? 1 : 97) {
        char *small = malloc(size);
        size_t part = size <= len ? size - 1 : len;

        ck_assert_uint_eq(og_render_line(&r, small, size), part);
        ck_assert_mem_eq(small, line, part);
        ck_assert_int_eq(small[part], '\0');
        free(small);
    }
}
END_TEST

/* --- What the witnesses find. */

static void render_case(const og_case_t *c)
{
    size_t len = og_render_case(c, line, sizeof line);

    ck_assert_uint_eq(len, strlen(line));
}

#define PID .death = { .pid = 4242 }
#define BEFORE "the kernel killed worker 4242: "

/* Each of them, by what counts and whether the log is read. */
static const struct {
    og_finding_t finding;
    const char *cgroup;
    bool log;
    const char *says;
} cases[] = {
    { { .kind = OG_FINDING_COUNTED, PID, .vanished = 1 }, "/\"", true,
      BEFORE "memory cgroup \"/%22\" counts an OOM kill more, and this worker vanished (likely: no "
             "other one did); the kernel's log does not show it" },
    { { .kind = OG_FINDING_COUNTED, PID, .vanished = 2, .gap = true }, NULL, true,
      BEFORE "this machine counts an OOM kill more, and this worker vanished (a guess: one of 2 "
             "that did); the kernel's log lost records then" },
    { { .kind = OG_FINDING_COUNTED, PID, .vanished = 1, .gap = true }, "/demo", false,
      BEFORE "memory cgroup \"/demo\" counts an OOM kill more, and this worker vanished (likely: "
             "no other one did); the kernel's log is not read" },
    { { .kind = OG_FINDING_UNATTRIBUTED, .kills = 1 }, "/demo", true,
      "the kernel killed 1 process, as memory cgroup \"/demo\" counts, and nobody knows which: no "
      "worker vanished; the kernel's log does not show it" },
    { { .kind = OG_FINDING_UNATTRIBUTED, .kills = 2 }, NULL, false,
      "the kernel killed 2 processes, as this machine counts, and nobody knows which: no worker "
      "vanished; the kernel's log is not read" },
    { { .kind = OG_FINDING_GAP, .records = 150, .kills = 1 }, "/demo", true,
      "150 records of the kernel's log were overwritten before they could be read; memory cgroup "
      "\"/demo\" counts 1 OOM kill among them" },
    { { .kind = OG_FINDING_GAP, .records = 0, .kills = 0 }, NULL, true,
      "0 records of the kernel's log were overwritten before they could be read; this machine "
      "counts 0 OOM kills among them" },
    { { .kind = OG_FINDING_GAP, .records = OG_VERDICT_UNKNOWN, .kills = OG_VERDICT_UNKNOWN }, "",
      true, "records of the kernel's log were overwritten or cleared before they could be read; a "
            "kill among them has no line" },
    { { .kind = OG_FINDING_KILLED, PID }, "/demo", true,
      "worker 4242 vanished, and not by the OOM killer: memory cgroup \"/demo\" counts no further "
      "kill; somebody's SIGKILL, or a module that called exit()" },
    { { .kind = OG_FINDING_KILLED, PID }, NULL, false,
      "worker 4242 vanished, and not by the OOM killer: this machine counts no further kill; "
      "somebody's SIGKILL, or a module that called exit()" },
    { { .kind = OG_FINDING_KILLED, PID }, "", true,
      "worker 4242 vanished, and not by the OOM killer: the kernel's log has no such kill; "
      "somebody's SIGKILL, or a module that called exit()" },
    { { .kind = OG_FINDING_SHOT, PID }, "/demo", true,
      "httpd itself sent SIGKILL to worker 4242, which did not stop in time; it was not the OOM "
      "killer" },
    { { .kind = OG_FINDING_CRASHED, .death = { .pid = 4242, .signal = 11 } }, "/demo", true,
      "worker 4242 crashed by signal 11; it was not the OOM killer" },
    { { .kind = OG_FINDING_VANISHED, PID }, "", false,
      "worker 4242 vanished, and whether by the OOM killer can't be said: neither the kernel's log "
      "nor its counter can be read" },
    { { .kind = OG_FINDING_VANISHED, PID, .gap = true }, "", false,
      "worker 4242 vanished, and whether by the OOM killer can't be said: neither the kernel's log "
      "nor its counter can be read" },
    { { .kind = OG_FINDING_VANISHED, PID, .gap = true }, "", true,
      "worker 4242 vanished, and whether by the OOM killer can't be said: the kernel's log lost "
      "records then, and nothing counts kills" },
    { { .kind = OG_FINDING_VANISHED, PID, .owed = 1 }, "/demo", true,
      "worker 4242 vanished, and whether by the OOM killer can't be said: it may be one of those "
      "that were told without a name" },
};

START_TEST(says_what_was_found)
{
    og_case_t c = { .finding = &cases[_i].finding, .cgroup = cases[_i].cgroup,
                    .log = cases[_i].log };

    render_case(&c);
    ck_assert_str_eq(line, cases[_i].says);
}
END_TEST

/* A worker that is remembered has its place and its request, as in the line of a kill. */
START_TEST(says_all_of_a_worker_that_was_found)
{
    og_finding_t f = { .kind = OG_FINDING_SHOT,
                       .death = { .pid = 4242, .started_usec = 1, .ended_usec = 2234000 } };
    og_worker_t w = worker_of(4242, 1);
    og_route_t leaks = { .vhost = "v", .handler = "h", .pattern = "/leak", .requests = 50 };
    og_case_t c = { .finding = &f, .worker = &w, .cgroup = "/demo", .log = true };

    w.slot = w.generation = 0;
    render_case(&c);
    ck_assert_str_eq(line, "httpd itself sent SIGKILL to worker 4242, slot 0, generation 0, which "
                           "did not stop in time; it was not the OOM killer; request \"GET\" "
                           "\"/oom\" vhost \"a.example\" client \"127.0.0.1\" for 1.234 s "
                           "(certain: the only one in flight)");
    c.missed = c.late = true;
    c.past = (og_past_t){ .other = &leaks, .page_bytes = 4096 };
    w.requests[0].pages = 256;
    render_case(&c);
    ck_assert(ends_with(line, " for 1.234 s, which took 1.0 MiB (likely: the only one known; "
                              "others found no room to be noted); most suspect is \"v\" \"h\" "
                              "\"/leak\" takes 0.0 KiB a request over 50 requests, too few to tell "
                              "what it retains, 0 kills; read late, while nobody watched"));
    w = worker_of(4242, 7);
    c = (og_case_t){ .finding = &f, .worker = &w, .again = true };
    render_case(&c);
    ck_assert(ends_with(line, " (a guess: the longest, of 7 in flight); perhaps told before: the "
                              "watcher died over it"));
}
END_TEST

/* The longest of these, too; and a smaller buffer cuts. */
START_TEST(fits_what_was_found)
{
    static char cgroup[OG_KMSG_CGROUP_MAX];
    og_finding_t f = { .kind = OG_FINDING_COUNTED, .vanished = UINT32_MAX,
                       .death = { .pid = INT32_MIN, .ended_usec = UINT64_MAX } };
    og_worker_t w = worker_of(4242, 1);
    og_route_t route = { .hash = 1 };
    og_suspect_t suspect = { .pages = 1e12, .error = 1e9, .share = 1, .requests = UINT32_MAX };
    og_case_t c = { .finding = &f, .worker = &w, .cgroup = cgroup, .late = true, .again = true };
    char small[100];

    memset(cgroup, 1, sizeof cgroup - 1);
    memset(route.vhost, 1, sizeof route.vhost - 1);
    memset(route.handler, 1, sizeof route.handler - 1);
    memset(route.pattern, 1, sizeof route.pattern - 1);
    memset(w.requests[0].path, 1, sizeof w.requests[0].path - 1);
    memset(w.requests[0].vhost, 1, sizeof w.requests[0].vhost - 1);
    memset(w.requests[0].method, 1, sizeof w.requests[0].method - 1);
    memset(w.requests[0].client, 1, sizeof w.requests[0].client - 1);
    memset(w.requests[0].log_id, 1, sizeof w.requests[0].log_id - 1);
    c.past = (og_past_t){ &route, &route, &suspect, &suspect, 4096 };
    render_case(&c);
    ck_assert(ends_with(line, "; perhaps told before: the watcher died over it"));
    ck_assert_uint_eq(og_render_case(&c, small, sizeof small), sizeof small - 1);
    ck_assert_mem_eq(small, line, sizeof small - 1);
    ck_assert_int_eq(small[sizeof small - 1], '\0');
    small[1] = 'x';
    ck_assert_uint_eq(og_render_case(&c, small, 1), 0);
    ck_assert_int_eq(small[0], '\0');
    ck_assert_int_eq(small[1], 'x');
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("render");

    tcase_add_test(tc, says_all_of_a_worker);
    tcase_add_test(tc, says_who_is_suspected);
    tcase_add_test(tc, says_nothing_of_a_route_that_gives_back);
    tcase_add_test(tc, says_what_a_helper_worked_for);
    tcase_add_loop_test(tc, names_every_role, OG_ROLE_STRANGER, OG_ROLE_HELPER + 1);
    tcase_add_test(tc, says_where_a_worker_was);
    tcase_add_test(tc, says_what_is_known_of_a_request);
    tcase_add_test(tc, says_why_and_how_it_is_known);
    tcase_add_test(tc, admits_what_it_guesses);
    tcase_add_test(tc, is_not_certain_without_having_seen_all);
    tcase_add_test(tc, admits_what_it_does_not_know);
    tcase_add_loop_test(tc, names_every_killer, OG_KILLER_UNKNOWN, OG_KILLER_MEMPOLICY + 1);
    tcase_add_test(tc, tells_minus_one_from_unknown);
    tcase_add_test(tc, escapes);
    tcase_add_test(tc, fits);
    tcase_add_loop_test(tc, says_what_was_found, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(tc, says_all_of_a_worker_that_was_found);
    tcase_add_test(tc, fits_what_was_found);
    return unit_run("render", &tc, 1);
}
