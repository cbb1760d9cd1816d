/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the watcher does: it gives all rights away, sleeps until a witness has something to say,
 * and asks them all. */
#include "oomguard/event.h"
#include "oomguard/guard.h"
#include "oomguard/kmsg.h"
#include "oomguard/procs.h"
#include "oomguard/reserve.h"
#include "oomguard/ring.h"
#include "lib/cgroup.h"
#include "lib/file.h"

#include "apr_fnmatch.h"
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

/* Where nothing wakes us when a kill is counted (version 1, the machine's counter) or logged
 * (the ring), it is looked at so often; and then, while the other witness is waited for. */
#define LOOK_MSEC 250
#define LOOK_AGAIN_MSEC 20

/* How often requests in flight are looked at for what they have taken so far, those that run
 * for so long; and how often, where there were none. */
#define LOOK_AT_REQUESTS_MSEC 250
#define LOOK_FOR_REQUESTS_MSEC 1000
#define REQUEST_MIN_MSEC 100

/* How often it is found out who is suspected, if there is anything new; and what any of these
 * looks may take of a processor's time, which is one part of so many. */
#define SUSPECTS_MSEC 2000
#define TIME_PARTS 50

/* How often, while there are such, it is looked who works for them: those that httpd forked, and
 * those that are found by their names, for which all of /proc has to be read. */
#define FORKED_MSEC 1000
#define NAMED_MSEC 5000

static struct {
    witness_t w;
    uint64_t requests_usec; /* when to look at requests again; UINT64_MAX: never */
    uint64_t forked_usec, named_usec; /* likewise at who works for them */
    uint64_t suspects_usec;
    uint32_t windows; /* there were when that was looked at */
    char comm[64]; /* the master's */
    int usage_fd; /* of the cgroup, or -errno */
    uint64_t limit_bytes;
    uint64_t next; /* the number of the record that would follow the last one read */
    og_kmsg_t kmsg;
    og_ring_t ring;
    og_reserve_t reserve;
    int calm_msec;
    uint64_t calm_usec; /* when it will have been calm for so long */
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

/* Whatever user this is: a unit may give rights to one that is not root. The ring is not read
 * through a file that could be opened before. */
static int drop_capabilities(log_way_t log)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
    __u32 keep[_LINUX_CAPABILITY_U32S_3] = { 0 };

    if (log == LOG_RING)
        keep[CAP_TO_INDEX(CAP_SYSLOG)] = CAP_TO_MASK(CAP_SYSLOG);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capget, &head, caps) != 0)
        return 0;
    for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        caps[i].permitted &= keep[i];
        caps[i].effective = caps[i].permitted;
        caps[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, caps) == 0;
}

