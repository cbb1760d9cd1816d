/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A kernel log of any form, as it comes: bytes in, kills out. Nothing here reads a file, so
 * it is one struct of some 70 KiB and the buffer of whoever reads. */
#ifndef OG_KLOG_H
#define OG_KLOG_H

#include "oomguard/journal.h"
#include "oomguard/kmsg.h"
#include "oomguard/logline.h"
#include "oomguard/table.h"

/* A longer line is passed over. */
#define OG_KLOG_LINE_MAX ((size_t)64 * 1024)

/* So many lines are read behind one that may tell of a kill, before lines are passed over
 * again; and at the start of a log, which may begin in the midst of a kill. Statistics take
 * some hundred, and the list of tasks counts anew. */
#define OG_KLOG_WINDOW_LINES 4096

typedef struct {
    og_kmsg_kill_t kill;
    int64_t wall_usec, boot_usec; /* of its record; OG_LOGTIME_NONE if the log did not say */
    const og_table_t *table;      /* the tasks listed before it, or NULL */
} og_klog_kill_t;

typedef void og_klog_tell_t(void *baton, const og_klog_kill_t *kill);

typedef struct {
    og_klog_tell_t *tell;
    void *baton;
    og_kmsg_t kmsg;
    og_table_t table;
    og_logline_t line;
    og_journal_t journal;
    og_entry_t entry; /* the latest one */
    unsigned window;  /* lines yet to be read, with the one at hand */
    bool passing;     /* in a line too long */
    bool exported;    /* in entries of journalctl -o export */
    uint64_t skip;    /* bytes of a binary field yet to be passed over */
    og_clock_t clock; /* what seq and usec mean */
    uint64_t seq, usec; /* of the latest record */
} og_klog_t;

/* Begins a log. now_sec is the time, which tells the year that syslog leaves out. tell is
 * called for each kill, in order; what it gets is gone when it returns. */
void og_klog_init(og_klog_t *g, int64_t now_sec, og_klog_tell_t *tell, void *baton);

/* Takes what it can of the len bytes at p, and returns how many that were: at least all but
 * OG_KLOG_LINE_MAX, and all if last says that no more will come. The rest is to be given
 * again, with what follows it. */
size_t og_klog_take(og_klog_t *g, const char *p, size_t len, bool last);

#endif
