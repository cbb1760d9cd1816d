/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/file.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* What stands in for libc's: a call is interrupted so often, and gives or takes so many
 * bytes at most. */
static int interrupted;
static size_t most = SIZE_MAX;
static bool mine; /* the file is the test's own */

static bool interrupts(int fd)
{
    /* No file is for programs that are started meanwhile. */
    if (!mine)
        ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    if (interrupted == 0)
        return false;
    interrupted--;
    errno = EINTR;
    return true;
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
    struct iovec part = { buf, n < most ? n : most };

    return interrupts(fd) ? -1 : preadv(fd, &part, 1, at);
}

ssize_t write(int fd, const void *buf, size_t n)
{
    struct iovec part = { (void *)buf, n < most ? n : most };

    return interrupts(fd) ? -1 : writev(fd, &part, 1);
}

static char path[] = "check_file.XXXXXX";
static int first_free;

static void put(const char *text)
{
    int fd = open(path, O_WRONLY | O_TRUNC);

    ck_assert_int_ge(fd, 0);
    mine = true;
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    mine = false;
    close(fd);
}

static int next_free(void)
{
    int fd = open("/dev/null", O_RDONLY);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static void make_file(void)
{
    int fd;

    strcpy(path, "check_file.XXXXXX");
    ck_assert_int_ge(fd = mkstemp(path), 0);
    close(fd);
    first_free = next_free();
}

/* Nothing stays open, whatever went wrong. */
static void remove_file(void)
{
    interrupted = 0;
    most = SIZE_MAX;
    ck_assert_int_eq(next_free(), first_free);
    ck_assert_int_eq(unlink(path), 0);
}

START_TEST(a_file_is_read)
{
    char buf[8];

    put("");
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 0);
    ck_assert_str_eq(buf, "");
    put("1234567");
    memset(buf, 'x', sizeof buf);
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 7);
    ck_assert_str_eq(buf, "1234567");
    put("12345678");
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), -EFBIG);
    ck_assert_int_eq(og_file_read("/nonexistent/file", buf, sizeof buf), -ENOENT);
    ck_assert_int_eq(og_file_read("/", buf, sizeof buf), -EISDIR);
}
END_TEST

/* As a file of /proc may come: in pieces, with signals between them. */
START_TEST(pieces_are_put_together)
{
    char buf[64];

    put("one\ntwo\nthree\n");
    most = 3;
    interrupted = 2;
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 14);
    ck_assert_str_eq(buf, "one\ntwo\nthree\n");
    ck_assert_int_eq(interrupted, 0);
    memset(buf, 'x', sizeof buf);
    ck_assert_int_eq(og_file_read(path, buf, 8), -EFBIG);
    ck_assert_mem_eq(buf, "one\ntwo\nxxx", 11);
}
END_TEST

START_TEST(an_open_file_is_read_again)
{
    char buf[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    put("one");
    ck_assert_int_eq(og_file_reread(fd, buf, sizeof buf), 3);
    put("three");
    ck_assert_int_eq(og_file_reread(fd, buf, sizeof buf), 5);
    ck_assert_str_eq(buf, "three");
    close(fd);
    mine = true;
    ck_assert_int_eq(og_file_reread(fd, buf, sizeof buf), -EBADF);
    mine = false;
}
END_TEST

START_TEST(a_file_is_written)
{
    char buf[64];

    ck_assert_int_eq(og_file_write(path, "-900\n", 4), 0);
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 4);
    ck_assert_str_eq(buf, "-900");
    errno = EINTR; /* of whatever was before: to write nothing is no error */
    ck_assert_int_eq(og_file_write(path, "", 0), 0);
    interrupted = 2;
    ck_assert_int_eq(og_file_write(path, "200", 3), 0);
    ck_assert_int_eq(interrupted, 0);
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 4);
    ck_assert_str_eq(buf, "2000"); /* it is no file of /proc: the rest stays */
}
END_TEST

START_TEST(what_is_not_written_is_told)
{
    char buf[64];

    ck_assert_int_eq(og_file_write("/nonexistent/file", "1", 1), -ENOENT);
    ck_assert_int_eq(og_file_write("/", "1", 1), -EISDIR);
    ck_assert_int_eq(og_file_write("/dev/full", "1", 1), -ENOSPC);
    most = 3;
    ck_assert_int_eq(og_file_write(path, "1000", 4), -EIO);
    ck_assert_int_eq(og_file_write(path, "100", 3), 0);
    /* No second write: a value that was cut is another value. */
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 3);
    most = 0;
    ck_assert_int_eq(og_file_write(path, "1", 1), -EIO);
}
END_TEST

/* Descriptor 0 is one like others. */
START_TEST(without_stdin)
{
    int before = dup(0);
    char buf[64];

    close(0);
    ck_assert_int_eq(og_file_write(path, "one", 3), 0);
    ck_assert_int_eq(og_file_read(path, buf, sizeof buf), 3);
    ck_assert_int_eq(fcntl(0, F_GETFD), -1);
    if (before >= 0) {
        ck_assert_int_eq(dup2(before, 0), 0);
        close(before);
    }
}
END_TEST

int main(void)
{
    TCase *file = tcase_create("file");

    tcase_add_checked_fixture(file, make_file, remove_file);
    tcase_add_test(file, a_file_is_read);
    tcase_add_test(file, pieces_are_put_together);
    tcase_add_test(file, an_open_file_is_read_again);
    tcase_add_test(file, a_file_is_written);
    tcase_add_test(file, what_is_not_written_is_told);
    tcase_add_test(file, without_stdin);
    return unit_run("file", &file, 1);
}
