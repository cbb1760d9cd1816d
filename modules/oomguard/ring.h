/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The kernel's log by syslog(2), for where a unit hides /dev/kmsg and leaves CAP_SYSLOG
 * (PrivateDevices=, DevicePolicy=closed).
 *
 * It is the second choice. Nothing wakes whoever waits for it; there are no sequence numbers,
 * so it is seen that records were lost, and not how many; a line too long for one record is
 * cut in two that nobody can join; and a message of several lines is as many records. A
 * message's bytes are as they were written, so they are escaped here, as /dev/kmsg does it.
 *
 * Sources: syslog(2); kernel/printk/printk.c, print_prefix and syslog_print_all, that is
 * "<PRIORITY>[SECONDS.MICROSECONDS][CALLER] TEXT" for each line, the caller only with
 * CONFIG_PRINTK_CALLER. Where the kernel logs no times (printk.time=0), nothing can be told
 * apart, and this is of no use. */
#ifndef OG_RING_H
#define OG_RING_H

#include "oomguard/kmsg.h"

/* A record's place in the log, in place of its sequence number: what the time was, and how
 * many had that time before. It grows from record to record, is the same whenever the log is
 * read, and can't be taken for a sequence number, nor one for it. */
#define OG_RING_PLACE (1ULL << 61)

typedef struct {
    char *text;    /* of size bytes: as much of the log as is wanted */
    size_t size, len;
    const char *p; /* what is to be taken next */
    uint64_t place;
    char escaped[4 * OG_KMSG_RECORD_MAX];
} og_ring_t;

/* Can it be read here, with the rights the caller has? Asked by a process that may be killed
 * for it: so ends whoever calls what a seccomp filter does not know. 0 or -errno; -ENODATA if
 * the kernel logs no times. */
int og_ring_probe(void);

/* Has all the memory there that reading will ever take. 0 or -errno. */
int og_ring_open(og_ring_t *r);

/* Reads the log anew, at least from the place from on (OG_RING_PLACE: all that is there;
 * UINT64_MAX: its end), where it still goes back so far. 0; -ENODATA if it does not, and
 * records were lost before the first that og_ring_next will give; -errno of syslog(2), and
 * then there is nothing to be taken. */
int og_ring_read(og_ring_t *r, uint64_t from);

/* The next record of what was read, its place as seq; it holds until the next call. What is
 * no whole record with a time is passed over. */
bool og_ring_next(og_ring_t *r, og_kmsg_record_t *rec);

#endif
