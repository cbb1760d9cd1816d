/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/verdict.h"
#include "unit.h"

#include <string.h>

#define SEC 1000000ULL
#define T (100 * SEC) /* when it happens */

static struct {
    og_verdict_t verdict;
    unsigned char behind[1024];
} memory;
#define v memory.verdict
static og_finding_t f;

static void all_witnesses(void)
{
    memset(&v, 0, sizeof v);
    og_verdict_witnesses(&v, true, true);
    og_verdict_baseline(&v, 7);
}

static void die_at(pid_t pid, og_end_t how, uint64_t usec)
{
    og_death_t d = { .pid = pid, .how = how, .started_usec = T - 50 * SEC, .ended_usec = usec };

    ck_assert(og_verdict_death(&v, &d));
}

static void die(pid_t pid, og_end_t how)
{
    die_at(pid, how, T);
}

static void told(pid_t pid, og_where_t where)
{
    og_verdict_told(&v, pid, where, 1000, T);
}

static void nothing(uint64_t usec)
{
    ck_assert(!og_verdict_next(&v, usec, &f));
}

static void finds(uint64_t usec, og_finding_kind_t kind)
{
    ck_assert(og_verdict_next(&v, usec, &f));
    ck_assert_int_eq(f.kind, kind);
}

/* A finding that would come much later, too, is none. */
static void no_more(void)
{
    nothing(T + 60 * SEC);
    ck_assert(og_verdict_due(&v) == OG_VERDICT_UNKNOWN);
    ck_assert_uint_eq(v.excess, 0);
}

/* In whatever order they are heard, they agree. */
START_TEST(a_kill_that_all_have_seen)
{
    static const char *const orders[] = { "dlc", "ldc", "lcd", "lxdc", "clxd", "clxxd" };

    all_witnesses();
    for (const char *step = orders[_i]; *step != '\0'; step++) {
        if (*step == 'd')
            die(5, OG_END_VANISHED);
        else if (*step == 'l')
            told(5, OG_WHERE_INSIDE);
        else if (*step == 'c')
            og_verdict_count(&v, 8, T);
        else
            nothing(T);
    }
    no_more();
}
END_TEST

START_TEST(who_leaves_is_no_matter)
{
    all_witnesses();
    die(5, OG_END_LEFT);
    no_more();
}
END_TEST

/* The log is given a moment; then the one that vanished was it. */
START_TEST(a_kill_that_the_log_does_not_have)
{
    all_witnesses();
    og_verdict_count(&v, 8, T);
    die(5, OG_END_VANISHED);
    nothing(T);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_SETTLE_USEC);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_COUNTED);
    ck_assert_int_eq(f.death.pid, 5);
    ck_assert_uint_eq(f.vanished, 1);
    no_more();
}
END_TEST

START_TEST(without_the_log_there_is_nothing_to_wait_for)
{
    all_witnesses();
    og_verdict_witnesses(&v, false, true);
    og_verdict_count(&v, 8, T);
    nothing(T);
    die(5, OG_END_VANISHED);
    die(6, OG_END_VANISHED);
    finds(T, OG_FINDING_COUNTED);
    ck_assert_uint_eq(f.vanished, 2);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 6);
    no_more();
}
END_TEST

START_TEST(a_count_that_nobody_explains)
{
    all_witnesses();
    og_verdict_count(&v, 10, T);
    nothing(T + SEC);
    told(5, OG_WHERE_INSIDE);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 2);
    no_more();
}
END_TEST

