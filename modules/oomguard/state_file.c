/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The file of two slots. */
#include "oomguard/state.h"
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC_LEN (sizeof OG_STATE_MAGIC - 1)
#define FILE_BYTES ((off_t)OG_STATE_SLOTS * OG_STATE_SLOT_BYTES)

/* Whoever else could have written it could have us tell of kills that never were. */
static bool is_trusted(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1 &&
           (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Can it be written, whatever is in it? */
static bool is_usable(int rc)
{
    return rc == 0 || rc == -ENODATA || rc == -EINVAL || rc == -EPROTONOSUPPORT;
}

/* Reads a slot into f->text. Its length or -errno. */
static ssize_t read_slot(og_state_file_t *f, unsigned slot)
{
    off_t at = (off_t)slot * OG_STATE_SLOT_BYTES;
    size_t len = 0;
    ssize_t n;

    while (len < sizeof f->text &&
           (n = pread(f->fd, f->text + len, sizeof f->text - len, at + (off_t)len)) != 0) {
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return (ssize_t)len;
}

/* Counts in *ours the slots that begin like one, whole or not. */
static int read_slots(og_state_file_t *f, og_state_t *last, int *ours)
{
    int rc = -ENODATA;
    bool found = false;

    memset(last, 0, sizeof *last);
    f->slot = 0;
    f->number = 0;
    *ours = 0;
    for (unsigned i = 0; i < OG_STATE_SLOTS; i++) {
        ssize_t len = read_slot(f, i);
        uint64_t number;
        og_state_t s;
        int got;

        if (len < 0)
            return (int)len;
        *ours += (size_t)len >= MAGIC_LEN && memcmp(f->text, OG_STATE_MAGIC, MAGIC_LEN) == 0;
        got = og_state_parse(f->text, (size_t)len, &s, &number);
        if (got == -EINVAL && !found)
            rc = -EINVAL;
        if (got == -EINVAL || got == -ENODATA || (found && number <= f->number))
            continue;
        found = true;
        rc = got;
        *last = s;
        f->number = number;
        f->slot = (i + 1) % OG_STATE_SLOTS;
    }
    return rc;
}

int og_state_reread(og_state_file_t *f, og_state_t *last)
{
    int ours;

    if (f->fd < 0) {
        memset(last, 0, sizeof *last);
        return -EBADF;
    }
    return read_slots(f, last, &ours);
}

/* Is this something that a wrong path has led us to? What we wrote begins as a slot does, and
 * even if that is damaged it is of our size. */
static bool is_strange(int rc, int ours, off_t size)
{
    return rc == -EINVAL && ours == 0 && size != FILE_BYTES;
}

static int open_slots(og_state_file_t *f, og_state_t *last)
{
    struct stat st;
    int rc, ours, err;

    if (fstat(f->fd, &st) != 0)
        return -errno;
    if (!is_trusted(&st))
        return -EPERM;
    rc = read_slots(f, last, &ours);
    if (is_strange(rc, ours, st.st_size))
        return -EEXIST;
    if (!is_usable(rc))
        return rc;
    err = posix_fallocate(f->fd, 0, FILE_BYTES);
    return err != 0 ? -err : rc;
}

int og_state_open(const char *path, og_state_file_t *f, og_state_t *last)
{
    int rc;

    memset(f, 0, sizeof *f);
    memset(last, 0, sizeof *last);
    /* Not to be held up by a pipe, nor given a terminal. */
    f->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    if (f->fd < 0) {
        rc = -errno;
        f->fd = -1;
        return rc;
    }
    rc = open_slots(f, last);
    if (!is_usable(rc)) {
        close(f->fd);
        f->fd = -1;
        memset(last, 0, sizeof *last);
    }
    return rc;
}

int og_state_save(og_state_file_t *f, const og_state_t *s)
{
    ssize_t n;

    if (f->fd < 0)
        return -EBADF;
    og_state_format(s, f->number + 1, f->text);
    do
        n = pwrite(f->fd, f->text, sizeof f->text, (off_t)f->slot * OG_STATE_SLOT_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if ((size_t)n != sizeof f->text)
        return -EIO;
    f->number++;
    f->slot = (f->slot + 1) % OG_STATE_SLOTS;
    return 0;
}

int og_state_boot_id(const char *proc, char out[OG_STATE_BOOT_ID_MAX])
{
    char path[256], text[64];
    ssize_t len;

    out[0] = '\0';
    snprintf(path, sizeof path, "%s/sys/kernel/random/boot_id", proc);
    len = og_file_read(path, text, sizeof text);
    if (len < 0)
        return (int)len;
    if (len != OG_STATE_BOOT_ID_MAX || text[len - 1] != '\n' ||
        strspn(text, "0123456789abcdef-") != OG_STATE_BOOT_ID_MAX - 1)
        return -EINVAL;
    memcpy(out, text, OG_STATE_BOOT_ID_MAX - 1);
    out[OG_STATE_BOOT_ID_MAX - 1] = '\0';
    return 0;
}
