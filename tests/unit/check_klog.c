/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Bytes in, kills out; what a line or an entry may look like is for check_logline.c and
 * check_journal.c. */
#include "oomguard/klog.h"
#include "edge.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* 2026-11-26 12:00:00 UTC. */
#define NOW_SEC 1795694400

static og_klog_t log_state;

/* --- Kills, as text ----------------------------------------------------------------- */

static char told[4096];

/* "12 seq=3 boot=1000000 by=a(7) limit=8 tasks=2\n", without what is not known. */
static void tell(void *baton, const og_klog_kill_t *k)
{
    size_t n = strlen(told), size = sizeof told;

    ck_assert_ptr_eq(baton, &log_state);
    n += (size_t)snprintf(told + n, size - n, "%d seq=%llu", (int)k->kill.pid,
                          (unsigned long long)k->kill.seq);
    if (k->boot_usec != OG_LOGTIME_NONE)
        n += (size_t)snprintf(told + n, size - n, " boot=%lld", (long long)k->boot_usec);
    if (k->wall_usec != OG_LOGTIME_NONE)
        n += (size_t)snprintf(told + n, size - n, " wall=%lld", (long long)k->wall_usec);
    if (k->kill.invoked_by[0] != '\0')
        n += (size_t)snprintf(told + n, size - n, " by=%s(%d)", k->kill.invoked_by,
                              (int)k->kill.invoked_pid);
    if (k->kill.limit_kib != OG_KMSG_UNKNOWN)
        n += (size_t)snprintf(told + n, size - n, " limit=%lld", (long long)k->kill.limit_kib);
    if (k->table != NULL)
        n += (size_t)snprintf(told + n, size - n, " tasks=%llu",
                              (unsigned long long)k->table->tasks);
    ck_assert_uint_lt(n + 1, size);
    strcpy(told + n, "\n");
}

static void begin(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    told[0] = '\0';
    memset(&log_state, 'x', sizeof log_state);
    og_klog_init(&log_state, NOW_SEC, tell, &log_state);
}

static size_t take(const char *p, size_t len, bool last)
{
    size_t taken = og_klog_take(&log_state, at_edge(p, len), len, last);

    ck_assert_uint_le(taken, len);
    ck_assert_uint_le(len - taken, last ? 0 : OG_KLOG_LINE_MAX);
    return taken;
}

/* Gives the log in pieces of so many bytes. */
static void take_all(const char *p, size_t len, size_t piece)
{
    size_t at = 0, here = 0;

    begin();
    while (at + here < len) {
        size_t more = len - at - here < piece ? len - at - here : piece;
        size_t taken = take(p + at, here + more, false);

        at += taken;
        here = here + more - taken;
    }
    ck_assert_uint_eq(take(p + at, here, true), here);
}

static void check_log(const char *name, const char *p, size_t len, const char *kills)
{
    size_t pieces[] = { len + 1, 61, 1 };

    for (size_t i = 0; i < (len < 10000 ? 3 : 2); i++) {
        take_all(p, len, pieces[i]);
        ck_assert_msg(strcmp(told, kills) == 0, "%s, %zu at once:\n%s instead of\n%s", name,
                      pieces[i], told, kills);
    }
}

/* --- Between logs ------------------------------------------------------------------- */

#define INVOKED "a invoked oom-killer: gfp_mask=0x0, order=0, oom_score_adj=0\n"
#define CPU "CPU: 1 PID: 7 Comm: a Not tainted 5.10.0 #1\n"
#define USAGE "memory: usage 8kB, limit 8kB, failcnt 1\n"
#define LIST "[  pid  ]   uid  tgid total_vm      rss name\n"
#define TASK "[     12]     0    12        5        5 b\n"
#define KILLED_PID(pid) "Killed process " #pid " (b) total-vm:4kB, anon-rss:4kB, file-rss:0kB\n"
#define KILLED KILLED_PID(12)

#define AT(time) "[" time "] "
#define SYSLOG "Nov 26 01:02:03 web kernel: "
#define SYSLOG_USEC "1795654923000000"

