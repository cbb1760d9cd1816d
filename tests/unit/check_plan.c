/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/plan.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

static const oom_bounds_t bounds = { 128 * MIB, OOM_PLAN_UNLIMITED };
static char err[OOM_PLAN_ERROR_MAX];

static oom_plan_t parse(const char *query, uint64_t cap)
{
    oom_bounds_t b = { bounds.limit_bytes, cap };
    oom_plan_t plan;

    err[0] = '\0';
    ck_assert_msg(oom_plan_parse(query, &b, &plan, err, sizeof err) == 0, "%s: %s", query,
                  err);
    return plan;
}

static void refuse(const char *query, uint64_t cap)
{
    oom_bounds_t b = { bounds.limit_bytes, cap };
    oom_plan_t plan;

    err[0] = '\0';
    ck_assert_msg(oom_plan_parse(query, &b, &plan, err, sizeof err) == -EINVAL, "%s",
                  query);
    ck_assert_msg(err[strlen(err) - 1] == '.', "no sentence: %s", err);
    ck_assert_msg(strlen(err) < sizeof err - 1, "too long: %s", err);
    for (const char *p = err; *p != '\0'; p++)
        ck_assert_msg(*p >= ' ' && *p < 0x7f, "not printable in %s", err);
}

START_TEST(nothing_asked)
{
    static const char *const none[] = { NULL, "" };

    for (int i = 0; i < 2; i++) {
        oom_plan_t p = parse(none[i], OOM_PLAN_UNLIMITED);

        ck_assert_int_eq(p.kind, OOM_KIND_ANON);
        ck_assert(p.size_bytes == OOM_PLAN_UNLIMITED);
        ck_assert_uint_eq(p.rate_bytes, 0);
        ck_assert_uint_eq(p.hold_msec, 0);
        ck_assert(!p.leak);
        ck_assert_uint_eq(p.repeat, 1);
    }
}
END_TEST

START_TEST(everything_asked)
{
    oom_plan_t p = parse("size=10M&rate=2k&hold=1.25&kind=shm&leak=1&repeat=3", 31 * MIB);

    ck_assert_int_eq(p.kind, OOM_KIND_SHM);
    ck_assert_uint_eq(p.size_bytes, 10 * MIB);
    ck_assert_uint_eq(p.rate_bytes, 2048);
    ck_assert_uint_eq(p.hold_msec, 1250);
    ck_assert(p.leak);
    ck_assert_uint_eq(p.repeat, 3);
}
END_TEST

static const struct {
    const char *query;
    uint64_t bytes;
} sizes[] = {
    { "size=1", 1 },
    { "size=4096", 4096 },
    { "size=0012", 12 },
    { "size=3K", 3072 },
    { "size=3k", 3072 },
    { "size=3KB", 3072 },
    { "size=3KiB", 3072 },
    { "size=12B", 12 },
    { "size=7m", 7 * MIB },
    { "size=2G", 2 * GIB },
    { "size=1T", 1024 * GIB },
    { "size=%31%30M", 10 * MIB },
    { "size=1%394%4D", 194 * MIB },
    { "size=1%6bi%42", KIB },
    { "size=50%", 64 * MIB },
    { "size=50%25", 64 * MIB },
    { "size=100%", 128 * MIB },
    { "size=150%&hold=1", 192 * MIB },
    { "size=8388607T", (uint64_t)8388607 << 40 },
    { "size=9223372036854775807", OOM_PLAN_BYTES_MAX },
};

START_TEST(a_size)
{
    ck_assert_uint_eq(parse(sizes[_i].query, OOM_PLAN_UNLIMITED).size_bytes,
                      sizes[_i].bytes);
}
END_TEST

START_TEST(empty_pairs_are_passed_over)
{
    static const char *const queries[] = { "size=1M&hold=2&", "&size=1M&hold=2",
                                           "&&size=1M&&&hold=2&&" };

    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        oom_plan_t p = parse(queries[i], OOM_PLAN_UNLIMITED);

        ck_assert_uint_eq(p.size_bytes, MIB);
        ck_assert_uint_eq(p.hold_msec, 2000);
    }
    ck_assert(parse("&&", OOM_PLAN_UNLIMITED).size_bytes == OOM_PLAN_UNLIMITED);
}
END_TEST

