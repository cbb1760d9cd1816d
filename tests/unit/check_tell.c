/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/tell.h"
#include "unit.h"

#include <string.h>
#include <time.h>

static og_klog_kill_t killed;
static og_table_t tasks;
static char text[4096];

/* A kill of which nothing is known but who it was. */
static void setup(void)
{
    og_kmsg_kill_t *k = &killed.kill;

    setenv("TZ", "UTC", 1);
    tzset();
    memset(&killed, 0, sizeof killed);
    killed.wall_usec = killed.boot_usec = OG_LOGTIME_NONE;
    k->pid = 259;
    strcpy(k->comm, "apache2");
    k->uid = k->oom_score_adj = k->usage_kib = k->limit_kib = OG_KMSG_UNKNOWN;
    k->total_vm_kib = k->anon_rss_kib = k->file_rss_kib = OG_KMSG_UNKNOWN;
    k->shmem_rss_kib = k->pgtables_kib = OG_KMSG_UNKNOWN;
    og_table_init(&tasks);
}

static void tell(const char *where)
{
    FILE *out = fmemopen(text, sizeof text, "w");

    ck_assert_ptr_nonnull(out);
    og_tell_kill(out, &killed, where);
    ck_assert_int_eq(fclose(out), 0);
}

/* Is the whole of a line of the report as expected? Its first word tells which. */
static void check_line(const char *line)
{
    const char *word_end = strchr(line + 2, ' '), *at;
    char word[16] = "\n";
    size_t n;

    strncat(word, line, (size_t)(word_end + 1 - line));
    tell(NULL);
    at = strstr(text, word);
    ck_assert_msg(at != NULL, "no \"%s\" in\n%s", word + 1, text);
    n = strcspn(at + 1, "\n");
    ck_assert_msg(n == strlen(line) && memcmp(at + 1, line, n) == 0,
                  "\"%.*s\"\n instead of\n\"%s\"", (int)n, at + 1, line);
}

static og_task_t *list_task(pid_t pid, const char *comm, int64_t rss_pages, int64_t adj)
{
    og_task_t *t = &tasks.top[tasks.top_len++];

    killed.table = &tasks;
    tasks.tasks++;
    *t = (og_task_t){ .pid = pid, .rss_pages = rss_pages, .oom_score_adj = adj };
    strcpy(t->comm, comm);
    return t;
}

/* --- All of it ---------------------------------------------------------------------- */

START_TEST(tells_what_is_known)
{
    og_kmsg_kill_t *k = &killed.kill;

    killed.wall_usec = 1795654923000001;
    killed.boot_usec = 27446121;
    k->killer = OG_KILLER_MEMCG;
    k->uid = 0;
    k->oom_score_adj = 200;
    k->total_vm_kib = 904;
    k->anon_rss_kib = 130048;
    k->file_rss_kib = 1;
    k->shmem_rss_kib = 0;
    k->pgtables_kib = 452;
    strcpy(k->oom_memcg, "/web");
    strcpy(k->task_memcg, "/web/a");
    k->limit_kib = 131072;
    k->usage_kib = 131071;
    k->invoked_pid = 265;
    strcpy(k->invoked_by, "php-fpm");
    list_task(259, "apache2", 32535, 200)->total_vm_pages = 226;
    list_task(260, "mysqld", 2, -500);
    tell("kern.log");
    ck_assert_str_eq(
        text,
        "2026-11-26T01:02:03.000001+00:00, in kern.log\n"
        "  killed   259 \"apache2\", uid 0, oom_score_adj 200\n"
        "  size     anon 127.0 MiB, file 1 KiB, shmem 0 KiB, page tables 452 KiB; "
        "address space 904 KiB\n"
        "  limit    of memory cgroup \"/web\": 128.0 MiB, of which 127.9 MiB were used\n"
        "  cgroup   \"/web/a\"\n"
        "  asked    265 \"php-fpm\"\n"
        "  biggest  259 \"apache2\" 127.0 MiB, oom_score_adj 200\n"
        "           260 \"mysqld\" 8 KiB, oom_score_adj -500\n"
        "  meaning  the cgroup was at its limit, whatever the machine had left; \"php-fpm\" "
        "asked for more, and the kernel took \"apache2\", the biggest.\n");
}
END_TEST

START_TEST(tells_what_is_not_known)
{
    tell(NULL);
    ck_assert_str_eq(
        text, "at a time that the log does not tell\n"
              "  killed   259 \"apache2\"\n"
              "  size     anon unknown, file unknown, shmem unknown, page tables unknown; "
              "address space unknown\n"
              "  limit    unknown\n"
              "  asked    unknown\n"
              "  meaning  memory ran out, and the log does not tell where, and the kernel "
              "took \"apache2\".\n");
}
END_TEST

/* --- Times, names, sizes ------------------------------------------------------------ */

