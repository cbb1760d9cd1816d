/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/windows.h"
#include "places.h"
#include "unit.h"

#include <pthread.h>
#include <string.h>

#define SEC 1000000ULL
#define NEVER UINT32_MAX /* so many requests end no window */

static og_window_t window;

START_TEST(ends_by_its_requests)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a"), b = place("/b");

    og_windows_begin(&s, 1);
    for (int i = 1; i <= 2 * OG_WINDOW_REQUESTS; i++) {
        ck_assert_int_eq(og_windows_see(&s, i % 4 == 0 ? a : b, SEC), i % OG_WINDOW_REQUESTS == 0);
        if (i % OG_WINDOW_REQUESTS == 0 && og_windows_shut(&s, SEC, 0, NEVER))
            og_windows_close(&s, &windows, &routes, 7, SEC, 10 * i, 0);
        ck_assert(!og_windows_copy(&windows, 0, &window) || i == 2 * OG_WINDOW_REQUESTS);
    }
    ck_assert(og_windows_copy(&windows, 0, &window));
    ck_assert(!og_windows_copy(&windows, 1, &window));
    ck_assert_int_eq(window.grown, 10 * OG_WINDOW_REQUESTS);
    ck_assert_uint_eq(window.seen, 2);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(window.routes[i].requests,
                          window.routes[i].at == a ? OG_WINDOW_REQUESTS / 4
                                                   : OG_WINDOW_REQUESTS * 3 / 4);
        ck_assert_uint_eq(window.routes[i].hash,
                          (uint32_t)routes.routes[window.routes[i].at].hash);
    }
}
END_TEST

/* A process that is seldom asked, and one that ends. */
START_TEST(ends_by_its_time)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");

    og_windows_begin(&s, 1);
    ck_assert(!og_windows_shut(&s, 5 * SEC, 0, NEVER));
    ck_assert(!og_windows_see(&s, a, 5 * SEC));
    ck_assert(!og_windows_see(&s, a, 5 * SEC + OG_WINDOW_USEC));
    ck_assert(og_windows_see(&s, a, 6 * SEC + OG_WINDOW_USEC));
    ck_assert(!og_windows_shut(&s, 16 * SEC, 12 * SEC, NEVER)); /* it has to last longer */
    ck_assert(og_windows_shut(&s, 16 * SEC, 11 * SEC, NEVER));
    og_windows_close(&s, &windows, &routes, 7, 16 * SEC, 100, 0);
    ck_assert_uint_eq(windows.next, 0); /* the first one is the warm-up */
    ck_assert(!og_windows_see(&s, a, 17 * SEC));
    ck_assert(og_windows_shut(&s, 18 * SEC, 0, NEVER));
    og_windows_close(&s, &windows, &routes, 7, 18 * SEC, 130, 0);
    ck_assert_uint_eq(windows.next, 1);
    ck_assert(og_windows_copy(&windows, 0, &window));
    ck_assert_int_eq(window.pid, 7);
    ck_assert_int_eq(window.grown, 30);
    ck_assert_uint_eq(window.routes[0].requests, 1);
}
END_TEST

/* 5,000 requests in 0.7 s, where a look takes long: a window has to last for 50 ms, or to have so
 * many requests that the look is worth it, and is full in any case. */
START_TEST(ends_in_a_burst)
{
    static const struct {
        uint32_t worth, windows;
    } bursts[] = { { NEVER, 13 }, { 0, 78 }, { OG_WINDOW_REQUESTS, 78 }, { 200, 25 }, { 1000, 13 } };
    unsigned a = place("/a"), ended = 0;
    og_seeing_t s = { .requests = 0 };

    for (unsigned i = 1; i <= 5000; i++) {
        uint64_t now = SEC + 140 * i;

        if (!og_windows_see(&s, a, now) || !og_windows_shut(&s, now, 50000, bursts[_i].worth))
            continue;
        ended++;
        ck_assert_uint_ge(s.requests, OG_WINDOW_REQUESTS);
        og_windows_close(&s, &windows, &routes, OG_WINDOW_BACKENDS, now, i, 0);
    }
    ck_assert_uint_eq(ended, bursts[_i].windows);
    ck_assert_uint_eq(windows.next, bursts[_i].windows);
}
END_TEST

