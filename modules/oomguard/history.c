/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/history.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECE_BYTES 4096

int og_history_open(const char *path, og_history_t *h)
{
    struct stat st;
    int rc = 0;

    /* For reading, too: it is looked into. Not to be held up by a pipe, nor given a
     * terminal. */
    h->fd = open(path,
                 O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                 0640);
    if (h->fd < 0) {
        rc = -errno;
        h->fd = -1;
        return rc;
    }
    if (fstat(h->fd, &st) != 0)
        rc = -errno;
    else if (!S_ISREG(st.st_mode))
        rc = -EPERM;
    if (rc != 0) {
        close(h->fd);
        h->fd = -1;
    }
    return rc;
}

/* Reads up to size bytes at that place. Fewer at the end of the file or on an error. */
static size_t read_at(int fd, char *buf, size_t size, off_t at)
{
    size_t len = 0;
    ssize_t n;

    while (len < size && (n = pread(fd, buf + len, size - len, at + (off_t)len)) != 0) {
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    return len;
}

/* Does the file end in the midst of a line? Asked before each line, and not remembered:
 * whoever tore it may have died of that. */
static bool is_torn(int fd)
{
    struct stat st;
    char last;

    return fstat(fd, &st) == 0 && st.st_size > 0 &&
           read_at(fd, &last, 1, st.st_size - 1) == 1 && last != '\n';
}

/* Takes back the last n bytes that were written, if nothing came behind them. With O_APPEND,
 * the offset is where the last write ended. */
static void take_back(int fd, size_t n)
{
    off_t end = lseek(fd, 0, SEEK_CUR);
    struct stat st;

    /* A failure shows next time, as a torn line. */
    if (end >= (off_t)n && fstat(fd, &st) == 0 && st.st_size == end &&
        ftruncate(fd, end - (off_t)n) != 0)
        return;
}

int og_history_append(og_history_t *h, const char *line, size_t len)
{
    struct iovec parts[] = { { (char *)"\n", 0 }, { (char *)line, len }, { (char *)"\n", 1 } };
    ssize_t n;

    if (h->fd < 0)
        return -EBADF;
    if (memchr(line, '\n', len) != NULL)
        return -EINVAL;
    parts[0].iov_len = is_torn(h->fd);
    do
        n = writev(h->fd, parts, sizeof parts / sizeof *parts);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if ((size_t)n == parts[0].iov_len + len + 1)
        return 0;
    take_back(h->fd, (size_t)n);
    return -EIO;
}

bool og_history_has(og_history_t *h, const char *needle, size_t tail_bytes)
{
    size_t len = strnlen(needle, OG_HISTORY_NEEDLE_MAX + 1), kept = 0, got;
    char buf[OG_HISTORY_NEEDLE_MAX + PIECE_BYTES];
    struct stat st;
    off_t at;

    if (h->fd < 0 || len == 0 || len > OG_HISTORY_NEEDLE_MAX || fstat(h->fd, &st) != 0)
        return false;
    if (tail_bytes > OG_HISTORY_TAIL_MAX)
        tail_bytes = OG_HISTORY_TAIL_MAX;
    at = st.st_size > (off_t)tail_bytes ? st.st_size - (off_t)tail_bytes : 0;
    /* Up to where it ended when we began to look: the end may run away from us. */
    while (at < st.st_size) {
        size_t want = st.st_size - at < PIECE_BYTES ? (size_t)(st.st_size - at) : PIECE_BYTES;

        got = read_at(h->fd, buf + kept, want, at);
        if (memmem(buf, kept + got, needle, len) != NULL)
            return true;
        if (got < want)
            return false;
        /* The text may begin in this piece and end in the next one. */
        at += (off_t)got;
        got += kept;
        kept = got < len - 1 ? got : len - 1;
        memmove(buf, buf + got - kept, kept);
    }
    return false;
}
