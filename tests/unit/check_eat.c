/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* eat with what it stands on, meal and copy. Sizes are small: this runs on any machine, without
 * root and without a memory cgroup. */
#include "lib/file.h"
#include "oom/eat.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* AddressSanitizer keeps freed memory for a while, makes mlock do nothing, and wants
 * terabytes of address space for itself. */
#if defined __has_feature
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define MSEC ((uint64_t)1000000) /* in nanoseconds */

static uint64_t real_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 * MSEC + (uint64_t)ts.tv_nsec;
}

static void real_sleep(uint64_t nsec)
{
    struct timespec ts = { (time_t)(nsec / (1000 * MSEC)), (long)(nsec % (1000 * MSEC)) };

    nanosleep(&ts, NULL);
}

static uint64_t fake_nsec;

static uint64_t fake_now(void)
{
    return fake_nsec;
}

static void fake_sleep(uint64_t nsec)
{
    fake_nsec += nsec;
}

/* A line of /proc/self/status in KiB; without unit as it is. */
static uint64_t status(const char *name)
{
    char text[8192], key[32];
    const char *p;

    ck_assert(og_file_read("/proc/self/status", text, sizeof text) > 0);
    snprintf(key, sizeof key, "\n%s:", name);
    p = strstr(text, key);
    ck_assert_ptr_nonnull(p);
    return strtoull(p + strlen(key), NULL, 10);
}

typedef struct {
    unsigned calls, holds, copies, stop_at;
    uint64_t largest, last, peak_kib;
    uint32_t cycle;
    const char *watch; /* of /proc/self/status */
} heard_t;

static bool hear(void *baton, const oom_eaten_t *eaten)
{
    heard_t *h = baton;

    h->calls++;
    h->holds += eaten->phase == OOM_PHASE_HOLDING;
    h->copies += eaten->phase == OOM_PHASE_COPYING;
    h->last = eaten->bytes;
    h->cycle = eaten->cycle;
    if (eaten->bytes > h->largest)
        h->largest = eaten->bytes;
    if (h->watch != NULL && status(h->watch) > h->peak_kib)
        h->peak_kib = status(h->watch);
    return h->calls != h->stop_at;
}

static oom_kept_t kept;
static heard_t heard;
static oom_outcome_t out;

static oom_eater_t eater(bool fake)
{
    oom_eater_t e = { .file_dir = "/var/tmp", .step_bytes = 256 * KIB, .kept = &kept };

    e.clock = fake ? (oom_clock_t){ fake_now, fake_sleep }
                   : (oom_clock_t){ real_now, real_sleep };
    e.tell = hear;
    e.baton = &heard;
    return e;
}

static oom_plan_t plan(oom_kind_t kind, uint64_t size)
{
    return (oom_plan_t){ .kind = kind, .size_bytes = size, .repeat = 1 };
}

static int run(const oom_plan_t *p, bool fake)
{
    oom_eater_t e = eater(fake);

    return oom_eat_run(p, &e, &out);
}

/* Where each kind shows, and by how much at least. */
static const struct {
    oom_kind_t kind;
    const char *shows;
    uint64_t size, kib;
} kinds[] = {
#if !SANITIZED
    { OOM_KIND_ANON, "RssAnon", 6 * MIB, 6 * 1024 },
    { OOM_KIND_MLOCK, "VmLck", 48 * KIB, 48 }, /* some machines allow 64 KiB */
#endif
    { OOM_KIND_MMAP, "RssAnon", 6 * MIB, 6 * 1024 },
    { OOM_KIND_SHM, "RssShmem", 6 * MIB, 6 * 1024 },
    { OOM_KIND_THREAD, "Threads", 6 * MIB, 6 },
    { OOM_KIND_THREAD, "RssAnon", 6 * MIB, 6 * 1024 },
    { OOM_KIND_RESERVE, "VmSize", 6 * MIB, 6 * 1024 },
    { OOM_KIND_FORK, "RssAnon", 6 * MIB, 6 * 1024 },
};

