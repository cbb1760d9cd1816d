/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* For tests of the tests: "Fault NAME" does what no module should, and the audit must see it. */
#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "ap_mpm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAK_BYTES 2048

static const char *fault = "";

static const char *set_fault(cmd_parms *cmd, void *unused, const char *name)
{
    fault = name;
    return NULL;
}

static int is(const char *name)
{
    return strcmp(fault, name) == 0;
}

/* In the master, at each start and restart. */
static int post_config(apr_pool_t *conf, apr_pool_t *log, apr_pool_t *temp, server_rec *s)
{
    char *volatile leaked;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    if (is("descriptor"))
        open("/dev/null", O_RDONLY);
    if (is("memory") && (leaked = malloc(LEAK_BYTES)) != NULL)
        memset(leaked, 1, LEAK_BYTES);
    if (is("process") && fork() == 0) {
        for (;;)
            pause();
    }
    if (is("message"))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "OG0999: a message that nobody declared");
    return OK;
}

static apr_status_t crash(void *unused)
{
    raise(SIGSEGV);
    return APR_SUCCESS;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    if (is("crash"))
        apr_pool_cleanup_register(p, NULL, crash, apr_pool_cleanup_null);
}

static void register_hooks(apr_pool_t *p)
{
    ap_hook_post_config(post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("Fault", set_fault, NULL, RSRC_CONF, "what to do wrong"), { NULL }
};

AP_DECLARE_MODULE(fault) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, commands, register_hooks
};
