/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ssize_t og_file_reread(int fd, char *buf, size_t size)
{
    size_t len = 0;
    ssize_t n;

    /* seq files may give less than there is: read until the end says so. */
    while ((n = pread(fd, buf + len, size - len, (off_t)len)) != 0) {
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        len += (size_t)n;
        if (len == size)
            return -EFBIG;
    }
    buf[len] = '\0';
    return (ssize_t)len;
}

ssize_t og_file_read(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = og_file_reread(fd, buf, size);
    close(fd);
    return n;
}

int og_file_write(const char *path, const char *text, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int rc = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    do
        n = write(fd, text, len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        rc = -errno;
    else if ((size_t)n != len)
        rc = -EIO;
    close(fd);
    return rc;
}
