/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* copy with libc's calls replaced (ld's --wrap): some fail when they are told to. The
 * child tells what it has done by a page that it shares with the test. check_eat has copy
 * as it is. */
#include "oom/copy.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((uint64_t)1 << 10)
#define NSEC ((uint64_t)1000000000)

/* What the child has done. */
typedef struct {
    uint64_t now_nsec, nap_most_nsec;
    unsigned naps, pauses;
    unsigned words, stale; /* of the meal, and those that are as they were */
    unsigned open;         /* files */
    int closed_last;
    long asked[4]; /* of syscall */
    bool blocks_all;
    int option, signal; /* given to prctl */
} seen_t;

static seen_t *seen;
static pid_t starter;
static oom_meal_t *meal;
static uint64_t *snapshot;

/* What fails. */
static bool no_prctl, orphan, no_mmap, no_fork, no_close_range;
static struct rlimit files;
static int interrupted;

int __wrap_prctl(int option, ...);
pid_t __wrap_getppid(void);
int __wrap_pause(void);
int __real_pause(void);
long __wrap_syscall(long number, ...);
int __wrap_getrlimit(__rlimit_resource_t what, struct rlimit *limit);
int __wrap_close(int fd);
int __real_close(int fd);
pid_t __wrap_fork(void);
pid_t __real_fork(void);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags);
pid_t __real_waitpid(pid_t pid, int *status, int flags);
void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);
void *__real_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off);

static int fails(int err)
{
    errno = err;
    return -1;
}

static bool blocks_all(void)
{
    sigset_t set;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    return sigismember(&set, SIGTERM) && sigismember(&set, SIGUSR1) &&
           sigismember(&set, SIGCHLD);
}

int __wrap_prctl(int option, ...)
{
    va_list ap;

    va_start(ap, option);
    seen->option = option;
    seen->signal = va_arg(ap, int);
    va_end(ap);
    return no_prctl ? fails(EINVAL) : 0;
}

pid_t __wrap_getppid(void)
{
    return orphan ? 1 : starter;
}

/* The words of the meal, one after the other. */
static void each_word(void (*with)(uint64_t word, unsigned i))
{
    unsigned i = 0;

    for (const oom_table_t *t = meal->first; t != NULL; t = t->next) {
        for (size_t c = 0; c < t->used; c++) {
            const uint64_t *w = (const uint64_t *)(const void *)t->chunk[c].at;

            for (size_t n = 0; w != NULL && n < t->chunk[c].len / sizeof *w; n++)
                with(w[n], i++);
        }
    }
}

static void compare(uint64_t word, unsigned i)
{
    seen->words++;
    seen->stale += word == snapshot[i];
}

static void remember(uint64_t word, unsigned i)
{
    snapshot[i] = word;
}

/* All is done: the child looks at itself. */
int __wrap_pause(void)
{
    if (seen->pauses == 0) {
        each_word(compare);
        seen->blocks_all = blocks_all();
        for (int fd = 0; fd <= seen->closed_last; fd++)
            seen->open += fcntl(fd, F_GETFD) >= 0;
    }
    __atomic_add_fetch(&seen->pauses, 1, __ATOMIC_RELEASE);
    return __real_pause();
}

/* Older kernels have no close_range(2). Where there is one, it closes nothing here. */
long __wrap_syscall(long number, ...)
{
    va_list ap;

    va_start(ap, number);
    seen->asked[0] = number;
    for (int i = 1; i < 4; i++)
        seen->asked[i] = (long)va_arg(ap, unsigned);
    va_end(ap);
    return no_close_range ? fails(ENOSYS) : 0;
}

int __wrap_getrlimit(__rlimit_resource_t what, struct rlimit *limit)
{
    ck_assert_int_eq(what, RLIMIT_NOFILE);
    *limit = files;
    return files.rlim_max == 0 ? fails(EPERM) : 0;
}

