/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/forked.h"
#include "oomguard/procs.h"
#include "lib/atomic.h"

#include <stddef.h>

/* How many places a process may look at before it takes somebody's. */
#define TRIED 8

#define TAKEN (-1) /* pid of an entry that is being written */

static og_process_t *place(const og_forked_t *f, pid_t pid, unsigned nth)
{
    return (og_process_t *)&f->entries[((unsigned)pid + nth) % OG_FORKED_MAX];
}

static bool swap(og_process_t *p, int32_t from, int32_t to)
{
    return __atomic_compare_exchange_n(&p->pid, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

void og_forked_add(og_forked_t *f, pid_t pid, pid_t ppid, uint64_t usec)
{
    og_process_t *p = NULL;
    int32_t was = TAKEN;

    /* Whatever had this pid before is gone, and may stand at a place that is further off. */
    og_forked_forget(f, pid);
    for (unsigned i = 0; i < TRIED; i++) {
        og_process_t *q = place(f, pid, i);
        int32_t old = OG_LOAD(&q->pid);

        if (old == TAKEN)
            continue;
        if (p == NULL || OG_PEEK(&q->begun_usec) < OG_PEEK(&p->begun_usec)) {
            p = q; /* the oldest, should none be free */
            was = old;
        }
        if (old == 0 || og_procs_gone(old)) {
            p = q;
            was = old;
            break;
        }
    }
    /* Another one may want the same place at this moment: the later one goes without. */
    if (p == NULL || !swap(p, was, TAKEN))
        return;
    OG_STORE(&p->ppid, (int32_t)ppid);
    OG_STORE(&p->begun_usec, usec);
    OG_STORE(&p->marks, 0);
    OG_STORE(&p->pid, (int32_t)pid);
}

void og_forked_mark(og_forked_t *f, pid_t pid, uint32_t marks)
{
    for (unsigned i = 0; i < TRIED; i++) {
        if (OG_LOAD(&place(f, pid, i)->pid) == pid) {
            __atomic_fetch_or(&place(f, pid, i)->marks, marks, __ATOMIC_RELAXED);
            return;
        }
    }
}

bool og_forked_find(const og_forked_t *f, pid_t pid, og_process_t *out)
{
    for (unsigned i = 0; i < TRIED; i++) {
        const og_process_t *p = place(f, pid, i);

        if (OG_LOAD(&p->pid) != pid)
            continue;
        og_atomic_read(out, p, sizeof *out);
        /* The parent tells apart two processes that had this pid one after the other. */
        if (out->pid == pid && OG_PEEK(&p->pid) == pid && OG_PEEK(&p->ppid) == out->ppid)
            return true;
    }
    return false;
}

void og_forked_each(const og_forked_t *f, void (*fn)(const og_process_t *p, void *ctx), void *ctx)
{
    for (unsigned i = 0; i < OG_FORKED_MAX; i++) {
        int32_t pid = OG_LOAD(&f->entries[i].pid);
        og_process_t p;

        if (pid > 0 && og_forked_find(f, pid, &p))
            fn(&p, ctx);
    }
}

void og_forked_forget(og_forked_t *f, pid_t pid)
{
    for (unsigned i = 0; i < TRIED; i++)
        swap(place(f, pid, i), (int32_t)pid, 0);
}

void og_forked_sweep(og_forked_t *f)
{
    for (unsigned i = 0; i < OG_FORKED_MAX; i++) {
        int32_t pid = OG_LOAD(&f->entries[i].pid);

        if (pid > 0 && og_procs_gone(pid))
            swap(&f->entries[i], pid, 0);
    }
}
