/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/post.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* What stands in for libsystemd: it sends to a socket as that does, and nobody reads there. */
int sd_journal_sendv(const struct iovec *fields, int n);

static int to = -1;

int sd_journal_sendv(const struct iovec *fields, int n)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)fields, .msg_iovlen = (size_t)n };

    return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static struct iovec field = { (char *)"MESSAGE=x", 9 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(never_waits_long)
{
    struct itimerval timer;
    struct sigaction before, after;
    int pair[2], sent = 0, rc;
    double began;

    if (!og_post_is_built())
        return;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    ck_assert_int_eq(sigaction(SIGALRM, NULL, &before), 0);
    to = pair[0];
    while ((rc = og_post_send("/dev/null", &field, 1)) == 0)
        sent++;
    ck_assert_int_gt(sent, 0);
    ck_assert_int_eq(rc, -EINTR);
    began = now();
    ck_assert_int_eq(og_post_send("/dev/null", &field, 1), -EINTR);
    ck_assert(now() - began < 1);
    /* And leaves nothing behind. */
    ck_assert_int_eq(getitimer(ITIMER_REAL, &timer), 0);
    ck_assert_int_eq(timer.it_value.tv_sec + timer.it_value.tv_usec, 0);
    ck_assert_int_eq(sigaction(SIGALRM, NULL, &after), 0);
    ck_assert(after.sa_handler == before.sa_handler);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    ck_assert_int_eq(og_post_send("/nowhere/socket", &field, 1),
                     og_post_is_built() ? -ENOENT : -ENOSYS);
    if (og_post_is_built())
        ck_assert_int_eq(og_post_send("/dev/null", &field, 1), -EBADF);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("post");

    tcase_add_test(tc, never_waits_long);
    tcase_add_test(tc, says_what_is_wrong);
    return unit_run("post", &tc, 1);
}
