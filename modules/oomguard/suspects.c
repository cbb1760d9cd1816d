/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/suspects.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fewer windows than this, and one for each unknown, tell nothing. */
#define WINDOWS_MIN 12
#define ROUNDS 200 /* of the solver */
#define GRAIN 1e-9

/* What a suspicion takes: a share of all growth, so many pages together, and so many standard
 * errors above nothing. */
#define FAIR_SHARE 0.2
#define FAIR_ERRORS 2
#define FAIR_PAGES 256
#define STRONG_SHARE 0.5
#define STRONG_ERRORS 4

/* What is in flight when a window ends, and what was when it began, is in its growth as well; and
 * who has grown it may be counted in the next one. Both are small over a longer time, but in
 * that processes grow for other reasons, too. So each window is taken with those before it, each
 * by this factor less than the next one: by that which leaves the least unexplained. */
static const double memories[] = { 0, 0.5, 0.7, 0.85, 0.95 };

#define MEMORIES (sizeof memories / sizeof *memories)

/* --- The normal equations, a column a route. */

typedef struct {
    unsigned n, windows;
    uint16_t order[OG_WINDOWS]; /* process by process, the oldest first */
    uint16_t at[OG_SUSPECTS];
    uint8_t column[OG_ROUTES]; /* less 1; 0: none */
    double xx[OG_SUSPECTS][OG_SUSPECTS], xy[OG_SUSPECTS], yy;
    double found[OG_SUSPECTS];
    double unexplained; /* a window: variance */
    uint32_t requests[OG_SUSPECTS];
} fit_t;

/* Of each route, over all windows: its requests, their squares, them by the growth. */
typedef struct {
    uint32_t windows;
    double x, xx, xy;
} sums_t;

static uint64_t hash_at(const og_routes_t *t, unsigned at)
{
    return __atomic_load_n(&t->routes[at].hash, __ATOMIC_RELAXED);
}

static bool is_still(const og_routes_t *t, const og_window_t *v, unsigned i)
{
    return v->routes[i].at < OG_ROUTES &&
           (uint32_t)hash_at(t, v->routes[i].at) == v->routes[i].hash;
}

/* How much a process grows where there is more of a route, the others left aside. */
static double correlation(const sums_t *r, double windows, double y, double yy)
{
    double spread = (windows * r->xx - r->x * r->x) * (windows * yy - y * y);

    return spread > 0 ? (windows * r->xy - r->x * y) / sqrt(spread) : 0;
}

static void take(fit_t *f, sums_t *sums, unsigned at)
{
    sums[at].windows = 0;
    f->at[f->n++] = (uint16_t)at;
    f->column[at] = (uint8_t)f->n;
}

/* The windows of processes, or those of the backends: one process after the other, each from its
 * oldest on. A process is found by a number made of its pid; where there are too many, two
 * become one, which does little harm. */
static void gather(fit_t *f, const og_windows_t *w, bool backends)
{
    enum { NONE = UINT16_MAX, BUCKETS = 1024 };
    uint16_t first[BUCKETS], last[BUCKETS], next[OG_WINDOWS];
    uint32_t end = __atomic_load_n(&w->next, __ATOMIC_RELAXED);
    unsigned n = end < OG_WINDOWS ? end : OG_WINDOWS;
    og_window_t v;

    memset(first, 0xff, sizeof first);
    for (unsigned age = n; age > 0; age--) {
        unsigned i = (end - age) % OG_WINDOWS, bucket;

        if (!og_windows_copy(w, i, &v) || (v.pid == OG_WINDOW_BACKENDS) != backends)
            continue;
        bucket = (uint32_t)v.pid % BUCKETS;
        next[i] = NONE;
        if (first[bucket] == NONE)
            first[bucket] = (uint16_t)i;
        else
            next[last[bucket]] = (uint16_t)i;
        last[bucket] = (uint16_t)i;
    }
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        for (unsigned i = first[bucket]; i != NONE; i = next[i])
            f->order[f->windows++] = (uint16_t)i;
    }
}

/* Those in most windows have a column each, and then those after which processes grew. */
static void choose(fit_t *f, const og_windows_t *w, const og_routes_t *t)
{
    sums_t sums[OG_ROUTES] = { { 0 } };
    double y = 0, yy = 0;
    og_window_t v;

    for (unsigned i = 0; i < f->windows; i++) {
        if (!og_windows_copy(w, f->order[i], &v))
            continue;
        y += v.grown;
        yy += (double)v.grown * v.grown;
        for (unsigned k = 0; k < v.seen; k++) {
            double x = v.routes[k].requests;
            sums_t *r;

            if (!is_still(t, &v, k))
                continue;
            r = &sums[v.routes[k].at];
            r->windows++;
            r->x += x;
            r->xx += x * x;
            r->xy += x * v.grown;
        }
    }
    while (f->n < OG_SUSPECTS / 2) {
        unsigned best = 0;

        for (unsigned at = 1; at < OG_ROUTES; at++) {
            if (sums[at].windows > sums[best].windows)
                best = at;
        }
        if (sums[best].windows == 0)
            return;
        take(f, sums, best);
    }
    while (f->n < OG_SUSPECTS) {
        unsigned best = OG_ROUTES;
        double most = 0;

        for (unsigned at = 0; at < OG_ROUTES; at++) {
            double c = sums[at].windows > 0 ? correlation(&sums[at], f->windows, y, yy) : 0;

            if (c > most) {
                most = c;
                best = at;
            }
        }
        if (best == OG_ROUTES)
            return;
        take(f, sums, best);
    }
}

