/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/journal.h"
#include "lib/num.h"

#include <jansson.h>
#include <string.h>

/* A field of more bytes than this is none: the journal's own limit. */
#define FIELD_MAX ((uint64_t)768 * 1024 * 1024)
#define FIELD_NAME_MAX 64 /* likewise */

void og_journal_init(og_journal_t *j)
{
    j->kernel = j->other = j->message = false;
    j->real[0] = j->mono[0] = j->source[0] = '\0';
    j->len = 0;
}

static void set_digits(og_journal_digits_t out, og_span_t value)
{
    size_t n = (size_t)(value.end - value.p);

    if (n >= sizeof(og_journal_digits_t))
        n = 0;
    memcpy(out, value.p, n);
    out[n] = '\0';
}

/* The lengths differ mostly, and to compare them takes no call. */
static inline bool is(og_span_t s, const char *word)
{
    size_t n = strlen(word);

    return (size_t)(s.end - s.p) == n && memcmp(s.p, word, n) == 0;
}

static void set_message(og_journal_t *j, og_span_t value)
{
    size_t n = (size_t)(value.end - value.p);

    j->message = n <= sizeof j->text;
    if (!j->message)
        return;
    memcpy(j->text, value.p, n);
    j->len = n;
}

static void set_field(og_journal_t *j, og_span_t key, og_span_t value)
{
    /* Most fields are looked at for their first letter only. */
    if (*key.p == 'M' && is(key, "MESSAGE"))
        set_message(j, value);
    else if (*key.p == 'S' && is(key, "SYSLOG_FACILITY"))
        j->other = !is(value, "0");
    else if (*key.p != '_')
        return;
    else if (is(key, "_TRANSPORT"))
        j->kernel = is(value, "kernel");
    else if (is(key, "__REALTIME_TIMESTAMP"))
        set_digits(j->real, value);
    else if (is(key, "__MONOTONIC_TIMESTAMP"))
        set_digits(j->mono, value);
    else if (is(key, "_SOURCE_MONOTONIC_TIMESTAMP"))
        set_digits(j->source, value);
}

bool og_journal_is_kernel(const og_journal_t *j)
{
    return j->kernel && !j->other && j->message;
}

static int64_t usec_of(const char *digits)
{
    const char *end = digits + strlen(digits);
    int64_t n;

    return og_num_i64(&digits, end, &n) && digits == end && n >= 0 ? n : OG_LOGTIME_NONE;
}

void og_journal_entry(const og_journal_t *j, og_entry_t *e)
{
    memset(&e->rec, 0, sizeof e->rec);
    e->wall_usec = usec_of(j->real);
    /* The kernel's own time stamp, if it is there, is better than when the journal had it. */
    e->boot_usec = usec_of(j->source);
    if (e->boot_usec == OG_LOGTIME_NONE)
        e->boot_usec = usec_of(j->mono);
    e->clock = OG_CLOCK_NONE;
    if (e->boot_usec != OG_LOGTIME_NONE) {
        e->clock = OG_CLOCK_BOOT;
        e->rec.usec = (uint64_t)e->boot_usec;
    }
    else if (e->wall_usec != OG_LOGTIME_NONE) {
        e->clock = OG_CLOCK_WALL;
        e->rec.usec = (uint64_t)e->wall_usec;
    }
    og_logline_text(e, (og_span_t){ j->text, j->text + j->len }, OG_ESCAPES_NONE);
}

/* --- -o json ------------------------------------------------------------------------ */

/* A message with bytes of no print is an array of numbers. */
static void set_bytes(og_journal_t *j, const json_t *array)
{
    size_t n = json_array_size(array);
    char bytes[sizeof j->text];

    if (n > sizeof bytes)
        return;
    for (size_t i = 0; i < n; i++) {
        const json_t *byte = json_array_get(array, i);
        json_int_t value = json_integer_value(byte);

        if (!json_is_integer(byte) || value < 0 || value > 255)
            return;
        bytes[i] = (char)(unsigned char)value;
    }
    set_message(j, (og_span_t){ bytes, bytes + n });
}

