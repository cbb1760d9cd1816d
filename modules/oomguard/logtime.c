/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/logtime.h"
#include "lib/num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_SEC 86400

/* Exactly two digits. */
static bool two(og_span_t *s, int *n)
{
    if (s->end - s->p < 2 || s->p[0] < '0' || s->p[0] > '9' || s->p[1] < '0' ||
        s->p[1] > '9')
        return false;
    *n = (s->p[0] - '0') * 10 + (s->p[1] - '0');
    s->p += 2;
    return true;
}

static bool year(og_span_t *s, int *n)
{
    int high, low;

    if (!two(s, &high) || !two(s, &low))
        return false;
    *n = high * 100 + low;
    return *n >= 1970;
}

static bool month(og_span_t *s, int *n)
{
    static const char *const names[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

    for (*n = 1; *n <= 12; ++*n)
        if (og_span_eat(s, names[*n - 1]))
            return true;
    return false;
}

/* "26", or " 6" as ctime pads it, or "6". */
static bool day(og_span_t *s, int *n)
{
    og_span_eat(s, " ");
    if (two(s, n))
        return true;
    if (s->p == s->end || *s->p < '1' || *s->p > '9')
        return false;
    *n = *s->p++ - '0';
    return true;
}

/* The digits behind a point, of which the first six count. */
static bool fraction(og_span_t *s, int64_t *usec)
{
    const char *start = s->p;
    int64_t unit = OG_LOGTIME_SEC;

    for (*usec = 0; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
        unit /= 10;
        *usec += (*s->p - '0') * unit;
    }
    return s->p > start;
}

/* "01:02:03" and ".123456", the latter if it is there. */
static bool clock_of(og_span_t *s, struct tm *tm, int64_t *usec)
{
    og_span_t t;

    *usec = 0;
    if (!two(s, &tm->tm_hour) || !og_span_eat(s, ":") || !two(s, &tm->tm_min) ||
        !og_span_eat(s, ":") || !two(s, &tm->tm_sec))
        return false;
    t = *s;
    if ((og_span_eat(&t, ".") || og_span_eat(&t, ",")) && fraction(&t, usec))
        *s = t;
    return true;
}

/* Checked here, since mktime takes October 32 for November 1. */
static bool is_date(const struct tm *tm)
{
    static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int y = tm->tm_year + 1900;
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

    return tm->tm_mon >= 0 && tm->tm_mon < 12 && tm->tm_mday >= 1 &&
           tm->tm_mday <= days[tm->tm_mon] - (tm->tm_mon == 1 && !leap) &&
           tm->tm_hour <= 23 && tm->tm_min <= 59 && tm->tm_sec <= 60;
}

static bool local(struct tm *tm, int64_t usec, int64_t *out)
{
    if (!is_date(tm))
        return false;
    tm->tm_isdst = -1;
    *out = (int64_t)mktime(tm) * OG_LOGTIME_SEC + usec;
    return true;
}

/* False for what looks like a zone and is none. */
static bool zone(og_span_t *s, bool *known, int *east_sec)
{
    int sign, hours, minutes;

    *east_sec = 0;
    *known = og_span_eat(s, "Z");
    if (*known || s->p == s->end || (*s->p != '+' && *s->p != '-'))
        return true;
    sign = *s->p++ == '-' ? -1 : 1;
    if (!two(s, &hours))
        return false;
    og_span_eat(s, ":");
    if (!two(s, &minutes) || hours > 23 || minutes > 59)
        return false;
    *known = true;
    *east_sec = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool finish_iso(og_span_t *s, struct tm *tm, int64_t usec, int64_t *out)
{
    bool known;
    int east_sec;

    if (!zone(s, &known, &east_sec) || !is_date(tm))
        return false;
    if (!known)
        return local(tm, usec, out);
    *out = ((int64_t)timegm(tm) - east_sec) * OG_LOGTIME_SEC + usec;
    return true;
}

static bool date(og_span_t *s, struct tm *tm)
{
    int y, m;

    if (!year(s, &y) || !og_span_eat(s, "-") || !two(s, &m) || !og_span_eat(s, "-") ||
        !two(s, &tm->tm_mday))
        return false;
    tm->tm_year = y - 1900;
    tm->tm_mon = m - 1;
    return true;
}

bool og_logtime_iso(og_span_t *s, int64_t *usec)
{
    og_span_t t = *s;
    struct tm tm = { 0 };
    int64_t frac;

    if (!date(&t, &tm) || (!og_span_eat(&t, "T") && !og_span_eat(&t, " ")) ||
        !clock_of(&t, &tm, &frac) || !finish_iso(&t, &tm, frac, usec))
        return false;
    *s = t;
    return true;
}

/* Eight years back there is a leap year for sure, but for 2100 and its like. */
static bool latest(struct tm *tm, int64_t frac, int64_t now_sec, int64_t *usec)
{
    time_t limit = (time_t)now_sec + DAY_SEC;
    struct tm now;
    struct tm t;

    if (localtime_r(&limit, &now) == NULL)
        return false;
    for (int back = 0; back <= 8; back++) {
        t = *tm;
        t.tm_year = now.tm_year - back;
        if (local(&t, frac, usec) && *usec <= (int64_t)limit * OG_LOGTIME_SEC)
            return true;
    }
    return false;
}

bool og_logtime_syslog(og_span_t *s, int64_t now_sec, int64_t *usec)
{
    og_span_t t = *s;
    struct tm tm = { 0 };
    int64_t frac;
    int m;

    if (!month(&t, &m) || !og_span_eat(&t, " ") || !day(&t, &tm.tm_mday) ||
        !og_span_eat(&t, " ") || !clock_of(&t, &tm, &frac))
        return false;
    tm.tm_mon = m - 1;
    if (!latest(&tm, frac, now_sec, usec))
        return false;
    *s = t;
    return true;
}

bool og_logtime_minute(og_span_t *s, int64_t now_sec, int64_t *usec)
{
    og_span_t t = *s;
    struct tm tm = { 0 };
    int m;

    if (!month(&t, &m) || !day(&t, &tm.tm_mday) || !og_span_eat(&t, " ") ||
        !two(&t, &tm.tm_hour) || !og_span_eat(&t, ":") || !two(&t, &tm.tm_min))
        return false;
    tm.tm_mon = m - 1;
    if (!latest(&tm, 0, now_sec, usec))
        return false;
    *s = t;
    return true;
}

bool og_logtime_ctime(og_span_t *s, int64_t *usec)
{
    static const char *const days[] = { "Mon ", "Tue ", "Wed ", "Thu ",
                                        "Fri ", "Sat ", "Sun " };
    og_span_t t = *s;
    struct tm tm = { 0 };
    int64_t frac;
    int m, y;
    size_t i = 0;

    while (i < sizeof days / sizeof *days && !og_span_eat(&t, days[i]))
        i++;
    if (i == sizeof days / sizeof *days || !month(&t, &m) || !og_span_eat(&t, " ") ||
        !day(&t, &tm.tm_mday) || !og_span_eat(&t, " ") || !clock_of(&t, &tm, &frac) ||
        !og_span_eat(&t, " ") || !year(&t, &y))
        return false;
    tm.tm_mon = m - 1;
    tm.tm_year = y - 1900;
    if (!local(&tm, frac, usec))
        return false;
    *s = t;
    return true;
}

bool og_logtime_seconds(og_span_t *s, int64_t *usec)
{
    og_span_t t = *s;
    uint64_t sec;
    int64_t frac;

    while (og_span_eat(&t, " "))
        ;
    if (!og_num_u64(&t.p, t.end, &sec) || sec > INT64_MAX / OG_LOGTIME_SEC - 1 ||
        !og_span_eat(&t, ".") || !fraction(&t, &frac))
        return false;
    *usec = (int64_t)sec * OG_LOGTIME_SEC + frac;
    *s = t;
    return true;
}

/* "123" or "123.5". */
static bool number(og_span_t s, int64_t *usec)
{
    uint64_t sec;
    int64_t frac = 0;

    return og_num_u64(&s.p, s.end, &sec) && sec <= INT64_MAX / OG_LOGTIME_SEC - 1 &&
           (!og_span_eat(&s, ".") || fraction(&s, &frac)) && s.p == s.end &&
           (*usec = (int64_t)sec * OG_LOGTIME_SEC + frac, true);
}

/* A date alone, or with hours and minutes. */
static bool short_date(og_span_t s, int64_t *usec)
{
    struct tm tm = { 0 };

    if (!date(&s, &tm))
        return false;
    if (s.p < s.end &&
        ((!og_span_eat(&s, " ") && !og_span_eat(&s, "T")) || !two(&s, &tm.tm_hour) ||
         !og_span_eat(&s, ":") || !two(&s, &tm.tm_min)))
        return false;
    return finish_iso(&s, &tm, 0, usec) && s.p == s.end;
}

int og_logtime_since(const char *text, int64_t *wall_usec, int64_t *boot_usec)
{
    og_span_t s = { text, text + strlen(text) }, iso = s;

    *wall_usec = *boot_usec = OG_LOGTIME_NONE;
    if (og_span_eat(&s, "@"))
        return number(s, wall_usec) ? 0 : -EINVAL;
    if (number(s, boot_usec) || short_date(s, wall_usec))
        return 0;
    *wall_usec = OG_LOGTIME_NONE;
    if (og_logtime_iso(&iso, wall_usec) && iso.p == iso.end)
        return 0;
    *wall_usec = OG_LOGTIME_NONE;
    return -EINVAL;
}

void og_logtime_write(int64_t usec, char buf[OG_LOGTIME_TEXT_MAX])
{
    int64_t frac = usec % OG_LOGTIME_SEC;
    time_t sec = (time_t)(usec / OG_LOGTIME_SEC) - (frac < 0);
    char day_text[24], zone_text[8], frac_text[8] = "";
    struct tm tm;

    buf[0] = '\0';
    if (frac < 0)
        frac += OG_LOGTIME_SEC;
    if (localtime_r(&sec, &tm) == NULL || tm.tm_year > 9999 - 1900 ||
        tm.tm_year < 1000 - 1900)
        return;
    strftime(day_text, sizeof day_text, "%Y-%m-%dT%H:%M:%S", &tm);
    strftime(zone_text, sizeof zone_text, "%z", &tm);
    if (frac > 0)
        snprintf(frac_text, sizeof frac_text, ".%06d", (int)frac);
    snprintf(buf, OG_LOGTIME_TEXT_MAX, "%s%s%.3s:%s", day_text, frac_text, zone_text,
             zone_text + 3);
}
