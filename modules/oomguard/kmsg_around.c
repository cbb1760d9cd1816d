/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/kmsg_line.h"
#include "lib/num.h"

#include <string.h>

/* A limit that is not set is printed as the largest page count, in KiB. */
#define UNSET_LIMIT_KIB ((INT64_MAX >> 10) - 64)

/* Is path the folder itself, or in it? */
static bool is_below(og_span_t path, og_span_t dir)
{
    size_t n = (size_t)(dir.end - dir.p);

    if (n == 1 && *dir.p == '/')
        return path.p < path.end && *path.p == '/';
    return n <= (size_t)(path.end - path.p) && memcmp(path.p, dir.p, n) == 0 &&
           (path.p + n == path.end || path.p[n] == '/');
}

/* Cuts s into two paths at word. Paths may hold that word too: the right place is where
 * the inner cgroup is in the outer one, as a victim's is in the one at its limit. */
static bool cut(og_span_t s, const char *word, bool inner_first, og_span_t *inner,
                og_span_t *outer)
{
    for (const char *at = s.p; (at = og_span_find(at, s.end, word)) != NULL; at++) {
        og_span_t left = { s.p, at }, right = { at + strlen(word), s.end };

        *inner = inner_first ? left : right;
        *outer = inner_first ? right : left;
        if (outer->p < outer->end && *outer->p == '/' && is_below(*inner, *outer))
            return true;
    }
    return false;
}

static bool parse_usage(og_span_t s, og_line_t *line)
{
    int64_t failcnt;

    if (!og_span_value(&s, &line->usage_kib) || !og_span_eat(&s, "kB, limit ") ||
        !og_span_value(&s, &line->limit_kib) || !og_span_eat(&s, "kB, failcnt ") ||
        !og_span_value(&s, &failcnt) || s.p != s.end)
        return false;
    if (line->usage_kib < 0)
        line->usage_kib = OG_KMSG_UNKNOWN;
    if (line->limit_kib < 0 || line->limit_kib >= UNSET_LIMIT_KIB)
        line->limit_kib = OG_KMSG_UNKNOWN;
    return true;
}

/* Before 5.1: "PREFIX: Kill process N (NAME) score ...", which may then spare itself and
 * have a child killed. */
static bool parse_kill(og_span_t s, og_line_t *line)
{
    static const struct {
        const char *text;
        og_killer_t killer;
    } prefixes[] = {
        { "Out of memory: ", OG_KILLER_GLOBAL },
        { "Out of Memory: ", OG_KILLER_GLOBAL },
        { "Out of memory (oom_kill_allocating_task): ", OG_KILLER_GLOBAL },
        { "Memory cgroup out of memory: ", OG_KILLER_MEMCG },
        { "No available memory in cpuset: ", OG_KILLER_CPUSET },
        { "No available memory (MPOL_BIND): ", OG_KILLER_MEMPOLICY },
    };
    const char *paren = memrchr(s.p, ')', (size_t)(s.end - s.p));
    og_span_t tail;
    pid_t pid;

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!og_span_eat(&s, prefixes[i].text))
            continue;
        line->killer = prefixes[i].killer;
        if ((!og_span_eat(&s, "Kill process ") && !og_span_eat(&s, "kill process ")) ||
            !og_span_pid(&s, &pid) || !og_span_eat(&s, " (") || paren == NULL ||
            paren < s.p)
            return false;
        tail = (og_span_t){ paren + 1, s.end };
        return og_span_is_comm((og_span_t){ s.p, paren }) &&
               og_span_eat(&tail, " score ");
    }
    return false;
}

/* "PREFIX: OOM victim N (NAME) is already exiting. Skip killing the task", or nobody
 * found. */
static bool is_no_kill(og_span_t s)
{
    if (og_span_eat(&s, "Out of memory and no killable processes"))
        return true;
    if (!og_span_eat(&s, "Out of memory") &&
        !og_span_eat(&s, "Memory cgroup out of memory"))
        return false;
    og_span_eat(&s, " (oom_kill_allocating_task)");
    return og_span_eat(&s, ": OOM victim ") &&
           og_span_eat_back(&s, ") is already exiting. Skip killing the task");
}

static bool parse_group(og_span_t s, og_line_t *line)
{
    if (!og_span_eat_back(&s, " are going to be killed due to memory.oom.group set"))
        return false;
    line->limit = s;
    return s.p < s.end && *s.p == '/';
}

static bool parse_cpu(og_span_t s, og_line_t *line)
{
    int64_t n;

    return og_span_uid(&s, &n) && og_span_eat(&s, " ") &&
           (!og_span_eat(&s, "UID: ") || (og_span_uid(&s, &n) && og_span_eat(&s, " "))) &&
           og_span_eat(&s, "PID: ") && og_span_pid(&s, &line->pid) &&
           og_span_eat(&s, " Comm: ");
}

