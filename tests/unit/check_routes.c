/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/routes.h"
#include "step.h"
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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

static const struct {
    uint64_t seed;
    og_route_key_t key;
    uint64_t hash;
} hashes[] = {
    { 42, { "", "", "" }, 0x93e92c16b94b07ba },
    { 42, { "v", "h", "/a" }, 0x2ed88d1e52e9f00a },
    { 42, { "www.example.com", "default-handler", "/static/{hash}.css" }, 0x47a31ccc9e59e7da },
    { 42, { "12345678", "1234567", "123456789" }, 0x7be89d5ea5b67c10 },
    /* What would come to 0, 1, 2, 3, 4 and 6. */
    { 0, { "", "", "" }, 4 },
    { 0x7a38074f1174365a, { "", "", "" }, 4 },
    { 0xed12944b4c75ae7c, { "", "", "" }, 4 },
    { 0x7f3cf6e191acde88, { "", "", "" }, 4 },
    { 0xb014d436d7fced81, { "", "", "" }, 4 },
    { 0xc3c59e0182a8bf51, { "", "", "" }, 6 },
};

/* Processes of several builds share the table: whoever changes a hash changes the ledger's layout,
 * too. These were computed by another program; where bytes are in another order, they differ. */
START_TEST(has_always_the_same_hash)
{
    table.seed = hashes[_i].seed;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    ck_assert_uint_eq(og_routes_hash(&table, &hashes[_i].key), hashes[_i].hash);
#endif
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

/* --- All in one set. */

#define SETS (OG_ROUTES / OG_ROUTES_WAYS)
#define NEWCOMER 20

/* The nth hash that belongs in a set. */
static uint64_t nth_hash(unsigned set, unsigned n)
{
    return (uint64_t)((n + 1) * SETS + set) * 2;
}

static og_route_t *take_nth(og_routes_t *t, unsigned set, unsigned n)
{
    char pattern[16];
    og_route_key_t key = { "v", "h", pattern };

    snprintf(pattern, sizeof pattern, "/%u", n);
    return og_routes_take(t, nth_hash(set, n), &key);
}

/* How many places have it, and how many requests they have. */
static unsigned places_of(const og_routes_t *t, unsigned set, unsigned n, uint64_t *requests)
{
    unsigned places = 0;

    *requests = 0;
    for (unsigned i = 0; i < OG_ROUTES; i++) {
        if (t->routes[i].hash == nth_hash(set, n)) {
            places++;
            *requests += t->routes[i].requests;
        }
    }
    return places;
}

/* Each set has places of its own, and all of them are used. */
START_TEST(has_room_for_so_many)
{
    for (unsigned set = 0; set < SETS; set++) {
        for (unsigned n = 0; n < OG_ROUTES_WAYS; n++)
            ck_assert_ptr_eq(take_nth(&table, set, n), &table.routes[set * OG_ROUTES_WAYS + n]);
    }
    ck_assert_uint_eq(table.evicted, 0);
    for (unsigned set = 0; set < SETS; set++)
        ck_assert_ptr_eq(og_routes_find(&table, nth_hash(set, 7)),
                         &table.routes[set * OG_ROUTES_WAYS + 7]);
    take_nth(&table, 0, NEWCOMER);
    ck_assert_uint_eq(table.evicted, 1);
}
END_TEST

/* Kills, pages and requests of all places but the last: 5, 5 and 5. */
static const struct {
    uint32_t kills;
    uint64_t faults, requests;
    bool goes; /* the last one; or else the first */
} last[] = {
    { 5, 5, 5, false }, { 5, 5, 4, true }, { 5, 5, 6, false }, { 5, 4, 9, true },
    { 5, 6, 1, false }, { 4, 9, 9, true }, { 6, 1, 1, false },
};

START_TEST(drives_out_the_dullest)
{
    og_route_t *set = table.routes, *r;

    for (unsigned n = 0; n < OG_ROUTES_WAYS; n++) {
        r = take_nth(&table, 0, n);
        r->kills = 5;
        r->faults = r->requests = r->most = 5;
    }
    r->kills = last[_i].kills;
    r->faults = last[_i].faults;
    r->requests = last[_i].requests;
    r = take_nth(&table, 0, NEWCOMER);
    ck_assert_ptr_eq(r, last[_i].goes ? &set[OG_ROUTES_WAYS - 1] : &set[0]);
    ck_assert_uint_eq(r->kills, 0);
    ck_assert_uint_eq(r->faults, 0);
    ck_assert_uint_eq(r->requests, 0);
    ck_assert_uint_eq(r->most, 0);
    ck_assert_str_eq(r->pattern, "/20");
    ck_assert_uint_eq(table.evicted, 1);
}
END_TEST

/* What nobody has goes before all others, the first of it first. */
START_TEST(takes_what_is_vacant)
{
    og_route_t *set = table.routes;

    for (unsigned n = 0; n < OG_ROUTES_WAYS; n++)
        og_routes_ended(take_nth(&table, 0, n), 1);
    set[2].hash = set[5].hash = 2;
    set[2].faults = 7; /* whoever made it vacant has not changed these */
    ck_assert_ptr_eq(take_nth(&table, 0, NEWCOMER), &set[2]);
    ck_assert_ptr_eq(take_nth(&table, 0, NEWCOMER + 1), &set[5]);
    ck_assert_uint_eq(table.evicted, 0);
}
END_TEST

/* Nor where a process was killed while it gave a place away: that place is nobody's, and has no
 * wrong count. */
START_TEST(leaves_a_broken_place_alone)
{
    og_route_t *set = table.routes, copy;

    for (int i = 0; i < OG_ROUTES_WAYS; i++)
        set[i].hash = nth_hash(0, 50 + (unsigned)i) | 1;
    set[0].hash = 1;
    ck_assert_ptr_null(take_nth(&table, 0, 0));
    ck_assert(!og_routes_copy(&table, 0, &copy));
    set[3].hash = 0;
    ck_assert_ptr_eq(take_nth(&table, 0, 0), &set[3]);
    ck_assert_uint_eq(set[3].requests, 0);
    set[5].hash = 2;
    ck_assert(!og_routes_copy(&table, 5, &copy));
    ck_assert_ptr_eq(take_nth(&table, 0, 1), &set[5]);
    ck_assert(og_routes_copy(&table, 5, &copy));
    ck_assert_str_eq(copy.pattern, "/1");
    ck_assert_uint_eq(table.evicted, 0);
}
END_TEST

/* A process was killed while it gave a place to the very route that others want now. */
START_TEST(is_not_locked_out_by_the_dead)
{
    og_route_t *set = table.routes, *r;
    unsigned dead = (unsigned)_i;

    for (unsigned i = 0; i < OG_ROUTES_WAYS; i++)
        og_routes_ended(take_nth(&table, 0, i), i == dead ? 0 : 1 + i);
    set[dead].hash = nth_hash(0, 100) | 1;
    r = take_nth(&table, 0, 100);
    ck_assert_ptr_eq(r, dead == 0 ? &set[1] : &set[0]);
    ck_assert_uint_eq(r->hash, nth_hash(0, 100));
    ck_assert_uint_eq(r->requests, 0);
    ck_assert_uint_eq(set[dead].hash, 1);
    ck_assert_uint_eq(table.evicted, 1);
    ck_assert_ptr_eq(take_nth(&table, 0, 100), r);
}
END_TEST

/* --- Threads, and processes over shared memory, that ask for the same at the same moment. */

#define CONTENDERS 2
#define TABLES 16
#define STRESS_ROUNDS (TABLES * SETS)

static struct {
    unsigned arrived; /* where a round begins, of all rounds */
    og_routes_t tables[TABLES];
} *arena;

static int stop;

/* In every other round the set is full of others, and there is one newcomer. */
static bool is_full(unsigned round)
{
    return round % 2 == 0;
}

static void open_arena(void)
{
    arena = mmap(NULL, sizeof *arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(arena, MAP_FAILED);
    for (unsigned round = 0; round < STRESS_ROUNDS; round += 2) {
        for (unsigned n = 0; n < OG_ROUTES_WAYS; n++)
            og_routes_took(take_nth(&arena->tables[round / SETS], round % SETS, n), 1);
    }
}

/* Waits for the others, but not for long: they may not run now. Then a little longer or shorter
 * than they. */
static void meet(unsigned round, unsigned me)
{
    unsigned arrived = __atomic_add_fetch(&arena->arrived, 1, __ATOMIC_ACQ_REL);

    for (unsigned i = 0; i < 20000 && arrived < (round + 1) * CONTENDERS; i++)
        arrived = __atomic_load_n(&arena->arrived, __ATOMIC_ACQUIRE);
    for (volatile unsigned i = 0; i < round * (me + 1) % 32; i++)
        ;
}

static void contend(unsigned me)
{
    for (unsigned round = 0; round < STRESS_ROUNDS; round++) {
        og_routes_t *t = &arena->tables[round / SETS];
        og_route_t *set = t->routes + round % SETS * OG_ROUTES_WAYS;

        meet(round, me);
        for (unsigned n = 0; n < OG_ROUTES_WAYS && !is_full(round); n++)
            og_routes_ended(take_nth(t, round % SETS, n), 1);
        if (is_full(round)) {
            og_routes_took(&set[(me + round / 2) % 4], 1); /* another one is the dullest */
            og_routes_ended(take_nth(t, round % SETS, NEWCOMER), 1);
        }
    }
}

static void *contend_as_thread(void *arg)
{
    contend((unsigned)(uintptr_t)arg);
    return NULL;
}

/* Each has one place and all its requests; nothing was driven out but by a newcomer: by each
 * contender one at most. */
static void judge(void)
{
    uint64_t requests;

    for (unsigned round = 0; round < STRESS_ROUNDS; round++) {
        const og_routes_t *t = &arena->tables[round / SETS];

        for (unsigned n = 0; n < OG_ROUTES_WAYS && !is_full(round); n++) {
            ck_assert_uint_eq(places_of(t, round % SETS, n, &requests), 1);
            ck_assert_uint_eq(requests, CONTENDERS);
        }
        if (is_full(round)) {
            ck_assert_uint_eq(places_of(t, round % SETS, NEWCOMER, &requests), 1);
            ck_assert_uint_eq(requests, CONTENDERS);
        }
    }
    for (unsigned i = 0; i < TABLES; i++) {
        ck_assert_uint_ge(arena->tables[i].evicted, SETS / 2);
        ck_assert_uint_le(arena->tables[i].evicted, CONTENDERS * SETS / 2);
    }
}

/* Whoever reads a route has the text that belongs to its hash. */
static void *read_all(void *arg)
{
    og_route_t copy;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (unsigned i = 0; i < TABLES * OG_ROUTES; i++) {
            char pattern[16];

            if (!og_routes_copy(&arena->tables[i / OG_ROUTES], i % OG_ROUTES, &copy))
                continue;
            snprintf(pattern, sizeof pattern, "/%u", (unsigned)(copy.hash / 2 / SETS) - 1);
            ck_assert_str_eq(copy.pattern, pattern);
            ck_assert_str_eq(copy.vhost, "v");
        }
    }
    return arg;
}

START_TEST(gives_one_place_to_threads)
{
    pthread_t t[CONTENDERS], reader;

    open_arena();
    ck_assert_int_eq(pthread_create(&reader, NULL, read_all, NULL), 0);
    for (unsigned i = 0; i < CONTENDERS; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, contend_as_thread,
                                        (void *)(uintptr_t)i), 0);
    for (int i = 0; i < CONTENDERS; i++)
        pthread_join(t[i], NULL);
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(reader, NULL);
    judge();
}
END_TEST

