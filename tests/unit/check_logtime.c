/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/logtime.h"
#include "edge.h"
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 2026-11-26 12:00:00 UTC; 2027-01-02 likewise; 2025-03-10. */
#define NOW_SEC 1795694400
#define JANUARY_SEC 1798891200
#define NO_LEAP_SEC 1741608000

static void setup(void)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
}

typedef enum { ISO, CTIME, SYSLOG, MINUTE, SECONDS } form_t;

static const struct {
    form_t form;
    const char *text;
    int64_t usec; /* OG_LOGTIME_NONE: refused */
    int rest;     /* bytes that are left */
} times[] = {
    { ISO, "2026-11-26T01:02:03Z x", 1795654923000000, 2 },
    { ISO, "2026-11-26 01:02:03.5Z", 1795654923500000, 0 },
    { ISO, "2026-11-26T01:02:03,123456789+00:00", 1795654923123456, 0 },
    { ISO, "2026-11-26T01:02:03+0100", 1795651323000000, 0 },
    { ISO, "2026-11-26T01:02:03-01:30", 1795660323000000, 0 },
    { ISO, "2026-11-26T01:02:03 web", 1795651323000000, 4 }, /* CET */
    { ISO, "2026-07-26T01:02:03", 1785020523000000, 0 },     /* CEST */
    { ISO, "2024-02-29T00:00:00Z", 1709164800000000, 0 },
    { ISO, "2023-02-29T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-13-01T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-00-01T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-11-31T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-11-26T24:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-11-26T01:02", OG_LOGTIME_NONE, 16 },
    { ISO, "2026-11-26T01:02:03+1", OG_LOGTIME_NONE, 21 },
    { ISO, "2026-11-26T01:02:03+25:00", OG_LOGTIME_NONE, 25 },
    { ISO, "0026-11-26T01:02:03Z", OG_LOGTIME_NONE, 20 },
    { ISO, "", OG_LOGTIME_NONE, 0 },
    { CTIME, "Thu Nov 26 01:02:03 2026] x", 1795651323000000, 3 },
    { CTIME, "Fri Nov  6 01:02:03 2026", 1793923323000000, 0 },
    { CTIME, "Foo Nov  6 01:02:03 2026", OG_LOGTIME_NONE, 24 },
    { CTIME, "Thu Nov 26 01:02:03", OG_LOGTIME_NONE, 19 },
    { SYSLOG, "Nov 26 01:02:03 web", 1795651323000000, 4 },
    { SYSLOG, "Nov 26 01:02:03.25 web", 1795651323250000, 4 },
    { SYSLOG, "Nov  6 01:02:03", 1793923323000000, 0 },
    { SYSLOG, "Nov 27 01:02:03", 1795737723000000, 0 }, /* a day's difference */
    { SYSLOG, "Dec  1 00:00:00", 1764543600000000, 0 }, /* last year's */
    { SYSLOG, "Feb 29 00:00:00", 1709161200000000, 0 }, /* the latest leap year's */
    { SYSLOG, "Nov 31 00:00:00", OG_LOGTIME_NONE, 15 },
    { SYSLOG, "Nov 26", OG_LOGTIME_NONE, 6 },
    { SYSLOG, "nov 26 01:02:03", OG_LOGTIME_NONE, 15 },
    { MINUTE, "Nov26 01:02] x", 1795651320000000, 3 },
    { MINUTE, "Nov 6 01:02", 1793923320000000, 0 },
    { MINUTE, "Nov26 01:2]", OG_LOGTIME_NONE, 11 },
    { SECONDS, "    1.000002]", 1000002, 1 },
    { SECONDS, "17179569.184000", 17179569184000, 0 },
    { SECONDS, "0.5", 500000, 0 },
    { SECONDS, "1", OG_LOGTIME_NONE, 1 },
    { SECONDS, ".5", OG_LOGTIME_NONE, 2 },
    { SECONDS, "9223372036854775807.1", OG_LOGTIME_NONE, 21 },
    /* Edges. */
    { ISO, "1970-01-01T00:00:00Z", 0, 0 },
    { ISO, "1969-12-31T23:59:59Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2000-02-29T23:59:60Z", 951868800000000, 0 },
    { ISO, "2096-02-29T00:00:00Z", 3981312000000000, 0 },
    { ISO, "2100-02-29T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-00T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:60:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:00:61Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01x00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01.01T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026.01-01T00:00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00.00:00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:00.00Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:00:0", OG_LOGTIME_NONE, 18 },
    { ISO, "2026-01-01T00:00:0:", OG_LOGTIME_NONE, 19 },
    { ISO, "2026-01-01T00:00:/0Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:00::0Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T00:00:0/Z", OG_LOGTIME_NONE, 20 },
    { ISO, "2026-01-01T09:19:49Z", 1767259189000000, 0 },
    { ISO, "2026-01-01T00:00:00.Z", 1767222000000000, 2 },
    { ISO, "2026-01-01T00:00:00.9/Z", 1767222000900000, 2 },
    { ISO, "2026-01-01T00:00:00.0:Z", 1767222000000000, 2 },
    { ISO, "2026-01-01T00:00:00+23:59", 1767139260000000, 0 },
    { ISO, "2026-01-01T00:00:00+24:00", OG_LOGTIME_NONE, 25 },
    { ISO, "2026-01-01T00:00:00+00:60", OG_LOGTIME_NONE, 25 },
    { ISO, "2026-01-01T00:00:00-01:", OG_LOGTIME_NONE, 23 },
    { ISO, "2026-01-01T00:00:00-0", OG_LOGTIME_NONE, 21 },
    { ISO, "9999-12-31T23:59:59Z", 253402300799000000, 0 },
    { CTIME, "Thu Nov 26 01:02:03 1969", OG_LOGTIME_NONE, 24 },
    { CTIME, "Thu Nov 31 01:02:03 2026", OG_LOGTIME_NONE, 24 },
    { CTIME, "Thu Nov26 01:02:03 2026", OG_LOGTIME_NONE, 23 },
    { CTIME, "Thu Nov 2601:02:03 2026", OG_LOGTIME_NONE, 23 },
    { CTIME, "Thu Nov 26 01:02:032026", OG_LOGTIME_NONE, 23 },
    { CTIME, "Thu Foo 26 01:02:03 2026", OG_LOGTIME_NONE, 24 },
    { CTIME, "Thu Nov xx 01:02:03 2026", OG_LOGTIME_NONE, 24 },
    { CTIME, "Thu Nov 26 01:02 2026", OG_LOGTIME_NONE, 21 },
    { CTIME, "Thu Nov 26 01:02:03 x026", OG_LOGTIME_NONE, 24 },
    { CTIME, "", OG_LOGTIME_NONE, 0 },
    { CTIME, "Nov 26 01:02:03 2026", OG_LOGTIME_NONE, 20 },
    { CTIME, "Thu Nov 26 01:02:03.5 2026", 1795651323500000, 0 },
    { SYSLOG, "Nov 9 01:02:03", 1794182523000000, 0 },
    { SYSLOG, "Nov 1 01:02:03", 1793491323000000, 0 },
    { SYSLOG, "Nov 0 01:02:03", OG_LOGTIME_NONE, 14 },
    { SYSLOG, "Nov : 01:02:03", OG_LOGTIME_NONE, 14 },
    { SYSLOG, "Nov", OG_LOGTIME_NONE, 3 },
    { SYSLOG, "Nov ", OG_LOGTIME_NONE, 4 },
    { SYSLOG, "Nov26 01:02:03", OG_LOGTIME_NONE, 14 },
    { SYSLOG, "Nov 26x01:02:03", OG_LOGTIME_NONE, 15 },
    { SYSLOG, "Nov 26 01:02", OG_LOGTIME_NONE, 12 },
    { SYSLOG, "Nov 27 13:00:00", 1795780800000000, 0 },
    { SYSLOG, "Nov 27 13:00:00.000001", 1764244800000001, 0 },
    { MINUTE, "Foo26 01:02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov00 01:02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov:6 01:02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov26x01:02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov26 1:02]", OG_LOGTIME_NONE, 11 },
    { MINUTE, "Nov26 01.02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov31 01:02]", OG_LOGTIME_NONE, 12 },
    { MINUTE, "Nov26 24:02]", OG_LOGTIME_NONE, 12 },
    { SECONDS, "9223372036853.999999", 9223372036853999999, 0 },
    { SECONDS, "9223372036854.0", OG_LOGTIME_NONE, 15 },
    { SECONDS, "1.", OG_LOGTIME_NONE, 2 },
    { SECONDS, "x.5", OG_LOGTIME_NONE, 3 },
    { SECONDS, "1.1234567", 1123456, 0 },
};

