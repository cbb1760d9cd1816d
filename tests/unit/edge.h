/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Bytes that nothing is behind. */
#ifndef EDGE_H
#define EDGE_H

#include <check.h>
#include <string.h>
#include <sys/mman.h>

#define EDGE_BYTES ((size_t)1 << 20)

/* Copies n bytes, EDGE_BYTES at most, to where whoever reads on behind them crashes. They are
 * there until the next call. */
static inline const char *at_edge(const void *bytes, size_t n)
{
    static char *edge;

    ck_assert_uint_le(n, EDGE_BYTES);
    if (edge == NULL) {
        char *map = mmap(NULL, 2 * EDGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        ck_assert(map != MAP_FAILED);
        edge = map + EDGE_BYTES;
        ck_assert_int_eq(mprotect(edge, EDGE_BYTES, PROT_NONE), 0);
    }
    return memcpy(edge - n, bytes, n);
}

#endif
