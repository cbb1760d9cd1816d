/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/progress.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static oom_plan_t shown_plan = { .kind = OOM_KIND_SHM,
                                 .size_bytes = 64 * MIB,
                                 .rate_bytes = 1536,
                                 .hold_msec = 2050,
                                 .repeat = 2 };

static oom_progress_t shown(oom_state_t state)
{
    return (oom_progress_t){ .state = state,
                             .plan = &shown_plan,
                             .pid = 123,
                             .limit_bytes = 128 * MIB,
                             .cycle = 1,
                             .allocated_bytes = 64 * MIB,
                             .rss_bytes = 71 * MIB + 256 * KIB,
                             .cgroup_usage_bytes = 73 * MIB,
                             .cgroup_limit_bytes = OOM_PROGRESS_UNKNOWN,
                             .elapsed_usec = 1031999,
                             .refused_step = "malloc",
                             .refused_error = "a \"b\\\n",
                             .signal = 9 };
}

static const struct {
    oom_state_t state;
    const char *text, *json;
} lines[] = {
    { OOM_STATE_PLAN,
      "plan: kind shm, size 64.0 MiB, rate 1.5 KiB/s, hold 2.050 s, repeat 2, then given "
      "back; "
      "pid 123, limit in force 128.0 MiB",
      ",\"pid\":123,\"kind\":\"shm\",\"size_bytes\":67108864,\"rate_bytes_per_second\":"
      "1536,"
      "\"hold_seconds\":2.050,\"repeat\":2,\"leak\":false,\"limit_bytes\":134217728" },
    { OOM_STATE_GROWING, "allocated 64.0 MiB in cycle 1 of 2", "" },
    { OOM_STATE_COPYING, "copying, allocated 64.0 MiB in cycle 1 of 2", "" },
    { OOM_STATE_HOLDING, "holding 64.0 MiB in cycle 1 of 2", "" },
    { OOM_STATE_GIVEN_BACK, "done: 64.0 MiB given back", ",\"leak\":false" },
    { OOM_STATE_REFUSED, "refused: malloc: a \"b\\\n: 64.0 MiB given back",
      ",\"leak\":false,\"refused\":\"malloc\",\"error\":\"a \\u0022b\\u005c\\u000a\"" },
    { OOM_STATE_CLIENT_GONE, "client gone: 64.0 MiB given back", ",\"leak\":false" },
    { OOM_STATE_SERVER_STOPPING, "server stopping: 64.0 MiB given back",
      ",\"leak\":false" },
    { OOM_STATE_CHILD_KILLED, "child killed by signal 9: 64.0 MiB given back",
      ",\"leak\":false,\"signal\":9" },
};

START_TEST(a_line)
{
    static const char *const names[] = { "plan",        "growing",     "copying",
                                         "holding",     "given_back",  "kept",
                                         "refused",     "client_gone", "server_stopping",
                                         "child_killed" };
    oom_progress_t p = shown(lines[_i].state);
    char line[OOM_PROGRESS_LINE_MAX], want[OOM_PROGRESS_LINE_MAX];
    size_t len = oom_progress_line(line, sizeof line, false, &p);

    snprintf(want, sizeof want,
             "%s, rss 71.2 MiB, cgroup 73.0 MiB without limit, 1.031 s\n",
             lines[_i].text);
    ck_assert_str_eq(line, want);
    ck_assert_uint_eq(len, strlen(line));
    len = oom_progress_line(line, sizeof line, true, &p);
    snprintf(want, sizeof want,
             "{\"state\":\"%s\",\"allocated_bytes\":67108864,\"rss_bytes\":74711040,"
             "\"cgroup_usage_bytes\":76546048,\"cgroup_limit_bytes\":null,"
             "\"elapsed_seconds\":1.031999,\"cycle\":1%s}\n",
             names[p.state], lines[_i].json);
    ck_assert_str_eq(line, want);
    ck_assert_uint_eq(len, strlen(line));
}
END_TEST