static const struct {
    const char *name, *log, *kills;
} logs[] = {
    { "one log", AT("1.000000") INVOKED AT("1.000001") CPU AT("1.000002") KILLED,
      "12 seq=3 boot=1000002 by=a(7)\n" },
    { "without a newline", AT("1.0") "Killed process 12 (b) total-vm:4kB",
      "12 seq=1 boot=1000000\n" },
    { "nobody was killed", AT("1.0") INVOKED AT("1.0") "x\n", "" },
    { "no line", "", "" },
    { "empty lines", "\n\n" AT("1.0") KILLED "\n", "12 seq=1 boot=1000000\n" },
    /* Another clock. */
    { "boot, wall", AT("1.0") INVOKED SYSLOG KILLED, "12 seq=1 wall=" SYSLOG_USEC "\n" },
    { "wall, boot", SYSLOG INVOKED AT("1.0") KILLED, "12 seq=1 boot=1000000\n" },
    { "wall", SYSLOG INVOKED SYSLOG KILLED, "12 seq=2 wall=" SYSLOG_USEC " by=a(0)\n" },
    { "raw, boot", "4,9,2000000,-;" INVOKED AT("2.0") KILLED, "12 seq=1 boot=2000000\n" },
    { "boot, raw", AT("2.0") INVOKED "4,9,2000000,-;" KILLED, "12 seq=9 boot=2000000\n" },
    /* Records of /dev/kmsg have numbers. */
    { "raw", "4,9,2000000,-;" INVOKED "4,10,2000000,-;" KILLED,
      "12 seq=10 boot=2000000 by=a(0)\n" },
    { "raw, some lost", "4,9,2000000,-;" INVOKED "4,12,2000000,-;" KILLED,
      "12 seq=12 boot=2000000 by=a(0)\n" },
    { "raw, twice", "4,9,2000000,-;" INVOKED "4,9,2000000,-;" KILLED,
      "12 seq=9 boot=2000000\n" },
    { "raw, another boot", "4,9,2000000,-;" INVOKED "4,8,2000000,-;" KILLED,
      "12 seq=8 boot=2000000\n" },
    { "raw, another boot by its time", "4,9,2000001,-;" INVOKED "4,10,1000000,-;" KILLED,
      "12 seq=10 boot=1000000\n" },
    /* Back in time, by a second or more. */
    { "back by a second", AT("9.000000") INVOKED AT("8.000000") KILLED,
      "12 seq=2 boot=8000000 by=a(0)\n" },
    { "back by more", AT("9.000000") INVOKED AT("7.999999") KILLED,
      "12 seq=1 boot=7999999\n" },
    { "back, and again", AT("9.0") INVOKED AT("7.9") INVOKED AT("6.9") KILLED,
      "12 seq=2 boot=6900000 by=a(0)\n" },
    { "back to the start", AT("1.000000") INVOKED AT("0.000000") KILLED,
      "12 seq=2 boot=0 by=a(0)\n" },
    { "back to the start of another", AT("1.000001") INVOKED AT("0.000000") KILLED,
      "12 seq=1 boot=0\n" },
    { "back, within the first second", AT("0.6") INVOKED AT("0.1") KILLED,
      "12 seq=2 boot=100000 by=a(0)\n" },
    { "forward, then back", AT("9.0") INVOKED AT("10.0") "x\n" AT("8.9") KILLED,
      "12 seq=1 boot=8900000\n" },
    /* No time at all is no other clock. */
    { "no time", "<4>" INVOKED "<4>" KILLED, "12 seq=2 by=a(0)\n" },
    { "no time, in between", AT("9.0") INVOKED "<4>x\n" AT("8.0") KILLED,
      "12 seq=3 boot=8000000 by=a(0)\n" },
    { "no time, in between, and back", AT("9.0") INVOKED "<4>x\n" AT("7.9") KILLED,
      "12 seq=1 boot=7900000\n" },
    /* The list of tasks. */
    { "a list", AT("1.0") INVOKED AT("1.0") LIST AT("1.0") TASK AT("1.0") TASK AT("1.0") KILLED,
      "12 seq=5 boot=1000000 by=a(0) tasks=2\n" },
    { "an empty list", AT("1.0") INVOKED AT("1.0") LIST AT("1.0") KILLED,
      "12 seq=3 boot=1000000 by=a(0)\n" },
    { "a list, two kills",
      AT("1.0") LIST AT("1.0") TASK AT("1.0") KILLED AT("1.0") KILLED_PID(13),
      "12 seq=3 boot=1000000 tasks=1\n13 seq=4 boot=1000000\n" },
    { "a list, in time", AT("1.000000") LIST AT("1.000000") TASK AT("21.000000") KILLED,
      "12 seq=3 boot=21000000 tasks=1\n" },
    { "a list, too old", AT("1.000000") LIST AT("1.000000") TASK AT("21.000001") KILLED,
      "12 seq=3 boot=21000001\n" },
    { "a list of another log", AT("1.0") LIST AT("1.0") TASK SYSLOG KILLED,
      "12 seq=1 wall=" SYSLOG_USEC "\n" },
    { "a list of another boot", AT("9.0") LIST AT("9.0") TASK AT("1.0") KILLED,
      "12 seq=1 boot=1000000\n" },
    /* Lines of others. */
    { "of no facility of the kernel's", AT("1.0") INVOKED "<12>" AT("1.0") KILLED
      "Nov 26 01:02:03 web sudo: " KILLED AT("1.0") KILLED,
      "12 seq=2 boot=1000000 by=a(0)\n" },
    { "behind a line with a mark", AT("1.0") "x\n" KILLED, "" },
    { "without any mark", INVOKED KILLED, "12 seq=2 by=a(0)\n" },
};

