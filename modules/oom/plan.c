/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/plan.h"
#include "oom/cap.h"
#include "lib/num.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VALUE_MAX 64 /* no value that means something is longer */
#define SHOWN_MAX 40 /* of what was given, in a sentence */
#define QUOTED_MAX (SHOWN_MAX * 4 + sizeof "...")

typedef struct {
    char text[VALUE_MAX + 1]; /* decoded: may hold anything, NUL included */
    size_t len;
    bool cut;
} value_t;

typedef struct {
    oom_plan_t *plan;
    oom_amount_t size;
    value_t size_given, repeat_given;
} draft_t;

typedef struct {
    const char *name;
    bool (*set)(draft_t *draft, const value_t *v);
    const char *allowed;
} param_t;

static const char *const kinds[OOM_KIND_COUNT] = { "anon",  "mmap",   "shm",  "file",
                                                   "mlock", "thread", "fork", "reserve" };

const char *oom_plan_kind(oom_kind_t kind)
{
    return (unsigned)kind < OOM_KIND_COUNT ? kinds[kind] : "unknown";
}

/* What of the bytes is printable stays; the rest, and what would end the quotes, is \xNN.
 */
static void quote(char out[QUOTED_MAX], const value_t *v)
{
    size_t n = 0, shown = v->len < SHOWN_MAX ? v->len : SHOWN_MAX;

    for (size_t i = 0; i < shown; i++) {
        unsigned char c = (unsigned char)v->text[i];

        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\')
            out[n++] = (char)c;
        else
            n += (size_t)snprintf(out + n, QUOTED_MAX - n, "\\x%02x", c);
    }
    out[n] = '\0';
    if (shown < v->len || v->cut)
        memcpy(out + n, "...", sizeof "...");
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A '%' without two hex digits is itself: people type size=50% as they say it. */
static void decode(value_t *v, const char *s, size_t len)
{
    v->len = 0;
    v->cut = false;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];

        if (v->len == VALUE_MAX) {
            v->cut = true;
            break;
        }
        if (c == '%' && len - i > 2 && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
            c = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
            i += 2;
        }
        v->text[v->len++] = c;
    }
    v->text[v->len] = '\0';
}

static bool is(const value_t *v, const char *word)
{
    return !v->cut && v->len == strlen(word) && memcmp(v->text, word, v->len) == 0;
}

/* "", "K", "KB", "KiB" and so on; how far to shift, or -1. */
static int unit_shift(const char *s, const char *end)
{
    static const char units[] = "kmgt";
    const char *u = s < end ? memchr(units, *s | 0x20, sizeof units - 1) : NULL;
    int shift = 0;

    if (u != NULL) {
        shift = (int)(u - units + 1) * 10;
        s++;
        if (end - s == 2 && *s == 'i')
            s++;
    }
    if (s < end && (*s | 0x20) == 'b')
        s++;
    return s == end ? shift : -1;
}

static bool parse_amount(const char *s, size_t len, oom_amount_t *amount)
{
    const char *end = s + len;
    uint64_t n;
    int shift;

    if (!og_num_u64(&s, end, &n) || n == 0 || n > OOM_PLAN_BYTES_MAX)
        return false;
    amount->n = n;
    if (end - s == 1 && *s == '%') {
        amount->unit = OOM_AMOUNT_PERCENT;
        return true;
    }
    shift = unit_shift(s, end);
    if (shift < 0 || n > OOM_PLAN_BYTES_MAX >> shift)
        return false;
    amount->unit = OOM_AMOUNT_BYTES;
    amount->n = n << shift;
    return true;
}

int oom_plan_amount(const char *text, oom_amount_t *amount)
{
    oom_amount_t a;

    if (strcasecmp(text, "unlimited") == 0) {
        amount->unit = OOM_AMOUNT_UNLIMITED;
        amount->n = 0;
        return 0;
    }
    if (!parse_amount(text, strlen(text), &a))
        return -EINVAL;
    *amount = a;
    return 0;
}

/* limit * percent / 100, or false if that is no size. */
static bool percent_of(uint64_t limit, uint64_t percent, uint64_t *bytes)
{
    uint64_t whole, part;

    /* In two parts: nearly every machine's limit times a percentage fits, but not every.
     */
    if (__builtin_mul_overflow(limit / 100, percent, &whole) ||
        __builtin_mul_overflow(limit % 100, percent, &part) ||
        __builtin_add_overflow(whole, part / 100, bytes) || *bytes > OOM_PLAN_BYTES_MAX)
        return false;
    if (*bytes == 0)
        *bytes = 1;
    return true;
}

