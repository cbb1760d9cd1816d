/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/verdict.h"

#include <string.h>

/* A start, noted a moment after the fork, and the kernel's log have their own clocks. */
#define SLACK_USEC 1000000

void og_verdict_witnesses(og_verdict_t *v, bool log, bool counter)
{
    v->have_log = log;
    v->have_counter = counter;
    if (!counter) {
        v->have_count = false;
        v->excess = 0;
    }
}

void og_verdict_baseline(og_verdict_t *v, uint64_t count)
{
    v->have_count = true;
    v->count = count;
}

bool og_verdict_was_told(const og_verdict_t *v, pid_t pid, uint64_t started_usec,
                         uint64_t *seq)
{
    for (unsigned i = 0; i < OG_VERDICT_REMEMBERED; i++) {
        if (v->told[i].pid == pid && v->told[i].usec + SLACK_USEC >= started_usec) {
            *seq = v->told[i].seq;
            return true;
        }
    }
    return false;
}

static void remember(og_verdict_t *v, pid_t pid, uint64_t seq, uint64_t usec)
{
    unsigned at = v->told_next++ % OG_VERDICT_REMEMBERED;

    v->told[at].pid = (int32_t)pid;
    v->told[at].usec = usec;
    v->told[at].seq = seq;
}

void og_verdict_told(og_verdict_t *v, pid_t pid, og_where_t where, uint64_t seq,
                     uint64_t usec)
{
    remember(v, pid, seq, usec);
    if (!v->have_counter)
        return;
    /* What is counted only later would be explained by nothing then: count it now. */
    if (where == OG_WHERE_INSIDE && v->excess > 0)
        v->excess--;
    else if (where == OG_WHERE_INSIDE && v->have_count)
        v->count++;
    else if (where == OG_WHERE_UNKNOWN)
        v->strays++;
}

static void bury(og_verdict_t *v, unsigned i)
{
    v->waiting--;
    memmove(&v->deaths[i], &v->deaths[i + 1], (v->waiting - i) * sizeof *v->deaths);
}

bool og_verdict_death(og_verdict_t *v, const og_death_t *d)
{
    if (d->how == OG_END_LEFT)
        return true;
    if (v->waiting == OG_VERDICT_WAITING)
        return false;
    v->deaths[v->waiting++] = *d;
    if (d->ended_usec > v->buried_usec)
        v->buried_usec = d->ended_usec;
    return true;
}

void og_verdict_gap(og_verdict_t *v, uint64_t records, uint64_t usec)
{
    v->lost = records == OG_VERDICT_UNKNOWN || v->lost == OG_VERDICT_UNKNOWN
                  ? OG_VERDICT_UNKNOWN
                  : v->lost + records;
    v->lost_usec = usec;
}

void og_verdict_count(og_verdict_t *v, uint64_t count, uint64_t usec)
{
    if (!v->have_counter)
        return;
    if (v->have_count && count > v->count) {
        v->excess_usec = usec;
        v->excess += count - v->count;
    }
    /* More may have been logged than is counted here: what counts another set than the
     * log was thought to name, or another counter. */
    v->have_count = true;
    v->count = count;
}

static bool passed(uint64_t since, uint64_t now, uint64_t limit)
{
    return now > since && now - since >= limit;
}

/* Kills whose cgroup the log did not say explain what was counted. Those that do not were
 * elsewhere. */
static void take_strays(og_verdict_t *v)
{
    uint64_t n = v->strays < v->excess ? v->strays : v->excess;

    v->excess -= n;
    v->strays = 0;
}

static uint32_t vanished(const og_verdict_t *v)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < v->waiting; i++)
        n += v->deaths[i].how == OG_END_VANISHED || v->deaths[i].how == OG_END_DISMISSED;
    return n;
}

/* From when on nobody will be buried who explains what was counted. */
static uint64_t burial_due(const og_verdict_t *v, uint64_t since)
{
    if (v->excess > 0 && v->excess_usec > since)
        since = v->excess_usec;
    if (v->excess > 0 && v->buried_usec > since)
        since = v->buried_usec;
    return since + OG_VERDICT_BURIAL_USEC;
}