/* A daemon died, or there is another one: what that does to the sum is no request's doing. */
START_TEST(leaves_out_what_others_did)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");
    static const uint64_t who[] = { 1, 1, 2, 2 };

    og_windows_begin(&s, 1);
    for (unsigned i = 0; i < 4 * OG_WINDOW_REQUESTS; i++) {
        if (og_windows_see(&s, a, SEC) && og_windows_shut(&s, SEC, 0, NEVER))
            og_windows_close(&s, &windows, &routes, 7, SEC, i, who[i / OG_WINDOW_REQUESTS]);
    }
    ck_assert_uint_eq(windows.next, 2);
    /* Of many threads each has to warm up. */
    og_windows_begin(&s, 32);
    for (unsigned i = 0; i < 10 * OG_WINDOW_REQUESTS; i++) {
        if (og_windows_see(&s, a, SEC) && og_windows_shut(&s, SEC, 0, NEVER))
            og_windows_close(&s, &windows, &routes, 7, SEC, i, 2);
    }
    ck_assert_uint_eq(windows.next, 4);
}
END_TEST

/* Its closer was killed: somebody else does it, in time. */
START_TEST(is_closed_by_another)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");

    og_windows_see(&s, a, SEC);
    ck_assert(og_windows_shut(&s, 2 * SEC, 0, NEVER));
    ck_assert(!og_windows_shut(&s, 2 * SEC, 0, NEVER));
    ck_assert(!og_windows_shut(&s, 12 * SEC, 0, NEVER));
    ck_assert(og_windows_shut(&s, 13 * SEC, 0, NEVER));
    og_windows_close(&s, &windows, &routes, 7, 13 * SEC, 5, 0);
    ck_assert_uint_eq(windows.next, 1);
    ck_assert(!og_windows_shut(&s, 14 * SEC, 0, NEVER)); /* it is empty */
}
END_TEST

static og_seeing_t shared;

static void *see(void *arg)
{
    for (int i = 0; i < 100 * OG_WINDOW_REQUESTS; i++) {
        if (og_windows_see(&shared, *(unsigned *)arg, SEC) && og_windows_shut(&shared, SEC, 0, NEVER))
            og_windows_close(&shared, &windows, &routes, 7, SEC, 1, 0);
    }
    return NULL;
}

/* No request is lost or counted twice. */
START_TEST(is_shared_by_threads)
{
    pthread_t t[4];
    unsigned at[4], counted = 0, n;
    char path[] = "/0";

    memset(&shared, 0, sizeof shared);
    for (int i = 0; i < 4; i++) {
        path[1] = (char)('0' + i);
        at[i] = place(path);
        ck_assert_int_eq(pthread_create(&t[i], NULL, see, &at[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    n = windows.next;
    ck_assert_uint_ge(n, 1);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < windows.windows[i].seen; k++)
            counted += windows.windows[i].routes[k].requests;
    }
    for (int i = 0; i < 4; i++)
        counted += shared.counts[at[i]];
    ck_assert_uint_eq(counted, 400 * OG_WINDOW_REQUESTS);
}
END_TEST

static int stop;

/* A process of its own: it grows by as many pages as it has requests, times a number. */
static void *fill(void *arg)
{
    unsigned at = *(unsigned *)arg;
    og_seeing_t s = { .requests = 0 };
    int64_t pages = 0;

    for (unsigned n = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
        unsigned requests = 1 + n % OG_WINDOW_REQUESTS;

        for (unsigned i = 0; i < requests; i++)
            og_windows_see(&s, at, SEC);
        pages += requests * (at + 1);
        if (og_windows_shut(&s, SEC, 0, 0))
            og_windows_close(&s, &windows, &routes, (pid_t)at + 1, SEC, pages, 0);
    }
    return NULL;
}

START_TEST(is_never_torn)
{
    pthread_t t[2];
    unsigned at[] = { place("/a"), place("/b") };

    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, fill, &at[i]), 0);
    for (unsigned seen = 0, i = 0; seen < 5000; i = (i + 1) % OG_WINDOWS) {
        if (!og_windows_copy(&windows, i, &window))
            continue;
        seen++;
        ck_assert_uint_eq(window.seen, 1);
        ck_assert_uint_eq(window.routes[0].at + 1U, (unsigned)window.pid);
        ck_assert_int_eq(window.grown, window.routes[0].requests * window.pid);
        ck_assert_uint_eq(window.routes[0].hash, (uint32_t)routes.routes[window.pid - 1].hash);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("windows");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, ends_by_its_requests);
    tcase_add_test(t, ends_by_its_time);
    tcase_add_loop_test(t, ends_in_a_burst, 0, 5);
    tcase_add_test(t, leaves_out_what_others_did);
    tcase_add_test(t, is_closed_by_another);
    tcase_add_test(t, is_shared_by_threads);
    tcase_add_test(t, is_never_torn);
    return unit_run("windows", &t, 1);
}
