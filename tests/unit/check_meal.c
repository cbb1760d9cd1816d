/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* meal with libc's calls replaced (ld's --wrap): the one that is told to fails, and what
 * was taken is counted, so that all of it is seen to be given back. check_eat has meal as
 * it is. */
#include "oom/meal.h"
#include "lib/file.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define PAGE OOM_MEAL_PAGE_BYTES
#define CHUNK (20 * KIB)

/* The call that fails, and with what; none does if this is NULL. */
static const char *failing;
static int failure;

/* What is taken and not yet given back. */
static long mapped_bytes;
static int mallocs;
static void *malloced[2];
/* What was asked for last, or so often. */
static int map_flags, trims, joins, interrupted;
static size_t locked_bytes, read_most = SIZE_MAX;
static const void *locked_at;
static unsigned fs_magic = EXT4_SUPER_MAGIC;

static bool fails(const char *call)
{
    if (failing == NULL || strcmp(failing, call) != 0)
        return false;
    errno = failure;
    return true;
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t len);
int __real_munmap(void *at, size_t len);
void *__wrap_malloc(size_t len);
void *__real_malloc(size_t len);
void __wrap_free(void *at);
void __real_free(void *at);
int __wrap_malloc_trim(size_t pad);
int __wrap_fstatfs(int fd, struct statfs *fs);
int __wrap_ftruncate(int fd, off_t len);
int __real_ftruncate(int fd, off_t len);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __real_pread(int fd, void *buf, size_t n, off_t at);
int __wrap_mlock(const void *at, size_t len);
int __wrap_pthread_attr_init(pthread_attr_t *attr);
int __real_pthread_attr_init(pthread_attr_t *attr);
int __wrap_pthread_attr_setstack(pthread_attr_t *attr, void *at, size_t len);
int __real_pthread_attr_setstack(pthread_attr_t *attr, void *at, size_t len);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with);
int __wrap_pthread_join(pthread_t t, void **result);
int __real_pthread_join(pthread_t t, void **result);

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
    if (fails("mmap"))
        return MAP_FAILED;
    ck_assert(fd == -1 && off == 0 && prot == (PROT_READ | PROT_WRITE));
    map_flags = flags;
    mapped_bytes += (long)len;
    return __real_mmap(at, len, prot, flags, fd, off);
}

int __wrap_munmap(void *at, size_t len)
{
    mapped_bytes -= (long)len;
    return __real_munmap(at, len);
}

/* A static libcheck calls these two as well, but for so many bytes. */
void *__wrap_malloc(size_t len)
{
    void *at;

    if (len != CHUNK)
        return __real_malloc(len);
    if (fails("malloc"))
        return NULL;
    at = __real_malloc(len);
    ck_assert_int_lt(mallocs, 2);
    malloced[mallocs++] = at;
    return at;
}

void __wrap_free(void *at)
{
    if (mallocs > 0 && at == malloced[mallocs - 1])
        mallocs--;
    else if (mallocs > 1 && at == malloced[0])
        malloced[0] = malloced[--mallocs];
    __real_free(at);
}

int __wrap_malloc_trim(size_t pad)
{
    ck_assert_uint_eq(pad, 0);
    return ++trims;
}

int __wrap_fstatfs(int fd, struct statfs *fs)
{
    (void)fd;
    fs->f_type = fs_magic;
    return fails("fstatfs") ? -1 : 0;
}

int __wrap_ftruncate(int fd, off_t len)
{
    return fails("ftruncate") ? -1 : __real_ftruncate(fd, len);
}

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at)
{
    if (interrupted > 0) {
        interrupted--;
        errno = EINTR;
        return -1;
    }
    ck_assert_uint_le(n, OOM_MEAL_READ_BYTES);
    return fails("pread") ? -1 : __real_pread(fd, buf, n < read_most ? n : read_most, at);
}

int __wrap_mlock(const void *at, size_t len)
{
    locked_at = at;
    locked_bytes = len;
    if (fails("mlock"))
        return -1;
    errno = ENOSYS; /* says nothing: there was no error */
    return 0;
}

int __wrap_pthread_attr_init(pthread_attr_t *attr)
{
    return fails("pthread_attr_init") ? failure : __real_pthread_attr_init(attr);
}

