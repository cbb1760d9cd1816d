/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* oomreport: a reader of kernel logs, for people and for programs. What it can and what it
 * cannot is in oomreport.1. */
#include "config.h"
#include "oomguard/json.h"
#include "oomguard/klog.h"
#include "oomguard/source.h"
#include "oomguard/tell.h"

#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <string.h>
#include <time.h>

enum { EXIT_NONE, EXIT_FOUND, EXIT_ERROR };

static const char help[] =
    "usage: oomreport [OPTION]... [FILE]...\n"
    "Tells of each process that the kernel killed for want of memory, as the kernel's log in\n"
    "FILE says, or in standard input if there is none or FILE is \"-\". The log may have any\n"
    "form: dmesg, syslog, journalctl -k, also with -o json or -o export, /dev/kmsg; and it may\n"
    "be packed by gzip.\n\n"
    "  --since TIME      only kills from TIME on: \"2026-11-26 01:02:03\", the same with a zone\n"
    "                    (2026-11-26T01:02:03+01:00) or cut down to the day, @SECONDS since\n"
    "                    1970, or SECONDS since boot\n"
    "  --name GLOB       only kills of processes with such a name\n"
    "  --format FORMAT   text, for people; or json, one object a line\n"
    "  --help            this text\n"
    "  --version         the version\n\n"
    "Exit status: 0 if no kill was found, 1 if one was, 2 if something went wrong.\n";

typedef struct {
    int64_t since_wall_usec, since_boot_usec; /* or OG_LOGTIME_NONE */
    const char *name;                         /* or NULL */
    bool json;
    int64_t now_sec;
    /* Of the run: */
    bool found, failed;
    const char *where; /* the log that is read, if there are several */
    bool timeless;     /* of the log: a kill's time could not be held against --since */
} report_t;

/* --- A kill ------------------------------------------------------------------------- */

static bool too_early(report_t *r, const og_klog_kill_t *k)
{
    bool wall = r->since_wall_usec != OG_LOGTIME_NONE;
    int64_t since = wall ? r->since_wall_usec : r->since_boot_usec;
    int64_t at = wall ? k->wall_usec : k->boot_usec;

    if (since == OG_LOGTIME_NONE)
        return false;
    r->timeless |= at == OG_LOGTIME_NONE;
    return at != OG_LOGTIME_NONE && at < since;
}

static json_t *time_of(const og_klog_kill_t *k)
{
    char text[OG_LOGTIME_TEXT_MAX] = "";

    if (k->wall_usec != OG_LOGTIME_NONE)
        og_logtime_write(k->wall_usec, text);
    if (text[0] != '\0')
        return json_string(text);
    return k->boot_usec == OG_LOGTIME_NONE
               ? json_null()
               : json_real((double)k->boot_usec / OG_LOGTIME_SEC);
}

/* The time first, as a log has it. */
static bool print_json(const og_klog_kill_t *k)
{
    json_t *object = json_object(), *kill = og_json_kill(&k->kill);
    bool done = object != NULL && kill != NULL &&
                json_object_set_new(object, "time", time_of(k)) == 0 &&
                json_object_update(object, kill) == 0 &&
                json_dumpf(object, stdout,
                           JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15)) == 0;

    json_decref(kill);
    json_decref(object);
    putchar('\n');
    return done;
}

static void take_kill(void *baton, const og_klog_kill_t *k)
{
    report_t *r = baton;

    if (too_early(r, k) || (r->name != NULL && fnmatch(r->name, k->kill.comm, 0) != 0))
        return;
    if (r->json)
        r->failed |= !print_json(k);
    else {
        if (r->found)
            putchar('\n');
        og_tell_kill(stdout, k, r->where);
    }
    r->found = true;
}

/* --- A log -------------------------------------------------------------------------- */

static void complain(report_t *r, const char *path, const char *what)
{
    fprintf(stderr, "oomreport: %s: %s\n", path, what);
    r->failed = true;
}

