/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/procs.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A name as long as there is room for. */
#define FULL "123456789 123456789 123456789 123456789 123456789 123456789 123"

static const struct {
    const char *text;
    int pid, ppid; /* pid 0: refused */
    const char *comm;
} lines[] = {
    { "4242 (httpd) S 17 4242 4242 0 -1 4194560", 4242, 17, "httpd" },
    { "1 (a) R 1) S 0 1 1 0 -1", 1, 0, "a) R 1" }, /* a name that looks like a line's end */
    { "9 () S 3 1", 9, 3, "" },
    { "9 (x y) Z 3", 9, 3, "x y" },
    { "9 (x) Z 0", 9, 0, "x" },
    { "2147483647 (x) S 2147483647", 2147483647, 2147483647, "x" },
    { "9 (" FULL ") S 1", 9, 1, FULL },
    { "9 (" FULL "x) S 1", 0, 0, "" },
    { "", 0, 0, "" },
    { "12", 0, 0, "" },
    { "12 (x", 0, 0, "" },
    { "12 x) S 1", 0, 0, "" },
    { "x (y) S 1", 0, 0, "" },
    { "0 (y) S 1", 0, 0, "" },
    { "12 (y) S", 0, 0, "" },
    { "12 (y) S -1", 0, 0, "" },
    { "12 (y) S ", 0, 0, "" },
    { "12 (y) S x", 0, 0, "" },
    { "12 y) S 1", 0, 0, "" },
    { "12 (y S 1", 0, 0, "" },
    { "12(y) S 1", 0, 0, "" },
    { "12  (y) S 1", 0, 0, "" },
    { "12 )y( S 1", 0, 0, "" },
    { "12 (y) S 2147483648", 0, 0, "" },
    { "2147483648 (y) S 1", 0, 0, "" },
    { "12 (y) S 99999999999999999999", 0, 0, "" },
    { "99999999999999999999 (y) S 1", 0, 0, "" },
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

/* "7 (x) S 4 5 6 ...": each field says which one it is, but for the nth. */
static og_procs_stat_t fields(int last, int nth, const char *value)
{
    char text[256] = "7 (x) S";
    og_procs_stat_t st;
    size_t len = strlen(text);

    memset(&st, '#', sizeof st);
    for (int i = 4; i <= last; i++)
        len += (size_t)(i == nth ? sprintf(text + len, " %s", value)
                                 : sprintf(text + len, " %d", i));
    ck_assert_int_eq(og_procs_parse(text, &st), 0);
    return st;
}

START_TEST(knows_the_fields)
{
    const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    og_procs_stat_t st = fields(52, 22, "200");

    ck_assert_int_eq(st.ppid, 4);
    ck_assert_uint_eq(st.faults, 10);
    ck_assert_uint_eq(st.start_usec, 200 * 1000000ULL / hz);
    ck_assert_int_eq(st.resident_pages, 24);
    ck_assert_int_eq(fields(52, 24, "0").resident_pages, 0);
    ck_assert_uint_eq(fields(52, 10, "0").faults, 0);
    /* The last of all. */
    ck_assert_uint_eq(fields(10, 0, "").faults, 10);
    ck_assert_uint_eq(fields(22, 22, "300").start_usec, 300 * 1000000ULL / hz);
    ck_assert_int_eq(fields(24, 0, "").resident_pages, 24);
}
END_TEST

/* What is not there, or no number, is not known; the rest is. */
START_TEST(knows_what_it_is_not_told)
{
    og_procs_stat_t st = fields(9, 0, "");

    ck_assert_int_eq(st.ppid, 4);
    ck_assert_uint_eq(st.faults, UINT64_MAX);
    ck_assert_uint_eq(st.start_usec, 0);
    ck_assert_int_eq(st.resident_pages, -1);
    ck_assert_uint_eq(fields(21, 0, "").start_usec, 0);
    ck_assert_int_eq(fields(23, 0, "").resident_pages, -1);
    st = fields(52, 10, "x");
    ck_assert_uint_eq(st.faults, UINT64_MAX);
    ck_assert_int_eq(st.resident_pages, 24);
    ck_assert_uint_eq(fields(52, 22, "-1").start_usec, 0);
    ck_assert_int_eq(fields(52, 24, "-1").resident_pages, -1);
}
END_TEST

START_TEST(knows_the_largest_numbers)
{
    const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

    ck_assert_uint_eq(fields(24, 22, "18446744073709").start_usec,
                      18446744073709ULL * 1000000 / hz);
    ck_assert_uint_eq(fields(24, 22, "18446744073710").start_usec, 0);
    ck_assert_int_eq(fields(24, 24, "9223372036854775807").resident_pages, INT64_MAX);
    ck_assert_int_eq(fields(24, 24, "9223372036854775808").resident_pages, -1);
    ck_assert_uint_eq(fields(24, 10, "18446744073709551614").faults, UINT64_MAX - 1);
}
END_TEST

/* A child, since an emulator makes up what /proc has of the process itself. */
START_TEST(knows_what_runs)
{
    struct timespec now;
    og_procs_stat_t st;
    int ready[2];
    pid_t pid;
    char c;

    ck_assert_int_eq(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_NAME, "na) S 1 (me", 0, 0, 0);
        ck_assert_int_eq(write(ready[1], "", 1), 1);
        pause();
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    ck_assert_int_eq(og_procs_stat("/proc", pid, &st), 0);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(st.pid, pid);
    ck_assert_int_eq(st.ppid, getpid());
    ck_assert_str_eq(st.comm, "na) S 1 (me");
    clock_gettime(CLOCK_BOOTTIME, &now);
    ck_assert(st.start_usec <= (uint64_t)now.tv_sec * 1000000 + 1000000);
    ck_assert(st.start_usec + 60 * 1000000ULL >= (uint64_t)now.tv_sec * 1000000);
    ck_assert_int_eq(og_procs_stat("/proc", 0x7ffffffe, &st), -ENOENT);
    ck_assert_int_eq(og_procs_thread("/proc", getpid(), 0x7ffffffe, &st), -ENOENT);
    ck_assert_int_eq(og_procs_thread("/proc", 0x7ffffffe, getpid(), &st), -ENOENT);
}
END_TEST

/* --- A thread ----------------------------------------------------------------------- */

#define TOUCHED_PAGES 4096

static void *touch(void *unused)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static og_procs_stat_t before, after;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    volatile char *mem = mmap(NULL, TOUCHED_PAGES * page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)unused;
    ck_assert(mem != MAP_FAILED);
    madvise((void *)mem, TOUCHED_PAGES * page, MADV_NOHUGEPAGE);
    prctl(PR_SET_NAME, "toucher", 0, 0, 0);
    ck_assert_int_eq(og_procs_thread("/proc", getpid(), tid, &before), 0);
    for (size_t i = 0; i < TOUCHED_PAGES; i++)
        mem[i * page] = 1;
    ck_assert_int_eq(og_procs_thread("/proc", getpid(), tid, &after), 0);
    ck_assert_int_eq(after.pid, tid);
    ck_assert_str_eq(after.comm, "toucher");
    ck_assert_uint_ge(after.faults, before.faults + TOUCHED_PAGES);
    return NULL;
}