int __wrap_pthread_attr_setstack(pthread_attr_t *attr, void *at, size_t len)
{
    return fails("pthread_attr_setstack") ? failure
                                          : __real_pthread_attr_setstack(attr, at, len);
}

static bool blocks_all(void)
{
    sigset_t set;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, SIGTERM) && sigismember(&set, SIGUSR1) &&
           sigismember(&set, SIGCHLD);
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *attr, void *(*run)(void *),
                          void *with)
{
    ck_assert(blocks_all());
    return fails("pthread_create") ? failure : __real_pthread_create(t, attr, run, with);
}

int __wrap_pthread_join(pthread_t t, void **result)
{
    __atomic_add_fetch(&joins, 1, __ATOMIC_RELAXED);
    return __real_pthread_join(t, result);
}

static oom_meal_t *meal;
static const char *step;
static char dir[] = "/var/tmp/check_meal.XXXXXX";
static int first_free;

static int next_free(void)
{
    int fd = open("/dev/null", O_RDONLY);

    close(fd);
    return fd;
}

static void prepare(void)
{
    strcpy(dir, "/var/tmp/check_meal.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    first_free = next_free();
    mapped_bytes = mallocs = 0;
    trims = joins = interrupted = 0;
    locked_bytes = 0;
    read_most = SIZE_MAX;
    fs_magic = EXT4_SUPER_MAGIC;
    failing = NULL;
}

/* No memory, no descriptor and no file stays. */
static void clean_up(void)
{
    ck_assert_int_eq(mapped_bytes, 0);
    ck_assert_int_eq(mallocs, 0);
    ck_assert_int_eq(next_free(), first_free);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void let_fail(const char *call, int err)
{
    failing = call;
    failure = err;
}

static void open_meal(oom_kind_t kind)
{
    step = NULL;
    ck_assert_int_eq(oom_meal_open(kind, dir, 1, &meal, &step), 0);
}

static void add_chunk(size_t len)
{
    ck_assert_int_eq(oom_meal_get(meal, len), 0);
    ck_assert_int_eq(oom_meal_touch(meal, len), 0);
}

static uint64_t threads(void)
{
    char text[8192];

    ck_assert(og_file_read("/proc/self/status", text, sizeof text) > 0);
    return strtoull(strstr(text, "\nThreads:") + 9, NULL, 10);
}

/* The first of splitmix64's numbers for 1234567, as they are published. */
START_TEST(noise_is_splitmix64)
{
    static const uint64_t known[] = { 6457827717110365317u, 3203168211198807973u,
                                      9817491932198370423u, 4593380528125082431u,
                                      16408922859458223821u };
    const uint64_t words = sizeof meal->noise / sizeof meal->noise[0];

    ck_assert_int_eq(oom_meal_open(OOM_KIND_MMAP, dir, 1234567, &meal, &step), 0);
    ck_assert_mem_eq(meal->noise, known, sizeof known);
    ck_assert_uint_ne(meal->noise[words - 1], 0);
    ck_assert_uint_eq(meal->stamp, 1234567 + words * 0x9e3779b97f4a7c15u);
    ck_assert_int_eq(meal->kind, OOM_KIND_MMAP);
    ck_assert_int_eq(meal->fd, -1);
    oom_meal_close(meal);
}
END_TEST

/* A page of noise is that with the next stamp on it; less than a page is left alone. */
START_TEST(a_page_at_a_time)
{
    const size_t words = PAGE / sizeof(uint64_t);
    uint64_t page[3 * PAGE / sizeof(uint64_t)], stamp;

    open_meal(OOM_KIND_MMAP);
    stamp = meal->stamp;
    memset(page, 0, sizeof page);
    oom_meal_fill(meal, (char *)page, 2 * PAGE + PAGE - 1);
    for (size_t i = 0; i < 2 * words; i++)
        ck_assert_uint_eq(page[i], meal->noise[i % words] ^
                                       (stamp + (i / words + 1) * 0x9e3779b97f4a7c15u));
    for (size_t i = 2 * words; i < 3 * words; i++)
        ck_assert_uint_eq(page[i], 0);
    oom_meal_fill(meal, (char *)page, PAGE);
    ck_assert_uint_eq(page[0], meal->noise[0] ^ (stamp + 3 * 0x9e3779b97f4a7c15u));
    ck_assert_uint_eq(page[words], meal->noise[0] ^ (stamp + 2 * 0x9e3779b97f4a7c15u));
    oom_meal_close(meal);
}
END_TEST

static const struct {
    oom_kind_t kind;
    int flags; /* of mmap; 0: it is malloc's */
    bool touched, locked;
} kinds[] = {
    { OOM_KIND_ANON, 0, true, false },
    { OOM_KIND_MMAP, MAP_PRIVATE | MAP_ANONYMOUS, true, false },
    { OOM_KIND_SHM, MAP_SHARED | MAP_ANONYMOUS, true, false },
    { OOM_KIND_MLOCK, MAP_PRIVATE | MAP_ANONYMOUS, true, true },
    { OOM_KIND_FORK, MAP_PRIVATE | MAP_ANONYMOUS, true, false },
    { OOM_KIND_RESERVE, MAP_PRIVATE | MAP_ANONYMOUS, false, false },
};

/* Two chunks, the first of them in two bites. */
START_TEST(a_kind_is_taken_as_such)
{
    const uint64_t *words;
    char *at;

    open_meal(kinds[_i].kind);
    map_flags = 0;
    ck_assert_int_eq(oom_meal_get(meal, CHUNK), 0);
    at = meal->first->chunk[0].at;
    ck_assert_ptr_eq(meal->at, at);
    ck_assert_uint_eq(meal->first->chunk[0].len, CHUNK);
    ck_assert_int_eq(oom_meal_touch(meal, 4 * KIB), 0);
    ck_assert_ptr_eq(meal->at, at + 4 * KIB);
    if (kinds[_i].locked)
        ck_assert(locked_at == at && locked_bytes == 4 * KIB);
    ck_assert_int_eq(oom_meal_touch(meal, 16 * KIB), 0);
    if (kinds[_i].locked)
        ck_assert(locked_at == at + 4 * KIB && locked_bytes == 16 * KIB);
    else
        ck_assert_uint_eq(locked_bytes, 0);
    ck_assert_int_eq(mallocs, kinds[_i].flags == 0);
    if (kinds[_i].flags != 0)
        ck_assert_int_eq(map_flags, kinds[_i].flags);
    words = (const uint64_t *)(const void *)at;
    for (size_t i = 0; kinds[_i].touched && i < CHUNK / PAGE; i++)
        ck_assert_uint_ne(words[i * PAGE / sizeof *words], 0);
    if (!kinds[_i].touched)
        ck_assert_uint_eq(words[0], 0);
    add_chunk(CHUNK);
    ck_assert_uint_eq(meal->first->used, 2);
    oom_meal_close(meal);
    ck_assert_int_eq(trims, kinds[_i].flags == 0);
}
END_TEST

/* More chunks than fit on two pages of records: in order, and all of them go. */
START_TEST(records_go_on_on_further_pages)
{
    size_t n = 0;

    open_meal(OOM_KIND_MMAP);
    for (size_t i = 0; i < 2 * OOM_MEAL_TABLE + 1; i++)
        ck_assert_int_eq(oom_meal_get(meal, (i + 1) * PAGE), 0);
    ck_assert_ptr_eq(meal->first->next->next, meal->last);
    ck_assert_ptr_null(meal->last->next);
    for (const oom_table_t *t = meal->first; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->used; i++)
            ck_assert_uint_eq(t->chunk[i].len, ++n * PAGE);
    }
    ck_assert_uint_eq(n, 2 * OOM_MEAL_TABLE + 1);
    oom_meal_close(meal);
}
END_TEST

START_TEST(no_memory)
{
    let_fail("mmap", ENOMEM);
    ck_assert_int_eq(oom_meal_open(OOM_KIND_ANON, dir, 1, &meal, &step), -ENOMEM);
    ck_assert_str_eq(step, "mmap of the first pages");
    ck_assert_ptr_null(meal);
    failing = NULL;
    open_meal(OOM_KIND_ANON);
    let_fail("mmap", EAGAIN); /* for the records */
    ck_assert_int_eq(oom_meal_get(meal, PAGE), -EAGAIN);
    ck_assert_str_eq(meal->step, "mmap");
    ck_assert_ptr_null(meal->first);
    let_fail("malloc", ENOMEM);
    ck_assert_int_eq(oom_meal_get(meal, CHUNK), -ENOMEM);
    ck_assert_str_eq(meal->step, "malloc");
    failing = NULL;
    add_chunk(CHUNK); /* behind an empty record */
    oom_meal_close(meal);
    open_meal(OOM_KIND_SHM);
    add_chunk(PAGE);
    let_fail("mmap", ENOMEM);
    ck_assert_int_eq(oom_meal_get(meal, PAGE), -ENOMEM);
    ck_assert_str_eq(meal->step, "mmap");
    failing = NULL;
    add_chunk(PAGE);
    ck_assert_uint_eq(meal->first->used, 3);
    oom_meal_close(meal); /* and what was never mapped is not unmapped */
}
END_TEST

START_TEST(no_lock)
{
    open_meal(OOM_KIND_MLOCK);
    ck_assert_int_eq(oom_meal_get(meal, PAGE), 0);
    let_fail("mlock", EPERM);
    ck_assert_int_eq(oom_meal_touch(meal, PAGE), -EPERM);
    ck_assert_str_eq(meal->step, "mlock (ulimit -l)");
    oom_meal_close(meal);
}
END_TEST

/* --- Files ----------------------------------------------------------------------------
 */

START_TEST(a_file_is_read_into_the_cache)
{
    struct stat st;

    open_meal(OOM_KIND_FILE);
    ck_assert_int_eq(fcntl(meal->fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(fstat(meal->fd, &st), 0);
    ck_assert_uint_eq(st.st_nlink, 0);
    ck_assert_int_eq(oom_meal_get(meal, 200 * KIB), 0);
    ck_assert_ptr_null(meal->first);
    ck_assert_int_eq(fstat(meal->fd, &st), 0);
    ck_assert_int_eq(st.st_size, (off_t)(200 * KIB));
    interrupted = 2;
    ck_assert_int_eq(oom_meal_touch(meal, 4 * KIB), 0);
    ck_assert_int_eq(interrupted, 0);
    ck_assert_int_eq(meal->file_bytes, (off_t)(4 * KIB));
    read_most = 1000;
    ck_assert_int_eq(oom_meal_touch(meal, 100 * KIB), 0);
    ck_assert_int_eq(meal->file_bytes, (off_t)(104 * KIB));
    read_most = SIZE_MAX;
    ck_assert_int_eq(oom_meal_touch(meal, 96 * KIB), 0);
    ck_assert_int_eq(meal->file_bytes, (off_t)(200 * KIB));
    /* The next one begins behind it. */
    ck_assert_int_eq(oom_meal_get(meal, PAGE), 0);
    ck_assert_int_eq(fstat(meal->fd, &st), 0);
    ck_assert_int_eq(st.st_size, (off_t)(200 * KIB + PAGE));
    oom_meal_close(meal);
}
END_TEST

START_TEST(a_file_that_fails)
{
    open_meal(OOM_KIND_FILE);
    ck_assert_int_eq(oom_meal_get(meal, PAGE), 0);
    let_fail("pread", EIO);
    ck_assert_int_eq(oom_meal_touch(meal, PAGE), -EIO);
    let_fail("pread", ENOMEM);
    ck_assert_int_eq(oom_meal_touch(meal, PAGE), -ENOMEM);
    ck_assert_str_eq(meal->step, "reading a file for kind=file");
    failing = NULL;
    ck_assert_int_eq(oom_meal_touch(meal, PAGE), 0);
    errno = EINTR;                                      /* of whatever was before */
    ck_assert_int_eq(oom_meal_touch(meal, PAGE), -EIO); /* its end */
    let_fail("ftruncate", ENOSPC);
    ck_assert_int_eq(oom_meal_get(meal, PAGE), -ENOSPC);
    ck_assert_str_eq(meal->step, "ftruncate");
    failing = NULL;
    meal->step = NULL;
    ck_assert_int_eq(oom_meal_get(meal, INT64_MAX - PAGE + 1), -EFBIG);
    ck_assert_str_eq(meal->step, "ftruncate");
    oom_meal_close(meal);
}
END_TEST

static void refused(const char *where, int err, const char *words)
{
    step = NULL;
    ck_assert_int_eq(oom_meal_open(OOM_KIND_FILE, where, 1, &meal, &step), -err);
    ck_assert_ptr_null(meal);
    ck_assert_ptr_nonnull(strstr(step, words));
}

START_TEST(no_file)
{
    char longest[300];

    refused("/nonexistent", ENOENT, "creating a file");
    let_fail("fstatfs", EIO);
    refused(dir, EIO, "statfs");
    failing = NULL;
    fs_magic = TMPFS_MAGIC;
    refused(dir, EMEDIUMTYPE, "in memory");
    fs_magic = RAMFS_MAGIC;
    refused(dir, EMEDIUMTYPE, "in memory");
    /* 255 bytes and "/oom-XXXXXX", which has 11, and a NUL: the name fits, or does not.
     */
    snprintf(longest, sizeof longest, "%s%0*d", "/", 243, 0);
    refused(longest, ENOENT, "creating a file");
    snprintf(longest, sizeof longest, "%s%0*d", "/", 244, 0);
    refused(longest, ENAMETOOLONG, "the name of a file");
    /* Descriptor 0 is one like others. */
    fs_magic = EXT4_SUPER_MAGIC;
    close(0);
    open_meal(OOM_KIND_FILE);
    ck_assert_int_eq(meal->fd, 0);
    oom_meal_close(meal);
    ck_assert_int_eq(open("/dev/null", O_RDONLY), 0);
}
END_TEST

/* --- Threads --------------------------------------------------------------------------
 */

START_TEST(threads_wait_and_go)
{
    sigset_t mask;
    uint64_t before = threads();

    open_meal(OOM_KIND_THREAD);
    ck_assert_int_eq(oom_meal_get(meal, 1024 * KIB), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(oom_meal_touch(meal, 256 * KIB), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGTERM));
    usleep(20000); /* none of them goes by itself */
    ck_assert_uint_eq(threads(), before + 4);
    ck_assert_int_eq(joins, 0);
    oom_meal_close(meal);
    ck_assert_int_eq(joins, 4);
    /* None at all. */
    open_meal(OOM_KIND_THREAD);
    oom_meal_close(meal);
    ck_assert_int_eq(joins, 4);
}
END_TEST

/* Of those that are there already, all are waited for. */
START_TEST(no_thread)
{
    static const struct {
        const char *call, *step;
    } calls[] = { { "pthread_attr_init", "pthread_attr_init" },
                  { "pthread_attr_setstack", "pthread_create" },
                  { "pthread_create", "pthread_create" } };
    sigset_t mask;

    open_meal(OOM_KIND_THREAD);
    ck_assert_int_eq(oom_meal_get(meal, 1024 * KIB), 0);
    if (_i >= 3)
        ck_assert_int_eq(oom_meal_touch(meal, 256 * KIB), 0);
    let_fail(calls[_i % 3].call, EAGAIN);
    ck_assert_int_eq(oom_meal_touch(meal, 256 * KIB), -EAGAIN);
    ck_assert_str_eq(meal->step, calls[_i % 3].step);
    failing = NULL;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGTERM));
    if (_i >= 3)
        ck_assert_int_eq(oom_meal_touch(meal, 256 * KIB), 0);
    oom_meal_close(meal);
    ck_assert_int_eq(joins, _i >= 3 ? 2 : 0);
}
END_TEST

int main(void)
{
    TCase *memory = tcase_create("memory"), *file = tcase_create("file");
    TCase *thread = tcase_create("thread");
    TCase *cases[] = { memory, file, thread };

    for (size_t i = 0; i < 3; i++)
        tcase_add_checked_fixture(cases[i], prepare, clean_up);
    tcase_add_test(memory, noise_is_splitmix64);
    tcase_add_test(memory, a_page_at_a_time);
    tcase_add_loop_test(memory, a_kind_is_taken_as_such, 0, sizeof kinds / sizeof *kinds);
    tcase_add_test(memory, records_go_on_on_further_pages);
    tcase_add_test(memory, no_memory);
    tcase_add_test(memory, no_lock);
    tcase_add_test(file, a_file_is_read_into_the_cache);
    tcase_add_test(file, a_file_that_fails);
    tcase_add_test(file, no_file);
    tcase_add_test(thread, threads_wait_and_go);
    tcase_add_loop_test(thread, no_thread, 0, 6);
    return unit_run("meal", cases, 3);
}
