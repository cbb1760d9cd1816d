/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the watcher does: it gives all rights away, sleeps until a witness has something to say,
 * and asks them all. */
#include "oomguard/event.h"
#include "oomguard/guard.h"
#include "oomguard/kmsg.h"
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
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

/* How long the watcher listens on after the master died: the kernel may still be printing. */
#define LAST_WORDS_MSEC 100

/* How long nothing must have happened before the reserve is filled again: by then the killed
 * is gone, most often. Doubled each time there was no room for it. */
#define CALM_MSEC 50
#define CALM_MAX_MSEC 60000

/* What must be free in the cgroup for that: more than the next eater takes while the watcher
 * waits for a processor, but no share of a small cgroup that is hardly ever free. */
#define ROOM_MIN_BYTES (4ULL * OG_RESERVE_PIECES * OG_RESERVE_PIECE_BYTES)
#define ROOM_MAX_BYTES (8 * ROOM_MIN_BYTES)
#define ROOM_SHARE 8

/* Where nothing wakes us when a kill is counted (version 1, the machine's counter), and there
 * is no log that would, it is looked at so often. */
#define LOOK_MSEC 250

static struct {
    witness_t w;
    int usage_fd; /* of the cgroup, or -errno */
    uint64_t limit_bytes;
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
static void close_others(server_rec *s, const watch_task_t *task)
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

        if (fd > STDERR_FILENO && fd != task->kmsg && fd != task->buried && fd != log &&
            fd != task->state->fd && fd != task->history->fd && fd != dirfd(dir))
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
    if (has_room() && (og_cgroup_limit(&self.w.cgroup, &self.limit_bytes), has_room()))
        og_reserve_refill(&self.reserve);
    else if (self.calm_msec < CALM_MAX_MSEC)
        self.calm_msec *= 2;
}

