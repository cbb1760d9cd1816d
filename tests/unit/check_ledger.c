/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/ledger.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOTS 4
#define CELLS 8
#define SEC 1000000ULL

static og_ledger_t *l;
static unsigned hint;
static __thread bool same;

static void setup(void)
{
    void *mem = mmap(NULL, og_ledger_size(SLOTS, CELLS), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    ck_assert_ptr_ne(mem, MAP_FAILED);
    l = og_ledger_init(mem, SLOTS, CELLS);
    hint = 0;
}

static og_request_t *begin_as(int slot, unsigned *mine, pid_t pid, pid_t tid, const char *path)
{
    og_asked_t a = { pid, tid, SEC, 0, 0, "GET", "c", "v", path, NULL, false };

    return og_ledger_begin(l, slot, mine, &a, &same);
}

static og_request_t *begin(int slot, pid_t pid, pid_t tid, uint64_t usec, const char *path)
{
    og_asked_t a = { pid, tid, usec, 0, 0, "GET", "127.0.0.1", "a.example", path, NULL,
                     false };

    return og_ledger_begin(l, slot, &hint, &a, &same);
}

START_TEST(tells_the_living)
{
    og_worker_t w;
    og_request_t *cell;

    ck_assert_int_eq(og_ledger_slot(l, 100), -1);
    og_ledger_started(l, 2, 100, 7, 10 * SEC);
    ck_assert_int_eq(og_ledger_slot(l, 100), 2);
    ck_assert(og_ledger_worker(l, 100, 0, 11 * SEC, 0, &w));
    ck_assert_int_eq(w.slot, 2);
    ck_assert_int_eq(w.generation, 7);
    ck_assert_int_eq(w.in_flight, 0);
    ck_assert(!og_ledger_worker(l, 101, 0, 11 * SEC, 0, &w));
    /* Not yet born: somebody else had the pid then. */
    ck_assert(!og_ledger_worker(l, 100, 0, 8 * SEC, SEC, &w));

    cell = begin(2, 100, 100, 12 * SEC, "/x");
    ck_assert_ptr_nonnull(cell);
    ck_assert(og_ledger_worker(l, 100, 0, 13 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/x");
    ck_assert_str_eq(w.requests[0].method, "GET");
    ck_assert_str_eq(w.requests[0].client, "127.0.0.1");
    ck_assert_str_eq(w.requests[0].vhost, "a.example");
    og_ledger_end(cell);
    ck_assert(og_ledger_worker(l, 100, 0, 13 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 0);
}
END_TEST

START_TEST(tells_the_dead)
{
    og_worker_t w;

    og_ledger_started(l, 1, 100, 0, 10 * SEC);
    begin(1, 100, 100, 12 * SEC, "/killer");
    og_ledger_exited(l, 1, 100, 0, 20 * SEC);
    /* Its successor in the slot answers for itself alone. */
    og_ledger_started(l, 1, 200, 0, 20 * SEC);
    begin(1, 200, 200, 21 * SEC, "/innocent");
    ck_assert(og_ledger_worker(l, 100, 0, 19 * SEC, 0, &w));
    ck_assert_int_eq(w.pid, 100);
    ck_assert_int_eq(w.slot, 1);
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/killer");
    ck_assert(og_ledger_worker(l, 200, 0, 22 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/innocent");
    /* Long dead by then: a stranger has its pid. */
    ck_assert(!og_ledger_worker(l, 100, 0, 40 * SEC, 5 * SEC, &w));
}
END_TEST

/* The same pid twice: who is meant, the time tells. */
START_TEST(tells_namesakes_apart)
{
    og_worker_t w;

    og_ledger_started(l, 0, 100, 1, 10 * SEC);
    og_ledger_exited(l, 0, 100, 1, 20 * SEC);
    og_ledger_started(l, 3, 100, 2, 30 * SEC);
    ck_assert(og_ledger_worker(l, 100, 0, 19 * SEC, SEC, &w));
    ck_assert_int_eq(w.generation, 1);
    ck_assert(og_ledger_worker(l, 100, 0, 31 * SEC, SEC, &w));
    ck_assert_int_eq(w.generation, 2);
    ck_assert(!og_ledger_worker(l, 100, 0, 25 * SEC, SEC, &w));
}
END_TEST

/* The worker MPM gives a slot away while its old owner still serves. */
START_TEST(keeps_owners_of_one_slot_apart)
{
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 10 * SEC);
    begin(0, 100, 100, 11 * SEC, "/old");
    og_ledger_started(l, 0, 200, 1, 12 * SEC);
    begin(0, 200, 200, 13 * SEC, "/new");
    ck_assert(og_ledger_worker(l, 200, 0, 14 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/new");
    /* The old one is a worker still, and its request is known. */
    ck_assert_int_eq(og_ledger_slot(l, 100), 0);
    ck_assert(og_ledger_worker(l, 100, 0, 14 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/old");
    og_ledger_exited(l, -1, 100, 0, 15 * SEC);
    ck_assert_int_eq(og_ledger_slot(l, 100), -1);
    ck_assert(og_ledger_worker(l, 100, 0, 15 * SEC, 0, &w));
    ck_assert_int_eq(w.slot, 0);
    ck_assert_str_eq(w.requests[0].path, "/old");
    ck_assert(og_ledger_worker(l, 200, 0, 16 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
}
END_TEST

START_TEST(lists_the_oldest_first)
{
    static const int begun[] = { 15, 12, 17, 11, 16, 13, 14 };
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 10 * SEC);
    for (size_t i = 0; i < 7; i++) {
        char path[16];

        snprintf(path, sizeof path, "/%d", begun[i]);
        ck_assert_ptr_nonnull(begin(0, 100, 100 + (int)i, (uint64_t)begun[i] * SEC, path));
    }
    ck_assert(og_ledger_worker(l, 100, 0, 20 * SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 7);
    ck_assert_str_eq(w.requests[0].path, "/11");
    ck_assert_str_eq(w.requests[1].path, "/12");
    ck_assert_str_eq(w.requests[2].path, "/13");
    ck_assert_str_eq(w.requests[3].path, "/14");
    /* That of a thread somebody asks for is there, however young. */
    ck_assert(og_ledger_worker(l, 100, 102, 20 * SEC, 0, &w));
    ck_assert_str_eq(w.requests[0].path, "/11");
    ck_assert_str_eq(w.requests[3].path, "/17");
    ck_assert(og_ledger_worker(l, 100, 101, 20 * SEC, 0, &w));
    ck_assert_str_eq(w.requests[1].path, "/12");
    ck_assert_str_eq(w.requests[3].path, "/14");
    /* By the id of a thread that serves one of them. */
    ck_assert(og_ledger_worker(l, 103, 0, 20 * SEC, 0, &w));
    ck_assert_int_eq(w.pid, 100);
}
END_TEST

START_TEST(counts_what_found_no_cell)
{
    og_request_t *last = NULL;

    og_ledger_started(l, 0, 100, 0, 0);
    for (int i = 0; i < CELLS; i++)
        ck_assert_ptr_nonnull(last = begin(0, 100, 100 + i, SEC, "/"));
    ck_assert_ptr_null(begin(0, 100, 99, SEC, "/"));
    ck_assert_uint_eq(og_ledger_missed(l), 1);
    og_ledger_end(last);
    ck_assert_ptr_nonnull(begin(0, 100, 99, SEC, "/"));
    ck_assert_ptr_null(begin(-1, 100, 99, SEC, "/"));
    ck_assert_ptr_null(begin(SLOTS, 100, 99, SEC, "/"));
}
END_TEST

/* Threads that never had a cell before find those that are free, wherever they are. */
START_TEST(finds_every_free_cell)
{
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 0);
    for (int i = 0; i < CELLS; i++) {
        unsigned fresh = 0;

        ck_assert_ptr_nonnull(begin_as(0, &fresh, 100, 100 + i, "/"));
    }
    ck_assert_uint_eq(og_ledger_missed(l), 0);
    ck_assert(og_ledger_worker(l, 100, 0, SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, CELLS);
}
END_TEST

/* One of whom nothing is to be told counts. */
START_TEST(keeps_the_untold)
{
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 0);
    ck_assert_ptr_nonnull(og_ledger_begin(l, 0, &hint, &(og_asked_t){ .pid = 100, .tid = 100,
                                                                      .usec = SEC }, &same));
    ck_assert(og_ledger_worker(l, 100, 0, SEC, 0, &w));
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].method, "");
    ck_assert_str_eq(w.requests[0].path, "");
}
END_TEST

/* What a cell says of the request before holds for its host and path alone. */
START_TEST(knows_the_same_again)
{
    og_asked_t a = { .pid = 1, .tid = 1, .by = 7, .vhost = "v", .path = "/a" };
    og_request_t *cell;

    og_ledger_started(l, 0, 1, 0, 0);
    for (int i = 0; i < 2; i++) {
        cell = og_ledger_begin(l, 0, &hint, &a, &same);
        ck_assert(same == (i > 0));
        ck_assert(og_ledger_name(cell, "h", NULL) == (i > 0));
        cell->kept_by = a.by;
        og_ledger_end(cell);
    }
    a.path = "/b";
    cell = og_ledger_begin(l, 0, &hint, &a, &same);
    ck_assert(!same);
    ck_assert(!og_ledger_name(cell, "i", "id"));
    cell->kept_by = a.by;
    og_ledger_end(cell);
    a.by = 8; /* another host of that name */
    og_ledger_end(og_ledger_begin(l, 0, &hint, &a, &same));
    ck_assert(!same);
    a.by = 7; /* which has been driven out */
    og_ledger_end(og_ledger_begin(l, 0, &hint, &a, &same));
    ck_assert(!same);
    a.by = 0;
    a.vhost = NULL;
    cell = og_ledger_begin(l, 0, &hint, &a, &same);
    ck_assert(!same);
    ck_assert_str_eq(cell->vhost, "");
}
END_TEST

START_TEST(names_what_is_in_flight)
{
    og_request_t *cell = begin(0, 100, 100, SEC, "/x");
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 0);
    og_ledger_name(cell, "php", "id");
    og_ledger_route(cell, 42);
    ck_assert(og_ledger_nth(l, 0, &w));
    ck_assert_str_eq(w.requests[0].handler, "php");
    ck_assert_str_eq(w.requests[0].log_id, "id");
    ck_assert_uint_eq(w.requests[0].route, 42);
    og_ledger_end(cell);
    cell = begin(0, 100, 100, SEC, "/y"); /* nobody has named it yet */
    ck_assert(og_ledger_nth(l, 0, &w));
    ck_assert_str_eq(w.requests[0].handler, "");
    ck_assert_str_eq(w.requests[0].log_id, "");
    ck_assert_uint_eq(w.requests[0].route, 0);
    ck_assert_uint_eq(og_ledger_slots(l), SLOTS);
    ck_assert(!og_ledger_nth(l, 1, &w));
}
END_TEST

static uint64_t took(const og_request_t *q, void *ctx)
{
    (*(int *)ctx)++;
    return q->path[1] == 'b' ? 1000 : q->path[1] == 'c' ? 2000 : OG_LEDGER_UNKNOWN;
}

/* The largest come first, as far as is known, and each look is of one request alone. */
START_TEST(notes_what_a_look_says)
{
    static const char *const paths[] = { "/a", "/b", "/c", "/d", "/e", "/f" };
    og_request_t *cells[6];
    og_worker_t w;
    int n = 0;

    og_ledger_started(l, 0, 100, 0, 0);
    for (int i = 0; i < 6; i++)
        cells[i] = begin(0, 100, 100 + i, SEC + (uint64_t)i, paths[i]);
    og_ledger_look(l, took, &n);
    ck_assert_int_eq(n, 6);
    ck_assert(og_ledger_nth(l, 0, &w));
    ck_assert_int_eq(w.in_flight, 6);
    ck_assert_str_eq(w.requests[0].path, "/c");
    ck_assert_uint_eq(w.requests[0].pages, 2000);
    ck_assert_str_eq(w.requests[1].path, "/b");
    ck_assert_str_eq(w.requests[2].path, "/a");
    ck_assert_uint_eq(w.requests[2].pages, OG_LEDGER_UNKNOWN);
    ck_assert_str_eq(w.requests[3].path, "/d");
    og_ledger_end(cells[2]);
    begin(0, 100, 102, SEC, "/x");
    ck_assert(og_ledger_nth(l, 0, &w));
    ck_assert_str_eq(w.requests[0].path, "/b");
    og_ledger_exited(l, 0, 100, 0, 2 * SEC);
    ck_assert(og_ledger_worker(l, 100, 0, SEC, 0, &w));
    ck_assert_uint_eq(w.requests[0].pages, 1000);
    n = 0;
    og_ledger_look(l, took, &n);
    ck_assert_int_eq(n, 0);
}
END_TEST

static void collect(const og_request_t *q, void *ctx)
{
    strcat(ctx, q->path);
}

/* A daemon that dies may be reported when the request it died of has ended. */
/* The client's text is kept for the next request of a connection, but not another's. */
START_TEST(keeps_the_client)
{
    og_asked_t asked = { .pid = 100, .tid = 101, .method = "GET", .client = "a", .vhost = "v",
                         .path = "/" };
    unsigned mine = 0, others = 0;
    og_request_t *cell;

    og_ledger_started(l, 0, 100, 0, 0);
    cell = og_ledger_begin(l, 0, &mine, &asked, &same);
    og_ledger_end(cell);
    asked.client = "not looked at";
    asked.same_client = true;
    ck_assert_ptr_eq(og_ledger_begin(l, 0, &mine, &asked, &same), cell);
    ck_assert_str_eq(cell->client, "a");
    og_ledger_end(cell);
    asked.tid = 102;
    asked.client = "b";
    asked.same_client = false;
    ck_assert_ptr_eq(og_ledger_begin(l, 0, &others, &asked, &same), cell);
    og_ledger_end(cell);
    asked.tid = 101;
    asked.client = "a";
    asked.same_client = true;
    ck_assert_ptr_eq(og_ledger_begin(l, 0, &mine, &asked, &same), cell);
    ck_assert_str_eq(cell->client, "a");
}
END_TEST

START_TEST(knows_whom_backends_served)
{
    og_request_t *in_flight, *ended, *earlier, *others;
    char paths[64] = "";

    og_ledger_started(l, 0, 100, 0, 0);
    in_flight = begin(0, 100, 101, 2 * SEC, "/a");
    ended = begin(0, 100, 102, 2 * SEC, "/b");
    earlier = begin(0, 100, 103, 2 * SEC, "/c");
    others = begin(0, 100, 104, 2 * SEC, "/d");
    in_flight->kind = ended->kind = earlier->kind = OG_BACKEND_FORKED;
    others->kind = OG_BACKEND_NAMED;
    begin(0, 100, 105, 2 * SEC, "/e");
    ended->ended_usec = 6 * SEC;
    og_ledger_end(ended);
    earlier->ended_usec = 4 * SEC;
    og_ledger_end(earlier);
    og_ledger_served(l, OG_BACKEND_FORKED, 6 * SEC, 5 * SEC, collect, paths);
    ck_assert_str_eq(paths, "/a/b");
    paths[0] = '\0';
    og_ledger_served(l, OG_BACKEND_NAMED, 6 * SEC, 5 * SEC, collect, paths);
    ck_assert_str_eq(paths, "/d");
    paths[0] = '\0';
    og_ledger_served(l, OG_BACKEND_FORKED, SEC, 0, collect, paths); /* before they began */
    ck_assert_str_eq(paths, "");
}
END_TEST

START_TEST(remembers_what_was_told)
{
    og_kill_t k = { .pid = 0 }, out;

    ck_assert(!og_ledger_told(l, 0, &out));
    for (int i = 1; i <= OG_LEDGER_KILLS + 3; i++) {
        k.pid = i;
        og_ledger_tell(l, &k);
        ck_assert(og_ledger_told(l, 0, &out));
        ck_assert_int_eq(out.pid, i);
        ck_assert(og_ledger_told(l, 1, &out) == (i > 1));
    }
    ck_assert(og_ledger_told(l, OG_LEDGER_KILLS - 1, &out));
    ck_assert_int_eq(out.pid, 4);
    ck_assert(!og_ledger_told(l, OG_LEDGER_KILLS, &out));
}
END_TEST

START_TEST(cuts_long_text)
{
    char path[1000];
    og_worker_t w;

    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    og_ledger_started(l, 0, 100, 0, 0);
    ck_assert_ptr_nonnull(og_ledger_begin(l, 0, &hint, &(og_asked_t){
        .pid = 100, .tid = 100, .method = "METHODMETHODMETHOD", .vhost = "v", .path = path,
        .query = "q" }, &same));
    ck_assert(og_ledger_worker(l, 100, 0, 0, 0, &w));
    ck_assert_uint_eq(strlen(w.requests[0].path), sizeof w.requests[0].path - 1);
    ck_assert_uint_eq(strlen(w.requests[0].method), sizeof w.requests[0].method - 1);
    ck_assert_str_eq(w.requests[0].client, "");
}
END_TEST

START_TEST(remembers_many_dead)
{
    og_worker_t w;

    for (int i = 0; i < 3 * OG_LEDGER_DEAD; i++) {
        og_ledger_started(l, i % SLOTS, 1000 + i, 0, (uint64_t)i * SEC);
        og_ledger_exited(l, i % SLOTS, 1000 + i, 0, (uint64_t)i * SEC);
    }
    for (int i = 2 * OG_LEDGER_DEAD; i < 3 * OG_LEDGER_DEAD; i++)
        ck_assert(og_ledger_worker(l, 1000 + i, 0, (uint64_t)i * SEC, 0, &w));
    ck_assert(!og_ledger_worker(l, 1000, 0, 0, 1000 * SEC, &w));
}
END_TEST

START_TEST(sweeps)
{
    og_worker_t w;
    og_process_t p;
    pid_t dead = fork();

    if (dead == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(dead, NULL, 0), dead);
    og_ledger_started(l, 0, dead, 0, SEC);
    og_ledger_started(l, 1, getpid(), 0, SEC);
    og_forked_add(og_ledger_forked(l), dead, 1, SEC);
    og_forked_add(og_ledger_forked(l), getpid(), 1, SEC);
    og_ledger_sweep(l, 2 * SEC);
    ck_assert_int_eq(og_ledger_slot(l, getpid()), 1);
    ck_assert(!og_forked_find(og_ledger_forked(l), dead, &p));
    ck_assert(og_forked_find(og_ledger_forked(l), getpid(), &p));
    og_ledger_exited(l, 1, getpid(), 0, 2 * SEC); /* a worker is one of them */
    ck_assert(!og_forked_find(og_ledger_forked(l), getpid(), &p));
    ck_assert_int_eq(og_ledger_slot(l, dead), -1);
    ck_assert(!og_ledger_worker(l, dead, 0, 60 * SEC, 0, &w));
    ck_assert(og_ledger_worker(l, dead, 0, 2 * SEC, 0, &w));
}
END_TEST

START_TEST(says_once)
{
    ck_assert(og_ledger_first(l, 1));
    ck_assert(!og_ledger_first(l, 1));
    ck_assert(og_ledger_first(l, 2));
}
END_TEST

START_TEST(keeps_what_was_seen)
{
    og_seen_t seen;

    og_ledger_seen(l, &seen);
    ck_assert_uint_eq(seen.resume_seq, 0);
    for (uint64_t i = 1; i < 4; i++) {
        seen.resume_seq = i;
        og_verdict_baseline(&seen.verdict, 10 * i);
        og_ledger_set_seen(l, &seen);
        memset(&seen, 0, sizeof seen);
        og_ledger_seen(l, &seen);
        ck_assert_uint_eq(seen.resume_seq, i);
        og_ledger_set_pending(l, i + 100);
        og_ledger_seen(l, &seen);
        ck_assert_uint_eq(seen.pending, i + 100);
        ck_assert_uint_eq(seen.resume_seq, i);
        ck_assert_uint_eq(seen.verdict.count, 10 * i);
    }
}
END_TEST

/* In their order, each once, with what others have noted of them. */
START_TEST(tells_the_dead_one_after_the_other)
{
    og_worker_t w;
    uint32_t n = 0;

    ck_assert(!og_ledger_next_dead(l, &n, &w));
    og_forked_add(og_ledger_forked(l), 501, 1, SEC);
    og_forked_mark(og_ledger_forked(l), 501, OG_FORKED_WORKER | OG_FORKED_SIGNAL(11));
    og_forked_mark(og_ledger_forked(l), 502, OG_FORKED_LEFT); /* unknown: no matter */
    og_ledger_started(l, 0, 501, 0, SEC);
    og_ledger_started(l, 1, 502, 0, SEC);
    og_ledger_exited(l, 0, 501, 0, 2 * SEC);
    og_ledger_exited(l, 1, 502, 0, 2 * SEC);
    ck_assert(og_ledger_next_dead(l, &n, &w));
    ck_assert_int_eq(w.pid, 501);
    ck_assert_int_eq(OG_FORKED_SIGNAL_OF(w.marks), 11);
    ck_assert(og_ledger_next_dead(l, &n, &w));
    ck_assert_int_eq(w.pid, 502);
    ck_assert_uint_eq(w.marks, 0);
    ck_assert(!og_ledger_next_dead(l, &n, &w));
    for (int i = 0; i < OG_LEDGER_DEAD + 3; i++)
        og_ledger_exited(l, -1, 1000 + i, 0, 3 * SEC);
    ck_assert(og_ledger_next_dead(l, &n, &w));
    ck_assert_int_eq(w.pid, 1003);
}
END_TEST

/* Killed before the master noted it: its own word, and its request, are there. */
START_TEST(knows_a_worker_that_the_master_does_not)
{
    og_worker_t w;
    unsigned mine = 0;

    og_forked_add(og_ledger_forked(l), 501, 1, SEC);
    ck_assert(begin_as(1, &mine, 501, 501, "/x") != NULL);
    ck_assert(!og_ledger_worker(l, 501, 0, SEC, 0, &w));
    og_forked_mark(og_ledger_forked(l), 501, OG_FORKED_WORKER);
    ck_assert(og_ledger_worker(l, 501, 0, SEC, 0, &w));
    ck_assert_int_eq(w.slot, 1);
    ck_assert_int_eq(w.generation, -1);
    ck_assert_int_eq(w.in_flight, 1);
    ck_assert_str_eq(w.requests[0].path, "/x");
}
END_TEST

/* Readers never see half of one request and half of another. */
static int stop;

static void *serve(void *arg)
{
    int me = *(int *)arg;
    unsigned mine = 0;
    char path[200];

    for (unsigned n = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n++) {
        og_request_t *cell;

        memset(path, 'a' + (int)(n % 26), sizeof path - 1);
        path[sizeof path - 1] = '\0';
        cell = begin_as(0, &mine, 100, 200 + me, path);
        if (cell != NULL)
            og_ledger_end(cell);
    }
    return NULL;
}

START_TEST(is_never_torn)
{
    pthread_t t[2];
    int me[] = { 0, 1 };
    unsigned seen = 0;
    og_worker_t w;

    og_ledger_started(l, 0, 100, 0, 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, serve, &me[i]), 0);
    while (seen < 2000) { /* or check's time is up */
        ck_assert(og_ledger_worker(l, 100, 0, SEC, 0, &w));
        for (int k = 0; k < w.in_flight && k < OG_LEDGER_DEAD_REQUESTS; k++) {
            const char *path = w.requests[k].path;

            seen++;
            ck_assert_uint_eq(strspn(path, (char[]){ path[0], '\0' }), 199);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    ck_assert_uint_gt(seen, 0);
}
END_TEST

/* The master: workers come and go in one slot, of which each has a request; and the watcher's
 * predecessor, which tells of kills. Their numbers are all the same. */
static void *come_and_go(void *arg)
{
    og_kill_t kill = { .event = "worker-killed" };
    unsigned mine = 0;

    for (int n = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); n = n % 1000 + 1) {
        og_asked_t a = { .pid = n, .tid = n, .usec = (uint64_t)n, .path = "/", .query = "query" };
        og_request_t *cell;

        og_ledger_started(l, 1, n, n, (uint64_t)n);
        cell = og_ledger_begin(l, 1, &mine, &a, &same);
        og_ledger_name(cell, n % 2 != 0 ? "odd" : "even", NULL);
        og_ledger_route(cell, (uint64_t)n);
        og_ledger_exited(l, 1, n, n, (uint64_t)n + 1);
        kill.usec = (uint64_t)n;
        kill.pid = n;
        og_atomic_read(&kill.request, cell, sizeof *cell);
        og_ledger_tell(l, &kill);
    }
    return arg;
}

static void is_of_one(const og_request_t *q)
{
    ck_assert_int_eq(q->pid, q->tid);
    ck_assert_uint_eq(q->begun_usec, (uint64_t)q->pid);
    ck_assert_str_eq(q->path, "/?query");
    ck_assert(q->handler[0] == '\0' || strcmp(q->handler, q->pid % 2 != 0 ? "odd" : "even") == 0);
}

static uint64_t look(const og_request_t *q, void *ctx)
{
    is_of_one(q);
    return (uint64_t)(q->pid + *(int *)ctx);
}

START_TEST(is_read_while_it_is_written)
{
    pthread_t t;
    uint32_t dead = 0;
    int none = 0;
    og_worker_t w;
    og_kill_t kill;

    ck_assert_int_eq(pthread_create(&t, NULL, come_and_go, NULL), 0);
    for (unsigned buried = 0, told = 0, living = 0; buried < 500 || told < 500 || living < 50;) {
        og_ledger_look(l, look, &none);
        if (og_ledger_nth(l, 1, &w)) {
            living++;
            ck_assert_int_eq(w.generation, w.pid);
            ck_assert_uint_eq(w.started_usec, (uint64_t)w.pid);
            if (w.in_flight > 0) {
                is_of_one(&w.requests[0]);
                ck_assert_int_eq(w.requests[0].pid, w.pid);
                ck_assert(w.pages == 0 || w.pages == (uint64_t)w.pid);
            }
        }
        if (og_ledger_next_dead(l, &dead, &w)) {
            buried++;
            ck_assert_int_eq(w.generation, w.pid);
            ck_assert_uint_eq(w.ended_usec, (uint64_t)w.pid + 1);
            ck_assert_int_eq(w.in_flight, 1);
            is_of_one(&w.requests[0]);
            ck_assert_int_eq(w.requests[0].pid, w.pid);
            ck_assert_uint_eq(w.requests[0].route, (uint64_t)w.pid);
        }
        if (og_ledger_told(l, 0, &kill)) {
            told++;
            ck_assert_uint_eq(kill.usec, (uint64_t)kill.pid);
            is_of_one(&kill.request);
            ck_assert_int_eq(kill.request.pid, kill.pid);
        }
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(t, NULL);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ledger");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, tells_the_living);
    tcase_add_test(tc, tells_the_dead);
    tcase_add_test(tc, tells_namesakes_apart);
    tcase_add_test(tc, keeps_owners_of_one_slot_apart);
    tcase_add_test(tc, lists_the_oldest_first);
    tcase_add_test(tc, counts_what_found_no_cell);
    tcase_add_test(tc, finds_every_free_cell);
    tcase_add_test(tc, keeps_the_untold);
    tcase_add_test(tc, cuts_long_text);
    tcase_add_test(tc, knows_the_same_again);
    tcase_add_test(tc, names_what_is_in_flight);
    tcase_add_test(tc, notes_what_a_look_says);
    tcase_add_test(tc, keeps_the_client);
    tcase_add_test(tc, knows_whom_backends_served);
    tcase_add_test(tc, remembers_what_was_told);
    tcase_add_test(tc, remembers_many_dead);
    tcase_add_test(tc, sweeps);
    tcase_add_test(tc, says_once);
    tcase_add_test(tc, keeps_what_was_seen);
    tcase_add_test(tc, tells_the_dead_one_after_the_other);
    tcase_add_test(tc, knows_a_worker_that_the_master_does_not);
    tcase_add_test(tc, is_never_torn);
    tcase_add_test(tc, is_read_while_it_is_written);
    return unit_run("ledger", &tc, 1);
}
