/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/account.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *text;
    int64_t pages;
} lines[] = {
    { "335000 31606 770 120 0 1 0\n", 30836 },
    { "1 2 2 0", 0 },
    { "1 2 3 0", 0 }, /* counted at different moments */
    { "1 2 3", 0 },
    { "1 2", -1 },
    { "1 2 ", -1 },
    { "", -1 },
    { "1 -2 3", -1 },
    { "1 18446744073709551615 3", -1 },
    { "1 4611686018427387903 3", 4611686018427387900 },
    { "1 4611686018427387904 3", -1 },
};

START_TEST(parses)
{
    ck_assert_int_eq(og_account_parse(lines[_i].text), lines[_i].pages);
}
END_TEST

/* A process that has what the test says. */
static char root[] = "check_account.XXXXXX";
static og_account_t account;
static uint64_t small;

static void put(const char *path, const char *text)
{
    char full[256];
    FILE *f;

    snprintf(full, sizeof full, "%s/%s", root, path);
    f = fopen(full, "r+");
    if (f == NULL)
        f = fopen(full, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static int truncate_statm(off_t size)
{
    char full[256];

    snprintf(full, sizeof full, "%s/self/statm", root);
    return truncate(full, size);
}

static void folder(const char *path)
{
    char full[256];

    snprintf(full, sizeof full, "%s/%s", root, path);
    ck_assert(mkdir(full, 0700) == 0 || errno == EEXIST);
}

static void has(int pages)
{
    char text[64];

    snprintf(text, sizeof text, "9 %06d 100 1 0 1 0\n", pages + 100);
    put("self/statm", text);
}

static void setup(const char *thp)
{
    strcpy(root, "check_account.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    folder("self");
    folder("kernel");
    folder("kernel/mm");
    folder("kernel/mm/transparent_hugepage");
    put("kernel/mm/transparent_hugepage/enabled", thp);
    has(1000);
    ck_assert_int_eq(og_account_open(&account, root, root), 0);
    og_account_begin(&account);
}

static void teardown(void)
{
    char command[128];

    close(account.statm);
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* Leaves digits where the next function has what it does not set. */
static void __attribute__((noinline)) soil_stack(void)
{
    char soil[1024];

    memset(soil, '7', sizeof soil);
    __asm__ volatile("" : : "r"(soil) : "memory");
}

/* No byte more than there is is read, nor more than there is room for; and no program that the
 * process may start has the descriptor, whichever it is. */
START_TEST(reads_its_own)
{
    char longest[200];

    setup("always [madvise] never\n");
    ck_assert_int_ne(fcntl(account.statm, F_GETFD) & FD_CLOEXEC, 0);
    put("self/statm", "9 500 10");
    ck_assert_int_eq(truncate_statm(8), 0);
    soil_stack();
    ck_assert_int_eq(og_account_now(&account), 490);
    /* The third number ends where the room does, after 12: its 3 is left out. */
    memset(longest, '0', sizeof longest);
    memcpy(longest, "9 5000 ", 7);
    memcpy(longest + 125, "123", 4);
    put("self/statm", longest);
    ck_assert_int_eq(og_account_now(&account), 4988);
    close(account.statm);
    close(STDIN_FILENO);
    has(1000);
    ck_assert_int_eq(og_account_open(&account, root, root), 0);
    ck_assert_int_eq(account.statm, STDIN_FILENO);
    ck_assert_int_eq(og_account_now(&account), 1000);
    teardown();
}
END_TEST

START_TEST(begins_with_nothing)
{
    setup("always [madvise] never\n");
    has(0);
    og_account_begin(&account);
    ck_assert_int_eq(account.base, 0);
    has(500);
    ck_assert_int_eq(og_account_charge(&account, &small, 600), 500);
    has(0);
    ck_assert_int_eq(og_account_charge(&account, &small, 600), -500);
    teardown();
}
END_TEST

START_TEST(charges_growth)
{
    setup("always [madvise] never\n");
    ck_assert_int_eq(og_account_charge(&account, &small, 10), 0);
    has(1500);
    ck_assert_int_eq(og_account_charge(&account, &small, 520), 500);
    ck_assert_int_eq(og_account_charge(&account, &small, 520), 0);
    has(1400); /* it gave something back */
    ck_assert_int_eq(og_account_charge(&account, &small, 520), -100);
    teardown();
}
END_TEST

/* What another one has taken that is still running is not charged to who ends first. */
START_TEST(charges_nobody_for_others)
{
    setup("always [madvise] never\n");
    has(1300);
    ck_assert_int_eq(og_account_charge(&account, &small, 10), 10);
    has(1600);
    ck_assert_int_eq(og_account_charge(&account, &small, 600), 590);
    has(1000);
    ck_assert_int_eq(og_account_charge(&account, &small, 10), -10);
    ck_assert_int_eq(og_account_charge(&account, &small, 1000), -590);
    teardown();
}
END_TEST

START_TEST(lets_the_small_run_up)
{
    int looks = 0;

    setup("always [madvise] never\n");
    has(2000);
    for (int i = 0; i < 10 * OG_ACCOUNT_MEASURE; i++) {
        int64_t charge = og_account_charge(&account, &small, 1);

        looks += charge == OG_ACCOUNT_MEASURE;
        ck_assert(charge == 0 || charge == OG_ACCOUNT_MEASURE);
    }
    ck_assert_int_eq(looks, 10);
    teardown();
}
END_TEST

START_TEST(knows_huge_pages)
{
    setup("[always] madvise never\n");
    has(1512);
    ck_assert_int_eq(og_account_charge(&account, &small, 1), 512);
    /* However many faults, and however much memory. */
    put("self/statm", "9 4611686018427387903 0 ");
    ck_assert_int_eq(og_account_charge(&account, &small, 1ULL << 60), 4611686018427387903 - 1512);
    teardown();
}
END_TEST

START_TEST(lives_without)
{
    ck_assert_int_eq(og_account_open(&account, "/nowhere", "/nowhere"), -ENOENT);
    og_account_begin(&account);
    ck_assert_int_eq(og_account_charge(&account, &small, 1000), 0);
    ck_assert_int_eq(og_account_now(&account), -1);
    ck_assert_int_eq(account.base, 0);
}
END_TEST

static int64_t charged[4];

static void *charge_often(void *arg)
{
    uint64_t mine = 0;

    for (int i = 0; i < 1000; i++)
        *(int64_t *)arg += og_account_charge(&account, &mine, i % 2 == 0 ? 20 : 3);
    return NULL;
}

/* Nothing is charged twice, however many end at once. */
START_TEST(charges_each_once)
{
    pthread_t t[4];
    int64_t sum = 0;

    setup("always [madvise] never\n");
    has(15000);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, charge_often, &charged[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        sum += charged[i];
    }
    ck_assert_int_eq(sum, 14000);
    ck_assert_int_eq(account.charged, 14000);
    teardown();
}
END_TEST

/* The real thing: what is touched is taken, what is unmapped is given back. */
START_TEST(measures_itself)
{
    const size_t size = 8 << 20;
    const int64_t pages = (int64_t)size / sysconf(_SC_PAGESIZE);
#ifdef __SANITIZE_THREAD__ /* it notes eight times as much as there is, or less */
    const int64_t about = 128 + pages * 10;
#else /* AddressSanitizer notes an eighth */
    const int64_t about = 128 + pages / 8;
#endif
    uint64_t before;
    int64_t charge, faults;
    void *p;

    ck_assert_int_eq(og_account_open(&account, "/proc", "/sys"), 0);
    og_account_begin(&account);
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(p, MAP_FAILED);
    madvise(p, size, MADV_NOHUGEPAGE);
    before = og_account_faults();
    memset(p, 1, size);
    faults = (int64_t)(og_account_faults() - before);
    ck_assert_int_ge(faults, pages);
    ck_assert_int_lt(faults, pages + about);
    charge = og_account_charge(&account, &small, (uint64_t)faults);
    ck_assert_int_gt(charge, pages - about);
    munmap(p, size);
    charge = og_account_charge(&account, &small, (uint64_t)faults);
    ck_assert_int_lt(charge, about - pages);
    close(account.statm);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("account");

    tcase_add_loop_test(t, parses, 0, sizeof lines / sizeof *lines);
    tcase_add_test(t, reads_its_own);
    tcase_add_test(t, begins_with_nothing);
    tcase_add_test(t, charges_growth);
    tcase_add_test(t, charges_nobody_for_others);
    tcase_add_test(t, lets_the_small_run_up);
    tcase_add_test(t, knows_huge_pages);
    tcase_add_test(t, lives_without);
    tcase_add_test(t, charges_each_once);
    tcase_add_test(t, measures_itself);
    return unit_run("account", &t, 1);
}