START_TEST(takes_logs)
{
    check_log(logs[_i].name, logs[_i].log, strlen(logs[_i].log), logs[_i].kills);
}
END_TEST

/* --- The journal's entries ---------------------------------------------------------- */

#define KILL_TEXT "Killed process 12 (b) total-vm:4kB, anon-rss:4kB, file-rss:0kB"
#define JSON(usec, text)                                                                  \
    "{\"_TRANSPORT\":\"kernel\",\"__REALTIME_TIMESTAMP\":\"1795654923000000\","            \
    "\"_SOURCE_MONOTONIC_TIMESTAMP\":\"" usec "\",\"MESSAGE\":\"" text "\"}\n"
#define INVOKED_TEXT "a invoked oom-killer: gfp_mask=0x0, order=0, oom_score_adj=0"
#define CURSOR "__CURSOR=s=0\n"
#define KERNEL "_TRANSPORT=kernel\n"
#define EXPORT(usec, text)                                                                \
    CURSOR KERNEL "_SOURCE_MONOTONIC_TIMESTAMP=" usec "\nMESSAGE=" text

static const struct {
    const char *name, *log, *kills;
} journals[] = {
    { "json", JSON("1000000", INVOKED_TEXT) JSON("1000001", KILL_TEXT),
      "12 seq=2 boot=1000001 wall=" SYSLOG_USEC " by=a(0)\n" },
    { "json, and a line without mark", JSON("1000000", "x") KILLED, "" },
    { "json of another", "{\"_TRANSPORT\":\"stdout\",\"MESSAGE\":\"" KILL_TEXT "\"}\n", "" },
    { "json, another boot", JSON("9000000", INVOKED_TEXT) JSON("1000000", KILL_TEXT),
      "12 seq=1 boot=1000000 wall=" SYSLOG_USEC "\n" },
    { "export", EXPORT("1000000", INVOKED) "\n" EXPORT("1000001", KILLED) "\n",
      "12 seq=2 boot=1000001 by=a(0)\n" },
    { "export, the last entry has no end", EXPORT("1000001", KILLED),
      "12 seq=1 boot=1000001\n" },
    { "export, the last field has no end", EXPORT("1000001", KILL_TEXT), "" },
    { "export, another boot", EXPORT("9000000", INVOKED) "\n" EXPORT("1000000", KILLED) "\n",
      "12 seq=1 boot=1000000\n" },
    { "export, nothing is left of the entry before",
      EXPORT("1000001", "x\n") "\n" CURSOR "MESSAGE=" KILLED "\n", "" },
    { "export, nothing is left of json",
      JSON("1000000", "x") CURSOR "MESSAGE=" KILLED "\n", "" },
    { "export, and a line without mark", EXPORT("1000001", "x\n") "\n-- \n" KILLED, "" },
    { "export, text, export",
      EXPORT("1000001", KILLED) "\n" AT("2.0") INVOKED AT("2.0") KILLED_PID(13)
          EXPORT("3000000", KILLED) "\n",
      "12 seq=1 boot=1000001\n13 seq=3 boot=2000000 by=a(0)\n12 seq=4 boot=3000000\n" },
};

