/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Directives, their defaults and merging, and -D DUMP_OOMGUARD. */
#include "oomguard/guard.h"
#include "oomguard/post.h"
#include "oomguard/route.h"

#include "apr_fnmatch.h"
#include "apr_strings.h"
#include "http_core.h"
#include "http_main.h"

/* What the kernel keeps of a process' name (TASK_COMM_LEN, without the NUL). */
#define COMM_LEN 15

static const og_score_t default_master = { false, -900 };
static const og_score_t default_worker = { false, 200 };
static const og_score_t default_helper = { false, 0 };

static const char default_backend[] = "php-fpm*";

void *conf_create(apr_pool_t *p, server_rec *s)
{
    guard_conf_t *c = apr_pcalloc(p, sizeof *c);

    c->enabled = -1;
    c->query = -1;
    c->routes = 1;
    c->rules = apr_array_make(p, 2, sizeof(route_rule_t));
    c->backends = apr_array_make(p, 2, sizeof(const char *));
    APR_ARRAY_PUSH(c->backends, const char *) = default_backend;
    c->watch = WATCH_AUTO;
    c->state = "oomguard.state";
    c->history = "";
    c->master = default_master;
    c->worker = default_worker;
    c->helper = default_helper;
    c->processes = apr_array_make(p, 2, sizeof(process_rule_t));
    return c;
}

void *conf_merge(apr_pool_t *p, void *basev, void *addv)
{
    guard_conf_t *base = basev, *add = addv;
    guard_conf_t *c = apr_pmemdup(p, base, sizeof *base);

    if (add->enabled != -1)
        c->enabled = add->enabled;
    if (add->query != -1)
        c->query = add->query;
    c->rules = apr_array_append(p, add->rules, base->rules);
    return c;
}

static const char *set_enabled(cmd_parms *cmd, void *dummy, int on)
{
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (err != NULL)
        return err;
    conf_of(cmd->server)->enabled = on;
    return NULL;
}

static const char *set_watch(cmd_parms *cmd, void *dummy, int argc, char *const argv[])
{
    static const char usage[] = "write OOMGuardWatch auto, OOMGuardWatch off, or one or both "
                                "of kmsg and counter";
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    guard_conf_t *c = conf_of(cmd->server);
    unsigned named = 0;

    if (err != NULL)
        return err;
    if (argc == 1 && ap_cstr_casecmp(argv[0], "auto") == 0)
        c->watch = WATCH_AUTO;
    else if (argc == 1 && ap_cstr_casecmp(argv[0], "off") == 0)
        c->watch = WATCH_OFF;
    else {
        for (int i = 0; i < argc; i++) {
            unsigned bit = ap_cstr_casecmp(argv[i], "kmsg") == 0      ? WATCH_KMSG
                           : ap_cstr_casecmp(argv[i], "counter") == 0 ? WATCH_COUNTER
                                                                      : 0;

            if (bit == 0 || (named & bit) != 0)
                return apr_psprintf(cmd->pool, "OOMGuardWatch: %s, not \"%s\"", usage,
                                    argv[i]);
            named |= bit;
        }
        if (named == 0)
            return apr_pstrcat(cmd->pool, "OOMGuardWatch: ", usage, NULL);
        c->watch = named | WATCH_REQUIRED;
    }
    return NULL;
}

static const char *set_state(cmd_parms *cmd, void *dummy, const char *path)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    guard_conf_t *c = conf_of(cmd->server);

    if (err != NULL)
        return err;
    if (*path == '\0')
        return "OOMGuardState: write a file, relative to DefaultRuntimeDir, or off";
    c->state = ap_cstr_casecmp(path, "off") == 0 ? "" : path;
    return NULL;
}

static const char *set_history(cmd_parms *cmd, void *dummy, const char *path)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (err != NULL)
        return err;
    if (*path == '\0' || *path == '|')
        return "OOMGuardHistory: write a file, relative to ServerRoot, or off; there are no pipes "
               "here, since nothing is forked when memory is short";
    conf_of(cmd->server)->history = ap_cstr_casecmp(path, "off") == 0 ? "" : path;
    return NULL;
}