uint64_t oom_plan_resolve(const oom_amount_t *amount, uint64_t limit_bytes)
{
    uint64_t bytes;

    if (amount->unit == OOM_AMOUNT_UNLIMITED)
        return OOM_PLAN_UNLIMITED;
    if (amount->unit == OOM_AMOUNT_BYTES)
        return amount->n;
    return percent_of(limit_bytes, amount->n, &bytes) ? bytes : OOM_PLAN_BYTES_MAX;
}

static bool set_size(draft_t *d, const value_t *v)
{
    d->size_given = *v;
    return parse_amount(v->text, v->len, &d->size);
}

static bool set_rate(draft_t *d, const value_t *v)
{
    oom_amount_t a;

    if (!parse_amount(v->text, v->len, &a) || a.unit != OOM_AMOUNT_BYTES)
        return false;
    d->plan->rate_bytes = a.n;
    return true;
}

/* Milliseconds are as fine as it gets; further digits are digits, and are passed over. */
static bool set_hold(draft_t *d, const value_t *v)
{
    const char *p = v->text, *end = v->text + v->len;
    uint64_t sec, msec = 0;

    if (!og_num_u64(&p, end, &sec))
        return false;
    if (p < end) {
        if (*p++ != '.' || p == end)
            return false;
        for (unsigned worth = 100; p < end; p++, worth /= 10) {
            if (*p < '0' || *p > '9')
                return false;
            msec += (unsigned)(*p - '0') * worth;
        }
    }
    if (sec > OOM_PLAN_HOLD_MAX_SEC || (sec == OOM_PLAN_HOLD_MAX_SEC && msec > 0))
        return false;
    d->plan->hold_msec = sec * 1000 + msec;
    return true;
}

static bool set_kind(draft_t *d, const value_t *v)
{
    for (int k = 0; k < OOM_KIND_COUNT; k++) {
        if (is(v, kinds[k])) {
            d->plan->kind = (oom_kind_t)k;
            return true;
        }
    }
    return false;
}

static bool set_leak(draft_t *d, const value_t *v)
{
    d->plan->leak = is(v, "1");
    return d->plan->leak || is(v, "0");
}

static bool set_repeat(draft_t *d, const value_t *v)
{
    const char *p = v->text, *end = v->text + v->len;
    uint64_t n;

    if (!og_num_u64(&p, end, &n) || p != end || n < 1 || n > OOM_PLAN_REPEAT_MAX)
        return false;
    d->plan->repeat = (uint32_t)n;
    d->repeat_given = *v;
    return true;
}

static const param_t params[] = {
    { "size", set_size,
      "1 to 9223372036854775807 bytes with an optional K, M, G or T (powers of 1024), "
      "or a percentage of the limit in force such as 50%" },
    { "rate", set_rate,
      "1 to 9223372036854775807 bytes a second with an optional K, M, G or T "
      "(powers of 1024)" },
    { "hold", set_hold, "0 to 604800 seconds with an optional fraction such as 2.5" },
    { "kind", set_kind, "anon, mmap, shm, file, mlock, thread, fork and reserve" },
    { "leak", set_leak,
      "0 (give the memory back) and 1 (keep it until the worker ends)" },
    { "repeat", set_repeat, "1 to 1000000 times" },
};
#define PARAMS (sizeof params / sizeof params[0])

/* One NAME=VALUE, at s. seen has a bit per parameter. */
static int take(draft_t *d, const char *s, size_t len, unsigned *seen, char *err,
                size_t errsize)
{
    const char *eq = memchr(s, '=', len);
    size_t namelen = eq != NULL ? (size_t)(eq - s) : len, i;
    char given[QUOTED_MAX], shown[QUOTED_MAX];
    value_t name, v;

    decode(&name, s, namelen);
    decode(&v, s + namelen + (eq != NULL), len - namelen - (eq != NULL));
    quote(shown, &name);
    quote(given, &v);
    for (i = 0; i < PARAMS && !is(&name, params[i].name); i++)
        continue;
    if (i == PARAMS)
        snprintf(err, errsize,
                 "Parameter \"%s\" is unknown (given as \"%s\"); allowed are size, rate, "
                 "hold, kind, leak and repeat.",
                 shown, given);
    else if (*seen & 1u << i)
        snprintf(err, errsize,
                 "Parameter \"%s\" was given once more, as \"%s\"; allowed is once.",
                 shown, given);
    else if (v.cut || !params[i].set(d, &v))
        snprintf(err, errsize, "Parameter \"%s\" was given as \"%s\"; allowed are %s.",
                 shown, given, params[i].allowed);
    else {
        *seen |= 1u << i;
        return 0;
    }
    return -EINVAL;
}

