/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What happens in a worker: its score, the requests it is in, and what they do to memory. */
#include "oomguard/account.h"
#include "oomguard/guard.h"

#include "ap_mpm.h"
#include "apr_strings.h"
#include "http_request.h"
#include "util_filter.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static og_seeing_t seeing;
static og_account_t account = { .statm = -1 };

/* NULL until this worker has begun. */
static og_ledger_t *ledger;
static og_routes_t *routes; /* of it */

/* What this thread is in. Where another thread writes the response to its end, the account is
 * closed when this one begins with the next. */
typedef struct {
    pid_t pid, tid;
    pthread_t thread;
    unsigned hint;
    int open;
    request_rec *request; /* with its time: the next one may have the same place */
    apr_time_t request_time;
    uint64_t faults, usec; /* when it began */
    uint64_t counted; /* faults at the end of the request before */
    int counts;       /* is that so still? */
    uint64_t small;  /* see og_account_charge */
    const conn_rec *connection; /* whose client the cell has, and its number; or NULL */
    long connection_id;
    og_request_t *cell;
    uint64_t cell_id; /* of the request in it: it may be another's by now */
    og_route_t *route; /* NULL: not known, or nobody's */
    og_route_t *last;  /* that of the request before, most often the same */
    uint64_t hash;     /* of it: it may be another's by now */
    og_backend_kind_t kind; /* who else works for it */
    bool same; /* see og_ledger_begin */
} thread_t;

/* Asked for once a request: to find it takes as long as all that a hook does with it. */
static thread_t *this_thread(void) __attribute__((noinline));

static thread_t *this_thread(void)
{
    static __thread thread_t self;

    return &self;
}

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
    if (c->routes)
        og_account_open(&account, "/proc", "/sys"); /* before a chroot */
    return DECLINED;
}

static void close_window(void)
{
    int64_t pages = og_account_now(&account);

    og_windows_close(&seeing, og_ledger_windows(ledger), routes, getpid(),
                     parent_now(), pages >= 0 ? pages : seeing.pages, 0);
}

/* A window of the backends that is full ends when it has lasted this long: to look at them all
 * takes its time. In a burst it ends before, when it has requests enough for that. */
#define BACKENDS_USEC 50000

/* Others worked for a request of that route. */
static void see_backends(og_backend_kind_t kind, unsigned route, uint64_t usec)
{
    og_backends_t *backends = og_ledger_backends(ledger);
    og_seeing_t *all = og_ledger_seeing(ledger);
    uint64_t who;
    int64_t pages;

    og_backends_want(backends, kind);
    if (!og_backends_any(backends) || !og_windows_see(all, route, usec) ||
        !og_windows_shut(all, parent_now(), BACKENDS_USEC, og_backends_worth(backends)))
        return;
    pages = og_backends_now(backends, "/proc", &who);
    og_windows_close(all, og_ledger_windows(ledger), routes,
                     OG_WINDOW_BACKENDS, parent_now(), pages, who);
}

static apr_status_t leave(void *unused)
{
    if (account.statm >= 0 && og_windows_shut(&seeing, parent_now(), 0, 0))
        close_window();
    og_forked_mark(og_ledger_forked(ledger), getpid(), OG_FORKED_LEFT);
    return APR_SUCCESS;
}

/* The request that this thread is in is at its end, as far as this thread goes. *count: what the
 * thread has taken by now; then what the request has. What of that is kept, in pages. */
static int64_t settle(thread_t *self, uint64_t *count)
{
    uint64_t faults = *count - self->faults;
    int64_t kept = 0;
    unsigned at;

    self->open = 0;
    self->counted = *count;
    self->counts = 1;
    /* What the thread takes from now on is not for this one, though it may not be all written. */
    if (self->cell != NULL && OG_PEEK(&self->cell->id) == self->cell_id)
        OG_POKE(&self->cell->faults, OG_LEDGER_UNKNOWN);
    if (faults > 0)
        kept = og_account_charge(&account, &self->small, faults);
    *count = faults;
    if (self->route == NULL || OG_PEEK(&self->route->hash) != self->hash)
        return kept;
    og_routes_ended(self->route, faults);
    at = (unsigned)(self->route - routes->routes);
    if (account.statm >= 0 && og_windows_see(&seeing, at, self->usec) &&
        og_windows_shut(&seeing, parent_now(), 0, 0))
        close_window();
    if (self->kind != OG_BACKEND_NONE)
        see_backends(self->kind, at, self->usec);
    return kept;
}

/* A worker that ends because it wants to runs its cleanups: a killed one does not. */
void child_init(apr_pool_t *pchild, server_rec *s)
{
    int threads = 1;

    if (!parent_is_ready())
        return;
    ledger = parent_retained()->ledger;
    routes = og_ledger_routes(ledger);
    apr_pool_cleanup_register(pchild, NULL, leave, apr_pool_cleanup_null);
    og_account_begin(&account);
    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    og_windows_begin(&seeing, (unsigned)threads);
}

