/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The course that eat takes, by a clock that stands still unless somebody sleeps, and
 * with mmap replaced (ld's --wrap), which refuses when it is told to. check_eat has eat
 * as it is. */
#include "oom/cap.h"
#include "oom/eat.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define NSEC ((uint64_t)1000000000)
#define MSEC ((uint64_t)1000000)
#define STEP (256 * KIB)

/* --- Memory ---------------------------------------------------------------------------
 */

static long mapped_bytes, mapped_most;
static size_t refused_len; /* of mmap; all if it is SIZE_MAX */
static int refused_after;  /* so many were given */
static bool reserve_is_there;

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t len);
int __real_munmap(void *at, size_t len);

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
    if ((refused_len == SIZE_MAX || refused_len == len) && refused_after-- == 0) {
        refused_after = 0;
        errno = ENOMEM;
        return MAP_FAILED;
    }
    /* The reserve is there from the start. */
    if (len == OOM_EAT_EMERGENCY_BYTES && flags & MAP_POPULATE) {
        ck_assert_int_eq(flags, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
        ck_assert_int_eq(prot, PROT_READ | PROT_WRITE);
        ck_assert(fd == -1 && off == 0);
        reserve_is_there = true;
    }
    mapped_bytes += (long)len;
    if (mapped_bytes > mapped_most)
        mapped_most = mapped_bytes;
    return __real_mmap(at, len, prot, flags, fd, off);
}

static unsigned
    closed_first; /* meals that were closed before the reserve was given back */

int __wrap_munmap(void *at, size_t len)
{
    if (len == OOM_EAT_EMERGENCY_BYTES)
        reserve_is_there = false;
    else if (len == sizeof(oom_meal_t))
        closed_first += reserve_is_there;
    mapped_bytes -= (long)len;
    return __real_munmap(at, len);
}

/* --- Time -----------------------------------------------------------------------------
 */

/* Shared with the child, which has a clock of its own in it. */
typedef struct {
    bool die; /* the child is to */
} shared_t;

static shared_t *shared;
static pid_t starter;
static uint64_t nsec, each; /* each: what a look at the clock takes */
static bool forks;
static unsigned naps;
static uint64_t nap_least, nap_most;

static uint64_t now_nsec(void)
{
    nsec += each;
    return nsec;
}

static void sleep_nsec(uint64_t n)
{
    if (getpid() != starter) {
        /* It goes on until it is told to die: at the end of its first piece. */
        while (!__atomic_load_n(&shared->die, __ATOMIC_ACQUIRE))
            usleep(1000);
        kill(getpid(), SIGKILL);
    }
    naps++;
    if (n > nap_most)
        nap_most = n;
    if (n < nap_least)
        nap_least = n;
    nsec += n;
    if (forks)
        usleep(1000); /* for the child, time does not stand still */
}

static void forget_naps(void)
{
    naps = 0;
    nap_most = 0;
    nap_least = UINT64_MAX;
}

/* --- What is told ---------------------------------------------------------------------
 */

typedef struct {
    uint64_t nsec;
    oom_eaten_t eaten;
} told_t;

static told_t told[4096];
static unsigned tolds, stop_at;
static void (*at_phase[3])(void);

static bool hear(void *baton, const oom_eaten_t *eaten)
{
    ck_assert_ptr_eq(baton, &tolds);
    ck_assert_uint_lt(tolds, 4096);
    told[tolds].nsec = nsec;
    told[tolds].eaten = *eaten;
    if (at_phase[eaten->phase] != NULL)
        at_phase[eaten->phase]();
    return ++tolds != stop_at;
}

static unsigned tolds_in(oom_phase_t phase)
{
    unsigned n = 0;

    for (unsigned i = 0; i < tolds; i++)
        n += told[i].eaten.phase == phase;
    return n;
}

static oom_kept_t kept;
static oom_outcome_t out;