/* Its own name, and what it touched itself: the process' main thread has touched none of it. */
START_TEST(knows_a_thread_of_its_own)
{
    og_procs_stat_t before, after;
    pthread_t thread;

    ck_assert_int_eq(og_procs_thread("/proc", getpid(), getpid(), &before), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, touch, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(og_procs_thread("/proc", getpid(), getpid(), &after), 0);
    ck_assert_str_ne(after.comm, "toucher");
    ck_assert_uint_lt(after.faults, before.faults + TOUCHED_PAGES);
}
END_TEST

/* --- Who is gone -------------------------------------------------------------------- */

START_TEST(knows_who_is_gone)
{
    siginfo_t info;
    pid_t pid;

    signal(SIGHUP, SIG_DFL);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    ck_assert(!og_procs_gone(pid));
    kill(pid, SIGKILL);
    /* Nothing else has killed it. A zombie is there until it is waited for. */
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(info.si_status, SIGKILL);
    ck_assert(!og_procs_gone(pid));
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    errno = EDOM;
    ck_assert(og_procs_gone(pid));
    ck_assert_int_eq(errno, EDOM);
}
END_TEST

/* Of somebody else there is no more to be known than that it may not be asked. */
START_TEST(knows_who_is_not_its_own)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        errno = EDOM;
        if (geteuid() == 0 && setuid(65534) != 0)
            _exit(77);
        _exit(!og_procs_gone(1) && errno == EDOM ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
}
END_TEST

/* --- Who descends from whom --------------------------------------------------------- */

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

/* --- Files that are made here ------------------------------------------------------- */

static char proc[64];

static void make_proc(void)
{
    strcpy(proc, "check_procs.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(proc));
}

static void remove_proc(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", proc);
    ck_assert_int_eq(system(command), 0);
}

static void make_folder(const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", proc, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void put_stat(const char *folder, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s/stat", proc, folder);
    f = fopen(path, "w");
    ck_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void make_process(int pid, int ppid)
{
    char name[32], text[64];

    snprintf(name, sizeof name, "%d", pid);
    snprintf(text, sizeof text, "%d (p) S %d", pid, ppid);
    make_folder(name);
    put_stat(name, text);
}

START_TEST(reads_what_it_is_asked_for)
{
    og_procs_stat_t st;

    make_process(70, 5);
    make_folder("70/task");
    make_folder("70/task/71");
    put_stat("70/task/71", "71 (thread) S 6");
    ck_assert_int_eq(og_procs_stat(proc, 70, &st), 0);
    ck_assert_int_eq(st.ppid, 5);
    ck_assert_int_eq(og_procs_thread(proc, 70, 71, &st), 0);
    ck_assert_int_eq(st.pid, 71);
    ck_assert_int_eq(st.ppid, 6);
    ck_assert_str_eq(st.comm, "thread");
    ck_assert_int_eq(og_procs_thread(proc, 71, 70, &st), -ENOENT);
    put_stat("70/task/71", "71 (thread) S");
    ck_assert_int_eq(og_procs_thread(proc, 70, 71, &st), -EINVAL);
    put_stat("70", "");
    ck_assert_int_eq(og_procs_stat(proc, 70, &st), -EINVAL);
}
END_TEST

/* 32 generations, and no more. */
START_TEST(knows_a_long_line)
{
    for (int pid = 101; pid <= 140; pid++)
        make_process(pid, pid - 1);
    ck_assert(og_procs_descends(proc, 101, 100));
    ck_assert(og_procs_descends(proc, 132, 100));
    ck_assert(!og_procs_descends(proc, 133, 100));
    ck_assert(og_procs_descends(proc, 133, 101));
    ck_assert(!og_procs_descends(proc, 120, 120));
    ck_assert(!og_procs_descends(proc, 120, 121));
    ck_assert(!og_procs_descends(proc, 120, 99)); /* 100 is not there any more */
}
END_TEST

/* Orphans are nobody's. */
START_TEST(knows_who_adopts)
{
    make_process(1, 50);
    make_process(2, 50);
    make_process(3, 50);
    make_process(60, 1);
    make_process(61, 2);
    make_process(62, 3);
    ck_assert(og_procs_descends(proc, 60, 1));
    ck_assert(!og_procs_descends(proc, 60, 50));
    ck_assert(!og_procs_descends(proc, 61, 50));
    ck_assert(og_procs_descends(proc, 62, 50));
    ck_assert(!og_procs_descends(proc, 2, 50));
    ck_assert(og_procs_descends(proc, 3, 50));
    ck_assert(!og_procs_descends(proc, 0, 50));
}
END_TEST

static void sum_up(const og_procs_stat_t *st, void *ctx)
{
    *(uint64_t *)ctx += (uint64_t)st->pid;
}

/* Whatever else is there; 4294967366 is 70 to who counts with 32 bits. */
START_TEST(finds_processes_only)
{
    uint64_t sum = 0;

    make_process(70, 1);
    make_process(800, 1);
    make_process(2147483647, 1);
    make_folder("4294967366");
    put_stat("4294967366", "70 (x) S 1");
    make_folder("2147483648");
    put_stat("2147483648", "9000 (x) S 1");
    make_folder("70x");
    put_stat("70x", "9000 (x) S 1");
    make_folder("x70");
    put_stat("x70", "9000 (x) S 1");
    make_folder("900"); /* it has ended since */
    make_folder("901");
    put_stat("901", "nonsense");
    ck_assert_int_eq(og_procs_each(proc, sum_up, &sum), 0);
    ck_assert_uint_eq(sum, 2147483647ULL + 800 + 70);
}
END_TEST

START_TEST(leaves_nothing_open)
{
    int before = dup(STDOUT_FILENO), after;
    og_procs_stat_t st;
    uint64_t sum = 0;

    close(before);
    make_process(70, 1);
    ck_assert_int_eq(og_procs_each(proc, sum_up, &sum), 0);
    ck_assert_int_eq(og_procs_stat(proc, 70, &st), 0);
    after = dup(STDOUT_FILENO);
    ck_assert_int_eq(after, before);
    close(after);
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
    TCase *text = tcase_create("text"), *real = tcase_create("real"),
          *made = tcase_create("made");
    TCase *cases[] = { text, real, made };

    tcase_add_loop_test(text, parses, 0, (int)(sizeof lines / sizeof *lines));
    tcase_add_test(text, knows_the_fields);
    tcase_add_test(text, knows_what_it_is_not_told);
    tcase_add_test(text, knows_the_largest_numbers);
    tcase_add_test(real, knows_what_runs);
    tcase_add_test(real, knows_a_thread_of_its_own);
    tcase_add_test(real, knows_who_is_gone);
    tcase_add_test(real, knows_who_is_not_its_own);
    tcase_add_test(real, knows_its_line);
    tcase_add_test(real, finds_all);
    tcase_add_checked_fixture(made, make_proc, remove_proc);
    tcase_add_test(made, reads_what_it_is_asked_for);
    tcase_add_test(made, knows_a_long_line);
    tcase_add_test(made, knows_who_adopts);
    tcase_add_test(made, finds_processes_only);
    tcase_add_test(made, leaves_nothing_open);
    return unit_run("procs", cases, 3);
}