START_TEST(every_kind)
{
    static const char *const names[] = { "anon",  "mmap",   "shm",  "file",
                                         "mlock", "thread", "fork", "reserve" };
    char query[32];

    for (int k = 0; k < OOM_KIND_COUNT; k++) {
        snprintf(query, sizeof query, "kind=%s", names[k]);
        ck_assert_int_eq(parse(query, OOM_PLAN_UNLIMITED).kind, k);
        ck_assert_str_eq(oom_plan_kind((oom_kind_t)k), names[k]);
    }
    ck_assert_str_eq(oom_plan_kind(OOM_KIND_COUNT), "unknown");
}
END_TEST

START_TEST(a_hold)
{
    ck_assert_uint_eq(parse("hold=0", OOM_PLAN_UNLIMITED).hold_msec, 0);
    ck_assert_uint_eq(parse("hold=0.5", OOM_PLAN_UNLIMITED).hold_msec, 500);
    ck_assert_uint_eq(parse("hold=2.0509999", OOM_PLAN_UNLIMITED).hold_msec, 2050);
    ck_assert_uint_eq(parse("hold=604800.000", OOM_PLAN_UNLIMITED).hold_msec, 604800000);
}
END_TEST

/* What was given, and the words that have to be in the sentence. */
static const struct {
    const char *query, *name, *given, *allowed;
} bad[] = {
    { "size", "\"size\"", "\"\"", "powers of 1024" },
    { "size=", "\"size\"", "\"\"", "powers of 1024" },
    { "size=-1", "\"size\"", "\"-1\"", "1 to 9223372036854775807" },
    { "size=+1", "\"size\"", "\"+1\"", "bytes" },
    { "size=0", "\"size\"", "\"0\"", "1 to" },
    { "size=0%", "\"size\"", "\"0%\"", "50%" },
    { "size= 1", "\"size\"", "\" 1\"", "bytes" },
    { "size=1 ", "\"size\"", "\"1 \"", "bytes" },
    { "size=1.5G", "\"size\"", "\"1.5G\"", "bytes" },
    { "size=1X", "\"size\"", "\"1X\"", "K, M, G or T" },
    { "size=1Ki", "\"size\"", "\"1Ki\"", "K, M, G or T" },
    { "size=1iB", "\"size\"", "\"1iB\"", "K, M, G or T" },
    { "size=1KK", "\"size\"", "\"1KK\"", "K, M, G or T" },
    { "size=50%%", "\"size\"", "\"50%%\"", "50%" },
    { "size=1%00M", "\"size\"", "\"1\\x00M\"", "bytes" },
    { "size=9223372036854775808", "\"size\"", "\"9223372036854775808\"", "bytes" },
    { "size=18446744073709551617", "\"size\"", "\"18446744073709551617\"", "bytes" },
    { "size=8388608T", "\"size\"", "\"8388608T\"", "bytes" },
    { "size=9223372036854775807%", "\"size\"", "\"9223372036854775807%\"", "at most" },
    { "size=1%0g", "\"size\"", "\"1%0g\"", "bytes" },
    { "size=1%g0", "\"size\"", "\"1%g0\"", "bytes" },
    { "size=1%/f", "\"size\"", "\"1%/f\"", "bytes" },
    { "size=1%:f", "\"size\"", "\"1%:f\"", "bytes" },
    { "size=unlimited", "\"size\"", "\"unlimited\"", "bytes" },
    { "size=1M&size=2M", "\"size\"", "\"2M\"", "once" },
    { "rate=1M&rate=1M", "\"rate\"", "\"1M\"", "once" },
    { "hold=1&hold=1", "\"hold\"", "\"1\"", "once" },
    { "kind=anon&kind=mmap", "\"kind\"", "\"mmap\"", "once" },
    { "leak=1&leak=0", "\"leak\"", "\"0\"", "once" },
    { "repeat=2&size=1&repeat=3", "\"repeat\"", "\"3\"", "once" },
    { "rate=50%", "\"rate\"", "\"50%\"", "a second" },
    { "rate=0", "\"rate\"", "\"0\"", "a second" },
    { "rate=99999999999T", "\"rate\"", "\"99999999999T\"", "a second" },
    { "hold=-1", "\"hold\"", "\"-1\"", "seconds" },
    { "hold=1e3", "\"hold\"", "\"1e3\"", "seconds" },
    { "hold=.5", "\"hold\"", "\".5\"", "seconds" },
    { "hold=5.", "\"hold\"", "\"5.\"", "seconds" },
    { "hold=1.2.3", "\"hold\"", "\"1.2.3\"", "seconds" },
    { "hold=604800.001", "\"hold\"", "\"604800.001\"", "604800" },
    { "hold=604801", "\"hold\"", "\"604801\"", "604800" },
    { "hold=99999999999999999999", "\"hold\"", "\"99999999999999999999\"", "604800" },
    { "kind=Anon", "\"kind\"", "\"Anon\"", "mlock" },
    { "kind=anon%00", "\"kind\"", "\"anon\\x00\"", "mlock" },
    { "kind=", "\"kind\"", "\"\"", "reserve" },
    { "leak=2", "\"leak\"", "\"2\"", "0 " },
    { "leak=yes", "\"leak\"", "\"yes\"", "1 " },
    { "repeat=0", "\"repeat\"", "\"0\"", "1 to 1000000" },
    { "repeat=1000001", "\"repeat\"", "\"1000001\"", "1 to 1000000" },
    { "repeat=4294967297", "\"repeat\"", "\"4294967297\"", "1 to 1000000" },
    { "repeat=1K", "\"repeat\"", "\"1K\"", "1 to 1000000" },
    { "sise=1M", "\"sise\"", "\"1M\"", "size, rate, hold, kind, leak and repeat" },
    { "Size=1M", "\"Size\"", "\"1M\"", "size, rate" },
    { "=1M", "\"\"", "\"1M\"", "size, rate" },
    { "size=1M&&=", "\"\"", "\"\"", "size, rate" },
    { "%22%0d%0a<b>=1", "\"\\x22\\x0d\\x0a<b>\"", "\"1\"", "size, rate" },
    { "kind=\xc3\xa4%7f%5c", "\"kind\"", "\"\\xc3\\xa4\\x7f\\x5c\"", "anon" },
};