bool og_journal_json(og_journal_t *j, const char *p, size_t len)
{
    og_span_t s = { p, p + len };
    json_t *entry, *value;
    const char *key;

    og_span_eat(&s, "\x1e");
    og_span_eat(&s, "data: ");
    if (s.p == s.end || *s.p != '{')
        return false;
    /* A NUL in a string is none of the kernel's, but no reason to lose the entry. */
    entry = json_loadb(s.p, (size_t)(s.end - s.p), JSON_ALLOW_NUL, NULL);
    if (entry == NULL)
        return false;
    og_journal_init(j);
    json_object_foreach(entry, key, value) {
        og_span_t k = { key, key + strlen(key) };
        const char *text = json_string_value(value);

        if (k.p == k.end)
            continue;
        if (text != NULL)
            set_field(j, k, (og_span_t){ text, text + json_string_length(value) });
        else if (json_is_array(value) && is(k, "MESSAGE"))
            set_bytes(j, value);
        else if (is(k, "SYSLOG_FACILITY"))
            j->other = true;
    }
    json_decref(entry);
    return true;
}

/* --- -o export ---------------------------------------------------------------------- */

bool og_journal_is_export(const char *p, size_t len)
{
    og_span_t s = { p, p + len };

    return og_span_eat(&s, "__CURSOR=");
}

/* Capitals, digits and '_', of which letters are most: asked for each byte of a name. */
static bool is_name_byte(char c)
{
    return (unsigned char)(c - 'A') < 26 || c == '_' || (unsigned char)(c - '0') < 10;
}

/* "NAME\n", 8 bytes of length, the lowest first, the value, "\n". */
static og_export_t binary(og_journal_t *j, og_span_t name, size_t len, size_t *used,
                          uint64_t *skip)
{
    const char *size = name.end + 1;
    size_t head = (size_t)(size - name.p) + 8;
    uint64_t n = 0;

    if (len < head)
        return OG_EXPORT_MORE;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | (unsigned char)size[i];
    if (n > FIELD_MAX)
        return OG_EXPORT_END;
    if (n <= sizeof j->text) {
        if (len < head + n + 1)
            return OG_EXPORT_MORE;
        if (name.p[head + n] != '\n')
            return OG_EXPORT_END;
        set_field(j, name, (og_span_t){ size + 8, size + 8 + n });
        *used = head + (size_t)n + 1;
        return OG_EXPORT_FIELD;
    }
    *used = len - head < n + 1 ? len : head + (size_t)n + 1;
    *skip = n + 1 - (*used - head);
    return OG_EXPORT_SKIP;
}

og_export_t og_journal_export(og_journal_t *j, const char *p, size_t len, size_t *used,
                              uint64_t *skip)
{
    const char *end = p + len, *name = p, *newline;

    *used = 0;
    *skip = 0;
    if (len == 0)
        return OG_EXPORT_MORE;
    if (*p == '\n') {
        *used = 1;
        return OG_EXPORT_ENTRY;
    }
    while (name < end && name - p < FIELD_NAME_MAX && is_name_byte(*name))
        name++;
    if (name == end)
        return OG_EXPORT_MORE;
    if (name == p)
        return OG_EXPORT_END;
    if (*name == '\n')
        return binary(j, (og_span_t){ p, name }, len, used, skip);
    if (*name != '=')
        return OG_EXPORT_END;
    newline = memchr(name, '\n', (size_t)(end - name));
    if (newline == NULL)
        return OG_EXPORT_MORE;
    set_field(j, (og_span_t){ p, name }, (og_span_t){ name + 1, newline });
    *used = (size_t)(newline - p) + 1;
    return OG_EXPORT_FIELD;
}