START_TEST(a_kind_shows_and_goes)
{
    oom_plan_t p = plan(kinds[_i].kind, kinds[_i].size);
    uint64_t before, after, slack = kinds[_i].kib / 4;

    /* The first time, the C library makes itself at home. */
    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    memset(&heard, 0, sizeof heard);
    heard.watch = kinds[_i].shows;
    before = status(heard.watch);
    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    after = status(heard.watch);
    ck_assert_uint_ge(heard.peak_kib, before + kinds[_i].kib - slack);
    ck_assert_uint_le(after, before + slack);
    ck_assert_uint_eq(heard.largest,
                      kinds[_i].kind == OOM_KIND_FORK ? 2 * p.size_bytes : p.size_bytes);
    ck_assert_uint_eq(out.bytes, heard.largest);
    ck_assert_ptr_null(out.step);
}
END_TEST

START_TEST(reserve_is_not_touched)
{
    oom_plan_t p = plan(OOM_KIND_RESERVE, 64 * MIB);
    uint64_t before = status("RssAnon");

    heard.watch = "RssAnon";
    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    ck_assert_uint_lt(heard.peak_kib, before + 8 * 1024);
}
END_TEST

START_TEST(a_file_needs_a_disk)
{
    oom_plan_t p = plan(OOM_KIND_FILE, 1 * MIB);
    oom_eater_t e = eater(false);

    ck_assert_int_eq(oom_eat_run(&p, &e, &out), OOM_END_DONE);
    ck_assert_uint_eq(out.bytes, 1 * MIB);
    e.file_dir = "/nonexistent";
    ck_assert_int_eq(oom_eat_run(&p, &e, &out), -ENOENT);
    ck_assert_ptr_nonnull(strstr(out.step, "file"));
    e.file_dir = "/dev/shm";
    if (access(e.file_dir, W_OK) == 0) {
        ck_assert_int_eq(oom_eat_run(&p, &e, &out), -EMEDIUMTYPE);
        ck_assert_ptr_nonnull(strstr(out.step, "in memory"));
    }
}
END_TEST

START_TEST(no_two_pages_are_alike)
{
    const size_t words = OOM_MEAL_PAGE_BYTES / sizeof(uint64_t);
    oom_meal_t *m;
    const char *step;
    const uint64_t *w;

    ck_assert_int_eq(oom_meal_open(OOM_KIND_MMAP, NULL, 1, &m, &step), 0);
    ck_assert_int_eq(oom_meal_get(m, 256 * KIB), 0);
    ck_assert_int_eq(oom_meal_touch(m, 256 * KIB), 0);
    w = (const uint64_t *)(const void *)m->first->chunk[0].at;
    for (size_t a = 0; a < 64; a++) {
        for (size_t b = 0; b < a; b++)
            ck_assert_int_ne(memcmp(w + a * words, w + b * words, OOM_MEAL_PAGE_BYTES),
                             0);
        for (size_t i = 1; i < words; i++)
            ck_assert(w[a * words + i] != w[a * words + i - 1]);
    }
    oom_meal_close(m);
}
END_TEST

START_TEST(sizes_are_rounded_up)
{
    oom_plan_t p = plan(OOM_KIND_ANON, 1);

    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    ck_assert_uint_eq(heard.last, 4096);
    p = plan(OOM_KIND_THREAD, MIB + 1);
    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    ck_assert_uint_eq(heard.last, MIB + 256 * KIB);
}
END_TEST

START_TEST(every_step_is_told)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, MIB + 4096);

    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq(heard.calls, 5); /* 4 steps, and the rest */
    ck_assert_uint_eq(heard.last, MIB + 4096);
}
END_TEST

START_TEST(a_rate_is_kept)
{
    oom_plan_t p = plan(OOM_KIND_ANON, 4 * MIB);
    uint64_t start = fake_nsec = 12345;

    p.rate_bytes = 512 * KIB;
    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq((fake_nsec - start) / MSEC, 8000);
    /* Slower than a page a second: still told once a second, and still in time. */
    memset(&heard, 0, sizeof heard);
    start = fake_nsec;
    p = plan(OOM_KIND_ANON, 8192);
    p.rate_bytes = 1024;
    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq((fake_nsec - start) / MSEC, 8000);
    ck_assert_uint_ge(heard.calls, 8);
    ck_assert_uint_le(heard.calls, 11);
}
END_TEST

START_TEST(due_is_safe_from_overflow)
{
    ck_assert_uint_eq(oom_copy_due_nsec(5, 1000, 1000), 5 + 1000 * MSEC);
    ck_assert(oom_copy_due_nsec(5, UINT64_MAX, 1) == UINT64_MAX);
    ck_assert_uint_eq(oom_copy_due_nsec(5, 1, UINT64_MAX), 5);
}
END_TEST

