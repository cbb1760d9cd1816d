/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/logline.h"
#include "lib/num.h"

#include <limits.h>
#include <string.h>

#define FACILITY_USER 1

void og_logline_init(og_logline_t *l, int64_t now_sec)
{
    memset(l, 0, sizeof *l);
    l->now_sec = now_sec;
    l->told_usec = OG_LOGTIME_NONE;
}

/* --- Text --------------------------------------------------------------------------- */

static int digit(char c, int base)
{
    int n = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;

    return n < base ? n : -1;
}

/* The byte an escape stands for, or -1. rsyslog writes bytes below 32 and 127 as #NNN. */
static int escaped(og_span_t s)
{
    int a, b, c;

    if (s.end - s.p < 4)
        return -1;
    a = s.p[1];
    if (s.p[0] == '\\' && a == 'x') {
        a = digit(s.p[2], 16);
        b = digit(s.p[3], 16);
        return a >= 0 && b >= 0 && !og_span_is_plain((unsigned char)(a << 4 | b)) ? a << 4 | b : -1;
    }
    a = digit(s.p[1], 2);
    b = digit(s.p[2], 8);
    c = digit(s.p[3], 8);
    if (s.p[0] != '#' || a < 0 || b < 0 || c < 0)
        return -1;
    a = a << 6 | b << 3 | c;
    return a < 0x20 || a == 0x7f ? a : -1;
}

void og_logline_text(og_entry_t *e, og_span_t s, og_escapes_t escapes)
{
    size_t n = 0;

    while (s.p < s.end && n + 4 <= sizeof e->text) {
        int c = escapes == OG_ESCAPES_SOME ? escaped(s) : -1;

        s.p += c < 0 ? 1 : 4;
        if (c < 0)
            c = (unsigned char)s.p[-1];
        n += og_span_put(e->text + n, (unsigned char)c, og_span_is_plain((unsigned char)c));
    }
    e->rec.text = e->text;
    e->rec.len = n;
}

/* --- Pieces ------------------------------------------------------------------------- */

/* The next word, without the space behind it. */
static bool word(og_span_t *s, og_span_t *out)
{
    const char *space = memchr(s->p, ' ', (size_t)(s->end - s->p));

    if (space == NULL || space == s->p)
        return false;
    *out = (og_span_t){ s->p, space };
    s->p = space + 1;
    return true;
}

static bool is(og_span_t s, const char *text)
{
    return og_span_eat(&s, text) && s.p == s.end;
}

/* "<" and a number, of which only this is of interest: is the facility the kernel's? */
static bool priority(og_span_t *s, bool *kernel)
{
    og_span_t t = *s;
    uint64_t n;

    if (!og_span_eat(&t, "<") || !og_num_u64(&t.p, t.end, &n) || n > UINT_MAX ||
        !og_span_eat(&t, ">"))
        return false;
    *kernel = n < 8;
    *s = t;
    return true;
}

/* " <    0.000123>", of dmesg -d and journalctl -o short-delta. */
static void delta(og_span_t *s)
{
    og_span_t t = *s;
    int64_t usec;

    og_span_spaces(&t);
    if (!og_span_eat(&t, "<"))
        return;
    og_span_spaces(&t);
    if (og_logtime_seconds(&t, &usec)) {
        og_span_spaces(&t);
        if (og_span_eat(&t, ">")) {
            og_span_spaces(&t);
            *s = t;
        }
    }
}

/* What may stand behind the time in the brackets, and behind them. */
static bool close_bracket(og_span_t *s)
{
    delta(s);
    if (!og_span_eat(s, "]"))
        return false;
    og_span_caller(s);
    og_span_eat(s, " ");
    return true;
}

/* "[  123.456789] ", the kernel's own time stamp, and what may stand in it and after it. */
static bool stamp(og_span_t *s, int64_t *usec)
{
    og_span_t t = *s;
    int64_t told;

    if (!og_span_eat(&t, "[") || !og_logtime_seconds(&t, &told) || !close_bracket(&t))
        return false;
    *usec = told;
    *s = t;
    return true;
}

