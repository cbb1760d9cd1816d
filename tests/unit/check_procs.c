/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/procs.h"
#include "unit.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct {
    const char *text;
    int pid, ppid; /* pid 0: refused */
    const char *comm;
} lines[] = {
    { "4242 (httpd) S 17 4242 4242 0 -1 4194560", 4242, 17, "httpd" },
    { "1 (a) R 1) S 0 1 1 0 -1", 1, 0, "a) R 1" }, /* a name that looks like a line's end */
    { "9 () S 3 1", 9, 3, "" },
    { "9 (x y) Z 3", 9, 3, "x y" },
    { "", 0, 0, "" },
    { "12", 0, 0, "" },
    { "12 (x", 0, 0, "" },
    { "12 x) S 1", 0, 0, "" },
    { "x (y) S 1", 0, 0, "" },
    { "0 (y) S 1", 0, 0, "" },
    { "12 (y) S", 0, 0, "" },
    { "12 (y) S -1", 0, 0, "" },
    { "12 (y) S 99999999999", 0, 0, "" },
    { "99999999999 (y) S 1", 0, 0, "" },
};

START_TEST(parses)
{
    og_procs_stat_t st;
    int rc = og_procs_parse(lines[_i].text, &st);

    ck_assert_int_eq(rc, lines[_i].pid ? 0 : -EINVAL);
    if (rc == 0) {
        ck_assert_int_eq(st.pid, lines[_i].pid);
        ck_assert_int_eq(st.ppid, lines[_i].ppid);
        ck_assert_str_eq(st.comm, lines[_i].comm);
    }
}
END_TEST

START_TEST(knows_the_start)
{
    og_procs_stat_t st;

    ck_assert_int_eq(og_procs_parse("7 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 200 9",
                                    &st), 0);
    ck_assert_uint_eq(st.start_usec, 200 * 1000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
    ck_assert_int_eq(og_procs_parse("7 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", &st),
                     0);
    ck_assert_uint_eq(st.start_usec, 0);
}
END_TEST

START_TEST(knows_itself)
{
    struct timespec now;
    og_procs_stat_t st;

    prctl(PR_SET_NAME, "na) S 1 (me", 0, 0, 0);
    ck_assert_int_eq(og_procs_stat("/proc", getpid(), &st), 0);
    ck_assert_int_eq(st.ppid, getppid());
    ck_assert_str_eq(st.comm, "na) S 1 (me");
    clock_gettime(CLOCK_BOOTTIME, &now);
    ck_assert(st.start_usec <= (uint64_t)now.tv_sec * 1000000 + 1000000);
    ck_assert(st.start_usec + 60 * 1000000ULL >= (uint64_t)now.tv_sec * 1000000);
    ck_assert_int_eq(og_procs_stat("/proc", 0x7ffffffe, &st), -ENOENT);
}
END_TEST

START_TEST(knows_its_line)
{
    int gate[2], status;
    pid_t pid;

    ck_assert_int_eq(pipe(gate), 0);
    pid = fork();
    if (pid == 0)
        _exit(og_procs_descends("/proc", getpid(), getppid()) ? 0 : 1);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert(og_procs_descends("/proc", getpid(), getppid()));
    ck_assert(!og_procs_descends("/proc", getpid(), pid));
    ck_assert(!og_procs_descends("/proc", 1, getpid()));
}
END_TEST

static void count_me(const og_procs_stat_t *st, void *ctx)
{
    if (st->pid == getpid())
        ++*(int *)ctx;
}

START_TEST(finds_all)
{
    int n = 0;

    ck_assert_int_eq(og_procs_each("/proc", count_me, &n), 0);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(og_procs_each("/nowhere", count_me, &n), -ENOENT);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("procs");

    tcase_add_loop_test(tc, parses, 0, (int)(sizeof lines / sizeof *lines));
    tcase_add_test(tc, knows_the_start);
    tcase_add_test(tc, knows_itself);
    tcase_add_test(tc, knows_its_line);
    tcase_add_test(tc, finds_all);
    return unit_run("procs", &tc, 1);
}