static apr_status_t request_end(void *data)
{
    og_request_t *cell = data;

    if (cell->kind != OG_BACKEND_NONE)
        OG_STORE(&cell->ended_usec, parent_now()); /* a backend that dies of it may be reported later */
    og_ledger_end(cell);
    return APR_SUCCESS;
}

/* This worker's slot. httpd's handle on its scoreboard knows it from the first connection on;
 * the master tells us only after the fork, and this worker may be the faster. A connection
 * within another one (HTTP/2) may have no handle. -1: not known yet. */
static int my_slot(const conn_rec *c)
{
    static int slot = -1;
    int known = OG_PEEK(&slot);

    if (known < 0) {
        const worker_score *mine = ap_get_scoreboard_worker(c->sbh);
        const scoreboard *all = ap_scoreboard_image;

        known = mine != NULL ? (int)((mine - all->servers[0]) / all->global->thread_limit)
                             : og_ledger_slot(ledger, getpid());
        OG_POKE(&slot, known);
    }
    return known;
}

/* Whose rules are asked: those of a server, in a process. */
static uint64_t rules_of(const thread_t *self, const server_rec *s)
{
    return (uint64_t)(uintptr_t)s << 16 ^ (uint64_t)self->pid;
}

int child_request_begin(request_rec *r)
{
    const guard_conf_t *c = conf_of(r->server);
    og_asked_t asked;
    thread_t *self;

    /* A redirect goes on with the request it comes from. */
    if (ledger == NULL || r->prev != NULL || r->main != NULL)
        return DECLINED;
    self = this_thread();
    if (self->tid == 0) {
        self->tid = (pid_t)syscall(SYS_gettid);
        self->pid = getpid();
        self->thread = pthread_self();
    }
    ap_set_module_config(r->request_config, &oomguard_module, self);
    asked.pid = self->pid;
    asked.tid = self->tid;
    asked.usec = parent_now();
    asked.faults = OG_LEDGER_UNKNOWN;
    if (self->open) {
        uint64_t count = og_account_faults();

        settle(self, &count);
    }
    /* What it has taken since then was for this request: its connection, its headers. */
    if (c->routes)
        asked.faults = self->counts ? self->counted : og_account_faults();
    self->open = c->routes;
    asked.by = rules_of(self, r->server);
    asked.method = r->method;
    asked.client = r->useragent_ip;
    /* Another request of the same connection, most often. */
    asked.same_client = r->useragent_ip == r->connection->client_ip &&
                        self->connection == r->connection &&
                        self->connection_id == r->connection->id;
    asked.vhost = r->server->server_hostname;
    asked.path = r->uri;
    asked.query = c->query > 0 ? r->args : NULL;
    /* One that is not to be told of counts all the same: others must not answer for it. */
    if (c->enabled == 0) {
        asked.method = asked.client = asked.vhost = asked.path = asked.query = NULL;
        asked.by = 0;
        asked.same_client = false;
        self->open = 0;
        self->counts = 0;
    }
    self->request = c->enabled != 0 ? r : NULL;
    self->request_time = r->request_time;
    self->faults = asked.faults;
    self->usec = asked.usec;
    self->route = NULL;
    self->kind = OG_BACKEND_NONE;
    self->cell = og_ledger_begin(ledger, my_slot(r->connection), &self->hint, &asked,
                                 &self->same);
    /* Not where mod_remoteip has put another one in its place. */
    self->connection = self->cell != NULL && asked.client == r->connection->client_ip
                           ? r->connection
                           : NULL;
    self->connection_id = r->connection->id;
    if (self->cell != NULL) {
        self->cell_id = self->cell->id;
        apr_pool_cleanup_register(r->pool, self->cell, request_end, apr_pool_cleanup_null);
    }
    return DECLINED;
}

static int is_of(const thread_t *self, const request_rec *first)
{
    return first == self->request && first->request_time == self->request_time;
}

/* Finds the route, which the configuration names, or the path as it looks. */
static void find_route(thread_t *self, request_rec *r, const request_rec *first,
                       const char *handler)
{
    char folded[OG_ROUTE_PATTERN_MAX];
    og_route_key_t key = { first->server->server_hostname, handler, NULL };
    int by_path = 1;

    key.pattern = conf_route(r, first->uri, &by_path);
    if (key.pattern == NULL) {
        og_route_fold(first->uri, folded);
        key.pattern = folded;
    }
    if (key.vhost == NULL)
        key.vhost = "";
    self->hash = og_routes_hash(routes, &key);
    self->route = self->last = og_routes_take(routes, self->hash, &key);
    if (self->cell == NULL || self->route == NULL)
        return;
    OG_STORE(&self->cell->kept_route, self->hash);
    OG_STORE(&self->cell->kept_by, by_path ? rules_of(self, first->server) : 0);
    og_ledger_route(self->cell, self->hash);
}

