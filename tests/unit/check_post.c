/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/post.h"
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* What stands in for libsystemd: it sends to a socket as that does, and nobody reads there. */
int sd_journal_sendv(const struct iovec *fields, int n);

static int to = -1;
static bool slow; /* it is so late that the first alarm comes before it waits */

int sd_journal_sendv(const struct iovec *fields, int n)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)fields, .msg_iovlen = (size_t)n };

    if (slow)
        pause();
    return sendmsg(to, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What stands in for libc's: it does the same, and remembers what was asked for. */
static struct itimerval asked[2];
static int times;

int setitimer(__itimer_which_t which, const struct itimerval *restrict timer,
              struct itimerval *restrict old)
{
    ck_assert_int_eq(which, ITIMER_REAL);
    ck_assert_int_lt(times, 2);
    asked[times++] = *timer;
    return (int)syscall(SYS_setitimer, which, timer, old);
}

static struct iovec field = { (char *)"MESSAGE=x", 9 };

static int64_t usec_of(struct timeval t)
{
    return t.tv_sec * 1000000 + t.tv_usec;
}

/* How long is not measured, which a busy machine would decide: it is what the timer is set to.
 * Were it not to go off, this would never end. */
START_TEST(never_waits_long)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN }, after;
    struct itimerval timer;
    int pair[2], sent = 0, rc;

    if (!og_post_is_built())
        return;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    ck_assert_int_eq(sigaction(SIGALRM, &ignore, NULL), 0);
    to = pair[0];
    while ((rc = og_post_send("/dev/null", &field, 1)) == 0) {
        sent++;
        times = 0;
    }
    ck_assert_int_gt(sent, 0);
    ck_assert_int_eq(rc, -EINTR);
    times = 0;
    slow = _i == 1;
    ck_assert_int_eq(og_post_send("/dev/null", &field, 1), -EINTR);
    ck_assert_int_eq(times, 2);
    ck_assert_int_eq(usec_of(asked[0].it_value), 10000);
    ck_assert_int_eq(usec_of(asked[0].it_interval), 10000);
    /* And leaves nothing behind. */
    ck_assert_int_eq(getitimer(ITIMER_REAL, &timer), 0);
    ck_assert_int_eq(usec_of(timer.it_value), 0);
    ck_assert_int_eq(usec_of(timer.it_interval), 0);
    ck_assert_int_eq(sigaction(SIGALRM, NULL, &after), 0);
    ck_assert(after.sa_handler == SIG_IGN);
}
END_TEST

START_TEST(says_what_is_wrong)
{
    ck_assert_int_eq(og_post_send("/nowhere/socket", &field, 1),
                     og_post_is_built() ? -ENOENT : -ENOSYS);
    ck_assert_int_eq(times, 0);
    if (og_post_is_built())
        ck_assert_int_eq(og_post_send("/dev/null", &field, 1), -EBADF);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("post");

    tcase_add_loop_test(tc, never_waits_long, 0, 2);
    tcase_add_test(tc, says_what_is_wrong);
    return unit_run("post", &tc, 1);
}
