/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/reserve.h"
#include "unit.h"

#include <sys/mman.h>
#include <unistd.h>

/* How many of its pages are there, by mincore(2). */
static int resident(const og_reserve_t *r)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t size = (size_t)OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES;
    unsigned char map[OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES / 4096];
    int n = 0;

    ck_assert_int_eq(mincore(r->mem, size, map), 0);
    for (size_t i = 0; i < size / (size_t)page; i++)
        n += map[i] & 1;
    return n;
}

START_TEST(gives_and_takes)
{
    int a_piece = OG_RESERVE_PIECE_BYTES / (int)sysconf(_SC_PAGESIZE);
    og_reserve_t r;

    ck_assert_int_eq(og_reserve_make(&r), 0);
    ck_assert(og_reserve_is_whole(&r));
    ck_assert_int_eq(resident(&r), OG_RESERVE_PIECES * a_piece);
    for (int left = OG_RESERVE_PIECES - 1; left >= 0; left--) {
        og_reserve_give(&r);
        ck_assert(!og_reserve_is_whole(&r));
        ck_assert_int_eq(resident(&r), left * a_piece);
    }
    og_reserve_give(&r); /* no more there: nothing happens */
    ck_assert_int_eq(resident(&r), 0);
    og_reserve_refill(&r);
    ck_assert(og_reserve_is_whole(&r));
    ck_assert_int_eq(resident(&r), OG_RESERVE_PIECES * a_piece);
}
END_TEST

START_TEST(does_without)
{
    og_reserve_t none = { NULL, 0 };

    og_reserve_give(&none);
    og_reserve_refill(&none);
    ck_assert(og_reserve_is_whole(&none));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("reserve");

    tcase_add_test(tc, gives_and_takes);
    tcase_add_test(tc, does_without);
    return unit_run("reserve", &tc, 1);
}
