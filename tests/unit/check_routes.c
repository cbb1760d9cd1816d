/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/routes.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static og_routes_t table;

static og_route_t *take(const char *vhost, const char *handler, const char *pattern)
{
    og_route_key_t key = { vhost, handler, pattern };

    return og_routes_take(&table, og_routes_hash(&table, &key), &key);
}

static void setup(void)
{
    memset(&table, 0, sizeof table);
    table.seed = 42;
}

START_TEST(tells_routes_apart)
{
    og_route_t *a = take("v", "h", "/a"), *b = take("v", "h", "/b"), copy;

    ck_assert_ptr_ne(a, b);
    ck_assert_ptr_eq(take("v", "h", "/a"), a);
    ck_assert_ptr_ne(take("w", "h", "/a"), a);
    ck_assert_ptr_ne(take("v", "i", "/a"), a);
    ck_assert_ptr_ne(take("vh", "", "/a"), take("v", "h", "/a"));
    ck_assert_ptr_nonnull(take("", "", ""));
    ck_assert_ptr_eq(og_routes_find(&table, a->hash), a);
    ck_assert_ptr_null(og_routes_find(&table, a->hash + 1));
    ck_assert(og_routes_copy(&table, (unsigned)(b - table.routes), &copy));
    ck_assert_str_eq(copy.vhost, "v");
    ck_assert_str_eq(copy.handler, "h");
    ck_assert_str_eq(copy.pattern, "/b");
}
END_TEST

START_TEST(cuts_long_text)
{
    char text[300];
    og_route_t *r, copy;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    r = take(text, text, text);
    ck_assert(og_routes_copy(&table, (unsigned)(r - table.routes), &copy));
    ck_assert_uint_eq(strlen(copy.vhost), sizeof copy.vhost - 1);
    ck_assert_uint_eq(strlen(copy.handler), sizeof copy.handler - 1);
    ck_assert_uint_eq(strlen(copy.pattern), sizeof copy.pattern - 1);
}
END_TEST

START_TEST(counts)
{
    og_route_t *r = take("v", "h", "/a");

    og_routes_ended(r, 0);
    og_routes_ended(r, 500);
    og_routes_ended(r, 30);
    og_routes_killed(r);
    ck_assert_uint_eq(r->requests, 3);
    ck_assert_uint_eq(r->faults, 530);
    ck_assert_uint_eq(r->most, 500);
    ck_assert_uint_eq(r->kills, 1);
}
END_TEST

/* Whoever asks for a thousand pages that nobody knows does not drive out what matters. */
START_TEST(keeps_what_is_interesting)
{
    og_route_t *large = take("v", "h", "/large"), *killer = take("v", "h", "/kill");
    uint64_t large_hash = large->hash, killer_hash = killer->hash;

    og_routes_ended(large, 1000);
    og_routes_killed(killer);
    for (int i = 0; i < 100 * OG_ROUTES; i++) {
        char path[32];

        snprintf(path, sizeof path, "/x%d", i);
        og_routes_ended(take("v", "h", path), (uint64_t)(i % 3));
    }
    ck_assert_ptr_eq(og_routes_find(&table, large_hash), large);
    ck_assert_ptr_eq(og_routes_find(&table, killer_hash), killer);
    ck_assert_uint_ge(table.evicted, 99 * OG_ROUTES);
}
END_TEST

/* One that died before it could write the text of its route. */
START_TEST(is_mended_by_the_next)
{
    og_route_t *r = take("v", "h", "/a"), copy;

    r->ready = 0;
    memset(r->pattern, 0, sizeof r->pattern);
    ck_assert(!og_routes_copy(&table, (unsigned)(r - table.routes), &copy));
    ck_assert_ptr_eq(take("v", "h", "/a"), r);
    ck_assert(og_routes_copy(&table, (unsigned)(r - table.routes), &copy));
    ck_assert_str_eq(copy.pattern, "/a");
}
END_TEST

#define THREADS 4
#define ROUNDS 20000

static void *ask(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        char path[32];

        snprintf(path, sizeof path, "/%d", i % 100);
        og_routes_ended(take("v", "h", path), 1);
    }
    return arg;
}

START_TEST(is_shared)
{
    pthread_t t[THREADS];
    uint64_t requests = 0;

    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, ask, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < OG_ROUTES; i++)
        requests += table.routes[i].requests;
    ck_assert_uint_eq(requests, THREADS * ROUNDS);
    ck_assert_uint_eq(table.evicted, 0);
}
END_TEST

/* Nor where one died while a place was given away: it is nobody's, and has no wrong count. */
START_TEST(leaves_a_broken_place_alone)
{
    og_route_t *set = table.routes, copy;
    og_route_key_t key = { "v", "h", "/a" };
    uint64_t hash = OG_ROUTES; /* of the first set */

    for (int i = 0; i < OG_ROUTES_WAYS; i++)
        set[i].hash = 1;
    ck_assert_ptr_null(og_routes_take(&table, hash, &key));
    ck_assert(!og_routes_copy(&table, 0, &copy));
    set[3].hash = 0;
    ck_assert_ptr_eq(og_routes_take(&table, hash, &key), &set[3]);
    ck_assert_uint_eq(set[3].requests, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("routes");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, tells_routes_apart);
    tcase_add_test(t, cuts_long_text);
    tcase_add_test(t, counts);
    tcase_add_test(t, keeps_what_is_interesting);
    tcase_add_test(t, is_mended_by_the_next);
    tcase_add_test(t, leaves_a_broken_place_alone);
    tcase_add_test(t, is_shared);
    return unit_run("routes", &t, 1);
}