static const struct {
    int64_t wall, boot;
    const char *text;
} times[] = {
    { 1795654923000000, OG_LOGTIME_NONE, "2026-11-26T01:02:03+00:00\n" },
    { OG_LOGTIME_NONE, 27000121, "27.000121 s after boot\n" },
    { OG_LOGTIME_NONE, 0, "0.000000 s after boot\n" },
    { INT64_MAX, 12345678, "12.345678 s after boot\n" }, /* no year that can be written */
};

START_TEST(tells_the_time)
{
    killed.wall_usec = times[_i].wall;
    killed.boot_usec = times[_i].boot;
    tell(NULL);
    ck_assert_int_eq(strncmp(text, times[_i].text, strlen(times[_i].text)), 0);
}
END_TEST

START_TEST(quotes)
{
    strcpy(killed.kill.comm, "\x1f a\"\\x0a~\x7f\xff");
    check_line("  killed   259 \"\\x1f a\\\"\\x0a~\\x7f\\xff\"");
}
END_TEST

static const struct {
    int64_t kib;
    const char *text;
} sizes[] = {
    { 0, "0 KiB" },
    { 1023, "1023 KiB" },
    { 1024, "1.0 MiB" },
    { 1024 + 512, "1.5 MiB" },
    { 2 * 1024 - 1, "1.9 MiB" },
    { 10 * 1024 * 1024 - 1, "10239.9 MiB" },
    { 10 * 1024 * 1024, "10.0 GiB" },
    { 10 * 1024 * 1024 + 512 * 1024, "10.5 GiB" },
    { 11 * 1024 * 1024 - 1, "10.9 GiB" },
    { -1, "unknown" },
};

START_TEST(tells_the_size)
{
    char line[200];

    killed.kill.anon_rss_kib = sizes[_i].kib;
    snprintf(line, sizeof line,
             "  size     anon %s, file unknown, shmem unknown, page tables unknown; "
             "address space unknown",
             sizes[_i].text);
    check_line(line);
}
END_TEST

/* --- Whose memory it was, and who wanted some --------------------------------------- */

static const struct {
    og_killer_t killer;
    const char *limit, *why;
} killers[] = {
    { OG_KILLER_MEMCG, "of memory cgroup unknown",
      "the cgroup was at its limit, whatever the machine had left" },
    { OG_KILLER_GLOBAL, "of the machine", "the machine had no memory left" },
    { OG_KILLER_CPUSET, "of the memory nodes of a cpuset",
      "the memory nodes that it may use were full, others may have had room" },
    { OG_KILLER_MEMPOLICY, "of the memory nodes of a policy",
      "the memory nodes that it may use were full, others may have had room" },
};

START_TEST(tells_the_killer)
{
    char line[200];

    killed.kill.killer = killers[_i].killer;
    snprintf(line, sizeof line, "  limit    %s", killers[_i].limit);
    check_line(line);
    snprintf(line, sizeof line, "  meaning  %s, and the kernel took \"apache2\".",
             killers[_i].why);
    check_line(line);
}
END_TEST

START_TEST(tells_the_limit)
{
    og_kmsg_kill_t *k = &killed.kill;

    k->killer = OG_KILLER_MEMCG;
    strcpy(k->oom_memcg, "/");
    check_line("  limit    of memory cgroup \"/\"");
    strcpy(k->oom_memcg, "/a\"");
    k->limit_kib = 0;
    check_line("  limit    of memory cgroup \"/a\\\"\": 0 KiB");
    k->usage_kib = 0;
    check_line("  limit    of memory cgroup \"/a\\\"\": 0 KiB, of which 0 KiB were used");
    k->limit_kib = OG_KMSG_UNKNOWN;
    check_line("  limit    of memory cgroup \"/a\\\"\", of which 0 KiB were used");
    k->usage_kib = OG_KMSG_UNKNOWN;
    check_line("  limit    of memory cgroup \"/a\\\"\"");
}
END_TEST

/* The killed process' own cgroup is told where it is another than the one with the limit. */
START_TEST(tells_the_cgroup)
{
    strcpy(killed.kill.oom_memcg, "/a");
    strcpy(killed.kill.task_memcg, "/a/b");
    check_line("  cgroup   \"/a/b\"");
    strcpy(killed.kill.task_memcg, "/a");
    tell(NULL);
    ck_assert_ptr_null(strstr(text, "\n  cgroup "));
    killed.kill.task_memcg[0] = '\0';
    tell(NULL);
    ck_assert_ptr_null(strstr(text, "\n  cgroup "));
}
END_TEST

START_TEST(tells_who_asked)
{
    og_kmsg_kill_t *k = &killed.kill;

    k->invoked_pid = 1;
    check_line("  asked    1 ");
    strcpy(k->invoked_by, "a\"");
    check_line("  asked    1 \"a\\\"\"");
    k->invoked_pid = 0;
    check_line("  asked    \"a\\\"\"");
    strcpy(k->invoked_by, "a");
    check_line("  asked    \"a\"");
}
END_TEST

/* --- The biggest -------------------------------------------------------------------- */

