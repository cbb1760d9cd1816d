/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/state.h"
#include "lib/num.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUM_KEY "sum "
#define SUM_DIGITS 16
#define SUM_BYTES (sizeof SUM_KEY - 1 + SUM_DIGITS)
#define UNKNOWN "unknown"

typedef enum { FLAG, PID, NUMBER, TEXT } kind_t;

typedef struct {
    const char *key;
    kind_t kind;
    size_t at, size;
} field_t;

#define FIELD(name, kind)                                                                \
    { #name, kind, offsetof(og_state_t, name), sizeof(((og_state_t *)NULL)->name) }

/* The cgroup comes last, since it takes what room there is left. */
static const field_t fields[] = {
    FIELD(boot_id, TEXT),
    FIELD(clean, FLAG),
    FIELD(master, PID),
    FIELD(master_started_usec, NUMBER),
    FIELD(resume_seq, NUMBER),
    FIELD(pending_seq, NUMBER),
    FIELD(cgroup_inode, NUMBER),
    FIELD(oom_kills, NUMBER),
    FIELD(machine_oom_kills, NUMBER),
    FIELD(events, NUMBER),
    FIELD(cgroup, TEXT),
};

#define FIELDS (sizeof fields / sizeof *fields)

/* FNV-1a (RFC 9923). Each step can be undone, so any one byte that differs makes
 * another sum; more of them go unseen once in 2^64. */
static uint64_t sum_of(const char *buf, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)buf[i]) * 0x100000001b3;
    return sum;
}

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* --- Reading. */

/* Small letters only: there is one way to write a sum, and no byte of it to be changed. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *p, size_t digits, uint64_t *out)
{
    uint64_t n = 0;

    for (size_t i = 0; i < digits; i++) {
        int d = hex_digit(p[i]);

        if (d < 0)
            return false;
        n = n << 4 | (uint64_t)d;
    }
    *out = n;
    return true;
}

static bool read_text(const char *p, const char *end, char *out, size_t size)
{
    size_t n = 0;

    for (; p < end; p++) {
        uint64_t c = (unsigned char)*p;

        if (is_control((unsigned char)c))
            return false;
        if (c == '\\') {
            if (end - p < 4 || p[1] != 'x' || !read_hex(p + 2, 2, &c) || c == 0)
                return false;
            p += 3;
        }
        if (n + 1 >= size)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

static bool is(const char *p, const char *end, const char *word)
{
    return (size_t)(end - p) == strlen(word) && memcmp(p, word, strlen(word)) == 0;
}

static bool read_value(const field_t *f, const char *p, const char *end, og_state_t *s)
{
    void *to = (char *)s + f->at;
    int64_t pid;

    switch (f->kind) {
    case FLAG:
        *(bool *)to = is(p, end, "yes");
        return *(bool *)to || is(p, end, "no");
    case PID:
        if (!og_num_i64(&p, end, &pid) || p != end || pid < INT32_MIN || pid > INT32_MAX)
            return false;
        *(int32_t *)to = (int32_t)pid;
        return true;
    case NUMBER:
        if (is(p, end, UNKNOWN)) {
            *(uint64_t *)to = OG_STATE_UNKNOWN;
            return true;
        }
        return og_num_u64(&p, end, to) && p == end;
    case TEXT:
        return read_text(p, end, to, f->size);
    }
    return false;
}

/* Moves *p behind word, if that stands there. */
static bool skip(const char **p, const char *end, const char *word)
{
    size_t len = strlen(word);

    if ((size_t)(end - *p) < len || memcmp(*p, word, len) != 0)
        return false;
    *p += len;
    return true;
}

static bool read_fields(const char *p, const char *end, og_state_t *s)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const char *eol;

        if (!skip(&p, end, fields[i].key) || !skip(&p, end, " ") ||
            (eol = memchr(p, '\n', (size_t)(end - p))) == NULL ||
            !read_value(&fields[i], p, eol, s))
            return false;
        p = eol + 1;
    }
    return p == end;
}

static bool is_blank(const char *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (buf[i] != '\0' && buf[i] != '\n' && buf[i] != ' ')
            return false;
    }
    return true;
}

