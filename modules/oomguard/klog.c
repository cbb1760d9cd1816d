/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/klog.h"
#include "oomguard/logscan.h"

#include <string.h>

void og_klog_init(og_klog_t *g, int64_t now_sec, og_klog_tell_t *tell, void *baton)
{
    memset(g, 0, sizeof *g);
    g->tell = tell;
    g->baton = baton;
    g->window = OG_KLOG_WINDOW_LINES;
    og_kmsg_init(&g->kmsg);
    og_table_init(&g->table);
    og_logline_init(&g->line, now_sec);
}

/* --- Entries ------------------------------------------------------------------------ */

/* Another log, or another boot: what was told before is of no kill to come. */
static void begin(og_klog_t *g, og_clock_t clock)
{
    og_kmsg_init(&g->kmsg);
    og_table_init(&g->table);
    g->clock = clock;
    g->seq = g->usec = 0;
}

/* Gives the entry its place in the log. Clocks of CPUs differ a little, and syslog may
 * write lines of a second in any order. */
static void place(og_klog_t *g, og_entry_t *e)
{
    bool raw = e->clock == OG_CLOCK_RAW;

    if (e->clock == OG_CLOCK_NONE)
        e->rec.usec = g->usec;
    else if (e->clock != g->clock || (raw && e->rec.seq <= g->seq) ||
             (g->usec > OG_LOGTIME_SEC && e->rec.usec < g->usec - OG_LOGTIME_SEC))
        begin(g, e->clock);
    if (!raw)
        e->rec.seq = g->seq + 1;
    g->seq = e->rec.seq;
    g->usec = e->rec.usec;
}

/* The line or entry at hand is read, and so many behind it. */
static void read_on(og_klog_t *g)
{
    g->window = 1 + OG_KLOG_WINDOW_LINES;
}

/* Is it worth a closer look? */
static bool is_wanted(og_klog_t *g, const char *text, size_t len)
{
    if (og_logscan_find(text, text + len) != NULL)
        read_on(g);
    return g->window > 0;
}

/* An entry of the kernel's. */
static void take_entry(og_klog_t *g)
{
    og_entry_t *e = &g->entry;
    const og_kmsg_record_t *rec = &e->rec;
    og_klog_kill_t k;

    place(g, e);
    if (og_table_feed(&g->table, rec))
        read_on(g);
    if (!og_kmsg_feed(&g->kmsg, rec, &k.kill))
        return;
    k.wall_usec = e->wall_usec;
    k.boot_usec = e->boot_usec;
    k.table = g->table.tasks > 0 && rec->usec <= g->table.usec + OG_KMSG_EPISODE_USEC
                  ? &g->table
                  : NULL;
    g->tell(g->baton, &k);
    og_table_init(&g->table); /* the further kills of a group have none */
}

static void take_journal(og_klog_t *g)
{
    if (!og_journal_is_kernel(&g->journal) ||
        !is_wanted(g, g->journal.text, g->journal.len))
        return;
    og_journal_entry(&g->journal, &g->entry);
    take_entry(g);
}

/* --- Lines -------------------------------------------------------------------------- */

static void take_line(og_klog_t *g, const char *p, size_t len)
{
    for (; len > 0 && *p == '\0'; p++)
        len--; /* what a crash leaves in a syslog */
    if (og_journal_json(&g->journal, p, len)) {
        g->line.marked = true;
        take_journal(g);
    }
    else if (og_logline_parse(&g->line, p, len, &g->entry) && g->entry.rec.facility == 0 &&
             is_wanted(g, g->entry.rec.text, g->entry.rec.len))
        take_entry(g);
}

/* What is left of a line whose end is not there yet. */
static const char *wait_for_end(og_klog_t *g, const char *p, const char *end, bool last)
{
    if (last)
        return end;
    if ((size_t)(end - p) <= OG_KLOG_LINE_MAX)
        return p;
    g->passing = true;
    return end;
}

/* Passes over lines that tell of no kill. Returns the first that may. */
static const char *scan(og_klog_t *g, const char *p, const char *end, bool last)
{
    const char *hit = og_logscan_find(p, end);
    const char *newline = memrchr(p, '\n', (size_t)((hit != NULL ? hit : end) - p));

    if (newline != NULL)
        p = newline + 1;
    if (hit == NULL)
        return wait_for_end(g, p, end, last);
    read_on(g);
    return p;
}

static const char *take_lines(og_klog_t *g, const char *p, const char *end, bool last)
{
    const char *newline;

    if (g->window == 0) {
        p = scan(g, p, end, last);
        if (g->window == 0)
            return p;
    }
    newline = memchr(p, '\n', (size_t)(end - p));
    if (newline == NULL && !last)
        return wait_for_end(g, p, end, last);
    if (og_journal_is_export(p, (size_t)(end - p))) {
        g->exported = g->line.marked = true;
        og_journal_init(&g->journal);
        return p;
    }
    if (newline == NULL)
        newline = end;
    if ((size_t)(newline - p) <= OG_KLOG_LINE_MAX)
        take_line(g, p, (size_t)(newline - p));
    g->window--;
    return newline < end ? newline + 1 : end;
}

/* --- Exported entries --------------------------------------------------------------- */

static const char *take_field(og_klog_t *g, const char *p, const char *end, bool last)
{
    size_t used;

    switch (og_journal_export(&g->journal, p, (size_t)(end - p), &used, &g->skip)) {
    case OG_EXPORT_ENTRY:
        take_journal(g);
        og_journal_init(&g->journal);
        if (g->window > 0)
            g->window--;
        break;
    case OG_EXPORT_MORE:
        return wait_for_end(g, p, end, last);
    case OG_EXPORT_END:
        g->exported = false;
        g->window = OG_KLOG_WINDOW_LINES; /* another log, as at the start */
        break;
    case OG_EXPORT_FIELD:
    case OG_EXPORT_SKIP:
        break;
    }
    return p + used;
}

/* --- All of it ---------------------------------------------------------------------- */

static const char *skip(og_klog_t *g, const char *p, const char *end)
{
    uint64_t n = (uint64_t)(end - p) < g->skip ? (uint64_t)(end - p) : g->skip;

    g->skip -= n;
    return p + n;
}

static const char *pass(og_klog_t *g, const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));

    g->passing = newline == NULL;
    return newline == NULL ? end : newline + 1;
}

size_t og_klog_take(og_klog_t *g, const char *p, size_t len, bool last)
{
    static const char newline[] = "\n";
    const char *start = p, *end = p + len;

    while (p < end) {
        bool exported = g->exported;
        const char *next = g->skip > 0   ? skip(g, p, end)
                           : g->passing  ? pass(g, p, end)
                           : g->exported ? take_field(g, p, end, last)
                                         : take_lines(g, p, end, last);

        if (next == p && g->exported == exported)
            break;
        p = next;
    }
    /* The last entry may have no empty line behind it. */
    if (last && g->exported && g->skip == 0)
        take_field(g, newline, newline + 1, true);
    return (size_t)(p - start);
}
