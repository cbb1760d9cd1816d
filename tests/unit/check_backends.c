/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/backends.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is behind the table is nobody's business. */
static struct {
    og_backends_t table;
    og_backend_t behind;
} memory;
#define table memory.table
static uint64_t who;

static void setup(void)
{
    memset(&memory, 0, sizeof memory);
}

#define BYTES (4 << 20) /* of a few pages the kernel may not know yet */

/* A process that has taken some memory and waits for its end, and what /proc says of it. */
static pid_t start(og_procs_stat_t *st)
{
    int ready[2];
    char c;
    pid_t pid;

    ck_assert_int_eq(pipe(ready), 0);
    if ((pid = fork()) == 0) {
        char *p = malloc(BYTES);

        if (p != NULL)
            memset(p, 1, BYTES);
        (void)!write(ready[1], "r", 1);
        pause();
        _exit(p == NULL);
    }
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    ck_assert_int_eq(og_procs_stat("/proc", pid, st), 0);
    return pid;
}

static int stop;

/* The watcher: the process comes, and goes since there is an earlier one of its pid. */
static void *watch(void *arg)
{
    og_procs_stat_t st = *(const og_procs_stat_t *)arg, earlier = st;

    earlier.start_usec -= 10;
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        og_backends_add(&table, &st, OG_BACKEND_FORKED);
        og_backends_add(&table, &earlier, OG_BACKEND_FORKED);
        og_backends_wanted(&table, OG_BACKEND_FORKED);
    }
    return NULL;
}

static int64_t now(void)
{
    return og_backends_now(&table, "/proc", &who);
}