START_TEST(tells_the_biggest)
{
    static const char all[] = "  biggest  1 \"a\" unknown, oom_score_adj 0\n"
                              "           2 \"b\\\"\" 320 KiB\n"
                              "           3 \"c\" 0 KiB\n"
                              "           4 \"d\" 0 KiB\n"
                              "           5 \"e\" 0 KiB\n";
    const char *at;

    /* A page is as large as the killed process' line tells: 64 KiB here. */
    killed.kill.total_vm_kib = 64;
    killed.kill.pid = 2;
    list_task(1, "a", INT64_MAX, 0);
    list_task(2, "b\"", 5, OG_KMSG_UNKNOWN)->total_vm_pages = 1;
    list_task(3, "c", 0, OG_KMSG_UNKNOWN);
    list_task(4, "d", 0, OG_KMSG_UNKNOWN);
    list_task(5, "e", 0, OG_KMSG_UNKNOWN);
    tell(NULL);
    at = strstr(text, all);
    ck_assert_msg(at != NULL, "%s", text);
    ck_assert_int_eq(strncmp(at + strlen(all), "  meaning", 9), 0);
    tasks.tasks = 6;
    tell(NULL);
    at = strstr(text, all);
    ck_assert_msg(at != NULL, "%s", text);
    ck_assert_int_eq(strncmp(at + strlen(all),
                             "           of 6 that the kernel listed\n  meaning", 48),
                     0);
}
END_TEST

/* --- What it means ------------------------------------------------------------------ */

static const char took[] = "  meaning  the machine had no memory left, and the kernel took "
                           "\"apache2\"";

static void check_took(const char *clause)
{
    char line[300];

    killed.kill.killer = OG_KILLER_GLOBAL;
    snprintf(line, sizeof line, "%s%s.", took, clause);
    check_line(line);
}

START_TEST(means_who_asked)
{
    og_kmsg_kill_t *k = &killed.kill;

    k->killer = OG_KILLER_GLOBAL;
    strcpy(k->invoked_by, "apache2");
    check_line("  meaning  the machine had no memory left; \"apache2\" asked for more, and "
               "the kernel took \"apache2\".");
    k->invoked_pid = 260;
    check_line("  meaning  the machine had no memory left; \"apache2\" asked for more, and "
               "the kernel took \"apache2\".");
    k->invoked_pid = 259;
    check_line("  meaning  the machine had no memory left; the killed process itself asked "
               "for more, and the kernel took \"apache2\".");
    k->invoked_by[0] = '\0';
    check_took("");
}
END_TEST

START_TEST(means_the_biggest)
{
    list_task(259, "apache2", 9, 0);
    check_took(", the biggest");
    killed.kill.oom_score_adj = 500; /* a score that decided nothing */
    check_took(", the biggest");
    tasks.top[0].pid = 260;
    tasks.top[0].oom_score_adj = 500;
    check_took("");
    tasks.top[0].pid = 259;
    tasks.top_len = 0; /* all of them below zero */
    check_took("");
}
END_TEST

START_TEST(means_a_spared_one)
{
    static const char spared[] = ", since its oom_score_adj is higher than that of "
                                 "\"a\\\"b\", which was bigger";
    og_task_t *t = list_task(1, "a\"b", 9, -1);

    list_task(259, "apache2", 8, 0);
    killed.kill.oom_score_adj = 0;
    check_took(spared);
    t->oom_score_adj = 0; /* equal: the score tells nothing */
    check_took("");
    t->oom_score_adj = 1;
    check_took("");
    t->oom_score_adj = OG_KMSG_UNKNOWN;
    check_took("");
    t->oom_score_adj = -1000;
    killed.kill.oom_score_adj = OG_KMSG_UNKNOWN;
    check_took("");
    killed.kill.oom_score_adj = -999;
    check_took(spared);
    tasks.top_len = 0;
    check_took("");
}
END_TEST

START_TEST(means_a_group)
{
    og_kmsg_kill_t *k = &killed.kill;

    k->killer = OG_KILLER_MEMCG;
    k->group_kill = true;
    strcpy(k->invoked_by, "a");
    list_task(259, "apache2", 9, 0);
    check_line("  meaning  the cgroup was at its limit, whatever the machine had left; "
               "memory.oom.group kills all of the cgroup, and this was one of them.");
    ck_assert_str_eq(text + strlen(text) - 6, "them.\n");
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("tell");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, tells_what_is_known);
    tcase_add_test(c, tells_what_is_not_known);
    tcase_add_loop_test(c, tells_the_time, 0, sizeof times / sizeof *times);
    tcase_add_test(c, quotes);
    tcase_add_loop_test(c, tells_the_size, 0, sizeof sizes / sizeof *sizes);
    tcase_add_loop_test(c, tells_the_killer, 0, sizeof killers / sizeof *killers);
    tcase_add_test(c, tells_the_limit);
    tcase_add_test(c, tells_the_cgroup);
    tcase_add_test(c, tells_who_asked);
    tcase_add_test(c, tells_the_biggest);
    tcase_add_test(c, means_who_asked);
    tcase_add_test(c, means_the_biggest);
    tcase_add_test(c, means_a_spared_one);
    tcase_add_test(c, means_a_group);
    return unit_run("tell", &c, 1);
}