/* dmesg -e: "[Nov26 01:02] " and then "[  +0.000123] " after it. */
static bool relative(og_logline_t *l, og_span_t *s, int64_t *wall_usec)
{
    og_span_t t = *s;
    int64_t usec;

    if (!og_span_eat(&t, "["))
        return false;
    if (!og_logtime_minute(&t, l->now_sec, &usec)) {
        og_span_spaces(&t);
        if (!og_span_eat(&t, "+") || !og_logtime_seconds(&t, &usec))
            return false;
        if (l->told_usec == OG_LOGTIME_NONE ||
            __builtin_add_overflow(usec, l->told_usec, &usec))
            usec = OG_LOGTIME_NONE;
    }
    if (!og_span_eat(&t, "]"))
        return false;
    og_span_eat(&t, " ");
    l->told_usec = *wall_usec = usec;
    *s = t;
    return true;
}

static bool bracketed_ctime(og_span_t *s, int64_t *usec)
{
    og_span_t t = *s;

    if (!og_span_eat(&t, "[") || !og_logtime_ctime(&t, usec) || !close_bracket(&t))
        return false;
    *s = t;
    return true;
}

/* dmesg -x: "kern  :warn  : ", both padded. */
static bool decoded(og_span_t *s, bool *kernel)
{
    if (s->end - s->p < 15 || s->p[6] != ':' || s->p[13] != ':' || s->p[14] != ' ')
        return false;
    for (int i = 0; i < 14; i++)
        if (s->p[i] != ' ' && (s->p[i] < '0' || s->p[i] > ':') &&
            (s->p[i] < 'a' || s->p[i] > 'z'))
            return false;
    *kernel = og_span_eat(s, "kern  :");
    s->p += *kernel ? 8 : 15;
    return true;
}

/* --- Forms -------------------------------------------------------------------------- */

static bool raw(og_span_t s, og_entry_t *e)
{
    if (og_kmsg_parse(s.p, (size_t)(s.end - s.p), &e->rec) != 0)
        return false;
    e->clock = OG_CLOCK_RAW;
    e->boot_usec = e->rec.usec <= INT64_MAX ? (int64_t)e->rec.usec : INT64_MAX;
    return true;
}

/* A tag ("sudo:", "sudo[12]:") is none, and what is behind it is its own text. */
static bool is_host(og_span_t s)
{
    return s.end[-1] != ':' && memchr(s.p, '[', (size_t)(s.end - s.p)) == NULL;
}

/* "kernel: " behind a host's name, or without one; busybox writes the facility between
 * them, and RFC 5424 has it otherwise. A process of that name has its number behind it. */
static bool tag(og_span_t *s)
{
    og_span_t t = *s, w;

    for (int words = 0; words < 3; words++) {
        if (og_span_eat(&t, "kernel: ") || og_span_eat(&t, "kernel - - - ")) {
            *s = t;
            return true;
        }
        if (!word(&t, &w) || !is_host(w) || (words == 1 && !og_span_eat(&w, "kern.")))
            return false;
    }
    return false;
}

/* What comes behind the time in a syslog's line. */
static void syslog_tail(og_span_t s, bool kernel, og_entry_t *e)
{
    og_span_eat(&s, " ");
    if (!kernel || !tag(&s)) {
        e->rec.facility = FACILITY_USER;
        e->rec.text = s.p;
        e->rec.len = (size_t)(s.end - s.p);
        return;
    }
    stamp(&s, &e->boot_usec);
    og_logline_text(e, s, OG_ESCAPES_SOME);
}

/* What comes behind the time in dmesg's output. "HOST kernel: " there is journalctl's, -o
 * short-monotonic; HOST alone with another tag can't be told from the kernel's words, and
 * no words of an OOM kill begin so. */
