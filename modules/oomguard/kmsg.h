/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The kernel's log: bytes to record, records to OOM kills.
 *
 * Sources: Documentation/ABI/testing/dev-kmsg (the record), mm/oom_kill.c and
 * mm/memcontrol.c of the kernels from 2.6.18 on (the lines). Nothing here allocates. */
#ifndef OG_KMSG_H
#define OG_KMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One read(2) of /dev/kmsg gives one record of at most this size (PRINTK_MESSAGE_MAX). */
#define OG_KMSG_RECORD_MAX 8192

/* A task's name: 15 bytes, each at most written as \xNN in the log. */
#define OG_KMSG_COMM_MAX (15 * 4 + 1)
#define OG_KMSG_CGROUP_MAX 1024
#define OG_KMSG_UNKNOWN INT64_MIN /* for every number below that the log did not tell */

/* text points into the buffer that was parsed, and is not NUL-terminated. */
typedef struct {
    unsigned facility; /* 0: the kernel itself; anything else came from userspace */
    unsigned level;    /* 0 (emerg) to 7 (debug) */
    uint64_t seq;
    uint64_t usec;    /* since boot, by the kernel's clock (close to CLOCK_MONOTONIC) */
    bool fragment;    /* flag 'c', or '+' of kernels before 4.10: a part of a line */
    const char *text; /* the message's first line, without newline */
    size_t len;
} og_kmsg_record_t;

typedef enum {
    OG_KILLER_UNKNOWN, /* a bare "Killed process" of an old kernel, its context lost */
    OG_KILLER_GLOBAL,  /* the machine is out of memory */
    OG_KILLER_MEMCG,   /* a memory cgroup is at its limit */
    OG_KILLER_CPUSET,
    OG_KILLER_MEMPOLICY
} og_killer_t;

/* One kill. Numbers are OG_KMSG_UNKNOWN, strings empty, where the log did not tell. Only
 * oom_score_adj can be below 0 else. No string has control bytes. */
typedef struct {
    uint64_t seq;  /* of the "Killed process" record */
    uint64_t usec; /* likewise */
    og_killer_t killer;
    og_killer_t constraint;      /* as "oom-kill:" says, from 5.0 on; else unknown */
    pid_t pid;                   /* in the initial PID namespace; may be a thread's id */
    char comm[OG_KMSG_COMM_MAX]; /* as logged: unprintable bytes are \xNN */
    int64_t uid;
    int64_t total_vm_kib, anon_rss_kib, file_rss_kib, shmem_rss_kib, pgtables_kib;
    int64_t oom_score_adj;
    /* memory.oom.group: the whole cgroup was killed. False for the first victim: the
     * kernel says so only after it. */
    bool group_kill;
    /* From the lines around it: rate-limited, so they may be missing. Paths are as in
     * /proc/PID/cgroup (the log's \xNN undone), but for control bytes: they stay so. */
    char invoked_by[OG_KMSG_COMM_MAX];   /* as logged */
    pid_t invoked_pid; /* the thread that asked for memory; 0: unknown */
    char oom_memcg[OG_KMSG_CGROUP_MAX];  /* whose limit */
    char task_memcg[OG_KMSG_CGROUP_MAX]; /* the victim's; of a group, the group's */
    int64_t usage_kib, limit_kib; /* of oom_memcg, then; an unset limit is unknown */
} og_kmsg_kill_t;

/* A kill's lines: header lines, the kill, and of a group kill the further ones. Headers
 * speak of the next kill only, and are forgotten at the next "invoked oom-killer", at a
 * gap, or after this time without another line of theirs. A slow serial console prints
 * the list of tasks between them. */
#define OG_KMSG_EPISODE_USEC (20 * 1000000ULL)

/* The further kills of a group follow each other in a loop of the kernel's; some
 * milliseconds were seen. Until then, too, a pid that is killed again is the first
 * victim, logged twice. */
#define OG_KMSG_GROUP_USEC (1 * 1000000ULL)

typedef enum {
    OG_KMSG_IDLE,
    OG_KMSG_OPEN,   /* a header line was seen, its kill not yet */
    OG_KMSG_KILLED, /* the kill was seen; "Tasks in" may follow */
    OG_KMSG_GROUP   /* "Tasks in" was seen; more kills may follow */
} og_kmsg_phase_t;

/* What is remembered between records. It has no pointers, and may lie in memory that
 * outlives the reader. */
typedef struct og_kmsg {
    og_kmsg_phase_t phase;
    uint64_t first_seq; /* of the first record needed to understand the next kill */
    uint64_t usec;      /* of the episode's latest record */
    og_kmsg_kill_t ctx; /* what the header lines told; else, the latest kill */
    char line[2 * OG_KMSG_CGROUP_MAX + 512]; /* "oom-kill:", read when the kill is here */
    size_t line_len;
    uint64_t line_seq;  /* of its last part */
    pid_t first_pid;    /* the first victim of the episode, 0 if unknown */
    pid_t last_pid;     /* the latest one */
    uint64_t kill_usec; /* when it was seen */
} og_kmsg_t;

void og_kmsg_init(og_kmsg_t *k);

/* Parses what one read(2) of /dev/kmsg returned. 0, or -EINVAL if it is no record. */
int og_kmsg_parse(const char *buf, size_t len, og_kmsg_record_t *rec);

/* Takes the next record, in order. True, and *kill filled, if it is the kernel's own
 * report of a kill; on false, *kill is not to be used. Records of other facilities,
 * echoes and look-alikes are passed over. */
bool og_kmsg_feed(og_kmsg_t *k, const og_kmsg_record_t *rec, og_kmsg_kill_t *kill);

/* Tells that records were lost before the next one: what headers told may belong to a
 * kill that will never be seen. */
void og_kmsg_gap(og_kmsg_t *k);

/* The sequence number from which a successor, that starts with og_kmsg_init, must read to
 * find all that this one has not reported yet, when next is the record it would read
 * itself: the first of an episode's records while its kill is awaited, else next. It is
 * greater than that of any kill reported, so that none is lost, and none reported twice
 * but in one case, with memory.oom.group. There it is the number of the "Tasks in" line
 * until the next victim was reported. Later victims are found by a successor, too, but
 * neither group_kill nor paths; and if the first victim's second line is still to come,
 * it is not known for what it is, and reported. Whoever can't have that keeps the
 * og_kmsg_t where the successor finds it, to go on with next. */
uint64_t og_kmsg_resume(const og_kmsg_t *k, uint64_t next);

#endif