/* The master was slower than anybody waits. */
START_TEST(a_count_that_is_explained_too_late)
{
    all_witnesses();
    og_verdict_count(&v, 8, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    die(5, OG_END_VANISHED);
    die(6, OG_END_VANISHED);
    finds(T + 2 * OG_VERDICT_BURIAL_USEC, OG_FINDING_VANISHED);
    ck_assert_uint_eq(f.owed, 1);
    ck_assert_int_eq(f.death.pid, 5);
    finds(T + 2 * OG_VERDICT_BURIAL_USEC, OG_FINDING_KILLED);
    no_more();
    og_verdict_count(&v, 9, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    die(7, OG_END_VANISHED);
    finds(T + OG_VERDICT_BURIAL_USEC + OG_VERDICT_OWED_USEC, OG_FINDING_KILLED);
    no_more();
}
END_TEST

/* A record that lacks its header may be one that was counted, and explains it; of another
 * cgroup it explains nothing. */
START_TEST(kills_elsewhere)
{
    all_witnesses();
    told(5, OG_WHERE_OUTSIDE);
    told(6, OG_WHERE_UNKNOWN);
    og_verdict_count(&v, 8, T);
    no_more();
    told(7, OG_WHERE_UNKNOWN);
    no_more();
    told(8, OG_WHERE_OUTSIDE);
    og_verdict_count(&v, 9, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
}
END_TEST

/* What is logged as inside and not counted (version 1 counts only the cgroup itself) must not
 * explain another one later. */
START_TEST(a_log_that_says_more_than_the_counter)
{
    all_witnesses();
    told(5, OG_WHERE_INSIDE);
    og_verdict_count(&v, 7, T);
    no_more();
    og_verdict_count(&v, 8, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    no_more();
}
END_TEST

START_TEST(other_ends)
{
    og_death_t crash = { .pid = 6, .how = OG_END_CRASHED, .signal = 11 };

    all_witnesses();
    die(5, OG_END_SHOT);
    og_verdict_death(&v, &crash);
    die(7, OG_END_VANISHED);
    finds(T, OG_FINDING_SHOT);
    finds(T, OG_FINDING_CRASHED);
    ck_assert_int_eq(f.death.signal, 11);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 7);
    no_more();
}
END_TEST

START_TEST(httpd_sends_them_away)
{
    all_witnesses();
    die(5, OG_END_DISMISSED);
    no_more();
    og_verdict_count(&v, 8, T);
    die(6, OG_END_DISMISSED);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_COUNTED);
    ck_assert_int_eq(f.death.pid, 6);
    no_more();
}
END_TEST

/* Whoever can't know does not say that it was not the OOM killer. */
START_TEST(no_witness)
{
    all_witnesses();
    og_verdict_witnesses(&v, false, false);
    die(5, OG_END_VANISHED);
    finds(T, OG_FINDING_VANISHED);
    og_verdict_witnesses(&v, true, false);
    og_verdict_gap(&v, 3, T);
    die(7, OG_END_VANISHED);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_VANISHED);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, OG_VERDICT_UNKNOWN);
    ck_assert_uint_eq(f.records, 3);
    no_more();
}
END_TEST

/* The kernel logs a kill after it has sent the signal. */
START_TEST(the_log_alone_comes_after_the_death)
{
    all_witnesses();
    og_verdict_witnesses(&v, true, false);
    die(5, OG_END_VANISHED);
    die(6, OG_END_VANISHED);
    nothing(T);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_SETTLE_USEC);
    told(5, OG_WHERE_INSIDE);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 6);
    no_more();
}
END_TEST

/* Much later than it was counted: told already. */
START_TEST(the_log_comes_too_late)
{
    uint64_t seq;

    all_witnesses();
    og_verdict_count(&v, 8, T);
    die(5, OG_END_VANISHED);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_COUNTED);
    ck_assert(og_verdict_was_told(&v, 5, T - 50 * SEC, &seq));
    ck_assert_uint_eq(seq, 0);
    no_more();
}
END_TEST

/* Kill after kill, each victim buried four seconds later: as long as that goes on, nobody
 * says that he does not know whom. */
START_TEST(a_burst_and_a_slow_master)
{
    all_witnesses();
    og_verdict_witnesses(&v, false, true);
    for (pid_t n = 1; n <= 20; n++) {
        og_death_t d = { .pid = n - 4, .how = OG_END_VANISHED, .ended_usec = T + n * SEC };

        if (n <= 16)
            og_verdict_count(&v, 7 + n, T + n * SEC);
        if (n > 4) {
            og_verdict_death(&v, &d);
            finds(T + n * SEC, OG_FINDING_COUNTED);
            ck_assert_int_eq(f.death.pid, n - 4);
        }
        nothing(T + n * SEC);
    }
    no_more();
}
END_TEST

