/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/route.h"

#include <string.h>

/* What a character is. */
#define DIGIT 1U
#define HEX 2U
#define OTHER 4U

#define HASH_MIN 8
#define UUID_LEN 36

static unsigned class_of(char c)
{
    unsigned char u = (unsigned char)c;

    return u >= '0' && u <= '9'                               ? DIGIT | HEX
           : (u >= 'a' && u <= 'f') || (u >= 'A' && u <= 'F') ? HEX
                                                              : OTHER;
}

static bool is_uuid(const char *s)
{
    for (int i = 0; i < UUID_LEN; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

        if (hyphen ? s[i] != '-' : class_of(s[i]) == OTHER)
            return false;
    }
    return true;
}

/* What stands for so many bytes, whose classes all have, and of which some have, these; or
 * NULL: they stand for themselves. */
static const char *folded(const char *s, size_t len, unsigned all, unsigned any)
{
    if ((all & DIGIT) != 0)
        return "{n}";
    if ((all & HEX) != 0 && (any & DIGIT) != 0 && len >= HASH_MIN)
        return "{hash}";
    if (len == UUID_LEN && is_uuid(s))
        return "{uuid}";
    return len > OG_ROUTE_SEGMENT_MAX ? "{long}" : NULL;
}

static size_t put(char *out, size_t at, const char *s, size_t len)
{
    size_t room = OG_ROUTE_PATTERN_MAX - 1 - at;

    len = len < room ? len : room;
    memcpy(out + at, s, len);
    return at + len;
}

size_t og_route_fold(const char *path, char out[OG_ROUTE_PATTERN_MAX])
{
    size_t at = 0;

    for (int segments = 0; *path != '\0'; segments++) {
        const char *stem, *name = NULL;
        unsigned all = ~0U, any = 0;

        if (*path == '/')
            at = put(out, at, path++, 1);
        if (segments == OG_ROUTE_SEGMENTS && *path != '\0') {
            at = put(out, at, "...", 3);
            break;
        }
        for (stem = path; *path != '/' && *path != '.' && *path != '\0'; path++) {
            all &= class_of(*path);
            any |= class_of(*path);
        }
        if (path > stem)
            name = folded(stem, (size_t)(path - stem), all, any);
        at = name != NULL ? put(out, at, name, strlen(name))
                          : put(out, at, stem, (size_t)(path - stem));
        stem = path; /* the rest, from the first dot on */
        path += strcspn(path, "/");
        at = path - stem > OG_ROUTE_SEGMENT_MAX ? put(out, at, ".{long}", 7)
                                                : put(out, at, stem, (size_t)(path - stem));
    }
    out[at] = '\0';
    return at;
}

/* Two places to come back to, one for each kind of star: what was tried for an earlier one
 * need not be tried again, so it takes no more than the product of both lengths. A "*" before
 * a "**" is settled when that is reached. */
bool og_route_fits(const char *pattern, const char *path)
{
    const char *star = NULL, *star_at = NULL, *wide = NULL, *wide_at = NULL;

    for (;;) {
        if (pattern[0] == '*' && pattern[1] == '*') {
            wide = pattern += 2;
            wide_at = path;
            star = NULL;
        }
        else if (*pattern == '*') {
            star = ++pattern;
            star_at = path;
        }
        else if (*path != '\0' && *pattern == *path) {
            pattern++;
            path++;
        }
        else if (*path == '\0' && *pattern == '\0')
            return true;
        else if (star != NULL && *star_at != '/' && *star_at != '\0') {
            pattern = star;
            path = ++star_at;
        }
        else if (wide != NULL && *wide_at != '\0') {
            pattern = wide;
            path = ++wide_at;
            star = NULL;
        }
        else
            return false;
    }
}
