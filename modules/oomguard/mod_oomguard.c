/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* mod_oomguard: hooks and the module record, nothing else. */
#include "oomguard/guard.h"

#include "ap_mpm.h"
#include "http_connection.h"
#include "http_protocol.h"
#include "mpm_common.h"
#include "unixd.h"

static void register_hooks(apr_pool_t *p)
{
    ap_hook_pre_config(parent_pre_config, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_check_config(parent_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(conf_dump, NULL, NULL, APR_HOOK_MIDDLE);
    /* Behind all that fork helpers of their own from post_config: see parent_is_ready. */
    ap_hook_post_config(parent_post_config, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_child_status(parent_child_status, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_error_log(parent_error_log, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_monitor(parent_monitor, NULL, NULL, APR_HOOK_MIDDLE);
    /* Before mod_unixd gives root away: afterwards the worker does not own its /proc files. */
    ap_hook_drop_privileges(child_drop_privileges, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_FIRST);
    child_register();
    ap_hook_pre_connection(child_connection, NULL, NULL, APR_HOOK_MIDDLE);
    /* Behind mod_remoteip, so that the client is the client. */
    ap_hook_post_read_request(child_request_begin, NULL, NULL, APR_HOOK_LAST);
    /* Before whoever answers, when it is known who will be asked first. It answers for the status
     * page itself: one hook less that is run for every request. */
    ap_hook_handler(child_request_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    /* Before the loggers: its notes are for them. */
    ap_hook_log_transaction(child_request_log, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

module AP_MODULE_DECLARE_DATA oomguard_module = {
    STANDARD20_MODULE_STUFF,
    NULL,           /* create per-directory config */
    NULL,           /* merge per-directory config */
    conf_create,    /* create per-server config */
    conf_merge,     /* merge per-server config */
    conf_commands,  /* directives */
    register_hooks, /* hooks */
    0               /* flags */
};