/* The length of what is summed, or 0 if the sum is none or not that. */
static size_t summed(const char *buf, size_t len)
{
    size_t end = len, at;
    uint64_t sum;

    while (end > 0 && buf[end - 1] == '\n')
        end--;
    if (end == len || end <= SUM_BYTES)
        return 0;
    at = end - SUM_BYTES;
    if (buf[at - 1] != '\n' || memcmp(buf + at, SUM_KEY, sizeof SUM_KEY - 1) != 0 ||
        !read_hex(buf + at + sizeof SUM_KEY - 1, SUM_DIGITS, &sum) || sum != sum_of(buf, at))
        return 0;
    return at;
}

int og_state_parse(const char *buf, size_t len, og_state_t *out, uint64_t *number)
{
    const char *p = buf, *end;
    uint64_t version, n;

    memset(out, 0, sizeof *out);
    *number = 0;
    if (is_blank(buf, len))
        return -ENODATA;
    if (len > OG_STATE_SLOT_BYTES)
        return -EINVAL;
    end = buf + summed(buf, len);
    /* A number that nobody can have counted up to could not be counted up, either. */
    if (!skip(&p, end, OG_STATE_MAGIC) || !og_num_u64(&p, end, &version) || !skip(&p, end, " ") ||
        !og_num_u64(&p, end, &n) || n > INT64_MAX || !skip(&p, end, "\n"))
        return -EINVAL;
    if (version == OG_STATE_VERSION && !read_fields(p, end, out)) {
        memset(out, 0, sizeof *out);
        return -EINVAL;
    }
    *number = n;
    return version == OG_STATE_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* --- Writing. */

/* The length, or 0 if there is no room for it. */
static size_t put_text(const char *text, size_t size, char *out, size_t room)
{
    size_t n = 0;

    for (size_t i = 0; i < size && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        bool escape = is_control(c) || c == '\\';

        if (n + (escape ? 4 : 1) > room)
            return 0;
        if (escape) {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = "0123456789abcdef"[c >> 4];
            out[n++] = "0123456789abcdef"[c & 15];
        }
        else
            out[n++] = (char)c;
    }
    return n;
}

/* All but the cgroup take less than 600 bytes together, so only that can find no room. */
static size_t put_value(const field_t *f, const og_state_t *s, char *out, size_t room)
{
    const void *from = (const char *)s + f->at;

    switch (f->kind) {
    case FLAG:
        return (size_t)snprintf(out, room, "%s", *(const bool *)from ? "yes" : "no");
    case PID:
        return (size_t)snprintf(out, room, "%" PRId32, *(const int32_t *)from);
    case NUMBER:
        if (*(const uint64_t *)from == OG_STATE_UNKNOWN)
            return (size_t)snprintf(out, room, UNKNOWN);
        return (size_t)snprintf(out, room, "%" PRIu64, *(const uint64_t *)from);
    case TEXT:
        return put_text(from, f->size - 1, out, room);
    }
    return 0;
}

size_t og_state_format(const og_state_t *s, uint64_t number, char buf[OG_STATE_SLOT_BYTES])
{
    /* Behind the last value come a newline, the sum, and its newline. */
    const size_t size = OG_STATE_SLOT_BYTES - (1 + SUM_BYTES + 1);
    char sum[SUM_BYTES + 2]; /* with its newline and a NUL, for which there may be no room */
    size_t n = (size_t)snprintf(buf, size, OG_STATE_MAGIC "%d %" PRIu64 "\n",
                                OG_STATE_VERSION, number);

    for (size_t i = 0; i < FIELDS; i++) {
        n += (size_t)snprintf(buf + n, size - n, "%s ", fields[i].key);
        n += put_value(&fields[i], s, buf + n, size - n);
        buf[n++] = '\n';
    }
    snprintf(sum, sizeof sum, SUM_KEY "%016" PRIx64 "\n", sum_of(buf, n));
    memcpy(buf + n, sum, SUM_BYTES + 1);
    n += SUM_BYTES + 1;
    memset(buf + n, '\n', OG_STATE_SLOT_BYTES - n);
    return n;
}
