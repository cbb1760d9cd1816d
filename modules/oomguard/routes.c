/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/routes.h"

#include <string.h>

/* What the hash of a place may be instead of a route's. A place that was never taken is not left
 * so, and no place becomes one again. */
#define NEVER 0
#define VACANT 2

/* This bit, with the rest of a hash: a thread gives the place to that route, and no other thread
 * may use it. Without the rest: another thread has called that off. The first thread makes the
 * place vacant; if it was killed, the place is lost, and no count is wrong. */
#define CLAIMED 1

/* A thread may be killed while it gives a place to a route, or may not run for long. Another one
 * that wants the same route looks so many times whether it is there, and then calls that off. */
#define PATIENCE 100

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
    h &= ~(uint64_t)CLAIMED;
    return h > VACANT ? h : VACANT + 2;
}

static og_route_t *set_of(const og_routes_t *t, uint64_t hash)
{
    /* The lowest bit is the same in all. */
    return (og_route_t *)t->routes + hash / 2 % (OG_ROUTES / OG_ROUTES_WAYS) * OG_ROUTES_WAYS;
}

og_route_t *og_routes_find(og_routes_t *t, uint64_t hash)
{
    og_route_t *set = set_of(t, hash);

    for (unsigned i = 0; i < OG_ROUTES_WAYS; i++) {
        if (OG_PEEK(&set[i].hash) == hash)
            return &set[i];
    }
    return NULL;
}

static void put(char *out, size_t size, const char *text)
{
    og_atomic_text(out, text, strnlen(text, size - 1));
}

/* It is ready only at the end: one that was killed in the midst of this leaves it to be written
 * anew. */
static void write_text(og_route_t *r, uint64_t hash, const og_route_key_t *key)
{
    put(r->vhost, sizeof r->vhost, key->vhost);
    put(r->handler, sizeof r->handler, key->handler);
    put(r->pattern, sizeof r->pattern, key->pattern);
    OG_STORE(&r->ready, hash);
}

/* Is a less interesting than b? */
static bool is_duller(const og_route_t *a, const og_route_t *b)
{
    if (OG_PEEK(&a->kills) != OG_PEEK(&b->kills))
        return OG_PEEK(&a->kills) < OG_PEEK(&b->kills);
    if (OG_PEEK(&a->faults) != OG_PEEK(&b->faults))
        return OG_PEEK(&a->faults) < OG_PEEK(&b->faults);
    return OG_PEEK(&a->requests) < OG_PEEK(&b->requests);
}

static void evict(og_routes_t *t, og_route_t *r)
{
    OG_ADD(&t->evicted, 1);
    OG_POKE(&r->requests, 0);
    OG_POKE(&r->faults, 0);
    OG_POKE(&r->most, 0);
    OG_POKE(&r->kills, 0);
}

/* A look at a set for a hash: where a place for it could be had. */
typedef struct {
    og_route_t *place; /* or NULL */
    uint64_t had;      /* the hash of that place by which it was chosen */
    og_route_t *rival; /* another thread gives this place to the very same route; or NULL */
} look_t;

static bool swap(og_route_t *r, uint64_t from, uint64_t to)
{
    return __atomic_compare_exchange_n(&r->hash, &from, to, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
}

/* The route, if it is there. A place that was never taken is the last one to be looked at: so all
 * threads that want the same route there try to take the same place. */
static og_route_t *look(og_route_t *set, uint64_t hash, look_t *l)
{
    *l = (look_t){ .place = NULL };
    for (unsigned i = 0; i < OG_ROUTES_WAYS; i++) {
        uint64_t has = __atomic_load_n(&set[i].hash, __ATOMIC_SEQ_CST);

        if (has == hash)
            return &set[i];
        if (has == (hash | CLAIMED))
            l->rival = &set[i];
        if ((has & CLAIMED) != 0)
            continue;
        if (l->place == NULL || has == NEVER ||
            (l->had != VACANT && (has == VACANT || is_duller(&set[i], l->place)))) {
            l->place = &set[i];
            l->had = has;
        }
        if (has == NEVER)
            break;
    }
    return NULL;
}

/* Of the threads that give places of a set to the same route, that with the lowest place goes on:
 * it calls the others off, and these withdraw. Each looks after it has claimed its own place, so
 * of two, one sees the other at least. False if the caller is to withdraw, as it is if the route
 * is there. */
static bool prevails(og_route_t *set, const og_route_t *mine, uint64_t hash)
{
    for (og_route_t *r = set; r < set + OG_ROUTES_WAYS; r++) {
        uint64_t has = __atomic_load_n(&r->hash, __ATOMIC_SEQ_CST);

        if (has == (hash | CLAIMED) && r != mine) {
            if (r < mine)
                return false;
            if (!swap(r, has, CLAIMED))
                has = __atomic_load_n(&r->hash, __ATOMIC_SEQ_CST);
        }
        if (has == hash)
            return false;
    }
    return true;
}

/* Gives a place that was taken before to a route. False if another thread was faster. */
static bool give(og_routes_t *t, og_route_t *r, uint64_t had, uint64_t hash,
                 const og_route_key_t *key)
{
    if (!swap(r, had, hash | CLAIMED))
        return false;
    if (had != VACANT)
        evict(t, r);
    if (prevails(set_of(t, hash), r, hash)) {
        write_text(r, hash, key);
        if (swap(r, hash | CLAIMED, hash))
            return true;
    }
    OG_STORE(&r->hash, VACANT);
    return false;
}

og_route_t *og_routes_take(og_routes_t *t, uint64_t hash, const og_route_key_t *key)
{
    og_route_t *set = set_of(t, hash), *r = og_routes_find(t, hash);
    int patience = PATIENCE;
    look_t l;

    while (r == NULL && (r = look(set, hash, &l)) == NULL) {
        if (l.rival != NULL) {
            if (patience-- > 0)
                continue;
            patience = PATIENCE;
            swap(l.rival, hash | CLAIMED, CLAIMED);
        }
        else if (l.place == NULL)
            return NULL;
        else if (l.had == NEVER ? swap(l.place, NEVER, hash)
                                : give(t, l.place, l.had, hash, key))
            r = l.place;
    }
    if (OG_LOAD(&r->ready) != hash)
        write_text(r, hash, key);
    return r;
}

void og_routes_took(og_route_t *r, uint64_t faults)
{
    uint32_t most = OG_PEEK(&r->most);

    OG_ADD(&r->faults, faults);
    faults = faults < UINT32_MAX ? faults : UINT32_MAX;
    while (most < faults && !__atomic_compare_exchange_n(&r->most, &most, (uint32_t)faults,
                                                         false, __ATOMIC_RELAXED,
                                                         __ATOMIC_RELAXED))
        ;
}

void og_routes_killed(og_route_t *r)
{
    OG_ADD(&r->kills, 1);
}

bool og_routes_copy(const og_routes_t *t, unsigned at, og_route_t *out)
{
    const og_route_t *r = &t->routes[at];
    uint64_t hash = OG_LOAD(&r->hash);

    if (hash <= VACANT || (hash & CLAIMED) != 0 || OG_LOAD(&r->ready) != hash)
        return false;
    og_atomic_read(out, r, sizeof *out);
    /* As many may write it at once: a text that is being written has its end all the same. */
    out->vhost[sizeof out->vhost - 1] = '\0';
    out->handler[sizeof out->handler - 1] = '\0';
    out->pattern[sizeof out->pattern - 1] = '\0';
    return OG_PEEK(&r->hash) == hash;
}
