/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/span.h"
#include "unit.h"

#include <limits.h>
#include <string.h>

static const char *begin;

/* A span of that text, which goes on behind it with what must not be looked at. */
static og_span_t of(const char *text)
{
    static char copy[2048];
    size_t len = strlen(text);

    ck_assert_uint_lt(len + 16, sizeof copy);
    strcpy(copy, text);
    strcpy(copy + len, "0123456789abc");
    begin = copy;
    return (og_span_t){ copy, copy + len };
}

/* How much was taken from its start, if the rest is that text. */
static size_t took(og_span_t s, const char *rest)
{
    ck_assert_uint_eq((size_t)(s.end - s.p), strlen(rest));
    ck_assert(memcmp(s.p, rest, strlen(rest)) == 0);
    return (size_t)(s.p - begin);
}

START_TEST(eats_words)
{
    og_span_t s = of("abcd");

    ck_assert(og_span_eat(&s, ""));
    ck_assert(!og_span_eat(&s, "b"));
    ck_assert(!og_span_eat(&s, "abd"));
    ck_assert(!og_span_eat(&s, "abcd0"));
    ck_assert_uint_eq(took(s, "abcd"), 0);
    ck_assert(og_span_eat(&s, "ab"));
    ck_assert_uint_eq(took(s, "cd"), 2);
    ck_assert(og_span_eat(&s, "cd"));
    ck_assert_uint_eq(took(s, ""), 4);
    ck_assert(!og_span_eat(&s, "0"));
    ck_assert(og_span_eat(&s, ""));
}
END_TEST

START_TEST(eats_words_from_the_end)
{
    og_span_t s = of("abcd");

    ck_assert(og_span_eat_back(&s, ""));
    ck_assert(!og_span_eat_back(&s, "c"));
    ck_assert(!og_span_eat_back(&s, "bd"));
    s.p++;
    ck_assert(!og_span_eat_back(&s, "abcd"));
    ck_assert_uint_eq(took(s, "bcd"), 1);
    ck_assert(og_span_eat_back(&s, "cd"));
    ck_assert_uint_eq(took(s, "b"), 1);
    ck_assert(og_span_eat_back(&s, "b"));
    ck_assert_uint_eq(took(s, ""), 1);
    ck_assert(!og_span_eat_back(&s, "a"));
}
END_TEST

START_TEST(eats_spaces)
{
    og_span_t s = of("   x ");

    og_span_spaces(&s);
    ck_assert_uint_eq(took(s, "x "), 3);
    og_span_spaces(&s);
    ck_assert_uint_eq(took(s, "x "), 3);
    s = of("  ");
    og_span_spaces(&s);
    ck_assert_uint_eq(took(s, ""), 2);
}
END_TEST

static const struct {
    const char *text;
    size_t taken;
} callers[] = {
    { "[    T123] x", 10 },
    { "[   C0]x", 7 },
    { "[T1]", 4 },
    { "[C18446744073709551615]", 23 },
    { "T123]", 0 },
    { "[123]", 0 },
    { "[ X123]", 0 },
    { "[ T]", 0 },
    { "[ T123", 0 },
    { "[ T123 ]", 0 },
    { "[ TC1]", 0 },
    { "[ T-1]", 0 },
    { "[", 0 },
    { "", 0 },
    { " [T123]", 0 },
};

START_TEST(eats_callers)
{
    og_span_t s = of(callers[_i].text);

    og_span_caller(&s);
    ck_assert_uint_eq(took(s, callers[_i].text + callers[_i].taken), callers[_i].taken);
}
END_TEST

