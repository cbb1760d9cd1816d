/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The watcher's life, as the master leads it: it opens the kernel's log, forks, has a new
 * one there when the old one dies, and ends it when the configuration goes. */
#include "oomguard/guard.h"
#include "oomguard/kmsg.h"
#include "oomguard/oomd.h"
#include "oomguard/ring.h"

#include "ap_mpm.h"
#include "apr_thread_proc.h"
#include "http_config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* A watcher that lived for less than this died of something that may kill the next as well. */
#define LIVED_USEC (5 * 1000000ULL)
#define BACKOFF_MIN_USEC (1 * 1000000ULL)
#define BACKOFF_MAX_USEC (64 * 1000000ULL)

/* How long a watcher is given to end before it is ended. It needs a few milliseconds. */
#define STOP_MSEC 1000

/* The PID namespace that the kernel's log speaks of (PROC_PID_INIT_INO). */
#define INITIAL_PID_NAMESPACE 0xEFFFFFFCU

/* /dev/kmsg (Documentation/admin-guide/devices.txt). */
#define KMSG_DEVICE makedev(1, 11)

static struct {
    apr_proc_t proc; /* pid 0: none */
    pid_t last;      /* the one before, dead by now */
    uint64_t started_usec;
    uint64_t backoff_usec;
    uint64_t due_usec; /* 0: nothing to start */
    pid_t master;
    int buried; /* an eventfd, or -1 */
    og_state_file_t state;
    og_history_t history;
    pid_t former;
    server_rec *server;
} watch = { .buried = -1, .state = { .fd = -1 }, .history = { .fd = -1 } };

pid_t watcher_pid(void)
{
    return watch.proc.pid;
}

static int in_initial_pid_namespace(void)
{
    struct stat st;

    return stat("/proc/self/ns/pid", &st) != 0 || st.st_ino == INITIAL_PID_NAMESPACE;
}

/* Where the log ends now: what was in it before httpd started is not ours. */
static uint64_t end_of_log(int fd)
{
    char buf[OG_KMSG_RECORD_MAX];
    og_kmsg_record_t rec;
    uint64_t next = 1;
    ssize_t n;

    while ((n = read(fd, buf, sizeof buf)) > 0 || (n < 0 && (errno == EPIPE || errno == EINTR))) {
        if (n > 0 && og_kmsg_parse(buf, (size_t)n, &rec) == 0)
            next = rec.seq + 1;
    }
    return next;
}

/* Whoever hides the log from a container may have put something else in its place. */
static int is_log(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == KMSG_DEVICE)
        return 1;
    errno = ENODEV;
    return 0;
}

/* /dev/kmsg, or -1. */
static int open_device(void)
{
    og_ledger_t *ledger = parent_retained()->ledger;
    int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char buf[OG_KMSG_RECORD_MAX];
    static og_seen_t seen; /* large for a stack */

    /* Some let it be opened and refuse to read. */
    if (fd >= 0 &&
        (!is_log(fd) || (read(fd, buf, sizeof buf) < 0 && errno != EAGAIN && errno != EPIPE))) {
        int err = errno;

        close(fd);
        fd = -1;
        errno = err;
    }
    if (fd < 0)
        return -1;
    og_ledger_seen(ledger, &seen);
    if (seen.resume_seq == 0 || seen.resume_seq >= OG_RING_PLACE) {
        lseek(fd, 0, SEEK_SET);
        seen.resume_seq = end_of_log(fd);
        og_ledger_set_seen(ledger, &seen);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

/* Asks in a process of its own: a seccomp filter may kill the one who asks. */
static int ring_is_readable(void)
{
    struct rlimit none = { 0, 0 };
    pid_t pid = fork(), got = -1;
    int status = 1;

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &none);
        _exit(og_ring_probe() == 0 ? 0 : 1);
    }
    if (pid > 0) {
        do
            got = waitpid(pid, &status, 0);
        while (got < 0 && errno == EINTR);
    }
    return got > 0 && status == 0;
}

/* Said once if the kernel's log can't be had. */
static void open_log(server_rec *s, watch_task_t *task)
{
    int level = conf_of(s)->watch & WATCH_REQUIRED ? APLOG_ERR : APLOG_NOTICE, err;

    task->kmsg = open_device();
    err = errno;
    task->log = task->kmsg >= 0 ? LOG_DEVICE : ring_is_readable() ? LOG_RING : LOG_NONE;
    if (task->log == LOG_NONE && og_ledger_first(parent_retained()->ledger, SAID_NO_KMSG))
        ap_log_error(APLOG_MARK, level, err, s,
                     "OG0301: can't read the kernel's log, neither /dev/kmsg nor by syslog(2), so "
                     "of a kill no more will be told than what the kernel's counters and httpd "
                     "know: neither size nor reason. It takes root or CAP_SYSLOG; where the "
                     "systemd unit forbids it, the drop-in oomguard.conf has the lines that allow "
                     "it, as comments; \"OOMGuardWatch counter\" silences this");
}

