/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/forked.h"
#include "unit.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static og_forked_t forked;

START_TEST(finds_the_last_of_a_pid)
{
    og_process_t p;

    og_forked_add(&forked, 500, 400, 10);
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_int_eq(p.ppid, 400);
    ck_assert(p.begun_usec == 10);
    ck_assert(!og_forked_find(&forked, 501, &p));
    og_forked_add(&forked, 500, 401, 20);
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_int_eq(p.ppid, 401);
    og_forked_forget(&forked, 500);
    ck_assert(!og_forked_find(&forked, 500, &p));
}
END_TEST

static void note(const og_process_t *p, void *ctx)
{
    *(int *)ctx += p->pid;
}

START_TEST(lists_all)
{
    int sum = 0;

    og_forked_add(&forked, 500, 400, 10);
    og_forked_add(&forked, 7000, 400, 20);
    og_forked_each(&forked, note, &sum);
    ck_assert_int_eq(sum, 7500);
}
END_TEST

/* Many short-lived ones do not displace one that lives: this very process. */
START_TEST(keeps_the_living)
{
    og_process_t p;

    og_forked_add(&forked, getpid(), getppid(), 1);
    for (int i = 0; i < 20 * OG_FORKED_MAX; i++) {
        errno = EDOM;
        og_forked_add(&forked, 0x40000000 + i, 1, 2);
        ck_assert_int_eq(errno, EDOM);
    }
    ck_assert(og_forked_find(&forked, getpid(), &p));
    ck_assert_int_eq(p.ppid, getppid());
}
END_TEST

/* Where all neighbours live, the one that was there first goes. */
START_TEST(displaces_the_oldest)
{
    enum { LIVING = 8, NEW = 0x40000000 }; /* a pid that none of them can have */
    pid_t pids[LIVING];
    og_process_t p;

    for (int i = 0; i < LIVING; i++) {
        if ((pids[i] = fork()) == 0) {
            pause();
            _exit(0);
        }
        /* As if it were a neighbour. */
        forked.entries[(NEW + i) % OG_FORKED_MAX] =
            (og_process_t){ pids[i], 1, (uint64_t)(i == 5 ? 1 : 10 + i), 0 };
    }
    og_forked_add(&forked, NEW, 7, 99);
    ck_assert(og_forked_find(&forked, NEW, &p));
    ck_assert_int_eq(forked.entries[(NEW + 5) % OG_FORKED_MAX].pid, NEW);
    for (int i = 0; i < LIVING; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}
END_TEST

START_TEST(sweeps)
{
    og_process_t p;
    pid_t dead = fork();

    if (dead == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
    og_forked_add(&forked, dead, 1, 1);
    og_forked_add(&forked, getpid(), 1, 1);
    og_forked_sweep(&forked);
    ck_assert(!og_forked_find(&forked, dead, &p));
    ck_assert(og_forked_find(&forked, getpid(), &p));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("forked");

    tcase_add_test(tc, finds_the_last_of_a_pid);
    tcase_add_test(tc, lists_all);
    tcase_add_test(tc, keeps_the_living);
    tcase_add_test(tc, displaces_the_oldest);
    tcase_add_test(tc, sweeps);
    return unit_run("forked", &tc, 1);
}
