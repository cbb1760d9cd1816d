/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/journal.h"
#include "edge.h"
#include "unit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define NONE OG_LOGTIME_NONE
#define FIELD_MAX ((uint64_t)768 * 1024 * 1024) /* systemd's DATA_SIZE_MAX */

static og_journal_t journal;
static og_entry_t entry;

static void setup(void)
{
    memset(&journal, 'x', sizeof journal);
    memset(&entry, 'x', sizeof entry);
    og_journal_init(&journal);
}

/* --- An entry ----------------------------------------------------------------------- */

static bool read_json(const char *line, size_t len)
{
    return og_journal_json(&journal, at_edge(line, len), len);
}

static void json(const char *line)
{
    ck_assert_msg(read_json(line, strlen(line)), "%s", line);
}

static const struct {
    const char *line;
    bool kernel;
} origins[] = {
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\"}", true },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"\"}", true },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":\"0\"}", true },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"\":\"x\",\"SYSLOG_FACILITX\":\"1\"}",
      true },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":\"1\"}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":\"00\"}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":\"\"}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":[\"0\",\"1\"]}",
      false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\",\"SYSLOG_FACILITY\":0}", false },
    { "{\"_TRANSPORT\":\"kernels\",\"MESSAGE\":\"a\"}", false },
    { "{\"_TRANSPORT\":\"kerneL\",\"MESSAGE\":\"a\"}", false },
    { "{\"_TRANSPORT\":[\"kernel\"],\"MESSAGE\":\"a\"}", false },
    { "{\"_TRANSPORX\":\"kernel\",\"MESSAGE\":\"a\"}", false },
    { "{\"TRANSPORT\":\"kernel\",\"MESSAGE\":\"a\"}", false },
    { "{\"MESSAGE\":\"a\"}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGX\":\"a\"}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":null}", false },
    { "{\"_TRANSPORT\":\"kernel\",\"X\":[65]}", false },
};

START_TEST(knows_the_kernel)
{
    json("{\"_TRANSPORT\":\"stdout\",\"MESSAGE\":\"b\",\"SYSLOG_FACILITY\":\"3\"}");
    ck_assert(!og_journal_is_kernel(&journal));
    json(origins[_i].line); /* nothing of the one before is left */
    ck_assert_msg(og_journal_is_kernel(&journal) == origins[_i].kernel, "%s",
                  origins[_i].line);
}
END_TEST

static const struct {
    const char *real, *mono, *source;
    int64_t wall, boot;
    og_clock_t clock;
    uint64_t usec;
} times[] = {
    { "1795654923000001", "12345755", "12345678", 1795654923000001, 12345678, OG_CLOCK_BOOT,
      12345678 },
    { "1795654923000001", "12345755", "", 1795654923000001, 12345755, OG_CLOCK_BOOT,
      12345755 },
    { "1795654923000001", "12345755", "-1", 1795654923000001, 12345755, OG_CLOCK_BOOT,
      12345755 },
    { "1795654923000001", "12345755", "1x", 1795654923000001, 12345755, OG_CLOCK_BOOT,
      12345755 },
    { "", "", "0", NONE, 0, OG_CLOCK_BOOT, 0 },
    { "1795654923000001", "", "", 1795654923000001, NONE, OG_CLOCK_WALL, 1795654923000001 },
    { "0", "x", " 1", 0, NONE, OG_CLOCK_WALL, 0 },
    { "9223372036854775808", "", "", NONE, NONE, OG_CLOCK_NONE, 0 },
    { "", "", "", NONE, NONE, OG_CLOCK_NONE, 0 },
    /* As many digits as there is room for, and one more. */
    { "00000000000000000000012", "", "", 12, NONE, OG_CLOCK_WALL, 12 },
    { "000000000000000000000012", "", "", NONE, NONE, OG_CLOCK_NONE, 0 },
};

START_TEST(knows_the_time)
{
    char line[300];

    snprintf(line, sizeof line,
             "{\"__REALTIME_TIMESTAMP\":\"%s\",\"__MONOTONIC_TIMESTAMP\":\"%s\","
             "\"_SOURCE_MONOTONIC_TIMESTAMP\":\"%s\",\"_SOURCE_REALTIME_TIMESTAMP\":\"7\"}",
             times[_i].real, times[_i].mono, times[_i].source);
    json("{\"__REALTIME_TIMESTAMP\":\"1\",\"__MONOTONIC_TIMESTAMP\":\"2\","
         "\"_SOURCE_MONOTONIC_TIMESTAMP\":\"3\"}");
    json(line); /* nothing of the one before is left */
    og_journal_entry(&journal, &entry);
    ck_assert_int_eq(entry.wall_usec, times[_i].wall);
    ck_assert_int_eq(entry.boot_usec, times[_i].boot);
    ck_assert_int_eq(entry.clock, times[_i].clock);
    ck_assert_uint_eq(entry.rec.usec, times[_i].usec);
}
END_TEST

