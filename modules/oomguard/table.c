/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/table.h"
#include "oomguard/span.h"

#include <string.h>

#define PAGE_KIB 4

void og_table_init(og_table_t *t)
{
    t->columns = t->top_len = 0;
    t->tasks = t->usec = 0;
}

static void spaces(og_span_t *s)
{
    while (og_span_eat(s, " "))
        ;
}

static bool is(og_span_t s, const char *word)
{
    return og_span_eat(&s, word) && s.p == s.end;
}

static og_column_t column(og_span_t name)
{
    static const struct {
        const char *name;
        og_column_t column;
    } columns[] = {
        { "uid", OG_COLUMN_UID },
        { "total_vm", OG_COLUMN_TOTAL_VM },
        { "rss", OG_COLUMN_RSS },
        { "oom_score_adj", OG_COLUMN_SCORE_ADJ },
        { "name", OG_COLUMN_NAME },
    };

    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
        if (is(name, columns[i].name))
            return columns[i].column;
    return OG_COLUMN_OTHER;
}

/* "  uid  tgid total_vm      rss ... name", behind "[  pid  ]". */
static bool begin(og_table_t *t, og_span_t s)
{
    og_table_init(t);
    for (spaces(&s); s.p < s.end && t->columns < OG_TABLE_COLUMNS_MAX; spaces(&s)) {
        const char *start = s.p;

        while (s.p < s.end && *s.p != ' ')
            s.p++;
        t->column[t->columns++] = column((og_span_t){ start, s.p });
    }
    if (t->columns == 0 || s.p < s.end || t->column[t->columns - 1] != OG_COLUMN_NAME)
        t->columns = 0;
    return t->columns > 0;
}

static bool parse_task(const og_table_t *t, og_span_t s, og_task_t *task)
{
    int64_t n;

    task->uid = task->total_vm_pages = task->rss_pages = OG_KMSG_UNKNOWN;
    task->oom_score_adj = OG_KMSG_UNKNOWN;
    for (int i = 0; i < t->columns - 1; i++) {
        spaces(&s);
        if (!og_span_value(&s, &n))
            return false;
        switch (t->column[i]) {
        case OG_COLUMN_UID:
            task->uid = n;
            break;
        case OG_COLUMN_TOTAL_VM:
            task->total_vm_pages = n;
            break;
        case OG_COLUMN_RSS:
            task->rss_pages = n;
            break;
        case OG_COLUMN_SCORE_ADJ:
            task->oom_score_adj = n;
            break;
        default:
            break;
        }
    }
    /* A name may begin with spaces of its own. */
    if (!og_span_eat(&s, " ") || !og_span_is_comm(s))
        return false;
    og_span_comm(task->comm, s);
    return true;
}

static void keep(og_table_t *t, const og_task_t *task)
{
    int at = t->top_len;

    while (at > 0 && t->top[at - 1].rss_pages < task->rss_pages)
        at--;
    if (at == OG_TABLE_TOP)
        return;
    if (t->top_len < OG_TABLE_TOP)
        t->top_len++;
    memmove(t->top + at + 1, t->top + at,
            (size_t)(t->top_len - 1 - at) * sizeof *t->top);
    t->top[at] = *task;
}

bool og_table_feed(og_table_t *t, const og_kmsg_record_t *rec)
{
    og_span_t s = { rec->text, rec->text + rec->len };
    og_task_t task;

    if (!og_span_eat(&s, "["))
        return false;
    spaces(&s);
    if (og_span_eat(&s, "pid")) {
        spaces(&s);
        if (!og_span_eat(&s, "]") || !begin(t, s))
            return false;
    }
    else {
        if (t->columns == 0 || !og_span_pid(&s, &task.pid) || !og_span_eat(&s, "]") ||
            !parse_task(t, s, &task))
            return false;
        t->tasks++;
        if (task.rss_pages >= 0)
            keep(t, &task);
    }
    t->usec = rec->usec;
    return true;
}

int64_t og_table_page_kib(const og_table_t *t, const og_kmsg_kill_t *kill)
{
    for (int i = 0; i < t->top_len; i++) {
        int64_t pages = t->top[i].total_vm_pages;

        /* From 4 KiB to 64 KiB there are; what else comes out is no page. */
        if (t->top[i].pid == kill->pid && pages > 0 && kill->total_vm_kib > 0)
            for (int64_t kib = 4; kib <= 64; kib *= 2)
                if (kill->total_vm_kib / kib == pages && kill->total_vm_kib % kib == 0)
                    return kib;
    }
    return PAGE_KIB;
}