START_TEST(gives_one_place_to_processes)
{
    pid_t pid[CONTENDERS];

    open_arena();
    for (unsigned i = 0; i < CONTENDERS; i++) {
        if ((pid[i] = fork()) == 0) {
            contend(i);
            _exit(0);
        }
        ck_assert_int_gt(pid[i], 0);
    }
    for (int i = 0; i < CONTENDERS; i++)
        ck_assert_int_eq(waitpid(pid[i], NULL, 0), pid[i]);
    judge();
}
END_TEST

static void want_newcomer(void)
{
    og_route_key_t key = { "v", "h", "/new" };

    og_routes_ended(og_routes_take(arena->tables, nth_hash(0, NEWCOMER), &key), 1);
}

/* Another process is held in the midst of that. */
static const struct {
    unsigned full;  /* so many places are taken by others */
    unsigned asked; /* for by this process meanwhile */
    bool killed;    /* it does not go on */
} held[] = {
    { 0, NEWCOMER, false },
    { 0, NEWCOMER + 1, false },
    { 0, NEWCOMER, true },
    { OG_ROUTES_WAYS - 2, NEWCOMER + 1, false },
    { OG_ROUTES_WAYS, NEWCOMER, false },
    { OG_ROUTES_WAYS, NEWCOMER, true },
};

