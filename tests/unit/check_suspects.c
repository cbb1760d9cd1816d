/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/suspects.h"
#include "places.h"
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static og_suspects_t found;

static uint32_t random_number(uint32_t below)
{
    static uint64_t state = 88172645463325252ULL;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

/* A request has ended, and this one has so many pages. */
static void ended_in(int pid, og_seeing_t *s, unsigned at, int64_t pages)
{
    if (og_windows_see(s, at, 1) && og_windows_shut(s, 1, 0, 0))
        og_windows_close(s, &windows, &routes, pid, 1, pages, 0);
}

static void ended(og_seeing_t *s, unsigned at, int64_t pages)
{
    ended_in(7, s, at, pages);
}

static const og_suspect_t *suspect(unsigned at)
{
    const og_suspect_t *s = og_suspects_of(&found, routes.routes[at].hash);

    ck_assert_ptr_nonnull(s);
    return s;
}

/* Heaps that keep what is given back: one for each thread, as malloc's. */
#define PROCESSES 2
#define THREADS 8
#define LEAKS_PAGES 128 /* what a leaking request keeps */
#define TAKES_PAGES 256 /* what another one takes, and gives back */

typedef struct {
    og_seeing_t seeing;
    int64_t pages, spare[THREADS];
} process_t;

static process_t processes[PROCESSES];

static void ask(process_t *p, unsigned at, int64_t takes, int64_t gives_back)
{
    int64_t *spare = &p->spare[random_number(THREADS)];

    if (p->pages == 0) {
        p->pages = 5000; /* it warms up */
        og_windows_begin(&p->seeing, THREADS);
    }
    if (*spare < takes) {
        p->pages += takes - *spare;
        *spare = takes;
    }
    *spare -= takes - gives_back;
    ended_in(1 + (int)(p - processes), &p->seeing, at, p->pages);
}

/* One request in a hundred leaks, and takes what others gave back: those then have to take
 * more. */
START_TEST(finds_the_culprit)
{
    unsigned leak = place("/leak"), takes = place("/takes"), quiet = place("/quiet");

    memset(processes, 0, sizeof processes);
    for (int i = 0; i < 5050; i++) {
        process_t *p = &processes[random_number(PROCESSES)];

        if (random_number(100) == 0)
            ask(p, leak, LEAKS_PAGES, 0);
        else if (i % 2 == 0)
            ask(p, takes, TAKES_PAGES, TAKES_PAGES);
        else
            ask(p, quiet, 0, 0);
    }
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 3);
    ck_assert_uint_eq(found.of[0].hash, routes.routes[leak].hash);
    ck_assert_double_gt(found.of[0].pages, LEAKS_PAGES / 3.0);
    ck_assert_double_lt(found.of[0].pages, LEAKS_PAGES * 3.0);
    ck_assert_int_ge(og_suspects_judge(&found.of[0]), OG_SUSPICION_FAIR);
    ck_assert_double_lt(suspect(takes)->pages, 16);
    ck_assert_double_lt(suspect(quiet)->pages, 16);
    ck_assert_uint_gt(suspect(quiet)->requests, 1000);
}
END_TEST

/* All by itself, it is known to the page. */
START_TEST(is_exact_where_it_can_be)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a"), b = place("/b");
    int64_t pages = 1000;

    og_windows_begin(&s, 1);
    for (int w = 0; w < 100; w++) {
        int of_a = (int)random_number(OG_WINDOW_REQUESTS + 1);

        for (int i = 0; i < OG_WINDOW_REQUESTS; i++) {
            pages += i < of_a ? 3 : 0;
            ended(&s, i < of_a ? a : b, pages);
        }
    }
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 2);
    ck_assert_double_eq_tol(suspect(a)->pages, 3, 0.01);
    ck_assert_double_lt(suspect(a)->error, 0.1);
    ck_assert_double_gt(suspect(a)->share, 0.99);
    ck_assert_double_eq_tol(suspect(b)->pages, 0, 0.01);
    ck_assert_int_eq(og_suspects_judge(suspect(a)), OG_SUSPICION_STRONG);
    ck_assert_int_eq(og_suspects_judge(suspect(b)), OG_SUSPICION_NONE);
}
END_TEST