START_TEST(a_bad_one)
{
    refuse(bad[_i].query, OOM_PLAN_UNLIMITED);
    ck_assert_msg(strstr(err, bad[_i].name) != NULL, "%s: %s", bad[_i].query, err);
    ck_assert_msg(strstr(err, bad[_i].given) != NULL, "%s: %s", bad[_i].query, err);
    ck_assert_msg(strstr(err, bad[_i].allowed) != NULL, "%s: %s", bad[_i].query, err);
}
END_TEST

START_TEST(long_ones_are_cut)
{
    char query[4096];

    memset(query, '%', sizeof query - 1);
    query[sizeof query - 1] = '\0';
    refuse(query, OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "%%%...\""));
    memcpy(query, "size=1", 6);
    refuse(query, OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "\"1%%%"));
    memset(query, 'x', sizeof query - 1);
    refuse(query, OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "xxx...\""));
    /* 40 bytes are shown, and no more. */
    snprintf(query, sizeof query, "size=%040d", 0);
    refuse(query, OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "00\""));
    snprintf(query, sizeof query, "size=%041d", 0);
    refuse(query, OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "00...\""));
    /* 64 are looked at, and one more is too much, even if they would make a size. */
    snprintf(query, sizeof query, "size=%064d", 7);
    ck_assert_uint_eq(parse(query, OOM_PLAN_UNLIMITED).size_bytes, 7);
    snprintf(query, sizeof query, "size=%064d0", 7);
    refuse(query, OOM_PLAN_UNLIMITED);
    memset(query, '%', sizeof query - 1);
    memcpy(query, "size=1", 6);
    /* Nothing but zeros, and yet no size: longer than any that means something. */
    memset(query + 5, '0', sizeof query - 6);
    query[sizeof query - 2] = '1';
    refuse(query, OOM_PLAN_UNLIMITED);
}
END_TEST