START_TEST(a_gap_says_how_many_kills_it_hid)
{
    all_witnesses();
    og_verdict_gap(&v, 100, T);
    og_verdict_gap(&v, 50, T);
    og_verdict_count(&v, 10, T);
    die(5, OG_END_VANISHED);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_COUNTED);
    ck_assert(f.gap);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.records, 150);
    ck_assert_uint_eq(f.kills, 3);
    no_more();
}
END_TEST

/* Nobody dies twice; but a pid may be had by another one. */
START_TEST(told_once)
{
    uint64_t seq;

    all_witnesses();
    ck_assert(!og_verdict_was_told(&v, 5, 0, &seq));
    told(5, OG_WHERE_INSIDE);
    ck_assert(og_verdict_was_told(&v, 5, T - 50 * SEC, &seq));
    ck_assert_uint_eq(seq, 1000);
    ck_assert(!og_verdict_was_told(&v, 5, T + 50 * SEC, &seq));
    for (pid_t pid = 100; pid < 100 + OG_VERDICT_REMEMBERED; pid++)
        told(pid, OG_WHERE_INSIDE);
    ck_assert(!og_verdict_was_told(&v, 5, T - 50 * SEC, &seq));
}
END_TEST

START_TEST(another_counter)
{
    all_witnesses();
    og_verdict_count(&v, 2, T);
    no_more();
    og_verdict_count(&v, 3, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 1);
    ck_assert_uint_eq(f.number, 0);
    og_verdict_count(&v, 4, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.number, 1);
}
END_TEST

/* The first reading of a counter says nothing of kills. */
START_TEST(no_baseline)
{
    memset(&v, 0, sizeof v);
    og_verdict_witnesses(&v, true, true);
    og_verdict_count(&v, 99, T);
    no_more();
}
END_TEST

/* The last of those that fit makes room, though the log could still name it. */
START_TEST(more_deaths_than_can_wait)
{
    og_death_t d = { .pid = 9999, .how = OG_END_VANISHED, .started_usec = T - SEC,
                     .ended_usec = T };

    all_witnesses();
    for (pid_t pid = 1; pid < OG_VERDICT_WAITING; pid++)
        die(pid, OG_END_VANISHED);
    og_verdict_count(&v, 7 + OG_VERDICT_WAITING, T);
    nothing(T);
    die(OG_VERDICT_WAITING, OG_END_VANISHED);
    ck_assert(!og_verdict_death(&v, &d));
    finds(T, OG_FINDING_COUNTED);
    ck_assert_int_eq(f.death.pid, 1);
    ck_assert(og_verdict_death(&v, &d));
}
END_TEST

/* Nobody can say how many, and it stays so. */
START_TEST(a_gap_of_nobody_knows_how_many)
{
    all_witnesses();
    og_verdict_gap(&v, 3, T);
    og_verdict_gap(&v, OG_VERDICT_UNKNOWN, T);
    og_verdict_gap(&v, 4, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.records, OG_VERDICT_UNKNOWN);
    no_more();
}
END_TEST

/* Its start is noted a moment after the fork, so a pid that was told as killed is another's only
 * if that began more than a second later. */
START_TEST(told_once_to_the_microsecond)
{
    uint64_t seq = 1;

    all_witnesses();
    told(5, OG_WHERE_INSIDE);
    ck_assert(og_verdict_was_told(&v, 5, T + SEC, &seq));
    ck_assert_uint_eq(seq, 1000);
    ck_assert(!og_verdict_was_told(&v, 5, T + SEC + 1, &seq));
    ck_assert(!og_verdict_was_told(&v, 6, T, &seq));
    ck_assert(!og_verdict_was_told(&v, 1, 0, &seq)); /* so many were told, by chance */
    /* And whoever was told is not found dead as well: nor are those before and behind it lost. */
    die(4, OG_END_VANISHED);
    die(5, OG_END_VANISHED);
    die(6, OG_END_VANISHED);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 4);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 6);
    no_more();
}
END_TEST