START_TEST(takes_journals)
{
    check_log(journals[_i].name, journals[_i].log, strlen(journals[_i].log),
              journals[_i].kills);
}
END_TEST

START_TEST(passes_over_nuls)
{
    static const char text[] = "\0\0\0" AT("1.0") INVOKED "\0" AT("1.0") KILLED "\0\0\0\n\0",
                      entry[] = "\0" JSON("1000000", KILL_TEXT),
                      alone[] = "\0\n" INVOKED KILLED,
                      end[] = "\0\0\0\0\0x";

    check_log("NULs", text, sizeof text - 1, "12 seq=2 boot=1000000 by=a(0)\n");
    check_log("NULs, JSON", entry, sizeof entry - 1,
              "12 seq=1 boot=1000000 wall=" SYSLOG_USEC "\n");
    check_log("a line of one NUL", alone, sizeof alone - 1, "12 seq=2 by=a(0)\n");
    /* What is behind the log is none of it. */
    begin();
    ck_assert_uint_eq(og_klog_take(&log_state, end, 3, true), 3);
    take(KILLED, strlen(KILLED), true);
    ck_assert_str_eq(told, "12 seq=1\n");
}
END_TEST

/* --- Binary fields ------------------------------------------------------------------ */

/* What a client wrote, which looks like entries of the kernel's; then one that is. */
START_TEST(passes_over_binary_fields)
{
    static const char forged[] = "\n\n" EXPORT("1000001", KILLED) "\n";
    static char text[40000];
    size_t n = 0, len = 20000;

    n += (size_t)sprintf(text, CURSOR "_TRANSPORT=journal\nMESSAGE\n");
    for (int i = 0; i < 8; i++)
        text[n++] = (char)(len >> (8 * i) & 255);
    for (size_t i = 0; i < len; i++)
        text[n++] = forged[i % (sizeof forged - 1)];
    text[n++] = '\n';
    n += (size_t)sprintf(text + n, "\n" EXPORT("2000000", KILLED));
    check_log("binary", text, n, "12 seq=1 boot=2000000\n");
}
END_TEST

/* What stands before such a field and behind it is of one entry. */
START_TEST(takes_what_is_around_binary_fields)
{
    static char text[20000] = CURSOR KERNEL "X\n\x28\x23\0\0\0\0\0\0";
    size_t n = strlen(CURSOR KERNEL "X\n") + 8, len = 0x2328;

    memset(text + n, 'x', len);
    n += len;
    n += (size_t)sprintf(text + n, "\n_SOURCE_MONOTONIC_TIMESTAMP=1\nMESSAGE=" KILLED "\n");
    check_log("binary", text, n, "12 seq=1 boot=1\n");
}
END_TEST

/* The field that is not all there may have said who spoke. */
START_TEST(takes_no_entry_that_is_cut_off)
{
    static const char text[] = EXPORT("1000001", KILLED) "X\n\0\0\1\0\0\0\0\0abc";

    check_log("cut off", text, sizeof text - 1, "");
}
END_TEST

/* --- Long lines --------------------------------------------------------------------- */

static char long_text[3 * OG_KLOG_LINE_MAX];

/* A line of so many bytes, without its newline, that tells of a kill. */
static size_t put_long(char *out, size_t len)
{
    static const char tail[] = ";Killed process 12 (b) total-vm:4kB";
    size_t head = (size_t)sprintf(out, "4,1,1000000,-,");

    memset(out + head, 'x', len - head);
    memcpy(out + len - strlen(tail), tail, strlen(tail));
    return len;
}

START_TEST(takes_lines_up_to_the_longest)
{
    static const char kill[] = "\n4,2,1000000,-;" KILLED_PID(13);
    size_t len = put_long(long_text, OG_KLOG_LINE_MAX + (size_t)_i);

    strcpy(long_text + len, kill);
    check_log("long", long_text, len + strlen(kill),
              _i == 0 ? "12 seq=1 boot=1000000\n13 seq=2 boot=1000000\n"
                      : "13 seq=2 boot=1000000\n");
    check_log("long, last", long_text, len, _i == 0 ? "12 seq=1 boot=1000000\n" : "");
}
END_TEST

