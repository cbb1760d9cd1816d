/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/history.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[128], other[128];
static og_history_t h;

static void setup(void)
{
    strcpy(dir, "/tmp/check_history.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/history", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    h.fd = -1;
}

static void teardown(void)
{
    if (h.fd >= 0)
        close(h.fd);
    remove(path);
    remove(other);
    remove(dir);
}

static void open_it(void)
{
    ck_assert_int_eq(og_history_open(path, &h), 0);
    ck_assert_int_ge(h.fd, 0);
}

static int append(const char *line)
{
    return og_history_append(&h, line, strlen(line));
}

static void holds_in(int fd, const char *text)
{
    char buf[1024];
    ssize_t n = pread(fd, buf, sizeof buf - 1, 0);

    ck_assert_int_ge(n, 0);
    buf[n] = '\0';
    ck_assert_str_eq(buf, text);
}

static void holds(const char *file, const char *text)
{
    int fd = open(file, O_RDONLY);

    ck_assert_int_ge(fd, 0);
    holds_in(fd, text);
    close(fd);
}

static void put(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

START_TEST(appends)
{
    struct stat st;

    umask(0);
    open_it();
    ck_assert_int_eq(fstat(h.fd, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0640);
    ck_assert_int_eq(fcntl(h.fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(append("one"), 0);
    ck_assert_int_eq(append(""), 0);
    ck_assert_int_eq(og_history_append(&h, "three and more", 5), 0);
    holds(path, "one\n\nthree\n");
    ck_assert_int_eq(append("one\ntwo"), -EINVAL);
    ck_assert_int_eq(append("one\n"), -EINVAL);
    close(h.fd);
    open_it();
    ck_assert_int_eq(append("four"), 0);
    holds(path, "one\n\nthree\nfour\n");
}
END_TEST

START_TEST(does_without)
{
    ck_assert_int_eq(append("one"), -EBADF);
    ck_assert(!og_history_has(&h, "one", 100));
}
END_TEST

static void is_refused(int rc)
{
    h.fd = 0;
    ck_assert_int_eq(og_history_open(path, &h), rc);
    ck_assert_int_eq(h.fd, -1);
}

START_TEST(refuses_what_is_no_file)
{
    ck_assert_int_eq(symlink(other, path), 0);
    is_refused(-ELOOP);
    ck_assert_int_eq(access(other, F_OK), -1);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    is_refused(-EPERM);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    is_refused(-EISDIR);
    ck_assert_int_eq(rmdir(path), 0);
    strcpy(path, "/dev/full");
    is_refused(-EPERM);
    snprintf(path, sizeof path, "%s/none/history", dir);
    is_refused(-ENOENT);
}
END_TEST

/* Somebody died while writing, now or before. */
START_TEST(begins_a_line_of_its_own)
{
    put("half");
    open_it();
    ck_assert_int_eq(append("one"), 0);
    ck_assert_int_eq(append("two"), 0);
    put("ha");
    ck_assert_int_eq(append("three"), 0);
    holds(path, "half\none\ntwo\nha\nthree\n");
}
END_TEST

START_TEST(is_rotated)
{
    open_it();
    ck_assert_int_eq(append("one"), 0);
    ck_assert_int_eq(rename(path, other), 0);
    ck_assert_int_eq(append("two"), 0);
    holds(other, "one\ntwo\n");
    /* A restart. */
    close(h.fd);
    open_it();
    ck_assert_int_eq(append("three"), 0);
    holds(path, "three\n");
    /* copytruncate, in the midst of a line even */
    put("ha");
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(append("four"), 0);
    holds(path, "four\n");
}
END_TEST

static struct rlimit limit;

/* No more than that into a file: a disk that is full there. */
static void fill_at(rlim_t bytes)
{
    struct rlimit low;

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
}

static void unfill(void)
{
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(takes_a_part_back)
{
    open_it();
    ck_assert_int_eq(append("one"), 0);
    for (rlim_t bytes = 4; bytes < 4 + 6; bytes++) {
        fill_at(bytes);
        ck_assert_int_eq(append("twice"), bytes == 4 ? -EFBIG : -EIO);
        unfill();
        holds(path, "one\n");
    }
    fill_at(10);
    ck_assert_int_eq(append("twice"), 0);
    unfill();
    holds(path, "one\ntwice\n");
    /* Of a torn line, what was torn before stays. */
    put("ha");
    fill_at(14);
    ck_assert_int_eq(append("three"), -EIO);
    unfill();
    holds(path, "one\ntwice\nha");
    ck_assert_int_eq(append("three"), 0);
    holds(path, "one\ntwice\nha\nthree\n");
}
END_TEST

/* A file that may not become shorter again. */
START_TEST(goes_on_where_it_cannot)
{
    h.fd = memfd_create("history", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(h.fd, 0);
    ck_assert_int_eq(fcntl(h.fd, F_SETFL, O_APPEND), 0);
    ck_assert_int_eq(fcntl(h.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    ck_assert_int_eq(append("one"), 0);
    fill_at(6);
    ck_assert_int_eq(append("two"), -EIO);
    ck_assert_int_eq(append("two"), -EFBIG);
    unfill();
    holds_in(h.fd, "one\ntw");
    ck_assert_int_eq(append("three"), 0);
    holds_in(h.fd, "one\ntw\nthree\n");
    /* A part that is but the newline is no torn line. */
    ck_assert_int_eq(write(h.fd, "x", 1), 1);
    fill_at(15);
    ck_assert_int_eq(append("four"), -EIO);
    unfill();
    ck_assert_int_eq(append("five"), 0);
    holds_in(h.fd, "one\ntw\nthree\nx\nfive\n");
}
END_TEST

/* Wherever it stands to the pieces in which the file is read. */
START_TEST(finds_what_it_has)
{
    static const char needle[] = "\"event\":\"4242-17\"";
    static char text[3 * 4096];
    const size_t len = sizeof needle - 1;

    open_it();
    ck_assert(!og_history_has(&h, needle, OG_HISTORY_TAIL_MAX));
    for (size_t at = 0, step; at + len <= sizeof text; at += step) {
        step = at % 4096 > 4060 || at % 4096 < 10 ? 1 : 11;
        memset(text, '"', sizeof text);
        memcpy(text + at, needle, len);
        ck_assert_int_eq(ftruncate(h.fd, 0), 0);
        ck_assert_int_eq(write(h.fd, text, sizeof text), sizeof text);
        ck_assert(og_history_has(&h, needle, OG_HISTORY_TAIL_MAX));
        ck_assert(og_history_has(&h, needle, sizeof text - at));
        ck_assert(!og_history_has(&h, needle, sizeof text - at - 1));
        ck_assert(!og_history_has(&h, needle, len - 1));
    }
    ck_assert(!og_history_has(&h, "\"event\":\"4242-18\"", OG_HISTORY_TAIL_MAX));
}
END_TEST

START_TEST(looks_back_so_far)
{
    static char text[OG_HISTORY_TAIL_MAX];
    char longest[OG_HISTORY_NEEDLE_MAX + 2];

    memset(text, 'x', sizeof text);
    memset(longest, 'x', sizeof longest);
    open_it();
    ck_assert_int_eq(append("one"), 0);
    ck_assert_int_eq(write(h.fd, text, sizeof text - 4), sizeof text - 4);
    ck_assert(og_history_has(&h, "one", SIZE_MAX));
    ck_assert_int_eq(write(h.fd, text, 1), 1);
    ck_assert(!og_history_has(&h, "one", SIZE_MAX));
    ck_assert(og_history_has(&h, "ne", SIZE_MAX));
    ck_assert(!og_history_has(&h, "", SIZE_MAX));
    longest[OG_HISTORY_NEEDLE_MAX + 1] = '\0';
    ck_assert(!og_history_has(&h, longest, SIZE_MAX));
    longest[OG_HISTORY_NEEDLE_MAX] = '\0';
    ck_assert(og_history_has(&h, longest, SIZE_MAX));
    ck_assert(og_history_has(&h, longest, OG_HISTORY_NEEDLE_MAX));
    ck_assert(!og_history_has(&h, longest, OG_HISTORY_NEEDLE_MAX - 1));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("history");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, appends);
    tcase_add_test(tc, does_without);
    tcase_add_test(tc, refuses_what_is_no_file);
    tcase_add_test(tc, begins_a_line_of_its_own);
    tcase_add_test(tc, is_rotated);
    tcase_add_test(tc, takes_a_part_back);
    tcase_add_test(tc, goes_on_where_it_cannot);
    tcase_add_test(tc, finds_what_it_has);
    tcase_add_test(tc, looks_back_so_far);
    return unit_run("history", &tc, 1);
}