START_TEST(a_hold_is_held)
{
    oom_plan_t p = plan(OOM_KIND_ANON, MIB);
    uint64_t start = fake_nsec = 0;

    p.hold_msec = 3500;
    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq((fake_nsec - start) / MSEC, 3500);
    ck_assert_uint_eq(heard.holds, 4); /* at 0, 1, 2 and 3 s */
}
END_TEST

START_TEST(it_can_be_stopped)
{
    oom_plan_t p = plan(OOM_KIND_ANON, OOM_PLAN_UNLIMITED);

    heard.stop_at = 3;
    ck_assert_int_eq(run(&p, false), OOM_END_STOPPED);
    ck_assert_uint_eq(heard.calls, 3);
    ck_assert_uint_eq(out.bytes, 3 * 256 * KIB);
    memset(&heard, 0, sizeof heard);
    heard.stop_at = 6; /* in the hold: 4 steps, its start, its first second */
    p = plan(OOM_KIND_ANON, MIB);
    p.hold_msec = 1000000;
    ck_assert_int_eq(run(&p, true), OOM_END_STOPPED);
    ck_assert_uint_eq(heard.calls, 6);
    memset(&heard, 0, sizeof heard);
    heard.stop_at = 6; /* while the child writes */
    p = plan(OOM_KIND_FORK, MIB);
    p.rate_bytes = 4 * MIB;
    ck_assert_int_eq(run(&p, false), OOM_END_STOPPED);
    ck_assert_uint_gt(heard.copies, 0);
}
END_TEST

START_TEST(cycles)
{
    oom_plan_t p = plan(OOM_KIND_MMAP, MIB);

    p.repeat = 3;
    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq(heard.cycle, 3);
    ck_assert_uint_eq(heard.calls, 12);
    ck_assert_uint_eq(heard.largest, MIB);
    ck_assert_ptr_null(kept.head);
}
END_TEST

START_TEST(a_leak_stays)
{
    bool locked = kinds[_i].kind == OOM_KIND_MLOCK;
    oom_plan_t p = plan(kinds[_i].kind, locked ? 16 * KIB : MIB);
    uint64_t before = status(kinds[_i].shows), with, least = locked ? 48 : 2 * 1024;

    p.leak = true;
    p.repeat = 3;
    if (strcmp(kinds[_i].shows, "Threads") == 0)
        least = 3;
    ck_assert_int_eq(run(&p, false), OOM_END_DONE);
    ck_assert_uint_eq(out.bytes, (p.kind == OOM_KIND_FORK ? 6 : 3) * p.size_bytes);
    with = status(kinds[_i].shows);
    ck_assert_uint_ge(with, before + least);
    oom_eat_drop(&kept);
    ck_assert_ptr_null(kept.head);
    ck_assert_uint_lt(status(kinds[_i].shows), with);
}
END_TEST

/* A byte a thousand times is a thousand pages, and little beside. */
START_TEST(a_leak_is_lean)
{
    static const oom_kind_t lean[] = { OOM_KIND_ANON, OOM_KIND_MMAP };
    oom_plan_t p = plan(lean[_i], 1);
    uint64_t before;

    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    before = status("RssAnon");
    p.leak = true;
    p.repeat = 1000;
    ck_assert_int_eq(run(&p, true), OOM_END_DONE);
    ck_assert_uint_eq(out.bytes, 1000 * 4096);
    ck_assert_uint_ge(status("RssAnon"), before + 1000 * 4);
    ck_assert_uint_le(status("RssAnon"), before + 1000 * 5);
    oom_eat_drop(&kept);
}
END_TEST

START_TEST(a_leak_that_is_stopped_stays)
{
    oom_plan_t p = plan(OOM_KIND_ANON, MIB);

    p.leak = true;
    p.repeat = 3;
    heard.stop_at = 6; /* in the second cycle */
    ck_assert_int_eq(run(&p, true), OOM_END_STOPPED);
    ck_assert_uint_eq(heard.cycle, 2);
    ck_assert_uint_eq(out.bytes, MIB + 512 * KIB);
    ck_assert_ptr_nonnull(kept.head);
    ck_assert_ptr_null(kept.head->next_kept);
    ck_assert_uint_eq(kept.head->first->used, 6);
    oom_eat_drop(&kept);
}
END_TEST

