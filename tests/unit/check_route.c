/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/route.h"
#include "unit.h"

#include <string.h>

static const struct {
    const char *path, *pattern;
} folds[] = {
    { "", "" },
    { "/", "/" },
    { "/index.html", "/index.html" },
    { "/shop/", "/shop/" },
    { "//shop", "//shop" },
    { "*", "*" }, /* OPTIONS */
    { "/api/users/123/orders", "/api/users/{n}/orders" },
    { "/api/users/123/orders/77", "/api/users/{n}/orders/..." },
    { "/a/b/c/d/", "/a/b/c/d/" },
    { "/pages/17.html", "/pages/{n}.html" },
    { "/v2/list", "/v2/list" },
    { "/item-17", "/item-17" },
    { "/static/d41d8cd98f00b204e9800998ecf8427e.css", "/static/{hash}.css" },
    { "/static/app.d41d8cd98f00b204.js", "/static/app.d41d8cd98f00b204.js" },
    { "/c/deadbeef", "/c/deadbeef" }, /* a word, as far as can be seen */
    { "/c/deadbee1", "/c/{hash}" },
    { "/c/DEADBEE1", "/c/{hash}" },
    { "/c/FFFFFFF1", "/c/{hash}" },
    { "/c/dead1", "/c/dead1" },
    { "/f/123e4567-e89b-12d3-a456-426614174000", "/f/{uuid}" },
    { "/f/123e4567-e89b-12d3-a456-42661417400g", "/f/123e4567-e89b-12d3-a456-42661417400g" },
    { "/f/g23e4567-e89b-12d3-a456-426614174000", "/f/g23e4567-e89b-12d3-a456-426614174000" },
    { "/f/123e4567-e89b-12d3-a456-426614174000/x.png", "/f/{uuid}/x.png" },
    { "/s/abcdefghijabcdefghijabcdefghijabcdefghijk", "/s/{long}" },
    { "/s/x.abcdefghijabcdefghijabcdefghijabcdefghijk", "/s/x.{long}" },
    { "/s/abcdefghijabcdefghijabcdefghijabcdefghij",
      "/s/abcdefghijabcdefghijabcdefghijabcdefghij" }, /* just short enough */
    { "/s/x.abcdefghijabcdefghijabcdefghijabcdefghi",
      "/s/x.abcdefghijabcdefghijabcdefghijabcdefghi" },
    { "/\xff\x01/\xff", "/\xff\x01/\xff" },
};

START_TEST(folds_what_differs)
{
    char out[OG_ROUTE_PATTERN_MAX];
    size_t len = og_route_fold(folds[_i].path, out);

    ck_assert_str_eq(out, folds[_i].pattern);
    ck_assert_uint_eq(len, strlen(out));
}
END_TEST

START_TEST(cuts_what_is_long)
{
    char path[400], out[OG_ROUTE_PATTERN_MAX];

    for (size_t len = 0; len < sizeof path; len++) {
        for (size_t i = 0; i < len; i++)
            path[i] = i % 35 == 0 ? '/' : 'x';
        path[len] = '\0';
        ck_assert_uint_eq(og_route_fold(path, out), strlen(out));
        ck_assert_uint_lt(strlen(out), sizeof out);
    }
    ck_assert_uint_eq(strlen(out), sizeof out - 1);
}
END_TEST

static const struct {
    const char *pattern, *path;
    bool fits;
} patterns[] = {
    { "/a", "/a", true },
    { "/a", "/ab", false },
    { "/ab", "/a", false },
    { "", "", true },
    { "*", "", true },
    { "**", "", true },
    { "/*", "/a", true },
    { "/*", "/a/b", false },
    { "/**", "/a/b", true },
    { "/*/b", "/a/b", true },
    { "/*/b", "/a/c/b", false },
    { "/**/b", "/a/c/b", true },
    { "/**/b", "/a/c/bb", false },
    { "/a*c", "/abbc", true },
    { "/a*c", "/abbcd", false },
    { "/a*b*c", "/aXbYbZc", true },
    { "/users/*/export", "/users/17/export", true },
    { "/users/*/export", "/users/17/x/export", false },
    { "/**/*.php", "/x/y/z.php", true },
    { "/**/*.php", "/x/y/z.php/w", false },
    { "/***", "/x/y", true },
    { "a*b", "ac\0b", false }, /* nothing is read behind the end */
    { "a**b", "ac\0b", false },
    { "/x/*/y/**/z*", "/x/1/y/2/3/z/4/z5", true },
};

START_TEST(fits_patterns)
{
    ck_assert_msg(og_route_fits(patterns[_i].pattern, patterns[_i].path) == patterns[_i].fits,
                  "\"%s\" and \"%s\"", patterns[_i].pattern, patterns[_i].path);
}
END_TEST

int main(void)
{
    TCase *route = tcase_create("route");

    tcase_add_loop_test(route, folds_what_differs, 0, sizeof folds / sizeof *folds);
    tcase_add_test(route, cuts_what_is_long);
    tcase_add_loop_test(route, fits_patterns, 0, sizeof patterns / sizeof *patterns);
    return unit_run("route", &route, 1);
}
