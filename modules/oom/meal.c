/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/meal.h"
#include "oom/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The odd number nearest to 2^64 / golden ratio: all multiples differ, none are close. */
#define STAMP_STEP 0x9e3779b97f4a7c15u

static int failed(oom_meal_t *m, const char *step, int err)
{
    m->step = step;
    return -err;
}

static void *map(size_t len, int flags)
{
    return mmap(NULL, len, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

/* splitmix64: noise that no compressor gets smaller. */
static uint64_t noise(uint64_t *state)
{
    uint64_t z = *state += STAMP_STEP;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* An unlinked file whose holes become page cache when they are read, and take no disk. In
 * memory it would be a wolf in sheep's clothing: pages of tmpfs are not given back. */
static int open_file(oom_meal_t *m, const char *dir)
{
    char path[256];
    struct statfs fs;
    int n = snprintf(path, sizeof path, "%s/oom-XXXXXX", dir);

    if (n < 0 || (size_t)n >= sizeof path)
        return failed(m, "the name of a file for kind=file", ENAMETOOLONG);
    m->fd = mkostemp(path, O_CLOEXEC);
    if (m->fd < 0)
        return failed(m, "creating a file for kind=file", errno);
    unlink(path);
    if (fstatfs(m->fd, &fs) != 0)
        return failed(m, "statfs", errno);
    if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
        return failed(m, "kind=file, which needs a disk: the folder for it is in memory",
                      EMEDIUMTYPE);
    return 0;
}

int oom_meal_open(oom_kind_t kind, const char *dir, uint64_t seed, oom_meal_t **meal,
                  const char **step)
{
    oom_meal_t *m = map(sizeof *m, MAP_PRIVATE);
    int rc;

    *meal = NULL;
    *step = "mmap of the first pages";
    if (m == MAP_FAILED)
        return -errno;
    m->kind = kind;
    m->fd = -1;
    for (size_t i = 0; i < sizeof m->noise / sizeof m->noise[0]; i++)
        m->noise[i] = noise(&seed);
    m->stamp = seed;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->gate, NULL);
    rc = kind == OOM_KIND_FILE ? open_file(m, dir) : 0;
    if (rc != 0) {
        *step = m->step;
        oom_meal_close(m);
        return rc;
    }
    *meal = m;
    return 0;
}

/* A free record, on a further page if need be. */
static oom_chunk_t *record(oom_meal_t *m)
{
    oom_table_t *t = m->last;

    if (t == NULL || t->used == OOM_MEAL_TABLE) {
        t = map(sizeof *t, MAP_PRIVATE);
        if (t == MAP_FAILED)
            return NULL;
        *(m->last != NULL ? &m->last->next : &m->first) = t;
        m->last = t;
    }
    return &t->chunk[t->used++];
}

static int grow_file(oom_meal_t *m, size_t len)
{
    off_t bytes;

    if (__builtin_add_overflow(m->file_bytes, (off_t)len, &bytes))
        return failed(m, "ftruncate", EFBIG);
    return ftruncate(m->fd, bytes) == 0 ? 0 : failed(m, "ftruncate", errno);
}

int oom_meal_get(oom_meal_t *m, size_t len)
{
    oom_chunk_t *chunk;
    char *at;

    if (m->kind == OOM_KIND_FILE)
        return grow_file(m, len);
    chunk = record(m);
    if (chunk == NULL)
        return failed(m, "mmap", errno);
    if (m->kind == OOM_KIND_ANON)
        at = malloc(len);
    else
        at = map(len, m->kind == OOM_KIND_SHM ? MAP_SHARED : MAP_PRIVATE);
    if (at == NULL || at == MAP_FAILED)
        return failed(m, at == NULL ? "malloc" : "mmap", errno);
    chunk->at = m->at = at;
    chunk->len = len;
    return 0;
}

void oom_meal_fill(oom_meal_t *m, char *at, size_t len)
{
    enum { WORDS = OOM_MEAL_PAGE_BYTES / sizeof(uint64_t) };

    for (; len >= OOM_MEAL_PAGE_BYTES; len -= OOM_MEAL_PAGE_BYTES) {
        const uint64_t *restrict from = m->noise;
        uint64_t *restrict to = (uint64_t *)(void *)at;
        uint64_t stamp = m->stamp += STAMP_STEP;

        for (size_t i = 0; i < WORDS; i++)
            to[i] = from[i] ^ stamp;
        at += OOM_MEAL_PAGE_BYTES;
    }
}

static int read_file(oom_meal_t *m, size_t len)
{
    while (len > 0) {
        size_t want = len < sizeof m->scratch ? len : sizeof m->scratch;
        ssize_t n = pread(m->fd, m->scratch, want, m->file_bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return failed(m, "reading a file for kind=file", n < 0 ? errno : EIO);
        m->file_bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

/* What a thread finds at the lowest end of its stack, which grows down and never reaches
 * it. */
typedef struct {
    oom_meal_t *meal;
    pthread_t before; /* the thread that was started before it, if any */
    bool first;
} waiter_t;

static void *wait_at_gate(void *stack)
{
    waiter_t w;

    memcpy(&w, stack, sizeof w);
    pthread_mutex_lock(&w.meal->lock);
    while (!w.meal->open)
        pthread_cond_wait(&w.meal->gate, &w.meal->lock);
    pthread_mutex_unlock(&w.meal->lock);
    if (!w.first)
        pthread_join(w.before, NULL);
    return NULL;
}

/* A thread whose stack is these bytes. Each joins the one before it, so that the last one
 * is all there is to remember: older C libraries (glibc 2.31) empty even a stack they
 * were given when its thread ends. No signal may choose it for one of httpd's handlers.
 */
static int start_thread(oom_meal_t *m, char *stack, size_t len)
{
    waiter_t w = { m, m->newest, !m->threads };
    pthread_attr_t attr;
    sigset_t all, before;
    int rc = pthread_attr_init(&attr);

    if (rc != 0)
        return failed(m, "pthread_attr_init", rc);
    memcpy(stack, &w, sizeof w);
    rc = pthread_attr_setstack(&attr, stack, len);
    if (rc == 0) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        rc = pthread_create(&w.before, &attr, wait_at_gate, stack);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attr);
    if (rc != 0)
        return failed(m, "pthread_create", rc);
    m->newest = w.before;
    m->threads = true;
    return 0;
}

int oom_meal_touch(oom_meal_t *m, size_t len)
{
    char *at = m->at;

    if (m->kind == OOM_KIND_FILE)
        return read_file(m, len);
    m->at += len;
    if (m->kind == OOM_KIND_RESERVE)
        return 0;
    oom_meal_fill(m, at, len);
    if (m->kind == OOM_KIND_MLOCK && mlock(at, len) != 0)
        return failed(m, "mlock (ulimit -l)", errno);
    return m->kind == OOM_KIND_THREAD ? start_thread(m, at, len) : 0;
}

/* Waits for those that were started: a stack is no memory to give back before. */
static void join_threads(oom_meal_t *m)
{
    pthread_mutex_lock(&m->lock);
    m->open = true;
    pthread_cond_broadcast(&m->gate);
    pthread_mutex_unlock(&m->lock);
    if (m->threads)
        pthread_join(m->newest, NULL);
}

static void give_back(oom_meal_t *m)
{
    for (oom_table_t *t = m->first, *next; t != NULL; t = next) {
        for (size_t i = 0; i < t->used; i++) {
            if (m->kind == OOM_KIND_ANON)
                free(t->chunk[i].at);
            else if (t->chunk[i].at != NULL)
                munmap(t->chunk[i].at, t->chunk[i].len);
        }
        next = t->next;
        munmap(t, sizeof *t);
    }
}

void oom_meal_close(oom_meal_t *m)
{
    oom_copy_stop(m);
    if (m->kind == OOM_KIND_THREAD)
        join_threads(m);
    give_back(m);
#ifdef __GLIBC__
    /* Chunks that came from an arena are free, but still resident: below the threshold at
     * which malloc maps, which rises with what is freed. */
    if (m->kind == OOM_KIND_ANON)
        malloc_trim(0);
#endif
    if (m->fd >= 0)
        close(m->fd);
    pthread_cond_destroy(&m->gate);
    pthread_mutex_destroy(&m->lock);
    munmap(m, sizeof *m);
}
