/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What happens in a worker: its score, and the requests it is in. */
#include "oomguard/guard.h"

#include "ap_mpm.h"

#include <sys/syscall.h>
#include <unistd.h>

/* mod_cgid and others run the same hooks in daemons of their own. An MPM child says that it
 * is starting; before our post_config has ended, nothing that is forked is an MPM child, and
 * later the master, whose state a daemon inherits, is running. */
static int is_mpm_child(void)
{
    int state;

    return parent_is_ready() && ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS &&
           state == AP_MPMQ_STARTING;
}

int child_drop_privileges(apr_pool_t *p, server_rec *s)
{
    guard_conf_t *c = conf_of(s);
    int score, rc;

    if (c->enabled == 0 || !is_mpm_child())
        return DECLINED;
    og_forked_mark(og_ledger_forked(parent_retained()->ledger), getpid(), OG_FORKED_WORKER);
    score = og_score_target(c->worker, parent_retained()->base);
    rc = og_score_write("/proc", 0, score);
    if (rc != 0)
        parent_complain(s, -rc, "a worker", score);
    return DECLINED;
}

static apr_status_t leave(void *ledger)
{
    og_forked_mark(og_ledger_forked(ledger), getpid(), OG_FORKED_LEFT);
    return APR_SUCCESS;
}

/* A worker that ends because it wants to runs its cleanups: a killed one does not. */
void child_init(apr_pool_t *pchild, server_rec *s)
{
    if (parent_is_ready())
        apr_pool_cleanup_register(pchild, parent_retained()->ledger, leave,
                                  apr_pool_cleanup_null);
}

static apr_status_t request_end(void *cell)
{
    og_ledger_end(cell);
    return APR_SUCCESS;
}

/* This worker's slot. httpd's handle on its scoreboard knows it from the first connection on;
 * the master tells us only after the fork, and this worker may be the faster. A connection
 * within another one (HTTP/2) may have no handle. -1: not known yet. */
static int my_slot(const og_ledger_t *ledger, const conn_rec *c)
{
    static int slot = -1;
    int known = __atomic_load_n(&slot, __ATOMIC_RELAXED);

    if (known < 0) {
        const worker_score *mine = ap_get_scoreboard_worker(c->sbh);
        const scoreboard *all = ap_scoreboard_image;

        known = mine != NULL ? (int)((mine - all->servers[0]) / all->global->thread_limit)
                             : og_ledger_slot(ledger, getpid());
        __atomic_store_n(&slot, known, __ATOMIC_RELAXED);
    }
    return known;
}

int child_request_begin(request_rec *r)
{
    static __thread unsigned hint;
    static __thread pid_t tid, pid;
    og_ledger_t *ledger = parent_retained()->ledger;
    int told = conf_of(r->server)->enabled != 0;
    og_request_t *cell;

    /* A redirect goes on with the request it comes from. */
    if (!parent_is_ready() || r->prev != NULL || r->main != NULL)
        return DECLINED;
    if (tid == 0) {
        tid = (pid_t)syscall(SYS_gettid);
        pid = getpid();
    }
    /* One that is not to be told of counts all the same: others must not answer for it. */
    cell = og_ledger_begin(ledger, my_slot(ledger, r->connection), &hint, pid, tid, parent_now(),
                           told ? r->method : NULL, told ? r->useragent_ip : NULL,
                           told ? r->server->server_hostname : NULL, told ? r->uri : NULL);
    if (cell != NULL)
        apr_pool_cleanup_register(r->pool, cell, request_end, apr_pool_cleanup_null);
    return DECLINED;
}
