/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What happens in the master: shared memory, its own score and its forks' scores, who lives
 * and who died, and the monitor's tick. */
#include "oomguard/guard.h"
#include "oomguard/procs.h"

#include "ap_mpm.h"
#include "apr_fnmatch.h"
#include "apr_shm.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_main.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often the master looks around for what no hook told. The monitor's hook may come much
 * oftener: whenever ten children ended. */
#define LOOK_AROUND_USEC (10 * 1000000ULL)

/* Cells a slot: a request whose response is still being written keeps its cell while its
 * thread goes on, and HTTP/2 has threads of its own. */
#define CELLS_A_THREAD 2
#define CELLS_MIN 8

static guard_retained_t *kept;
static int ready;
static pid_t master;

/* What a fork does at once, prepared: see after_fork. */
static og_score_text_t helper_text;

static uint64_t usec_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t parent_now(void)
{
    return usec_of(CLOCK_MONOTONIC_COARSE);
}

uint64_t parent_boot(void)
{
    return usec_of(CLOCK_BOOTTIME);
}

guard_retained_t *parent_retained(void)
{
    return kept;
}

int parent_is_ready(void)
{
    return ready;
}

/* Runs in everything that httpd forks, between fork(2) and whatever comes next: no child
 * lives a moment with the master's protection. Async-signal-safe. */
static void after_fork(void)
{
    if (helper_text.len == 0)
        return;
    og_score_write_self(&helper_text);
    if (kept != NULL && kept->ledger != NULL)
        og_forked_add(og_ledger_forked(kept->ledger), getpid(), getppid(), parent_boot());
}

/* Another release of this module may have been here before, with another idea of this
 * memory: it is known by its layout, and one that does not fit is left to the old workers.
 * The base is passed on by a record that every release reads: a score and a flag. */
static void recall(apr_pool_t *ptemp)
{
    static const char base_key[] = "mod_oomguard: base";
    const char *key = apr_psprintf(ptemp, "mod_oomguard: %lx",
                                   og_ledger_layout() * 31 + sizeof(guard_retained_t));
    int *base = ap_retained_data_get(base_key);

    kept = ap_retained_data_get(key);
    if (kept == NULL)
        kept = ap_retained_data_create(key, sizeof *kept);
    if (base == NULL) {
        base = ap_retained_data_create(base_key, 2 * sizeof *base);
        base[1] = og_score_read("/proc", 0, &base[0]) == 0;
    }
    kept->base = base[0];
    kept->have_base = base[1];
}

int parent_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp)
{
    static int registered;

    recall(ptemp);
    ready = 0;
    helper_text.len = 0;
    /* Once for each time the module is loaded: it goes when the module is unloaded. */
    if (!registered)
        registered = pthread_atfork(NULL, NULL, after_fork) == 0;
    return OK;
}

/* Piped loggers are forked before post_config: what they get is made ready here. */
int parent_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    guard_conf_t *c = conf_of(s);

    if (c->enabled != 0 && kept->have_base)
        og_score_format(og_score_target(c->helper, kept->base), &helper_text);
    return OK;
}

void parent_complain(server_rec *s, int err, const char *who, int score)
{
    if (err != EACCES && err != EPERM) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, err == EXDEV ? 0 : err, s,
                     "OG0202: could not set oom_score_adj of %s to %d%s", who, score,
                     err == EXDEV ? ": the kernel kept another value" : "");
        return;
    }
    if (kept->ledger == NULL || og_ledger_first(kept->ledger, SAID_NO_RIGHT))
        ap_log_error(APLOG_MARK, APLOG_NOTICE, err, s,
                     "OG0201: no right to lower oom_score_adj of %s to %d; scores below the "
                     "one httpd was started with (%d) will not be set. It takes "
                     "CAP_SYS_RESOURCE; or let systemd do it with OOMScoreAdjust=%d in the "
                     "unit, and write all scores, this one too, as absolute", who, score,
                     kept->base, score);
}

static void set_master_score(server_rec *s, int score)
{
    int now, rc = og_score_read("/proc", 0, &now);

    if (rc == 0 && now == score)
        return;
    if (rc == 0)
        rc = og_score_write("/proc", 0, score);
    if (rc != 0)
        parent_complain(s, -rc, "the master", score);
}

/* The configuration goes, and perhaps the module with it. */
static apr_status_t restore_base(void *data)
{
    if (getpid() == master) {
        helper_text.len = 0;
        og_score_write("/proc", 0, kept->base);
    }
    return APR_SUCCESS;
}

static int make_ledger(server_rec *s)
{
    int daemons = 0, threads = 0;
    unsigned cells;
    apr_size_t size;
    apr_shm_t *shm;
    apr_status_t rv;
    char *mem;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &daemons);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_THREADS, &threads);
    cells = (unsigned)threads * CELLS_A_THREAD;
    if (cells < CELLS_MIN)
        cells = CELLS_MIN;
    size = og_ledger_size((unsigned)daemons, cells);
    /* From the process' own pool: workers of older generations write on after a restart. */
    rv = apr_shm_create(&shm, size + 64, NULL, s->process->pool);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "OG0401: no shared memory of %" APR_SIZE_T_FMT " bytes: httpd runs "
                     "unguarded", size);
        return 0;
    }
    mem = (char *)APR_ALIGN((apr_uintptr_t)apr_shm_baseaddr_get(shm), 64);
    kept->ledger = og_ledger_init(mem, (unsigned)daemons, cells);
    return 1;
}

