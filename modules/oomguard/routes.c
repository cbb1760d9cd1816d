/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/routes.h"

#include <string.h>

#define LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define PEEK(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ADD(p, n) __atomic_add_fetch((p), (n), __ATOMIC_RELAXED)

#define GIVING 1

/* Eight bytes at a time: it runs for every request. */
static uint64_t mix(uint64_t h, const char *s, size_t len)
{
    uint64_t word;

    for (; len >= sizeof word; len -= sizeof word, s += sizeof word) {
        memcpy(&word, s, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
        h ^= h >> 29;
    }
    word = len;
    memcpy(&word, s, len);
    h = (h ^ word ^ (uint64_t)len << 56) * 0xbf58476d1ce4e5b9ULL;
    return h ^ h >> 32;
}

uint64_t og_routes_hash(const og_routes_t *t, const og_route_key_t *key)
{
    uint64_t h = t->seed;

    h = mix(h, key->vhost, strlen(key->vhost));
    h = mix(h, key->handler, strlen(key->handler));
    h = mix(h, key->pattern, strlen(key->pattern));
    return h > GIVING ? h : GIVING + 1;
}

static og_route_t *set_of(const og_routes_t *t, uint64_t hash)
{
    return (og_route_t *)t->routes + hash % (OG_ROUTES / OG_ROUTES_WAYS) * OG_ROUTES_WAYS;
}

og_route_t *og_routes_find(og_routes_t *t, uint64_t hash)
{
    og_route_t *set = set_of(t, hash);

    for (unsigned i = 0; i < OG_ROUTES_WAYS; i++) {
        if (PEEK(&set[i].hash) == hash)
            return &set[i];
    }
    return NULL;
}

static void put(char *out, size_t size, const char *text)
{
    size_t len = strnlen(text, size - 1);

    memcpy(out, text, len);
    memset(out + len, 0, size - len);
}

static void write_text(og_route_t *r, uint64_t hash, const og_route_key_t *key)
{
    STORE(&r->ready, 0); /* one who dies in the midst of this leaves it to be written anew */
    put(r->vhost, sizeof r->vhost, key->vhost);
    put(r->handler, sizeof r->handler, key->handler);
    put(r->pattern, sizeof r->pattern, key->pattern);
    STORE(&r->ready, hash);
}

/* Is a less interesting than b? */
static bool is_duller(const og_route_t *a, const og_route_t *b)
{
    if (PEEK(&a->kills) != PEEK(&b->kills))
        return PEEK(&a->kills) < PEEK(&b->kills);
    if (PEEK(&a->faults) != PEEK(&b->faults))
        return PEEK(&a->faults) < PEEK(&b->faults);
    return PEEK(&a->requests) < PEEK(&b->requests);
}

static void evict(og_routes_t *t, og_route_t *r)
{
    ADD(&t->evicted, 1);
    __atomic_store_n(&r->requests, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&r->faults, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&r->most, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&r->kills, 0, __ATOMIC_RELAXED);
}

og_route_t *og_routes_take(og_routes_t *t, uint64_t hash, const og_route_key_t *key)
{
    og_route_t *set = set_of(t, hash), *r = og_routes_find(t, hash);

    while (r == NULL) {
        og_route_t *dullest = NULL;
        uint64_t had;

        for (unsigned i = 0; i < OG_ROUTES_WAYS; i++) {
            had = PEEK(&set[i].hash);
            if (had != GIVING && (dullest == NULL || (PEEK(&dullest->hash) != 0 &&
                                                      (had == 0 || is_duller(&set[i], dullest)))))
                dullest = &set[i];
        }
        if (dullest == NULL)
            return NULL;
        had = PEEK(&dullest->hash);
        /* Who dies while he has it takes it with him: one place, and no wrong count. */
        if (had != GIVING && __atomic_compare_exchange_n(&dullest->hash, &had, GIVING, false,
                                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            if (had != 0)
                evict(t, dullest);
            STORE(&dullest->hash, hash);
            r = dullest;
        }
        else /* somebody was faster, perhaps with the very same */
            r = og_routes_find(t, hash);
    }
    if (LOAD(&r->ready) != hash)
        write_text(r, hash, key);
    return r;
}

void og_routes_took(og_route_t *r, uint64_t faults)
{
    uint32_t most = PEEK(&r->most);

    ADD(&r->faults, faults);
    faults = faults < UINT32_MAX ? faults : UINT32_MAX;
    while (most < faults && !__atomic_compare_exchange_n(&r->most, &most, (uint32_t)faults,
                                                         false, __ATOMIC_RELAXED,
                                                         __ATOMIC_RELAXED))
        ;
}

void og_routes_killed(og_route_t *r)
{
    ADD(&r->kills, 1);
}

bool og_routes_copy(const og_routes_t *t, unsigned at, og_route_t *out)
{
    const og_route_t *r = &t->routes[at];
    uint64_t hash = LOAD(&r->hash);

    if (hash <= GIVING || LOAD(&r->ready) != hash)
        return false;
    memcpy(out, r, sizeof *out);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    /* As many may write it at once: a text that is being written has its end all the same. */
    out->vhost[sizeof out->vhost - 1] = '\0';
    out->handler[sizeof out->handler - 1] = '\0';
    out->pattern[sizeof out->pattern - 1] = '\0';
    return LOAD(&r->hash) == hash;
}
