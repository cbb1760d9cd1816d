/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/counters.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static og_counts_t counts;

static bool parse(const char *text)
{
    return og_counters_parse(text, strlen(text), &counts);
}

START_TEST(reads_version_2)
{
    ck_assert(parse("low 0\nhigh 7\nmax 31\noom 5\noom_kill 4\noom_group_kill 1\n"));
    ck_assert_uint_eq(counts.high, 7);
    ck_assert_uint_eq(counts.max, 31);
    ck_assert_uint_eq(counts.oom, 5);
    ck_assert_uint_eq(counts.oom_kill, 4);
    ck_assert_uint_eq(counts.oom_group_kill, 1);
}
END_TEST

START_TEST(reads_version_1_and_the_machine)
{
    ck_assert(parse("oom_kill_disable 0\nunder_oom 1\noom_kill 3\n"));
    ck_assert_uint_eq(counts.oom_kill, 3);
    ck_assert_uint_eq(counts.oom, OG_COUNTERS_UNKNOWN);
    ck_assert(parse("pgfault 12\noom_kill 9\nnuma_hit 1"));
    ck_assert_uint_eq(counts.oom_kill, 9);
}
END_TEST

START_TEST(refuses_what_counts_nothing)
{
    ck_assert(!parse(""));
    ck_assert(!parse("oom_kill_disable 0\nunder_oom 0\n"));
    ck_assert(!parse("oom_kill\n"));
    ck_assert(!parse("oom_kill x\n"));
    ck_assert(!parse("oom_kill 3x\n"));
    ck_assert(!parse(" oom_kill 3\n"));
    ck_assert(!parse("oom_kill 99999999999999999999999\n"));
    ck_assert(!parse("oom_kill "));
    ck_assert(!parse("oom_kill \n3\n"));
    ck_assert(!parse("\n\n"));
}
END_TEST

/* Whatever lines there are, and wherever the text ends. */
START_TEST(reads_line_by_line)
{
    static const char text[] = "\noom_kill 4\noom 56789";

    ck_assert(og_counters_parse(text, sizeof text - 1 - 3, &counts));
    ck_assert_uint_eq(counts.oom_kill, 4);
    ck_assert_uint_eq(counts.oom, 56);
    ck_assert(og_counters_parse(text, sizeof text - 1 - 5, &counts));
    ck_assert_uint_eq(counts.oom, OG_COUNTERS_UNKNOWN);
    ck_assert(parse("oom_kill 18446744073709551614\nhigh 0\n"));
    ck_assert_uint_eq(counts.oom_kill, UINT64_MAX - 1);
    ck_assert_uint_eq(counts.high, 0);
    ck_assert_uint_eq(counts.max, OG_COUNTERS_UNKNOWN);
    ck_assert_uint_eq(counts.oom_group_kill, OG_COUNTERS_UNKNOWN);
}
END_TEST

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* --- Files -------------------------------------------------------------------------- */

static char top[64];
static og_cgroup_t cgroup;
static og_counters_t counters;

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", top, name);
    return path;
}

static void make_top(void)
{
    strcpy(top, "check_counters.XXXXXX");
    ck_assert(mkdtemp(top) != NULL);
    memset(&cgroup, 0, sizeof cgroup);
    cgroup.version = 2;
    strcpy(cgroup.dir, top);
}