static void add(fit_t *f, const double x[OG_SUSPECTS], double y)
{
    f->yy += y * y;
    for (unsigned a = 0; a < f->n; a++) {
        if (x[a] == 0)
            continue;
        f->xy[a] += x[a] * y;
        for (unsigned b = 0; b < f->n; b++)
            f->xx[a][b] += x[a] * x[b];
    }
}

static void sum_up(fit_t *f, const og_windows_t *w, const og_routes_t *t, double memory)
{
    double x[OG_SUSPECTS] = { 0 }, y = 0;
    int32_t pid = OG_WINDOW_BACKENDS;
    og_window_t v;

    memset(f->xx, 0, sizeof f->xx);
    memset(f->xy, 0, sizeof f->xy);
    memset(f->requests, 0, sizeof f->requests);
    f->yy = 0;
    for (unsigned i = 0; i < f->windows; i++) {
        double factor = memory;

        if (!og_windows_copy(w, f->order[i], &v))
            continue;
        if (v.pid != pid)
            factor = 0;
        pid = v.pid;
        for (unsigned a = 0; a < f->n; a++)
            x[a] *= factor;
        y = y * factor + v.grown;
        for (unsigned k = 0; k < v.seen; k++) {
            unsigned column;

            if (!is_still(t, &v, k) || f->column[v.routes[k].at] == 0)
                continue;
            column = f->column[v.routes[k].at] - 1U;
            x[column] += v.routes[k].requests;
            f->requests[column] += v.routes[k].requests;
        }
        add(f, x, y);
    }
}

/* One unknown after the other, each as good as the others allow, and none below nothing. */
static void solve(fit_t *f)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned a = 0; a < f->n; a++) {
            double rest = f->xy[a];

            for (unsigned b = 0; b < f->n; b++)
                rest -= b != a ? f->xx[a][b] * f->found[b] : 0;
            f->found[a] = f->xx[a][a] > 0 && rest > 0 ? rest / f->xx[a][a] : 0;
        }
    }
}

/* What is not explained, a window. */
static double variance(const fit_t *f)
{
    double left = f->yy;

    for (unsigned a = 0; a < f->n; a++) {
        left -= 2 * f->found[a] * f->xy[a];
        for (unsigned b = 0; b < f->n; b++)
            left += f->found[a] * f->xx[a][b] * f->found[b];
    }
    return left > 0 && f->windows > f->n ? left / (f->windows - f->n) : 0;
}

/* In its own place, by Gauss and Jordan: what is positive definite needs no pivots. Routes that
 * always come together can't be told apart: a grain more for each makes that a large number. */
static void invert(fit_t *f)
{
    for (unsigned a = 0; a < f->n; a++)
        f->xx[a][a] = f->xx[a][a] * (1 + GRAIN) + GRAIN;
    for (unsigned a = 0; a < f->n; a++) {
        double pivot = 1 / f->xx[a][a];

        f->xx[a][a] = 1;
        for (unsigned k = 0; k < f->n; k++)
            f->xx[a][k] *= pivot;
        for (unsigned b = 0; b < f->n; b++) {
            double factor = f->xx[b][a];

            if (b == a)
                continue;
            f->xx[b][a] = 0;
            for (unsigned k = 0; k < f->n; k++)
                f->xx[b][k] -= factor * f->xx[a][k];
        }
    }
}

static double surely(const og_suspect_t *s)
{
    return s->pages - FAIR_ERRORS * s->error;
}

static int compare(const void *a, const void *b)
{
    double x = surely(a), y = surely(b);

    return x < y ? 1 : x > y ? -1 : 0;
}

/* With the memory that leaves the least unexplained. */
static void fit(fit_t *f, const og_windows_t *w, const og_routes_t *t)
{
    unsigned best = 0;
    double least = INFINITY;

    for (unsigned i = 0; i < MEMORIES; i++) {
        sum_up(f, w, t, memories[i]);
        solve(f);
        f->unexplained = variance(f);
        if (f->unexplained < least) {
            least = f->unexplained;
            best = i;
        }
    }
    if (best != MEMORIES - 1) {
        sum_up(f, w, t, memories[best]);
        solve(f);
        f->unexplained = least;
    }
    invert(f);
}

