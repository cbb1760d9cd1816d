/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Notes when kills are told: stamp /dev/kmsg, or stamp FILE, an error log. Whatever it is, it
 * waits in poll(2), reads all there is, and looks at the clock: CLOCK_MONOTONIC, microseconds.
 *
 *     kill PID SEEN            and of the kernel's log: kill PID SEEN KERNEL
 *     mark SEEN KERNEL         a record of its own: how far the kernel's clock is from ours
 *
 * The kernel stamps its records with a clock of its own, which drifts: when it has been quiet
 * for a while after a kill, one record is written to compare. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#define QUIET_MSEC 200
#define MARK "mod_oom: stamp"

static uint64_t now_usec(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void die(const char *what)
{
    fprintf(stderr, "stamp: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* One that is opened for each record: the kernel limits how many one opener may write. */
static uint64_t mark(void)
{
    int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    uint64_t usec = now_usec();

    if (fd < 0 || write(fd, "<7>" MARK "\n", sizeof "<7>" MARK) < 0)
        die("/dev/kmsg");
    close(fd);
    return usec;
}

static bool pid_behind(const char *text, const char *words, long *pid)
{
    const char *at = strstr(text, words);

    return at != NULL && sscanf(at + strlen(words), "%ld", pid) == 1;
}

/* "PRIORITY,SEQUENCE,USEC,...;TEXT" */
static bool record(const char *text, uint64_t seen, uint64_t *marked)
{
    unsigned long long priority, usec;
    long pid;

    if (sscanf(text, "%llu,%*u,%llu,", &priority, &usec) != 2)
        return false;
    if (priority < 8 && pid_behind(text, "Killed process ", &pid)) {
        printf("kill %ld %llu %llu\n", pid, (unsigned long long)seen, usec);
        return true;
    }
    if (*marked != 0 && strstr(text, ";" MARK) != NULL) {
        printf("mark %llu %llu\n", (unsigned long long)*marked, usec);
        *marked = 0;
    }
    return false;
}

static void follow_kmsg(int fd)
{
    static char buf[8192];
    struct pollfd p = { fd, POLLIN, 0 };
    uint64_t marked = mark();
    bool killed = false;
    ssize_t n;

    for (;;) {
        if (poll(&p, 1, killed ? QUIET_MSEC : -1) == 0) {
            marked = mark();
            killed = false;
        }
        while ((n = read(fd, buf, sizeof buf - 1)) > 0 || (n < 0 && errno == EPIPE)) {
            uint64_t seen = now_usec();

            buf[n > 0 ? n : 0] = '\0';
            killed |= record(buf, seen, &marked);
        }
    }
}

static void follow_file(int fd, const char *path)
{
    static char buf[65536], event[4096];
    struct pollfd p = { inotify_init1(IN_CLOEXEC), POLLIN, 0 };
    size_t len = 0;
    ssize_t n;

    if (p.fd < 0 || inotify_add_watch(p.fd, path, IN_MODIFY) < 0)
        die(path);
    while (poll(&p, 1, -1) > 0 && read(p.fd, event, sizeof event) > 0) {
        while ((n = read(fd, buf + len, sizeof buf - 1 - len)) > 0) {
            uint64_t seen = now_usec();
            char *line = buf, *end;
            long pid;

            len += (size_t)n;
            for (; (end = memchr(line, '\n', len)) != NULL; line = end + 1) {
                *end = '\0';
                if (strstr(line, "OG0101: ") != NULL &&
                    pid_behind(line, "the kernel killed worker ", &pid))
                    printf("kill %ld %llu\n", pid, (unsigned long long)seen);
                len -= (size_t)(end + 1 - line);
            }
            memmove(buf, line, len);
        }
    }
}

int main(int argc, char **argv)
{
    const char *path = argv[argc - 1];
    int fd;

    if (argc != 2) {
        fprintf(stderr, "usage: stamp /dev/kmsg|FILE\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
        die(path);
    if (strcmp(path, "/dev/kmsg") == 0)
        follow_kmsg(fd);
    follow_file(fd, path);
    return 1;
}
