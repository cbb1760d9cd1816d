/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The bytes of a file or of stdin, unpacked if they are gzip's, in a buffer of fixed size. */
#ifndef OG_SOURCE_H
#define OG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <zlib.h>

/* What is read at once: small enough to stay in a CPU's cache while it is looked at. */
#define OG_SOURCE_BLOCK_BYTES ((size_t)256 * 1024)

typedef struct {
    int fd;
    size_t keep_max; /* so many bytes are kept at most from one block to the next */
    char *buf;       /* keep_max, and a block */
    const char *p;   /* the bytes that are here */
    size_t len;
    bool begun, packed, in_member;
    int error; /* -errno of an earlier read: nothing is read after it, and it is returned again */
    z_stream z;
    unsigned char *in; /* packed bytes */
} og_source_t;

/* Opens path, or stdin for "-". 0 or -errno; on error there is nothing to close. */
int og_source_open(og_source_t *s, const char *path, size_t keep_max);

/* Has the last keep bytes of s->p kept, at most keep_max, and puts more behind them: s->p and
 * s->len are then new. 1; 0 at the end; -errno, and of gzip -EBADMSG for what is damaged and
 * -ENODATA if it was cut off. After 0 or an error, the kept bytes are still there. */
int og_source_more(og_source_t *s, size_t keep);

void og_source_close(og_source_t *s);

#endif
