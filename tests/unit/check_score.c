/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/score.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *mode, *value;
    bool ok, absolute;
    int score;
} words[] = {
    { NULL, "200", true, false, 200 },
    { NULL, "+200", true, false, 200 },
    { "relative", "-900", true, false, -900 },
    { "absolute", "-1000", true, true, -1000 },
    { "Absolute", "1000", true, true, 1000 },
    { "absolute", "-0", true, true, 0 },
    { NULL, "1001", false, false, 0 },
    { NULL, "-1001", false, false, 0 },
    { NULL, "99999999999999999999", false, false, 0 },
    { NULL, "", false, false, 0 },
    { NULL, "+", false, false, 0 },
    { NULL, "-", false, false, 0 },
    { NULL, "+-5", false, false, 0 },
    { NULL, "--5", false, false, 0 },
    { NULL, "5 ", false, false, 0 },
    { NULL, "0x10", false, false, 0 },
    { "absolut", "5", false, false, 0 },
    { "", "5", false, false, 0 },
};

START_TEST(parses_words)
{
    og_score_t s;

    ck_assert_int_eq(og_score_parse(words[_i].mode, words[_i].value, &s), words[_i].ok);
    if (words[_i].ok) {
        ck_assert_int_eq(s.absolute, words[_i].absolute);
        ck_assert_int_eq(s.value, words[_i].score);
    }
}
END_TEST

static const struct {
    og_score_t rule;
    int base, target;
} targets[] = {
    { { false, -900 }, 0, -900 },
    { { false, 200 }, 0, 200 },
    { { false, -900 }, -500, -999 }, /* a sum does not make anything unkillable */
    { { false, -100 }, -900, -999 },
    { { false, 200 }, 900, 1000 },
    { { false, 200 }, -997, -797 },
    { { false, 0 }, -1000, -1000 },
    { { false, 0 }, 37, 37 },
    { { true, -1000 }, 0, -1000 }, /* who writes it, means it */
    { { true, 0 }, 500, 0 },
};

START_TEST(aims)
{
    ck_assert_int_eq(og_score_target(targets[_i].rule, targets[_i].base), targets[_i].target);
}
END_TEST

START_TEST(formats)
{
    og_score_text_t t;

    og_score_format(-1000, &t);
    ck_assert_str_eq(t.text, "-1000");
    ck_assert_uint_eq(t.len, 5);
    og_score_format(0, &t);
    ck_assert_str_eq(t.text, "0");
}
END_TEST

static char proc[64];

static void write_file(const char *name, const char *text)
{
    char path[256];
    int fd;

    snprintf(path, sizeof path, "%s/%s", proc, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void setup(void)
{
    char path[256];

    strcpy(proc, "check_score.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(proc));
    snprintf(path, sizeof path, "%s/self", proc);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/77", proc);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void teardown(void)
{
    static const char *const names[] = { "self/oom_score_adj", "77/oom_score_adj", "self", "77",
                                         "" };
    char path[256];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", proc, names[i]);
        remove(path);
    }
}

START_TEST(reads_and_writes)
{
    int score;

    write_file("self/oom_score_adj", "-17\n");
    ck_assert_int_eq(og_score_read(proc, 0, &score), 0);
    ck_assert_int_eq(score, -17);
    ck_assert_int_eq(og_score_read(proc, 77, &score), -ENOENT);
    write_file("77/oom_score_adj", "0\n");
    ck_assert_int_eq(og_score_write(proc, 77, 300), 0);
    ck_assert_int_eq(og_score_read(proc, 77, &score), 0);
    ck_assert_int_eq(score, 300);
    write_file("77/oom_score_adj", "nonsense\n");
    ck_assert_int_eq(og_score_read(proc, 77, &score), -EINVAL);
    write_file("77/oom_score_adj", "");
    ck_assert_int_eq(og_score_read(proc, 77, &score), -EINVAL);
    ck_assert_int_eq(og_score_write(proc, 78, 5), -ENOENT);
}
END_TEST

static const struct {
    const char *text;
    int rc, score;
} texts[] = {
    { "-1000\n", 0, -1000 },  { "1000\n", 0, 1000 },     { "-1001\n", -EINVAL, 17 },
    { "1001\n", -EINVAL, 17 }, { "nonsense", -EINVAL, 17 }, { "-\n", -EINVAL, 17 },
};

/* What is none leaves the score as it was. */
START_TEST(reads_a_score_or_none)
{
    int score = 17, rc;

    write_file("self/oom_score_adj", "17\n");
    write_file("77/oom_score_adj", texts[_i].text);
    og_score_read(proc, 0, &score);
    rc = og_score_read(proc, 77, &score);
    ck_assert_int_eq(rc, texts[_i].rc);
    ck_assert_int_eq(score, texts[_i].score);
}
END_TEST

/* It is why it could not be written that is said, not what is read of it. */
START_TEST(says_why_it_was_not_written)
{
    char path[256];

    snprintf(path, sizeof path, "%s/77/oom_score_adj", proc);
    ck_assert_int_eq(symlink("/dev/full", path), 0);
    ck_assert_int_eq(og_score_write(proc, 77, 5), -ENOSPC);
}
END_TEST

/* What is read back is not what was written: here, because a plain file keeps the rest of a
 * longer text. */
START_TEST(looks_back)
{
    write_file("77/oom_score_adj", "10");
    ck_assert_int_eq(og_score_write(proc, 77, 5), -EXDEV);
}
END_TEST

/* The real one: raising is free. In a child, which check forks for each test. */
START_TEST(raises_its_own)
{
    og_score_text_t text;
    int before, score;

    ck_assert_int_eq(og_score_read("/proc", 0, &before), 0);
    score = before < OG_SCORE_MAX ? before + 1 : before;
    og_score_format(score, &text);
    errno = EDOM;
    og_score_write_self(&text);
    ck_assert_int_eq(errno, EDOM);
    ck_assert_int_eq(og_score_read("/proc", getpid(), &before), 0);
    ck_assert_int_eq(before, score);
    /* What the kernel refuses. */
    og_score_write_self(&(og_score_text_t){ "1001", 4 });
    ck_assert_int_eq(errno, EDOM);
    og_score_write_self(&(og_score_text_t){ "1000", 0 });
    ck_assert_int_eq(errno, EDOM);
    ck_assert_int_eq(og_score_read("/proc", 0, &before), 0);
    ck_assert_int_eq(before, score);
}
END_TEST

int main(void)
{
    TCase *pure = tcase_create("pure"), *files = tcase_create("files");
    TCase *cases[] = { pure, files };

    tcase_add_loop_test(pure, parses_words, 0, (int)(sizeof words / sizeof *words));
    tcase_add_loop_test(pure, aims, 0, (int)(sizeof targets / sizeof *targets));
    tcase_add_test(pure, formats);
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_add_test(files, reads_and_writes);
    tcase_add_loop_test(files, reads_a_score_or_none, 0,
                        (int)(sizeof texts / sizeof *texts));
    tcase_add_test(files, says_why_it_was_not_written);
    tcase_add_test(files, looks_back);
    tcase_add_test(files, raises_its_own);
    return unit_run("score", cases, 2);
}