int __wrap_close(int fd)
{
    if (seen != NULL && getpid() != starter)
        seen->closed_last = fd;
    return __real_close(fd);
}

/* A static libcheck forks by this, too. */
pid_t __wrap_fork(void)
{
    if (seen == NULL)
        return __real_fork();
    ck_assert(blocks_all());
    return no_fork ? fails(EAGAIN) : __real_fork();
}

pid_t __wrap_waitpid(pid_t pid, int *status, int flags)
{
    if (interrupted == 0)
        return __real_waitpid(pid, status, flags);
    interrupted--;
    return fails(EINTR);
}

void *__wrap_mmap(void *at, size_t len, int prot, int flags, int fd, off_t off)
{
    ck_assert(fd == -1 && off == 0);
    if (!no_mmap)
        return __real_mmap(at, len, prot, flags, fd, off);
    errno = ENOMEM;
    return MAP_FAILED;
}

/* One clock for both processes. Who sleeps wakes up after 10 ms at the latest. */
static uint64_t now_nsec(void)
{
    return seen->now_nsec;
}

static void sleep_nsec(uint64_t nsec)
{
    if (nsec > seen->nap_most_nsec)
        seen->nap_most_nsec = nsec;
    seen->naps++;
    seen->now_nsec += nsec < NSEC / 100 ? nsec : NSEC / 100;
}

static const oom_clock_t fake_clock = { now_nsec, sleep_nsec };

static void open_meal(void)
{
    const char *step;

    ck_assert_int_eq(oom_meal_open(OOM_KIND_FORK, NULL, 1, &meal, &step), 0);
}

static void prepare(void)
{
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    ck_assert(seen != MAP_FAILED);
    snapshot = NULL;
    starter = getpid();
    open_meal();
}

static void clean_up(void)
{
    no_mmap = no_fork = no_prctl = orphan = no_close_range = false;
    oom_meal_close(meal);
    free(snapshot);
    munmap(seen, sizeof *seen);
    seen = NULL;
}

static void add_chunk(size_t len)
{
    ck_assert_int_eq(oom_meal_get(meal, len), 0);
    ck_assert_int_eq(oom_meal_touch(meal, len), 0);
}

static void start(uint64_t rate)
{
    ck_assert_int_eq(oom_copy_start(meal, rate, &fake_clock), 0);
    ck_assert_int_gt(meal->child, 0);
}