static int run(const oom_plan_t *p)
{
    oom_eater_t e = { .file_dir = "/nonexistent",
                      .step_bytes = STEP,
                      .clock = { now_nsec, sleep_nsec },
                      .kept = &kept,
                      .tell = hear,
                      .baton = &tolds };

    tolds = 0;
    forks = p->kind == OOM_KIND_FORK;
    forget_naps();
    memset(&out, 0xff, sizeof out);
    return oom_eat_run(p, &e, &out);
}

static oom_plan_t plan(oom_kind_t kind, uint64_t size)
{
    return (oom_plan_t){ .kind = kind, .size_bytes = size, .repeat = 1 };
}

static void prepare(void)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    starter = getpid();
    nsec = 1000 * NSEC;
    each = 0;
    stop_at = 0;
    memset(at_phase, 0, sizeof at_phase);
    mapped_bytes = mapped_most = 0;
    refused_len = 0;
    closed_first = 0;
}

/* Nothing stays but what was kept, and of that nothing when it is dropped. */
static void clean_up(void)
{
    oom_eat_drop(&kept);
    ck_assert_ptr_null(kept.head);
    ck_assert_int_eq(mapped_bytes, 0);
    munmap(shared, sizeof *shared);
}

/* --- Steps ----------------------------------------------------------------------------
 */

/* Each step once, the rest once, and the end not again if it was a step. */
START_TEST(steps)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 4 * STEP);

    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(told[i].eaten.bytes, (i + 1) * STEP);
        ck_assert_int_eq(told[i].eaten.phase, OOM_PHASE_GROWING);
        ck_assert_uint_eq(told[i].eaten.cycle, 1);
    }
    ck_assert_uint_eq(naps, 0);
    ck_assert_uint_eq(out.bytes, 4 * STEP);
    ck_assert_ptr_null(out.step);
    ck_assert_int_eq(out.signal, 0);
    p.size_bytes = 2 * STEP + 1;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 3);
    ck_assert_uint_eq(told[2].eaten.bytes, 2 * STEP + 4096);
    /* An eighth of a step at once, and no second without a step. */
    p.size_bytes = 4 * STEP;
    p.rate_bytes = 2 * STEP;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 4);
}
END_TEST

/* One chunk a step, whatever the pace; the last has what is left. */
START_TEST(chunks)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 2 * STEP + 8192);
    const oom_table_t *t;

    p.leak = true;
    p.rate_bytes = _i == 0 ? 0 : 100 * KIB;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    t = kept.head->first;
    ck_assert_uint_eq(t->used, 3);
    ck_assert_uint_eq(t->chunk[0].len, STEP);
    ck_assert_uint_eq(t->chunk[1].len, STEP);
    ck_assert_uint_eq(t->chunk[2].len, 8192);
    oom_eat_drop(&kept);
    /* A thread's stack is larger than a step. */
    p = plan(OOM_KIND_THREAD, 2 * MIB + STEP);
    p.leak = true;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    t = kept.head->first;
    ck_assert_uint_eq(t->used, 3);
    ck_assert_uint_eq(t->chunk[0].len, OOM_MEAL_STACK_BYTES);
    ck_assert_uint_eq(t->chunk[2].len, STEP);
    ck_assert_uint_eq(tolds, 3);
}
END_TEST

/* How much is touched at once shows in how often it waits, and how long. */
static const struct {
    uint64_t rate, size, quantum;
} paces[] = {
    { 512 * KIB, MIB, 32 * KIB },
    { 100 * KIB, 256 * KIB, 4096 },
    { 130 * KIB, 256 * KIB, 8192 },
    { 64 * KIB, 64 * KIB, 4096 },
    { 60 * KIB, 64 * KIB, 4096 },
    { 16 * STEP, 4 * STEP, STEP },
    { 16 * STEP + 1, 4 * STEP, STEP },
    { 64 * STEP, 4 * STEP, STEP },
    { 16 * STEP - 16, 4 * STEP, 63 * 4096 },
};

