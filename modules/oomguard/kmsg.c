/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/kmsg.h"
#include "oomguard/kmsg_line.h"
#include "lib/num.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* --- The record --------------------------------------------------------------------- */

static bool comma(const char **p, const char *end)
{
    if (*p == end || **p != ',')
        return false;
    ++*p;
    return true;
}

/* "prio,seq,usec,flags[,key=val...];message\n KEY=value\n..." */
int og_kmsg_parse(const char *buf, size_t len, og_kmsg_record_t *rec)
{
    const char *p = buf, *end = buf + len, *semicolon, *newline;
    uint64_t prio;

    memset(rec, 0, sizeof *rec);
    if (!og_num_u64(&p, end, &prio) || prio > UINT_MAX || !comma(&p, end) ||
        !og_num_u64(&p, end, &rec->seq) || !comma(&p, end) ||
        !og_num_u64(&p, end, &rec->usec) || !comma(&p, end))
        return -EINVAL;
    semicolon = memchr(p, ';', (size_t)(end - p));
    newline = memchr(p, '\n', (size_t)(end - p));
    if (semicolon == NULL || semicolon == p || (newline != NULL && newline < semicolon))
        return -EINVAL;
    rec->facility = (unsigned)(prio >> 3);
    rec->level = (unsigned)(prio & 7);
    rec->fragment = *p == 'c' || *p == '+';
    rec->text = semicolon + 1;
    rec->len = (size_t)((newline != NULL ? newline : end) - rec->text);
    return 0;
}

/* --- The episode -------------------------------------------------------------------- */

void og_kmsg_init(og_kmsg_t *k)
{
    memset(k, 0, sizeof *k);
    og_line_clear(&k->ctx);
}

/* What is known of victims stays: neither a gap nor time is a reason to report one twice. */
void og_kmsg_gap(og_kmsg_t *k)
{
    k->phase = OG_KMSG_IDLE;
    k->line_len = 0;
}

uint64_t og_kmsg_resume(const og_kmsg_t *k, uint64_t next)
{
    return k->phase == OG_KMSG_OPEN || (k->phase == OG_KMSG_GROUP && k->first_seq != 0)
               ? k->first_seq
               : next;
}

/* CPUs' clocks differ a little: a step back is no time at all. */
static bool passed(uint64_t since, uint64_t now, uint64_t limit)
{
    return now > since && now - since > limit;
}

static void expire(og_kmsg_t *k, uint64_t now)
{
    if (k->phase != OG_KMSG_IDLE &&
        passed(k->usec, now,
               k->phase == OG_KMSG_OPEN ? OG_KMSG_EPISODE_USEC : OG_KMSG_GROUP_USEC))
        og_kmsg_gap(k);
    if (passed(k->kill_usec, now, OG_KMSG_GROUP_USEC))
        k->first_pid = k->last_pid = 0;
}

static void begin(og_kmsg_t *k, const og_kmsg_record_t *rec)
{
    og_line_clear(&k->ctx);
    k->phase = OG_KMSG_OPEN;
    k->first_seq = rec->seq;
    k->line_len = 0;
    k->first_pid = k->last_pid = 0;
}

/* The awaited kill is over, with a victim or without: only a group may follow. */
static void settle(og_kmsg_t *k)
{
    if (k->phase != OG_KMSG_OPEN)
        return;
    if (k->line_len > 0)
        og_line_oom_kill((og_span_t){ k->line, k->line + k->line_len }, &k->ctx);
    k->line_len = 0;
    k->phase = OG_KMSG_KILLED;
}

/* The further kills of a group have no header: what that of the first one said holds on,
 * but that each is somewhere in the group's cgroup. */
static void begin_group(og_kmsg_t *k, const og_kmsg_record_t *rec, og_span_t path)
{
    settle(k);
    if (k->phase != OG_KMSG_KILLED)
        og_line_clear(&k->ctx); /* of another episode */
    if (k->phase != OG_KMSG_IDLE)
        k->first_pid = k->last_pid;
    k->phase = OG_KMSG_GROUP;
    k->first_seq = rec->seq;
    k->ctx.group_kill = true;
    og_span_path(k->ctx.task_memcg, path);
}

static void keep_line(og_kmsg_t *k, const og_kmsg_record_t *rec)
{
    if (rec->len > sizeof k->line - k->line_len) {
        k->line_len = 0; /* too long to be told from what it isn't */
        return;
    }
    memcpy(k->line + k->line_len, rec->text, rec->len);
    k->line_len += rec->len;
    k->line_seq = rec->seq;
}

/* A header line that opens an episode, if the one before it was lost. */
static og_kmsg_kill_t *header(og_kmsg_t *k, const og_kmsg_record_t *rec)
{
    if (k->phase != OG_KMSG_OPEN)
        begin(k, rec);
    k->usec = rec->usec;
    return &k->ctx;
}