int parent_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    guard_conf_t *c = conf_of(s);

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG || c->enabled == 0)
        return OK;
    if (kept->ledger == NULL && !make_ledger(s)) {
        helper_text.len = 0; /* no worker is to have this score, and none gets its own */
        return OK;
    }
    /* The module may have been away for a while. */
    og_ledger_sweep(kept->ledger, parent_now());
    master = getpid();
    if (kept->began_usec == 0)
        kept->began_usec = parent_now();
    if (kept->have_base) {
        apr_pool_cleanup_register(p, NULL, restore_base, apr_pool_cleanup_null);
        set_master_score(s, og_score_target(c->master, kept->base));
    }
    watcher_start(p, s);
    ready = 1;
    return OK;
}

void parent_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                         mpm_child_status state)
{
    og_process_t p;
    int mpm;

    if (kept->ledger == NULL || !ready)
        return;
    if (state == MPM_CHILD_STARTED)
        og_ledger_started(kept->ledger, slot, pid, gen, parent_now());
    else if (state == MPM_CHILD_EXITED) {
        og_forked_t *forked = og_ledger_forked(kept->ledger);
        int left = og_forked_find(forked, pid, &p) && (p.marks & OG_FORKED_LEFT) != 0;

        if (ap_mpm_query(AP_MPMQ_MPM_STATE, &mpm) == APR_SUCCESS && mpm == AP_MPMQ_STOPPING)
            og_forked_mark(forked, pid, OG_FORKED_DISMISSED);
        og_ledger_exited(kept->ledger, slot, pid, gen, parent_now());
        if (!left)
            watcher_bury();
    }
}

/* mpm_unix.c: what httpd says of a child that it is about to kill, or that a signal has ended
 * (it is silent about SIGKILL). The texts have been the same since 2.4.0, and no request can
 * have the master log one. */
void parent_error_log(const ap_errorlog_info *info, const char *line)
{
    const char *at;
    long pid, sig;

    if (kept == NULL || kept->ledger == NULL || !ready || getpid() != master ||
        info->r != NULL || (at = strstr(line, "child p")) == NULL)
        return;
    if (sscanf(at, "child process %ld still did not exit", &pid) == 1 &&
        strstr(at, "sending a SIGKILL") != NULL)
        og_forked_mark(og_ledger_forked(kept->ledger), (pid_t)pid, OG_FORKED_SHOT);
    else if (sscanf(at, "child pid %ld exit signal %*[^(](%ld)", &pid, &sig) == 2 && sig > 0 &&
             sig < 128 && sig != SIGKILL)
        og_forked_mark(og_ledger_forked(kept->ledger), (pid_t)pid, OG_FORKED_SIGNAL(sig));
}

static const process_rule_t *rule_for(const guard_conf_t *c, const char *comm)
{
    for (int i = c->processes->nelts - 1; i >= 0; i--) {
        const process_rule_t *rule = &APR_ARRAY_IDX(c->processes, i, process_rule_t);

        if (apr_fnmatch(rule->glob, comm, 0) == APR_SUCCESS)
            return rule;
    }
    return NULL;
}

/* What neither hook nor handler saw: posix_spawn and vfork run no atfork handler, a worker
 * may not write its child's score, and a name is known only after exec. A score that somebody
 * chose for himself is left alone, unless a rule names the process. */
static void tend(const og_procs_stat_t *st, void *ctx)
{
    server_rec *s = ctx;
    guard_conf_t *c = conf_of(s);
    const process_rule_t *rule;
    og_process_t known;
    int score, now, rc;

    if (st->pid == master || st->pid == watcher_pid() || st->ppid <= 2 ||
        (st->ppid != master && !og_procs_descends("/proc", st->ppid, master)) ||
        og_ledger_slot(kept->ledger, st->pid) >= 0 ||
        og_score_read("/proc", st->pid, &now) != 0)
        return;
    if (!og_forked_find(og_ledger_forked(kept->ledger), st->pid, &known))
        og_forked_add(og_ledger_forked(kept->ledger), st->pid, st->ppid, st->start_usec);
    rule = rule_for(c, st->comm);
    if (rule == NULL && now != og_score_target(c->master, kept->base) &&
        now != og_score_target(c->worker, kept->base))
        return;
    score = og_score_target(rule != NULL ? rule->score : c->helper, kept->base);
    if (score == now)
        return;
    rc = og_score_write("/proc", st->pid, score);
    if (rc != 0 && rc != -ENOENT && rc != -ESRCH)
        parent_complain(s, -rc, st->comm, score);
}

int parent_monitor(apr_pool_t *p, server_rec *s)
{
    static uint64_t next;
    guard_conf_t *c = conf_of(s);
    uint64_t now = parent_now();

    if (kept->ledger == NULL || !ready || c->enabled == 0 || getpid() != master)
        return DECLINED;
    watcher_tick(s);
    if (now < next)
        return DECLINED;
    next = now + LOOK_AROUND_USEC;
    og_ledger_sweep(kept->ledger, now);
    if (kept->have_base)
        og_procs_each("/proc", tend, s);
    return DECLINED;
}