START_TEST(times_that_are_not_there)
{
    json("{\"__REALTIME_TIMESTAMP\":\"1\",\"__MONOTONIC_TIMESTAMP\":\"2\","
         "\"_SOURCE_MONOTONIC_TIMESTAMP\":\"3\"}");
    ck_assert_uint_eq(journal.len, 0);
    json("{\"MESSAGE\":\"a\"}");
    json("{}");
    og_journal_entry(&journal, &entry);
    ck_assert_uint_eq(entry.rec.len, 0);
    ck_assert_int_eq(entry.wall_usec, NONE);
    ck_assert_int_eq(entry.boot_usec, NONE);
    ck_assert_int_eq(entry.clock, OG_CLOCK_NONE);
}
END_TEST

/* The kernel's escapes are put back, and what looks like one was none. */
START_TEST(makes_a_record)
{
    static const char text[] = "a \\x5cx41\\xc3\\xa9\\x09";

    json("{\"MESSAGE\":\"a \\\\x41\xc3\xa9\\t\"}");
    og_journal_entry(&journal, &entry);
    ck_assert_uint_eq(entry.rec.len, strlen(text));
    ck_assert_int_eq(memcmp(entry.rec.text, text, strlen(text)), 0);
    ck_assert_uint_eq(entry.rec.facility, 0);
    ck_assert_uint_eq(entry.rec.seq, 0);
    ck_assert(!entry.rec.fragment);
}
END_TEST

static void has_message(const char *text, size_t len)
{
    ck_assert(journal.message);
    ck_assert_uint_eq(journal.len, len);
    ck_assert_int_eq(memcmp(journal.text, text, len), 0);
}

/* --- -o json ------------------------------------------------------------------------ */

static const struct {
    const char *line, *text; /* NULL: no message */
} messages[] = {
    { "{\"MESSAGE\":\"a\"}", "a" },
    { "\x1e{\"MESSAGE\":\"a\"}", "a" },
    { "data: {\"MESSAGE\":\"a\"}", "a" },
    { "{\"MESSAGE\":[65,0,255]}", "A\0\xff" },
    { "{\"MESSAGE\":[65,0,256]}", NULL },
    { "{\"MESSAGE\":[65,0,-1]}", NULL },
    { "{\"MESSAGE\":[65,0,\"1\"]}", NULL },
    { "{\"MESSAGE\":{\"0\":65}}", NULL },
    { "{\"MESSAGF\":[65]}", NULL },
};

START_TEST(reads_json)
{
    const char *text = messages[_i].text;

    json(messages[_i].line);
    ck_assert_msg(journal.message == (text != NULL), "%s", messages[_i].line);
    if (text != NULL)
        has_message(text, *text == 'A' ? 3 : 1);
}
END_TEST

START_TEST(reads_a_nul)
{
    json("{\"MESSAGE\":\"a\\u0000b\"}");
    has_message("a\0b", 3);
}
END_TEST

