/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A log of any form. However it is cut into pieces, the same kills come out; and the process
 * with the most memory stands first in a list of tasks. */
#include "oomguard/klog.h"
#include "oomguard/tell.h"
#include "fuzz.h"

#include <string.h>

/* 2026-11-26 */
#define NOW_SEC 1795651200

typedef struct {
    uint64_t kills, sum;
} seen_t;

static void add(seen_t *seen, const void *data, size_t len)
{
    const unsigned char *p = data;

    while (len-- > 0)
        seen->sum = (seen->sum ^ *p++) * 0x100000001b3;
}

static void check_table(const og_table_t *t)
{
    MUST(t->top_len <= OG_TABLE_TOP && (uint64_t)t->top_len <= t->tasks);
    for (int i = 0; i < t->top_len; i++) {
        MUST(t->top[i].pid > 0 && t->top[i].rss_pages >= 0);
        MUST(i == 0 || t->top[i].rss_pages <= t->top[i - 1].rss_pages);
        MUST(memchr(t->top[i].comm, '\0', sizeof t->top[i].comm) != NULL);
    }
}

static void take_kill(void *baton, const og_klog_kill_t *k)
{
    char text[OG_LOGTIME_TEXT_MAX];
    seen_t *seen = baton;

    MUST(k->kill.pid > 0);
    MUST(k->boot_usec >= 0 || k->boot_usec == OG_LOGTIME_NONE);
    if (k->wall_usec != OG_LOGTIME_NONE)
        og_logtime_write(k->wall_usec, text);
    if (k->table != NULL)
        check_table(k->table);
    seen->kills++;
    add(seen, &k->wall_usec, sizeof k->wall_usec);
    add(seen, &k->boot_usec, sizeof k->boot_usec);
    add(seen, &k->kill.pid, sizeof k->kill.pid);
    add(seen, k->kill.comm, strlen(k->kill.comm));
    add(seen, k->kill.task_memcg, strlen(k->kill.task_memcg));
    add(seen, k->kill.invoked_by, strlen(k->kill.invoked_by));
}

/* In pieces: each has what was not taken, and so many bytes more. */
static seen_t feed(const char *data, size_t size, size_t piece)
{
    static og_klog_t log;
    seen_t seen = { 0, 0 };
    size_t at = 0, len = 0;

    og_klog_init(&log, NOW_SEC, take_kill, &seen);
    while (at + len < size) {
        size_t more = size - at - len < piece ? size - at - len : piece, taken;
        char *copy = malloc(len + more); /* so that no byte beside it may be read */

        MUST(copy != NULL);
        memcpy(copy, data + at, len + more);
        taken = og_klog_take(&log, copy, len + more, false);
        free(copy);
        MUST(taken <= len + more && len + more - taken <= OG_KLOG_LINE_MAX);
        at += taken;
        len = len + more - taken;
    }
    MUST(og_klog_take(&log, data + at, len, true) == len);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = { 1000, 64 };
    seen_t whole;

    if (size == 0)
        return 0;
    whole = feed((const char *)data, size, size);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        seen_t seen = feed((const char *)data, size, pieces[i]);

        MUST(seen.kills == whole.kills && seen.sum == whole.sum);
    }
    return 0;
}
