/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The way to systemd's journal, by libsystemd, if this was built with it.
 *
 * sd_journal_sendv(3) opens a socket when it is called first, and keeps it; it allocates
 * nothing for an entry that fits into a datagram, some 200 KiB. But the socket blocks while
 * the journal takes nothing, and a journal that is not there is no error to it. Both are made
 * good for here. */
#ifndef OG_POST_H
#define OG_POST_H

#include <stdbool.h>
#include <sys/uio.h>

/* Where libsystemd sends to. */
#define OG_POST_SOCKET "/run/systemd/journal/socket"

/* How long the journal may let us wait for its taking an entry. As a rule hundreds find room
 * in its queue, and it takes microseconds. */
#define OG_POST_PATIENCE_MSEC 10

bool og_post_is_built(void);

/* Sends fields, "NAME=value" each, as one entry. path is OG_POST_SOCKET, but in tests. For as
 * long as it takes, SIGALRM, which must not be blocked, and the real timer are used.
 *
 * 0; -ENOENT or another errno of access(2): there is no journal; -EINTR: it did not take the
 * entry in time; -ENOSYS: built without libsystemd; -errno of sd_journal_sendv(3). */
int og_post_send(const char *path, const struct iovec *fields, int count);

#endif