/* taken: 0: it is refused. */
static const struct {
    const char *text;
    size_t taken;
    int64_t n;
} pids[] = {
    { "1", 1, 1 },
    { "4242 (httpd)", 4, 4242 },
    { "2147483647", 10, INT_MAX },
    { "2147483648", 0, 0 },
    { "4294967297", 0, 0 },
    { "18446744073709551616", 0, 0 },
    { "0", 0, 0 },
    { "-1", 0, 0 },
    { "+1", 0, 0 },
    { " 1", 0, 0 },
    { "x", 0, 0 },
    { "", 0, 0 },
}, uids[] = {
    { "0", 1, 0 },
    { "48,", 2, 48 },
    { "4294967295", 10, UINT32_MAX },
    { "4294967296", 0, 0 },
    { "18446744073709551616", 0, 0 },
    { "-1", 0, 0 },
    { "x", 0, 0 },
    { "", 0, 0 },
}, values[] = {
    { "0", 1, 0 },
    { "12kB", 2, 12 },
    { "-4kB", 2, -4 },
    { "9223372036854775807kB", 19, INT64_MAX },
    { "9223372036854775808kB", 19, OG_KMSG_UNKNOWN },
    { "-9223372036854775807", 20, -INT64_MAX },
    { "-9223372036854775809", 20, OG_KMSG_UNKNOWN },
    { "18446744073709551612/", 20, OG_KMSG_UNKNOWN },
    { "99999999999999999999999:", 23, OG_KMSG_UNKNOWN },
    { "-", 0, OG_KMSG_UNKNOWN },
    { "--1", 0, OG_KMSG_UNKNOWN },
    { "kB", 0, OG_KMSG_UNKNOWN },
    { "", 0, OG_KMSG_UNKNOWN },
};

START_TEST(eats_pids)
{
    og_span_t s = of(pids[_i].text);
    pid_t pid = -7;

    ck_assert_int_eq(og_span_pid(&s, &pid), pids[_i].taken > 0);
    ck_assert_uint_eq(took(s, pids[_i].text + pids[_i].taken), pids[_i].taken);
    ck_assert_int_eq(pid, pids[_i].taken > 0 ? pids[_i].n : -7);
}
END_TEST

START_TEST(eats_uids)
{
    og_span_t s = of(uids[_i].text);
    int64_t uid = -7;

    ck_assert_int_eq(og_span_uid(&s, &uid), uids[_i].taken > 0);
    ck_assert_uint_eq(took(s, uids[_i].text + uids[_i].taken), uids[_i].taken);
    ck_assert_int_eq(uid, uids[_i].taken > 0 ? uids[_i].n : -7);
}
END_TEST

START_TEST(eats_values)
{
    og_span_t s = of(values[_i].text);
    int64_t value = -7;

    ck_assert_int_eq(og_span_value(&s, &value), values[_i].taken > 0);
    ck_assert_uint_eq(took(s, values[_i].text + values[_i].taken), values[_i].taken);
    ck_assert_int_eq(value, values[_i].n);
}
END_TEST

START_TEST(finds_words)
{
    og_span_t s = of("abcbc");

    ck_assert_ptr_eq(og_span_find(s.p, s.end, "bc"), s.p + 1);
    ck_assert_ptr_eq(og_span_find(s.p + 2, s.end, "bc"), s.p + 3);
    ck_assert_ptr_null(og_span_find(s.p, s.end, "bc0"));
    ck_assert_ptr_null(og_span_find(s.end, s.end, "0"));
}
END_TEST

/* A task has 15 bytes for its name. */
static const struct {
    const char *text;
    bool is;
} names[] = {
    { "", true },
    { "httpd", true },
    { "123456789012345", true },
    { "1234567890123456", false },
    { "\\x0a\\x0b\\xf0\\x99\\x00\\x0a\\x0b\\xf0\\x99\\x00\\x0a\\x0b\\xf0\\x99\\x00",
      true },
    { "\\x0a\\x0b\\xf0\\x99\\x00\\x0a\\x0b\\xf0\\x99\\x00\\x0a\\x0b\\xf0\\x99\\x00x",
      false },
    { "12345678901\\x0a234", true },
    { "123456789012\\x0a234", false },
    /* What is no escape is as long as it stands there. */
    { "12345678901\\x0A", true },
    { "123456789012\\x0A", false },
    { "123456789012\\xg0", false },
    { "123456789012\\x0g", false },
    { "123456789012\\x/0", false },
    { "123456789012\\x:0", false },
    { "123456789012\\x`0", false },
    { "123456789012\\y00", false },
    { "123456789012/x00", false },
    { "1234567890123\\x0", false },
    { "123456789012\\x0", true },
};

START_TEST(knows_names_by_their_length)
{
    ck_assert_int_eq(og_span_is_comm(of(names[_i].text)), names[_i].is);
}
END_TEST