START_TEST(a_killed_child_is_told_of)
{
    oom_meal_t *m;
    const char *step;
    int sig;
    oom_clock_t clock = { real_now, real_sleep };

    ck_assert_int_eq(oom_meal_open(OOM_KIND_FORK, NULL, 1, &m, &step), 0);
    ck_assert_int_eq(oom_meal_get(m, MIB), 0);
    ck_assert_int_eq(oom_meal_touch(m, MIB), 0);
    ck_assert(!oom_copy_alive(m, &sig));
    ck_assert_int_eq(oom_copy_start(m, 0, &clock), 0);
    while (oom_copy_written(m) < MIB)
        real_sleep(MSEC);
    ck_assert(oom_copy_alive(m, &sig)); /* it stays: its memory is the point */
    ck_assert_int_eq(kill(m->child, SIGTERM), 0);
    real_sleep(50 * MSEC);
    ck_assert(oom_copy_alive(m, &sig)); /* no handler of the server's runs in it */
    ck_assert_int_eq(kill(m->child, SIGKILL), 0);
    while (oom_copy_alive(m, &sig))
        real_sleep(MSEC);
    ck_assert_int_eq(sig, SIGKILL);
    oom_meal_close(m);
}
END_TEST

#if !SANITIZED
static const oom_kind_t refusable[] = { OOM_KIND_ANON, OOM_KIND_MMAP, OOM_KIND_SHM,
                                        OOM_KIND_THREAD, OOM_KIND_RESERVE };

START_TEST(no_address_space)
{
    oom_plan_t p = plan(refusable[_i], OOM_PLAN_UNLIMITED);
    struct rlimit lim;
    void *spare;

    lim.rlim_cur = lim.rlim_max = (status("VmSize") + 32 * 1024) * KIB;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &lim), 0);
    ck_assert_int_eq(run(&p, false), -ENOMEM);
    ck_assert_ptr_nonnull(out.step);
    ck_assert_uint_ge(out.bytes, 16 * MIB);
    ck_assert_uint_le(out.bytes, 32 * MIB);
    /* With leak all of it stays but the reserve: enough to answer with. */
    p.leak = true;
    ck_assert_int_eq(run(&p, false), -ENOMEM);
    spare = malloc(OOM_EAT_EMERGENCY_BYTES / 2);
    ck_assert_ptr_nonnull(spare);
    free(spare);
    oom_eat_drop(&kept);
}
END_TEST

START_TEST(no_locked_memory)
{
    oom_plan_t p = plan(OOM_KIND_MLOCK, MIB);
    struct rlimit none = { 0, 0 };

    /* Root may lock without limit, so be somebody else; it is this test's own process. */
    if (geteuid() == 0)
        ck_assert_int_eq(seteuid(65534), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    ck_assert_int_eq(run(&p, false), -EPERM);
    ck_assert_ptr_nonnull(strstr(out.step, "mlock"));
}
END_TEST
#endif

#define LOOP(tc, test, table)                                                            \
    tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    TCase *kind = tcase_create("kinds"), *course = tcase_create("course");
    TCase *refused = tcase_create("refused");
    TCase *cases[] = { kind, course, refused };

    LOOP(kind, a_kind_shows_and_goes, kinds);
    tcase_add_test(kind, reserve_is_not_touched);
    tcase_add_test(kind, a_file_needs_a_disk);
    tcase_add_test(kind, no_two_pages_are_alike);
    tcase_add_test(kind, sizes_are_rounded_up);
    LOOP(kind, a_leak_stays, kinds);
    tcase_add_loop_test(kind, a_leak_is_lean, SANITIZED, 2);
    tcase_add_test(course, a_leak_that_is_stopped_stays);
    tcase_add_test(course, every_step_is_told);
    tcase_add_test(course, a_rate_is_kept);
    tcase_add_test(course, due_is_safe_from_overflow);
    tcase_add_test(course, a_hold_is_held);
    tcase_add_test(course, it_can_be_stopped);
    tcase_add_test(course, cycles);
    tcase_add_test(course, a_killed_child_is_told_of);
#if !SANITIZED
    LOOP(refused, no_address_space, refusable);
    tcase_add_test(refused, no_locked_memory);
#endif
    return unit_run("eat", cases, 3);
}