/* Until the child has looked at itself. */
static void await_pause(void)
{
    while (__atomic_load_n(&seen->pauses, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
}

static int await_end(void)
{
    int sig = 4711;

    while (oom_copy_alive(meal, &sig)) {
        ck_assert_int_eq(sig, 0);
        usleep(1000);
    }
    ck_assert_int_eq(meal->child, 0);
    return sig;
}

START_TEST(due_to_the_nanosecond)
{
    ck_assert_uint_eq(oom_copy_due_nsec(5, 3, 2), 5 + NSEC * 3 / 2);
    ck_assert_uint_eq(oom_copy_due_nsec(5, 8999999998, 1), 5 + 8999999998 * NSEC);
    ck_assert(oom_copy_due_nsec(5, 9000000000, 1) == UINT64_MAX);
}
END_TEST

/* All of every chunk: pieces and what is left of them, slots that are empty, and what
 * stands on a second page of records. */
START_TEST(every_word_is_written_anew)
{
    const uint64_t bytes = (68 + 4 + 64 + 132 + 8) * KIB;

    add_chunk(68 * KIB);
    add_chunk(4 * KIB);
    add_chunk(64 * KIB);
    add_chunk(132 * KIB);
    while (meal->first->used < OOM_MEAL_TABLE)
        meal->first->chunk[meal->first->used++] = (oom_chunk_t){ NULL, 4 * KIB };
    add_chunk(8 * KIB);
    ck_assert_ptr_nonnull(meal->first->next);
    snapshot = malloc(bytes);
    ck_assert_ptr_nonnull(snapshot);
    each_word(remember);
    ck_assert_uint_eq(oom_copy_written(meal), 0);
    start(0);
    await_pause();
    ck_assert_uint_eq(oom_copy_written(meal), bytes);
    ck_assert_uint_eq(seen->words, bytes / sizeof *snapshot);
    ck_assert_uint_eq(seen->stale, 0);
    ck_assert_uint_eq(seen->naps, 0);
}
END_TEST

/* 64 KiB and 64 KiB and 4 KiB, at 4 KiB a second. */
START_TEST(a_rate_is_kept)
{
    add_chunk(132 * KIB);
    snapshot = calloc(1, 132 * KIB);
    seen->now_nsec = 7 * NSEC;
    start(4 * KIB);
    await_pause();
    ck_assert_uint_eq(seen->now_nsec, (7 + 33) * NSEC);
    ck_assert_uint_eq(seen->nap_most_nsec, 16 * NSEC);
    ck_assert_uint_eq(seen->naps, 33 * 100);
}
END_TEST

/* It runs no handler, and ends with its parent; when all is written, it does nothing. */
START_TEST(the_child_is_alone)
{
    sigset_t mask;

    start(0);
    await_pause();
    ck_assert(seen->blocks_all);
    ck_assert_int_eq(seen->option, PR_SET_PDEATHSIG);
    ck_assert_int_eq(seen->signal, SIGKILL);
    ck_assert_int_eq(kill(meal->child, SIGTERM), 0);
    usleep(20000);
    ck_assert_uint_eq(seen->pauses, 1);
    /* The parent is as it was. */
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGTERM));
}
END_TEST

/* All at once, where the kernel can; otherwise each that there may be, and of any number
 * of them no more than 64 Ki. */
START_TEST(the_child_holds_no_file)
{
    static const struct {
        bool old;
        rlim_t limit, most;
        int last;
    } cases[] = {
        { false, 77, 77, -1 },
        { true, 77, 77, 76 },
        { true, 65535, RLIM_INFINITY, 65534 },
        { true, 65536, RLIM_INFINITY, 65535 },
        { true, 65537, RLIM_INFINITY, 65535 },
        { true, RLIM_INFINITY, RLIM_INFINITY, 65535 },
        { true, 77, 0, 65535 }, /* there is no telling */
    };

#ifndef SYS_close_range
    if (!cases[_i].old)
        return;
#endif
    no_close_range = cases[_i].old;
    files = (struct rlimit){ cases[_i].limit, cases[_i].most };
    seen->closed_last = -1;
    start(0);
    await_pause();
#ifdef SYS_close_range
    ck_assert_int_eq(seen->asked[0], SYS_close_range);
    ck_assert_int_eq(seen->asked[1], 0);
    ck_assert_int_eq(seen->asked[2], UINT_MAX);
    ck_assert_int_eq(seen->asked[3], 0);
#endif
    ck_assert_int_eq(seen->closed_last, cases[_i].last);
    if (cases[_i].old)
        ck_assert_uint_eq(seen->open, 0);
}
END_TEST

