/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Three witnesses, one verdict. The kernel's log names the killed; the kernel's counter says
 * how many there were; the master says which of its workers are gone, and how. Each sees what
 * another one misses: the log may be out of reach or overwritten, a counter names nobody, and
 * the master can't tell the kernel from an admin with kill -9. Here they are held against
 * each other, until every count is explained or told as unexplained, and every death has
 * its reason.
 *
 * How to ask, each time something may have happened, in this order, because whoever is dead
 * was logged and counted before: the deaths, the log up to its end, the counter; then
 * og_verdict_next until it says no. Times are microseconds of one clock that goes forward.
 *
 * No pointers: it may lie in memory that outlives who uses it. */
#ifndef OG_VERDICT_H
#define OG_VERDICT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define OG_VERDICT_UNKNOWN UINT64_MAX

/* How long a kill that was counted, or whose victim is buried, may be missing from the log.
 * The kernel counts it, sends the signal and logs within microseconds, but for what a
 * hypervisor, or a machine that is too busy, puts between them. */
#define OG_VERDICT_SETTLE_USEC 500000

/* How long the worker may be missing from whom the master has buried, since the last kill was
 * counted or anybody was buried. It looks about once a second; but while one kill follows the
 * other, who is killed is long dying, and the master has to wait for memory itself. */
#define OG_VERDICT_BURIAL_USEC (3 * 1000000ULL)

/* How long a worker that is buried may be one of those that were told without a name, because the
 * master was even slower. */
#define OG_VERDICT_OWED_USEC (15 * 1000000ULL)

/* As many as can die in the ten seconds in which nobody may watch, at 50 a second: what is
 * read late is matched all at once. The ledger remembers no more of the dead. */
#define OG_VERDICT_REMEMBERED 512 /* the latest kills that were told */
#define OG_VERDICT_WAITING 512    /* deaths that wait for their reason */

/* How a worker ended, as far as the master knows. */
typedef enum {
    OG_END_VANISHED,  /* without running its cleanups, and without a word from httpd */
    OG_END_LEFT,      /* it ended because it wanted to */
    OG_END_DISMISSED, /* likewise without cleanups, but httpd stops, or starts anew: a young
                       * one ends at once by the signal that is meant to end it */
    OG_END_SHOT,      /* httpd itself sent SIGKILL: it did not stop in time */
    OG_END_CRASHED    /* a signal that httpd has logged */
} og_end_t;

typedef struct {
    int32_t pid;
    og_end_t how;
    int32_t signal; /* of OG_END_CRASHED, else 0 */
    uint64_t started_usec, ended_usec;
} og_death_t;

/* Was the victim in what the counter counts? */
typedef enum { OG_WHERE_OUTSIDE, OG_WHERE_INSIDE, OG_WHERE_UNKNOWN } og_where_t;

typedef enum {
    OG_FINDING_COUNTED,      /* a worker vanished, and a kill was counted that nobody logged */
    OG_FINDING_UNATTRIBUTED, /* kills were counted, and it is not known of whom */
    OG_FINDING_GAP,          /* records of the log were lost */
    OG_FINDING_KILLED,       /* a worker vanished, and it was not the OOM killer */
    OG_FINDING_SHOT,
    OG_FINDING_CRASHED,
    OG_FINDING_VANISHED      /* a worker vanished, and whether of the OOM killer can't be said */
} og_finding_kind_t;

typedef struct {
    og_finding_kind_t kind;
    og_death_t death;  /* of all but UNATTRIBUTED and GAP */
    uint64_t kills;    /* of UNATTRIBUTED and GAP; UNKNOWN where nothing counts */
    uint64_t records;  /* of GAP: how many were lost, or UNKNOWN */
    bool gap;          /* of the others: some records of that time were lost */
    uint64_t owed;     /* of VANISHED: kills told without a name, of which it may be one */
    uint64_t number;   /* of UNATTRIBUTED and GAP: how many there were before */
    uint32_t vanished; /* of COUNTED: how many could have been meant, this one included */
} og_finding_t;

typedef struct {
    bool have_log, have_counter;
    bool have_count; /* the counter was read before */
    uint64_t count;
    uint64_t excess; /* kills that were counted and are not explained yet */
    uint64_t excess_usec; /* when the latest of them was counted */
    uint64_t buried_usec; /* when the latest death was that may explain one */
    uint64_t strays; /* logged without a cgroup: each may be one that was counted */
    uint64_t lost, lost_kills, lost_usec; /* records, kills among them, since when */
    uint64_t owed, owed_usec; /* kills told without a name, and when the last of them was */
    uint64_t nameless; /* findings that name nobody, so far */
    struct {
        int32_t pid;
        uint64_t usec, seq;
    } told[OG_VERDICT_REMEMBERED];
    uint32_t told_next;
    uint32_t waiting;
    og_death_t deaths[OG_VERDICT_WAITING];
} og_verdict_t;

/* All zero is one that knows nothing. Which witnesses there are may change with whoever asks
 * (another configuration, another unit). */
void og_verdict_witnesses(og_verdict_t *v, bool log, bool counter);

/* The counter's value at an earlier time, from which on kills are to be explained. */
void og_verdict_baseline(og_verdict_t *v, uint64_t count);

/* A worker is dead. One that left, or whose kill was told, is no matter. False: there is no
 * room for it before all the others, og_verdict_next among them, were asked. */
bool og_verdict_death(og_verdict_t *v, const og_death_t *d);

/* Was this process, alive since started_usec, told before as killed? It dies but once: what
 * names it again is the kernel, which says some twice, or late. seq: of the record that was
 * it; 0 if it was the counter. */
bool og_verdict_was_told(const og_verdict_t *v, pid_t pid, uint64_t started_usec,
                         uint64_t *seq);

/* A kill of the log is told. pid is the process', whatever thread the log names. */
void og_verdict_told(og_verdict_t *v, pid_t pid, og_where_t where, uint64_t seq, uint64_t usec);

/* Records were lost, so many, or OG_VERDICT_UNKNOWN. */
void og_verdict_gap(og_verdict_t *v, uint64_t records, uint64_t usec);

/* The counter's value now. A smaller one than before is another counter's. */
void og_verdict_count(og_verdict_t *v, uint64_t count, uint64_t usec);

/* The next finding, if there is one. */
bool og_verdict_next(og_verdict_t *v, uint64_t usec, og_finding_t *out);

/* When to ask again though nothing happened; OG_VERDICT_UNKNOWN: no need to. */
uint64_t og_verdict_due(const og_verdict_t *v);

#endif
