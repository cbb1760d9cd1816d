/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/backends.h"

#include <string.h>

static bool is_still(const og_backend_t *b, const og_procs_stat_t *st)
{
    return OG_PEEK(&b->start_usec) == st->start_usec;
}

/* A zombie has none. */
static bool has_memory(const og_procs_stat_t *st)
{
    return st->resident_pages > 0;
}

bool og_backends_add(og_backends_t *t, const og_procs_stat_t *st, og_backend_kind_t kind)
{
    og_backend_t *b = NULL;

    if (!has_memory(st))
        return true;
    for (unsigned i = 0; i < OG_BACKENDS; i++) {
        og_backend_t *at = &t->backends[i];

        if (at->pid == (int32_t)st->pid) {
            if (is_still(at, st))
                return true;
            OG_STORE(&at->pid, 0); /* an earlier one's */
        }
        if (b == NULL && at->pid == 0)
            b = at;
    }
    if (b == NULL)
        return false;
    OG_STORE(&b->kind, (uint32_t)kind);
    OG_STORE(&b->start_usec, st->start_usec);
    og_atomic_text(b->comm, st->comm, strnlen(st->comm, sizeof b->comm - 1));
    OG_STORE(&b->pid, (int32_t)st->pid);
    if ((uint32_t)(b - t->backends) >= t->used)
        OG_STORE(&t->used, (uint32_t)(b - t->backends) + 1);
    return true;
}

void og_backends_sweep(og_backends_t *t, const char *proc)
{
    for (unsigned i = 0; i < t->used; i++) {
        og_backend_t *b = &t->backends[i];
        og_procs_stat_t st;

        if (b->pid != 0 && (og_procs_stat(proc, b->pid, &st) != 0 || !is_still(b, &st)))
            OG_STORE(&b->pid, 0);
    }
}

const og_backend_t *og_backends_find(const og_backends_t *t, pid_t pid)
{
    for (unsigned i = 0; i < OG_LOAD(&t->used); i++) {
        if (OG_LOAD(&t->backends[i].pid) == (int32_t)pid)
            return &t->backends[i];
    }
    return NULL;
}

bool og_backends_wanted(og_backends_t *t, og_backend_kind_t kind)
{
    uint32_t bit = 1U << kind;

    return (__atomic_fetch_and(&t->wanted, ~bit, __ATOMIC_RELAXED) & bit) != 0;
}

void og_backends_want(og_backends_t *t, og_backend_kind_t kind)
{
    if ((OG_PEEK(&t->wanted) & 1U << kind) == 0)
        __atomic_fetch_or(&t->wanted, 1U << kind, __ATOMIC_RELAXED);
}

int64_t og_backends_now(const og_backends_t *t, const char *proc, uint64_t *who)
{
    int64_t sum = 0;

    *who = 0;
    for (unsigned i = 0; i < OG_LOAD(&t->used); i++) {
        const og_backend_t *b = &t->backends[i];
        int32_t pid = OG_LOAD(&b->pid);
        og_procs_stat_t st;

        if (pid != 0 && og_procs_stat(proc, pid, &st) == 0 && is_still(b, &st) &&
            has_memory(&st)) {
            sum += st.resident_pages;
            *who += st.start_usec ^ (uint64_t)pid << 40;
        }
    }
    return sum;
}