static void dmesg_tail(og_span_t s, bool kernel, og_entry_t *e)
{
    og_span_t t = s, host;

    if (word(&t, &host) && is_host(host) && og_span_eat(&t, "kernel: "))
        s = t;
    e->rec.facility = kernel ? 0 : FACILITY_USER;
    og_logline_text(e, s, OG_ESCAPES_SOME);
}

/* "Thu 2026-11-26 01:02:03 UTC", of journalctl -o short-full; other zones than UTC have
 * names that say nothing elsewhere, and are taken for local time. */
static bool full(og_span_t *s, int64_t *usec)
{
    og_span_t t = *s, day, zone, at;

    if (!word(&t, &day) || day.end - day.p != 3)
        return false;
    at = t;
    if (!og_logtime_iso(&t, usec) || !og_span_eat(&t, " ") || !word(&t, &zone))
        return false;
    if (is(zone, "UTC")) {
        char text[40];
        size_t n = (size_t)(zone.p - 1 - at.p);

        if (n > sizeof text - 2)
            return false;
        memcpy(text, at.p, n);
        text[n] = 'Z';
        at = (og_span_t){ text, text + n + 1 };
        og_logtime_iso(&at, usec);
    }
    *s = t;
    return true;
}

static bool is_dmesg_iso(og_span_t s)
{
    return s.end - s.p > 19 && s.p[19] == ','; /* syslog has a point there */
}

static bool wall_form(og_logline_t *l, og_span_t s, bool kernel, og_entry_t *e)
{
    og_span_t start = s;

    og_span_eat(&s, "1 "); /* RFC 5424's version, behind the priority */
    if (og_logtime_iso(&s, &e->wall_usec) && is_dmesg_iso(start)) {
        og_span_eat(&s, " ");
        dmesg_tail(s, kernel, e);
        return true;
    }
    if (s.p > start.p + 2 || og_logtime_syslog(&s, l->now_sec, &e->wall_usec) ||
        og_logtime_ctime(&s, &e->wall_usec) || full(&s, &e->wall_usec) ||
        (og_logtime_seconds(&s, &e->wall_usec) && s.p < s.end && *s.p == ' ')) {
        syslog_tail(s, kernel, e);
        return true;
    }
    e->wall_usec = OG_LOGTIME_NONE;
    return false;
}

static bool marked_form(og_logline_t *l, og_span_t s, og_entry_t *e)
{
    bool kernel = true, known = priority(&s, &kernel) || decoded(&s, &kernel);

    if (stamp(&s, &e->boot_usec) || bracketed_ctime(&s, &e->wall_usec) ||
        relative(l, &s, &e->wall_usec)) {
        dmesg_tail(s, kernel, e);
        return true;
    }
    if (wall_form(l, s, kernel, e))
        return true;
    if (!known)
        return false;
    dmesg_tail(s, kernel, e); /* dmesg -r or -x, of a kernel that logs no times */
    return true;
}

bool og_logline_parse(og_logline_t *l, const char *p, size_t len, og_entry_t *e)
{
    og_span_t s = { p, p + len };

    og_span_eat_back(&s, "\r");
    memset(&e->rec, 0, sizeof e->rec);
    e->wall_usec = e->boot_usec = OG_LOGTIME_NONE;
    if (raw(s, e)) {
        l->marked = true;
        return true;
    }
    if (marked_form(l, s, e))
        l->marked = true;
    else if (l->marked || s.p == s.end)
        return false;
    else
        og_logline_text(e, s, OG_ESCAPES_SOME); /* dmesg of a kernel that logs no times */
    if (e->boot_usec != OG_LOGTIME_NONE) {
        e->clock = OG_CLOCK_BOOT;
        e->rec.usec = (uint64_t)e->boot_usec;
    }
    else if (e->wall_usec >= 0) {
        e->clock = OG_CLOCK_WALL;
        e->rec.usec = (uint64_t)e->wall_usec;
    }
    else
        e->clock = OG_CLOCK_NONE;
    return true;
}
