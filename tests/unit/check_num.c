/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/num.h"
#include "unit.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* used: how many bytes were read; -1: refused. */
static const struct {
    const char *text;
    int used;
    uint64_t value;
} unsigned_cases[] = {
    { "0", 1, 0 },
    { "7x", 1, 7 },
    { "007", 3, 7 },
    { "12 34", 2, 12 },
    { "18446744073709551615", 20, UINT64_MAX },
    { "00000000000000000000000000001", 29, 1 },
    { "18446744073709551616", -1, 0 },
    { "99999999999999999999", -1, 0 },
    { "184467440737095516150", -1, 0 },
    { "", -1, 0 },
    { "-1", -1, 0 },
    { "+1", -1, 0 },
    { " 1", -1, 0 },
    { "x1", -1, 0 },
    { "/", -1, 0 }, /* next to the digits */
    { ":", -1, 0 },
};

static const struct {
    const char *text;
    int used;
    int64_t value;
} signed_cases[] = {
    { "0", 1, 0 },
    { "-0", 2, 0 },
    { "-900kB", 4, -900 },
    { "200", 3, 200 },
    { "9223372036854775807", 19, INT64_MAX },
    { "-9223372036854775808", 20, INT64_MIN },
    { "-9223372036854775807", 20, -INT64_MAX },
    { "9223372036854775808", -1, 0 },
    { "-9223372036854775809", -1, 0 },
    { "18446744073709551615", -1, 0 },
    { "-18446744073709551616", -1, 0 },
    { "", -1, 0 },
    { "-", -1, 0 },
    { "--1", -1, 0 },
    { "- 1", -1, 0 },
    { "+1", -1, 0 },
};

START_TEST(unsigned_numbers)
{
    const char *text = unsigned_cases[_i].text, *p = text;
    uint64_t n = 4711;
    bool ok = og_num_u64(&p, text + strlen(text), &n);

    ck_assert_int_eq(ok, unsigned_cases[_i].used >= 0);
    ck_assert_int_eq(p - text, ok ? unsigned_cases[_i].used : 0);
    ck_assert_uint_eq(n, ok ? unsigned_cases[_i].value : 4711);
}
END_TEST

START_TEST(signed_numbers)
{
    const char *text = signed_cases[_i].text, *p = text;
    int64_t n = -4711;
    bool ok = og_num_i64(&p, text + strlen(text), &n);

    ck_assert_int_eq(ok, signed_cases[_i].used >= 0);
    ck_assert_int_eq(p - text, ok ? signed_cases[_i].used : 0);
    ck_assert_int_eq(n, ok ? signed_cases[_i].value : -4711);
}
END_TEST

/* No byte at or behind the end counts, not even a digit. */
START_TEST(the_end_is_the_end)
{
    static const char text[] = "-123";
    const char *p = text + 1;
    uint64_t u;
    int64_t i;

    ck_assert(og_num_u64(&p, text + 3, &u));
    ck_assert_uint_eq(u, 12);
    ck_assert_ptr_eq(p, text + 3);
    ck_assert(!og_num_u64(&p, text + 3, &u));
    p = text;
    ck_assert(og_num_i64(&p, text + 2, &i));
    ck_assert_int_eq(i, -1);
    p = text;
    ck_assert(!og_num_i64(&p, text + 1, &i));
    ck_assert_ptr_eq(p, text);
}
END_TEST

/* Nor is it looked at: there may be none. */
START_TEST(nothing_is_behind_the_end)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *end = pages + page;
    const char *p = end;
    uint64_t u;
    int64_t i;

    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(end, page, PROT_NONE), 0);
    ck_assert(!og_num_u64(&p, end, &u));
    ck_assert(!og_num_i64(&p, end, &i));
    memcpy(end - 2, "-1", 2);
    p = end - 1;
    ck_assert(og_num_u64(&p, end, &u));
    p = end - 2;
    ck_assert(og_num_i64(&p, end, &i));
    ck_assert_ptr_eq(p, end);
    munmap(pages, 2 * page);
}
END_TEST

int main(void)
{
    TCase *num = tcase_create("num");

    tcase_add_loop_test(num, unsigned_numbers, 0,
                        sizeof unsigned_cases / sizeof *unsigned_cases);
    tcase_add_loop_test(num, signed_numbers, 0,
                        sizeof signed_cases / sizeof *signed_cases);
    tcase_add_test(num, the_end_is_the_end);
    tcase_add_test(num, nothing_is_behind_the_end);
    return unit_run("num", &num, 1);
}