START_TEST(reads_no_other)
{
    static const char *const lines[] = {
        "", "{", "x{\"MESSAGE\":\"a\"}", "{\"MESSAGE\":\"a\"", "{\"MESSAGE\":\"a\"}x",
        "{\"MESSAGE\":\"\xff\"}", "[]", "data: ", "\x1e", "MESSAGE=a",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(!read_json(lines[i], strlen(lines[i])), "%s", lines[i]);
    /* The line has an end. */
    ck_assert(!read_json("{}", 1));
    ck_assert(!read_json("{}", 0));
}
END_TEST

/* A message of the greatest length that the kernel's have, or of a byte more. */
START_TEST(reads_the_longest)
{
    static char line[3 * OG_KMSG_RECORD_MAX + 100], text[OG_KMSG_RECORD_MAX];
    size_t n = OG_KMSG_RECORD_MAX + (size_t)_i % 2, len;

    memset(text, 'A', sizeof text);
    len = (size_t)sprintf(line, "{\"MESSAGE\":%c", _i < 2 ? '"' : '[');
    for (size_t i = 0; i < n; i++)
        len += (size_t)sprintf(line + len, "%s", _i < 2 ? "A" : i == 0 ? "65" : ",65");
    sprintf(line + len, "%c}", _i < 2 ? '"' : ']');
    json(line);
    ck_assert(journal.message == (_i % 2 == 0));
    if (_i % 2 == 0)
        has_message(text, sizeof text);
}
END_TEST

static int allocated; /* pieces of memory */

static void *allocate(size_t n)
{
    allocated++;
    return malloc(n);
}

static void release(void *p)
{
    allocated -= p != NULL;
    free(p);
}

START_TEST(releases_all)
{
    json_set_alloc_funcs(allocate, release);
    json("{\"MESSAGE\":[65,66],\"X\":{\"Y\":\"Z\"}}");
    ck_assert(!read_json("{\"MESSAGE\":[65", 14));
    json_set_alloc_funcs(malloc, free);
    ck_assert_int_eq(allocated, 0);
}
END_TEST

/* --- -o export ---------------------------------------------------------------------- */

START_TEST(knows_export)
{
    ck_assert(og_journal_is_export("__CURSOR=s=0", 12));
    ck_assert(!og_journal_is_export(at_edge("__CURSOR=s=0", 8), 8));
    ck_assert(!og_journal_is_export("__CURSOR:s=0", 12));
}
END_TEST

static size_t used;
static uint64_t skipped;

static og_export_t export_field(const char *p, size_t len)
{
    used = 99;
    skipped = 99;
    return og_journal_export(&journal, at_edge(p, len), len, &used, &skipped);
}

/* What begins with p's first len bytes, of which n are taken. */
static void takes(og_export_t taken, const char *p, size_t len, size_t n)
{
    og_export_t got = export_field(p, len);

    ck_assert_msg(got == taken, "%.*s: %d", (int)len, p, got);
    ck_assert_msg(used == n, "%.*s: %zu", (int)len, p, used);
    ck_assert_uint_eq(skipped, 0);
}

static void takes_text(og_export_t taken, const char *text, size_t n)
{
    takes(taken, text, strlen(text), n);
}

START_TEST(reads_an_exported_entry)
{
    takes_text(OG_EXPORT_FIELD, "_TRANSPORT=kernel\nX", 18);
    takes_text(OG_EXPORT_FIELD, "SYSLOG_FACILITY=0\n", 18);
    takes_text(OG_EXPORT_FIELD, "MESSAGE=a=b\n", 12);
    takes_text(OG_EXPORT_FIELD, "__REALTIME_TIMESTAMP=3\n", 23);
    takes_text(OG_EXPORT_FIELD, "__MONOTONIC_TIMESTAMP=2\n", 24);
    takes_text(OG_EXPORT_FIELD, "_SOURCE_MONOTONIC_TIMESTAMP=1\n", 30);
    takes_text(OG_EXPORT_FIELD, "MESSAGE_ID=b\n", 13);
    takes_text(OG_EXPORT_ENTRY, "\n\n", 1);
    ck_assert(og_journal_is_kernel(&journal));
    has_message("a=b", 3);
    og_journal_entry(&journal, &entry);
    ck_assert_int_eq(entry.wall_usec, 3);
    ck_assert_int_eq(entry.boot_usec, 1);
    takes_text(OG_EXPORT_FIELD, "MESSAGE=\n", 9);
    has_message("", 0);
    takes_text(OG_EXPORT_FIELD, "SYSLOG_FACILITY=1\n", 18);
    ck_assert(!og_journal_is_kernel(&journal));
}
END_TEST

START_TEST(waits_for_the_whole_field)
{
    static const char text[] = "MESSAGE=a\n";

    for (size_t n = 0; n < sizeof text - 1; n++)
        takes(OG_EXPORT_MORE, text, n, 0);
    ck_assert(!journal.message);
    takes(OG_EXPORT_FIELD, text, sizeof text - 1, sizeof text - 1);
}
END_TEST

START_TEST(ends_with_what_is_no_field)
{
    static const char others[] = "a/:@[`-\x80\xff {";
    char name[] = "AZ_09?=x\n";

    takes_text(OG_EXPORT_END, "=x\n", 0);
    takes_text(OG_EXPORT_FIELD, "AZ_09=x\n", 8);
    takes_text(OG_EXPORT_FIELD, "B=x\n", 4);
    takes_text(OG_EXPORT_FIELD, "Y=x\n", 4);
    for (const char *c = others; *c != '\0'; c++) {
        name[5] = *c;
        takes_text(OG_EXPORT_END, name, 0);
        takes_text(OG_EXPORT_END, name + 5, 0);
    }
}
END_TEST

/* A name has 64 bytes at most. */
START_TEST(knows_the_longest_name)
{
    char text[80];

    memset(text, 'A', sizeof text);
    strcpy(text + 64, "=x\n");
    takes_text(OG_EXPORT_FIELD, text, 67);
    takes(OG_EXPORT_MORE, text, 64, 0);
    text[64] = 'A';
    takes(OG_EXPORT_END, text, 65, 0);
    strcpy(text + 65, "=x\n");
    takes_text(OG_EXPORT_END, text, 0);
}
END_TEST

/* Writes "NAME\n", so many bytes' length, n bytes of text and a newline; how many it makes. */
static size_t put_binary(char *out, const char *name, uint64_t len, size_t n)
{
    size_t at = (size_t)sprintf(out, "%s\n", name);

    for (int i = 0; i < 8; i++)
        out[at++] = (char)(len >> (8 * i) & 255);
    memset(out + at, 'b', n);
    out[at + n] = '\n';
    return at + n + 1;
}

START_TEST(reads_a_binary_field)
{
    static char bytes[2 * OG_KMSG_RECORD_MAX], text[OG_KMSG_RECORD_MAX];
    size_t n = put_binary(bytes, "MESSAGE", 0x203, 0x203);

    memset(text, 'b', sizeof text);
    for (size_t i = 0; i < n; i++)
        takes(OG_EXPORT_MORE, bytes, i, 0);
    ck_assert(!journal.message);
    takes(OG_EXPORT_FIELD, bytes, n, n);
    has_message(text, 0x203);
    takes(OG_EXPORT_FIELD, bytes, n + 1, n);
    bytes[n - 1] = 'b';
    takes(OG_EXPORT_END, bytes, n, 0);
    n = put_binary(bytes, "MESSAGE", 0, 0);
    takes(OG_EXPORT_FIELD, bytes, n, n);
    has_message("", 0);
    n = put_binary(bytes, "MESSAGE", OG_KMSG_RECORD_MAX, OG_KMSG_RECORD_MAX);
    takes(OG_EXPORT_MORE, bytes, n - 1, 0);
    takes(OG_EXPORT_FIELD, bytes, n, n);
    has_message(text, OG_KMSG_RECORD_MAX);
}
END_TEST

static void skips(const char *p, size_t len, size_t n, uint64_t skip)
{
    ck_assert_int_eq(export_field(p, len), OG_EXPORT_SKIP);
    ck_assert_uint_eq(used, n);
    ck_assert_uint_eq(skipped, skip);
}

/* Longer than any message of the kernel's. */
START_TEST(passes_over_a_long_binary_field)
{
    static char bytes[2 * OG_KMSG_RECORD_MAX];
    size_t len = OG_KMSG_RECORD_MAX + 1, n = put_binary(bytes, "MESSAGE", len, len);

    takes(OG_EXPORT_MORE, bytes, 15, 0);
    skips(bytes, 16, 16, len + 1);
    skips(bytes, 17, 17, len);
    skips(bytes, n - 1, n - 1, 1);
    skips(bytes, n, n, 0);
    skips(bytes, n + 1, n, 0);
    ck_assert(!journal.message);
    put_binary(bytes, "MESSAGE", FIELD_MAX, 0);
    skips(bytes, 16, 16, FIELD_MAX + 1);
    put_binary(bytes, "MESSAGE", FIELD_MAX + 1, 0);
    takes(OG_EXPORT_END, bytes, 16, 0);
    put_binary(bytes, "MESSAGE", (uint64_t)1 << 56, 0);
    takes(OG_EXPORT_END, bytes, 16, 0);
    put_binary(bytes, "MESSAGE", UINT64_MAX, 0);
    takes(OG_EXPORT_END, bytes, 16, 0);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("journal");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, knows_the_kernel, 0, sizeof origins / sizeof *origins);
    tcase_add_loop_test(c, knows_the_time, 0, sizeof times / sizeof *times);
    tcase_add_test(c, times_that_are_not_there);
    tcase_add_test(c, makes_a_record);
    tcase_add_loop_test(c, reads_json, 0, sizeof messages / sizeof *messages);
    tcase_add_test(c, reads_a_nul);
    tcase_add_test(c, reads_no_other);
    tcase_add_loop_test(c, reads_the_longest, 0, 4);
    tcase_add_test(c, releases_all);
    tcase_add_test(c, knows_export);
    tcase_add_test(c, reads_an_exported_entry);
    tcase_add_test(c, waits_for_the_whole_field);
    tcase_add_test(c, ends_with_what_is_no_field);
    tcase_add_test(c, knows_the_longest_name);
    tcase_add_test(c, reads_a_binary_field);
    tcase_add_test(c, passes_over_a_long_binary_field);
    return unit_run("journal", &c, 1);
}