/* Fills places with others, the first of which is the dullest. */
static void fill(og_routes_t *t, unsigned places)
{
    memset(t, 0, sizeof *t);
    for (unsigned n = 0; n < places; n++)
        og_routes_ended(take_nth(t, 0, n), 1 + n);
}

START_TEST(gives_one_place_wherever_another_stands)
{
    unsigned full = held[_i].full, asked = held[_i].asked, length;
    unsigned requests_least = asked == NEWCOMER && !held[_i].killed ? 2 : 1;
    og_routes_t *t;
    uint64_t requests;

    open_arena();
    t = arena->tables;
    fill(t, full);
    length = step_length(want_newcomer);
    for (unsigned at = 0; at < length; at += 1 + length / STEP_POINTS) {
        unsigned left = 0;
        pid_t pid;

        fill(t, full);
        pid = step_hold(want_newcomer, at);
        og_routes_took(t->routes, 100); /* now another one is the dullest */
        og_routes_ended(take_nth(t, 0, asked), 1);
        ck_assert_uint_eq(places_of(t, 0, asked, &requests), 1);
        if (held[_i].killed)
            step_kill(pid);
        else
            step_release(pid);
        ck_assert_uint_eq(places_of(t, 0, asked, &requests), 1);
        ck_assert_uint_ge(requests, requests_least);
        ck_assert_uint_eq(places_of(t, 0, NEWCOMER, &requests), 1);
        ck_assert_uint_ge(requests, requests_least);
        ck_assert_uint_le(t->evicted, full < OG_ROUTES_WAYS ? 0 : 2);
        for (unsigned n = 0; n < full; n++)
            left += places_of(t, 0, n, &requests);
        /* One that is killed may not have counted what it drove out. */
        ck_assert_uint_le(left + t->evicted, full);
        ck_assert_uint_ge(left + t->evicted + held[_i].killed, full);
    }
}
END_TEST