static const char *set_journal(cmd_parms *cmd, void *dummy, int on)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (err != NULL)
        return err;
    if (on && !og_post_is_built())
        return "OOMGuardJournal: write off, or build mod_oomguard where libsystemd is installed "
               "with its headers (configure --with-systemd): this one was built without";
    conf_of(cmd->server)->journal = on;
    return NULL;
}

static const char *set_query(cmd_parms *cmd, void *dummy, int on)
{
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (err != NULL)
        return err;
    conf_of(cmd->server)->query = on;
    return NULL;
}

static const char *set_routes(cmd_parms *cmd, void *dummy, int on)
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (err != NULL)
        return err;
    conf_of(cmd->server)->routes = on;
    return NULL;
}

static const char *add_route(cmd_parms *cmd, void *dummy, const char *what, const char *name)
{
    static const char usage[] = "write OOMGuardRoute \"/PATTERN\" [\"NAME\"], where * is anything but "
                                "a slash and ** anything, or OOMGuardRoute \"expr=EXPRESSION\", whose "
                                "value is the name";
    const char *err = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);
    route_rule_t rule = { what, name != NULL ? name : what, NULL };

    if (err != NULL)
        return err;
    if (strncmp(what, "expr=", 5) == 0) {
        if (name != NULL)
            return apr_psprintf(cmd->pool, "OOMGuardRoute: \"%s\" is one too many: the value of "
                                "the expression is the name; %s", name, usage);
        rule.expr = ap_expr_parse_cmd(cmd, what + 5, AP_EXPR_FLAG_STRING_RESULT, &err, NULL);
        if (err != NULL)
            return apr_psprintf(cmd->pool, "OOMGuardRoute: \"%s\" is no expression: %s; %s",
                                what + 5, err, usage);
    }
    else if (*what != '/' && *what != '*')
        return apr_psprintf(cmd->pool, "OOMGuardRoute: no path fits \"%s\", for it does not begin "
                            "with a slash: %s", what, usage);
    if (rule.expr == NULL &&
        (rule.name[0] == '\0' || strlen(rule.name) >= OG_ROUTE_PATTERN_MAX))
        return apr_psprintf(cmd->pool, "OOMGuardRoute: write a name of 1 to %d bytes behind the "
                            "pattern \"%s\"", OG_ROUTE_PATTERN_MAX - 1, what);
    APR_ARRAY_PUSH(conf_of(cmd->server)->rules, route_rule_t) = rule;
    return NULL;
}

const char *conf_route(request_rec *r, const char *path, int *by_path)
{
    const apr_array_header_t *rules = conf_of(r->server)->rules;

    for (int i = 0; i < rules->nelts; i++) {
        const route_rule_t *rule = &APR_ARRAY_IDX(rules, i, route_rule_t);
        const char *err = NULL, *name;

        if (rule->expr == NULL && og_route_fits(rule->pattern, path))
            return rule->name;
        if (rule->expr == NULL)
            continue;
        *by_path = 0;
        name = ap_expr_str_exec(r, rule->expr, &err);
        if (err != NULL)
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                          "OG0402: OOMGuardRoute \"%s\" has no value: %s", rule->pattern, err);
        else if (name != NULL && *name != '\0')
            return name;
    }
    return NULL;
}

/* A pattern that no name can fit is a mistake. */
static const char *bad_glob(apr_pool_t *p, const char *directive, const char *glob)
{
    const char *open = strchr(glob, '[');

    if (open != NULL && strchr(open, ']') == NULL)
        return apr_psprintf(p, "%s \"%s\": the [ has no ]", directive, glob);
    if (!apr_fnmatch_test(glob) && strlen(glob) > COMM_LEN)
        return apr_psprintf(p, "%s \"%s\": write at most the first %d characters, which are all "
                            "that the kernel keeps of a name (ps -o comm shows it)", directive,
                            glob, COMM_LEN);
    return NULL;
}

