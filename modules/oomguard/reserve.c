/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/reserve.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define ALL_BYTES ((size_t)OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES)

int og_reserve_make(og_reserve_t *r)
{
    void *mem = mmap(NULL, ALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);

    r->pieces = 0;
    r->mem = NULL;
    if (mem == MAP_FAILED)
        return -errno;
    madvise(mem, ALL_BYTES, MADV_NOHUGEPAGE); /* or a piece could not be given back alone */
    r->mem = mem;
    og_reserve_refill(r);
    return 0;
}

void og_reserve_give(og_reserve_t *r)
{
    if (r->pieces == 0)
        return;
    r->pieces--;
    madvise(r->mem + (size_t)r->pieces * OG_RESERVE_PIECE_BYTES, OG_RESERVE_PIECE_BYTES,
            MADV_DONTNEED);
}

bool og_reserve_is_whole(const og_reserve_t *r)
{
    return r->mem == NULL || r->pieces == OG_RESERVE_PIECES;
}

void og_reserve_refill(og_reserve_t *r)
{
    if (r->mem == NULL)
        return;
    memset(r->mem, 1, ALL_BYTES);
    r->pieces = OG_RESERVE_PIECES;
}
