/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the watcher does: it gives all rights away, sleeps until the kernel writes, and says
 * what happened in the error log. */
#include "oomguard/guard.h"
#include "oomguard/kmsg.h"
#include "oomguard/procs.h"
#include "oomguard/render.h"
#include "oomguard/reserve.h"
#include "lib/cgroup.h"
#include "lib/file.h"

#include "apr_portable.h"
#include "apr_strings.h"
#include "unixd.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

/* How long the watcher listens on after the master died: the kernel may still be printing. */
#define LAST_WORDS_MSEC 100

/* How far a worker's death in our books may lie before its kill in the log. A record that is
 * read at once is as old as now; of an older one only the kernel's clock speaks, which may
 * drift against ours by 500 ppm. */
#define SLACK_USEC (5 * 1000000ULL)
#define DRIFT_PARTS 2000

/* How far the start of a process in /proc, in ticks, may lie from when it told its own. */
#define START_SLACK_USEC 1000000

/* How long nothing must have happened before the reserve is filled again: by then the killed
 * is gone, most often. Doubled each time there was no room for it. */
#define CALM_MSEC 50
#define CALM_MAX_MSEC 60000

/* What must be free in the cgroup for that: more than the next eater takes while the watcher
 * waits for a processor, but no share of a small cgroup that is hardly ever free. */
#define ROOM_MIN_BYTES (4ULL * OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES)
#define ROOM_MAX_BYTES (8 * ROOM_MIN_BYTES)
#define ROOM_SHARE 8

static struct {
    server_rec *server;
    og_ledger_t *ledger;
    pid_t master;
    pid_t predecessor; /* 0: none */
    og_cgroup_t cgroup;
    int usage_fd; /* of it, or -errno */
    uint64_t limit_bytes;
    int live; /* the log was once read to its end: what comes now is new */
    og_kmsg_t kmsg;
    og_reserve_t reserve;
    int calm_msec;
} self;

static volatile sig_atomic_t finish;

static void on_finish(int sig)
{
    finish = 1;
}

/* Says in ps who this is: the name of the thread, and the arguments, where they stand.
 * httpd's argv is a copy; program_invocation_name(3) still points to the original. */
static void set_title(void)
{
    char args[8192], title[64];
    ssize_t len = og_file_read("/proc/self/cmdline", args, sizeof args);

    prctl(PR_SET_NAME, "oomguard", 0, 0, 0);
    if (len <= 0 || memcmp(args, program_invocation_name, (size_t)len) != 0)
        return;
    apr_snprintf(title, sizeof title, "%s: oomguard", program_invocation_short_name);
    memset(program_invocation_name, 0, (size_t)len);
    apr_cpystrn(program_invocation_name, title, (apr_size_t)len);
}

/* Whatever else the master has open, ports and keys among it, is none of our business. */
static void close_others(server_rec *s, int kmsg)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    apr_os_file_t log = -1;

    if (dir == NULL)
        return;
    if (s->error_log != NULL)
        apr_os_file_get(&log, s->error_log);
    else
        closelog(); /* syslog(3) opens it again */
    while ((e = readdir(dir)) != NULL) {
        int fd = atoi(e->d_name);

        if (fd > STDERR_FILENO && fd != kmsg && fd != log && fd != dirfd(dir))
            close(fd);
    }
    closedir(dir);
}

static void no_more(int resource)
{
    struct rlimit none = { 0, 0 };

    setrlimit(resource, &none);
}

/* Whatever user this is: a unit may give rights to one that is not root. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0;
}

/* From here on: nobody's rights, and no way to get them back. */
static int drop_rights(server_rec *s)
{
    uid_t uid = ap_unixd_config.user_id;
    gid_t gid = ap_unixd_config.group_id;

    if (geteuid() == 0) {
        if (uid == (uid_t)-1 || uid == 0)
            uid = 65534;
        if (gid == (gid_t)-1 || gid == 0)
            gid = 65534;
        if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
            ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                         "OG0306: the watcher can't become user %d, group %d", (int)uid,
                         (int)gid);
            return 0;
        }
    }
    if (!drop_capabilities()) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "OG0309: the watcher can't give up its capabilities");
        return 0;
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    no_more(RLIMIT_NPROC);
    no_more(RLIMIT_CORE);
    return 1;
}