static const char *const weekdays[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static bool take(form_t form, og_span_t *s, int64_t *usec)
{
    switch (form) {
    case ISO:
        return og_logtime_iso(s, usec);
    case CTIME:
        return og_logtime_ctime(s, usec);
    case SYSLOG:
        return og_logtime_syslog(s, NOW_SEC, usec);
    case MINUTE:
        return og_logtime_minute(s, NOW_SEC, usec);
    default:
        return og_logtime_seconds(s, usec);
    }
}

START_TEST(reads)
{
    const char *text = times[_i].text, *copy = at_edge(text, strlen(text));
    og_span_t s = { copy, copy + strlen(text) };
    int64_t usec;
    bool taken = take(times[_i].form, &s, &usec);

    ck_assert_msg(taken == (times[_i].usec != OG_LOGTIME_NONE), "%s", text);
    if (taken)
        ck_assert_msg(usec == times[_i].usec, "%s: %lld", text, (long long)usec);
    ck_assert_msg(s.end - s.p == times[_i].rest, "%s: rest %d", text, (int)(s.end - s.p));
}
END_TEST

START_TEST(finds_the_year)
{
    static const char text[] = "Dec 31 23:00:00";
    og_span_t s = { text, text + strlen(text) };
    int64_t usec;

    ck_assert(og_logtime_syslog(&s, JANUARY_SEC, &usec));
    ck_assert_int_eq(usec / OG_LOGTIME_SEC, 1798754400);
    s.p = text;
    ck_assert(og_logtime_syslog(&s, NO_LEAP_SEC, &usec));
    ck_assert_int_eq(usec / OG_LOGTIME_SEC, 1735682400);
}
END_TEST

/* 2104-02-03 12:00:00 UTC: eight years after the latest leap year. */
#define RARE_SEC 4231483200

START_TEST(finds_a_year_long_ago)
{
    static const char text[] = "Feb 29 00:00:00";
    og_span_t s = { text, text + strlen(text) };
    int64_t usec;

    ck_assert(og_logtime_syslog(&s, RARE_SEC, &usec));
    ck_assert_int_eq(usec / OG_LOGTIME_SEC, 3981308400);
    /* Of no year that there is. */
    s.p = text;
    ck_assert(!og_logtime_syslog(&s, INT64_MAX - 86400, &usec));
    ck_assert_ptr_eq(s.p, text);
}
END_TEST

START_TEST(knows_the_calendar)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int day = 0;

    for (int m = 0; m < 12; m++) {
        for (int d = 1; d <= 32; d++) {
            char text[40];
            int64_t usec;

            snprintf(text, sizeof text, "2026-%02d-%02dT00:00:00Z", m + 1, d);
            ck_assert(og_logtime_iso(&(og_span_t){ text, text + strlen(text) }, &usec) ==
                      (d <= days[m]));
            if (d > days[m])
                continue;
            ck_assert_int_eq(usec / OG_LOGTIME_SEC, 1767225600 + day * 86400);
            snprintf(text, sizeof text, "%s %s %2d 01:00:00 2026", weekdays[(day + 3) % 7],
                     months[m], d);
            ck_assert_msg(og_logtime_ctime(&(og_span_t){ text, text + strlen(text) }, &usec),
                          "%s", text);
            /* CET or CEST. */
            ck_assert_int_eq((usec / OG_LOGTIME_SEC + 3600 - 1767225600) / 86400, day);
            day++;
        }
    }
    ck_assert_int_eq(day, 365);
}
END_TEST