/* Kills that were told without a name, and whose victim may still be buried. */
static uint64_t owed(const og_verdict_t *v, uint64_t now)
{
    return passed(v->owed_usec, now, OG_VERDICT_OWED_USEC) ? 0 : v->owed;
}

/* What was counted is told, and nobody knows whose it was. */
static uint64_t tell_excess(og_verdict_t *v, uint64_t now)
{
    uint64_t kills = v->excess;

    v->owed = owed(v, now) + kills;
    v->owed_usec = now;
    v->excess = 0;
    return kills;
}

/* Is there a reason for this death by now? Where the log alone knows of kills, it is
 * given a moment to name this one; what counts them has done so before anybody died of
 * it. Where others wait for its place, there has to be one. */
static bool judge(const og_verdict_t *v, const og_death_t *d, uint64_t now,
                  og_finding_kind_t *kind)
{
    bool may_wait = v->waiting < OG_VERDICT_WAITING;

    if (d->how == OG_END_SHOT)
        *kind = OG_FINDING_SHOT;
    else if (d->how == OG_END_CRASHED)
        *kind = OG_FINDING_CRASHED;
    else if (v->excess > 0) {
        if (may_wait && v->have_log &&
            !passed(v->excess_usec, now, OG_VERDICT_SETTLE_USEC))
            return false;
        *kind = OG_FINDING_COUNTED;
    }
    else if (may_wait && v->have_log && !v->have_count &&
             !passed(d->ended_usec, now, OG_VERDICT_SETTLE_USEC))
        return false;
    else if (owed(v, now) > 0)
        *kind = OG_FINDING_VANISHED;
    else
        *kind = v->have_count || (v->have_log && v->lost == 0) ? OG_FINDING_KILLED
                                                               : OG_FINDING_VANISHED;
    return true;
}

bool og_verdict_next(og_verdict_t *v, uint64_t usec, og_finding_t *out)
{
    uint64_t seq;

    memset(out, 0, sizeof *out);
    take_strays(v);
    out->gap = v->lost > 0;
    for (unsigned i = 0; i < v->waiting; i++) {
        const og_death_t *d = &v->deaths[i];

        if (og_verdict_was_told(v, d->pid, d->started_usec, &seq) ||
            (d->how == OG_END_DISMISSED && v->excess == 0)) {
            bury(v, i--);
            continue;
        }
        if (!judge(v, d, usec, &out->kind))
            continue;
        out->death = *d;
        if (out->kind == OG_FINDING_COUNTED) {
            out->vanished = vanished(v);
            v->excess--;
            if (v->lost > 0)
                v->lost_kills++;
            remember(v, d->pid, 0, usec); /* should the log name it yet */
        }
        if (out->kind == OG_FINDING_VANISHED && (out->owed = owed(v, usec)) > 0)
            v->owed--;
        bury(v, i);
        return true;
    }
    if (v->lost > 0 && usec >= burial_due(v, v->lost_usec)) {
        out->kind = OG_FINDING_GAP;
        out->records = v->lost;
        out->kills = v->have_count ? v->lost_kills + tell_excess(v, usec) : OG_VERDICT_UNKNOWN;
        out->number = v->nameless++;
        v->lost = v->lost_kills = 0;
        return true;
    }
    if (v->excess > 0 && v->lost == 0 && usec >= burial_due(v, 0)) {
        out->kind = OG_FINDING_UNATTRIBUTED;
        out->kills = tell_excess(v, usec);
        out->number = v->nameless++;
        return true;
    }
    return false;
}

uint64_t og_verdict_due(const og_verdict_t *v)
{
    uint64_t due = OG_VERDICT_UNKNOWN;

    if (v->lost > 0)
        due = burial_due(v, v->lost_usec);
    else if (v->excess > 0)
        due = burial_due(v, 0);
    for (unsigned i = 0; v->have_log && i < v->waiting; i++) {
        uint64_t since = v->excess > 0 ? v->excess_usec : v->deaths[i].ended_usec;

        if (since + OG_VERDICT_SETTLE_USEC < due)
            due = since + OG_VERDICT_SETTLE_USEC;
    }
    return due;
}
