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
    score = og_score_target(c->worker, parent_retained()->base);
    rc = og_score_write("/proc", 0, score);
    if (rc != 0)
        parent_complain(s, -rc, "a worker", score);
    return DECLINED;
}

static apr_status_t request_end(void *cell)
{
    og_ledger_end(cell);
    return APR_SUCCESS;
}

int child_request_begin(request_rec *r)
{
    static __thread unsigned hint;
    static __thread pid_t tid;
    static pid_t pid;
    static int slot = -1;
    og_ledger_t *ledger = parent_retained()->ledger;
    og_request_t *cell;

    /* A redirect goes on with the request it comes from. */
    if (ledger == NULL || r->prev != NULL || r->main != NULL ||
        conf_of(r->server)->enabled == 0)
        return DECLINED;
    if (slot < 0) {
        pid = getpid();
        slot = og_ledger_slot(ledger, pid);
    }
    if (tid == 0)
        tid = (pid_t)syscall(SYS_gettid);
    cell = og_ledger_begin(ledger, slot, &hint, pid, tid, parent_now(), r->method,
                           r->useragent_ip, r->server->server_hostname, r->uri);
    if (cell != NULL)
        apr_pool_cleanup_register(r->pool, cell, request_end, apr_pool_cleanup_null);
    return DECLINED;
}
