/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/logscan.h"
#include "oomguard/span.h"

#include <string.h>

/* So many bytes are looked at at once, in whatever way the machine has for it. */
#define LANES 16
#define STEP (4 * LANES)
#define AHEAD 3 /* and so many behind them */

typedef unsigned char lanes_t __attribute__((vector_size(LANES)));
typedef uint64_t halves_t __attribute__((vector_size(LANES)));

static lanes_t load(const char *p)
{
    lanes_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* For each byte from at on: may "kill" or "Kill" begin there, or is it a newline before a
 * line that may be an entry of the journal's? */
static halves_t may_hit(const char *at)
{
    lanes_t here = load(at), next = load(at + 1);
    halves_t word = (halves_t)((here | 0x20) == 'k') & (halves_t)(load(at + 2) == 'l') &
                    (halves_t)(load(at + 3) == 'l');
    halves_t start = (halves_t)(next == '_') | (halves_t)(next == '{') |
                     (halves_t)(next == 0x1e) | (halves_t)(next == 'd');

    return word | ((halves_t)(here == '\n') & start);
}

static bool any(halves_t hit)
{
    return (hit[0] | hit[1]) != 0;
}

/* All of the words have "kill" in them; is at at its k? */
static bool is_word(const char *p, const char *at, const char *end)
{
    static const char *const words[] = {
        "ed process ",
        " process ",
        "ed as a result of limit of ",
        "ed due to memory.oom.group set",
    };
    og_span_t s = { at + 1, end }, before = { p, at };

    if ((*at != 'k' && *at != 'K') || !og_span_eat(&s, "ill"))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (og_span_eat(&s, words[i]))
            return true;
    return og_span_eat_back(&before, "oom-");
}

/* In JSON, a message with bytes of no print is an array of numbers: such a one of the
 * kernel's must be read to know. Nothing else of the journal's begins with a bracket. */
static bool is_array(const char *p, const char *end)
{
    for (const char *at = p; (at = memchr(at, '[', (size_t)(end - at))) != NULL; at++) {
        og_span_t before = { p, at };

        if (og_span_eat_back(&before, "\"MESSAGE\":") ||
            og_span_eat_back(&before, "\"MESSAGE\" : "))
            return og_span_find(p, end, "\"kernel\"") != NULL;
    }
    return false;
}

/* Is a line of interest for how it begins? */
static bool is_start(const char *p, const char *end)
{
    og_span_t s = { p, end };
    const char *newline;

    if (p == end)
        return false;
    if (*p == '_')
        return og_span_eat(&s, "__CURSOR=");
    if (*p != '{' && *p != '\x1e' && *p != 'd')
        return false;
    newline = memchr(p, '\n', (size_t)(end - p));
    return is_array(p, newline != NULL ? newline : end);
}

static const char *hit(const char *p, const char *at, const char *end)
{
    if (*at == '\n')
        return is_start(at + 1, end) ? at + 1 : NULL;
    return is_word(p, at, end) ? at : NULL;
}

static const char *find_hit(const char *p, const char *at, const char *stop,
                            const char *end)
{
    const char *found = NULL;

    for (; at < stop && found == NULL; at++)
        found = hit(p, at, end);
    return found;
}

const char *og_logscan_find(const char *p, const char *end)
{
    const char *at = p, *found;

    if (is_start(p, end))
        return p;
    for (; end - at >= STEP + AHEAD; at += STEP) {
        if (!any(may_hit(at) | may_hit(at + LANES) | may_hit(at + 2 * LANES) |
                 may_hit(at + 3 * LANES)))
            continue;
        for (int i = 0; i < STEP; i += LANES)
            if (any(may_hit(at + i)) &&
                (found = find_hit(p, at + i, at + i + LANES, end)) != NULL)
                return found;
    }
    return find_hit(p, at, end, end);
}
