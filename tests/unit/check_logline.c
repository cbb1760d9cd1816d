/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Lines of text here; whole logs, and the journal's entries, in tests/report. */
#include "oomguard/logline.h"
#include "edge.h"
#include "unit.h"

#include <string.h>
#include <time.h>

/* 2026-11-26 12:00:00 UTC. */
#define NOW_SEC 1795694400

static og_logline_t reader;
static og_entry_t entry;

static void setup(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    memset(&reader, 'x', sizeof reader);
    memset(&entry, 'x', sizeof entry);
    og_logline_init(&reader, NOW_SEC);
}

static bool parse(const char *line)
{
    size_t n = strlen(line);

    return og_logline_parse(&reader, at_edge(line, n), n, &entry);
}

static const struct {
    const char *line;
    og_clock_t clock;
    uint64_t usec;
    const char *text; /* NULL: not the kernel's */
} lines[] = {
    { "4,403,27423828,-;text", OG_CLOCK_RAW, 27423828, "text" },
    { "12,403,27423828,-;text", OG_CLOCK_RAW, 27423828, NULL },
    { "[   27.423828] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "[   27.423828]  dump_stack+0x6b/0x83", OG_CLOCK_BOOT, 27423828,
      " dump_stack+0x6b/0x83" },
    { "[   27.423828] [    256]     0   256", OG_CLOCK_BOOT, 27423828,
      "[    256]     0   256" },
    { "[   27.423828][   C0] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "[   27.423828 <    0.000001>] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "[   27.423828] web kernel: text", OG_CLOCK_BOOT, 27423828, "text" },
    { "[   27.423828] a: kernel: text", OG_CLOCK_BOOT, 27423828, "a: kernel: text" },
    { "<4>[   27.423828] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "<12>[   27.423828] text", OG_CLOCK_BOOT, 27423828, NULL },
    { "<4>text", OG_CLOCK_NONE, 0, "text" },
    { "kern  :warn  : [   27.423828] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "kern  :warn  : text", OG_CLOCK_NONE, 0, "text" },
    { "daemon:warn  : [   27.423828] text", OG_CLOCK_BOOT, 27423828, NULL },
    { "[Thu Nov 26 01:02:03 2026] text", OG_CLOCK_WALL, 1795654923000000, "text" },
    { "[Nov26 01:02] text", OG_CLOCK_WALL, 1795654920000000, "text" },
    { "[  +0.000123] text", OG_CLOCK_NONE, 0, "text" },
    { "2026-11-26T01:02:03,000001+00:00 text", OG_CLOCK_WALL, 1795654923000001, "text" },
    { "2026-11-26T01:02:03.000001+00:00 web kernel: text", OG_CLOCK_WALL, 1795654923000001,
      "text" },
    { "2026-11-26T01:02:03.000001+00:00 text", OG_CLOCK_WALL, 1795654923000001, NULL },
    { "Nov 26 01:02:03 web kernel: [   27.423828] text", OG_CLOCK_BOOT, 27423828, "text" },
    { "Nov 26 01:02:03 web kernel: text", OG_CLOCK_WALL, 1795654923000000, "text" },
    { "Nov 26 01:02:03 web kern.err kernel: text", OG_CLOCK_WALL, 1795654923000000, "text" },
    { "Nov 26 01:02:03 kern.err kernel: text", OG_CLOCK_WALL, 1795654923000000, "text" },
    { "Nov 26 01:02:03 kernel: text", OG_CLOCK_WALL, 1795654923000000, "text" },
    { "Nov 26 01:02:03 web user.err kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web sudo: kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web a kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web kernel[1]: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "<6>1 2026-11-26T01:02:03Z web kernel - - - text", OG_CLOCK_WALL, 1795654923000000,
      "text" },
    { "Thu 2026-11-26 01:02:03 UTC web kernel: text", OG_CLOCK_WALL, 1795654923000000,
      "text" },
    { "1795654923.000001 web kernel: text", OG_CLOCK_WALL, 1795654923000001, "text" },
    { "text", OG_CLOCK_NONE, 0, "text" },
    { "text\r", OG_CLOCK_NONE, 0, "text" },
    { "[   27.423828] a\tb\\c\xc3\xa9", OG_CLOCK_BOOT, 27423828, "a\\x09b\\x5cc\\xc3\\xa9" },
    { "[   27.423828] a\\x09#011\\x41#101", OG_CLOCK_BOOT, 27423828,
      "a\\x09\\x09\\x5cx41#101" },
    /* What may stand before the text, or be the text. */
    { "<7>text", OG_CLOCK_NONE, 0, "text" },
    { "<8>text", OG_CLOCK_NONE, 0, NULL },
    { "<4294967295>text", OG_CLOCK_NONE, 0, NULL },
    { "<4294967296>text", OG_CLOCK_NONE, 0, "<4294967296>text" },
    { "<>text", OG_CLOCK_NONE, 0, "<>text" },
    { "<4text", OG_CLOCK_NONE, 0, "<4text" },
    { "4>text", OG_CLOCK_NONE, 0, "4>text" },
    { "[   27.423828]text", OG_CLOCK_BOOT, 27423828, "text" },
    { "[   27.423828", OG_CLOCK_NONE, 0, "[   27.423828" },
    { "[   27.423828 text", OG_CLOCK_NONE, 0, "[   27.423828 text" },
    { "[27.4 <0.000001 >  ] text", OG_CLOCK_BOOT, 27400000, "text" },
    { "[27.4 < x>] text", OG_CLOCK_NONE, 0, "[27.4 < x>] text" },
    { "[27.4 <0.1] text", OG_CLOCK_NONE, 0, "[27.4 <0.1] text" },
    { "[27.4] web kernel text", OG_CLOCK_BOOT, 27400000, "web kernel text" },
    { "[27.4] web[1] kernel: text", OG_CLOCK_BOOT, 27400000, "web[1] kernel: text" },
    { "[27.4] kernel: text", OG_CLOCK_BOOT, 27400000, "kernel: text" },
    { "[27.4] ", OG_CLOCK_BOOT, 27400000, "" },
    { "[Thu Nov 26 01:02:03 2026 <    0.000001>] text", OG_CLOCK_WALL, 1795654923000000,
      "text" },
    { "[Thu Nov 26 01:02:03 2026 text", OG_CLOCK_NONE, 0, "[Thu Nov 26 01:02:03 2026 text" },
    { "Thu Nov 26 01:02:03 2026] text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "[Nov26 01:02]text", OG_CLOCK_WALL, 1795654920000000, "text" },
    { "[Nov26 01:02 text", OG_CLOCK_NONE, 0, "[Nov26 01:02 text" },
    { "Nov26 01:02] text", OG_CLOCK_NONE, 0, "Nov26 01:02] text" },
    { "[  +0.000123 text", OG_CLOCK_NONE, 0, "[  +0.000123 text" },
    { "[  +x] text", OG_CLOCK_NONE, 0, "[  +x] text" },
    { "kern  :warn  : ", OG_CLOCK_NONE, 0, "" },
    { "kern  :warn  :", OG_CLOCK_NONE, 0, "kern  :warn  :" },
    { "kern  :azAz  : text", OG_CLOCK_NONE, 0, "kern  :azAz  : text" },
    { "kern  :09:az : text", OG_CLOCK_NONE, 0, "text" },
    { "kern  :warn/ : text", OG_CLOCK_NONE, 0, "kern  :warn/ : text" },
    { "kern  :warn; : text", OG_CLOCK_NONE, 0, "kern  :warn; : text" },
    { "kern  :warn` : text", OG_CLOCK_NONE, 0, "kern  :warn` : text" },
    { "kern  :warn{ : text", OG_CLOCK_NONE, 0, "kern  :warn{ : text" },
    { "Kern  :warn  : text", OG_CLOCK_NONE, 0, "Kern  :warn  : text" },
    { "kern  xwarn  : text", OG_CLOCK_NONE, 0, "kern  xwarn  : text" },
    { "kern  :warn  x text", OG_CLOCK_NONE, 0, "kern  :warn  x text" },
    { "kern  :warn  :text.", OG_CLOCK_NONE, 0, "kern  :warn  :text." },
    { "kern a:warn  : text", OG_CLOCK_NONE, 0, NULL },
    /* Times of the day. */
    { "1 text", OG_CLOCK_NONE, 0, "1 text" },
    { "1 2026-11-26T01:02:03Z web kernel - - - text", OG_CLOCK_WALL, 1795654923000000,
      "text" },
    { "2026-11-26T01:02:03,000001+00:00", OG_CLOCK_WALL, 1795654923000001, "" },
    { "2026-11-26T01:02:03,", OG_CLOCK_WALL, 1795654923000000, "," },
    { "2026-11-26T01:02:03", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "1 2026-11-26T01:02:03,5Z text", OG_CLOCK_WALL, 1795654923500000, NULL },
    { "<8>2026-11-26T01:02:03,5Z text", OG_CLOCK_WALL, 1795654923500000, NULL },
    { "1970-01-01T00:00:00Z web kernel: text", OG_CLOCK_WALL, 0, "text" },
    { "1970-01-01T00:00:00+00:01 web kernel: text", OG_CLOCK_NONE, 0, "text" },
    { "Thu 2026-11-26 01:02:03.000000000000000001 UTC web kernel: text", OG_CLOCK_WALL,
      1795654923000000, "text" },
    { "Thu 2026-11-26 01:02:03.0000000000000000001 UTC web kernel: text", OG_CLOCK_NONE, 0,
      "Thu 2026-11-26 01:02:03.0000000000000000001 UTC web kernel: text" },
    { "Thux 2026-11-26 01:02:03 UTC web kernel: text", OG_CLOCK_NONE, 0,
      "Thux 2026-11-26 01:02:03 UTC web kernel: text" },
    { "Th 2026-11-26 01:02:03 UTC web kernel: text", OG_CLOCK_NONE, 0,
      "Th 2026-11-26 01:02:03 UTC web kernel: text" },
    { "Thu 2026-11-26 01:02:03 UTC", OG_CLOCK_NONE, 0, "Thu 2026-11-26 01:02:03 UTC" },
    { "1795654923.000001", OG_CLOCK_NONE, 0, "1795654923.000001" },
    { "1795654923.000001x", OG_CLOCK_NONE, 0, "1795654923.000001x" },
    /* Tags. */
    { "Nov 26 01:02:03  web kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 kern.err web kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web kern.err x kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web kern.err: kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web[ kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web kernel:text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "<8>Nov 26 01:02:03 web kernel: text", OG_CLOCK_WALL, 1795654923000000, NULL },
    { "Nov 26 01:02:03 web kernel: ", OG_CLOCK_WALL, 1795654923000000, "" },
    /* Escapes of bytes that are not printed, and what looks like some. */
    { "\\x00\\x1f\\x7f\\x80\\xff\\x5c", OG_CLOCK_NONE, 0,
      "\\x00\\x1f\\x7f\\x80\\xff\\x5c" },
    { "\\x20\\x7e", OG_CLOCK_NONE, 0, "\\x5cx20\\x5cx7e" },
    { "\\x1\\x0g\\xg0\\x0A\\x0:\\x0`\\x0/\\y00", OG_CLOCK_NONE, 0,
      "\\x5cx1\\x5cx0g\\x5cxg0\\x5cx0A\\x5cx0:\\x5cx0`\\x5cx0/\\x5cy00" },
    { "\\x0a\\xa0", OG_CLOCK_NONE, 0, "\\x0a\\xa0" },
    { "#000#037#177", OG_CLOCK_NONE, 0, "\\x00\\x1f\\x7f" },
    { "#040#176#201#008#080#-10#1", OG_CLOCK_NONE, 0, "#040#176#201#008#080#-10#1" },
    { "!011#011", OG_CLOCK_NONE, 0, "!011\\x09" },
    { "#01", OG_CLOCK_NONE, 0, "#01" },
};

START_TEST(knows_the_form)
{
    const char *line = lines[_i].line;

    ck_assert_msg(parse(line), "%s", line);
    ck_assert_msg((entry.rec.facility == 0) == (lines[_i].text != NULL), "%s", line);
    ck_assert_msg(entry.clock == lines[_i].clock, "%s: clock %d", line, entry.clock);
    ck_assert_msg(entry.rec.usec == lines[_i].usec, "%s: %llu", line,
                  (unsigned long long)entry.rec.usec);
    if (lines[_i].text != NULL)
        ck_assert_msg(entry.rec.len == strlen(lines[_i].text) &&
                          memcmp(entry.rec.text, lines[_i].text, entry.rec.len) == 0,
                      "%s: \"%.*s\"", line, (int)entry.rec.len, entry.rec.text);
}
END_TEST

static const struct {
    const char *line;
    int64_t wall, boot;
} times[] = {
    { "Nov 26 01:02:03 web kernel: [   27.423828] text", 1795654923000000, 27423828 },
    { "Nov 26 01:02:03 web kernel: text", 1795654923000000, OG_LOGTIME_NONE },
    { "Nov 26 01:02:03 web kernel: [   27.423828 text", 1795654923000000, OG_LOGTIME_NONE },
    { "Nov 26 01:02:03 web sudo: [   27.423828] text", 1795654923000000, OG_LOGTIME_NONE },
    { "[   27.423828] text", OG_LOGTIME_NONE, 27423828 },
    { "[Nov26 01:02] text", 1795654920000000, OG_LOGTIME_NONE },
    { "1970-01-01T00:00:00+00:01 web kernel: text", -60000000, OG_LOGTIME_NONE },
    { "text", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "4,403,27423828,-;text", OG_LOGTIME_NONE, 27423828 },
    { "4,403,9223372036854775806,-;text", OG_LOGTIME_NONE, INT64_MAX - 1 },
    { "4,403,9223372036854775808,-;text", OG_LOGTIME_NONE, INT64_MAX },
    { "4,403,18446744073709551615,-;text", OG_LOGTIME_NONE, INT64_MAX },
};

START_TEST(knows_both_times)
{
    ck_assert(parse(times[_i].line));
    ck_assert_msg(entry.wall_usec == times[_i].wall, "%s: %lld", times[_i].line,
                  (long long)entry.wall_usec);
    ck_assert_msg(entry.boot_usec == times[_i].boot, "%s: %lld", times[_i].line,
                  (long long)entry.boot_usec);
}
END_TEST

/* UTC says what it is, other names of zones do not. */
START_TEST(knows_utc)
{
    setenv("TZ", "CET-1", 1);
    tzset();
    ck_assert(parse("Thu 2026-11-26 01:02:03 UTC web kernel: text"));
    ck_assert_int_eq(entry.wall_usec, 1795654923000000);
    ck_assert(parse("Thu 2026-11-26 01:02:03.5 UTC web kernel: text"));
    ck_assert_int_eq(entry.wall_usec, 1795654923500000);
    ck_assert(parse("Thu 2026-11-26 01:02:03 UTCX web kernel: text"));
    ck_assert_int_eq(entry.wall_usec, 1795651323000000);
    ck_assert(parse("Thu 2026-11-26 01:02:03 CET web kernel: text"));
    ck_assert_int_eq(entry.wall_usec, 1795651323000000);
}
END_TEST

START_TEST(unmarked_lines_end_with_the_first_mark)
{
    static const char *const marked[] = { "[ 1.0] x", "4,1,1,-;x", "<4>x" };

    for (size_t i = 0; i < sizeof marked / sizeof *marked; i++) {
        og_logline_init(&reader, NOW_SEC);
        ck_assert(parse("text"));
        ck_assert(!parse(""));
        ck_assert(!parse("\r"));
        ck_assert(parse("text"));
        ck_assert(parse(marked[i]));
        ck_assert(!parse("text"));
    }
}
END_TEST

/* What only begins like a mark is none. */
START_TEST(looks_like_a_mark)
{
    static const char *const likes[] = {
        "[Nov26 01:02 text",  "[  +0.1 text",        "[ 1.0 text", "[Thu Nov 26 01:02:03 2026 x",
        "kern  :warn{ : x", "kern  :warn  x text", "<4 text",    "1 text",
        "1795654923.5",       "4,1,1;text",
    };

    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
        ck_assert_msg(parse(likes[i]), "%s", likes[i]);
        ck_assert_msg(parse("text"), "%s", likes[i]);
    }
}
END_TEST

/* What others wrote is not escaped. */
START_TEST(has_the_text_of_others)
{
    ck_assert(parse("Nov 26 01:02:03 web sudo: a\tb"));
    ck_assert_uint_eq(entry.rec.len, 13);
    ck_assert_int_eq(memcmp(entry.rec.text, "web sudo: a\tb", 13), 0);
}
END_TEST

START_TEST(deltas_add_up)
{
    ck_assert(parse("[Nov26 01:02] x"));
    ck_assert(parse("[  +1.000001] x"));
    ck_assert(parse("[  +1.000001] x"));
    ck_assert_int_eq(entry.wall_usec, 1795654922000002);
    ck_assert_int_eq(entry.clock, OG_CLOCK_WALL);
    /* Too much to be added. */
    ck_assert(parse("[+9223372036853.999999] x"));
    ck_assert_int_eq(entry.wall_usec, OG_LOGTIME_NONE);
    ck_assert(parse("[  +1.000001] x"));
    ck_assert_int_eq(entry.wall_usec, OG_LOGTIME_NONE);
    ck_assert_int_eq(entry.clock, OG_CLOCK_NONE);
}
END_TEST

START_TEST(text_is_cut)
{
    static char line[2 * OG_LOGLINE_TEXT_MAX];

    memset(line, '\x01', sizeof line);
    og_logline_text(&entry, (og_span_t){ line, line + sizeof line }, OG_ESCAPES_NONE);
    ck_assert_uint_eq(entry.rec.len, OG_LOGLINE_TEXT_MAX);
    ck_assert_int_eq(memcmp(entry.rec.text, "\\x01\\x01", 8), 0);
    /* A byte that might need an escape must have room for it. */
    memset(line, 'x', sizeof line);
    og_logline_text(&entry, (og_span_t){ line, line + sizeof line }, OG_ESCAPES_NONE);
    ck_assert_uint_eq(entry.rec.len, OG_LOGLINE_TEXT_MAX - 3);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("logline");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, knows_the_form, 0, sizeof lines / sizeof *lines);
    tcase_add_loop_test(c, knows_both_times, 0, sizeof times / sizeof *times);
    tcase_add_test(c, knows_utc);
    tcase_add_test(c, unmarked_lines_end_with_the_first_mark);
    tcase_add_test(c, looks_like_a_mark);
    tcase_add_test(c, has_the_text_of_others);
    tcase_add_test(c, deltas_add_up);
    tcase_add_test(c, text_is_cut);
    return unit_run("logline", &c, 1);
}