static void take(const char *buf, size_t len)
{
    static uint64_t next; /* of the record that would follow the last one read */
    og_seen_t *seen = &self.w.seen;
    og_kmsg_record_t rec;
    og_kmsg_kill_t k;

    if (og_kmsg_parse(buf, len, &rec) != 0 || rec.seq < seen->resume_seq)
        return;
    if (next == 0)
        next = seen->resume_seq;
    if (rec.seq > next) {
        og_verdict_gap(&seen->verdict, rec.seq - next, parent_now());
        og_kmsg_gap(&self.kmsg);
    }
    next = rec.seq + 1;
    if (og_kmsg_feed(&self.kmsg, &rec, &k)) {
        og_reserve_give(&self.reserve);
        self.calm_msec = CALM_MSEC;
        report_kill(&self.w, &k);
    }
    seen->resume_seq = og_kmsg_resume(&self.kmsg, next);
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

/* Those that the master has buried since. */
static void hear_of_deaths(void)
{
    static og_worker_t worker;
    og_seen_t *seen = &self.w.seen;

    while (og_ledger_next_dead(self.w.ledger, &seen->buried, &worker)) {
        og_death_t d = { .pid = worker.pid, .started_usec = worker.started_usec,
                         .ended_usec = worker.ended_usec,
                         .signal = OG_FORKED_SIGNAL_OF(worker.marks) };

        d.how = (worker.marks & OG_FORKED_LEFT) != 0   ? OG_END_LEFT
                : (worker.marks & OG_FORKED_SHOT) != 0 ? OG_END_SHOT
                : d.signal != 0                        ? OG_END_CRASHED
                : (worker.marks & OG_FORKED_WORKER) == 0 ||
                          (worker.marks & OG_FORKED_DISMISSED) != 0
                    ? OG_END_DISMISSED /* or from before we were here, and without our cleanup */
                    : OG_END_VANISHED;
        og_verdict_death(&seen->verdict, &d);
    }
}

/* Asks all witnesses, in the order that verdict.h wants. 0, or the errno that ends it. */
static int look(void)
{
    og_seen_t *seen = &self.w.seen;
    og_counts_t counts;
    og_finding_t finding;
    eventfd_t n;
    int err = 0;

    if (self.w.task.buried >= 0)
        eventfd_read(self.w.task.buried, &n);
    hear_of_deaths();
    if (self.w.task.kmsg >= 0)
        err = drain(self.w.task.kmsg);
    if (self.w.counters.fd >= 0 && og_counters_read(&self.w.counters, &counts) == 0)
        og_verdict_count(&seen->verdict, counts.oom_kill, parent_now());
    while (og_verdict_next(&seen->verdict, parent_now(), &finding)) {
        og_reserve_give(&self.reserve);
        self.calm_msec = CALM_MSEC;
        report_finding(&self.w, &finding);
    }
    if (seen->resume_seq != self.w.note.resume_seq || !self.w.live)
        report_note(&self.w);
    self.w.live = 1;
    return err;
}

/* Until something happens, or is due. True if nothing did for long enough to be calm. */
static int sleep_well(const sigset_t *during_poll)
{
    struct pollfd fds[] = { { self.w.task.kmsg, POLLIN, 0 },
                            { self.w.task.buried, POLLIN, 0 },
                            { self.w.counters.fd, POLLPRI, 0 } };
    uint64_t due = og_verdict_due(&self.w.seen.verdict), now = parent_now();
    int64_t msec = -1;
    struct timespec t;

    if (!og_reserve_is_whole(&self.reserve))
        msec = self.calm_msec;
    if (self.w.task.kmsg < 0 && self.w.counters.fd >= 0 && (msec < 0 || msec > LOOK_MSEC) &&
        (self.w.counters.machine || self.w.cgroup.version == 1))
        msec = LOOK_MSEC;
    if (due != OG_VERDICT_UNKNOWN) {
        int64_t left = due > now ? (int64_t)((due - now) / 1000) + 1 : 1;

        if (msec < 0 || left < msec)
            msec = left;
    }
    t.tv_sec = msec / 1000;
    t.tv_nsec = msec % 1000 * 1000000L;
    return ppoll(fds, sizeof fds / sizeof *fds, msec < 0 ? NULL : &t, during_poll) == 0;
}

static void set_signals(sigset_t *during_poll)
{
    static const int ignored[] = { SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGWINCH, SIGPIPE,
                                   SIGXFSZ };
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

/* What of this httpd does not change, as the next one finds it in the state. */
static void describe(void)
{
    og_state_t *note = &self.w.note;
    struct stat st;

    og_state_reread(self.w.task.state, note);
    og_state_boot_id("/proc", note->boot_id);
    note->clean = false;
    note->master = (int32_t)self.w.task.master;
    note->master_started_usec = self.w.task.began_usec;
    note->machine_oom_kills = OG_STATE_UNKNOWN;
    memcpy(note->cgroup, self.w.cgroup.path, sizeof note->cgroup);
    note->cgroup_inode = self.w.cgroup.version != 0 && stat(self.w.cgroup.dir, &st) == 0
                             ? st.st_ino
                             : 0;
}

/* The cgroup and what is read of it. Files stay open: see refill. */
static void find_counters(void)
{
    unsigned watch = conf_of(self.w.server)->watch;
    int level = watch & WATCH_REQUIRED ? APLOG_ERR : APLOG_NOTICE, err = 0;

    if (og_cgroup_find("/proc", &self.w.cgroup) != 0)
        self.w.cgroup.path[0] = '\0';
    self.limit_bytes = OG_CGROUP_UNLIMITED;
    og_cgroup_limit(&self.w.cgroup, &self.limit_bytes);
    self.usage_fd = og_cgroup_open_usage(&self.w.cgroup);
    has_room();
    self.w.counters.fd = -1;
    if ((watch & WATCH_COUNTER) != 0)
        err = og_counters_open(&self.w.counters, &self.w.cgroup, "/proc");
    if (err != 0 && og_ledger_first(self.w.ledger, SAID_NO_COUNTER))
        ap_log_error(APLOG_MARK, level, -err, self.w.server,
                     "OG0310: neither memory.events nor memory.oom_control of httpd's cgroup nor "
                     "/proc/vmstat counts OOM kills: a kill that the kernel's log does not tell "
                     "will not be known; \"OOMGuardWatch kmsg\" silences this");
    og_verdict_witnesses(&self.w.seen.verdict, self.w.task.kmsg >= 0, self.w.counters.fd >= 0);
}

void watch_forever(server_rec *s, const watch_task_t *task)
{
    guard_retained_t *kept = parent_retained();
    sigset_t during_poll;
    int err, score;

    self.w.server = s;
    self.w.ledger = kept->ledger;
    self.w.task = *task;
    set_signals(&during_poll);
    set_title();
    close_others(s, task);
    og_ledger_seen(kept->ledger, &self.w.seen);
    self.w.doubt = self.w.seen.pending;
    if (task->kmsg < 0)
        self.w.seen.resume_seq = 0; /* what the log has of this time is told without it */
    find_counters();
    describe();
    og_kmsg_init(&self.kmsg);
    /* Of all that httpd forks, this is what must see the others go: as safe as the master,
     * and safer than one that somebody wants to see killed. */
    score = og_score_target(conf_of(s)->master, kept->base);
    og_score_write("/proc", 0, score < kept->base ? score : kept->base);
    if (!drop_rights(s))
        _exit(1);
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, WATCH_FINISH, 0, 0, 0);
    if (getppid() != task->master)
        finish = 1;
    og_event_arena();
    report_start(&self.w);
    og_reserve_make(&self.reserve);
    self.calm_msec = CALM_MSEC;
    while ((err = look()) == 0 && !finish) {
        if (sleep_well(&during_poll))
            refill();
    }
    if (err == 0 && getppid() != task->master && task->kmsg >= 0) {
        struct pollfd log = { task->kmsg, POLLIN, 0 };

        if (poll(&log, 1, LAST_WORDS_MSEC) > 0)
            err = look();
    }
    if (getppid() == task->master) {
        self.w.note.clean = true; /* as far as we can see */
        report_note(&self.w);
    }
    if (err != 0)
        ap_log_error(APLOG_MARK, APLOG_ERR, err, s, "OG0308: reading /dev/kmsg failed");
    _exit(err == 0 ? 0 : 1);
}
