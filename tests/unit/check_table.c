/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/table.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static og_table_t table;

static bool feed(const char *text)
{
    og_kmsg_record_t rec = { .text = text, .len = strlen(text), .usec = 7 };

    return og_table_feed(&table, &rec);
}

static void check_task(int at, pid_t pid, const char *comm, int64_t rss, int64_t adj)
{
    ck_assert_int_gt(table.top_len, at);
    ck_assert_int_eq(table.top[at].pid, pid);
    ck_assert_str_eq(table.top[at].comm, comm);
    ck_assert_int_eq(table.top[at].rss_pages, rss);
    ck_assert_int_eq(table.top[at].oom_score_adj, adj);
}

/* Recorded: 5.10, 6.12; made: the others. */
static const struct {
    const char *head, *task;
    int64_t uid, total_vm, rss, adj;
} forms[] = {
    { "[ pid ]   uid  tgid total_vm      rss cpu oom_adj name",
      "[ 1201]    48  1201   211443   180255   0       0 httpd", 48, 211443, 180255,
      OG_KMSG_UNKNOWN },
    { "[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name",
      "[ 1201]    48  1201   211443   180255   0       0             0 httpd", 48, 211443,
      180255, 0 },
    { "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
      "[ 1201]    48  1201   211443   180255     400        0          -900 httpd", 48,
      211443, 180255, -900 },
    { "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name",
      "[ 1201]    48  1201   211443   180255     400       4        0           200 httpd",
      48, 211443, 180255, 200 },
    { "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
      "[    259]    33   259   220852    32535   462848        0           200 httpd", 33,
      220852, 32535, 200 },
    { "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes "
      "swapents oom_score_adj name",
      "[    361]    33   361   221969    32602    30531     2071         0   487424        0"
      "           200 httpd",
      33, 221969, 32602, 200 },
};

START_TEST(knows_the_columns)
{
    og_table_init(&table);
    ck_assert(feed(forms[_i].head));
    ck_assert(feed(forms[_i].task));
    ck_assert_uint_eq(table.tasks, 1);
    ck_assert_uint_eq(table.usec, 7);
    check_task(0, atoi(forms[_i].task + 1), "httpd", forms[_i].rss, forms[_i].adj);
    ck_assert_int_eq(table.top[0].uid, forms[_i].uid);
    ck_assert_int_eq(table.top[0].total_vm_pages, forms[_i].total_vm);
}
END_TEST

START_TEST(keeps_the_biggest)
{
    char line[80];

    og_table_init(&table);
    ck_assert(!feed("[    1]     0 1 5 5 init")); /* no columns yet */
    ck_assert(feed("[  pid  ]   uid  tgid total_vm      rss name"));
    for (int i = 1; i <= 20; i++) {
        snprintf(line, sizeof line, "[%7d]     0 %d 5 %d  p%d", i, i, i * 7 % 20, i);
        ck_assert(feed(line));
    }
    ck_assert_uint_eq(table.tasks, 20);
    ck_assert_int_eq(table.top_len, OG_TABLE_TOP);
    check_task(0, 17, " p17", 19, OG_KMSG_UNKNOWN);
    check_task(1, 14, " p14", 18, OG_KMSG_UNKNOWN);
    check_task(4, 5, " p5", 15, OG_KMSG_UNKNOWN);
    ck_assert(feed("[  pid  ]   uid  tgid total_vm      rss name"));
    ck_assert_int_eq(table.top_len, 0);
    ck_assert_uint_eq(table.tasks, 0);
}
END_TEST

START_TEST(keeps_the_first_of_equals)
{
    char line[80];

    og_table_init(&table);
    ck_assert(feed("[pid] rss name"));
    for (int i = 1; i <= OG_TABLE_TOP + 2; i++) {
        snprintf(line, sizeof line, "[%d] 5 a", i);
        ck_assert(feed(line));
        ck_assert_int_eq(table.top_len, i < OG_TABLE_TOP ? i : OG_TABLE_TOP);
    }
    for (int i = 0; i < OG_TABLE_TOP; i++)
        check_task(i, i + 1, "a", 5, OG_KMSG_UNKNOWN);
    ck_assert(feed("[99] 6 a"));
    check_task(0, 99, "a", 6, OG_KMSG_UNKNOWN);
    check_task(OG_TABLE_TOP - 1, OG_TABLE_TOP - 1, "a", 5, OG_KMSG_UNKNOWN);
}
END_TEST

START_TEST(begins_anew)
{
    memset(&table, 'x', sizeof table);
    og_table_init(&table);
    ck_assert_int_eq(table.columns, 0);
    ck_assert_int_eq(table.top_len, 0);
    ck_assert_uint_eq(table.tasks, 0);
    ck_assert_uint_eq(table.usec, 0);
    ck_assert(feed("[pid] rss name"));
    ck_assert_uint_eq(table.usec, 7);
    ck_assert(feed("[1] 5 a"));
    /* What looks like another list, and is none, ends the one before. */
    ck_assert(!feed("[pid] rss"));
    ck_assert(!feed("[1] 5 a"));
    ck_assert_uint_eq(table.tasks, 0);
}
END_TEST

