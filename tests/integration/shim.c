/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* For tests: preloaded, it stands between mod_oomguard and libc, and lets calls of that module go
 * wrong. A file in the folder that SHIM names is a switch of the fault that is called like it; the
 * file is read or looked for at each call. Other callers find libc as it is, but for "hurry". */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pid_t first; /* the process that was started with this: httpd's master */

__attribute__((constructor)) static void begin(void)
{
    first = getpid();
}

static void path_of(char path[512], const char *name)
{
    const char *folder = getenv("SHIM");

    snprintf(path, 512, "%s/%s", folder != NULL ? folder : "", name);
}

static bool is_on(const char *name)
{
    char path[512];

    path_of(path, name);
    return access(path, F_OK) == 0;
}

static void switch_off(const char *name)
{
    char path[512];

    path_of(path, name);
    unlink(path);
}

/* One byte more in the switch's file, if it is on. */
static bool one_more(const char *name)
{
    char path[512];
    int fd;

    path_of(path, name);
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (write(fd, ".", 1) != 1)
        abort();
    close(fd);
    return true;
}

/* Is this the module's call, and is it to go wrong? */
static bool is_wrong(const char *name, void *caller)
{
    int saved = errno;
    Dl_info info;
    bool wrong = dladdr(caller, &info) != 0 && strstr(info.dli_fname, "mod_oomguard") != NULL &&
                 is_on(name);

    errno = saved;
    return wrong;
}

#define IS_WRONG(name) is_wrong(name, __builtin_return_address(0))

/* The file that the descriptor is of ends with that name. */
static bool is_file(int fd, const char *name)
{
    char link[64], path[512];
    size_t len = strlen(name);
    int saved = errno;
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path);
    errno = saved;
    return n >= (ssize_t)len && memcmp(path + n - len, name, len) == 0;
}

static bool is_watcher(void)
{
    char name[16];

    return prctl(PR_GET_NAME, name, 0, 0, 0) == 0 && strcmp(name, "oomguard") == 0;
}

/* "fork": there is no room for another process. */
pid_t fork(void)
{
    if (!IS_WRONG("fork"))
        return NEXT(fork)();
    errno = EAGAIN;
    return -1;
}

/* "setuid": no right to become another user. */
int setuid(uid_t uid)
{
    if (!IS_WRONG("setuid"))
        return NEXT(setuid)(uid);
    errno = EPERM;
    return -1;
}

/* "late": the watcher stops when it has begun, and goes on by SIGCONT. */
int prctl(int option, ...)
{
    unsigned long a[4];
    va_list args;
    int rc;

    va_start(args, option);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, unsigned long);
    va_end(args);
    rc = NEXT(prctl)(option, a[0], a[1], a[2], a[3]);
    if (option == PR_SET_NAME && IS_WRONG("late"))
        raise(SIGSTOP);
    return rc;
}