START_TEST(a_pace)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, paces[_i].size);
    uint64_t start = nsec, most;

    p.rate_bytes = paces[_i].rate;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(nsec - start, oom_copy_due_nsec(0, paces[_i].size, paces[_i].rate));
    /* What is told once a second parts a wait. */
    most = oom_copy_due_nsec(0, paces[_i].quantum, paces[_i].rate);
    ck_assert_uint_ge(nap_most, most - 1);
    ck_assert_uint_le(nap_most, most + 1);
}
END_TEST

/* With no rate, a step at a time: else the looks at the clock would take longer. */
START_TEST(as_fast_as_it_goes)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 4 * MIB);
    uint64_t start = nsec;

    each = 10 * MSEC;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_lt(nsec - start, 500 * MSEC);
}
END_TEST

/* --- Waiting --------------------------------------------------------------------------
 */

/* 3 KiB a second: a page takes 1.33 s, and yet each whole second is told. */
START_TEST(every_second_is_told)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 12 * KIB);
    uint64_t start = nsec;

    p.rate_bytes = 3 * KIB;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(nsec - start, 4 * NSEC);
    ck_assert_uint_eq(tolds, 4);
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(told[i].nsec - start, (i + 1) * NSEC);
}
END_TEST

/* While memory comes slower than it is to, too, and no step is full. */
START_TEST(slow_growth_is_told)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 4 * STEP);
    unsigned between = 0;

    p.rate_bytes = 8 * STEP; /* half a step at once */
    each = NSEC;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    for (unsigned i = 0; i < tolds; i++)
        between += told[i].eaten.bytes % STEP != 0;
    ck_assert_uint_eq(between, 4);
    ck_assert_uint_eq(naps, 0);
}
END_TEST

START_TEST(a_hold)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, STEP);
    uint64_t start = nsec;

    p.hold_msec = 3500;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(nsec - start, 3500 * MSEC);
    ck_assert_uint_eq(tolds, 5);
    ck_assert_int_eq(told[0].eaten.phase, OOM_PHASE_GROWING);
    for (unsigned i = 1; i < 5; i++) {
        ck_assert_int_eq(told[i].eaten.phase, OOM_PHASE_HOLDING);
        ck_assert_uint_eq(told[i].nsec - start, (i - 1) * NSEC);
        ck_assert_uint_eq(told[i].eaten.bytes, STEP);
    }
    ck_assert_uint_eq(naps, 4);
    ck_assert_uint_eq(nap_most, NSEC);
    ck_assert_uint_eq(nap_least, 500 * MSEC);
    /* The next cycle grows again. */
    p.repeat = 2;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 10);
    ck_assert_int_eq(told[5].eaten.phase, OOM_PHASE_GROWING);
    ck_assert_uint_eq(tolds_in(OOM_PHASE_HOLDING), 8);
    p.hold_msec = 0;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 2);
}
END_TEST

/* In growth, at the start of a hold, and in it. */
START_TEST(a_stop)
{
    static const struct {
        unsigned at;
        uint64_t msec;
    } stops[] = { { 2, 0 }, { 4, 0 }, { 5, 0 }, { 6, 1000 } };
    oom_plan_t p = plan(OOM_KIND_MMAP, 4 * STEP);
    uint64_t start = nsec;

    p.hold_msec = 5000;
    p.repeat = 3;
    stop_at = stops[_i].at;
    ck_assert_int_eq(run(&p), OOM_END_STOPPED);
    ck_assert_uint_eq(tolds, stops[_i].at);
    ck_assert_uint_eq(nsec - start, stops[_i].msec * MSEC);
    ck_assert_uint_eq(out.bytes, (stops[_i].at < 4 ? stops[_i].at : 4) * STEP);
    ck_assert_ptr_null(out.step);
    /* The end of growth, where that is no step. */
    p.size_bytes = STEP + 4096;
    stop_at = 2;
    ck_assert_int_eq(run(&p), OOM_END_STOPPED);
    ck_assert_uint_eq(tolds, 2);
}
END_TEST

/* --- Cycles ---------------------------------------------------------------------------
 */

