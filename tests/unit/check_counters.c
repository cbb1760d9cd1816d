/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/counters.h"
#include "unit.h"

#include <errno.h>
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
}
END_TEST

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

/* A cgroup that counts is asked, else the machine; and an open file shows what changes. */
START_TEST(asks_whoever_counts)
{
    char top[] = "/tmp/check_counters.XXXXXX", path[100];
    og_cgroup_t cg = { .version = 2 };
    og_counters_t c;

    ck_assert(mkdtemp(top) != NULL);
    strcpy(cg.dir, top);
    ck_assert_int_eq(og_counters_open(&c, &cg, top), -ENOENT);
    ck_assert_int_eq(c.fd, -1);
    snprintf(path, sizeof path, "%s/vmstat", top);
    put(path, "oom_kill 70\n");
    ck_assert_int_eq(og_counters_open(&c, &cg, top), 0);
    ck_assert(c.machine);
    ck_assert_int_eq(og_counters_read(&c, &counts), 0);
    ck_assert_uint_eq(counts.oom_kill, 70);
    close(c.fd);
    snprintf(path, sizeof path, "%s/memory.events", top);
    put(path, "oom_kill 1\n");
    ck_assert_int_eq(og_counters_open(&c, &cg, top), 0);
    ck_assert(!c.machine);
    put(path, "oom_kill 2\n");
    ck_assert_int_eq(og_counters_read(&c, &counts), 0);
    ck_assert_uint_eq(counts.oom_kill, 2);
    put(path, "low 0\n");
    ck_assert_int_eq(og_counters_read(&c, &counts), -EINVAL);
    close(c.fd);
    unlink(path);
    snprintf(path, sizeof path, "%s/vmstat", top);
    unlink(path);
    rmdir(top);
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
    cg.version = 1;
    ck_assert(og_counters_count(&c, &cg, "/a/b"));
    ck_assert(!og_counters_count(&c, &cg, "/a/b/c"));
    c.machine = true;
    ck_assert(og_counters_count(&c, &cg, "/x"));
    c.machine = false;
    cg.version = 2;
    strcpy(cg.path, "/");
    ck_assert(og_counters_count(&c, &cg, "/x"));
    ck_assert(og_counters_count(&c, &cg, "/"));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("counters");

    tcase_add_test(tc, reads_version_2);
    tcase_add_test(tc, reads_version_1_and_the_machine);
    tcase_add_test(tc, refuses_what_counts_nothing);
    tcase_add_test(tc, asks_whoever_counts);
    tcase_add_test(tc, knows_whom_it_counts);
    return unit_run("counters", &tc, 1);
}
