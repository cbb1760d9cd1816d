/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/blame.h"
#include "unit.h"

static og_worker_t w;
static og_kmsg_kill_t kill;
static og_blame_t why;

static void setup(int n)
{
    w = (og_worker_t){ .pid = 100, .in_flight = n };
    kill = (og_kmsg_kill_t){ .pid = 100 };
    for (int i = 0; i < n && i < OG_LEDGER_DEAD_REQUESTS; i++) {
        w.requests[i].tid = 101 + i;
        w.requests[i].begun_usec = (uint64_t)(10 - i);
        w.requests[i].pages = OG_LEDGER_UNKNOWN;
    }
}

static int blamed(void)
{
    const og_request_t *q = og_blame(&w, &kill, &why);

    return q != NULL ? (int)(q - w.requests) : -1;
}

START_TEST(names_nobody_or_the_only_one)
{
    setup(0);
    ck_assert_int_eq(blamed(), -1);
    setup(1);
    why = OG_BLAME_LONGEST;
    ck_assert_int_eq(blamed(), 0);
    ck_assert_int_eq(why, OG_BLAME_ALONE);
}
END_TEST

START_TEST(names_by_what_is_known)
{
    setup(6);
    ck_assert_int_eq(blamed(), 3);
    ck_assert_int_eq(why, OG_BLAME_LONGEST);
    kill.invoked_pid = 102;
    ck_assert_int_eq(blamed(), 1);
    ck_assert_int_eq(why, OG_BLAME_ASKED);
    w.pages = w.requests[2].pages = 1000;
    ck_assert_int_eq(blamed(), 2);
    ck_assert_int_eq(why, OG_BLAME_LARGEST);
    kill.pid = 101; /* a thread's */
    ck_assert_int_eq(blamed(), 0);
    ck_assert_int_eq(why, OG_BLAME_KILLED);
}
END_TEST

/* Where the log says nothing, and where a process has one thread, whose id is its own. */
START_TEST(names_by_what_is_known_without_a_log)
{
    setup(3);
    w.requests[2].begun_usec = 8; /* as old as the first of the three is young */
    w.requests[0].begun_usec = 8;
    ck_assert_int_eq(og_blame(&w, NULL, &why) - w.requests, 0);
    ck_assert_int_eq(why, OG_BLAME_LONGEST);
    w.requests[1].begun_usec = 7;
    w.requests[1].tid = 100;
    w.requests[2].tid = 0;
    ck_assert_int_eq(blamed(), 1);
    ck_assert_int_eq(why, OG_BLAME_LONGEST);
    kill.pid = 0; /* nor is what it did not say a thread's */
    w.pid = 0;
    ck_assert_int_eq(blamed(), 1);
    ck_assert_int_eq(why, OG_BLAME_LONGEST);
    w.pages = w.requests[2].pages = 300;
    ck_assert_int_eq(og_blame(&w, NULL, &why) - w.requests, 2);
    ck_assert_int_eq(why, OG_BLAME_LARGEST);
}
END_TEST

START_TEST(needs_a_large_one)
{
    setup(3);
    kill.invoked_pid = 102;
    w.requests[0].pages = 600;
    w.requests[1].pages = 500;
    w.requests[2].pages = 400; /* none has half of it */
    w.pages = 1500;
    ck_assert_int_eq(blamed(), 1);
    w.requests[0].pages = 901;
    w.pages = 1801;
    ck_assert_int_eq(blamed(), 0);
    w.in_flight = 9; /* and those that are not listed */
    w.pages = 1900;
    ck_assert_int_eq(blamed(), 1);
    w.pages = 1802; /* half of it is not more than the others' */
    ck_assert_int_eq(blamed(), 1);
    w.requests[0].pages = 255; /* what any request takes */
    w.pages = 257;
    w.requests[1].pages = w.requests[2].pages = 1;
    ck_assert_int_eq(blamed(), 1);
    ck_assert_int_eq(why, OG_BLAME_ASKED);
    w.requests[0].pages = 256;
    ck_assert_int_eq(blamed(), 0);
    ck_assert_int_eq(why, OG_BLAME_LARGEST);
}
END_TEST

/* A thread may have left one whose response is still being written. */
START_TEST(names_what_a_thread_is_in_now)
{
    setup(3);
    w.requests[0].tid = w.requests[2].tid = 103;
    w.requests[0].begun_usec = 5;
    w.requests[2].begun_usec = 6;
    kill.invoked_pid = 103;
    ck_assert_int_eq(blamed(), 2);
    ck_assert_int_eq(why, OG_BLAME_ASKED);
    kill.pid = 103;
    ck_assert_int_eq(blamed(), 2);
    ck_assert_int_eq(why, OG_BLAME_KILLED);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("blame");

    tcase_add_test(t, names_nobody_or_the_only_one);
    tcase_add_test(t, names_by_what_is_known);
    tcase_add_test(t, names_by_what_is_known_without_a_log);
    tcase_add_test(t, needs_a_large_one);
    tcase_add_test(t, names_what_a_thread_is_in_now);
    return unit_run("blame", &t, 1);
}
