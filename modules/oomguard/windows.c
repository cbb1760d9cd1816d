/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/windows.h"

#include <string.h>

#define WORDS (OG_ROUTES / 64)

/* Who is killed while he closes a window must not keep all others from it. */
#define STALE_USEC (10 * 1000000ULL)

void og_windows_begin(og_seeing_t *s, unsigned threads)
{
    s->left_out = threads > 4 ? threads / 4 : 1;
}

bool og_windows_see(og_seeing_t *s, unsigned at, uint64_t usec)
{
    uint64_t bit = 1ULL << at % 64;
    uint32_t requests;

    __atomic_fetch_add(&s->counts[at], 1, __ATOMIC_RELAXED);
    if ((OG_PEEK(&s->present[at / 64]) & bit) == 0)
        __atomic_fetch_or(&s->present[at / 64], bit, __ATOMIC_RELAXED);
    if (OG_PEEK(&s->usec) == 0)
        OG_POKE(&s->usec, usec);
    requests = __atomic_fetch_add(&s->requests, 1, __ATOMIC_RELAXED) + 1;
    return requests >= OG_WINDOW_REQUESTS || usec > OG_PEEK(&s->usec) + OG_WINDOW_USEC;
}

bool og_windows_shut(og_seeing_t *s, uint64_t usec, uint64_t least_usec, uint32_t requests)
{
    uint64_t since = OG_PEEK(&s->shut);
    uint32_t has = OG_PEEK(&s->requests);

    return has > 0 && (has >= requests || usec >= OG_PEEK(&s->usec) + least_usec) &&
           (since == 0 || usec > since + STALE_USEC) &&
           __atomic_compare_exchange_n(&s->shut, &since, usec, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void take(og_seeing_t *s, const og_routes_t *t, og_window_t *out)
{
    unsigned seen = 0;

    /* Where there are too many, it is not always the same that have no room. */
    for (unsigned word = 0; word < WORDS; word++) {
        unsigned i = (unsigned)((OG_PEEK(&s->usec) + word) % WORDS);
        uint64_t bits = __atomic_exchange_n(&s->present[i], 0, __ATOMIC_RELAXED);

        for (; bits != 0; bits &= bits - 1) {
            unsigned at = i * 64 + (unsigned)__builtin_ctzll(bits);
            uint16_t n = __atomic_exchange_n(&s->counts[at], 0, __ATOMIC_RELAXED);

            if (n == 0 || out == NULL || seen >= OG_WINDOW_ROUTES)
                continue;
            out->routes[seen].at = (uint16_t)at;
            out->routes[seen].requests = n;
            out->routes[seen].hash = (uint32_t)OG_PEEK(&t->routes[at].hash);
            seen++;
        }
    }
    if (out != NULL)
        out->seen = seen;
}

void og_windows_close(og_seeing_t *s, og_windows_t *w, const og_routes_t *t, pid_t pid,
                      uint64_t usec, int64_t pages, uint64_t who)
{
    OG_POKE(&s->requests, 0);
    if (s->left_out > 0 || s->who != who) {
        s->left_out -= s->left_out > 0;
        take(s, t, NULL);
    }
    else {
        og_window_t *to = &w->windows[__atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED) %
                                      OG_WINDOWS];
        og_window_t v = { .pid = (int32_t)pid };
        int64_t grown = pages - s->pages;

        v.grown = grown > INT32_MAX ? INT32_MAX : grown < INT32_MIN ? INT32_MIN : (int32_t)grown;
        take(s, t, &v);
        /* A process that dies over it, or is overtaken by a whole round, leaves it odd or torn:
         * one of many. */
        og_stamped_write(&to->stamp, &to->stamp + 1, &v.stamp + 1, sizeof v - sizeof v.stamp);
    }
    s->pages = pages;
    s->who = who;
    OG_POKE(&s->usec, usec);
    OG_STORE(&s->shut, 0);
}

bool og_windows_copy(const og_windows_t *w, unsigned i, og_window_t *out)
{
    const og_window_t *from = &w->windows[i];

    return og_stamped_read(&from->stamp, out, from, sizeof *out) &&
           out->seen <= OG_WINDOW_ROUTES;
}