/* What a request adds to its own process and to a backend is the sum. */
static void suspect(og_suspects_t *out, uint64_t hash, double pages, double error,
                    uint32_t requests)
{
    og_suspect_t *s = (og_suspect_t *)og_suspects_of(out, hash);

    if (s == NULL) {
        s = &out->of[out->n++];
        *s = (og_suspect_t){ .hash = hash };
    }
    s->pages += pages;
    s->error = sqrt(s->error * s->error + error * error);
    s->requests = s->requests > requests ? s->requests : requests;
}

static void find(og_suspects_t *out, const og_windows_t *w, const og_routes_t *t, bool backends)
{
    fit_t f;

    memset(&f, 0, sizeof f);
    gather(&f, w, backends);
    if (f.windows >= WINDOWS_MIN)
        choose(&f, w, t);
    if (f.windows < WINDOWS_MIN + f.n)
        return;
    fit(&f, w, t);
    for (unsigned i = 0; i < f.n; i++)
        suspect(out, hash_at(t, f.at[i]), f.found[i],
                f.xx[i][i] > 0 ? sqrt(f.unexplained * f.xx[i][i]) : INFINITY, f.requests[i]);
}

void og_suspects_find(og_suspects_t *out, const og_windows_t *w, const og_routes_t *t)
{
    double all = 0;

    out->n = 0;
    find(out, w, t, true);
    find(out, w, t, false);
    for (unsigned i = 0; i < out->n; i++)
        all += out->of[i].pages * out->of[i].requests;
    for (unsigned i = 0; i < out->n; i++)
        out->of[i].share = all > 0 ? out->of[i].pages * out->of[i].requests / all : 0;
    qsort(out->of, out->n, sizeof *out->of, compare);
}

const og_suspect_t *og_suspects_of(const og_suspects_t *s, uint64_t hash)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->of[i].hash == hash)
            return &s->of[i];
    }
    return NULL;
}

og_suspicion_t og_suspects_judge(const og_suspect_t *s)
{
    if (s == NULL || isinf(s->error))
        return OG_SUSPICION_UNKNOWN;
    if (surely(s) <= 0 || s->pages * s->requests < 1)
        return OG_SUSPICION_NONE;
    if (s->share < FAIR_SHARE || s->pages * s->requests < FAIR_PAGES)
        return OG_SUSPICION_WEAK;
    return s->share >= STRONG_SHARE && s->pages > STRONG_ERRORS * s->error ? OG_SUSPICION_STRONG
                                                                           : OG_SUSPICION_FAIR;
}

static int order(double a, double b)
{
    return a > b ? 1 : a < b ? -1 : 0;
}

int og_suspects_compare(const og_suspects_t *s, const og_route_t *a, const og_route_t *b)
{
    const og_suspect_t *x = og_suspects_of(s, a->hash), *y = og_suspects_of(s, b->hash);
    bool x_is = og_suspects_judge(x) >= OG_SUSPICION_FAIR;
    bool y_is = og_suspects_judge(y) >= OG_SUSPICION_FAIR;
    int n;

    if (x_is && y_is)
        return order(surely(x), surely(y));
    if (x_is || y_is)
        return x_is ? 1 : -1;
    n = order(a->kills, b->kills);
    n = n != 0 ? n : order(a->most, b->most);
    n = n != 0 ? n : order((double)a->faults, (double)b->faults);
    return n != 0 ? n : order((double)a->requests, (double)b->requests);
}

static const char *size_text(double bytes, char *buf, size_t size)
{
    if (bytes >= 1024 * 1024)
        snprintf(buf, size, "%.1f MiB", bytes / 1024 / 1024);
    else
        snprintf(buf, size, "%.1f KiB", bytes / 1024);
    return buf;
}

size_t og_suspects_say(const og_suspect_t *s, const og_route_t *r, unsigned page_bytes, char *buf,
                       size_t size)
{
    og_suspicion_t suspicion = og_suspects_judge(s);
    char each[32], error[32];
    double mean = r->requests > 0 ? (double)r->faults / (double)r->requests : 0;
    int n;

    if (r->requests == 0)
        n = snprintf(buf, size, "has had no request that ended");
    else if (suspicion >= OG_SUSPICION_WEAK)
        n = snprintf(buf, size, "retains %s a request (+-%s) over %" PRIu32 " requests, %.0f %% of "
                     "all growth", size_text(s->pages * page_bytes, each, sizeof each),
                     size_text(s->error * page_bytes, error, sizeof error), s->requests,
                     100 * s->share);
    else
        n = snprintf(buf, size, "takes %s a request over %" PRIu64 " request%s, %s",
                     size_text(mean * page_bytes, each, sizeof each), r->requests,
                     r->requests == 1 ? "" : "s",
                     suspicion == OG_SUSPICION_NONE ? "and is not seen to retain any"
                                                    : "too few to tell what it retains");
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}
