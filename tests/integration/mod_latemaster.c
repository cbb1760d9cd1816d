/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* For tests: a master that is slow to note its children, as one is that waits for memory. */
#include "httpd.h"
#include "http_config.h"
#include "ap_mpm.h"

#define LATE_USEC 1000000

static void child_status(server_rec *s, pid_t pid, ap_generation_t gen, int slot,
                         mpm_child_status state)
{
    if (state == MPM_CHILD_STARTED)
        apr_sleep(LATE_USEC);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_child_status(child_status, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

AP_DECLARE_MODULE(latemaster) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
