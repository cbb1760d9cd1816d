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
    check_task(0, table.top[0].pid, "httpd", forms[_i].rss, forms[_i].adj);
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
    kill.total_vm_kib = 16001;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
    kill.pid = 10;
    ck_assert_int_eq(og_table_page_kib(&table, &kill), 4);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("table");

    tcase_add_loop_test(c, knows_the_columns, 0, sizeof forms / sizeof *forms);
    tcase_add_test(c, keeps_the_biggest);
    tcase_add_test(c, refuses);
    tcase_add_test(c, knows_the_page);
    return unit_run("table", &c, 1);
}
