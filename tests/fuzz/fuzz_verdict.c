/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A small world: workers end in every way, the kernel counts and logs, and the log may lose
 * records; each byte is what happens next. Whatever it is, in the end no kill is lost, none is
 * told twice, and none is invented. */
#include "oomguard/verdict.h"
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#define DEAD_MAX 400
#define LOG_MAX 60 /* records that wait to be read, and deaths likewise */

enum { KILLED_BY_KERNEL, KILLED_BY_HAND, LEFT, CRASHED, SHOT, DISMISSED };

typedef struct {
    int how;
    bool told;    /* its record was read */
    int findings; /* about its death */
} corpse_t;

static struct {
    og_verdict_t v;
    bool log, counter, lossless;
    uint64_t now, seq, count;
    uint64_t buried_seq; /* when nobody was left to be buried */
    corpse_t dead[DEAD_MAX];
    int born, buried, heard; /* pids are numbers from 1 on; buried by the master; heard of */
    struct {
        int pid; /* 0: of no worker */
        og_where_t where;
    } records[LOG_MAX];
    int waiting;
    uint64_t lost, read; /* records; of those inside */
    uint64_t counted, unattributed, gaps; /* kills in findings, each of them once */
} w;

static bool hear_of_deaths(void)
{
    static const og_end_t ends[] = { OG_END_VANISHED, OG_END_VANISHED, OG_END_LEFT,
                                     OG_END_CRASHED, OG_END_SHOT, OG_END_DISMISSED };

    for (; w.heard < w.buried; w.heard++) {
        og_death_t d = { .pid = w.heard + 1, .how = ends[w.dead[w.heard].how],
                         .started_usec = 1, .ended_usec = w.now };

        if (!og_verdict_death(&w.v, &d))
            return false;
    }
    return true;
}

static void read_log(void)
{
    if (w.lost > 0)
        og_verdict_gap(&w.v, w.lost, w.now);
    w.lost = 0;
    for (int i = 0; i < w.waiting; i++) {
        int pid = w.records[i].pid;
        uint64_t seq;

        w.seq++;
        w.read += w.records[i].where == OG_WHERE_INSIDE;
        if (pid != 0 && og_verdict_was_told(&w.v, pid, 1, &seq))
            MUST(!"told before");
        if (pid != 0)
            w.dead[pid - 1].told = true;
        og_verdict_told(&w.v, pid != 0 ? pid : 100000 + (int)w.seq, w.records[i].where, w.seq,
                        w.now);
    }
    w.waiting = 0;
}

static void judge(void)
{
    og_finding_t f;

    for (int i = 0; og_verdict_next(&w.v, w.now, &f); i++) {
        MUST(i < 1000);
        if (f.kind == OG_FINDING_UNATTRIBUTED) {
            MUST(f.kills > 0 && w.counter);
            w.unattributed += f.kills;
        }
        else if (f.kind == OG_FINDING_GAP) {
            MUST(f.records > 0 && !w.lossless);
            MUST((f.kills == OG_VERDICT_UNKNOWN) == !w.counter);
            w.gaps += w.counter ? f.kills : 0;
        }
        else {
            corpse_t *c = &w.dead[f.death.pid - 1];

            MUST(f.death.pid >= 1 && f.death.pid <= w.heard && c->how != LEFT && !c->told);
            MUST((c->how == CRASHED) == (f.kind == OG_FINDING_CRASHED));
            MUST((c->how == SHOT) == (f.kind == OG_FINDING_SHOT));
            MUST(f.kind != OG_FINDING_VANISHED || !w.counter || f.owed > 0);
            w.counted += f.kind == OG_FINDING_COUNTED && !f.gap; /* else the gap has it */
            MUST(c->how != DISMISSED || f.kind == OG_FINDING_COUNTED);
            if (w.lossless && w.log)
                MUST(c->how != KILLED_BY_KERNEL && f.kind != OG_FINDING_COUNTED);
            c->findings++;
        }
    }
}

static void look(void)
{
    bool all;

    do {
        all = hear_of_deaths();
        if (w.log)
            read_log();
        else
            w.waiting = 0;
        if (w.counter)
            og_verdict_count(&w.v, w.count, w.now);
        judge();
    } while (!all);
}

static void die(int how)
{
    if (w.born == DEAD_MAX)
        return;
    w.dead[w.born++].how = how;
    if (how == KILLED_BY_KERNEL) {
        w.count++;
        w.records[w.waiting].pid = w.born;
        w.records[w.waiting++].where = OG_WHERE_INSIDE;
    }
}

static void kill_another(og_where_t where)
{
    w.count += where == OG_WHERE_INSIDE;
    w.records[w.waiting].pid = 0;
    w.records[w.waiting++].where = where;
}

static void happen(uint8_t byte)
{
    switch (byte % 16) {
    case 0: die(KILLED_BY_KERNEL); break;
    case 1: die(KILLED_BY_HAND); break;
    case 2: die(LEFT); break;
    case 3: die(CRASHED); break;
    case 4: die(SHOT); break;
    case 5: kill_another(OG_WHERE_INSIDE); break;
    case 6: kill_another(OG_WHERE_OUTSIDE); break;
    case 7:
        if (w.lossless)
            break;
        w.lost += (uint64_t)w.waiting;
        w.waiting = 0;
        break;
    case 8: w.buried += w.buried < w.born; break;
    case 9: die(DISMISSED); break;
    case 10:
    case 11: w.buried = w.born; break;
    case 12:
    case 13: look(); break;
    default: w.now += (uint64_t)(byte / 16) * 300000;
    }
    /* No more kills are told than are remembered before a victim is buried. */
    if (w.seq - w.buried_seq > OG_VERDICT_REMEMBERED - 2 * LOG_MAX) {
        w.buried = w.born;
        look();
    }
    if (w.waiting == LOG_MAX)
        look();
    if (w.heard == w.born)
        w.buried_seq = w.seq;
}

/* Everybody is buried, and whatever waits for something has waited. */
static void end(void)
{
    w.buried = w.born;
    for (int i = 0; i < 3; i++) {
        look();
        w.now += 10000000;
    }
    MUST(!og_verdict_next(&w.v, w.now, &(og_finding_t){ 0 }));
    MUST(og_verdict_due(&w.v) == OG_VERDICT_UNKNOWN && w.v.excess == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t told = 0, kernel = 0;

    if (size == 0)
        return 0;
    memset(&w, 0, sizeof w);
    w.log = data[0] & 1;
    w.counter = data[0] & 2;
    w.lossless = data[0] & 4;
    w.now = 1000000000;
    og_verdict_witnesses(&w.v, w.log, w.counter);
    og_verdict_baseline(&w.v, 0);
    og_verdict_witnesses(&w.v, w.log, w.counter);
    for (size_t i = 1; i < size; i++)
        happen(data[i]);
    end();
    for (int i = 0; i < w.born; i++) {
        corpse_t *c = &w.dead[i];

        told += c->told;
        kernel += c->how == KILLED_BY_KERNEL;
        /* Every death has its reason, one and no more. */
        if (c->how == DISMISSED)
            MUST(c->findings <= 1);
        else
            MUST(c->findings == (c->how != LEFT && !c->told));
    }
    if (w.lossless && w.log) {
        MUST(told == kernel);
        MUST(w.counted == 0 && w.unattributed == 0);
    }
    /* What was counted and not read is told in one way or another. */
    if (w.counter)
        MUST(w.counted + w.unattributed + w.gaps == w.count - w.read);
    return 0;
}
