/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Lines at the end of a file that outlives httpd, and that tools rotate.
 *
 * The file is opened as root, before rights are given away, so whoever writes to it cannot
 * open it again: after a rename the lines go on into the renamed one, until httpd is restarted,
 * gracefully or not. logrotate's copytruncate needs no restart: O_APPEND has each line
 * written where the file ends by then. Nothing here allocates; one process writes at a time. */
#ifndef OG_HISTORY_H
#define OG_HISTORY_H

#include <stdbool.h>
#include <stddef.h>

/* The longest text that can be looked for, and how far back. */
#define OG_HISTORY_NEEDLE_MAX 256
#define OG_HISTORY_TAIL_MAX (64 * 1024)

/* All that is known of it is in the file: a copy in a process forked off before is as good. */
typedef struct {
    int fd; /* -1: none; the caller's to close */
} og_history_t;

/* Opens the file, or makes it, of mode 0640. 0; -EPERM if it is no regular file; -errno of
 * open(2), where -ELOOP is a symbolic link. h->fd is -1 unless 0 is returned. */
int og_history_open(const char *path, og_history_t *h);

/* Appends a line, given without its newline, in one write: whole, or not at all if that can be
 * had. Of one that was written in part, that part is taken back; where it cannot be, because
 * others wrote meanwhile or the file may only grow, the next line begins with a newline, and
 * so is whole.
 *
 * 0; -EINVAL if there is a newline in it; -EBADF without a file; -EIO if it was written in
 * part; -errno of write(2): -ENOSPC, -EDQUOT, -EFBIG (for which SIGXFSZ must be ignored). */
int og_history_append(og_history_t *h, const char *line, size_t len);

/* Is that text, of 1 to OG_HISTORY_NEEDLE_MAX bytes, in the last so many bytes of the file, or
 * OG_HISTORY_TAIL_MAX if that is less? False as well if it cannot be read, or was rotated away:
 * a line twice is better than none. */
bool og_history_has(og_history_t *h, const char *needle, size_t tail_bytes);

#endif
