/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/procs.h"
#include "lib/file.h"
#include "lib/num.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Deeper nesting than this is no CGI script any more. */
#define GENERATIONS_MAX 32

/* The nth field, where p is at the 4th, PPID. False if there is none, or it is no number. */
static bool field(const char *p, const char *end, int nth, uint64_t *out)
{
    for (int i = 4; i < nth; i++) {
        if ((p = memchr(p, ' ', (size_t)(end - p))) == NULL)
            return false;
        p++;
    }
    return og_num_u64(&p, end, out);
}

/* The 22nd: clock ticks since the machine was booted. */
static uint64_t start_of(const char *p, const char *end)
{
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t ticks;

    if (hz <= 0 || !field(p, end, 22, &ticks) || ticks > UINT64_MAX / 1000000)
        return 0;
    return ticks * 1000000 / (uint64_t)hz;
}

/* "PID (COMM) STATE PPID ...": the name may hold anything, ')' included, so its end is the
 * last one. */
int og_procs_parse(const char *text, og_procs_stat_t *st)
{
    const char *end = text + strlen(text), *p = text;
    const char *open = strchr(text, '('), *shut = strrchr(text, ')');
    uint64_t pid, ppid, resident;
    size_t len;

    if (open == NULL || shut == NULL || shut < open || !og_num_u64(&p, end, &pid) ||
        p + 1 != open || pid == 0 || pid > INT32_MAX)
        return -EINVAL;
    len = (size_t)(shut - open) - 1;
    if (len >= sizeof st->comm || end - shut < 5)
        return -EINVAL;
    p = shut + 4; /* ") S " */
    if (!field(p, end, 4, &ppid) || ppid > INT32_MAX)
        return -EINVAL;
    st->start_usec = start_of(p, end);
    if (!field(p, end, 10, &st->faults))
        st->faults = UINT64_MAX;
    st->resident_pages = field(p, end, 24, &resident) && resident <= INT64_MAX ? (int64_t)resident
                                                                              : -1;
    st->pid = (pid_t)pid;
    st->ppid = (pid_t)ppid;
    memcpy(st->comm, open + 1, len);
    st->comm[len] = '\0';
    return 0;
}

static int read_stat(const char *path, og_procs_stat_t *st)
{
    char text[1024];
    ssize_t n = og_file_read(path, text, sizeof text);

    return n < 0 ? (int)n : og_procs_parse(text, st);
}

int og_procs_stat(const char *proc, pid_t pid, og_procs_stat_t *st)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%d/stat", proc, (int)pid);
    return read_stat(path, st);
}

int og_procs_thread(const char *proc, pid_t pid, pid_t tid, og_procs_stat_t *st)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%d/task/%d/stat", proc, (int)pid, (int)tid);
    return read_stat(path, st);
}

bool og_procs_gone(pid_t pid)
{
    int saved = errno;
    bool is = kill(pid, 0) != 0 && errno == ESRCH;

    errno = saved;
    return is;
}

bool og_procs_descends(const char *proc, pid_t pid, pid_t ancestor)
{
    og_procs_stat_t st;

    for (int i = 0; i < GENERATIONS_MAX; i++) {
        /* 1 adopts orphans, 2 is the kernel's own, 0 is outside. */
        if (pid <= 2 || og_procs_stat(proc, pid, &st) != 0)
            return false;
        if (st.ppid == ancestor)
            return true;
        pid = st.ppid;
    }
    return false;
}

int og_procs_each(const char *proc, void (*fn)(const og_procs_stat_t *st, void *ctx),
                  void *ctx)
{
    DIR *dir = opendir(proc);
    struct dirent *e;
    og_procs_stat_t st;

    if (dir == NULL)
        return -errno;
    while ((e = readdir(dir)) != NULL) {
        const char *p = e->d_name, *end = p + strlen(p);
        uint64_t pid;

        /* One that ended since is no error. */
        if (og_num_u64(&p, end, &pid) && p == end && pid <= INT32_MAX &&
            og_procs_stat(proc, (pid_t)pid, &st) == 0)
            fn(&st, ctx);
    }
    closedir(dir);
    return 0;
}
