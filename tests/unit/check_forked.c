/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/forked.h"
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* What is behind the table is nobody's business. */
static struct {
    og_forked_t table;
    og_process_t behind;
} memory;
#define forked memory.table

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

static int listed;

static void note(const og_process_t *p, void *ctx)
{
    listed++;
    *(int *)ctx += p->pid;
}

START_TEST(lists_all)
{
    int sum = 0;

    og_forked_add(&forked, 500, 400, 10);
    og_forked_add(&forked, 7000, 400, 20);
    og_forked_add(&forked, OG_FORKED_MAX, 400, 20);     /* in the first place */
    og_forked_add(&forked, OG_FORKED_MAX - 1, 400, 20); /* in the last one */
    forked.entries[3].pid = -1;                         /* being written */
    memory.behind.pid = 500;
    og_forked_each(&forked, note, &sum);
    ck_assert_int_eq(listed, 4);
    ck_assert_int_eq(sum, 7500 + 2 * OG_FORKED_MAX - 1);
    ck_assert_int_eq(forked.entries[500].pid, 500); /* in the first of its places */
}
END_TEST

/* What is known of the one before is not true of the next one that has its pid. */
START_TEST(a_pid_that_is_had_again_has_no_marks)
{
    og_process_t p;

    og_forked_mark(&forked, 500, OG_FORKED_LEFT); /* nobody's yet */
    og_forked_add(&forked, 500, 400, 10);
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_uint_eq(p.marks, 0);
    og_forked_mark(&forked, 500, OG_FORKED_WORKER);
    og_forked_mark(&forked, 500, OG_FORKED_SHOT | OG_FORKED_SIGNAL(11));
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_uint_eq(p.marks, OG_FORKED_WORKER | OG_FORKED_SHOT | OG_FORKED_SIGNAL(11));
    ck_assert_int_eq(OG_FORKED_SIGNAL_OF(p.marks), 11);
    og_forked_add(&forked, 500, 400, 20);
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_uint_eq(p.marks, 0);
    ck_assert_uint_eq(p.begun_usec, 20);
    og_forked_mark(&forked, 500, OG_FORKED_LEFT);
    og_forked_forget(&forked, 500);
    og_forked_mark(&forked, 500, OG_FORKED_LEFT);
    og_forked_add(&forked, 500, 400, 30);
    ck_assert(og_forked_find(&forked, 500, &p));
    ck_assert_uint_eq(p.marks, 0);
}
END_TEST

/* A process of this test lives at each of the first n places where a pid would be, the oldest of
 * them at one of these. */
static void crowd(pid_t pid, int n, int oldest)
{
    for (int i = 0; i < n; i++)
        forked.entries[(pid + i) % OG_FORKED_MAX] =
            (og_process_t){ getpid(), 1, (uint64_t)(i == oldest ? 1 : 10 + i), OG_FORKED_LEFT };
}

/* It is found, marked and forgotten wherever it is, and has one place only: one that it had
 * before, when its neighbours lived, is not taken for it. */
START_TEST(a_pid_that_is_had_again_has_one_place)
{
    enum { PID = 0x10000000 };
    og_process_t p;
    int sum = 0;

    crowd(PID, 7, 0);
    og_forked_add(&forked, PID, 1, 99);
    ck_assert_int_eq(forked.entries[(PID + 7) % OG_FORKED_MAX].pid, PID);
    og_forked_mark(&forked, PID, OG_FORKED_SHOT);
    ck_assert(og_forked_find(&forked, PID, &p));
    ck_assert_uint_eq(p.marks, OG_FORKED_SHOT);
    for (int i = 0; i < 7; i++)
        forked.entries[(PID + i) % OG_FORKED_MAX].pid = i < 3 ? -1 : 0;
    og_forked_add(&forked, PID, 2, 100);
    ck_assert_int_eq(forked.entries[(PID + 3) % OG_FORKED_MAX].pid, PID);
    ck_assert(og_forked_find(&forked, PID, &p));
    ck_assert_uint_eq(p.marks, 0);
    ck_assert_int_eq(p.ppid, 2);
    og_forked_each(&forked, note, &sum);
    ck_assert_int_eq(listed, 1);
    ck_assert_int_eq(sum, PID);
    og_forked_forget(&forked, PID);
    ck_assert(!og_forked_find(&forked, PID, &p));
}
END_TEST