static int has_room(void)
{
    uint64_t usage, room = self.limit_bytes / ROOM_SHARE;

    if (self.usage_fd < 0 || og_cgroup_reread(self.usage_fd, &usage) != 0)
        return 1; /* nothing limits us, as far as can be known */
    if (room < ROOM_MIN_BYTES)
        room = ROOM_MIN_BYTES;
    if (room > ROOM_MAX_BYTES)
        room = ROOM_MAX_BYTES;
    return usage < self.limit_bytes && self.limit_bytes - usage >= room;
}

/* The limit may have been changed; but opening files to see that takes memory, too, so it is
 * looked at only where there was room by the one known before. */
static void refill(void)
{
    if (has_room() && (og_cgroup_limit(&self.cgroup, &self.limit_bytes), has_room()))
        og_reserve_refill(&self.reserve);
    else if (self.calm_msec < CALM_MAX_MSEC)
        self.calm_msec *= 2;
}

/* Is the killed the process that httpd forked, or has a stranger got its pid since? */
static int is_still(const og_process_t *forked, const og_kmsg_kill_t *k, uint64_t usec,
                    og_report_t *r)
{
    uint64_t asleep = parent_boot() - parent_now(); /* CLOCK_MONOTONIC did not count that */
    og_procs_stat_t st;
    int64_t apart;

    if (forked->begun_usec > usec + asleep + SLACK_USEC)
        return 0;
    if (og_procs_stat("/proc", k->pid, &st) == 0 && st.start_usec != 0) {
        apart = (int64_t)st.start_usec - (int64_t)forked->begun_usec;
        return apart < START_SLACK_USEC && apart > -START_SLACK_USEC;
    }
    /* Gone already. A stranger would most likely have been in another cgroup. */
    if (k->task_memcg[0] != '\0' && strcmp(k->task_memcg, self.cgroup.path) != 0)
        return 0;
    r->sure = "likely of this httpd: it forked a process with this pid";
    return 1;
}

static og_role_t role_of(const og_kmsg_kill_t *k, uint64_t usec, uint64_t slack,
                         og_worker_t *w, og_report_t *r)
{
    og_process_t forked;
    og_procs_stat_t st;

    if (k->pid == self.master) {
        if (og_ledger_worker(self.ledger, k->pid, k->invoked_pid, usec, slack, w))
            r->worker = w; /* httpd -X: one process is both */
        return OG_ROLE_MASTER;
    }
    /* It died before this one was there: later, somebody else has its pid. */
    if (k->pid == self.predecessor && !self.live)
        return OG_ROLE_WATCHER;
    if (og_ledger_worker(self.ledger, k->pid, k->invoked_pid, usec, slack, w)) {
        r->worker = w;
        return OG_ROLE_WORKER;
    }
    if (og_forked_find(og_ledger_forked(self.ledger), k->pid, &forked) &&
        is_still(&forked, k, usec, r)) {
        r->ppid = forked.ppid;
        return OG_ROLE_HELPER;
    }
    /* Not forked by what has our handler: a CGI script's own child, say. It is dying, and
     * may still be seen. */
    if (og_procs_descends("/proc", k->pid, self.master)) {
        if (og_procs_stat("/proc", k->pid, &st) == 0)
            r->ppid = st.ppid;
        r->sure = "known by its parents";
        return OG_ROLE_HELPER;
    }
    if (k->task_memcg[0] == '\0' || strcmp(k->task_memcg, self.cgroup.path) != 0)
        return OG_ROLE_STRANGER;
    /* Gone before it could be seen. In the root cgroup everybody is, so that tells nothing. */
    if (k->uid == (int64_t)geteuid() && strcmp(self.cgroup.path, "/") != 0) {
        r->sure = "likely of this httpd: it ran as httpd's user in httpd's memory cgroup";
        return OG_ROLE_HELPER;
    }
    return OG_ROLE_NEIGHBOUR;
}

static void report(const og_kmsg_kill_t *k)
{
    static char line[OG_RENDER_LINE_MAX];
    static og_worker_t worker;
    og_report_t r = { .kill = k, .ppid = OG_KMSG_UNKNOWN, .late = !self.live };
    uint64_t slack = SLACK_USEC + (self.live ? 0 : k->usec / DRIFT_PARTS);

    r.usec = self.live ? parent_now() : k->usec;
    r.missed = og_ledger_missed(self.ledger) > 0;
    r.role = role_of(k, r.usec, slack, &worker, &r);
    og_render_line(&r, line, sizeof line);
    switch (r.role) {
    case OG_ROLE_STRANGER:
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, self.server, "OG0103: not of this httpd: %s",
                     line);
        break;
    case OG_ROLE_NEIGHBOUR:
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, self.server,
                     "OG0102: in httpd's memory cgroup, but not of this httpd: %s", line);
        break;
    default:
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, self.server, "OG0101: %s", line);
    }
}

