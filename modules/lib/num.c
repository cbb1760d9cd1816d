/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/num.h"

bool og_num_u64(const char **p, const char *end, uint64_t *out)
{
    const char *s = *p;
    uint64_t n = 0;

    if (s >= end || *s < '0' || *s > '9')
        return false;
    for (; s < end && *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
            return false;
    }
    *p = s;
    *out = n;
    return true;
}

bool og_num_i64(const char **p, const char *end, int64_t *out)
{
    const char *s = *p;
    bool minus = s < end && *s == '-';
    uint64_t n;

    if (minus)
        s++;
    if (!og_num_u64(&s, end, &n) || n > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)-n : (int64_t)n;
    *p = s;
    return true;
}