/* As many as are remembered, and no one more. */
START_TEST(tells_the_latest_from_those_before)
{
    uint64_t seq;

    all_witnesses();
    for (pid_t pid = 1; pid <= OG_VERDICT_REMEMBERED; pid++)
        told(pid, OG_WHERE_OUTSIDE);
    ck_assert(og_verdict_was_told(&v, 1, T, &seq));
    told(OG_VERDICT_REMEMBERED + 1, OG_WHERE_OUTSIDE);
    ck_assert(!og_verdict_was_told(&v, 1, T, &seq));
    ck_assert(og_verdict_was_told(&v, 2, T, &seq));
    ck_assert(og_verdict_was_told(&v, OG_VERDICT_REMEMBERED + 1, T, &seq));
}
END_TEST

/* What was counted is forgotten with the counter; and what was logged meanwhile explains nothing
 * that the next one counts. */
START_TEST(a_counter_that_goes_and_comes)
{
    all_witnesses();
    og_verdict_count(&v, 9, T);
    og_verdict_witnesses(&v, true, false);
    no_more();
    og_verdict_count(&v, 20, T); /* of nobody */
    told(5, OG_WHERE_UNKNOWN);
    told(6, OG_WHERE_INSIDE);
    og_verdict_witnesses(&v, true, true);
    og_verdict_count(&v, 30, T);
    no_more();
    og_verdict_count(&v, 31, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 1);
    no_more();
    /* It stays the same if it is named again. */
    og_verdict_count(&v, 33, T);
    og_verdict_witnesses(&v, true, true);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 2);
    no_more();
}
END_TEST

/* The log is waited for so long and not a microsecond less. */
START_TEST(waits_for_the_log_so_long)
{
    all_witnesses();
    og_verdict_count(&v, 8, T - SEC / 10);
    die(5, OG_END_VANISHED);
    ck_assert_uint_eq(og_verdict_due(&v), T - SEC / 10 + OG_VERDICT_SETTLE_USEC);
    nothing(T - SEC / 10 + OG_VERDICT_SETTLE_USEC - 1);
    nothing(T - SEC); /* a clock that is behind */
    finds(T - SEC / 10 + OG_VERDICT_SETTLE_USEC, OG_FINDING_COUNTED);
    no_more();
    og_verdict_witnesses(&v, true, false);
    die(6, OG_END_VANISHED);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_SETTLE_USEC);
    nothing(T + OG_VERDICT_SETTLE_USEC - 1);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_KILLED);
    no_more();
}
END_TEST

/* The master is waited for since the last kill was counted, or the last death that may explain
 * one. */
START_TEST(waits_for_the_master_so_long)
{
    all_witnesses();
    og_verdict_witnesses(&v, false, true);
    die_at(5, OG_END_SHOT, T + 2 * SEC);
    die_at(6, OG_END_SHOT, T + SEC);
    finds(T, OG_FINDING_SHOT);
    finds(T, OG_FINDING_SHOT);
    ck_assert_uint_eq(og_verdict_due(&v), OG_VERDICT_UNKNOWN);
    og_verdict_count(&v, 8, T);
    ck_assert_uint_eq(og_verdict_due(&v), T + 2 * SEC + OG_VERDICT_BURIAL_USEC);
    nothing(T + 2 * SEC + OG_VERDICT_BURIAL_USEC - 1);
    finds(T + 2 * SEC + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 1);
    og_verdict_count(&v, 9, T + 3 * SEC);
    og_verdict_count(&v, 10, T + 4 * SEC);
    og_verdict_count(&v, 10, T + 5 * SEC); /* says nothing new */
    ck_assert_uint_eq(og_verdict_due(&v), T + 4 * SEC + OG_VERDICT_BURIAL_USEC);
    nothing(T + 4 * SEC + OG_VERDICT_BURIAL_USEC - 1);
    finds(T + 4 * SEC + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 2);
    no_more();
}
END_TEST