og_line_kind_t og_line_read(og_span_t s, og_line_t *line)
{
    const char *at = og_span_find(s.p, s.end, " invoked oom-killer: gfp_mask=");

    memset(line, 0, sizeof *line);
    /* A name is too short to hold these words itself. */
    if (at != NULL && og_span_is_comm((og_span_t){ s.p, at })) {
        line->comm = (og_span_t){ s.p, at };
        return OG_LINE_INVOKED;
    }
    if (og_span_eat(&s, "CPU: "))
        return parse_cpu(s, line) ? OG_LINE_CPU : OG_LINE_OTHER;
    if (og_span_eat(&s, "oom-kill:constraint=CONSTRAINT_"))
        return OG_LINE_OOM_KILL;
    if (og_span_eat(&s, "Task in "))
        return cut(s, " killed as a result of limit of ", true, &line->task, &line->limit)
                   ? OG_LINE_TASK_IN
                   : OG_LINE_OTHER;
    if (og_span_eat(&s, "memory: usage "))
        return parse_usage(s, line) ? OG_LINE_USAGE : OG_LINE_OTHER;
    if (og_span_eat(&s, "Tasks in "))
        return parse_group(s, line) ? OG_LINE_GROUP : OG_LINE_OTHER;
    if (is_no_kill(s))
        return OG_LINE_NO_KILL;
    if (s.p < s.end && *s.p == '[')
        return OG_LINE_TASK;
    return parse_kill(s, line) ? OG_LINE_KILL : OG_LINE_OTHER;
}

/* Takes ",KEY=123" from the end. */
static bool eat_number_back(og_span_t *s, const char *key, uint64_t *n)
{
    const char *comma = memrchr(s->p, ',', (size_t)(s->end - s->p));
    og_span_t t = { comma, s->end };

    if (comma == NULL || !og_span_eat(&t, key) || !og_num_u64(&t.p, t.end, n) ||
        t.p != t.end)
        return false;
    s->end = comma;
    return true;
}

/* Takes ",task=NAME" from the end. A name may hold that word too. Where both lines name
 * the same task, the name decides; else (the log may name another thread) the longest
 * that can be a name, since it is processes rather than cgroups that choose theirs
 * freely. */
static bool eat_task_back(og_span_t *s, const char *comm)
{
    const char *longest = NULL;
    char name[OG_KMSG_COMM_MAX];

    for (const char *at = s->p; (at = og_span_find(at, s->end, ",task=")) != NULL; at++) {
        og_span_t t = { at + strlen(",task="), s->end };

        if (!og_span_is_comm(t))
            continue;
        if (longest == NULL)
            longest = at;
        og_span_comm(name, t);
        if (comm != NULL && strcmp(name, comm) == 0) {
            longest = at;
            break;
        }
    }
    if (longest == NULL)
        return false;
    s->end = longest;
    return true;
}

static og_killer_t eat_constraint(og_span_t *s)
{
    if (og_span_eat(s, "MEMCG,"))
        return OG_KILLER_MEMCG;
    if (og_span_eat(s, "NONE,"))
        return OG_KILLER_GLOBAL;
    if (og_span_eat(s, "CPUSET,"))
        return OG_KILLER_CPUSET;
    return og_span_eat(s, "MEMORY_POLICY,") ? OG_KILLER_MEMPOLICY : OG_KILLER_UNKNOWN;
}

/* "oom_memcg=PATH,task_memcg=PATH" or "global_oom,task_memcg=PATH", at the end of s,
 * after the names of nodes and of a cpuset. */
static void set_cgroups(og_span_t s, og_kmsg_kill_t *kill)
{
    const char *at = og_span_find(s.p, s.end, ",oom_memcg=");
    og_span_t inner, outer;

    if (kill->killer == OG_KILLER_MEMCG) {
        if (at == NULL)
            return;
        s.p = at + strlen(",oom_memcg=");
        if (!cut(s, ",task_memcg=", false, &inner, &outer))
            return;
        og_span_path(kill->oom_memcg, outer);
        og_span_path(kill->task_memcg, inner);
        return;
    }
    at = og_span_find(s.p, s.end, ",global_oom,task_memcg=/");
    if (at != NULL) {
        s.p = at + strlen(",global_oom,task_memcg=");
        og_span_path(kill->task_memcg, s);
    }
}

bool og_line_oom_kill(og_span_t s, og_kmsg_kill_t *kill)
{
    og_killer_t killer;
    uint64_t pid, uid;
    bool same;

    og_span_eat(&s, "oom-kill:constraint=CONSTRAINT_");
    killer = eat_constraint(&s);
    if (killer == OG_KILLER_UNKNOWN)
        return true; /* cut off, or of a kernel yet to come: tells nothing */
    if (kill->killer != OG_KILLER_UNKNOWN &&
        (kill->killer == OG_KILLER_MEMCG) != (killer == OG_KILLER_MEMCG))
        return false;
    if (!eat_number_back(&s, ",uid=", &uid) || !eat_number_back(&s, ",pid=", &pid)) {
        kill->killer = kill->constraint = killer; /* cut off: the paths may be, too */
        return true;
    }
    same = pid == (uint64_t)kill->pid;
    if (!same && kill->uid != OG_KMSG_UNKNOWN && uid != (uint64_t)kill->uid)
        return false;
    kill->killer = kill->constraint = killer;
    if (eat_task_back(&s, same ? kill->comm : NULL))
        set_cgroups(s, kill);
    return true;
}