static uint64_t default_size(oom_kind_t kind, uint64_t limit)
{
    uint64_t bytes = OOM_PLAN_BYTES_MAX;

    switch (kind) {
    case OOM_KIND_FILE:
    case OOM_KIND_RESERVE:
        percent_of(limit, 200, &bytes);
        return bytes;
    case OOM_KIND_FORK: /* each half fits, both do not */
        percent_of(limit, 60, &bytes);
        return bytes;
    default:
        return OOM_PLAN_UNLIMITED;
    }
}

/* A size that was asked for: taken as it is, or refused. */
static int settle_given(draft_t *d, const oom_bounds_t *b, char *err, size_t errsize)
{
    oom_plan_t *plan = d->plan;
    uint64_t total;
    char given[QUOTED_MAX];
    bool fits, cycles = plan->leak && plan->repeat > 1;

    plan->size_bytes = d->size.n;
    fits = (d->size.unit == OOM_AMOUNT_BYTES ||
            percent_of(b->limit_bytes, d->size.n, &plan->size_bytes)) &&
           oom_cap_total(plan, &total);
    if (fits && total <= oom_cap_pages(b->cap_bytes))
        return 0;
    quote(given, &d->size_given);
    if (!fits)
        snprintf(err, errsize,
                 "Parameter \"size\" was given as \"%s\", which comes to more than a "
                 "process can address; allowed are at most 9223372036854775807 bytes.",
                 given);
    else
        snprintf(err, errsize,
                 "Parameter \"size\" was given as \"%s\", which comes to %llu bytes%s%s; "
                 "allowed are at most %llu bytes by OOMMaxSize.",
                 given, (unsigned long long)total,
                 plan->kind == OOM_KIND_FORK ? " with the copy of kind=fork" : "",
                 cycles ? " in all cycles of leak=1, with what keeps each" : "",
                 (unsigned long long)b->cap_bytes);
    return -EINVAL;
}

static int settle_default(draft_t *d, const oom_bounds_t *b, char *err, size_t errsize)
{
    oom_plan_t *plan = d->plan;
    uint64_t bytes = default_size(plan->kind, b->limit_bytes);
    uint64_t most = oom_cap_size(plan, b->cap_bytes);
    bool cycles = plan->leak && plan->repeat > 1;
    char given[QUOTED_MAX];

    plan->size_bytes = bytes < most ? bytes : most;
    if (plan->size_bytes > 0)
        return 0;
    quote(given, &d->repeat_given);
    snprintf(
        err, errsize,
        "Parameter \"%s\" was given as \"%s\"; allowed is what leaves each cycle and "
        "copy %llu bytes, beside its records, of the %llu that OOMMaxSize allows.",
        cycles ? "repeat" : "kind", cycles ? given : kinds[plan->kind],
        (unsigned long long)oom_cap_grain_bytes(plan->kind),
        (unsigned long long)b->cap_bytes);
    return -EINVAL;
}

/* The pairs between the ampersands; an empty one is kindly passed over. */
static int take_all(draft_t *d, const char *query, char *err, size_t errsize)
{
    unsigned seen = 0;
    int rc = 0;

    while (rc == 0 && *query != '\0') {
        size_t len = strcspn(query, "&");

        if (len > 0)
            rc = take(d, query, len, &seen, err, errsize);
        query += len + (query[len] != '\0');
    }
    return rc;
}

int oom_plan_parse(const char *query, const oom_bounds_t *bounds, oom_plan_t *plan,
                   char *err, size_t errsize)
{
    draft_t d = { .plan = plan, .size = { .unit = OOM_AMOUNT_UNLIMITED } };
    int rc;

    *plan = (oom_plan_t){ .kind = OOM_KIND_ANON, .repeat = 1 };
    rc = query != NULL ? take_all(&d, query, err, errsize) : 0;
    if (rc != 0)
        return rc;
    return d.size.unit != OOM_AMOUNT_UNLIMITED ? settle_given(&d, bounds, err, errsize)
                                               : settle_default(&d, bounds, err, errsize);
}

uint64_t oom_plan_step(const oom_plan_t *plan, uint64_t limit_bytes)
{
    uint64_t most = plan->size_bytes < limit_bytes ? plan->size_bytes : limit_bytes;
    uint64_t step = OOM_PLAN_STEP_MIN_BYTES;

    while (step <= most / 64)
        step *= 2;
    return step;
}
