/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/reserve.h"
#include "unit.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALL_BYTES ((size_t)OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES)

/* What stands in for libc's: it does the same, and remembers what is to have no huge pages. */
static void *small_pages;

int madvise(void *mem, size_t bytes, int advice)
{
    if (advice == MADV_NOHUGEPAGE && bytes == ALL_BYTES)
        small_pages = mem;
    return (int)syscall(SYS_madvise, mem, bytes, advice);
}

/* How many of its pages are there, by mincore(2). */
static int resident(const og_reserve_t *r)
{
    long page = sysconf(_SC_PAGESIZE);
    unsigned char map[ALL_BYTES / 4096];
    int n = 0;

    ck_assert_int_eq(mincore(r->mem, ALL_BYTES, map), 0);
    for (size_t i = 0; i < ALL_BYTES / (size_t)page; i++)
        n += map[i] & 1;
    return n;
}

START_TEST(gives_and_takes)
{
    int a_piece = OG_RESERVE_PIECE_BYTES / (int)sysconf(_SC_PAGESIZE);
    og_reserve_t r;

    ck_assert_int_eq(og_reserve_make(&r), 0);
    ck_assert(og_reserve_is_whole(&r));
    ck_assert_ptr_eq(small_pages, r.mem);
    ck_assert_int_eq(resident(&r), OG_RESERVE_PIECES * a_piece);
    for (int left = OG_RESERVE_PIECES - 1; left >= 0; left--) {
        og_reserve_give(&r);
        ck_assert(!og_reserve_is_whole(&r));
        ck_assert_int_eq(resident(&r), left * a_piece);
    }
    og_reserve_give(&r); /* no more there: nothing happens */
    ck_assert_int_eq(resident(&r), 0);
    ck_assert_int_eq(r.pieces, 0);
    og_reserve_refill(&r);
    ck_assert(og_reserve_is_whole(&r));
    ck_assert_int_eq(resident(&r), OG_RESERVE_PIECES * a_piece);
}
END_TEST

static void is_none(og_reserve_t *r)
{
    ck_assert_int_eq(r->pieces, 0);
    og_reserve_give(r);
    og_reserve_refill(r);
    ck_assert(og_reserve_is_whole(r));
    ck_assert_ptr_null(r->mem);
    ck_assert_int_eq(r->pieces, 0);
}

START_TEST(does_without)
{
    og_reserve_t none = { NULL, 0 };

    is_none(&none);
}
END_TEST

START_TEST(says_that_there_is_none)
{
    struct rlimit before, low;
    og_reserve_t r = { (char *)"mem", 3 };
    void *any;
    int rc;

    ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
    low = before;
    low.rlim_cur = 1;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &low), 0);
    any = mmap(NULL, ALL_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    rc = og_reserve_make(&r);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
    if (any != MAP_FAILED)
        return; /* emulated, the limit is none */
    ck_assert_int_eq(rc, -ENOMEM);
    is_none(&r);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("reserve");

    tcase_add_test(tc, gives_and_takes);
    tcase_add_test(tc, does_without);
    tcase_add_test(tc, says_that_there_is_none);
    return unit_run("reserve", &tc, 1);
}