/* A list of so many columns, and more. */
static bool feed_columns(int n, const char *more)
{
    char line[40 * OG_TABLE_COLUMNS_MAX];
    size_t at = (size_t)sprintf(line, "[pid]");

    for (int i = 1; i < n; i++)
        at += (size_t)sprintf(line + at, " c%d", i);
    sprintf(line + at, " name%s", more);
    return feed(line);
}

START_TEST(has_room_for_columns)
{
    og_table_init(&table);
    ck_assert(feed_columns(1, ""));
    ck_assert(feed_columns(OG_TABLE_COLUMNS_MAX, ""));
    ck_assert_int_eq(table.columns, OG_TABLE_COLUMNS_MAX);
    ck_assert(!feed_columns(OG_TABLE_COLUMNS_MAX + 1, ""));
    ck_assert(!feed_columns(OG_TABLE_COLUMNS_MAX, " rss"));
    ck_assert_int_eq(table.columns, 0);
    ck_assert(!feed("[pid]"));
    ck_assert(!feed("[pid] name rss"));
    ck_assert(!feed("[pid] names"));
    /* A list without a column has no figure of it, and columns of other names are others. */
    ck_assert(feed("[pid] uidx total_vmx rssx oom_score_adjx name"));
    ck_assert(feed("[1] 2 3 4 5 a"));
    ck_assert_uint_eq(table.tasks, 1);
    ck_assert_int_eq(table.top_len, 0);
    ck_assert(!feed("[pid] name name name name name name name name name name name name name "
                    "name name name name name name name name name name name name"));
    ck_assert(feed("[pid] rss name"));
    ck_assert(feed("[1] 0 a"));
    ck_assert_int_eq(table.top_len, 1);
    ck_assert_int_eq(table.top[0].uid, OG_KMSG_UNKNOWN);
    ck_assert_int_eq(table.top[0].total_vm_pages, OG_KMSG_UNKNOWN);
}
END_TEST

/* Columns in whatever order are known by their names alone. */
START_TEST(knows_columns_by_name)
{
    og_table_init(&table);
    ck_assert(feed("[pid] oom_score_adj rss total_vm uid name"));
    ck_assert(feed("[1] 2 3 4 5 a"));
    check_task(0, 1, "a", 3, 2);
    ck_assert_int_eq(table.top[0].total_vm_pages, 4);
    ck_assert_int_eq(table.top[0].uid, 5);
}
END_TEST

START_TEST(refuses)
{
    static const char *const lines[] = {
        "", "[", "[    1]", "[    1] 0 1 5", "[    1] 0 1 5 x name", "[    0] 0 1 5 5 name",
        "[    1] 0 1 5 5 a name too long to be one", "[    x] 0 1 5 5 name", "name",
        "[<ffffffff81162b3e>] oom_kill_process+0x254/0x3d0",
    };

    og_table_init(&table);
    ck_assert(!feed("[ pid ]"));
    ck_assert(!feed("[ pid ] uid rss"));
    ck_assert(!feed("[ pid  uid rss name"));
    ck_assert(feed("[  pid  ]   uid  tgid total_vm      rss name"));
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(!feed(lines[i]), "%s", lines[i]);
    ck_assert_uint_eq(table.tasks, 0);
    /* Below zero, as it is counted on recent kernels: a task, and none of the biggest. */
    ck_assert(feed("[    1] 0 1 5 18446744073709551615 name"));
    ck_assert_uint_eq(table.tasks, 1);
    ck_assert_int_eq(table.top_len, 0);
}
END_TEST

START_TEST(knows_the_page)
{
    og_kmsg_kill_t kill = { .pid = 9, .total_vm_kib = 64000 };

    og_table_init(&table);
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    feed("[  pid  ]   uid  tgid total_vm      rss name");
    feed("[    9] 0 9 1000 20 name");
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 64);
    kill.total_vm_kib = 16000;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 16);
    for (int64_t kib = 1; kib <= 256; kib *= 2) {
        kill.total_vm_kib = 1000 * kib;
        ck_assert_int_eq(og_table_page_kib(&table, &kill), kib < 4 || kib > 64 ? 4 : kib);
        kill.total_vm_kib++;
        ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    }
    kill.total_vm_kib = 24000; /* 24 KiB are no page */
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    kill.total_vm_kib = 16000;
    kill.pid = 10;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    /* Another than the biggest; and one that has none, like a process that ends. */
    feed("[   10] 0 9 1000 10 name");
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 16);
    feed("[    9] 0 9 0 20 name");
    feed("[    8] 0 9 0 20 name");
    kill.pid = 8;
    kill.total_vm_kib = 8;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    kill.total_vm_kib = 0;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    /* A list that was before is over. */
    feed("[pid] uid tgid total_vm rss name");
    kill.total_vm_kib = 16000;
    kill.pid = 9;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    feed("[    7] 0 9 1 20 name");
    kill.pid = 7;
    kill.total_vm_kib = 8;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 8);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("table");

    tcase_add_loop_test(c, knows_the_columns, 0, sizeof forms / sizeof *forms);
    tcase_add_test(c, keeps_the_biggest);
    tcase_add_test(c, keeps_the_first_of_equals);
    tcase_add_test(c, begins_anew);
    tcase_add_test(c, has_room_for_columns);
    tcase_add_test(c, knows_columns_by_name);
    tcase_add_test(c, refuses);
    tcase_add_test(c, knows_the_page);
    return unit_run("table", &c, 1);
}