/* A process that serves one route alone has nothing to compare it with, and needs nothing. */
START_TEST(finds_the_only_one)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");

    og_windows_begin(&s, 1);
    for (int i = 0; i < 50 * OG_WINDOW_REQUESTS; i++)
        ended(&s, a, 4 * i + (int)random_number(9));
    og_suspects_find(&found, &windows, &routes);
    ck_assert_double_eq_tol(suspect(a)->pages, 4, 0.1);
    ck_assert_int_eq(og_suspects_judge(suspect(a)), OG_SUSPICION_STRONG);
}
END_TEST

/* Two that always come together: nobody can say which of them it is. */
START_TEST(is_unsure_of_twins)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a"), b = place("/b");

    og_windows_begin(&s, 1);
    for (int i = 0; i < 50 * OG_WINDOW_REQUESTS; i++)
        ended(&s, i % 2 != 0 ? a : b, 4 * i + (int)random_number(9));
    og_suspects_find(&found, &windows, &routes);
    ck_assert_int_le(og_suspects_judge(suspect(a)), OG_SUSPICION_NONE);
    ck_assert_int_le(og_suspects_judge(suspect(b)), OG_SUSPICION_NONE);
}
END_TEST

/* A request in flight when a window ends has its memory, and is not counted: a leak that is seen
 * one window before it is counted is found all the same. */
START_TEST(finds_what_is_counted_late)
{
    og_seeing_t s = { .requests = 0 };
    unsigned leak = place("/leak"), quiet = place("/quiet");
    int64_t pages = 0;
    int owed = 0;

    og_windows_begin(&s, 1);
    for (int i = 0; i < 100 * OG_WINDOW_REQUESTS; i++) {
        bool leaks = random_number(100) == 0;

        pages += leaks ? LEAKS_PAGES : 0;
        owed += leaks;
        if (owed > 0 && i % OG_WINDOW_REQUESTS < 2) {
            ended(&s, leak, pages);
            owed--;
        }
        else
            ended(&s, quiet, pages + random_number(LEAKS_PAGES));
    }
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.of[0].hash, routes.routes[leak].hash);
    ck_assert_int_ge(og_suspects_judge(&found.of[0]), OG_SUSPICION_FAIR);
}
END_TEST

/* What backends grow by is told apart from what workers do, and both count. */
START_TEST(finds_what_a_backend_keeps)
{
    og_seeing_t own = { .requests = 0 }, all = { .requests = 0 };
    unsigned leak = place("/leak"), quiet = place("/quiet");
    int64_t pages = 0, theirs = 0;

    for (int i = 0; i < 100 * OG_WINDOW_REQUESTS; i++) {
        bool leaks = random_number(50) == 0;

        pages += leaks;
        ended(&own, leaks ? leak : quiet, pages);
        theirs += leaks ? 100 : 0;
        ended_in(OG_WINDOW_BACKENDS, &all, leaks ? leak : quiet, theirs);
    }
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.of[0].hash, routes.routes[leak].hash);
    ck_assert_double_eq_tol(found.of[0].pages, 101, 1);
    ck_assert_int_eq(og_suspects_judge(&found.of[0]), OG_SUSPICION_STRONG);
}
END_TEST

START_TEST(says_nothing_of_a_few)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");

    og_windows_begin(&s, 1);
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 0);
    for (int i = 0; i < 5 * OG_WINDOW_REQUESTS; i++)
        ended(&s, a, i);
    ck_assert_uint_eq(windows.next, 4);
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 0);
    ck_assert_int_eq(og_suspects_judge(NULL), OG_SUSPICION_UNKNOWN);
}
END_TEST

/* Its place in the table is another's by now. */
START_TEST(forgets_what_was_evicted)
{
    og_seeing_t s = { .requests = 0 };
    unsigned a = place("/a");

    og_windows_begin(&s, 1);
    for (int i = 0; i < 50 * OG_WINDOW_REQUESTS; i++)
        ended(&s, a, i);
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 1);
    routes.routes[a].hash++;
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, 0);
}
END_TEST

/* More routes than a window has room for, more windows than the ring. A route that is asked for
 * less than all the others is found, if it is the one. */