/* Where the kernel's log has the PIDs that httpd has. */
static int may_read_log(server_rec *s)
{
    if ((conf_of(s)->watch & WATCH_KMSG) == 0)
        return 0;
    if (in_initial_pid_namespace())
        return 1;
    if (og_ledger_first(parent_retained()->ledger, SAID_PID_NAMESPACE))
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "OG0305: httpd runs in a PID namespace of its own, and the kernel's log has "
                     "the machine's PIDs: of a kill no more will be told than what the kernel's "
                     "counters and httpd know; \"OOMGuardWatch counter\" silences this");
    return 0;
}

static void maintain(int reason, void *data, int status)
{
    server_rec *s = watch.server;
    uint64_t now = parent_now();
    int stopping = 0;

    if (reason != APR_OC_REASON_DEATH && reason != APR_OC_REASON_LOST)
        return;
    apr_proc_other_child_unregister(data);
    watch.last = watch.proc.pid;
    watch.proc.pid = 0;
    if (ap_mpm_query(AP_MPMQ_MPM_STATE, &stopping) == APR_SUCCESS &&
        stopping == AP_MPMQ_STOPPING)
        return;
    if (now - watch.started_usec >= LIVED_USEC)
        watch.backoff_usec = 0;
    else if (watch.backoff_usec == 0)
        watch.backoff_usec = BACKOFF_MIN_USEC;
    else if (watch.backoff_usec < BACKOFF_MAX_USEC)
        watch.backoff_usec *= 2;
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                 /* The MPM gives its status or its signal, and does not say which. */
                 "OG0302: watcher %d ended (status or signal %d); the next one starts %s",
                 (int)watch.last, status,
                 watch.backoff_usec == 0 ? "now" : "after a pause, since it lived so short");
    watch.due_usec = now + watch.backoff_usec;
    if (watch.backoff_usec == 0)
        watcher_tick(s);
}

/* What is counted from now on is to be explained, however late the watcher comes to read it. */
static void begin_to_count(void)
{
    og_ledger_t *ledger = parent_retained()->ledger;
    static og_seen_t seen; /* large for a stack */
    og_counters_t counters;
    og_counts_t counts;
    og_cgroup_t cg;

    og_ledger_seen(ledger, &seen);
    if (seen.verdict.have_count || og_cgroup_find("/proc", &cg) != 0 ||
        og_counters_open(&counters, &cg, "/proc") != 0)
        return;
    if (og_counters_read(&counters, &counts) == 0) {
        og_verdict_baseline(&seen.verdict, counts.oom_kill);
        og_ledger_set_seen(ledger, &seen);
    }
    close(counters.fd);
}

static void launch(server_rec *s)
{
    watch_task_t task = { LOG_NONE, -1, watch.buried, watch.master,
                          watch.last, watch.former, parent_retained()->began_usec,
                          &watch.state, &watch.history };
    pid_t pid;

    watch.due_usec = 0;
    if (may_read_log(s))
        open_log(s, &task);
    if (task.log == LOG_NONE && (conf_of(s)->watch & WATCH_COUNTER) == 0)
        return;
    if ((conf_of(s)->watch & WATCH_COUNTER) != 0)
        begin_to_count();
    watch.started_usec = parent_now();
    pid = fork();
    if (pid == 0)
        watch_forever(s, &task);
    if (task.kmsg >= 0)
        close(task.kmsg);
    if (pid < 0) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "OG0303: can't fork the watcher; the next try comes in a minute");
        watch.due_usec = watch.started_usec + BACKOFF_MAX_USEC;
        return;
    }
    watch.proc.pid = pid;
    /* The key must be nobody else's: &watch, not s. */
    apr_proc_other_child_register(&watch.proc, maintain, &watch, NULL, s->process->pconf);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, "OG0304: watcher %d has begun", (int)pid);
}

void watcher_bury(void)
{
    if (watch.buried >= 0)
        eventfd_write(watch.buried, 1);
}

void watcher_tick(server_rec *s)
{
    if (watch.proc.pid == 0 && watch.due_usec != 0 && parent_now() >= watch.due_usec)
        launch(s);
}