/* From here on: nobody's rights, and no way to get them back. */
static int drop_rights(server_rec *s, log_way_t log)
{
    uid_t uid = ap_unixd_config.user_id;
    gid_t gid = ap_unixd_config.group_id;

    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
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
    if (!drop_capabilities(log)) {
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

static void make_room(void)
{
    og_reserve_give(&self.reserve);
    self.calm_msec = CALM_MSEC;
    self.calm_usec = parent_now() + CALM_MSEC * 1000;
}

/* The limit may have been changed; but opening files to see that takes memory, too, so it is
 * looked at only where there was room by the one known before. */
static void refill(void)
{
    uint64_t now = parent_now();

    if (og_reserve_is_whole(&self.reserve) || now < self.calm_usec)
        return;
    if (has_room() && (og_cgroup_limit(&self.w.cgroup, &self.limit_bytes), has_room()))
        og_reserve_refill(&self.reserve);
    else if (self.calm_msec < CALM_MAX_MSEC)
        self.calm_msec *= 2;
    self.calm_usec = now + (uint64_t)self.calm_msec * 1000;
}

static void skip_gap(uint64_t records)
{
    og_verdict_gap(&self.w.seen.verdict, records, parent_now());
    og_kmsg_gap(&self.kmsg);
}

static void take(const og_kmsg_record_t *rec)
{
    og_seen_t *seen = &self.w.seen;
    og_kmsg_kill_t k;

    self.next = rec->seq + 1;
    if (og_kmsg_feed(&self.kmsg, rec, &k)) {
        make_room();
        report_kill(&self.w, &k);
    }
    seen->resume_seq = og_kmsg_resume(&self.kmsg, self.next);
}

/* Reads all there is. 0, or the errno that ends it. */
static int drain_device(int fd)
{
    static char buf[OG_KMSG_RECORD_MAX];
    og_kmsg_record_t rec;
    ssize_t n;

    for (;;) {
        n = read(fd, buf, sizeof buf);
        if (n > 0) {
            if (og_kmsg_parse(buf, (size_t)n, &rec) != 0 || rec.seq < self.next)
                continue;
            if (rec.seq > self.next)
                skip_gap(rec.seq - self.next);
            take(&rec);
        }
        else if (n == 0)
            return ENODATA; /* no log ends */
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EPIPE && errno != EINTR && errno != EINVAL)
            return errno;
    }
}

static int drain_ring(void)
{
    bool known = self.next >= OG_RING_PLACE;
    og_kmsg_record_t rec;
    int rc;

    rc = og_ring_read(&self.ring, known ? self.next : UINT64_MAX);
    if (rc == -ENODATA)
        skip_gap(OG_VERDICT_UNKNOWN);
    else if (rc != 0)
        return -rc;
    if (!known)
        self.next = OG_RING_PLACE;
    while (og_ring_next(&self.ring, &rec)) {
        if (known && rec.seq >= self.next)
            take(&rec);
        else if (!known) /* what was there before httpd started is not ours */
            self.next = rec.seq + 1;
    }
    if (!known)
        self.w.seen.resume_seq = self.next;
    return 0;
}

static int drain(void)
{
    switch (self.w.task.log) {
    case LOG_DEVICE:
        return drain_device(self.w.task.kmsg);
    case LOG_RING:
        return drain_ring();
    default:
        return 0;
    }
}

/* Those that the master has buried since. False if there are more than can be judged at once. */
static bool hear_of_deaths(void)
{
    static og_worker_t worker;
    og_seen_t *seen = &self.w.seen;

    for (uint32_t n = seen->buried; og_ledger_next_dead(self.w.ledger, &n, &worker);
         seen->buried = n) {
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
        if (!og_verdict_death(&seen->verdict, &d))
            return false;
    }
    return true;
}

/* Asks all witnesses, in the order that verdict.h wants. 0, or the errno that ends it. */
static int look(void)
{
    og_seen_t *seen = &self.w.seen;
    og_counts_t counts;
    og_finding_t finding;
    bool all_heard;
    eventfd_t n;
    int err;

    if (self.w.task.buried >= 0)
        eventfd_read(self.w.task.buried, &n);
    do {
        all_heard = hear_of_deaths();
        err = drain();
        if (self.w.counters.fd >= 0 && og_counters_read(&self.w.counters, &counts) == 0)
            og_verdict_count(&seen->verdict, counts.oom_kill, parent_now());
        while (og_verdict_next(&seen->verdict, parent_now(), &finding)) {
            make_room();
            report_finding(&self.w, &finding);
        }
    } while (!all_heard && err == 0);
    if (seen->resume_seq != self.w.note.resume_seq || !self.w.live)
        report_note(&self.w);
    self.w.live = 1;
    return err;
}

static int is_like_master(const og_procs_stat_t *st)
{
    return strcmp(st->comm, self.comm) == 0;
}

/* A worker says that it is one when it has begun. Daemons have the master's name, and what those
 * start has them as parents; piped loggers and the like work for no request. */
static void add_forked(const og_process_t *p, void *unused)
{
    og_procs_stat_t st, parent;

    if ((p->marks & OG_FORKED_WORKER) == 0 && p->pid != getpid() &&
        og_ledger_slot(self.w.ledger, p->pid) < 0 && og_procs_stat("/proc", p->pid, &st) == 0 &&
        parent_boot() > st.start_usec + FORKED_MSEC * 1000 &&
        (is_like_master(&st) ||
         (og_procs_stat("/proc", st.ppid, &parent) == 0 && is_like_master(&parent) &&
          parent.pid != self.w.task.master)))
        og_backends_add(og_ledger_backends(self.w.ledger), &st, OG_BACKEND_FORKED);
}

static void add_named(const og_procs_stat_t *st, void *unused)
{
    const apr_array_header_t *globs = conf_of(self.w.server)->backends;

    for (int i = 0; i < globs->nelts; i++) {
        if (apr_fnmatch(APR_ARRAY_IDX(globs, i, const char *), st->comm, 0) == APR_SUCCESS)
            og_backends_add(og_ledger_backends(self.w.ledger), st, OG_BACKEND_NAMED);
    }
}

static void find_backends(uint64_t now)
{
    og_backends_t *backends = og_ledger_backends(self.w.ledger);

    if (now >= self.forked_usec && og_backends_wanted(backends, OG_BACKEND_FORKED)) {
        og_backends_sweep(backends, "/proc");
        og_forked_each(og_ledger_forked(self.w.ledger), add_forked, NULL);
        self.forked_usec = now + FORKED_MSEC * 1000;
    }
    if (now >= self.named_usec && og_backends_wanted(backends, OG_BACKEND_NAMED)) {
        og_backends_sweep(backends, "/proc");
        og_procs_each("/proc", add_named, NULL);
        self.named_usec = now + NAMED_MSEC * 1000;
    }
}

/* What a request has taken so far, as /proc shows of its thread. */
static uint64_t taken(const og_request_t *q)
{
    og_procs_stat_t st;

    if (q->faults == OG_LEDGER_UNKNOWN || og_procs_thread("/proc", q->pid, q->tid, &st) != 0 ||
        st.faults == UINT64_MAX || st.faults < q->faults)
        return OG_LEDGER_UNKNOWN;
    return st.faults - q->faults;
}

static uint64_t look_at(const og_request_t *q, void *found)
{
    *(int *)found = 1;
    return parent_now() < q->begun_usec + REQUEST_MIN_MSEC * 1000 ? OG_LEDGER_UNKNOWN
                                                                  : taken(q);
}

static uint64_t later(uint64_t now, uint64_t at_least_msec)
{
    uint64_t took_usec = parent_now() - now;

    return now + (took_usec * TIME_PARTS > at_least_msec * 1000 ? took_usec * TIME_PARTS
                                                                : at_least_msec * 1000);
}

static void suspect(uint64_t now)
{
    uint32_t windows = __atomic_load_n(&og_ledger_windows(self.w.ledger)->next, __ATOMIC_RELAXED);

    if (now < self.suspects_usec || windows == self.windows)
        return;
    report_suspects(&self.w);
    self.windows = windows;
    self.suspects_usec = later(now, SUSPECTS_MSEC);
}

/* Not where memory is short already, or was a moment ago: the kernel asks for some for who reads
 * /proc. */
static void look_at_requests(void)
{
    uint64_t now = parent_now();
    int found = 0;

    if (now < self.requests_usec)
        return;
    if (og_reserve_is_whole(&self.reserve) && has_room()) {
        og_ledger_look(self.w.ledger, look_at, &found);
        find_backends(now);
        suspect(now);
    }
    self.requests_usec = later(now, found ? LOOK_AT_REQUESTS_MSEC : LOOK_FOR_REQUESTS_MSEC);
}

/* Does anything wake us at a kill? */
static int is_called(void)
{
    return self.w.task.log == LOG_DEVICE ||
           (self.w.task.log == LOG_NONE &&
            (self.w.counters.fd < 0 ||
             (!self.w.counters.machine && self.w.cgroup.version == 2)));
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Until something happens, or is due. */
static void sleep_well(const sigset_t *during_poll)
{
    struct pollfd fds[] = { { self.w.task.kmsg, POLLIN, 0 },
                            { self.w.task.buried, POLLIN, 0 },
                            { self.w.counters.fd, POLLPRI, 0 } };
    uint64_t now = parent_now(), due = og_verdict_due(&self.w.seen.verdict), until = due;
    uint64_t wait_usec;
    struct timespec t;

    if (!is_called())
        until = sooner(until, now + (due != OG_VERDICT_UNKNOWN ? LOOK_AGAIN_MSEC : LOOK_MSEC) *
                                        1000ULL);
    if (!og_reserve_is_whole(&self.reserve))
        until = sooner(until, self.calm_usec);
    until = sooner(until, self.requests_usec);
    wait_usec = (until > now ? until - now : 0) + 1000; /* what is too early comes again */
    t.tv_sec = (time_t)(wait_usec / 1000000);
    t.tv_nsec = (long)(wait_usec % 1000000) * 1000;
    ppoll(fds, sizeof fds / sizeof *fds, until == OG_VERDICT_UNKNOWN ? NULL : &t, during_poll);
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
    og_verdict_witnesses(&self.w.seen.verdict, self.w.task.log != LOG_NONE,
                         self.w.counters.fd >= 0);
}

static void leave(int err) __attribute__((noreturn));
static void leave(int err)
{
    if (err != 0)
        ap_log_error(APLOG_MARK, APLOG_ERR, err, self.w.server,
                     "OG0308: reading the kernel's log failed");
    _exit(err == 0 ? 0 : 1);
}

void watch_forever(server_rec *s, const watch_task_t *task)
{
    guard_retained_t *kept = parent_retained();
    og_procs_stat_t master;
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
    if (task->log == LOG_NONE)
        self.w.seen.resume_seq = 0; /* what the log has of this time is told without it */
    self.next = self.w.seen.resume_seq;
    if (task->log == LOG_RING && (err = -og_ring_open(&self.ring)) != 0)
        leave(err);
    find_counters();
    describe();
    og_kmsg_init(&self.kmsg);
    /* Of all that httpd forks, this is what must see the others go: as safe as the master,
     * and safer than one that somebody wants to see killed. */
    score = og_score_target(conf_of(s)->master, kept->base);
    og_score_write("/proc", 0, score < kept->base ? score : kept->base);
    if (!drop_rights(s, task->log))
        _exit(1);
    /* After the change of user, which clears it. */
    prctl(PR_SET_PDEATHSIG, WATCH_FINISH, 0, 0, 0);
    if (getppid() != task->master)
        finish = 1;
    og_event_arena();
    report_start(&self.w);
    og_reserve_make(&self.reserve);
    self.calm_msec = CALM_MSEC;
    self.requests_usec = conf_of(s)->routes ? 0 : UINT64_MAX;
    if (og_procs_stat("/proc", task->master, &master) == 0)
        memcpy(self.comm, master.comm, sizeof self.comm);
    report_note(&self.w); /* and once more below: both copies of it have their memory then */
    while ((err = look()) == 0 && !finish) {
        sleep_well(&during_poll);
        refill();
        look_at_requests();
    }
    if (err == 0 && getppid() != task->master && task->log != LOG_NONE) {
        struct pollfd log = { task->kmsg, POLLIN, 0 };

        poll(&log, 1, LAST_WORDS_MSEC);
        err = look();
    }
    if (getppid() == task->master) {
        self.w.note.clean = true; /* as far as we can see */
        report_note(&self.w);
    }
    leave(err);
}
