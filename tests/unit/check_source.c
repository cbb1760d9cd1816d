/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/source.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK OG_SOURCE_BLOCK_BYTES
#define KEEP_MAX 100

static og_source_t source;

/* What stands in for read(2): it does as the kernel does, but for what next_reads holds. An
 * errno is an error, ONE_BYTE at most that. */
#define ONE_BYTE (-1)
static const int *next_reads; /* 0 ends it */

ssize_t read(int fd, void *buf, size_t size)
{
    int next = fd == source.fd && next_reads != NULL ? *next_reads : 0;

    if (next != 0)
        next_reads++;
    if (next > 0) {
        errno = next;
        return -1;
    }
    return syscall(SYS_read, fd, buf, next == ONE_BYTE && size > 1 ? 1 : size);
}

/* The sanitizer would end the process that asks for more than there is. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* --- Files -------------------------------------------------------------------------- */

static char name[40]; /* of the file in memory that is read */
static int file = -1;

static void setup(void)
{
    file = memfd_create("check_source", MFD_CLOEXEC);
    ck_assert_int_ge(file, 0);
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    next_reads = NULL;
    source.fd = -1;
}

static void teardown(void)
{
    close(file);
}

static off_t size_of_file(void)
{
    return lseek(file, 0, SEEK_END);
}

static void put(const void *bytes, size_t n)
{
    ck_assert_int_eq(pwrite(file, bytes, n, size_of_file()), (ssize_t)n);
}

/* Bytes that gzip cannot make small, so that what is packed takes more than a block, too. */
static const char *noise(size_t n)
{
    static char bytes[3 * BLOCK];
    uint32_t x = 1;

    ck_assert_uint_le(n, sizeof bytes);
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (char)x;
    }
    return bytes;
}