START_TEST(cycles)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, 2 * STEP);

    p.repeat = 3;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(tolds, 6);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq(told[i].eaten.cycle, i / 2 + 1);
        ck_assert_uint_eq(told[i].eaten.bytes, (i % 2 + 1) * STEP);
    }
    ck_assert_uint_eq(out.bytes, 2 * STEP);
    ck_assert_ptr_null(kept.head);
    ck_assert_int_lt(mapped_most, (long)(2 * STEP + 2 * MIB));
    /* What is kept counts on. */
    p.leak = true;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    for (unsigned i = 0; i < 6; i++)
        ck_assert_uint_eq(told[i].eaten.bytes, (i + 1) * STEP);
    ck_assert_uint_eq(out.bytes, 6 * STEP);
    ck_assert_ptr_nonnull(kept.head);
    ck_assert_ptr_null(kept.head->next_kept);
    ck_assert_uint_eq(kept.head->first->used, 6);
    /* One behind the other. */
    p.repeat = 1;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(kept.head->first->used, 2);
    ck_assert_uint_eq(kept.head->next_kept->first->used, 6);
    ck_assert_ptr_null(kept.head->next_kept->next_kept);
}
END_TEST

/* A child copies all of its meal: of copies that are kept, each has its own. */
START_TEST(copies)
{
    oom_plan_t p = plan(OOM_KIND_FORK, 2 * STEP);
    unsigned meals = 0;

    p.hold_msec = 500;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(out.bytes, 4 * STEP);
    ck_assert_int_eq(told[0].eaten.phase, OOM_PHASE_GROWING);
    ck_assert_int_eq(told[tolds - 1].eaten.phase, OOM_PHASE_HOLDING);
    ck_assert_uint_eq(told[tolds - 1].eaten.bytes, 4 * STEP);
    ck_assert_uint_eq(tolds_in(OOM_PHASE_GROWING), 2);
    ck_assert_uint_ge(tolds_in(OOM_PHASE_COPYING), 1);
    ck_assert_int_eq(told[tolds - 2].eaten.phase, OOM_PHASE_COPYING);
    ck_assert_uint_eq(told[tolds - 2].eaten.bytes, 4 * STEP);
    ck_assert_uint_eq(nap_most, 100 * MSEC); /* of the hold */
    ck_assert_uint_eq(nap_least, 2 * MSEC);  /* of the copying */
    /* Less than a step is told at the end. */
    p.size_bytes = STEP / 2;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_int_eq(told[tolds - 2].eaten.phase, OOM_PHASE_COPYING);
    ck_assert_uint_eq(told[tolds - 2].eaten.bytes, STEP);
    p.size_bytes = 2 * STEP;
    p.leak = true;
    p.repeat = 3;
    p.hold_msec = 0;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(out.bytes, 12 * STEP);
    for (const oom_meal_t *m = kept.head; m != NULL; m = m->next_kept) {
        ck_assert_int_ne(m->child, 0);
        ck_assert_uint_eq(m->first->used, 2);
        meals++;
    }
    ck_assert_uint_eq(meals, 3);
}
END_TEST

static void let_child_die(void)
{
    __atomic_store_n(&shared->die, true, __ATOMIC_RELEASE);
}

/* It dies in its first piece, which is all there is, or is not. */
START_TEST(a_child_that_is_killed)
{
    oom_plan_t p = plan(OOM_KIND_FORK, _i == 0 ? 2 * STEP : 64 * KIB);

    p.rate_bytes = 64 * MIB;
    p.hold_msec = 1000000;
    at_phase[_i == 0 ? OOM_PHASE_COPYING : OOM_PHASE_HOLDING] = let_child_die;
    ck_assert_int_eq(run(&p), OOM_END_CHILD_KILLED);
    ck_assert_int_eq(out.signal, SIGKILL);
    ck_assert_uint_eq(out.bytes, p.size_bytes + 64 * KIB);
    ck_assert_uint_eq(tolds_in(OOM_PHASE_HOLDING) > 0, _i == 1);
    ck_assert_ptr_null(out.step);
}
END_TEST