static void remove_top(void)
{
    static const char *const names[] = { "vmstat", "memory.events", "memory.oom_control", "" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(path_of(names[i]));
}

static int open_it(void)
{
    memset(&counters, '#', sizeof counters);
    return og_counters_open(&counters, &cgroup, top);
}

static void counts_kills(uint64_t n)
{
    ck_assert_int_eq(og_counters_read(&counters, &counts), 0);
    ck_assert_uint_eq(counts.oom_kill, n);
}

/* The lowest descriptor that is free. */
static int free_fd(void)
{
    int fd = dup(STDOUT_FILENO);

    close(fd);
    return fd;
}

/* A cgroup that counts is asked, else the machine. */
START_TEST(asks_whoever_counts)
{
    put(path_of("vmstat"), "oom_kill 70\n");
    ck_assert_int_eq(open_it(), 0);
    ck_assert(counters.machine);
    ck_assert_int_eq(fcntl(counters.fd, F_GETFD), FD_CLOEXEC);
    counts_kills(70);
    close(counters.fd);
    put(path_of("memory.events"), "oom_kill 1\n");
    ck_assert_int_eq(open_it(), 0);
    ck_assert(!counters.machine);
    counts_kills(1);
    close(counters.fd);
    /* Of what counts none, nothing is left open. */
    put(path_of("memory.events"), "low 0\n");
    ck_assert_int_eq(open_it(), 0);
    ck_assert(counters.machine);
    counts_kills(70);
    close(counters.fd);
    ck_assert_int_eq(free_fd(), counters.fd);
}
END_TEST

START_TEST(asks_by_the_version)
{
    put(path_of("vmstat"), "oom_kill 70\n");
    put(path_of("memory.events"), "oom_kill 2\n");
    put(path_of("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    for (int version = 0; version <= 2; version++) {
        cgroup.version = version;
        ck_assert_int_eq(open_it(), 0);
        ck_assert_int_eq(counters.machine, version == 0);
        counts_kills(version == 0 ? 70 : (uint64_t)version);
        close(counters.fd);
    }
}
END_TEST

START_TEST(says_that_nobody_counts)
{
    int fd = free_fd();

    ck_assert_int_eq(open_it(), -ENOENT);
    ck_assert_int_eq(counters.fd, -1);
    put(path_of("vmstat"), "numa_hit 1\n");
    ck_assert_int_eq(open_it(), -EINVAL);
    ck_assert_int_eq(counters.fd, -1);
    ck_assert_int_eq(remove(path_of("vmstat")), 0);
    ck_assert_int_eq(mkdir(path_of("vmstat"), 0700), 0);
    ck_assert_int_eq(open_it(), -EISDIR);
    ck_assert_int_eq(counters.fd, -1);
    ck_assert_int_eq(free_fd(), fd);
}
END_TEST

/* Whoever was started without a standard input gets its number. */
START_TEST(knows_the_lowest_descriptor)
{
    int input = dup(STDIN_FILENO);

    put(path_of("memory.events"), "oom_kill 1\n");
    close(STDIN_FILENO);
    ck_assert_int_eq(open_it(), 0);
    ck_assert_int_eq(counters.fd, STDIN_FILENO);
    ck_assert_int_eq(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
}
END_TEST

/* What the open file says now. */
START_TEST(reads_again)
{
    put(path_of("memory.events"), "oom_kill 1\n");
    ck_assert_int_eq(open_it(), 0);
    put(path_of("memory.events"), "oom_kill 20\n");
    counts_kills(20);
    put(path_of("memory.events"), "oom_kill 3\n");
    counts_kills(3);
    close(counters.fd);
}
END_TEST

/* No error is a number of kills, nor is what was read before. */
START_TEST(an_error_is_no_count)
{
    static char large[20000];
    int fd;

    put(path_of("memory.events"), "oom_kill 1\n");
    ck_assert_int_eq(open_it(), 0);
    put(path_of("memory.events"), "");
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EINVAL);
    put(path_of("memory.events"), "low 0\n");
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EINVAL);
    memset(large, '\n', sizeof large - 1);
    memcpy(large, "oom_kill 4", 10);
    put(path_of("memory.events"), large);
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EFBIG);
    large[16383] = '\0'; /* as much as there is room for */
    put(path_of("memory.events"), large);
    counts_kills(4);
    close(counters.fd);
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EBADF);
    counters.fd = fd = open(top, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EISDIR);
    close(fd);
    counters.fd = -1;
    ck_assert_int_eq(og_counters_read(&counters, &counts), -EBADF);
}
END_TEST

START_TEST(knows_whom_it_counts)
{
    og_counters_t c = { .fd = 3 };
    og_cgroup_t cg = { .version = 2, .path = "/a/b" };

    ck_assert(og_counters_count(&c, &cg, "/a/b"));
    ck_assert(og_counters_count(&c, &cg, "/a/b/c"));
    ck_assert(!og_counters_count(&c, &cg, "/a/bc"));
    ck_assert(!og_counters_count(&c, &cg, "/a"));
    ck_assert(!og_counters_count(&c, &cg, "/x/b"));
    ck_assert(!og_counters_count(&c, &cg, ""));
    cg.version = 1;
    ck_assert(og_counters_count(&c, &cg, "/a/b"));
    ck_assert(!og_counters_count(&c, &cg, "/a/b/c"));
    c.machine = true;
    ck_assert(og_counters_count(&c, &cg, "/x"));
    c.machine = false;
    cg.version = 2;
    memset(cg.path, 0, sizeof cg.path);
    cg.path[0] = '/';
    ck_assert(og_counters_count(&c, &cg, "/x"));
    ck_assert(og_counters_count(&c, &cg, "/"));
    cg.version = 1;
    ck_assert(og_counters_count(&c, &cg, "/"));
    ck_assert(!og_counters_count(&c, &cg, "/x"));
}
END_TEST

int main(void)
{
    TCase *text = tcase_create("text"), *files = tcase_create("files");
    TCase *cases[] = { text, files };

    tcase_add_test(text, reads_version_2);
    tcase_add_test(text, reads_version_1_and_the_machine);
    tcase_add_test(text, refuses_what_counts_nothing);
    tcase_add_test(text, reads_line_by_line);
    tcase_add_test(text, knows_whom_it_counts);
    tcase_add_checked_fixture(files, make_top, remove_top);
    tcase_add_test(files, asks_whoever_counts);
    tcase_add_test(files, asks_by_the_version);
    tcase_add_test(files, says_that_nobody_counts);
    tcase_add_test(files, knows_the_lowest_descriptor);
    tcase_add_test(files, reads_again);
    tcase_add_test(files, an_error_is_no_count);
    return unit_run("counters", cases, 2);
}
