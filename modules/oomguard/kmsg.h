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
    uint64_t usec;   /* since boot, by the kernel's local clock (close to CLOCK_MONOTONIC) */
    bool fragment;   /* flag 'c': a part of a line */
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

/* One kill. Numbers are OG_KMSG_UNKNOWN, strings empty, where the log did not tell. */
typedef struct {
    uint64_t seq;  /* of the "Killed process" record */
    uint64_t usec; /* likewise */
    og_killer_t killer;
    pid_t pid;                    /* in the initial PID namespace; may be a thread's id */
    char comm[OG_KMSG_COMM_MAX];  /* as logged: unprintable bytes are \xNN */
    int64_t uid;
    int64_t total_vm_kib, anon_rss_kib, file_rss_kib, shmem_rss_kib, pgtables_kib;
    int64_t oom_score_adj;
    bool group_kill; /* memory.oom.group: the whole cgroup was killed */
    /* From the lines around it: rate-limited, so they may be missing. */
    char invoked_by[OG_KMSG_COMM_MAX];
    char oom_memcg[OG_KMSG_CGROUP_MAX];  /* whose limit */
    char task_memcg[OG_KMSG_CGROUP_MAX]; /* where the victim was */
    int64_t usage_kib, limit_kib;        /* of oom_memcg, at that moment */
} og_kmsg_kill_t;

/* What is remembered between records. All zero, but for first_seq, is a good start: use
 * og_kmsg_init. */
typedef struct og_kmsg {
    bool open;          /* an episode's header was seen, its kill not yet */
    uint64_t first_seq; /* of the episode's first record: resume there to lose nothing */
    uint64_t usec;      /* of the episode's latest record */
    og_kmsg_kill_t ctx; /* what the header lines told */
    char oom_kill_line[2 * OG_KMSG_CGROUP_MAX]; /* read again when the name is known */
    pid_t group_first;        /* the first victim of an oom.group kill, logged twice */
    uint64_t group_usec;
} og_kmsg_t;

void og_kmsg_init(og_kmsg_t *k);

/* Parses what one read(2) of /dev/kmsg returned. 0, or -EINVAL if it is no record. */
int og_kmsg_parse(const char *buf, size_t len, og_kmsg_record_t *rec);

/* Takes the next record, in order. True, and *kill filled, if it is the kernel's own report
 * of a kill. Records of other facilities, echoes and look-alikes are passed over. */
bool og_kmsg_feed(og_kmsg_t *k, const og_kmsg_record_t *rec, og_kmsg_kill_t *kill);

/* Tells that records were lost before the next one: what headers told may belong to a kill
 * that will never be seen. */
void og_kmsg_gap(og_kmsg_t *k);

/* The sequence number from which a successor must read to find all that this one has not
 * reported yet, when next is the record it would read itself. */
uint64_t og_kmsg_resume(const og_kmsg_t *k, uint64_t next);

#endif