/* Each that is killed takes one place with it at most. */
START_TEST(survives_kills)
{
    enum { ROUTES = 16 };
    pid_t pid[OG_ROUTES_WAYS - 1];
    uint64_t requests;

    open_arena();
    for (unsigned i = 0; i < OG_ROUTES_WAYS - 1; i++) {
        if ((pid[i] = fork()) == 0) {
            for (unsigned n = i;; n++)
                og_routes_ended(take_nth(arena->tables, 1, n % ROUTES), 1);
        }
        ck_assert_int_gt(pid[i], 0);
    }
    for (unsigned i = 0; i < OG_ROUTES_WAYS - 1; i++) {
        usleep(5000);
        ck_assert_int_eq(kill(pid[i], SIGKILL), 0);
        ck_assert_int_eq(waitpid(pid[i], NULL, 0), pid[i]);
    }
    for (unsigned n = 0; n < ROUTES; n++)
        ck_assert_uint_le(places_of(arena->tables, 1, n, &requests), 1);
    for (unsigned n = 0; n < ROUTES; n++) {
        og_route_t *r = take_nth(arena->tables, 1, n);

        ck_assert_ptr_nonnull(r);
        ck_assert_uint_eq(r->hash, nth_hash(1, n));
        ck_assert_uint_eq(places_of(arena->tables, 1, n, &requests), 1);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("routes");

    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, tells_routes_apart);
    tcase_add_loop_test(t, has_always_the_same_hash, 0, sizeof hashes / sizeof *hashes);
    tcase_add_test(t, cuts_long_text);
    tcase_add_test(t, has_room_for_so_many);
    tcase_add_loop_test(t, drives_out_the_dullest, 0, sizeof last / sizeof *last);
    tcase_add_test(t, takes_what_is_vacant);
    tcase_add_test(t, counts);
    tcase_add_test(t, keeps_what_is_interesting);
    tcase_add_test(t, is_mended_by_the_next);
    tcase_add_test(t, leaves_a_broken_place_alone);
    tcase_add_loop_test(t, is_not_locked_out_by_the_dead, 0, OG_ROUTES_WAYS);
    tcase_add_test(t, is_shared);
    tcase_add_test(t, gives_one_place_to_threads);
    tcase_add_test(t, gives_one_place_to_processes);
    tcase_add_loop_test(t, gives_one_place_wherever_another_stands, 0,
                        sizeof held / sizeof *held);
    tcase_add_test(t, survives_kills);
    return unit_run("routes", &t, 1);
}