static const struct {
    const char *text;
    int64_t wall, boot;
} since[] = {
    { "2026-11-26", 1795647600000000, OG_LOGTIME_NONE },
    { "2026-11-26 01:02", 1795651320000000, OG_LOGTIME_NONE },
    { "2026-11-26T01:02", 1795651320000000, OG_LOGTIME_NONE },
    { "2026-11-26 01:02:03", 1795651323000000, OG_LOGTIME_NONE },
    { "2026-11-26T01:02:03.5Z", 1795654923500000, OG_LOGTIME_NONE },
    { "2026-11-26 01:02Z", 1795654920000000, OG_LOGTIME_NONE },
    { "@1795654923", 1795654923000000, OG_LOGTIME_NONE },
    { "12", OG_LOGTIME_NONE, 12000000 },
    { "12.000001", OG_LOGTIME_NONE, 12000001 },
    { "", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "@", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "12.", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "-12", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "12 ", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "99999999999999999999", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26 ", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26x", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26 01:02:03 x", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "yesterday", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "@12.5", 12500000, OG_LOGTIME_NONE },
    { "9223372036853.999999", OG_LOGTIME_NONE, 9223372036853999999 },
    { "9223372036854", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "@12x", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26T01", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26T01.02", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26T01:0", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26T01:02+1", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26T01:02:03+01:00x", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-31", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
    { "2026-11-26x01:02", OG_LOGTIME_NONE, OG_LOGTIME_NONE },
};

START_TEST(reads_since)
{
    bool good = since[_i].wall != OG_LOGTIME_NONE || since[_i].boot != OG_LOGTIME_NONE;
    int64_t wall = 1, boot = 1;

    ck_assert_int_eq(og_logtime_since(since[_i].text, &wall, &boot), good ? 0 : -EINVAL);
    ck_assert_int_eq(wall, since[_i].wall);
    ck_assert_int_eq(boot, since[_i].boot);
}
END_TEST

START_TEST(writes)
{
    char text[OG_LOGTIME_TEXT_MAX];

    og_logtime_write(1795651323000000, text);
    ck_assert_str_eq(text, "2026-11-26T01:02:03+01:00");
    og_logtime_write(1785020523000120, text);
    ck_assert_str_eq(text, "2026-07-26T01:02:03.000120+02:00");
    og_logtime_write(-1, text);
    ck_assert_str_eq(text, "1970-01-01T00:59:59.999999+01:00");
    og_logtime_write(-1000000, text);
    ck_assert_str_eq(text, "1970-01-01T00:59:59+01:00");
    og_logtime_write(0, text);
    ck_assert_str_eq(text, "1970-01-01T01:00:00+01:00");
    og_logtime_write(1, text);
    ck_assert_str_eq(text, "1970-01-01T01:00:00.000001+01:00");
    /* Years of four digits. */
    og_logtime_write(253402297199999999, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999999+01:00");
    og_logtime_write(253402297200000000, text);
    ck_assert_str_eq(text, "");
    og_logtime_write(-30610227600000000, text);
    ck_assert_str_eq(text, "1000-01-01T00:00:00+01:00");
    og_logtime_write(-30610227600000001, text);
    ck_assert_str_eq(text, "");
    og_logtime_write(INT64_MAX, text);
    ck_assert_str_eq(text, "");
    og_logtime_write(INT64_MIN, text);
    ck_assert_str_eq(text, "");
    setenv("TZ", "NST3:30", 1);
    tzset();
    og_logtime_write(1795651323000000, text);
    ck_assert_str_eq(text, "2026-11-25T20:32:03-03:30");
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("logtime");

    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_loop_test(c, reads, 0, sizeof times / sizeof *times);
    tcase_add_test(c, finds_the_year);
    tcase_add_test(c, finds_a_year_long_ago);
    tcase_add_test(c, knows_the_calendar);
    tcase_add_loop_test(c, reads_since, 0, sizeof since / sizeof *since);
    tcase_add_test(c, writes);
    return unit_run("logtime", &c, 1);
}
