/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Which requests are of one kind: the pattern of a path. What differs from request to request,
 * numbers and names that a machine made, is folded; so a route has as many requests as can show
 * what it does to memory. */
#ifndef OG_ROUTE_H
#define OG_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

/* With its NUL. A longer one is cut. */
#define OG_ROUTE_PATTERN_MAX 96

/* As many segments of a path make a pattern; where there were more, it ends with "...". */
#define OG_ROUTE_SEGMENTS 4

/* Segments that are longer than so many bytes are taken for a machine's. */
#define OG_ROUTE_SEGMENT_MAX 40

/* Folds a path, without its query, into out, NUL-terminated. A segment, or what stands in it
 * before a dot, becomes
 *   {n}     if it is a number,
 *   {uuid}  if it is one as RFC 9562 writes it,
 *   {hash}  if it has 8 or more hexadecimal digits, of which one at least is 0 to 9,
 *   {long}  if it is long.
 * Its length. */
size_t og_route_fold(const char *path, char out[OG_ROUTE_PATTERN_MAX]);

/* Does a path fit a pattern? "*" is anything but a slash, "**" anything. */
bool og_route_fits(const char *pattern, const char *path);

#endif
