/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE_BYTES (64u * 1024) /* between two reports of the child */
#define FDS_MAX 65536u

uint64_t oom_copy_due_nsec(uint64_t start_nsec, uint64_t bytes, uint64_t rate)
{
    double nsec = (double)bytes / (double)rate * 1e9;

    /* At a byte a second a terabyte is due after the clock's end. */
    return nsec < 9e18 ? start_nsec + (uint64_t)nsec : UINT64_MAX;
}

/* A client would wait for the end of a connection that this process holds, too. */
static void close_all(void)
{
    struct rlimit lim;
    unsigned max = FDS_MAX;

#ifdef SYS_close_range
    if (syscall(SYS_close_range, 0u, ~0u, 0u) == 0)
        return;
#endif
    if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < FDS_MAX)
        max = (unsigned)lim.rlim_cur;
    for (unsigned fd = 0; fd < max; fd++)
        close((int)fd);
}

static void rewrite(oom_meal_t *m, uint64_t rate, const oom_clock_t *clock)
{
    uint64_t start = clock->now_nsec(), written = 0, now, due;

    for (const oom_table_t *t = m->first; t != NULL; t = t->next) {
        for (size_t i = 0; i < t->used; i++) {
            const oom_chunk_t *c = &t->chunk[i];

            for (size_t off = 0, len; c->at != NULL && off < c->len; off += len) {
                len = c->len - off < PIECE_BYTES ? c->len - off : PIECE_BYTES;
                oom_meal_fill(m, c->at + off, len);
                written += len;
                __atomic_store_n(m->written_bytes, written, __ATOMIC_RELEASE);
                if (rate == 0)
                    continue;
                due = oom_copy_due_nsec(start, written, rate);
                while ((now = clock->now_nsec()) < due)
                    clock->sleep_nsec(due - now);
            }
        }
    }
}

_Noreturn static void child(oom_meal_t *m, pid_t parent, uint64_t rate,
                            const oom_clock_t *clock)
{
    /* It may have died before it could be asked for. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    close_all();
    rewrite(m, rate, clock);
    for (;;)
        pause();
}

int oom_copy_start(oom_meal_t *m, uint64_t rate, const oom_clock_t *clock)
{
    pid_t parent = getpid(), pid;
    sigset_t all, before;
    int err;

    m->step = "mmap of a shared page";
    m->written_bytes = mmap(NULL, OOM_MEAL_PAGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (m->written_bytes == MAP_FAILED) {
        m->written_bytes = NULL;
        return -errno;
    }
    m->step = "fork";
    /* httpd's handlers would make the child end as if it were a worker. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = fork();
    err = errno;
    if (pid == 0)
        child(m, parent, rate, clock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return -err;
    m->child = pid;
    return 0;
}

uint64_t oom_copy_written(const oom_meal_t *m)
{
    if (m->written_bytes == NULL)
        return 0;
    return __atomic_load_n(m->written_bytes, __ATOMIC_ACQUIRE);
}

static pid_t wait_for(pid_t pid, int *status, int flags)
{
    pid_t rc;

    do
        rc = waitpid(pid, status, flags);
    while (rc < 0 && errno == EINTR);
    return rc;
}

bool oom_copy_alive(oom_meal_t *m, int *signal)
{
    int status = 0;
    pid_t rc;

    *signal = 0;
    if (m->child == 0)
        return false;
    rc = wait_for(m->child, &status, WNOHANG);
    if (rc == 0)
        return true;
    /* rc < 0: somebody ignores SIGCHLD, and the child is gone without a word. */
    if (rc > 0 && WIFSIGNALED(status))
        *signal = WTERMSIG(status);
    m->child = 0;
    return false;
}

void oom_copy_stop(oom_meal_t *m)
{
    int status;

    if (m->child != 0) {
        kill(m->child, SIGKILL);
        wait_for(m->child, &status, 0);
        m->child = 0;
    }
    if (m->written_bytes != NULL)
        munmap(m->written_bytes, OOM_MEAL_PAGE_BYTES);
    m->written_bytes = NULL;
}
