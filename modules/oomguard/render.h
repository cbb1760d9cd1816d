/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What is said of a kill, as text. Whatever came from outside is escaped: what is not
 * printable, quotes and backslashes stand as %NN, so that no request can forge a line or a
 * field, and httpd's own escaping of the log, which would double backslashes, finds nothing
 * to do. A path has its own %NN already, and they stand as they came. */
#ifndef OG_RENDER_H
#define OG_RENDER_H

#include "oomguard/blame.h"
#include "oomguard/suspects.h"

/* Enough for the longest line: a cgroup's path with every byte escaped, one request, two routes, and
 * the words. */
#define OG_RENDER_LINE_MAX 7680

typedef enum {
    OG_ROLE_STRANGER, /* not of this httpd */
    OG_ROLE_NEIGHBOUR, /* nor it, but in httpd's own memory cgroup */
    OG_ROLE_MASTER,
    OG_ROLE_WORKER,
    OG_ROLE_WATCHER,
    OG_ROLE_FORMER, /* a process of the httpd before this one */
    OG_ROLE_BACKEND, /* not of this httpd, but it works for it */
    OG_ROLE_HELPER /* whatever else httpd forked: CGI, daemons, piped loggers */
} og_role_t;

/* What is known of the route of the request that is named, and of the most suspect one, if that is
 * another. NULL is nothing. */
typedef struct {
    const og_route_t *route, *other;
    const og_suspect_t *suspect, *other_suspect; /* the same two */
    unsigned page_bytes;
} og_past_t;

/* A kill and what is known of the killed. */
typedef struct {
    const og_kmsg_kill_t *kill;
    og_role_t role;
    const og_worker_t *worker; /* of OG_ROLE_WORKER, else NULL */
    og_past_t past;
    /* Of OG_ROLE_HELPER and OG_ROLE_BACKEND: the request it worked for, if that is known, out of
     * how many that it may have been; or those of its parent alone. */
    const og_request_t *served;
    int served_of;
    bool served_last; /* it is the one that ended last */
    bool of_parent;
    int64_t ppid;              /* of OG_ROLE_HELPER, or OG_KMSG_UNKNOWN */
    uint64_t usec;             /* CLOCK_MONOTONIC of the kill, as well as is known */
    bool missed;               /* some requests found no cell, so there may be others */
    const char *sure;          /* how it is known that it was ours: words for people */
    bool late;                 /* read after the fact: the times are the kernel's own */
    bool again; /* perhaps told before, by a watcher that died over it */
} og_report_t;

/* Writes the line, without newline, NUL-terminated. Its length; it is cut at size. */
size_t og_render_line(const og_report_t *r, char *buf, size_t size);

/* A finding of the witnesses, and what they are. */
typedef struct {
    const og_finding_t *finding;
    const og_worker_t *worker; /* of a death; NULL if it is not remembered */
    og_past_t past;
    const char *cgroup;        /* whose kills are counted; NULL: the machine's, "": nobody's */
    bool log;                  /* the kernel's log is read, too */
    bool missed, late;         /* as above */
    bool again;                /* perhaps told before, by a watcher that died over it */
} og_case_t;

/* The same for that. */
size_t og_render_case(const og_case_t *c, char *buf, size_t size);

#endif
