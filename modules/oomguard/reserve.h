/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Memory for the moment when there is none. Writing a line takes a page or two of the very
 * memory that has just run out (page cache, buffers: all charged to the memory cgroup), and
 * asking for them then has another process killed. So some is kept, and a piece of it given
 * back to the kernel right before. Source: madvise(2); a page given back is uncharged at
 * once. */
#ifndef OG_RESERVE_H
#define OG_RESERVE_H

#include <stdbool.h>

#define OG_RESERVE_PIECE_BYTES (32 * 1024)
#define OG_RESERVE_PIECES 16

typedef struct {
    char *mem;  /* NULL: none could be had */
    int pieces; /* how many are there */
} og_reserve_t;

/* Takes all of it. 0 or -errno. */
int og_reserve_make(og_reserve_t *r);

/* Gives a piece back, if there is one. Neither allocates nor fails. */
void og_reserve_give(og_reserve_t *r);

/* Is nothing missing that could be taken again? */
bool og_reserve_is_whole(const og_reserve_t *r);

/* Takes again what was given. To be called when there is room. */
void og_reserve_refill(og_reserve_t *r);

#endif