/* The first one takes the default's place. */
static const char *add_backend(cmd_parms *cmd, void *dummy, const char *glob)
{
    apr_array_header_t *backends = conf_of(cmd->server)->backends;
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (err != NULL || (err = bad_glob(cmd->pool, "OOMGuardBackend", glob)) != NULL)
        return err;
    if (ap_cstr_casecmp(glob, "none") == 0 ||
        (backends->nelts == 1 && APR_ARRAY_IDX(backends, 0, const char *) == default_backend))
        apr_array_clear(backends);
    if (ap_cstr_casecmp(glob, "none") != 0)
        APR_ARRAY_PUSH(backends, const char *) = glob;
    return NULL;
}

static const char score_usage[] = "write OOMGuardScore master|worker|helper [absolute|relative] "
                            "VALUE, or OOMGuardScore process \"GLOB\" [absolute|relative] "
                            "VALUE";

static const char *set_score(cmd_parms *cmd, void *dummy, int argc, char *const argv[])
{
    const char *err = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    guard_conf_t *c = conf_of(cmd->server);
    og_score_t *score;
    process_rule_t *rule = NULL;
    int at = 1;

    if (err != NULL)
        return err;
    if (argc < 2)
        return apr_pstrcat(cmd->pool, "OOMGuardScore wants a role and a value: ", score_usage, NULL);
    if (ap_cstr_casecmp(argv[0], "master") == 0)
        score = &c->master;
    else if (ap_cstr_casecmp(argv[0], "worker") == 0)
        score = &c->worker;
    else if (ap_cstr_casecmp(argv[0], "helper") == 0)
        score = &c->helper;
    else if (ap_cstr_casecmp(argv[0], "process") == 0) {
        if (argc < 3 || argv[1][0] == '\0')
            return apr_pstrcat(cmd->pool, "OOMGuardScore process wants a name or pattern and "
                               "a value: ", score_usage, NULL);
        if ((err = bad_glob(cmd->pool, "OOMGuardScore process", argv[at])) != NULL)
            return err;
        rule = apr_array_push(c->processes);
        rule->glob = argv[at++];
        score = &rule->score;
    }
    else
        return apr_psprintf(cmd->pool, "OOMGuardScore: there is no role \"%s\": %s", argv[0],
                            score_usage);
    if (argc - at < 1 || argc - at > 2)
        return apr_pstrcat(cmd->pool, "OOMGuardScore: too few or too many words: ", score_usage,
                           NULL);
    if (!og_score_parse(argc - at == 2 ? argv[at] : NULL, argv[argc - 1], score))
        return apr_psprintf(cmd->pool, "OOMGuardScore: \"%s%s%s\" is no score: write a whole "
                            "number from %d to %d, with absolute or relative (the default) "
                            "before it", argc - at == 2 ? argv[at] : "",
                            argc - at == 2 ? " " : "", argv[argc - 1], OG_SCORE_MIN,
                            OG_SCORE_MAX);
    return NULL;
}

const command_rec conf_commands[] = {
    AP_INIT_FLAG("OOMGuard", set_enabled, NULL, RSRC_CONF,
                 "On or Off: guard this httpd; in a virtual host, whether its requests are "
                 "remembered while they run"),
    AP_INIT_TAKE_ARGV("OOMGuardWatch", set_watch, NULL, RSRC_CONF,
                      "auto, off, or one or both of kmsg and counter: where kills are heard of"),
    AP_INIT_TAKE1("OOMGuardState", set_state, NULL, RSRC_CONF,
                  "a file, relative to DefaultRuntimeDir, or off: where what was seen is kept "
                  "for the next httpd"),
    AP_INIT_TAKE1("OOMGuardHistory", set_history, NULL, RSRC_CONF,
                  "a file, relative to ServerRoot, or off: a line of JSON for each event"),
    AP_INIT_FLAG("OOMGuardJournal", set_journal, NULL, RSRC_CONF,
                 "On or Off: an entry in systemd's journal for each event"),
    AP_INIT_FLAG("OOMGuardLogQuery", set_query, NULL, RSRC_CONF,
                 "On or Off: are queries told of with the paths of requests"),
    AP_INIT_FLAG("OOMGuardRoutes", set_routes, NULL, RSRC_CONF,
                 "On or Off: account for the memory of requests, by route"),
    AP_INIT_TAKE12("OOMGuardRoute", add_route, NULL, RSRC_CONF,
                   "a pattern of paths and perhaps a name, or \"expr=EXPRESSION\": what requests "
                   "are of one route"),
    AP_INIT_ITERATE("OOMGuardBackend", add_backend, NULL, RSRC_CONF,
                    "names or patterns of processes that do the work of proxied requests, or "
                    "none"),
    AP_INIT_TAKE_ARGV("OOMGuardScore", set_score, NULL, RSRC_CONF,
                      "master, worker, helper or process \"GLOB\", then absolute or relative, "
                      "then a value: oom_score_adj of those processes"),
    { .name = NULL }
};

