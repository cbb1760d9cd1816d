/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the glue of mod_oomguard shares. The rooms do not see this. */
#ifndef OG_GUARD_H
#define OG_GUARD_H

#include "httpd.h"
#include "ap_expr.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "ap_mpm.h"
#include "scoreboard.h"

#include "oomguard/counters.h"
#include "oomguard/history.h"
#include "oomguard/kmsg.h"
#include "oomguard/ledger.h"
#include "oomguard/score.h"
#include "oomguard/state.h"

extern module AP_MODULE_DECLARE_DATA oomguard_module;
APLOG_USE_MODULE(oomguard);

/* Where kills are heard of. */
#define WATCH_KMSG 1U
#define WATCH_COUNTER 2U
#define WATCH_REQUIRED 4U /* named one by one: one that can't be had is an error */
#define WATCH_AUTO (WATCH_KMSG | WATCH_COUNTER)
#define WATCH_OFF 0U

/* process "GLOB": a score for processes of that name. */
typedef struct {
    const char *glob;
    og_score_t score;
} process_rule_t;

/* What requests are of one route: those whose path fits the pattern, which is its name, too,
 * if there is no other; or where the expression has a value, which is its name. */
typedef struct {
    const char *pattern, *name;
    const ap_expr_info_t *expr; /* or NULL */
} route_rule_t;

/* A server's configuration. Only enabled, query and rules differ between virtual hosts; the
 * rest is the main server's. */
typedef struct {
    int enabled; /* -1: unset */
    int query;   /* -1: unset; are queries remembered with the paths? */
    int routes;  /* is memory accounted for, and by route? */
    apr_array_header_t *backends; /* of const char *, globs of names */
    apr_array_header_t *rules; /* of route_rule_t, the first that fits counts */
    unsigned watch;
    const char *state;   /* a path; "" is off */
    const char *history; /* likewise */
    int journal;         /* is each event sent to systemd's journal? */
    og_score_t master, worker, helper;
    apr_array_header_t *processes; /* of process_rule_t, the last that fits counts */
} guard_conf_t;

/* What outlives a restart and the unloading of this module. */
typedef struct {
    og_ledger_t *ledger; /* NULL until the first post_config */
    int base;            /* the score httpd was started with */
    int have_base;
    uint64_t began_usec; /* when this httpd was started, of CLOCK_MONOTONIC */
    int recalled;        /* what the one before had seen */
} guard_retained_t;

/* Bits of og_ledger_first. */
#define SAID_NO_RIGHT 1U
#define SAID_NO_KMSG 2U
#define SAID_PID_NAMESPACE 4U
#define SAID_NO_COUNTER 8U
#define SAID_NO_STATE 16U

/* --- conf.c */
void *conf_create(apr_pool_t *p, server_rec *s);
void *conf_merge(apr_pool_t *p, void *base, void *add);
static inline guard_conf_t *conf_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &oomguard_module);
}
/* The name that a rule gives to the route of a request, or NULL. *by_path is 0 then, if
 * another request with this path may have another. */
const char *conf_route(request_rec *r, const char *path, int *by_path);
extern const command_rec conf_commands[];
/* httpd -t -D DUMP_OOMGUARD */
void conf_dump(apr_pool_t *p, server_rec *s);

/* --- parent.c: in the master */
guard_retained_t *parent_retained(void);
uint64_t parent_now(void);  /* microseconds of CLOCK_MONOTONIC_COARSE */
uint64_t parent_boot(void); /* microseconds of CLOCK_BOOTTIME */
int parent_pre_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp);
int parent_check_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
int parent_post_config(apr_pool_t *p, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);
void parent_child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                         mpm_child_status state);
int parent_monitor(apr_pool_t *p, server_rec *s);
/* Hears from httpd how its children ended: the hook of their end is not told. */
void parent_error_log(const ap_errorlog_info *info, const char *line);
/* Has post_config run in this process, or the one it was forked from? */
int parent_is_ready(void);
/* Says why a score could not be set: the missing right once in the life of the server. */
void parent_complain(server_rec *s, int err, const char *who, int score);

/* --- child.c: in a worker */
int child_drop_privileges(apr_pool_t *p, server_rec *s);
void child_init(apr_pool_t *pchild, server_rec *s);
void child_register(void);
int child_connection(conn_rec *c, void *csd);
int child_request_begin(request_rec *r);
int child_request_handler(request_rec *r);
int child_request_log(request_rec *r);

/* --- status.c: SetHandler oomguard-status */
int status_answer(request_rec *r);

/* --- watch.c: in the watcher, the helper process that asks the witnesses */

/* To the watcher: end when all that is there was read. What the whole process group gets,
 * SIGTERM above all, is for others: a stop takes its time, and may need a witness. */
#define WATCH_FINISH SIGUSR2

/* By which way the kernel's log is read. */
typedef enum { LOG_NONE, LOG_DEVICE, LOG_RING } log_way_t;

/* What the master has for it. */
typedef struct {
    log_way_t log;
    int kmsg;          /* of LOG_DEVICE, else -1 */
    int buried;        /* an eventfd: there is one more among the dead of the ledger */
    pid_t master;
    pid_t predecessor; /* the watcher before, if any */
    pid_t former;      /* the master of the httpd before this one, if that is known */
    uint64_t began_usec; /* of this httpd; what the log tells of earlier is the former's */
    og_state_file_t *state;
    og_history_t *history;
} watch_task_t;

void watch_forever(server_rec *s, const watch_task_t *task) __attribute__((noreturn));

/* --- report.c: in the watcher, whose kill it was, and the line about it */

typedef struct {
    server_rec *server;
    og_ledger_t *ledger;
    watch_task_t task;
    og_cgroup_t cgroup;
    og_counters_t counters;
    og_seen_t seen;
    og_state_t note; /* of it, for the httpd after this one */
    uint64_t doubt;  /* what the watcher before was telling when it died; 0: nothing */
    int live; /* all that happened before was once looked at: what comes now is new */
    int complained; /* of the history, since it last worked */
    int unposted;   /* likewise of the journal */
} witness_t;

/* Notes what was seen, for the next watcher and the next httpd. */
void report_note(witness_t *w);
/* Says in the journal that watching begins: what is opened and loaded for that is there when
 * memory is short, and a journal that can't be had is known from the start. */
void report_start(witness_t *w);
/* Finds out who is suspected: known then, when a kill is told. */
void report_suspects(const witness_t *w);
/* Tells of a kill in the log, unless it was told before. */
void report_kill(witness_t *w, const og_kmsg_kill_t *k);
void report_finding(witness_t *w, const og_finding_t *f);

/* --- watcher.c: in the master, the watcher's life */
void watcher_start(apr_pool_t *p, server_rec *s);
/* Starts it again if it died and its time has come. */
void watcher_tick(server_rec *s);
pid_t watcher_pid(void);
/* A worker is dead that did not say it was leaving. */
void watcher_bury(void);

#endif