START_TEST(other_lines)
{
    oom_progress_t p = shown(OOM_STATE_KEPT);
    oom_plan_t kept_plan = { .size_bytes = OOM_PLAN_UNLIMITED,
                             .leak = true,
                             .repeat = 1 };
    char line[OOM_PROGRESS_LINE_MAX];

    p.plan = &kept_plan;
    p.cgroup_limit_bytes = 128 * MIB;
    p.allocated_bytes = 1023;
    p.rss_bytes = OOM_PROGRESS_UNKNOWN;
    oom_progress_line(line, sizeof line, false, &p);
    ck_assert_str_eq(line,
                     "done: 1023 B kept until the worker (pid 123) ends, rss unknown, "
                     "cgroup 73.0 MiB of 128.0 MiB, 1.031 s\n");
    p.state = OOM_STATE_PLAN;
    p.allocated_bytes = p.limit_bytes = UINT64_MAX - 1;
    oom_progress_line(line, sizeof line, false, &p);
    ck_assert_ptr_nonnull(strstr(line, "size unlimited, hold 0.000 s"));
    ck_assert_ptr_nonnull(strstr(line, "limit in force 15.9 EiB"));
}
END_TEST

/* A buffer too small cuts, wherever it ends, and is not left. */
START_TEST(a_small_buffer)
{
    oom_progress_t p = shown(OOM_STATE_PLAN);
    char line[OOM_PROGRESS_LINE_MAX], small[OOM_PROGRESS_LINE_MAX];
    size_t len = oom_progress_line(line, sizeof line, _i == 1, &p);

    for (size_t size = 1; size <= len + 1; size++) {
        memset(small, 'x', sizeof small);
        ck_assert_uint_eq(oom_progress_line(small, size, _i == 1, &p), size - 1);
        ck_assert_mem_eq(small, line, size - 1);
        ck_assert_int_eq(small[size - 1], '\0');
        ck_assert_int_eq(small[size], 'x');
    }
}
END_TEST

static const struct {
    uint64_t bytes;
    const char *text;
} sizes[] = {
    { 0, "0 B" },
    { 1023, "1023 B" },
    { 1024, "1.0 KiB" },
    { 1024 + 512, "1.5 KiB" },
    { MIB - 1, "1023.9 KiB" },
    { MIB, "1.0 MiB" },
    { MIB * 1024 - 1, "1023.9 MiB" },
    { MIB * 1024, "1.0 GiB" },
    { MIB * MIB, "1.0 TiB" },
    { UINT64_MAX - 1, "15.9 EiB" },
    { UINT64_MAX, "unknown" },
};

/* With one cycle, none is counted. */
START_TEST(a_size)
{
    oom_progress_t p = shown(OOM_STATE_GROWING);
    oom_plan_t once = shown_plan;
    char line[OOM_PROGRESS_LINE_MAX], want[80];

    once.repeat = 1;
    p.plan = &once;
    p.allocated_bytes = sizes[_i].bytes;
    oom_progress_line(line, sizeof line, false, &p);
    snprintf(want, sizeof want, "allocated %s, rss", sizes[_i].text);
    ck_assert_msg(strncmp(line, want, strlen(want)) == 0, "%s", line);
}
END_TEST

/* A week, and a byte a second. */
START_TEST(long_times)
{
    oom_progress_t p = shown(OOM_STATE_PLAN);
    oom_plan_t slow = shown_plan;
    char line[OOM_PROGRESS_LINE_MAX];

    slow.rate_bytes = 1;
    slow.hold_msec = 604799999;
    p.plan = &slow;
    p.elapsed_usec = 2000000500001;
    oom_progress_line(line, sizeof line, false, &p);
    ck_assert_ptr_nonnull(strstr(line, ", rate 1 B/s, hold 604799.999 s, "));
    ck_assert_ptr_nonnull(strstr(line, ", 2000000.500 s\n"));
    oom_progress_line(line, sizeof line, true, &p);
    ck_assert_ptr_nonnull(strstr(line, "\"elapsed_seconds\":2000000.500001,"));
    ck_assert_ptr_nonnull(strstr(line, "\"rate_bytes_per_second\":1,"));
    ck_assert_ptr_nonnull(strstr(line, "\"hold_seconds\":604799.999,"));
    slow.rate_bytes = 0;
    oom_progress_line(line, sizeof line, true, &p);
    ck_assert_ptr_nonnull(strstr(line, "\"rate_bytes_per_second\":null,"));
}
END_TEST

int main(void)
{
    TCase *line = tcase_create("lines");

    tcase_add_loop_test(line, a_line, 0, sizeof lines / sizeof *lines);
    tcase_add_test(line, other_lines);
    tcase_add_loop_test(line, a_small_buffer, 0, 2);
    tcase_add_loop_test(line, a_size, 0, sizeof sizes / sizeof *sizes);
    tcase_add_test(line, long_times);
    return unit_run("progress", &line, 1);
}
