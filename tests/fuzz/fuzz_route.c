/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A path, and behind a NUL a pattern. */
#include "oomguard/account.h"
#include "oomguard/route.h"
#include "fuzz.h"

#include <string.h>

/* What an honest and slow matcher says. */
static bool fits(const char *pattern, const char *path, int *steps)
{
    if (--*steps < 0)
        return false;
    if (pattern[0] == '*' && pattern[1] == '*')
        return fits(pattern + 2, path, steps) || (*path != '\0' && fits(pattern, path + 1, steps));
    if (*pattern == '*')
        return fits(pattern + 1, path, steps) ||
               (*path != '\0' && *path != '/' && fits(pattern, path + 1, steps));
    return *pattern == *path && (*path == '\0' || fits(pattern + 1, path + 1, steps));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *path = calloc(1, size + 2), *pattern, out[OG_ROUTE_PATTERN_MAX];
    int steps = 20000;
    bool slow;

    MUST(path != NULL);
    if (size > 0)
        memcpy(path, data, size);
    pattern = path + strlen(path) + 1;
    MUST(og_route_fold(path, out) == strlen(out));
    MUST(strlen(out) < sizeof out);
    slow = fits(pattern, path, &steps);
    if (steps >= 0)
        MUST(og_route_fits(pattern, path) == slow);
    else
        og_route_fits(pattern, path);
    MUST(og_account_parse(path) >= -1);
    free(path);
    return 0;
}