static const char *words_of(int error)
{
    switch (error) {
    case -EBADMSG:
        return "not gzip's any more from here on: what was readable is reported";
    case -ENODATA:
        return "the gzip file was cut off: what there is is reported";
    default:
        return strerror(-error);
    }
}

static void read_log(report_t *r, const char *path)
{
    static og_klog_t log;
    og_source_t source;
    size_t taken;
    int rc = og_source_open(&source, path, OG_KLOG_LINE_MAX);

    if (rc != 0) {
        complain(r, path, words_of(rc));
        return;
    }
    r->timeless = false;
    og_klog_init(&log, r->now_sec, take_kill, r);
    for (size_t keep = 0; (rc = og_source_more(&source, keep)) > 0; keep = source.len - taken)
        taken = og_klog_take(&log, source.p, source.len, false);
    og_klog_take(&log, source.p, source.len, true);
    og_source_close(&source);
    if (rc < 0)
        complain(r, path, words_of(rc));
    if (r->timeless)
        fprintf(stderr, "oomreport: %s: has no %s, so --since left kills in: give it %s\n",
                path, r->since_wall_usec != OG_LOGTIME_NONE ? "dates" : "seconds since boot",
                r->since_wall_usec != OG_LOGTIME_NONE ? "SECONDS since boot"
                                                      : "a date, or @SECONDS since 1970");
}

/* --- All of it ---------------------------------------------------------------------- */

static int refuse(const char *option, const char *value, const char *instead)
{
    fprintf(stderr, "oomreport: --%s \"%s\": write %s\n", option, value, instead);
    return EXIT_ERROR;
}

/* EXIT_NONE to go on, EXIT_FOUND to end well, EXIT_ERROR. */
static int take_option(report_t *r, int option, const char *value)
{
    switch (option) {
    case 's':
        if (og_logtime_since(value, &r->since_wall_usec, &r->since_boot_usec) != 0)
            return refuse("since", value,
                          "\"2026-11-26 01:02:03\", \"2026-11-26 01:02\", 2026-11-26, "
                          "2026-11-26T01:02:03+01:00, @SECONDS since 1970, or SECONDS since "
                          "boot");
        return EXIT_NONE;
    case 'n':
        r->name = value;
        return EXIT_NONE;
    case 'f':
        r->json = strcmp(value, "json") == 0;
        if (!r->json && strcmp(value, "text") != 0)
            return refuse("format", value, "text or json");
        return EXIT_NONE;
    case 'h':
        fputs(help, stdout);
        return EXIT_FOUND;
    case 'V':
        puts("oomreport " PACKAGE_VERSION);
        return EXIT_FOUND;
    default:
        fputs("usage: oomreport [--since TIME] [--name GLOB] [--format text|json] [FILE]...\n"
              "\"oomreport --help\" says more.\n",
              stderr);
        return EXIT_ERROR;
    }
}

static bool flushed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return true;
    fprintf(stderr, "oomreport: standard output: %s\n", strerror(errno));
    return false;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "since", required_argument, NULL, 's' }, { "name", required_argument, NULL, 'n' },
        { "format", required_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'V' },      { NULL, 0, NULL, 0 },
    };
    report_t r = { .since_wall_usec = OG_LOGTIME_NONE, .since_boot_usec = OG_LOGTIME_NONE };
    int option;

    r.now_sec = (int64_t)time(NULL);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int rc = take_option(&r, option, optarg);

        if (rc != EXIT_NONE)
            return rc == EXIT_FOUND && flushed() ? EXIT_SUCCESS : EXIT_ERROR;
    }
    if (optind == argc)
        read_log(&r, "-");
    for (int i = optind; i < argc; i++) {
        r.where = argc - optind > 1 ? argv[i] : NULL;
        read_log(&r, argv[i]);
    }
    if (!r.found && !r.json && !r.failed)
        puts("no kill found");
    if (!flushed() || r.failed)
        return EXIT_ERROR;
    return r.found ? EXIT_FOUND : EXIT_NONE;
}