static void dump_score(apr_file_t *out, const char *who, og_score_t score)
{
    apr_file_printf(out, "  score of %s: %s %d\n", who,
                    score.absolute ? "absolute" : "relative", score.value);
}

static void dump_rules(apr_file_t *out, const apr_array_header_t *rules, int n)
{
    for (int i = 0; i < n; i++) {
        const route_rule_t *rule = &APR_ARRAY_IDX(rules, i, route_rule_t);

        if (rule->expr != NULL)
            apr_file_printf(out, "  route: \"%s\"\n", rule->pattern);
        else
            apr_file_printf(out, "  route: \"%s\" is \"%s\"\n", rule->pattern, rule->name);
    }
}

void conf_dump(apr_pool_t *p, server_rec *s)
{
    static const char *const watch[] = { "off", "kmsg", "counter", "kmsg counter" };
    guard_conf_t *c = conf_of(s);
    apr_file_t *out;

    if (!ap_exists_config_define("DUMP_OOMGUARD") || apr_file_open_stdout(&out, p) != 0)
        return;
    apr_file_printf(out, "OOM guard: %s\n", c->enabled != 0 ? "on" : "off");
    if (c->enabled == 0)
        return;
    apr_file_printf(out, "  watches: %s\n",
                    c->watch == WATCH_AUTO ? "auto" : watch[c->watch & WATCH_AUTO]);
    apr_file_printf(out, "  state: %s\n",
                    *c->state != '\0' ? ap_runtime_dir_relative(p, c->state) : "off");
    apr_file_printf(out, "  history: %s\n",
                    *c->history != '\0' ? ap_server_root_relative(p, c->history) : "off");
    apr_file_printf(out, "  journal: %s\n", c->journal ? "on" : "off");
    apr_file_printf(out, "  routes: %s\n", c->routes ? "on" : "off");
    apr_file_printf(out, "  queries: %s\n", c->query > 0 ? "told" : "not told");
    dump_rules(out, c->rules, c->rules->nelts);
    for (int i = 0; i < c->backends->nelts; i++)
        apr_file_printf(out, "  backend: \"%s\"\n", APR_ARRAY_IDX(c->backends, i, const char *));
    dump_score(out, "master", c->master);
    dump_score(out, "worker", c->worker);
    dump_score(out, "helper", c->helper);
    for (int i = 0; i < c->processes->nelts; i++) {
        process_rule_t *rule = &APR_ARRAY_IDX(c->processes, i, process_rule_t);

        dump_score(out, apr_psprintf(p, "process \"%s\"", rule->glob), rule->score);
    }
    for (server_rec *v = s->next; v != NULL; v = v->next) {
        guard_conf_t *own = conf_of(v);
        const char *where = apr_psprintf(p, "%s (%s:%d)", v->server_hostname,
                                         v->defn_name ? v->defn_name : "?", v->defn_line_number);

        if (own->enabled == 0) {
            apr_file_printf(out, "  requests of %s are not remembered\n", where);
            continue;
        }
        if ((own->query > 0) != (c->query > 0))
            apr_file_printf(out, "  queries of %s: %s\n", where,
                            own->query > 0 ? "told" : "not told");
        /* Its own come first, then the main server's. */
        if (own->rules->nelts > c->rules->nelts) {
            apr_file_printf(out, "  before these routes, those of %s:\n", where);
            dump_rules(out, own->rules, own->rules->nelts - c->rules->nelts);
        }
    }
}