static void end(pid_t pid)
{
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

START_TEST(sums_up_the_living)
{
    og_procs_stat_t a, b;
    pid_t first = start(&a), second = start(&b);
    int64_t both;

    who = 5;
    ck_assert_int_eq(now(), 0);
    ck_assert_uint_eq(who, 0);
    ck_assert(og_backends_add(&table, &a, OG_BACKEND_FORKED));
    ck_assert(og_backends_add(&table, &a, OG_BACKEND_FORKED)); /* it is there */
    ck_assert(og_backends_add(&table, &b, OG_BACKEND_NAMED));
    ck_assert_uint_eq(table.used, 2);
    both = now();
    ck_assert_int_gt(both, 0);
    ck_assert_uint_eq(who, (a.start_usec ^ (uint64_t)first << 40) +
                               (b.start_usec ^ (uint64_t)second << 40));
    /* Places that were never taken. */
    table.backends[2] = table.backends[1];
    table.backends[2].pid = first;
    table.backends[2].start_usec = a.start_usec;
    ck_assert_int_lt(now(), both + a.resident_pages / 2);
    table.backends[2].pid = -77;
    og_backends_sweep(&table, "/proc");
    ck_assert_int_eq(table.backends[2].pid, -77);
    ck_assert_ptr_null(og_backends_find(&table, -77));
    table.backends[2].pid = 0;
    ck_assert_uint_eq(og_backends_find(&table, second)->kind, OG_BACKEND_NAMED);
    end(second);
    ck_assert_int_lt(now(), both);
    og_backends_sweep(&table, "/proc");
    ck_assert_ptr_null(og_backends_find(&table, second));
    ck_assert_ptr_nonnull(og_backends_find(&table, first));
    end(first);
    og_backends_sweep(&table, "/proc");
    ck_assert_ptr_null(og_backends_find(&table, first));
}
END_TEST

/* Another process has its pid now. */
START_TEST(is_not_fooled_by_a_pid)
{
    og_procs_stat_t st, earlier;
    pid_t pid = start(&st);

    earlier = st;
    earlier.start_usec -= 10;
    ck_assert(og_backends_add(&table, &earlier, OG_BACKEND_FORKED));
    ck_assert_int_eq(now(), 0);
    og_backends_sweep(&table, "/proc");
    ck_assert_ptr_null(og_backends_find(&table, pid));
    ck_assert(og_backends_add(&table, &earlier, OG_BACKEND_FORKED));
    ck_assert(og_backends_add(&table, &st, OG_BACKEND_FORKED));
    ck_assert_uint_eq(table.used, 1); /* in its place */
    ck_assert_int_gt(now(), 0);
    og_backends_sweep(&table, "/proc");
    ck_assert_ptr_nonnull(og_backends_find(&table, pid));
    end(pid);
}
END_TEST

START_TEST(has_room_for_so_many)
{
    og_procs_stat_t st = { .pid = 1000, .start_usec = 1, .resident_pages = 5, .comm = "x" };

    ck_assert_uint_eq(og_backends_worth(&table), 0);
    for (unsigned i = 0; i < OG_BACKENDS; i++, st.pid++) {
        ck_assert(og_backends_add(&table, &st, OG_BACKEND_FORKED));
        ck_assert_uint_eq(og_backends_worth(&table), 4 * (i + 1));
    }
    memory.behind = (og_backend_t){ .pid = st.pid, .start_usec = st.start_usec };
    ck_assert(!og_backends_add(&table, &st, OG_BACKEND_FORKED));
    setup();
    for (st.resident_pages = -1; st.resident_pages <= 0; st.resident_pages++) {
        /* One that nothing is known of is none, nor is one that is dead. */
        ck_assert(og_backends_add(&table, &st, OG_BACKEND_FORKED));
        ck_assert_ptr_null(og_backends_find(&table, st.pid));
    }
}
END_TEST

START_TEST(keeps_names)
{
    og_procs_stat_t st = { .pid = 1000, .start_usec = 1, .resident_pages = 5,
                           .comm = "a name of twenty" "-one" };

    table.backends[1].pid = 0;
    table.backends[1].kind = 7;
    ck_assert(og_backends_add(&table, &st, OG_BACKEND_FORKED));
    ck_assert_str_eq(table.backends[0].comm, "a name of twent");
    ck_assert_uint_eq(table.backends[0].kind, OG_BACKEND_FORKED);
    ck_assert_int_eq(table.backends[1].pid, 0);
    ck_assert_uint_eq(table.backends[1].kind, 7);
}
END_TEST

/* Some weeks after a machine was booted, times have bits where pids have theirs: still each has a
 * part in the number of those that are there. */
START_TEST(tells_all_apart_after_weeks)
{
    og_procs_stat_t st;
    FILE *f;

    ck_assert_int_eq(mkdir("1", 0700), 0);
    ck_assert_ptr_nonnull(f = fopen("1/stat", "w"));
    /* Fields 22 and 24: when it began, and its pages. */
    fprintf(f, "1 (init) S 0 1 1 0 -1 0 9 0 0 0 1 1 0 0 20 0 1 0 %ld 4096 100 0\n",
            110000000 / 100 * sysconf(_SC_CLK_TCK));
    fclose(f);
    ck_assert_int_eq(og_procs_stat(".", 1, &st), 0);
    ck_assert_uint_eq(st.start_usec, 1100000000000);
    ck_assert(og_backends_add(&table, &st, OG_BACKEND_NAMED));
    ck_assert_int_eq(og_backends_now(&table, ".", &who), 100);
    ck_assert_uint_eq(who, 1100000000000 - (1ULL << 40));
}
END_TEST

/* The first process of a machine or of a container is one like others. */
START_TEST(counts_the_first_process)
{
    og_procs_stat_t st, earlier;

    if (og_procs_stat("/proc", 1, &st) != 0)
        return; /* others' processes are hidden here */
    earlier = st;
    earlier.start_usec++;
    ck_assert(og_backends_add(&table, &earlier, OG_BACKEND_NAMED));
    og_backends_sweep(&table, "/proc");
    ck_assert_ptr_null(og_backends_find(&table, 1));
    ck_assert(og_backends_add(&table, &st, OG_BACKEND_NAMED));
    ck_assert_int_gt(now(), 0);
}
END_TEST

START_TEST(knows_what_is_wanted)
{
    ck_assert(!og_backends_wanted(&table, OG_BACKEND_NAMED));
    og_backends_want(&table, OG_BACKEND_NAMED);
    og_backends_want(&table, OG_BACKEND_NAMED);
    ck_assert(!og_backends_wanted(&table, OG_BACKEND_FORKED));
    ck_assert(og_backends_wanted(&table, OG_BACKEND_NAMED));
    ck_assert(!og_backends_wanted(&table, OG_BACKEND_NAMED));
    og_backends_want(&table, OG_BACKEND_NAMED);
    og_backends_want(&table, OG_BACKEND_FORKED);
    ck_assert(og_backends_wanted(&table, OG_BACKEND_FORKED));
    ck_assert(og_backends_wanted(&table, OG_BACKEND_NAMED));
}
END_TEST

/* What is counted is a process that is there, while the watcher changes its mind. */
START_TEST(is_read_while_it_changes)
{
    og_procs_stat_t st;
    pid_t pid = start(&st);
    pthread_t t;

    ck_assert_int_eq(pthread_create(&t, NULL, watch, &st), 0);
    for (int seen = 0; seen < 50;) {
        int64_t pages = now();

        og_backends_want(&table, OG_BACKEND_FORKED);
        ck_assert(pages == 0 || (pages >= st.resident_pages / 2 && who != 0));
        seen += pages > 0;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
    end(pid);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("backends");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, sums_up_the_living);
    tcase_add_test(t, is_not_fooled_by_a_pid);
    tcase_add_test(t, has_room_for_so_many);
    tcase_add_test(t, keeps_names);
    tcase_add_test(t, tells_all_apart_after_weeks);
    tcase_add_test(t, counts_the_first_process);
    tcase_add_test(t, knows_what_is_wanted);
    tcase_add_test(t, is_read_while_it_changes);
    return unit_run("backends", &t, 1);
}