/* A member of gzip's behind what the file has. */
static void put_packed(const char *bytes, size_t n)
{
    static unsigned char packed[4 * BLOCK];
    z_stream z = { .next_in = (Bytef *)bytes, .avail_in = (uInt)n };

    z.next_out = packed;
    z.avail_out = sizeof packed;
    ck_assert_int_eq(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    ck_assert_int_eq(deflateEnd(&z), Z_OK);
    put(packed, sizeof packed - z.avail_out);
}

static void set_byte(off_t at, char byte)
{
    ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
}

/* --- Reading ------------------------------------------------------------------------ */

static char got[4 * BLOCK];
static size_t got_len;
static int blocks; /* so many times there was more */

/* Reads to the end, and from one block to the next has so many bytes kept. */
static int read_all(size_t keep)
{
    int rc;

    got_len = 0;
    blocks = 0;
    while ((rc = og_source_more(&source, keep < got_len ? keep : got_len)) == 1) {
        size_t kept = keep < got_len ? keep : got_len;

        ck_assert_uint_gt(source.len, kept);
        ck_assert_uint_le(source.len, kept + BLOCK);
        ck_assert_int_eq(memcmp(source.p, got + got_len - kept, kept), 0);
        ck_assert_uint_le(got_len + source.len - kept, sizeof got);
        memcpy(got + got_len, source.p + kept, source.len - kept);
        got_len += source.len - kept;
        blocks++;
    }
    /* What was kept is still there, and nothing else. */
    ck_assert_uint_eq(source.len, keep < got_len ? keep : got_len);
    ck_assert_int_eq(memcmp(source.p, got + got_len - source.len, source.len), 0);
    /* And it says the same again. */
    ck_assert_int_eq(og_source_more(&source, 0), rc);
    ck_assert_uint_eq(source.len, 0);
    return rc;
}

static void open_it(const char *path)
{
    ck_assert_int_eq(og_source_open(&source, path, KEEP_MAX), 0);
}

/* Reads the file as described, to the end or the error. */
static void check_file(size_t keep, int rc, const char *bytes, size_t n)
{
    open_it(name);
    ck_assert_int_eq(read_all(keep), rc);
    og_source_close(&source);
    ck_assert_uint_eq(got_len, n);
    ck_assert_int_eq(memcmp(got, bytes, n), 0);
}

/* --- Plain bytes -------------------------------------------------------------------- */

static const size_t sizes[] = { 0,         1,     2,         3,
                                BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + KEEP_MAX };

START_TEST(reads_a_file)
{
    const char *bytes = noise(sizes[_i]);

    put(bytes, sizes[_i]);
    check_file(0, 0, bytes, sizes[_i]);
    ck_assert_int_eq(blocks, (int)((sizes[_i] + BLOCK - 1) / BLOCK));
    check_file(7, 0, bytes, sizes[_i]);
    check_file(KEEP_MAX, 0, bytes, sizes[_i]);
}
END_TEST

/* Less than gzip's first bytes, or others: plain. */
START_TEST(takes_no_other_for_gzip)
{
    put("\x1f", 1);
    check_file(0, 0, "\x1f", 1);
    put("x", 1);
    check_file(0, 0, "\x1fx", 2);
    set_byte(0, 'x');
    set_byte(1, '\x8b');
    check_file(0, 0, "x\x8b", 2);
}
END_TEST

/* A block is one, however its first bytes came. */
START_TEST(reads_a_block_at_most)
{
    static const int slowly[] = { ONE_BYTE, 0 };
    const char *bytes = noise(2 * BLOCK);

    put(bytes, 2 * BLOCK);
    next_reads = slowly;
    check_file(0, 0, bytes, 2 * BLOCK);
    ck_assert_int_eq(*next_reads, 0);
}
END_TEST

static const int one_by_one[] = { ONE_BYTE, ONE_BYTE, ONE_BYTE, 0 };
static const int again[] = { EINTR, EPIPE, ONE_BYTE, EPIPE, EINTR, ONE_BYTE, EINTR, 0 };
static const int *const harmless[] = { one_by_one, again };

START_TEST(reads_whatever_comes)
{
    put("abcde", 5);
    next_reads = harmless[_i];
    check_file(2, 0, "abcde", 5);
    ck_assert_int_eq(*next_reads, 0);
    ck_assert_int_eq(ftruncate(file, 0), 0);
    put_packed("abcde", 5);
    next_reads = harmless[_i];
    check_file(2, 0, "abcde", 5);
    ck_assert_int_eq(*next_reads, 0);
}
END_TEST

/* At the first byte, the second, and later. That there is nothing now is the end. */
static const struct {
    int reads[6], rc;
    size_t len;
} failures[] = {
    { { EIO }, -EIO, 0 },
    { { ONE_BYTE, EIO }, -EIO, 0 },
    { { ONE_BYTE, ONE_BYTE, EIO }, -EIO, 2 },
    { { EAGAIN, EAGAIN }, 0, 0 },
    { { ONE_BYTE, ONE_BYTE, EAGAIN, EAGAIN }, 0, 2 },
};

START_TEST(says_what_failed)
{
    put("abcde", 5);
    next_reads = failures[_i].reads;
    check_file(0, failures[_i].rc, "abcde", failures[_i].len);
    ck_assert_int_eq(*next_reads, 0);
}
END_TEST

START_TEST(says_what_failed_of_gzip)
{
    static const int first[] = { ONE_BYTE, ONE_BYTE, EIO, 0 };

    put_packed("abcde", 5);
    next_reads = first;
    check_file(0, -EIO, "", 0);
    ck_assert_int_eq(*next_reads, 0);
}
END_TEST

/* --- gzip --------------------------------------------------------------------------- */

START_TEST(unpacks)
{
    const char *bytes = noise(sizes[_i]);

    put_packed(bytes, sizes[_i]);
    check_file(0, 0, bytes, sizes[_i]);
    ck_assert_int_eq(blocks, (int)((sizes[_i] + BLOCK - 1) / BLOCK));
    check_file(7, 0, bytes, sizes[_i]);
    check_file(KEEP_MAX, 0, bytes, sizes[_i]);
}
END_TEST

/* Members behind each other are one file, and what is behind them is padding. */
START_TEST(unpacks_all_members)
{
    const char *bytes = noise(2 * BLOCK + 1);
    off_t end;

    put_packed(bytes, 1);
    put_packed("", 0);
    put_packed(bytes + 1, BLOCK - 1); /* its end is that of a block */
    put_packed(bytes + BLOCK, BLOCK + 1);
    check_file(KEEP_MAX, 0, bytes, 2 * BLOCK + 1);
    end = size_of_file();
    put("\0\0\0", 3);
    put_packed("x", 1);
    check_file(0, 0, bytes, 2 * BLOCK + 1);
    set_byte(end, '\x1e');
    check_file(0, 0, bytes, 2 * BLOCK + 1);
}
END_TEST

/* The member's end is the end of what was read at once. */
START_TEST(unpacks_members_that_come_one_by_one)
{
    int pipes[2];

    ck_assert_int_eq(pipe(pipes), 0);
    put_packed("abc", 3);
    for (int i = 0; i < 2; i++) {
        char packed[100];
        ssize_t n = pread(file, packed, sizeof packed, 0);

        ck_assert_int_eq(write(pipes[1], packed, (size_t)n), n);
    }
    ck_assert_int_eq(write(pipes[1], "\0", 1), 1);
    close(pipes[1]);
    snprintf(name, sizeof name, "/proc/self/fd/%d", pipes[0]);
    check_file(0, 0, "abcabc", 6);
    close(pipes[0]);
}
END_TEST

START_TEST(says_what_is_cut_off)
{
    const char *bytes = noise(1000);
    off_t end;

    put("\x1f\x8b", 2);
    check_file(0, -ENODATA, "", 0);
    ck_assert_int_eq(ftruncate(file, 0), 0);
    put_packed(bytes, 1000);
    end = size_of_file();
    ck_assert_int_eq(ftruncate(file, end - 1), 0);
    check_file(0, -ENODATA, bytes, 1000);
    put("x", 1);
    check_file(0, -EBADMSG, bytes, 1000);
}
END_TEST

START_TEST(says_what_is_cut_off_behind)
{
    put_packed("abc", 3);
    put("\x1f", 1);
    check_file(0, -ENODATA, "abc", 3);
    put("\x8b", 1);
    check_file(0, -ENODATA, "abc", 3);
}
END_TEST

START_TEST(says_what_is_damaged)
{
    put_packed("abc", 3);
    put("\x1fx", 2); /* neither a member nor padding */
    check_file(0, -EBADMSG, "abc", 3);
    set_byte(2, 'x'); /* a method that there is not */
    check_file(0, -EBADMSG, "", 0);
}
END_TEST

/* --- Too little memory -------------------------------------------------------------- */

static int allocations; /* so many are yet to succeed */
static int allocated;   /* and so many were not released */

static voidpf allocate(voidpf baton, uInt n, uInt size)
{
    (void)baton;
    if (allocations-- <= 0)
        return NULL;
    allocated++;
    return calloc(n, size);
}

static void release(voidpf baton, voidpf p)
{
    (void)baton;
    allocated--;
    free(p);
}

/* At the first block; or later, when there is a window of what was unpacked to be kept. */
START_TEST(says_that_memory_is_short)
{
    const char *bytes = noise(2 * BLOCK);

    put_packed(bytes, 2 * BLOCK);
    open_it(name);
    source.z.zalloc = allocate;
    source.z.zfree = release;
    allocations = _i;
    allocated = 0;
    ck_assert_int_eq(read_all(0), -ENOMEM);
    og_source_close(&source);
    ck_assert_int_eq(allocated, 0);
    ck_assert_uint_le(got_len, _i == 0 ? 0 : BLOCK);
    ck_assert_int_eq(memcmp(got, bytes, got_len), 0);
}
END_TEST

static size_t address_space(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t pages;

    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A sanitizer that keeps what was released finds by itself what was not. */
#if defined(__SANITIZE_ADDRESS__)
#define KEPT_MAX SIZE_MAX
#else
#define KEPT_MAX (30 * BLOCK)
#endif

START_TEST(releases_all)
{
    size_t before = 0;

    put_packed("abc", 3);
    for (int i = 0; i < 80; i++) {
        if (i == 20)
            before = address_space();
        check_file(0, 0, "abc", 3);
    }
    ck_assert(address_space() < before || address_space() - before < KEPT_MAX);
}
END_TEST

START_TEST(says_that_there_is_no_room)
{
    int next = dup(file);

    close(next);
    ck_assert_int_eq(og_source_open(&source, name, PTRDIFF_MAX / 2), -ENOMEM);
    ck_assert_int_eq(fcntl(next, F_GETFD), -1);
}
END_TEST

/* --- What is opened ----------------------------------------------------------------- */

START_TEST(opens_and_closes)
{
    int fd, flags;

    ck_assert_int_eq(og_source_open(&source, "/nowhere/log", KEEP_MAX), -ENOENT);
    ck_assert_int_eq(og_source_open(&source, "/", KEEP_MAX), 0);
    ck_assert_int_eq(read_all(0), -EISDIR);
    og_source_close(&source);
    open_it(name);
    fd = source.fd;
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    flags = fcntl(fd, F_GETFL);
    ck_assert_int_eq(flags & (O_ACCMODE | O_NONBLOCK), O_RDONLY);
    og_source_close(&source);
    ck_assert_int_eq(source.fd, -1);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    og_source_close(&source); /* nothing is left to be closed */
}
END_TEST

START_TEST(reads_stdin)
{
    int before = dup(STDIN_FILENO);

    put("abc", 3);
    lseek(file, 1, SEEK_SET);
    ck_assert_int_eq(dup2(file, STDIN_FILENO), STDIN_FILENO);
    open_it("-");
    ck_assert_int_eq(source.fd, STDIN_FILENO);
    ck_assert_int_eq(read_all(0), 0);
    ck_assert_uint_eq(got_len, 2);
    ck_assert_int_eq(memcmp(got, "bc", 2), 0);
    og_source_close(&source);
    ck_assert_int_ge(fcntl(STDIN_FILENO, F_GETFD), 0);
    /* A file takes the place of a stdin that is closed. */
    close(STDIN_FILENO);
    errno = EIO;
    check_file(0, 0, "abc", 3);
    dup2(before, STDIN_FILENO);
    close(before);
}
END_TEST

/* What has no end is not waited for. */
START_TEST(waits_for_no_device)
{
    open_it("/dev/zero");
    ck_assert(fcntl(source.fd, F_GETFL) & O_NONBLOCK);
    ck_assert_int_eq(og_source_more(&source, 0), 1);
    ck_assert_uint_eq(source.len, BLOCK);
    og_source_close(&source);
}
END_TEST

/* But for a terminal, which then is not the process' own. */
START_TEST(waits_for_a_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char *slave = master < 0 ? NULL : ptsname(master);

    if (slave == NULL || unlockpt(master) != 0)
        return; /* none to be had here */
    setsid();
    ck_assert_int_eq(open("/dev/tty", O_RDONLY), -1);
    open_it(slave);
    ck_assert_int_eq(fcntl(source.fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_eq(open("/dev/tty", O_RDONLY), -1);
    ck_assert_int_eq(write(master, "abc\n", 4), 4);
    ck_assert_int_eq(og_source_more(&source, 0), 1);
    ck_assert_uint_eq(source.len, 4);
    ck_assert_int_eq(memcmp(source.p, "abc\n", 4), 0);
    og_source_close(&source);
    close(master);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("source");
    int n = sizeof sizes / sizeof *sizes;

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, reads_a_file, 0, n);
    tcase_add_test(c, takes_no_other_for_gzip);
    tcase_add_test(c, reads_a_block_at_most);
    tcase_add_loop_test(c, reads_whatever_comes, 0, sizeof harmless / sizeof *harmless);
    tcase_add_loop_test(c, says_what_failed, 0, sizeof failures / sizeof *failures);
    tcase_add_test(c, says_what_failed_of_gzip);
    tcase_add_loop_test(c, unpacks, 0, n);
    tcase_add_test(c, unpacks_all_members);
    tcase_add_test(c, unpacks_members_that_come_one_by_one);
    tcase_add_test(c, says_what_is_cut_off);
    tcase_add_test(c, says_what_is_cut_off_behind);
    tcase_add_test(c, says_what_is_damaged);
    tcase_add_loop_test(c, says_that_memory_is_short, 0, 2);
    tcase_add_test(c, releases_all);
    tcase_add_test(c, says_that_there_is_no_room);
    tcase_add_test(c, opens_and_closes);
    tcase_add_test(c, reads_stdin);
    tcase_add_test(c, waits_for_no_device);
    tcase_add_test(c, waits_for_a_terminal);
    return unit_run("source", &c, 1);
}
