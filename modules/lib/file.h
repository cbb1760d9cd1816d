/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The small files of /proc and /sys: one read, one write. Async-signal-safe. */
#ifndef OG_FILE_H
#define OG_FILE_H

#include <stddef.h>
#include <sys/types.h>

/* Reads path into buf, NUL-terminated. The length, or -errno; -EFBIG if it did not fit. */
ssize_t og_file_read(const char *path, char *buf, size_t size);

/* The same of a file that is open, from its start. Once it was read, this takes no memory of
 * the kernel any more, as opening one does. */
ssize_t og_file_reread(int fd, char *buf, size_t size);

/* Writes text in one write(2), O_WRONLY (some security policies refuse anything else, and
 * proc files take a value whole or not at all). 0 or -errno. */
int og_file_write(const char *path, const char *text, size_t len);

#endif