/* Where records were lost: since then, or since the last kill was counted. */
START_TEST(waits_after_a_gap_so_long)
{
    all_witnesses();
    og_verdict_gap(&v, 1, T - SEC);
    og_verdict_gap(&v, 1, T);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_BURIAL_USEC);
    nothing(T + OG_VERDICT_BURIAL_USEC - 1);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, 0);
    ck_assert_uint_eq(f.records, 2);
    ck_assert_uint_eq(f.number, 0);
    no_more();
    og_verdict_gap(&v, 1, T);
    og_verdict_count(&v, 8, T + SEC);
    die_at(5, OG_END_VANISHED, T + 2 * SEC);
    ck_assert_uint_eq(og_verdict_due(&v), T + SEC + OG_VERDICT_SETTLE_USEC);
    finds(T + 2 * SEC, OG_FINDING_COUNTED);
    ck_assert(f.gap);
    og_verdict_count(&v, 10, T + 3 * SEC);
    ck_assert_uint_eq(og_verdict_due(&v), T + 3 * SEC + OG_VERDICT_BURIAL_USEC);
    nothing(T + 3 * SEC + OG_VERDICT_BURIAL_USEC - 1);
    finds(T + 3 * SEC + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, 3);
    ck_assert_uint_eq(f.number, 1);
    no_more();
    /* The next one hides its own kills only, and one that is found without is not in any. */
    og_verdict_count(&v, 11, T);
    die(6, OG_END_VANISHED);
    finds(T + SEC, OG_FINDING_COUNTED);
    ck_assert(!f.gap);
    og_verdict_gap(&v, 1, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, 0);
    no_more();
}
END_TEST

/* What is due first is not what is first in the list. */
START_TEST(waits_for_the_earliest_death)
{
    all_witnesses();
    og_verdict_witnesses(&v, true, false);
    die_at(5, OG_END_VANISHED, T + SEC);
    die_at(6, OG_END_VANISHED, T);
    die_at(7, OG_END_VANISHED, T + OG_VERDICT_SETTLE_USEC / 2);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_SETTLE_USEC);
    finds(T + OG_VERDICT_SETTLE_USEC, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 6);
    nothing(T + OG_VERDICT_SETTLE_USEC);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_SETTLE_USEC / 2 * 3);
    og_verdict_gap(&v, 1, T - OG_VERDICT_BURIAL_USEC);
    ck_assert_uint_eq(og_verdict_due(&v), T);
    finds(T, OG_FINDING_GAP);
}
END_TEST

/* Which of these was it? Only those that could have been are counted. */
START_TEST(how_many_could_have_been_meant)
{
    all_witnesses();
    og_verdict_witnesses(&v, false, true);
    og_verdict_count(&v, 8, T);
    die(5, OG_END_DISMISSED);
    die(6, OG_END_VANISHED);
    die(7, OG_END_SHOT);
    die(8, OG_END_CRASHED);
    finds(T, OG_FINDING_COUNTED);
    ck_assert_int_eq(f.death.pid, 5);
    ck_assert_uint_eq(f.vanished, 2);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 6);
    ck_assert_uint_eq(f.vanished, 0);
    finds(T, OG_FINDING_SHOT);
    finds(T, OG_FINDING_CRASHED);
    no_more();
}
END_TEST

/* Who has to wait stays where it is while those behind it are told. */
START_TEST(keeps_the_order_of_those_that_wait)
{
    all_witnesses();
    og_verdict_witnesses(&v, true, false);
    for (pid_t pid = 1; pid <= 6; pid++)
        die(pid, pid % 2 == 0 ? OG_END_SHOT : OG_END_VANISHED);
    for (pid_t pid = 2; pid <= 6; pid += 2) {
        finds(T, OG_FINDING_SHOT);
        ck_assert_int_eq(f.death.pid, pid);
    }
    nothing(T);
    for (pid_t pid = 1; pid <= 5; pid += 2) {
        finds(T + SEC, OG_FINDING_KILLED);
        ck_assert_int_eq(f.death.pid, pid);
        ck_assert_uint_eq(f.death.started_usec, T - 50 * SEC);
    }
    no_more();
}
END_TEST