START_TEST(finds_one_of_many)
{
    og_seeing_t s = { .requests = 0 };
    unsigned leak = place("/leak");
    int64_t pages = 0;

    og_windows_begin(&s, 1);
    for (int i = 0; i < (OG_WINDOWS + 10) * OG_WINDOW_REQUESTS; i++) {
        char path[16];

        snprintf(path, sizeof path, "/%u", random_number(200));
        pages += (int)random_number(3) - 1;
        if (random_number(500) == 0) {
            pages += 100;
            ended(&s, leak, pages);
        }
        else
            ended(&s, place(path), pages);
    }
    ck_assert_uint_eq(windows.next, OG_WINDOWS + 9);
    for (unsigned i = 0; i < OG_WINDOWS; i++)
        ck_assert_uint_le(windows.windows[i].seen, OG_WINDOW_ROUTES);
    og_suspects_find(&found, &windows, &routes);
    ck_assert_uint_eq(found.n, OG_SUSPECTS);
    for (unsigned i = 0; i < OG_SUSPECTS; i++)
        ck_assert(!isnan(found.of[i].pages) && !isnan(found.of[i].error));
    ck_assert_uint_eq(found.of[0].hash, routes.routes[leak].hash);
    ck_assert_int_ge(og_suspects_judge(&found.of[0]), OG_SUSPICION_FAIR);
}
END_TEST

START_TEST(orders_routes)
{
    og_route_t leaks = { .hash = 1 }, leaks_less = { .hash = 2, .kills = 1 };
    og_route_t kills = { .hash = 3, .kills = 2 }, takes = { .hash = 4, .most = 1000 };
    og_route_t quiet = { .hash = 5, .requests = 100000 };
    const og_route_t *order[] = { &leaks, &leaks_less, &kills, &takes, &quiet };

    found = (og_suspects_t){ 3, {
        { .hash = 1, .pages = 128, .error = 10, .share = 0.6, .requests = 50 },
        { .hash = 2, .pages = 10, .error = 1, .share = 0.3, .requests = 2000 },
        { .hash = 5, .pages = 0.01, .error = 0.001, .share = 0.05, .requests = 100000 },
    } };
    for (unsigned a = 0; a < 5; a++) {
        for (unsigned b = 0; b < 5; b++) {
            int n = og_suspects_compare(&found, order[a], order[b]);

            ck_assert(a < b ? n > 0 : a > b ? n < 0 : n == 0);
        }
    }
}
END_TEST

START_TEST(says_what_is_known)
{
    og_route_t r = { .requests = 0, .faults = 0 };
    og_suspect_t s = { .pages = 256, .error = 12.8, .share = 0.966, .requests = 4211 };
    char text[160];

    og_suspects_say(NULL, &r, 4096, text, sizeof text);
    ck_assert_str_eq(text, "has had no request that ended");
    r = (og_route_t){ .requests = 5000, .faults = 10000 };
    og_suspects_say(&s, &r, 4096, text, sizeof text);
    ck_assert_str_eq(text, "retains 1.0 MiB a request (+-51.2 KiB) over 4211 requests, 97 % of all "
                           "growth");
    s.pages = 20;
    og_suspects_say(&s, &r, 4096, text, sizeof text);
    ck_assert_str_eq(text, "takes 8.0 KiB a request over 5000 requests, and is not seen to retain "
                           "any");
    r.requests = 1;
    ck_assert_uint_eq(og_suspects_say(NULL, &r, 4096, text, sizeof text), strlen(text));
    ck_assert_str_eq(text, "takes 39.1 MiB a request over 1 request, too few to tell what it "
                           "retains");
    ck_assert_uint_eq(og_suspects_say(NULL, &r, 4096, text, 10), 9);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("suspects");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, finds_the_culprit);
    tcase_add_test(t, is_exact_where_it_can_be);
    tcase_add_test(t, finds_the_only_one);
    tcase_add_test(t, is_unsure_of_twins);
    tcase_add_test(t, finds_what_is_counted_late);
    tcase_add_test(t, finds_what_a_backend_keeps);
    tcase_add_test(t, says_nothing_of_a_few);
    tcase_add_test(t, forgets_what_was_evicted);
    tcase_add_test(t, finds_one_of_many);
    tcase_add_test(t, orders_routes);
    tcase_add_test(t, says_what_is_known);
    return unit_run("suspects", &t, 1);
}