START_TEST(kinds_that_end_by_themselves)
{
    ck_assert_uint_eq(parse("kind=file", OOM_PLAN_UNLIMITED).size_bytes, 256 * MIB);
    ck_assert_uint_eq(parse("kind=reserve", OOM_PLAN_UNLIMITED).size_bytes, 256 * MIB);
    ck_assert_uint_eq(parse("kind=fork", OOM_PLAN_UNLIMITED).size_bytes,
                      128 * MIB * 6 / 10);
    ck_assert_uint_eq(parse("repeat=1", OOM_PLAN_UNLIMITED).repeat, 1);
    ck_assert_uint_eq(parse("kind=file&size=3M", OOM_PLAN_UNLIMITED).size_bytes, 3 * MIB);
}
END_TEST

START_TEST(the_cap_cuts)
{
    ck_assert_uint_eq(parse(NULL, 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("repeat=4", 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("repeat=4&leak=1", 64 * MIB).size_bytes, 16 * MIB - 4096);
    ck_assert_uint_eq(parse("leak=1", 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("size=64M&leak=1", 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("kind=file", 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("kind=fork", 64 * MIB).size_bytes, 32 * MIB);
    ck_assert_uint_eq(parse("size=64M", 64 * MIB).size_bytes, 64 * MIB);
    ck_assert_uint_eq(parse("size=50%", 64 * MIB).size_bytes, 64 * MIB);
    /* A cap need not be pages: a third of the limit is a third of the limit. */
    ck_assert_uint_eq(parse("size=33%", 128 * MIB / 100 * 33).size_bytes,
                      128 * MIB / 100 * 33 + 9);
    ck_assert_uint_eq(parse("kind=thread", MIB + 5).size_bytes, MIB);
}
END_TEST

static const char *const above[] = { "size=67108865",
                                     "size=1T",
                                     "size=51%",
                                     "size=33M&kind=fork",
                                     "size=17M&leak=1&repeat=4",
                                     "leak=1&repeat=4&size=17M",
                                     "size=16M&leak=1&repeat=4",
                                     "size=1&leak=1&repeat=1000000",
                                     "size=1&leak=1&repeat=8193",
                                     "kind=thread&size=1&leak=1&repeat=1000",
                                     "kind=thread&size=1&leak=1&repeat=205",
                                     "kind=fork&size=1&leak=1&repeat=64",
                                     "kind=reserve&size=1&leak=1&repeat=1000000" };

START_TEST(above_the_cap)
{
    refuse(above[_i], 64 * MIB);
    ck_assert_ptr_nonnull(strstr(err, "\"size\""));
    ck_assert_ptr_nonnull(strstr(err, "OOMMaxSize"));
    ck_assert_ptr_nonnull(strstr(err, "67108864"));
}
END_TEST

static uint64_t div_up(uint64_t n, uint64_t by)
{
    return (n + by - 1) / by;
}

/* For each kind and any number of cycles, what a plan without size, and the largest size
 * with one, leaves in memory by what was measured. */
START_TEST(cycles_cannot_slip_by)
{
    static const uint64_t least_kept[OOM_KIND_COUNT] = {
        [OOM_KIND_ANON] = 4128,   [OOM_KIND_MMAP] = 4128,   [OOM_KIND_SHM] = 5505,
        [OOM_KIND_FILE] = 4128,   [OOM_KIND_MLOCK] = 5242,  [OOM_KIND_THREAD] = 285450,
        [OOM_KIND_FORK] = 163020, [OOM_KIND_RESERVE] = 4096
    };
    const uint64_t cap = 40 * MIB;
    oom_bounds_t b = { 128 * MIB, cap };
    unsigned allowed = 0;

    for (uint32_t n = 2; n <= OOM_PLAN_REPEAT_MAX; n += div_up(n, 9)) {
        uint64_t grain = _i == OOM_KIND_THREAD ? 256 * KIB : 4096;
        char query[80];
        oom_plan_t p;
        int len = snprintf(query, sizeof query, "kind=%s&leak=1&repeat=%u",
                           oom_plan_kind((oom_kind_t)_i), n);

        if (oom_plan_parse(query, &b, &p, err, sizeof err) != 0) {
            ck_assert_ptr_nonnull(strstr(err, "OOMMaxSize"));
            ck_assert_ptr_nonnull(strstr(err, "\"repeat\""));
            snprintf(query + len, sizeof query - (size_t)len, "&size=1");
            refuse(query, cap);
            continue;
        }
        allowed++;
        ck_assert_uint_eq(p.size_bytes % grain, 0);
        ck_assert_uint_le(
            ((p.size_bytes - grain) * (_i == OOM_KIND_FORK ? 2 : 1) + least_kept[_i]) * n,
            cap);
        /* What is taken without being asked for may be asked for, and no page more. */
        snprintf(query + len, sizeof query - (size_t)len, "&size=%llu",
                 (unsigned long long)p.size_bytes);
        parse(query, cap);
        snprintf(query + len, sizeof query - (size_t)len, "&size=%llu",
                 (unsigned long long)p.size_bytes + 1);
        refuse(query, cap);
    }
    ck_assert_uint_gt(allowed, 3);
}
END_TEST

/* What comes on top of the size that was given is named, and nothing else. */
START_TEST(what_it_comes_to)
{
    static const struct {
        const char *query;
        bool cycles, copy;
    } t[] = { { "size=65M", false, false },
              { "size=65M&leak=1", false, false },
              { "size=65M&repeat=4", false, false },
              { "size=65M&leak=1&repeat=1", false, false },
              { "size=17M&leak=1&repeat=4", true, false },
              { "size=33M&leak=1&repeat=2", true, false },
              { "size=33M&kind=fork", false, true },
              { "size=33M&kind=fork&leak=1&repeat=2", true, true } };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        refuse(t[i].query, 64 * MIB);
        ck_assert_msg((strstr(err, "in all cycles of leak=1, with what keeps each") !=
                       NULL) == t[i].cycles,
                      "%s: %s", t[i].query, err);
        ck_assert_msg((strstr(err, "with the copy of kind=fork") != NULL) == t[i].copy,
                      "%s: %s", t[i].query, err);
    }
}
END_TEST

/* Limits that nearly no machine has. */
START_TEST(limits_at_the_ends_of_numbers)
{
    oom_bounds_t b = { 100, OOM_PLAN_UNLIMITED };
    oom_plan_t p;

    ck_assert_int_eq(oom_plan_parse("size=9223372036854775807%", &b, &p, err, sizeof err),
                     0);
    ck_assert_uint_eq(p.size_bytes, OOM_PLAN_BYTES_MAX);
    b.limit_bytes = 101;
    ck_assert_int_eq(oom_plan_parse("size=9223372036854775807%", &b, &p, err, sizeof err),
                     -EINVAL);
    b.limit_bytes = UINT64_MAX;
    ck_assert_int_eq(oom_plan_parse("kind=file", &b, &p, err, sizeof err), 0);
    ck_assert_uint_eq(p.size_bytes, OOM_PLAN_BYTES_MAX);
}
END_TEST

START_TEST(too_many_cycles)
{
    refuse("leak=1&repeat=1000", 999);
    ck_assert_ptr_nonnull(strstr(err, "\"repeat\""));
    ck_assert_ptr_nonnull(strstr(err, "OOMMaxSize"));
    refuse("leak=1&repeat=1000000", 40 * MIB);
    ck_assert_ptr_nonnull(strstr(err, "\"1000000\""));
    ck_assert_ptr_nonnull(strstr(err, "41943040 that OOMMaxSize"));
    refuse("kind=thread&size=1", 250 * KIB);
    ck_assert_ptr_nonnull(strstr(err, "262144 bytes; allowed are at most 256000 bytes"));
    refuse("kind=thread&leak=1", 250 * KIB);
    ck_assert_ptr_nonnull(strstr(err, "\"kind\" was given as \"thread\""));
    refuse("kind=fork", 1);
    ck_assert_ptr_nonnull(strstr(err, "\"kind\""));
    refuse("size=5000000000000000000&leak=1&repeat=4", OOM_PLAN_UNLIMITED);
    ck_assert_ptr_nonnull(strstr(err, "\"size\""));
}
END_TEST

START_TEST(an_amount)
{
    oom_amount_t a = { .n = 4711 };

    ck_assert_int_eq(oom_plan_amount("Unlimited", &a), 0);
    ck_assert_uint_eq(a.n, 0);
    ck_assert(oom_plan_resolve(&a, 1) == OOM_PLAN_UNLIMITED);
    ck_assert_int_eq(oom_plan_amount("50%", &a), 0);
    ck_assert_uint_eq(oom_plan_resolve(&a, 199), 99);
    ck_assert_int_eq(oom_plan_amount("25%", &a), 0);
    ck_assert_uint_eq(oom_plan_resolve(&a, 4 * GIB), GIB);
    ck_assert_uint_eq(oom_plan_resolve(&a, 3), 1);
    ck_assert_int_eq(oom_plan_amount("1G", &a), 0);
    ck_assert_uint_eq(oom_plan_resolve(&a, 1), GIB);
    ck_assert_int_eq(oom_plan_amount("9223372036854775807%", &a), 0);
    ck_assert_uint_eq(oom_plan_resolve(&a, UINT64_MAX), OOM_PLAN_BYTES_MAX);
    ck_assert_uint_eq(oom_plan_resolve(&a, 200), OOM_PLAN_BYTES_MAX);
    ck_assert_int_eq(oom_plan_amount("", &a), -EINVAL);
    ck_assert_int_eq(oom_plan_amount("0", &a), -EINVAL);
    ck_assert_int_eq(oom_plan_amount("unlimitedly", &a), -EINVAL);
    ck_assert_int_eq(oom_plan_amount("off", &a), -EINVAL);
}
END_TEST

START_TEST(a_step)
{
    static const struct {
        uint64_t size, limit, step;
    } t[] = { { 1, 128 * MIB, MIB },
              { 32 * MIB, 128 * MIB, MIB },
              { 64 * MIB - 1, 128 * MIB, MIB },
              { 64 * MIB, 128 * MIB, 2 * MIB },
              { GIB, 128 * MIB, 4 * MIB },
              { OOM_PLAN_UNLIMITED, 128 * MIB, 4 * MIB },
              { OOM_PLAN_UNLIMITED, 24 * GIB, 512 * MIB } };

    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        oom_plan_t p = { .size_bytes = t[i].size };

        ck_assert_uint_eq(oom_plan_step(&p, t[i].limit), t[i].step);
    }
}
END_TEST

#define LOOP(tc, test, table)                                                            \
    tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
    TCase *good = tcase_create("understood"), *wrong = tcase_create("refused");
    TCase *cap = tcase_create("capped");
    TCase *cases[] = { good, wrong, cap };

    tcase_add_test(good, nothing_asked);
    tcase_add_test(good, everything_asked);
    LOOP(good, a_size, sizes);
    tcase_add_test(good, empty_pairs_are_passed_over);
    tcase_add_test(good, every_kind);
    tcase_add_test(good, a_hold);
    tcase_add_test(good, kinds_that_end_by_themselves);
    tcase_add_test(good, an_amount);
    tcase_add_test(good, a_step);
    LOOP(wrong, a_bad_one, bad);
    tcase_add_test(wrong, long_ones_are_cut);
    tcase_add_test(cap, the_cap_cuts);
    LOOP(cap, above_the_cap, above);
    tcase_add_loop_test(cap, cycles_cannot_slip_by, 0, OOM_KIND_COUNT);
    tcase_add_test(cap, what_it_comes_to);
    tcase_add_test(cap, limits_at_the_ends_of_numbers);
    tcase_add_test(cap, too_many_cycles);
    return unit_run("plan", cases, 3);
}