/* Those that were told without a name add up, for a while, and each is given to one death. */
START_TEST(kills_that_are_owed)
{
    const uint64_t last = T + 2 * OG_VERDICT_BURIAL_USEC;

    all_witnesses();
    og_verdict_count(&v, 8, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    og_verdict_count(&v, 9, T + OG_VERDICT_BURIAL_USEC);
    finds(last, OG_FINDING_UNATTRIBUTED);
    die(5, OG_END_VANISHED);
    finds(last + OG_VERDICT_OWED_USEC - 1, OG_FINDING_VANISHED);
    ck_assert_uint_eq(f.owed, 2);
    die(6, OG_END_VANISHED);
    finds(last, OG_FINDING_VANISHED);
    ck_assert_uint_eq(f.owed, 1);
    die(7, OG_END_VANISHED);
    finds(last, OG_FINDING_KILLED);
    ck_assert_uint_eq(f.owed, 0);
    no_more();
    og_verdict_witnesses(&v, false, false); /* none is owed any more */
    for (pid_t pid = 10; pid < 12; pid++) {
        die(pid, OG_END_VANISHED);
        finds(last, OG_FINDING_VANISHED);
        ck_assert_uint_eq(f.owed, 0);
    }
    og_verdict_witnesses(&v, true, true);
    og_verdict_baseline(&v, 9);
    og_verdict_count(&v, 10, T);
    finds(last, OG_FINDING_UNATTRIBUTED);
    og_verdict_count(&v, 13, T);
    finds(last + OG_VERDICT_OWED_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.number, 3);
    die(8, OG_END_VANISHED);
    finds(last + OG_VERDICT_OWED_USEC, OG_FINDING_VANISHED);
    ck_assert_uint_eq(f.owed, 3); /* the one before is too long ago */
    die(9, OG_END_VANISHED);
    finds(last + 2 * OG_VERDICT_OWED_USEC, OG_FINDING_KILLED);
    no_more();
}
END_TEST

/* Where the log alone speaks, too, the last one that fits is not waited for. */
START_TEST(more_deaths_than_can_wait_for_the_log)
{
    all_witnesses();
    og_verdict_witnesses(&v, true, false);
    for (pid_t pid = 1; pid <= OG_VERDICT_WAITING; pid++)
        die_at(pid, OG_END_VANISHED, T);
    finds(T, OG_FINDING_KILLED);
    ck_assert_int_eq(f.death.pid, 1);
    nothing(T);
}
END_TEST

/* What is behind the last of them stays as it is. */
START_TEST(the_last_of_those_that_wait)
{
    for (size_t i = 0; i < sizeof memory.behind; i++)
        memory.behind[i] = (unsigned char)(i % 251);
    all_witnesses();
    for (pid_t pid = 1; pid < OG_VERDICT_WAITING; pid++)
        die(pid, OG_END_VANISHED);
    die(OG_VERDICT_WAITING, OG_END_SHOT);
    for (pid_t pid = 1; pid <= OG_VERDICT_WAITING; pid++) {
        finds(T, pid < OG_VERDICT_WAITING ? OG_FINDING_KILLED : OG_FINDING_SHOT);
        ck_assert_int_eq(f.death.pid, pid);
    }
    all_witnesses();
    og_verdict_witnesses(&v, true, false);
    for (pid_t pid = 1; pid < OG_VERDICT_WAITING; pid++)
        die(pid, OG_END_VANISHED);
    die(OG_VERDICT_WAITING, OG_END_SHOT);
    finds(T, OG_FINDING_KILLED);
    finds(T, OG_FINDING_SHOT);
    for (size_t i = 0; i < sizeof memory.behind; i++)
        ck_assert_uint_eq(memory.behind[i], i % 251);
}
END_TEST

/* A count that is explained, or was before, puts nothing off. */
START_TEST(a_gap_after_a_count)
{
    all_witnesses();
    og_verdict_count(&v, 8, T + SEC);
    told(5, OG_WHERE_INSIDE);
    die_at(6, OG_END_SHOT, T + 2 * SEC);
    finds(T, OG_FINDING_SHOT);
    og_verdict_gap(&v, 1, T);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_BURIAL_USEC);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, 0);
    all_witnesses();
    og_verdict_witnesses(&v, false, true);
    die_at(6, OG_END_SHOT, T - 2 * SEC);
    finds(T, OG_FINDING_SHOT);
    og_verdict_count(&v, 8, T - SEC);
    og_verdict_gap(&v, 1, T);
    ck_assert_uint_eq(og_verdict_due(&v), T + OG_VERDICT_BURIAL_USEC);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_GAP);
    ck_assert_uint_eq(f.kills, 1);
}
END_TEST