/* --- Refusals -------------------------------------------------------------------------
 */

START_TEST(no_reserve)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, STEP);

    refused_len = OOM_EAT_EMERGENCY_BYTES;
    refused_after = 0;
    ck_assert_int_eq(run(&p), -ENOMEM);
    ck_assert_str_eq(out.step, "mmap of the emergency reserve");
    ck_assert_uint_eq(out.bytes, 0);
    ck_assert_int_eq(out.signal, 0);
    ck_assert_uint_eq(tolds, 0);
}
END_TEST

START_TEST(no_meal)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, STEP);

    p.leak = _i == 1;
    refused_len = sizeof(oom_meal_t);
    refused_after = 0;
    ck_assert_int_eq(run(&p), -ENOMEM);
    ck_assert_str_eq(out.step, "mmap of the first pages");
    ck_assert_uint_eq(out.bytes, 0);
    ck_assert_ptr_null(kept.head);
    ck_assert(!reserve_is_there);
    p = plan(OOM_KIND_FILE, STEP);
    refused_len = 0;
    ck_assert_int_eq(run(&p), -ENOENT);
    ck_assert_str_eq(out.step, "creating a file for kind=file");
}
END_TEST

/* The reserve goes first; and nothing is begun anew. */
START_TEST(no_more)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, OOM_PLAN_UNLIMITED);

    p.repeat = 3;
    p.leak = _i == 1;
    refused_len = STEP;
    refused_after = 3;
    ck_assert_int_eq(run(&p), -ENOMEM);
    ck_assert_str_eq(out.step, "mmap");
    ck_assert_uint_eq(out.bytes, 3 * STEP);
    ck_assert_uint_eq(tolds, 3);
    ck_assert_uint_eq(closed_first, 0);
    ck_assert(!reserve_is_there);
    ck_assert_int_eq(kept.head != NULL, p.leak);
    /* In a later cycle, what is kept counts. */
    oom_eat_drop(&kept);
    p.size_bytes = 2 * STEP;
    p.leak = true;
    refused_after = 5;
    ck_assert_int_eq(run(&p), -ENOMEM);
    ck_assert_uint_eq(out.bytes, 5 * STEP);
    ck_assert_uint_eq(told[tolds - 1].eaten.cycle, 3);
}
END_TEST

/* All goes well: then it is given back at the end. */
START_TEST(the_reserve_stays_to_the_end)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, STEP);

    p.repeat = 2;
    ck_assert_int_eq(run(&p), OOM_END_DONE);
    ck_assert_uint_eq(closed_first, 2);
    ck_assert(!reserve_is_there);
}
END_TEST

int main(void)
{
    TCase *step = tcase_create("steps"), *wait = tcase_create("waiting");
    TCase *cycle = tcase_create("cycles"), *refusal = tcase_create("refusals");
    TCase *cases[] = { step, wait, cycle, refusal };

    for (size_t i = 0; i < 4; i++)
        tcase_add_checked_fixture(cases[i], prepare, clean_up);
    tcase_add_test(step, steps);
    tcase_add_loop_test(step, chunks, 0, 2);
    tcase_add_loop_test(step, a_pace, 0, sizeof paces / sizeof *paces);
    tcase_add_test(step, as_fast_as_it_goes);
    tcase_add_test(wait, every_second_is_told);
    tcase_add_test(wait, slow_growth_is_told);
    tcase_add_test(wait, a_hold);
    tcase_add_loop_test(wait, a_stop, 0, 4);
    tcase_add_test(cycle, cycles);
    tcase_add_test(cycle, copies);
    tcase_add_loop_test(cycle, a_child_that_is_killed, 0, 2);
    tcase_add_test(refusal, no_reserve);
    tcase_add_loop_test(refusal, no_meal, 0, 2);
    tcase_add_loop_test(refusal, no_more, 0, 2);
    tcase_add_test(refusal, the_reserve_stays_to_the_end);
    return unit_run("course", cases, 4);
}
