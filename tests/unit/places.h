/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A table of routes and a ring of windows, for the tests of what is found in them. */
#ifndef PLACES_H
#define PLACES_H

#include "oomguard/windows.h"

#include <string.h>

static og_routes_t routes;
static og_windows_t windows;

static unsigned place(const char *pattern)
{
    og_route_key_t key = { "v", "h", pattern };

    return (unsigned)(og_routes_take(&routes, og_routes_hash(&routes, &key), &key) -
                      routes.routes);
}

static void setup(void)
{
    memset(&routes, 0, sizeof routes);
    memset(&windows, 0, sizeof windows);
    routes.seed = 42;
}

#endif
