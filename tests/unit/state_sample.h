/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A state, and what its two tests do with one. */
#ifndef STATE_SAMPLE_H
#define STATE_SAMPLE_H

#include "oomguard/state.h"
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOT OG_STATE_SLOT_BYTES
#define BOOT_ID "0f9a8b7c-6d5e-4f3a-8b1c-0123456789ab"

static inline og_state_t sample(void)
{
    og_state_t s;

    memset(&s, 0, sizeof s);
    strcpy(s.boot_id, BOOT_ID);
    s.master = 4242;
    s.master_started_usec = 81000000;
    s.resume_seq = 1207;
    s.pending_seq = 1206;
    strcpy(s.cgroup, "/system.slice/httpd.service");
    s.cgroup_inode = 5713;
    s.oom_kills = 3;
    s.machine_oom_kills = OG_STATE_UNKNOWN;
    s.events = 17;
    return s;
}

static inline void is_same(const og_state_t *a, const og_state_t *b)
{
    ck_assert_str_eq(a->boot_id, b->boot_id);
    ck_assert_int_eq(a->clean, b->clean);
    ck_assert_int_eq(a->master, b->master);
    ck_assert(a->master_started_usec == b->master_started_usec);
    ck_assert(a->resume_seq == b->resume_seq);
    ck_assert(a->pending_seq == b->pending_seq);
    ck_assert_str_eq(a->cgroup, b->cgroup);
    ck_assert(a->cgroup_inode == b->cgroup_inode);
    ck_assert(a->oom_kills == b->oom_kills);
    ck_assert(a->machine_oom_kills == b->machine_oom_kills);
    ck_assert(a->events == b->events);
}

static inline void is_zero(const og_state_t *s)
{
    static const og_state_t zero;

    ck_assert_mem_eq(s, &zero, sizeof zero);
}

/* Puts the right sum behind a text, whatever that is. */
static inline void seal(const char *text, char buf[SLOT])
{
    uint64_t sum = 0xcbf29ce484222325;
    size_t n = strlen(text);

    memset(buf, '\n', SLOT);
    memcpy(buf, text, n);
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3;
    n += (size_t)snprintf(buf + n, SLOT - n, "sum %016" PRIx64, sum);
    buf[n] = '\n';
}

#endif