#define FILLER AT("1.0") "x\n"

/* Makes the log so long that only lines with certain words are read. */
static void pass_the_window(void)
{
    begin();
    for (int i = 0; i < OG_KLOG_WINDOW_LINES; i++)
        ck_assert_uint_eq(take(FILLER, strlen(FILLER), false), strlen(FILLER));
    ck_assert_uint_eq(log_state.window, 0);
}

/* The end of a line that is too long is passed over, whatever it looks like. */
START_TEST(takes_no_part_of_a_line)
{
    static const char kill[] = AT("1.0") KILLED;
    size_t n = OG_KLOG_LINE_MAX;

    memset(long_text, 'x', n + 1);
    if (_i == 0)
        begin();
    else
        pass_the_window();
    ck_assert_uint_eq(take(long_text, n, false), 0);
    ck_assert_uint_eq(take(long_text, n + 1, false), n + 1);
    ck_assert_uint_eq(take(kill, strlen(kill) - 1, false), strlen(kill) - 1);
    ck_assert_uint_eq(take(kill, strlen(kill), false), strlen(kill));
    ck_assert_str_eq(told, "");
    ck_assert_uint_eq(take(kill, strlen(kill), false), strlen(kill));
    ck_assert_ptr_nonnull(strstr(told, "12 seq="));
}
END_TEST

/* And so is its newline. */
START_TEST(goes_on_behind_a_long_line)
{
    static const char kill[] = AT("1.0") USAGE AT("1.0") KILLED;

    begin();
    memset(long_text, 'x', sizeof long_text);
    take(long_text, OG_KLOG_LINE_MAX + 1, false);
    ck_assert_uint_eq(take("x\n", 2, false), 2);
    for (int i = 0; i < OG_KLOG_WINDOW_LINES - 1; i++)
        take(FILLER, strlen(FILLER), false);
    take(kill, strlen(kill), true);
    ck_assert_str_eq(told, "12 seq=4097 boot=1000000 limit=8\n");
}
END_TEST

START_TEST(takes_no_part_of_a_field)
{
    static const char head[] = CURSOR KERNEL "MESSAGE=", tail[] = KILLED "\n";
    size_t n = strlen(head);

    begin();
    memset(long_text, 'x', sizeof long_text);
    memcpy(long_text, head, n);
    ck_assert_uint_eq(take(long_text, n + OG_KLOG_LINE_MAX - 8, false), n - 8);
    ck_assert_uint_eq(take(long_text + n - 8, OG_KLOG_LINE_MAX + 1, false),
                      OG_KLOG_LINE_MAX + 1);
    ck_assert_uint_eq(take(tail, strlen(tail), false), strlen(tail));
    ck_assert_uint_eq(take(EXPORT("1", KILLED) "\n", strlen(EXPORT("1", KILLED)) + 1, true),
                      strlen(EXPORT("1", KILLED)) + 1);
    ck_assert_str_eq(told, "12 seq=1 boot=1\n");
}
END_TEST

/* --- What is read, and what passed over --------------------------------------------- */

static char big_text[OG_KLOG_WINDOW_LINES * 100];

/* So many copies of a line, and then others. */
static void put_many(const char *first, const char *line, int n, const char *others)
{
    size_t at = (size_t)sprintf(big_text, "%s", first);

    for (int i = 0; i < n; i++)
        at += (size_t)sprintf(big_text + at, "%s", line);
    ck_assert_uint_lt(at + strlen(others), sizeof big_text);
    strcpy(big_text + at, others);
}

static void check_many(const char *kills)
{
    check_log("many", big_text, strlen(big_text), kills);
}

START_TEST(reads_the_start)
{
    put_many("", FILLER, OG_KLOG_WINDOW_LINES - 1, AT("1.0") USAGE AT("1.0") KILLED);
    check_many("12 seq=4097 boot=1000000 limit=8\n");
    put_many("", FILLER, OG_KLOG_WINDOW_LINES, AT("1.0") USAGE AT("1.0") KILLED);
    check_many("12 seq=4097 boot=1000000\n");
}
END_TEST