START_TEST(puts_bytes)
{
    char out[5];

    for (int c = 0; c < 256; c++) {
        memset(out, '#', sizeof out);
        ck_assert_int_eq(og_span_is_plain((unsigned char)c),
                         c >= ' ' && c <= '~' && c != '\\');
        ck_assert_uint_eq(og_span_put(out, (unsigned char)c, true), 1);
        ck_assert_int_eq((unsigned char)out[0], c);
        ck_assert_int_eq(out[1], '#');
        ck_assert_uint_eq(og_span_put(out, (unsigned char)c, false), 4);
        ck_assert_int_eq(out[4], '#');
        out[4] = '\0';
        ck_assert(memcmp(out, "\\x", 2) == 0);
        ck_assert_int_eq(strtol(out + 2, NULL, 16), c);
        ck_assert_uint_eq(strspn(out + 2, "0123456789abcdef"), 2);
    }
}
END_TEST

static const struct {
    const char *text, *comm, *path;
} copies[] = {
    { "", "", "" },
    { "httpd", "httpd", "httpd" },
    { " ~}\\", " ~}\\", " ~}\\" },
    { "a\\x41b", "a\\x41b", "aAb" },
    { "\\x5cx2d", "\\x5cx2d", "\\x2d" }, /* one turn only */
    { "\\x20\\x7e", "\\x20\\x7e", " ~" },
    { "\\xc3\\xa4", "\\xc3\\xa4", "\303\244" },
    { "\303\244", "\\xc3\\xa4", "\303\244" },
    { "\\x0a\\x1f\\x7f\\x9b", "\\x0a\\x1f\\x7f\\x9b", "\\x0a\\x1f\\x7f\233" },
    { "\n\037\177\200", "\\x0a\\x1f\\x7f\\x80", "\\x0a\\x1f\\x7f\200" },
    { "\\x0A\\x\\xx", "\\x0A\\x\\xx", "\\x0A\\x\\xx" },
};

START_TEST(copies_names_and_paths)
{
    char comm[OG_KMSG_COMM_MAX], path[OG_KMSG_CGROUP_MAX];

    og_span_comm(comm, of(copies[_i].text));
    ck_assert_str_eq(comm, copies[_i].comm);
    og_span_path(path, of(copies[_i].text));
    ck_assert_str_eq(path, copies[_i].path);
}
END_TEST

/* Whole or not at all, and what stands behind it is untouched. */
static void fits(void (*copy)(char *, og_span_t), size_t room, size_t plain, bool escaped)
{
    char text[OG_KMSG_CGROUP_MAX + 2], out[OG_KMSG_CGROUP_MAX + 1];
    size_t len = plain + (escaped ? 4 : 0);

    memset(text, 'p', plain);
    strcpy(text + plain, escaped ? "\n" : "");
    memset(out, '#', sizeof out);
    copy(out, of(text));
    ck_assert_uint_eq(strlen(out), len < room ? len : 0);
    ck_assert_int_eq(out[room], '#');
}

START_TEST(copies_what_fits)
{
    for (size_t plain = 0; plain <= OG_KMSG_CGROUP_MAX; plain++)
        for (int escaped = 0; escaped <= 1; escaped++) {
            fits(og_span_comm, OG_KMSG_COMM_MAX, plain, escaped);
            fits(og_span_path, OG_KMSG_CGROUP_MAX, plain, escaped);
        }
}
END_TEST

#define LOOP(test, table)                                                                \
    tcase_add_loop_test(tc, test, 0, (int)(sizeof table / sizeof *table))

int main(void)
{
    TCase *tc = tcase_create("span");

    tcase_add_test(tc, eats_words);
    tcase_add_test(tc, eats_words_from_the_end);
    tcase_add_test(tc, eats_spaces);
    LOOP(eats_callers, callers);
    LOOP(eats_pids, pids);
    LOOP(eats_uids, uids);
    LOOP(eats_values, values);
    tcase_add_test(tc, finds_words);
    LOOP(knows_names_by_their_length, names);
    tcase_add_test(tc, puts_bytes);
    LOOP(copies_names_and_paths, copies);
    tcase_add_test(tc, copies_what_fits);
    return unit_run("span", &tc, 1);
}
