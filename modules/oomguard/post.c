/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/post.h"

#include <errno.h>

#ifdef HAVE_SYSTEMD

/* Or it adds where in the code an entry was made. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

bool og_post_is_built(void)
{
    return true;
}

static void wake(int sig)
{
    (void)sig;
}

int og_post_send(const char *path, const struct iovec *fields, int count)
{
    /* Again and again, should the first one come just before the wait begins. */
    static const struct itimerval patience = { { 0, OG_POST_PATIENCE_MSEC * 1000 },
                                               { 0, OG_POST_PATIENCE_MSEC * 1000 } };
    static const struct itimerval never;
    struct sigaction sa = { .sa_handler = wake }, before; /* without SA_RESTART */
    int rc;

    if (access(path, W_OK) != 0)
        return -errno;
    sigaction(SIGALRM, &sa, &before);
    setitimer(ITIMER_REAL, &patience, NULL);
    rc = sd_journal_sendv(fields, count);
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    return rc;
}

#else

bool og_post_is_built(void)
{
    return false;
}

int og_post_send(const char *path, const struct iovec *fields, int count)
{
    (void)path, (void)fields, (void)count;
    return -ENOSYS;
}

#endif