/* More was logged, without a cgroup, than was counted: the rest explains nothing later. */
START_TEST(strays_that_were_elsewhere)
{
    all_witnesses();
    told(5, OG_WHERE_UNKNOWN);
    told(6, OG_WHERE_UNKNOWN);
    told(7, OG_WHERE_UNKNOWN);
    og_verdict_count(&v, 9, T);
    no_more();
    og_verdict_count(&v, 10, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 1);
    /* And where more was counted, the rest stays unexplained. */
    told(8, OG_WHERE_UNKNOWN);
    og_verdict_count(&v, 13, T);
    finds(T + OG_VERDICT_BURIAL_USEC, OG_FINDING_UNATTRIBUTED);
    ck_assert_uint_eq(f.kills, 2);
    no_more();
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("verdict");

    tcase_add_loop_test(tc, a_kill_that_all_have_seen, 0, 6);
    tcase_add_test(tc, who_leaves_is_no_matter);
    tcase_add_test(tc, a_kill_that_the_log_does_not_have);
    tcase_add_test(tc, without_the_log_there_is_nothing_to_wait_for);
    tcase_add_test(tc, a_count_that_nobody_explains);
    tcase_add_test(tc, a_count_that_is_explained_too_late);
    tcase_add_test(tc, kills_elsewhere);
    tcase_add_test(tc, a_log_that_says_more_than_the_counter);
    tcase_add_test(tc, other_ends);
    tcase_add_test(tc, httpd_sends_them_away);
    tcase_add_test(tc, no_witness);
    tcase_add_test(tc, the_log_alone_comes_after_the_death);
    tcase_add_test(tc, the_log_comes_too_late);
    tcase_add_test(tc, a_burst_and_a_slow_master);
    tcase_add_test(tc, a_gap_says_how_many_kills_it_hid);
    tcase_add_test(tc, told_once);
    tcase_add_test(tc, another_counter);
    tcase_add_test(tc, no_baseline);
    tcase_add_test(tc, more_deaths_than_can_wait);
    tcase_add_test(tc, a_gap_of_nobody_knows_how_many);
    tcase_add_test(tc, told_once_to_the_microsecond);
    tcase_add_test(tc, tells_the_latest_from_those_before);
    tcase_add_test(tc, a_counter_that_goes_and_comes);
    tcase_add_test(tc, waits_for_the_log_so_long);
    tcase_add_test(tc, waits_for_the_master_so_long);
    tcase_add_test(tc, waits_after_a_gap_so_long);
    tcase_add_test(tc, waits_for_the_earliest_death);
    tcase_add_test(tc, how_many_could_have_been_meant);
    tcase_add_test(tc, keeps_the_order_of_those_that_wait);
    tcase_add_test(tc, kills_that_are_owed);
    tcase_add_test(tc, more_deaths_than_can_wait_for_the_log);
    tcase_add_test(tc, the_last_of_those_that_wait);
    tcase_add_test(tc, a_gap_after_a_count);
    tcase_add_test(tc, strays_that_were_elsewhere);
    return unit_run("verdict", &tc, 1);
}
