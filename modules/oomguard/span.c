/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/span.h"
#include "lib/num.h"

#include <limits.h>
#include <string.h>

/* TASK_COMM_LEN without its NUL. */
#define COMM_BYTES 15

bool og_span_eat(og_span_t *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

bool og_span_eat_back(og_span_t *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->end - n, word, n) != 0)
        return false;
    s->end -= n;
    return true;
}

void og_span_spaces(og_span_t *s)
{
    while (og_span_eat(s, " "))
        ;
}

void og_span_caller(og_span_t *s)
{
    og_span_t t = *s;
    uint64_t n;

    if (!og_span_eat(&t, "["))
        return;
    og_span_spaces(&t);
    if ((og_span_eat(&t, "T") || og_span_eat(&t, "C")) && og_num_u64(&t.p, t.end, &n) &&
        og_span_eat(&t, "]"))
        *s = t;
}

bool og_span_pid(og_span_t *s, pid_t *pid)
{
    const char *p = s->p;
    uint64_t n;

    if (!og_num_u64(&p, s->end, &n) || n == 0 || n > INT_MAX)
        return false;
    s->p = p;
    *pid = (pid_t)n;
    return true;
}

bool og_span_uid(og_span_t *s, int64_t *uid)
{
    const char *p = s->p;
    uint64_t n;

    if (!og_num_u64(&p, s->end, &n) || n > UINT32_MAX)
        return false;
    s->p = p;
    *uid = (int64_t)n;
    return true;
}

bool og_span_value(og_span_t *s, int64_t *value)
{
    og_span_t t = *s;
    const char *digits;

    *value = OG_KMSG_UNKNOWN;
    if (og_num_i64(&s->p, s->end, value))
        return true;
    og_span_eat(&t, "-");
    for (digits = t.p; t.p < t.end && *t.p >= '0' && *t.p <= '9'; t.p++)
        ;
    if (t.p == digits)
        return false;
    s->p = t.p;
    return true;
}

const char *og_span_find(const char *p, const char *end, const char *word)
{
    return memmem(p, (size_t)(end - p), word, strlen(word));
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next byte, \xNN being one. */
static unsigned char decode(og_span_t *s, bool *escaped)
{
    *escaped = s->end - s->p >= 4 && s->p[0] == '\\' && s->p[1] == 'x' &&
               hex(s->p[2]) >= 0 && hex(s->p[3]) >= 0;
    if (*escaped) {
        s->p += 4;
        return (unsigned char)(hex(s->p[-2]) << 4 | hex(s->p[-1]));
    }
    return (unsigned char)*s->p++;
}

bool og_span_is_comm(og_span_t s)
{
    bool escaped;

    for (int n = 0; s.p < s.end; n++) {
        if (n == COMM_BYTES)
            return false;
        decode(&s, &escaped);
    }
    return true;
}

bool og_span_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '\\';
}

size_t og_span_put(char *out, unsigned char c, bool plain)
{
    static const char digits[] = "0123456789abcdef";

    if (plain) {
        *out = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[c >> 4];
    out[3] = digits[c & 15];
    return 4;
}

static void put(char *out, size_t size, og_span_t s, bool undo)
{
    size_t n = 0;
    bool escaped;

    while (s.p < s.end) {
        unsigned char c = decode(&s, &escaped);
        bool plain = c >= 0x20 && c != 0x7f && (undo || (!escaped && c < 0x7f));

        if (size - n <= (plain ? 1 : 4)) {
            n = 0;
            break;
        }
        n += og_span_put(out + n, c, plain);
    }
    out[n] = '\0';
}

void og_span_comm(char out[OG_KMSG_COMM_MAX], og_span_t s)
{
    put(out, OG_KMSG_COMM_MAX, s, false);
}

void og_span_path(char out[OG_KMSG_CGROUP_MAX], og_span_t s)
{
    put(out, OG_KMSG_CGROUP_MAX, s, true);
}
