/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The list of tasks that the kernel prints before it kills, and the biggest of them. Source:
 * dump_tasks in mm/oom_kill.c; the columns differ, and the list's first line names them. */
#ifndef OG_TABLE_H
#define OG_TABLE_H

#include "oomguard/kmsg.h"

#define OG_TABLE_TOP 5
#define OG_TABLE_COLUMNS_MAX 24

/* Numbers are OG_KMSG_UNKNOWN where there is no such column. */
typedef struct {
    pid_t pid;
    char comm[OG_KMSG_COMM_MAX]; /* as logged */
    int64_t uid, total_vm_pages, rss_pages, oom_score_adj;
} og_task_t;

/* The columns behind "[  pid  ]" that are read; the last one is the name. */
typedef enum {
    OG_COLUMN_OTHER,
    OG_COLUMN_UID,
    OG_COLUMN_TOTAL_VM,
    OG_COLUMN_RSS,
    OG_COLUMN_SCORE_ADJ,
    OG_COLUMN_NAME
} og_column_t;

typedef struct {
    og_column_t column[OG_TABLE_COLUMNS_MAX];
    int columns;   /* 0: no list was seen */
    uint64_t tasks; /* how many it has */
    uint64_t usec; /* of its latest line */
    og_task_t top[OG_TABLE_TOP]; /* by rss, the biggest first */
    int top_len;
} og_table_t;

void og_table_init(og_table_t *t);

/* Takes a message of the kernel's. True if it is a line of the list, its first one or a
 * task's. */
bool og_table_feed(og_table_t *t, const og_kmsg_record_t *rec);

/* The size of a page, which the list does not tell: the killed process' line has the same
 * figure in KiB. 4 if the process is none of the top ones. */
int64_t og_table_page_kib(const og_table_t *t, const og_kmsg_kill_t *kill);

#endif