/* A place whose process is gone is taken before that of any that lives, however young it was. */
START_TEST(displaces_the_dead_first)
{
    enum { PID = 0x10000000, DEAD = 0x20000000 };

    crowd(PID, 3, 0);
    forked.entries[(PID + 3) % OG_FORKED_MAX] = (og_process_t){ DEAD, 1, 50, OG_FORKED_SHOT };
    og_forked_add(&forked, PID, 1, 99);
    ck_assert_int_eq(forked.entries[(PID + 3) % OG_FORKED_MAX].pid, PID);
    ck_assert_uint_eq(forked.entries[(PID + 3) % OG_FORKED_MAX].marks, 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(forked.entries[(PID + i) % OG_FORKED_MAX].pid, getpid());
}
END_TEST

/* Nobody looks further off. */
START_TEST(knows_eight_places)
{
    enum { PID = 0x10000000 };
    og_process_t p;

    crowd(PID, 8, 7);
    forked.entries[(PID + 8) % OG_FORKED_MAX].pid = PID;
    ck_assert(!og_forked_find(&forked, PID, &p));
    og_forked_mark(&forked, PID, OG_FORKED_LEFT);
    og_forked_forget(&forked, PID);
    ck_assert_int_eq(forked.entries[(PID + 8) % OG_FORKED_MAX].pid, PID);
    ck_assert_uint_eq(forked.entries[(PID + 8) % OG_FORKED_MAX].marks, 0);
    og_forked_add(&forked, PID, 1, 99);
    ck_assert_int_eq(forked.entries[(PID + 7) % OG_FORKED_MAX].pid, PID);
    /* Where all are being written, it does without. */
    for (int i = 0; i < 8; i++)
        forked.entries[(PID + i) % OG_FORKED_MAX].pid = -1;
    og_forked_add(&forked, PID, 1, 99);
    ck_assert(!og_forked_find(&forked, PID, &p));
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(forked.entries[(PID + i) % OG_FORKED_MAX].pid, -1);
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
    ck_assert_int_eq(p.ppid, 7);
    ck_assert_uint_eq(p.begun_usec, 99);
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
    forked.entries[0].pid = forked.entries[OG_FORKED_MAX - 1].pid = dead;
    memory.behind.pid = dead;
    og_forked_sweep(&forked);
    ck_assert_int_eq(memory.behind.pid, dead);
    ck_assert_int_eq(forked.entries[0].pid, 0);
    ck_assert_int_eq(forked.entries[OG_FORKED_MAX - 1].pid, 0);
    ck_assert(!og_forked_find(&forked, dead, &p));
    ck_assert(og_forked_find(&forked, getpid(), &p));
}
END_TEST

/* Two processes of the same pids, of which one after the other has a place: each has its own
 * parent and time. */
enum { FIRST = 0x40000000, PIDS = 3, PARENTS = 1000 };
static int stop;

static void *come_and_go(void *arg)
{
    int32_t n = *(int *)arg;

    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        pid_t pid = FIRST + i % PIDS;

        og_forked_add(&forked, pid, PARENTS * n + i % PIDS, (uint64_t)(PARENTS * n + i % PIDS));
        og_forked_mark(&forked, pid, OG_FORKED_WORKER);
        og_forked_forget(&forked, pid);
    }
    return NULL;
}

START_TEST(is_never_torn)
{
    pthread_t t[2];
    int n[] = { 1, 2 };
    og_process_t p;

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go, &n[i]), 0);
    for (int seen = 0, i = 0; seen < 2000; i++) {
        pid_t pid = FIRST + i % PIDS;

        if (!og_forked_find(&forked, pid, &p))
            continue;
        seen++;
        ck_assert_int_eq(p.pid, pid);
        ck_assert_int_eq(p.ppid % PARENTS, i % PIDS);
        ck_assert_uint_eq(p.begun_usec, (uint64_t)p.ppid);
        ck_assert_uint_eq(p.marks & ~OG_FORKED_WORKER, 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("forked");

    tcase_add_test(tc, finds_the_last_of_a_pid);
    tcase_add_test(tc, lists_all);
    tcase_add_test(tc, a_pid_that_is_had_again_has_no_marks);
    tcase_add_test(tc, a_pid_that_is_had_again_has_one_place);
    tcase_add_test(tc, displaces_the_dead_first);
    tcase_add_test(tc, knows_eight_places);
    tcase_add_test(tc, keeps_the_living);
    tcase_add_test(tc, displaces_the_oldest);
    tcase_add_test(tc, sweeps);
    tcase_add_test(tc, is_never_torn);
    return unit_run("forked", &tc, 1);
}
