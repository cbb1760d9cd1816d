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
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[128], other[128];
static og_history_t h;

/* What stands in for libc's: they do the same, after so many signals, but an error, or no more
 * bytes at once than so many. */
static int read_signals, write_signals, read_err;
static size_t read_most, write_most;
static const char *meanwhile; /* somebody else writes it, before what is read, behind what is
                                 written */

static void put(const char *text);

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
    struct iovec part = { buf, size < read_most ? size : read_most };

    if (meanwhile != NULL)
        put(meanwhile);
    errno = read_signals > 0 ? EINTR : read_err;
    if (read_signals > 0)
        read_signals--;
    return errno != 0 ? -1 : preadv(fd, &part, 1, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char line[4096];
    size_t len = 0;

    if (write_signals > 0) {
        write_signals--;
        errno = EINTR;
        return -1;
    }
    for (int i = 0; i < count; len += parts[i++].iov_len)
        memcpy(line + len, parts[i].iov_base, parts[i].iov_len);
    if (len <= write_most)
        return syscall(SYS_writev, fd, parts, count);
    len = (size_t)write(fd, line, write_most);
    if (meanwhile != NULL)
        put(meanwhile);
    return (ssize_t)len;
}

static void setup(void)
{
    strcpy(dir, "check_history.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/history", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    h.fd = -1;
    read_signals = write_signals = read_err = 0;
    read_most = write_most = SIZE_MAX;
    meanwhile = NULL;
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

/* What a signal interrupts is done again, and once only. */
START_TEST(is_not_interrupted)
{
    put("half");
    open_it();
    read_signals = 3;
    write_signals = 2;
    ck_assert_int_eq(append("one"), 0);
    ck_assert_int_eq(read_signals + write_signals, 0);
    errno = EINTR;
    ck_assert_int_eq(append("two"), 0);
    holds(path, "half\none\ntwo\n");
    read_signals = 3;
    ck_assert(og_history_has(&h, "one\ntwo", SIZE_MAX));
    ck_assert_int_eq(read_signals, 0);
}
END_TEST

/* Whoever was started without a standard input gets its number. */
START_TEST(knows_the_lowest_descriptor)
{
    int input = dup(STDIN_FILENO);

    close(STDIN_FILENO);
    ck_assert_int_eq(og_history_open(path, &h), 0);
    ck_assert_int_eq(h.fd, STDIN_FILENO);
    ck_assert_int_eq(append("one"), 0);
    ck_assert(og_history_has(&h, "one", 100));
    h.fd = -1;
    ck_assert_int_eq(dup2(input, STDIN_FILENO), STDIN_FILENO);
    close(input);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    h.fd = open("/dev/full", O_WRONLY);
    ck_assert_int_eq(append("one"), -ENOSPC);
    close(h.fd);
    ck_assert_int_eq(append("one"), -EBADF);
    put("one\n");
    h.fd = open(path, O_RDONLY);
    ck_assert_int_eq(append("two"), -EBADF);
    /* What can't be read is not there. */
    read_err = EIO;
    ck_assert(!og_history_has(&h, "one", 100));
    read_err = 0;
    holds(path, "one\n");
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
    int before = dup(STDOUT_FILENO), after;

    close(before);
    h.fd = 0;
    ck_assert_int_eq(og_history_open(path, &h), rc);
    ck_assert_int_eq(h.fd, -1);
    after = dup(STDOUT_FILENO);
    ck_assert_int_eq(after, before);
    close(after);
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

/* A terminal does not become that of a process without one. */
START_TEST(gets_no_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), status;
    pid_t pid;

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        return; /* no /dev/pts here */
    pid = fork();
    if (pid == 0) {
        setsid();
        if (og_history_open(ptsname(master), &h) != -EPERM)
            _exit(1);
        _exit(open("/dev/tty", O_RDWR) < 0 ? 0 : 2);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    close(master);
}
END_TEST

/* Somebody died while writing, now or before. */
START_TEST(begins_a_line_of_its_own)
{
    put("h");
    open_it();
    ck_assert_int_eq(append("none"), 0);
    holds(path, "h\nnone\n");
    ck_assert_int_eq(ftruncate(h.fd, 0), 0);
    put("half");
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
    for (write_most = 0; write_most < 4; write_most++) {
        errno = EINTR; /* of long ago */
        ck_assert_int_eq(append("one"), -EIO);
        holds(path, "");
    }
    ck_assert_int_eq(append("one"), 0);
    write_most = SIZE_MAX;
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

/* What others wrote meanwhile is theirs. */
START_TEST(takes_back_only_its_own)
{
    open_it();
    ck_assert_int_eq(append("one"), 0);
    meanwhile = "two\n";
    write_most = 2;
    ck_assert_int_eq(append("three"), -EIO);
    meanwhile = NULL;
    holds(path, "one\ntwo\nthtwo\n");
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
        if (at % 4096 == 4090) { /* in the midst of it, whatever a read gives */
            for (read_most = 1; read_most < 4096; read_most += 371)
                ck_assert(og_history_has(&h, needle, sizeof text - at));
            read_most = SIZE_MAX;
        }
    }
    ck_assert(!og_history_has(&h, "\"event\":\"4242-18\"", OG_HISTORY_TAIL_MAX));
}
END_TEST

/* The end may run away. */
START_TEST(looks_up_to_the_end_there_was)
{
    static char text[8000];

    memset(text, 'x', sizeof text);
    open_it();
    ck_assert_int_eq(write(h.fd, text, sizeof text), sizeof text);
    meanwhile = "needle";
    ck_assert(!og_history_has(&h, "needle", OG_HISTORY_TAIL_MAX));
    ck_assert(og_history_has(&h, "needle", OG_HISTORY_TAIL_MAX));
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
    tcase_add_test(tc, is_not_interrupted);
    tcase_add_test(tc, knows_the_lowest_descriptor);
    tcase_add_test(tc, says_what_is_wrong);
    tcase_add_test(tc, does_without);
    tcase_add_test(tc, refuses_what_is_no_file);
    tcase_add_test(tc, gets_no_terminal);
    tcase_add_test(tc, begins_a_line_of_its_own);
    tcase_add_test(tc, is_rotated);
    tcase_add_test(tc, takes_a_part_back);
    tcase_add_test(tc, takes_back_only_its_own);
    tcase_add_test(tc, goes_on_where_it_cannot);
    tcase_add_test(tc, finds_what_it_has);
    tcase_add_test(tc, looks_up_to_the_end_there_was);
    tcase_add_test(tc, looks_back_so_far);
    return unit_run("history", &tc, 1);
}
