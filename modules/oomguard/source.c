/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GZIP_ONLY (16 + MAX_WBITS)

/* A device as /dev/kmsg never ends: what is there now is read. */
static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && !isatty(fd))
        fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int og_source_open(og_source_t *s, const char *path, size_t keep_max)
{
    memset(s, 0, sizeof *s);
    s->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open_file(path);
    if (s->fd < 0)
        return s->fd;
    s->keep_max = keep_max;
    s->buf = malloc(keep_max + OG_SOURCE_BLOCK_BYTES);
    if (s->buf == NULL) {
        og_source_close(s);
        return -ENOMEM;
    }
    s->p = s->buf;
    return 0;
}

void og_source_close(og_source_t *s)
{
    if (s->packed)
        inflateEnd(&s->z);
    free(s->in);
    free(s->buf);
    if (s->fd > STDIN_FILENO)
        close(s->fd);
    memset(s, 0, sizeof *s);
    s->fd = -1;
}

/* Bytes, 0 at the end, or -errno. EPIPE is what /dev/kmsg says where records were
 * overwritten: the next ones follow. */
static ssize_t read_some(int fd, void *buf, size_t size)
{
    ssize_t n;

    do
        n = read(fd, buf, size);
    while (n < 0 && (errno == EINTR || errno == EPIPE));
    if (n < 0 && errno == EAGAIN)
        return 0;
    return n < 0 ? -errno : n;
}

/* The first bytes tell whether it is gzip. A pipe may give one byte at a time. */
static int begin(og_source_t *s, char *block, size_t *got)
{
    size_t len = 0;
    ssize_t n;

    while (len < 2) {
        n = read_some(s->fd, block + len, OG_SOURCE_BLOCK_BYTES - len);
        if (n < 0)
            return (int)n;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    s->begun = true;
    if (len < 2 || memcmp(block, "\x1f\x8b", 2) != 0) {
        *got = len;
        return 0;
    }
    s->in = malloc(OG_SOURCE_BLOCK_BYTES);
    if (s->in == NULL || inflateInit2(&s->z, GZIP_ONLY) != Z_OK)
        return -ENOMEM;
    memcpy(s->in, block, len);
    s->z.next_in = s->in;
    s->z.avail_in = (uInt)len;
    s->packed = s->in_member = true;
    return 0;
}

/* More than one member may follow each other; what follows them and is none is padding. */
static int next_member(og_source_t *s)
{
    if (s->z.avail_in == 0 || s->z.next_in[0] != 0x1f)
        return 0;
    if (inflateReset(&s->z) != Z_OK)
        return -EBADMSG;
    s->in_member = true;
    return 1;
}

static int unpack(og_source_t *s, char *block)
{
    s->z.next_out = (Bytef *)block;
    s->z.avail_out = (uInt)OG_SOURCE_BLOCK_BYTES;
    for (;;) {
        int rc;

        if (s->z.avail_in == 0) {
            ssize_t n = read_some(s->fd, s->in, OG_SOURCE_BLOCK_BYTES);

            if (n <= 0)
                return n < 0 ? (int)n : s->in_member ? -ENODATA : 0;
            s->z.next_in = s->in;
            s->z.avail_in = (uInt)n;
        }
        if (!s->in_member && (rc = next_member(s)) <= 0)
            return rc;
        rc = inflate(&s->z, Z_NO_FLUSH);
        if (rc == Z_STREAM_END)
            s->in_member = false;
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
        if (s->z.avail_out == 0)
            return 0;
    }
}

int og_source_more(og_source_t *s, size_t keep)
{
    char *block = s->buf + s->keep_max;
    size_t got = 0;
    int rc = s->error;

    memmove(block - keep, s->p + s->len - keep, keep);
    s->p = block - keep;
    s->len = keep;
    if (rc == 0 && !s->begun)
        rc = begin(s, block, &got);
    else if (rc == 0 && !s->packed) {
        ssize_t n = read_some(s->fd, block, OG_SOURCE_BLOCK_BYTES);

        got = n > 0 ? (size_t)n : 0;
        rc = n < 0 ? (int)n : 0;
    }
    if (rc == 0 && s->packed) {
        rc = unpack(s, block);
        got = OG_SOURCE_BLOCK_BYTES - s->z.avail_out;
    }
    s->len += got;
    s->error = rc;
    return got > 0 ? 1 : rc;
}