/* Handlers that have others do the work. Most names are none, and differ in their first byte. */
static og_backend_kind_t kind_of(const char *handler)
{
    switch (handler[0]) {
    case 'p':
        return strncmp(handler, "proxy", 5) == 0 ? OG_BACKEND_NAMED : OG_BACKEND_NONE;
    case 'w':
        return strcmp(handler, "wsgi-script") == 0 ? OG_BACKEND_FORKED : OG_BACKEND_NONE;
    case 'c':
        return strcmp(handler, "cgi-script") == 0 ? OG_BACKEND_FORKED : OG_BACKEND_NONE;
    case 'f':
        return strcmp(handler, "fcgid-script") == 0 ? OG_BACKEND_FORKED : OG_BACKEND_NONE;
    default:
        return OG_BACKEND_NONE;
    }
}

/* As it will be called: a proxied one has its address here yet. */
static const char *handler_of(const request_rec *r)
{
    if (r->handler == NULL || r->handler[0] == '\0')
        return "default-handler";
    return strncmp(r->handler, "proxy:", 6) == 0 ? "proxy-server" : r->handler;
}

/* Who answers it, and so its route. */
static void know_handler(request_rec *r)
{
    const char *handler = handler_of(r);
    const request_rec *first = r;
    og_request_t *cell;
    thread_t *self;

    /* A page that says what went wrong is not what did. */
    if (r->main != NULL || (r->prev != NULL && r->prev->status >= HTTP_BAD_REQUEST))
        return;
    while (first->prev != NULL)
        first = first->prev;
    self = ap_get_module_config(first->request_config, &oomguard_module);
    if (self == NULL || !is_of(self, first))
        return;
    cell = self->cell;
    if (cell != NULL && og_ledger_name(cell, handler, r->log_id) && self->same && self->open &&
        self->last != NULL && OG_PEEK(&self->last->hash) == cell->kept_route) {
        self->route = self->last;
        self->hash = cell->kept_route;
        og_ledger_route(cell, self->hash);
    }
    else if (self->open)
        find_route(self, r, first, handler);
    self->kind = kind_of(handler);
    if (cell != NULL && self->kind != OG_BACKEND_NONE)
        OG_STORE(&cell->kind, (uint32_t)self->kind);
}

int child_request_handler(request_rec *r)
{
    know_handler(r);
    return r->handler != NULL && r->handler[0] == 'o' &&
                   strcmp(r->handler, "oomguard-status") == 0
               ? status_answer(r)
               : DECLINED;
}

static const char *bytes_text(apr_pool_t *p, int64_t pages)
{
    return apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)pages * sysconf(_SC_PAGESIZE));
}

/* The handler is done, and the response written as far as this thread writes it. */
static void finish(thread_t *self, request_rec *r)
{
    const request_rec *last = r;
    uint64_t faults = og_account_faults();
    int64_t kept;

    if (self->kind == OG_BACKEND_NONE &&
        og_account_is_small(&account, faults - self->faults)) {
        settle(self, &faults);
        return;
    }
    if (self->route == NULL) { /* it came to no handler */
        find_route(self, r, r, "");
        if (self->cell != NULL)
            OG_STORE(&self->cell->kept_by, 0);
    }
    kept = settle(self, &faults);
    while (last->next != NULL)
        last = last->next;
    apr_table_setn(last->notes, "oomguard-taken", bytes_text(r->pool, (int64_t)faults));
    apr_table_setn(last->notes, "oomguard-growth", bytes_text(r->pool, kept));
}

/* Before it is logged. */
int child_request_log(request_rec *r)
{
    thread_t *self = ap_get_module_config(r->request_config, &oomguard_module);

    if (self != NULL && self->open && is_of(self, r) && pthread_equal(self->thread, pthread_self()))
        finish(self, r);
    return DECLINED;
}

static ap_filter_rec_t *end_filter;

/* A stream's response ends in the thread of its connection, long after the stream's own thread
 * is done with it, and perhaps idle. */
static apr_status_t at_end(ap_filter_t *f, apr_bucket_brigade *bb)
{
    thread_t *self;

    if (!APR_BRIGADE_EMPTY(bb) && AP_BUCKET_IS_EOR(APR_BRIGADE_LAST(bb)) &&
        (self = this_thread())->open && APR_BRIGADE_LAST(bb)->data == self->request)
        finish(self, self->request);
    return ap_pass_brigade(f->next, bb);
}

void child_register(void)
{
    end_filter = ap_register_output_filter("OOMGUARD_END", at_end, NULL, AP_FTYPE_CONNECTION);
}

int child_connection(conn_rec *c, void *csd)
{
    if (ledger != NULL && c->master != NULL)
        ap_add_output_filter_handle(end_filter, NULL, NULL, c);
    return DECLINED;
}
