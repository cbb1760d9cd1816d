/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the watcher saw last, in a file that outlives httpd: so the next one knows what was
 * accounted for, and whether there is something to make up for.
 *
 * The file is opened as root, before rights are given away, and written by a process that
 * has none and must not ask for memory: no new file can be renamed over the old one. So there
 * are two slots, written in turn, each in one pwrite(2) to blocks that are there already. A
 * write that was cut short costs the note that was being written, and no other: the slot's
 * sum is wrong then, and the other slot is taken. A note may take a page of the cache, so a
 * piece of the reserve is to be given back before, as for a line.
 *
 * A slot is text, and of exactly OG_STATE_SLOT_BYTES:
 *
 *     mod_oomguard state VERSION NUMBER     NUMBER is that of the write: the higher is newer
 *     KEY VALUE                             the members of og_state_t, in the order of state.c
 *     ...
 *     sum HEX                               FNV-1a, 64 bits, 16 digits, of all before it
 *
 * and then newlines. The first line and the sum are the same in all versions; whatever else
 * changes, a new key or a new meaning, is another version. */
#ifndef OG_STATE_H
#define OG_STATE_H

#include "lib/cgroup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OG_STATE_MAGIC "mod_oomguard state "
#define OG_STATE_VERSION 1
#define OG_STATE_SLOT_BYTES 4096
#define OG_STATE_SLOTS 2
#define OG_STATE_BOOT_ID_MAX 37 /* with its NUL */

/* Of a number: it was not to be had. */
#define OG_STATE_UNKNOWN UINT64_MAX

typedef struct {
    char boot_id[OG_STATE_BOOT_ID_MAX]; /* of og_state_boot_id, or "": nothing below counts
                                         * in another boot */
    bool clean;                         /* httpd stopped as it should */
    int32_t master;                     /* its pid */
    uint64_t master_started_usec;       /* of CLOCK_MONOTONIC */
    uint64_t resume_seq;                /* of the kernel's log, from which to read on */
    uint64_t pending_seq;               /* of the record about which a line is being written;
                                         * 0: none */
    char cgroup[OG_CGROUP_PATH_MAX];    /* the memory cgroup, as og_cgroup_t's path */
    uint64_t cgroup_inode;              /* tells it from a later one of that name */
    uint64_t oom_kills;                 /* its counter, as last accounted for */
    uint64_t machine_oom_kills;         /* that of /proc/vmstat */
    uint64_t events;                    /* that were ever told of */
} og_state_t;

/* One process writes at a time. One that was forked off after somebody else wrote has to look
 * again, by og_state_reread. The text is here, and not on the stack: a stack that grows asks
 * for memory. */
typedef struct {
    int fd;          /* -1: none; the caller's to close */
    unsigned slot;   /* to be written next */
    uint64_t number; /* of the newest write, 0 before the first */
    char text[OG_STATE_SLOT_BYTES];
} og_state_file_t;

/* Parses one slot of at most OG_STATE_SLOT_BYTES. 0; -ENODATA if it is blank (only zeros,
 * newlines and spaces, or of no length); -EPROTONOSUPPORT if it is whole and of another
 * version; -EINVAL if it is anything else: cut off, of a wrong sum, with a key that is
 * missing, twice there, unknown, or has no such value. *out is all zero unless 0 is returned,
 * *number is 0 unless 0 or -EPROTONOSUPPORT is. */
int og_state_parse(const char *buf, size_t len, og_state_t *out, uint64_t *number);

/* Writes a whole slot; the text's length without what fills the slot up. A cgroup's path of so
 * many control characters that it does not fit, when escaped, is left empty. */
size_t og_state_format(const og_state_t *s, uint64_t number, char buf[OG_STATE_SLOT_BYTES]);

/* Opens the file, or makes it, of mode 0600; has both slots there, so that a full disk does
 * not matter later (where the file system copies on write, it does); and reads. These leave a
 * file that can be written:
 *   0                  *last is what was noted last;
 *   -ENODATA           nothing was, the file is new or blank;
 *   -EINVAL            no slot is intact;
 *   -EPROTONOSUPPORT   the newer intact slot is of another version.
 * With these, f->fd is -1, and the file was not changed:
 *   -EPERM   it is no regular file, not of the effective user, has another name as well, or
 *            others may write to it;
 *   -EEXIST  it holds something that never was a state;
 *   -errno   of open(2), where -ELOOP is a symbolic link, read(2) or posix_fallocate(3).
 * *last is all zero unless 0 is returned. */
int og_state_open(const char *path, og_state_file_t *f, og_state_t *last);

/* Reads again what is there, and where to write next. The first four, -EBADF without a file,
 * or -errno of read(2). */
int og_state_reread(og_state_file_t *f, og_state_t *last);

/* Writes it over the older slot. 0 or -errno: -EBADF without a file, -EIO if it was written in
 * part; the newer slot is as it was then, and the next note goes where this one failed. It is
 * not synced: what it has to survive is processes, and not the machine, after whose boot
 * nothing in it counts; and fsync(2) would wait for a disk that is busy swapping. */
int og_state_save(og_state_file_t *f, const og_state_t *s);

/* What names this boot of the machine, of a file below proc (normally "/proc"; random(4)). 0;
 * -EINVAL if that is no such name; -errno. "" unless 0 is returned. */
int og_state_boot_id(const char *proc, char out[OG_STATE_BOOT_ID_MAX]);

#endif
