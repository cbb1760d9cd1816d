/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What the glue of mod_oomguard shares. The rooms do not see this. */
#ifndef OG_GUARD_H
#define OG_GUARD_H

#include "httpd.h"
#include "http_config.h"
#include "http_log.h"
#include "ap_mpm.h"
#include "scoreboard.h"

#include "oomguard/ledger.h"
#include "oomguard/score.h"

extern module AP_MODULE_DECLARE_DATA oomguard_module;
APLOG_USE_MODULE(oomguard);

typedef enum { WATCH_UNSET, WATCH_AUTO, WATCH_KMSG, WATCH_OFF } watch_t;

/* process "GLOB": a score for processes of that name. */
typedef struct {
    const char *glob;
    og_score_t score;
} process_rule_t;

/* A server's configuration. Only enabled differs between virtual hosts; the rest is the
 * main server's. */
typedef struct {
    int enabled; /* -1: unset */
    watch_t watch;
    og_score_t master, worker, helper;
    apr_array_header_t *processes; /* of process_rule_t, the last that fits counts */
} guard_conf_t;

/* What outlives a restart and the unloading of this module. */
typedef struct {
    og_ledger_t *ledger; /* NULL until the first post_config */
    int base;            /* the score httpd was started with */
    int have_base;
} guard_retained_t;

/* Bits of og_ledger_first. */
#define SAID_NO_RIGHT 1U
#define SAID_NO_KMSG 2U
#define SAID_PID_NAMESPACE 4U

/* --- conf.c */
void *conf_create(apr_pool_t *p, server_rec *s);
void *conf_merge(apr_pool_t *p, void *base, void *add);
guard_conf_t *conf_of(const server_rec *s);
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
/* Has post_config run in this process, or the one it was forked from? */
int parent_is_ready(void);
/* Says why a score could not be set: the missing right once in the life of the server. */
void parent_complain(server_rec *s, int err, const char *who, int score);

/* --- child.c: in a worker */
int child_drop_privileges(apr_pool_t *p, server_rec *s);
int child_request_begin(request_rec *r);

/* --- watch.c: in the watcher, the helper process that reads the kernel's log */

/* To the watcher: end when all that is there was read. What the whole process group gets,
 * SIGTERM above all, is for others: a stop takes its time, and may need a witness. */
#define WATCH_FINISH SIGUSR2

/* Reads fd, /dev/kmsg, for the master; predecessor is the watcher before, if any. */
void watch_forever(server_rec *s, int fd, pid_t master, pid_t predecessor)
    __attribute__((noreturn));

/* --- watcher.c: in the master, the watcher's life */
void watcher_start(apr_pool_t *p, server_rec *s);
/* Starts it again if it died and its time has come. */
void watcher_tick(server_rec *s);
pid_t watcher_pid(void);

#endif