START_TEST(reads_what_follows_words)
{
    put_many(AT("1.0") INVOKED, FILLER, OG_KLOG_WINDOW_LINES - 1, AT("1.0") CPU AT("1.0") KILLED);
    check_many("12 seq=4098 boot=1000000 by=a(7)\n");
    put_many(AT("1.0") INVOKED, FILLER, OG_KLOG_WINDOW_LINES, AT("1.0") CPU AT("1.0") KILLED);
    check_many("12 seq=4098 boot=1000000 by=a(0)\n");
    /* Behind a line that was found, not read in its turn. */
    pass_the_window();
    put_many(AT("1.0") INVOKED, FILLER, OG_KLOG_WINDOW_LINES - 1, AT("1.0") CPU AT("1.0") KILLED);
    take(big_text, strlen(big_text), true);
    ck_assert_str_eq(told, "12 seq=8194 boot=1000000 by=a(7)\n");
    /* Even if the line with the words is none of the kernel's. */
    pass_the_window();
    put_many(FILLER "<12>" AT("1.0") KILLED, FILLER, OG_KLOG_WINDOW_LINES - 1,
             AT("1.0") USAGE AT("1.0") KILLED);
    take(big_text, strlen(big_text), true);
    ck_assert_str_eq(told, "12 seq=8193 boot=1000000 limit=8\n");
    pass_the_window();
    put_many(FILLER "<12>" AT("1.0") KILLED, FILLER, OG_KLOG_WINDOW_LINES,
             AT("1.0") USAGE AT("1.0") KILLED);
    take(big_text, strlen(big_text), true);
    ck_assert_str_eq(told, "12 seq=8193 boot=1000000\n");
}
END_TEST

START_TEST(reads_any_list)
{
    put_many(AT("1.0") INVOKED AT("1.0") LIST, AT("1.0") TASK, OG_KLOG_WINDOW_LINES + 4,
             AT("1.0") KILLED);
    check_many("12 seq=4103 boot=1000000 by=a(0) tasks=4100\n");
    put_many(AT("1.0") LIST AT("1.0") TASK, FILLER, OG_KLOG_WINDOW_LINES - 1,
             AT("1.0") TASK AT("1.0") KILLED);
    check_many("12 seq=4099 boot=1000000 tasks=2\n");
}
END_TEST

#define ENTRY EXPORT("1000000", "x\n") "\n"

START_TEST(reads_the_start_of_an_export)
{
    static const char last[] =
        EXPORT("1000000", USAGE) "\n" EXPORT("1000000", KILLED) "\n";

    put_many("", ENTRY, OG_KLOG_WINDOW_LINES - 1, last);
    check_many("12 seq=4097 boot=1000000 limit=8\n");
    put_many("", ENTRY, OG_KLOG_WINDOW_LINES, last);
    check_many("12 seq=4097 boot=1000000\n");
    put_many("", ENTRY, OG_KLOG_WINDOW_LINES + 9, last);
    check_many("12 seq=4097 boot=1000000\n");
    put_many("", ENTRY, OG_KLOG_WINDOW_LINES, AT("1.0") USAGE AT("1.0") KILLED);
    check_many("12 seq=4098 boot=1000000 limit=8\n");
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("klog");

    tcase_add_loop_test(c, takes_logs, 0, sizeof logs / sizeof *logs);
    tcase_add_test(c, passes_over_nuls);
    tcase_add_loop_test(c, takes_journals, 0, sizeof journals / sizeof *journals);
    tcase_add_test(c, passes_over_binary_fields);
    tcase_add_test(c, takes_what_is_around_binary_fields);
    tcase_add_test(c, takes_no_entry_that_is_cut_off);
    tcase_add_loop_test(c, takes_lines_up_to_the_longest, 0, 2);
    tcase_add_loop_test(c, takes_no_part_of_a_line, 0, 2);
    tcase_add_test(c, goes_on_behind_a_long_line);
    tcase_add_test(c, takes_no_part_of_a_field);
    tcase_add_test(c, reads_the_start);
    tcase_add_test(c, reads_what_follows_words);
    tcase_add_test(c, reads_any_list);
    tcase_add_test(c, reads_the_start_of_an_export);
    return unit_run("klog", &c, 1);
}
