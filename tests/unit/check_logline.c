/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Lines of text here; whole logs, and the journal's entries, in tests/report. */
#include "oomguard/logline.h"
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
    og_logline_init(&reader, NOW_SEC);
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
};

START_TEST(knows_the_form)
{
    const char *line = lines[_i].line;

    ck_assert_msg(og_logline_parse(&reader, line, strlen(line), &entry), "%s", line);
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

START_TEST(unmarked_lines_end_with_the_first_mark)
{
    ck_assert(og_logline_parse(&reader, "text", 4, &entry));
    ck_assert(!og_logline_parse(&reader, "", 0, &entry));
    ck_assert(og_logline_parse(&reader, "[ 1.0] x", 8, &entry));
    ck_assert(!og_logline_parse(&reader, "text", 4, &entry));
}
END_TEST

START_TEST(deltas_add_up)
{
    static const char first[] = "[Nov26 01:02] x", next[] = "[  +1.000001] x";

    ck_assert(og_logline_parse(&reader, first, strlen(first), &entry));
    ck_assert(og_logline_parse(&reader, next, strlen(next), &entry));
    ck_assert(og_logline_parse(&reader, next, strlen(next), &entry));
    ck_assert_int_eq(entry.wall_usec, 1795654922000002);
}
END_TEST

START_TEST(text_is_cut)
{
    static char line[2 * OG_LOGLINE_TEXT_MAX];

    memset(line, '\x01', sizeof line);
    og_logline_text(&entry, (og_span_t){ line, line + sizeof line }, OG_ESCAPES_NONE);
    ck_assert_uint_eq(entry.rec.len, OG_LOGLINE_TEXT_MAX);
    ck_assert_int_eq(memcmp(entry.rec.text, "\\x01\\x01", 8), 0);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("logline");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, knows_the_form, 0, sizeof lines / sizeof *lines);
    tcase_add_test(c, unmarked_lines_end_with_the_first_mark);
    tcase_add_test(c, deltas_add_up);
    tcase_add_test(c, text_is_cut);
    return unit_run("logline", &c, 1);
}