/* "capset": capabilities can't be changed. */
long syscall(long number, ...)
{
    long a[6];
    va_list args;

    va_start(args, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number != SYS_capset || !IS_WRONG("capset"))
        return NEXT(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    errno = EPERM;
    return -1;
}

/* "no-log": neither /dev/kmsg nor syslog(2) is to be had. "no-counter": nor what counts kills. */
static bool counts(const char *path)
{
    return strstr(path, "/memory.oom_control") != NULL ||
           strstr(path, "/memory.events") != NULL || strcmp(path, "/proc/vmstat") == 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    int mode;

    va_start(args, flags);
    mode = va_arg(args, int);
    va_end(args);
    if (!(strcmp(path, "/dev/kmsg") == 0 && IS_WRONG("no-log")) &&
        !(counts(path) && IS_WRONG("no-counter")))
        return NEXT(open)(path, flags, mode);
    errno = EPERM;
    return -1;
}

int klogctl(int type, char *buf, int len)
{
    int (*next)(int, char *, int) = (int (*)(int, char *, int))dlsym(RTLD_NEXT, "klogctl");

    if (!IS_WRONG("no-log"))
        return next(type, buf, len);
    errno = EPERM;
    return -1;
}

/* "log-fails": the watcher's next read of /dev/kmsg does. "log-loses": what is in there by now is
 * overwritten before it was read, but for the last record. Once each. */
ssize_t read(int fd, void *buf, size_t size)
{
    static char last[8192];
    static ssize_t kept; /* bytes of the last record */
    bool of_log = is_watcher() && is_file(fd, "/dev/kmsg");
    ssize_t n;

    if (of_log && IS_WRONG("log-fails")) {
        switch_off("log-fails");
        errno = EIO;
        return -1;
    }
    if (of_log && IS_WRONG("log-loses")) {
        while ((n = NEXT(read)(fd, last, sizeof last)) > 0 || errno == EPIPE)
            kept = n > 0 ? n : kept;
        switch_off("log-loses");
        errno = kept > 0 ? EPIPE : EAGAIN;
        return -1;
    }
    if (of_log && kept > 0 && kept <= (ssize_t)size) {
        n = kept;
        memcpy(buf, last, (size_t)n);
        kept = 0;
        return n;
    }
    return NEXT(read)(fd, buf, size);
}

static DIR *proc; /* /proc, while the watcher looks through it */

DIR *opendir(const char *path)
{
    DIR *dir = NEXT(opendir)(path);

    if (strcmp(path, "/proc") == 0 && is_watcher() && IS_WRONG("looked"))
        proc = dir;
    return dir;
}

/* "looked": its size is how often the watcher has looked through /proc. */
int closedir(DIR *dir)
{
    if (dir == proc && proc != NULL)
        one_more("looked");
    if (dir == proc)
        proc = NULL;
    return NEXT(closedir)(dir);
}

/* "score": oom_score_adj takes each value, and keeps its own. */
ssize_t write(int fd, const void *buf, size_t size)
{
    return IS_WRONG("score") && is_file(fd, "/oom_score_adj") ? (ssize_t)size
                                                              : NEXT(write)(fd, buf, size);
}

/* "history": its disk is full. */
ssize_t writev(int fd, const struct iovec *parts, int n)
{
    if (!IS_WRONG("history") || !is_file(fd, "/history"))
        return NEXT(writev)(fd, parts, n);
    errno = ENOSPC;
    return -1;
}

/* "memory": there is none to be shared. The types are APR's. */
int apr_shm_create(void **shm, size_t size, const char *name, void *pool)
{
    int (*next)(void **, size_t, const char *, void *) =
        (int (*)(void **, size_t, const char *, void *))dlsym(RTLD_NEXT, "apr_shm_create");

    return IS_WRONG("memory") ? ENOMEM : next(shm, size, name, pool);
}

/* "clock": it shows what is in the file, in microseconds, and stands still. */
int clock_gettime(clockid_t clock, struct timespec *t)
{
    char path[512], text[32] = "";
    uint64_t usec;
    int fd;

    if ((clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_BOOTTIME) || !IS_WRONG("clock"))
        return NEXT(clock_gettime)(clock, t);
    path_of(path, "clock");
    if ((fd = NEXT(open)(path, O_RDONLY | O_CLOEXEC)) < 0)
        return NEXT(clock_gettime)(clock, t);
    if (NEXT(read)(fd, text, sizeof text - 1) < 0)
        abort();
    close(fd);
    usec = strtoull(text, NULL, 10);
    t->tv_sec = (time_t)(usec / 1000000);
    t->tv_nsec = (long)(usec % 1000000) * 1000;
    return 0;
}

/* "hurry": when nothing happens, the master looks around without a pause of a second; how often it
 * has is the size of the file. */
void apr_sleep(int64_t usec)
{
    void (*next)(int64_t) = (void (*)(int64_t))dlsym(RTLD_NEXT, "apr_sleep");

    next(usec == 1000000 && getpid() == first && one_more("hurry") ? 10000 : usec);
}