static void stop(void)
{
    pid_t pid = watch.proc.pid;

    watch.due_usec = 0;
    if (pid == 0)
        return;
    watch.proc.pid = 0;
    kill(pid, WATCH_FINISH);
    for (int msec = 0; msec < STOP_MSEC; msec += 2) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        usleep(2000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static apr_status_t stop_cleanup(void *data)
{
    if (getpid() != watch.master)
        return APR_SUCCESS;
    stop();
    if (watch.buried >= 0)
        close(watch.buried);
    if (watch.state.fd >= 0)
        close(watch.state.fd);
    if (watch.history.fd >= 0)
        close(watch.history.fd);
    watch.buried = watch.state.fd = watch.history.fd = -1;
    return APR_SUCCESS;
}

static void tell_of_former(server_rec *s, const og_state_t *last)
{
    char said[256];

    if (og_oomd_has_killed(last->master_started_usec, said, sizeof said))
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s,
                     "OG0111: systemd-oomd killed the httpd before this one, master %d, and all of "
                     "its unit; systemd says: \"%s\"; which request it was nobody knows; memory or "
                     "swap was short for longer than oomd.conf(5) allows", (int)last->master, said);
    else
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "OG0110: the httpd before this one, master %d, did not stop: it was killed, "
                     "or crashed; if it was the OOM killer, the kernel's log tells, and a line "
                     "follows", (int)last->master);
}

/* What the httpd before this one has seen, if the machine was not booted since. */
static void recall(server_rec *s, og_state_t *last)
{
    og_ledger_t *ledger = parent_retained()->ledger;
    char boot_id[OG_STATE_BOOT_ID_MAX];
    og_cgroup_t cg;
    static og_seen_t seen; /* large for a stack */
    struct stat st;

    if (og_state_boot_id("/proc", boot_id) != 0 || strcmp(boot_id, last->boot_id) != 0)
        return;
    og_ledger_seen(ledger, &seen);
    seen.resume_seq = last->resume_seq;
    seen.pending = last->pending_seq;
    if (og_cgroup_find("/proc", &cg) == 0 && strcmp(cg.path, last->cgroup) == 0 &&
        stat(cg.dir, &st) == 0 && st.st_ino == last->cgroup_inode &&
        last->oom_kills != OG_STATE_UNKNOWN)
        og_verdict_baseline(&seen.verdict, last->oom_kills);
    og_ledger_set_seen(ledger, &seen);
    watch.former = last->master;
    if (!last->clean)
        tell_of_former(s, last);
    /* Should this one be killed before its watcher writes. */
    last->clean = false;
    last->master = (int32_t)watch.master;
    last->master_started_usec = parent_retained()->began_usec;
    og_state_save(&watch.state, last);
}

static void open_state(server_rec *s)
{
    static og_state_t last;
    guard_retained_t *kept = parent_retained();
    const char *path = conf_of(s)->state;
    int rc, first = !kept->recalled;

    kept->recalled = 1;
    if (*path == '\0')
        return;
    path = ap_runtime_dir_relative(s->process->pconf, path);
    rc = path == NULL ? -EINVAL : og_state_open(path, &watch.state, &last);
    if (rc == 0 && first)
        recall(s, &last);
    else if (rc != 0 && rc != -ENODATA && og_ledger_first(kept->ledger, SAID_NO_STATE))
        ap_log_error(APLOG_MARK, APLOG_WARNING, watch.state.fd < 0 ? -rc : 0, s,
                     "OG0311: the state of the httpd before this one, %s, is passed over: %s",
                     path != NULL ? path : conf_of(s)->state,
                     watch.state.fd < 0         ? "it can't be opened, and none will be kept"
                     : rc == -EPROTONOSUPPORT ? "it is of another release"
                                              : "it is damaged");
}

static void open_history(server_rec *s)
{
    const char *path = conf_of(s)->history;
    int rc;

    if (*path == '\0')
        return;
    path = ap_server_root_relative(s->process->pconf, path);
    rc = path == NULL ? -EINVAL : og_history_open(path, &watch.history);
    if (rc != 0)
        ap_log_error(APLOG_MARK, APLOG_ERR, -rc, s,
                     "OG0313: can't open OOMGuardHistory %s: there will be none",
                     path != NULL ? path : conf_of(s)->history);
}

void watcher_start(apr_pool_t *p, server_rec *s)
{
    if (conf_of(s)->watch == WATCH_OFF)
        return;
    watch.master = getpid();
    watch.server = s;
    /* Without one, the dead are looked for when something else happens. */
    watch.buried = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    apr_pool_cleanup_register(p, NULL, stop_cleanup, apr_pool_cleanup_null);
    open_state(s);
    open_history(s);
    launch(s);
}