static void take_around(og_kmsg_t *k, const og_kmsg_record_t *rec, og_span_t text)
{
    og_line_t line;
    og_kmsg_kill_t *ctx;

    switch (og_line_read(text, &line)) {
    case OG_LINE_INVOKED:
        begin(k, rec);
        og_span_comm(header(k, rec)->invoked_by, line.comm);
        break;
    case OG_LINE_CPU:
        if (k->phase == OG_KMSG_OPEN && k->ctx.invoked_pid == 0)
            k->ctx.invoked_pid = line.pid;
        break;
    case OG_LINE_TASK_IN:
        ctx = header(k, rec);
        ctx->killer = OG_KILLER_MEMCG;
        og_span_path(ctx->task_memcg, line.task);
        og_span_path(ctx->oom_memcg, line.limit);
        break;
    case OG_LINE_USAGE:
        ctx = header(k, rec);
        ctx->usage_kib = line.usage_kib;
        ctx->limit_kib = line.limit_kib;
        break;
    case OG_LINE_OOM_KILL:
        if (k->line_len > 0)
            begin(k, rec); /* a second one is of a second kill */
        header(k, rec);
        keep_line(k, rec);
        break;
    case OG_LINE_KILL:
        ctx = header(k, rec);
        if (ctx->killer == OG_KILLER_UNKNOWN)
            ctx->killer = line.killer;
        break;
    case OG_LINE_GROUP:
        begin_group(k, rec, line.limit);
        k->usec = rec->usec;
        break;
    case OG_LINE_NO_KILL:
        settle(k); /* of a group, the others still go */
        k->usec = rec->usec;
        break;
    case OG_LINE_TASK:
        if (k->phase == OG_KMSG_OPEN)
            k->usec = rec->usec;
        break;
    case OG_LINE_OTHER:
        break;
    }
}

/* --- The kill ----------------------------------------------------------------------- */

/* Does what the headers told agree with the kill's own line? Some kernels print headers
 * and then kill nobody, without a word. */
static bool add_context(og_kmsg_t *k, og_kmsg_kill_t *kill)
{
    og_kmsg_kill_t *ctx = &k->ctx;

    if (kill->killer != OG_KILLER_UNKNOWN && ctx->killer != OG_KILLER_UNKNOWN &&
        (kill->killer == OG_KILLER_MEMCG) != (ctx->killer == OG_KILLER_MEMCG))
        return false;
    if (ctx->killer != OG_KILLER_UNKNOWN)
        kill->killer = ctx->killer;
    kill->constraint = ctx->constraint;
    memcpy(kill->task_memcg, ctx->task_memcg, sizeof kill->task_memcg);
    memcpy(kill->oom_memcg, ctx->oom_memcg, sizeof kill->oom_memcg);
    if (k->line_len > 0 &&
        !og_line_oom_kill((og_span_t){ k->line, k->line + k->line_len }, kill))
        return false;
    memcpy(kill->invoked_by, ctx->invoked_by, sizeof kill->invoked_by);
    kill->invoked_pid = ctx->invoked_pid;
    kill->usage_kib = ctx->usage_kib;
    kill->limit_kib = ctx->limit_kib;
    kill->group_kill = ctx->group_kill;
    return true;
}

static bool take_kill(og_kmsg_t *k, const og_kmsg_record_t *rec, og_kmsg_kill_t *kill)
{
    bool context = k->phase == OG_KMSG_OPEN || k->phase == OG_KMSG_GROUP;

    if (k->first_pid == kill->pid) {
        /* Whoever starts anew can't know that this was the second time. */
        k->first_seq = 0;
        k->usec = rec->usec;
        return false;
    }
    kill->seq = rec->seq;
    kill->usec = rec->usec;
    if (!context || !add_context(k, kill)) {
        og_line_clear(&k->ctx);
        k->phase = OG_KMSG_IDLE;
    }
    if (k->phase != OG_KMSG_GROUP) {
        /* What a group's further kills will have in common with this one. */
        memcpy(&k->ctx, kill, sizeof k->ctx);
        k->phase = OG_KMSG_KILLED;
        k->first_pid = kill->pid;
    }
    k->line_len = 0;
    k->first_seq = 0;
    k->last_pid = kill->pid;
    k->usec = k->kill_usec = rec->usec;
    return true;
}

bool og_kmsg_feed(og_kmsg_t *k, const og_kmsg_record_t *rec, og_kmsg_kill_t *kill)
{
    og_span_t text = { rec->text, rec->text + rec->len };

    expire(k, rec->usec);
    if (rec->facility != 0)
        return false;
    if (rec->fragment) {
        /* A line that got too long for one record. */
        if (k->phase == OG_KMSG_OPEN && k->line_len > 0 && rec->seq == k->line_seq + 1)
            keep_line(k, rec);
        return false;
    }
    if (og_line_killed(text, kill))
        return take_kill(k, rec, kill);
    take_around(k, rec, text);
    return false;
}
