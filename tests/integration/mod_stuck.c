/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* For tests: a request that nothing ends but SIGKILL. */
#include "httpd.h"
#include "http_config.h"
#include "http_protocol.h"

#include <signal.h>
#include <unistd.h>

static int handler(request_rec *r)
{
    sigset_t all;

    if (r->handler == NULL || strcmp(r->handler, "stuck") != 0)
        return DECLINED;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    ap_rprintf(r, "%d\n", (int)getpid());
    ap_rflush(r);
    for (;;)
        sleep(1);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(stuck) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks
};
