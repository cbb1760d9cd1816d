/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* mod_oom: a handler that eats memory until the kernel kills the worker, or as much as
 * the query says. What is eaten, and how, is in the rooms: plan, eat, progress. */
#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "ap_mpm.h"
#include "apr_lib.h"
#include "apr_strings.h"

#include "lib/cgroup.h"
#include "lib/file.h"
#include "lib/num.h"
#include "oom/eat.h"
#include "oom/plan.h"
#include "oom/progress.h"

#include <time.h>
#include <unistd.h>

#define HANDLER_NAME "oom"
/* On a disk by the Filesystem Hierarchy Standard, and kept apart from others' by
 * systemd's PrivateTmp=. */
#define FILE_DIR "/var/tmp"

module AP_MODULE_DECLARE_DATA oom_module;

typedef struct {
    oom_amount_t max_size;
    int max_size_set;
} oom_dir_conf;

/* One answer, as the callback sees it. */
typedef struct {
    request_rec *r;
    oom_progress_t progress;
    apr_time_t start;
    int json;
    int stopping; /* the server, as opposed to the client */
    char line[OOM_PROGRESS_LINE_MAX];
} answer_t;

static og_cgroup_t cgroup; /* of this child; version 0 where there is none */
static oom_kept_t kept;

/* --- What the worker can see of itself. None of this allocates. */

static apr_uint64_t machine_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (apr_uint64_t)pages * (apr_uint64_t)size
                                 : OOM_PLAN_BYTES_MAX;
}

static uint64_t cgroup_limit(void)
{
    uint64_t bytes;

    return og_cgroup_limit(&cgroup, &bytes) == 0 ? bytes : OG_CGROUP_UNLIMITED;
}

static uint64_t limit_in_force(void)
{
    uint64_t limit = cgroup_limit(), machine = machine_bytes();

    return limit < machine ? limit : machine;
}