START_TEST(no_child_without_its_parent)
{
    siginfo_t info;

    no_prctl = _i == 0;
    orphan = _i == 1;
    add_chunk(4 * KIB);
    start(0);
    ck_assert_int_eq(waitid(P_PID, (id_t)meal->child, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(info.si_code, CLD_EXITED);
    ck_assert_int_eq(info.si_status, 1);
    ck_assert_int_eq(await_end(), 0);
    ck_assert_uint_eq(seen->pauses, 0);
    ck_assert_uint_eq(oom_copy_written(meal), 0);
}
END_TEST

START_TEST(nothing_is_left_of_what_failed)
{
    sigset_t mask;

    no_mmap = true;
    ck_assert_int_eq(oom_copy_start(meal, 0, &fake_clock), -ENOMEM);
    ck_assert_str_eq(meal->step, "mmap of a shared page");
    ck_assert_ptr_null(meal->written_bytes);
    ck_assert_int_eq(meal->child, 0);
    no_mmap = false;
    no_fork = true;
    ck_assert_int_eq(oom_copy_start(meal, 0, &fake_clock), -EAGAIN);
    ck_assert_str_eq(meal->step, "fork");
    ck_assert_int_eq(meal->child, 0);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ck_assert(!sigismember(&mask, SIGTERM));
    ck_assert_uint_eq(oom_copy_written(meal), 0);
    oom_copy_stop(meal);
    ck_assert_ptr_null(meal->written_bytes);
}
END_TEST

START_TEST(it_goes_with_its_meal)
{
    pid_t child;

    start(0);
    await_pause();
    child = meal->child;
    oom_meal_close(meal);
    ck_assert_int_eq(kill(child, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
    open_meal();
}
END_TEST

/* Children of others are not waited for. */
START_TEST(without_a_child)
{
    pid_t others = __real_fork();
    siginfo_t info;
    int sig = 4711;

    ck_assert_int_ge(others, 0);
    if (others == 0)
        _exit(0);
    ck_assert_int_eq(waitid(P_PID, (id_t)others, &info, WEXITED | WNOWAIT), 0);
    ck_assert(!oom_copy_alive(meal, &sig));
    ck_assert_int_eq(sig, 0);
    oom_copy_stop(meal);
    ck_assert_int_eq(__real_waitpid(others, NULL, 0), others);
}
END_TEST

START_TEST(a_stop_is_one)
{
    char *page;
    pid_t child;
    int sig = 4711;

    start(0);
    await_pause();
    page = (char *)meal->written_bytes;
    child = meal->child;
    interrupted = 3;
    ck_assert(oom_copy_alive(meal, &sig));
    ck_assert_int_eq(interrupted, 0);
    interrupted = 3;
    oom_copy_stop(meal);
    ck_assert_int_eq(meal->child, 0);
    ck_assert_ptr_null(meal->written_bytes);
    /* Neither a zombie nor a page stays. */
    ck_assert_int_eq(kill(child, 0), -1);
    ck_assert_int_eq(errno, ESRCH);
    ck_assert_int_eq(msync(page, OOM_MEAL_PAGE_BYTES, MS_ASYNC), -1);
    ck_assert_int_eq(errno, ENOMEM);
    ck_assert(!oom_copy_alive(meal, &sig));
}
END_TEST

/* By whoever: the signal is told, unless somebody ignores the ends of children. */
START_TEST(an_end_is_told)
{
    start(0);
    await_pause();
    ck_assert_int_eq(kill(meal->child, SIGKILL), 0);
    ck_assert_int_eq(await_end(), SIGKILL);
    oom_copy_stop(meal);
    seen->pauses = 0;
    signal(SIGCHLD, SIG_IGN);
    start(0);
    await_pause();
    ck_assert_int_eq(kill(meal->child, SIGKILL), 0);
    ck_assert_int_eq(await_end(), 0);
    signal(SIGCHLD, SIG_DFL);
}
END_TEST

int main(void)
{
    TCase *copy = tcase_create("copy");

    tcase_add_checked_fixture(copy, prepare, clean_up);
    tcase_add_test(copy, due_to_the_nanosecond);
    tcase_add_test(copy, every_word_is_written_anew);
    tcase_add_test(copy, a_rate_is_kept);
    tcase_add_test(copy, the_child_is_alone);
    tcase_add_loop_test(copy, the_child_holds_no_file, 0, 7);
    tcase_add_loop_test(copy, no_child_without_its_parent, 0, 2);
    tcase_add_test(copy, nothing_is_left_of_what_failed);
    tcase_add_test(copy, it_goes_with_its_meal);
    tcase_add_test(copy, without_a_child);
    tcase_add_test(copy, a_stop_is_one);
    tcase_add_test(copy, an_end_is_told);
    return unit_run("copy", &copy, 1);
}