static void take(const char *buf, size_t len)
{
    uint64_t expected = og_ledger_resume(self.ledger);
    static uint64_t next; /* of the record that would follow the last one read */
    og_kmsg_record_t rec;
    og_kmsg_kill_t k;

    if (og_kmsg_parse(buf, len, &rec) != 0 || rec.seq < expected)
        return;
    if (next == 0)
        next = expected;
    if (rec.seq > next) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, self.server,
                     "OG0307: %" APR_UINT64_T_FMT " records of the kernel's log were "
                     "overwritten before they could be read; a kill among them has no line",
                     rec.seq - next);
        og_kmsg_gap(&self.kmsg);
    }
    next = rec.seq + 1;
    if (og_kmsg_feed(&self.kmsg, &rec, &k)) {
        og_reserve_give(&self.reserve);
        self.calm_msec = CALM_MSEC;
        report(&k);
    }
    og_ledger_set_resume(self.ledger, og_kmsg_resume(&self.kmsg, next));
}

/* Reads all there is. 0, or the errno that ends it. */
static int drain(int fd)
{
    static char buf[OG_KMSG_RECORD_MAX];
    ssize_t n;

    for (;;) {
        n = read(fd, buf, sizeof buf);
        if (n > 0)
            take(buf, (size_t)n);
        else if (n == 0)
            return ENODATA; /* no log ends */
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EPIPE && errno != EINTR && errno != EINVAL)
            return errno;
    }
}

static void set_signals(sigset_t *during_poll)
{
    static const int ignored[] = { SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGPIPE };
    struct sigaction sa = { .sa_handler = SIG_IGN };
    sigset_t block;

    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &sa, NULL);
    sa.sa_handler = on_finish;
    sigaction(WATCH_FINISH, &sa, NULL);
    sigemptyset(during_poll);
    sigemptyset(&block);
    sigaddset(&block, WATCH_FINISH);
    sigprocmask(SIG_SETMASK, &block, NULL);
}

void watch_forever(server_rec *s, int fd, pid_t master, pid_t predecessor)
{
    guard_retained_t *kept = parent_retained();
    struct pollfd log = { fd, POLLIN, 0 };
    sigset_t during_poll;
    int err, score;

    self.server = s;
    self.ledger = kept->ledger;
    self.master = master;
    self.predecessor = predecessor;
    set_signals(&during_poll);
    set_title();
    close_others(s, fd);
    if (og_cgroup_find("/proc", &self.cgroup) != 0)
        self.cgroup.path[0] = '\0';
    self.limit_bytes = OG_CGROUP_UNLIMITED;
    og_cgroup_limit(&self.cgroup, &self.limit_bytes);
    self.usage_fd = og_cgroup_open_usage(&self.cgroup);
    has_room();
    og_kmsg_init(&self.kmsg);
    /* Of all that httpd forks, this is what must see the others go: as safe as the master,
     * and safer than one that somebody wants to see killed. */
    score = og_score_target(conf_of(s)->master, kept->base);
    og_score_write("/proc", 0, score < kept->base ? score : kept->base);
    if (!drop_rights(s))
        _exit(1);
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, WATCH_FINISH, 0, 0, 0);
    if (getppid() != self.master)
        finish = 1;
    og_reserve_make(&self.reserve);
    self.calm_msec = CALM_MSEC;
    for (;;) {
        struct timespec calm = { self.calm_msec / 1000, self.calm_msec % 1000 * 1000000L };
        int n;

        err = drain(fd);
        self.live = 1;
        if (err != 0 || finish)
            break;
        n = ppoll(&log, 1, og_reserve_is_whole(&self.reserve) ? NULL : &calm, &during_poll);
        if (n < 0 && errno != EINTR)
            break;
        if (n == 0)
            refill();
    }
    if (err == 0 && getppid() != self.master && poll(&log, 1, LAST_WORDS_MSEC) > 0)
        err = drain(fd);
    if (err != 0)
        ap_log_error(APLOG_MARK, APLOG_ERR, err, s, "OG0308: reading /dev/kmsg failed");
    _exit(err == 0 ? 0 : 1);
}