/* "SIZE RESIDENT SHARED ..." in pages. */
static uint64_t rss(void)
{
    char text[256];
    const char *p = text;
    uint64_t pages;
    ssize_t n = og_file_read("/proc/self/statm", text, sizeof text);

    if (n < 0 || !og_num_u64(&p, text + n, &pages) || *p++ != ' ' ||
        !og_num_u64(&p, text + n, &pages))
        return OOM_PROGRESS_UNKNOWN;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t now_nsec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void sleep_nsec(uint64_t nsec)
{
    struct timespec ts = { (time_t)(nsec / 1000000000u), (long)(nsec % 1000000000u) };

    nanosleep(&ts, NULL);
}

/* --- The answer. */

/* Writes a line and sees it off: the next step may be the last. */
static void say(answer_t *a, oom_state_t state)
{
    oom_progress_t *p = &a->progress;
    size_t len;

    p->state = state;
    p->rss_bytes = rss();
    if (og_cgroup_usage(&cgroup, &p->cgroup_usage_bytes) != 0)
        p->cgroup_usage_bytes = OOM_PROGRESS_UNKNOWN;
    p->cgroup_limit_bytes = cgroup_limit();
    p->elapsed_usec = now_nsec() / 1000 - (uint64_t)a->start;
    len = oom_progress_line(a->line, sizeof a->line, a->json, p);
    if (ap_rwrite(a->line, (int)len, a->r) >= 0)
        ap_rflush(a->r);
}

static bool told(void *baton, const oom_eaten_t *eaten)
{
    static const oom_state_t states[] = { [OOM_PHASE_GROWING] = OOM_STATE_GROWING,
                                          [OOM_PHASE_COPYING] = OOM_STATE_COPYING,
                                          [OOM_PHASE_HOLDING] = OOM_STATE_HOLDING };
    answer_t *a = baton;
    int mpm_state;

    a->progress.cycle = eaten->cycle;
    a->progress.allocated_bytes = eaten->bytes;
    say(a, states[eaten->phase]);
    a->stopping = ap_mpm_query(AP_MPMQ_MPM_STATE, &mpm_state) == APR_SUCCESS &&
                  mpm_state == AP_MPMQ_STOPPING;
    return !a->stopping && !a->r->connection->aborted;
}

static void say_end(answer_t *a, int rc, const oom_outcome_t *out)
{
    oom_progress_t *p = &a->progress;
    char words[128];

    p->allocated_bytes = out->bytes;
    p->signal = out->signal;
    if (rc < 0) {
        p->refused_step = out->step;
        p->refused_error = apr_strerror(-rc, words, sizeof words);
        say(a, OOM_STATE_REFUSED);
    }
    else if (rc == OOM_END_CHILD_KILLED)
        say(a, OOM_STATE_CHILD_KILLED);
    else if (rc == OOM_END_STOPPED)
        say(a, a->stopping ? OOM_STATE_SERVER_STOPPING : OOM_STATE_CLIENT_GONE);
    else
        say(a, p->plan->leak ? OOM_STATE_KEPT : OOM_STATE_GIVEN_BACK);
}

static void eat(request_rec *r, const oom_plan_t *plan, uint64_t limit, int json)
{
    answer_t a = { .r = r, .start = (apr_time_t)(now_nsec() / 1000), .json = json };
    oom_eater_t eater = { .file_dir = FILE_DIR,
                          .step_bytes = oom_plan_step(plan, limit),
                          .clock = { now_nsec, sleep_nsec },
                          .kept = &kept,
                          .tell = told,
                          .baton = &a };
    oom_outcome_t out;
    int rc;

    a.progress.plan = plan;
    a.progress.pid = getpid();
    a.progress.limit_bytes = limit;
    say(&a, OOM_STATE_PLAN);
    rc = oom_eat_run(plan, &eater, &out);
    say_end(&a, rc, &out);
}

/* --- The request. */

/* Is it "q=" and zero, or no number? */
static int refuses(const char *param)
{
    if ((param[0] | 0x20) != 'q' || param[1] != '=')
        return 0;
    param += 2;
    return !apr_isdigit(param[strspn(param, "0.")]);
}

/* Takes one range of Accept, with its parameters, off the list. */
static int accepts_json(apr_pool_t *p, const char **list)
{
    const char *type = ap_get_token(p, list, 0);
    int json = ap_cstr_casecmp(type, "application/json") == 0 ||
               ap_cstr_casecmp(type, "application/x-ndjson") == 0;

    while (**list == ';') {
        ++*list;
        if (refuses(ap_get_token(p, list, 1)))
            json = 0;
    }
    if (**list == ',')
        ++*list;
    return json;
}

static int wants_json(request_rec *r)
{
    const char *list = apr_table_get(r->headers_in, "Accept");

    while (list != NULL && *list != '\0') {
        if (accepts_json(r->pool, &list))
            return 1;
    }
    return 0;
}

static void set_headers(request_rec *r, int json)
{
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Vary", "Accept");
    /* Whoever compresses collects first, and the lines would die with the worker. */
    apr_table_setn(r->subprocess_env, "no-gzip", "1");
    apr_table_setn(r->subprocess_env, "no-brotli", "1");
    ap_set_content_type(r,
                        json ? "application/x-ndjson" : "text/plain; charset=us-ascii");
}

static int answer_bad_query(request_rec *r, const char *sentence)
{
    r->status = HTTP_BAD_REQUEST;
    set_headers(r, 0);
    ap_rprintf(r, "%s\n", sentence);
    return OK;
}

static int handler(request_rec *r)
{
    const oom_dir_conf *conf;
    oom_bounds_t bounds;
    oom_plan_t plan;
    char sentence[OOM_PLAN_ERROR_MAX];
    int rc, json;

    if (r->handler == NULL || strcmp(r->handler, HANDLER_NAME) != 0)
        return DECLINED;
    if (r->method_number != M_GET) { /* HEAD is one, too */
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        return HTTP_METHOD_NOT_ALLOWED;
    }
    rc = ap_discard_request_body(r);
    if (rc != OK)
        return rc;
    conf = ap_get_module_config(r->per_dir_config, &oom_module);
    bounds.limit_bytes = limit_in_force();
    bounds.cap_bytes = oom_plan_resolve(&conf->max_size, bounds.limit_bytes);
    if (oom_plan_parse(r->args, &bounds, &plan, sentence, sizeof sentence) != 0)
        return answer_bad_query(r, sentence);
    json = wants_json(r);
    set_headers(r, json);
    if (!r->header_only)
        eat(r, &plan, bounds.limit_bytes, json);
    return OK;
}

static void child_init(apr_pool_t *p, server_rec *s)
{
    int rc = og_cgroup_find("/proc", &cgroup);

    if (rc != 0)
        ap_log_error(APLOG_MARK, APLOG_DEBUG, -rc, s,
                     "oom: no memory cgroup: percentages are of the machine's RAM");
}

/* --- The directive. */

static void *create_dir_conf(apr_pool_t *p, char *dir)
{
    oom_dir_conf *conf = apr_pcalloc(p, sizeof *conf);

    conf->max_size.unit = OOM_AMOUNT_UNLIMITED;
    return conf;
}

static void *merge_dir_conf(apr_pool_t *p, void *basev, void *addv)
{
    const oom_dir_conf *base = basev, *add = addv;

    return apr_pmemdup(p, add->max_size_set ? add : base, sizeof *add);
}

static const char *set_max_size(cmd_parms *cmd, void *confv, const char *arg)
{
    oom_dir_conf *conf = confv;

    if (oom_plan_amount(arg, &conf->max_size) != 0)
        return apr_psprintf(
            cmd->pool,
            "OOMMaxSize \"%s\" is no size: write a number of bytes with an "
            "optional K, M, G or T (such as 512M), a percentage of the "
            "limit in force (such as 50%%), or unlimited",
            arg);
    conf->max_size_set = 1;
    return NULL;
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("OOMMaxSize", set_max_size, NULL, RSRC_CONF | ACCESS_CONF,
                  "the most a request to the handler oom may eat: bytes with an optional "
                  "K, M, G or T, a percentage of the limit in force, or unlimited"),
    { .name = NULL }
};

static void register_hooks(apr_pool_t *p)
{
    ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(oom) = {
    STANDARD20_MODULE_STUFF,
    create_dir_conf, /* per-directory: also the server's and the virtual hosts' */
    merge_dir_conf,
    NULL, /* per-server */
    NULL,
    commands,
    register_hooks,
#ifdef AP_MODULE_FLAG_NONE /* a field that httpd got on the way */
    AP_MODULE_FLAG_NONE
#endif
};
