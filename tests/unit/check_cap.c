/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The arithmetic of caps, to the byte; what is measured of each kind, check_plan asks
 * for. */
#include "oom/cap.h"
#include "unit.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define MOST OOM_PLAN_BYTES_MAX
#define ENDLESS OOM_PLAN_UNLIMITED

static oom_plan_t plan(oom_kind_t kind, uint64_t size, uint32_t kept)
{
    return (oom_plan_t){
        .kind = kind, .size_bytes = size, .leak = kept > 0, .repeat = kept > 0 ? kept : 7
    };
}

START_TEST(a_grain_and_what_is_kept_beside)
{
    static const struct {
        uint64_t grain, extra;
    } kinds[OOM_KIND_COUNT] = {
        [OOM_KIND_ANON] = { 4096, 4096 },  [OOM_KIND_MMAP] = { 4096, 4096 },
        [OOM_KIND_SHM] = { 4096, 4096 },   [OOM_KIND_FILE] = { 4096, 4096 },
        [OOM_KIND_MLOCK] = { 4096, 4096 }, [OOM_KIND_THREAD] = { 256 * KIB, 64 * KIB },
        [OOM_KIND_FORK] = { 4096, MIB },   [OOM_KIND_RESERVE] = { 4096, 4096 },
    };

    for (int k = 0; k < OOM_KIND_COUNT; k++) {
        ck_assert_uint_eq(oom_cap_grain_bytes((oom_kind_t)k), kinds[k].grain);
        ck_assert_uint_eq(oom_cap_extra_bytes((oom_kind_t)k), kinds[k].extra);
    }
}
END_TEST

/* kept: cycles with leak=1; 0: without. total 0: more than a process can address. */
static const struct {
    oom_kind_t kind;
    uint64_t size;
    uint32_t kept;
    uint64_t total;
} totals[] = {
    { OOM_KIND_ANON, 1, 0, 4096 },
    { OOM_KIND_ANON, 4096, 0, 4096 },
    { OOM_KIND_ANON, 4097, 0, 8192 },
    { OOM_KIND_ANON, 4097, 1, 8192 },
    { OOM_KIND_ANON, 4097, 2, 2 * (8192 + 4096) },
    { OOM_KIND_THREAD, 1, 0, 256 * KIB },
    { OOM_KIND_THREAD, 256 * KIB + 1, 3, 3 * (512 + 64) * KIB },
    { OOM_KIND_FORK, 1, 0, 8192 },
    { OOM_KIND_FORK, 4096, 1, 8192 },
    { OOM_KIND_FORK, 4097, 5, 5 * (16384 + MIB) },
    { OOM_KIND_ANON, MOST, 0, MOST + 1 },
    { OOM_KIND_FORK, (MOST + 1) / 2, 0, MOST + 1 },
    { OOM_KIND_FORK, (MOST + 1) / 2 + 1, 0, 0 },
    { OOM_KIND_FORK, MOST, 0, 0 },
    { OOM_KIND_FORK, MOST - 8191, 2, 0 }, /* all but the copy's extra fits into 64 bits */
    { OOM_KIND_ANON, ((uint64_t)1 << 45) - 4096, 1u << 19,
      0 }, /* 64 bits hold nothing of it */
    { OOM_KIND_ANON, (MOST + 1) / 2, 2, 0 },
    { OOM_KIND_ANON, (MOST + 1) / 2 - 4096, 2, MOST + 1 },
};

START_TEST(a_total)
{
    oom_plan_t p = plan(totals[_i].kind, totals[_i].size, totals[_i].kept);
    uint64_t bytes = 0;

    ck_assert_int_eq(oom_cap_total(&p, &bytes), totals[_i].total != 0);
    if (totals[_i].total != 0)
        ck_assert_uint_eq(bytes, totals[_i].total);
}
END_TEST

START_TEST(pages)
{
    ck_assert_uint_eq(oom_cap_pages(1), 4096);
    ck_assert_uint_eq(oom_cap_pages(4096), 4096);
    ck_assert_uint_eq(oom_cap_pages(4097), 8192);
    ck_assert_uint_eq(oom_cap_pages(MOST), MOST + 1);
    ck_assert_uint_eq(oom_cap_pages(MOST + 1), MOST + 1);
    ck_assert_uint_eq(oom_cap_pages(MOST + 2), MOST + 2);
    ck_assert_uint_eq(oom_cap_pages(ENDLESS), ENDLESS);
}
END_TEST

static const struct {
    oom_kind_t kind;
    uint64_t cap;
    uint32_t kept;
    uint64_t size;
} sizes[] = {
    { OOM_KIND_ANON, ENDLESS, 0, ENDLESS },
    { OOM_KIND_FORK, ENDLESS, 9, ENDLESS },
    { OOM_KIND_ANON, 1, 0, 4096 },
    { OOM_KIND_ANON, 8192, 0, 8192 },
    { OOM_KIND_ANON, 16384, 2, 4096 },
    { OOM_KIND_ANON, 16383, 2, 4096 },
    { OOM_KIND_ANON, 12288, 2, 0 }, /* half a page each */
    { OOM_KIND_ANON, 8192, 2, 0 },  /* what is beside, and nothing */
    { OOM_KIND_ANON, 4096, 2, 0 },
    { OOM_KIND_ANON, 4096, 1, 4096 },
    { OOM_KIND_FORK, 4 * MIB, 0, 2 * MIB },
    { OOM_KIND_FORK, 4 * MIB, 2, 512 * KIB },
    { OOM_KIND_FORK, 2 * MIB + 4096, 2, 0 },
    { OOM_KIND_THREAD, 508 * KIB, 0, 256 * KIB },
    { OOM_KIND_THREAD, 640 * KIB, 2, 256 * KIB },
    { OOM_KIND_THREAD, 636 * KIB, 2, 0 },
};

START_TEST(a_size)
{
    oom_plan_t p = plan(sizes[_i].kind, 0, sizes[_i].kept);

    ck_assert_uint_eq(oom_cap_size(&p, sizes[_i].cap), sizes[_i].size);
}
END_TEST

int main(void)
{
    TCase *cap = tcase_create("cap");

    tcase_add_test(cap, a_grain_and_what_is_kept_beside);
    tcase_add_loop_test(cap, a_total, 0, sizeof totals / sizeof *totals);
    tcase_add_test(cap, pages);
    tcase_add_loop_test(cap, a_size, 0, sizeof sizes / sizeof *sizes);
    return unit_run("cap", &cap, 1);
}
