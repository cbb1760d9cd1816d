/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/kmsg_line.h"
#include "lib/num.h"

#include <string.h>

/* Page tables come in whole pages, of this size or a multiple. */
#define PAGE_BYTES 4096

void og_line_clear(og_kmsg_kill_t *kill)
{
    memset(kill, 0, sizeof *kill);
    kill->uid = kill->oom_score_adj = OG_KMSG_UNKNOWN;
    kill->total_vm_kib = kill->anon_rss_kib = kill->file_rss_kib = OG_KMSG_UNKNOWN;
    kill->shmem_rss_kib = kill->pgtables_kib = OG_KMSG_UNKNOWN;
    kill->usage_kib = kill->limit_kib = OG_KMSG_UNKNOWN;
}

static og_span_t eat_key(og_span_t *s)
{
    og_span_t key = { s->p, s->p };

    while (s->p < s->end &&
           ((*s->p >= 'a' && *s->p <= 'z') || (*s->p >= 'A' && *s->p <= 'Z') ||
            *s->p == '-' || *s->p == '_'))
        s->p++;
    key.end = s->p;
    return key;
}

static bool is(og_span_t s, const char *word)
{
    return og_span_eat(&s, word) && s.p == s.end;
}

static void set_field(og_kmsg_kill_t *kill, og_span_t key, int64_t value)
{
    const struct {
        const char *key;
        int64_t *out, min, max;
    } fields[] = {
        { "total-vm", &kill->total_vm_kib, 0, INT64_MAX },
        { "vsz", &kill->total_vm_kib, 0, INT64_MAX }, /* 2.6.33 to 2.6.35 */
        { "vm", &kill->total_vm_kib, 0, INT64_MAX },  /* OpenVZ */
        { "anon-rss", &kill->anon_rss_kib, 0, INT64_MAX },
        { "file-rss", &kill->file_rss_kib, 0, INT64_MAX },
        { "shmem-rss", &kill->shmem_rss_kib, 0, INT64_MAX },
        { "pgtables", &kill->pgtables_kib, 0, INT64_MAX },
        { "UID", &kill->uid, 0, UINT32_MAX },
        { "oom_score_adj", &kill->oom_score_adj, -1000, 1000 },
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (is(key, fields[i].key) && value >= fields[i].min && value <= fields[i].max)
            *fields[i].out = value;
}

/* "key:123kB" after "key:123kB", with ", " or " " before each, and nothing else. */
static bool parse_tail(og_span_t s, og_kmsg_kill_t *kill)
{
    og_span_t key;
    int64_t n;

    if (og_span_eat(&s, ", UID ") && !og_span_uid(&s, &kill->uid))
        return false;
    while (s.p < s.end) {
        og_span_eat(&s, ",");
        if (!og_span_eat(&s, " "))
            return false;
        key = eat_key(&s);
        if (key.p == key.end || !og_span_eat(&s, ":") || !og_span_value(&s, &n))
            return false;
        og_span_eat(&s, "kB");
        set_field(kill, key, n);
    }
    /* Some 5.x kernels print bytes and call them kB. Tables that large would map next to
     * nothing each. */
    n = kill->pgtables_kib;
    if (n > 0 && n % PAGE_BYTES == 0 && kill->total_vm_kib >= 0 &&
        n > kill->total_vm_kib / 64)
        kill->pgtables_kib = n / 1024;
    return true;
}

/* Which forms of a line exist with which first words. */
typedef enum { FORM_NONE, FORM_BARE, FORM_FULL, FORM_OPENVZ } form_t;

/* Steps over what comes before the pid, and says who killed. */
static form_t eat_killed(og_span_t *s, og_killer_t *killer)
{
    static const struct {
        const char *text;
        form_t form;
        og_killer_t killer;
    } prefixes[] = {
        { "Killed process ", FORM_BARE, OG_KILLER_UNKNOWN },
        { "Out of memory: Killed process ", FORM_FULL, OG_KILLER_GLOBAL },
        { "Memory cgroup out of memory: Killed process ", FORM_FULL, OG_KILLER_MEMCG },
        { "Out of memory (oom_kill_allocating_task): Killed process ", FORM_FULL,
          OG_KILLER_GLOBAL },
        { "Out of Memory: Killed process ", FORM_FULL, OG_KILLER_GLOBAL },
    };
    uint64_t n;

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (og_span_eat(s, prefixes[i].text)) {
            *killer = prefixes[i].killer;
            return prefixes[i].form;
        }
    }
    if (!og_span_eat(s, "Out of memory in UB ") || !og_num_u64(&s->p, s->end, &n) ||
        !og_span_eat(s, ": OOM killed process "))
        return FORM_NONE;
    /* A beancounter is a container's; number 0 is the host's. */
    *killer = n == 0 ? OG_KILLER_GLOBAL : OG_KILLER_MEMCG;
    return FORM_OPENVZ;
}

bool og_line_killed(og_span_t s, og_kmsg_kill_t *kill)
{
    og_span_t comm, tail;
    const char *paren;
    form_t form;
    int64_t score;

    og_line_clear(kill);
    form = eat_killed(&s, &kill->killer);
    if (form == FORM_NONE || !og_span_pid(&s, &kill->pid))
        return false;
    if (og_span_eat(&s, ", UID ") &&
        (!og_span_uid(&s, &kill->uid) || !og_span_eat(&s, ",")))
        return false;
    /* A name may hold anything, a tail no parenthesis: the last one ends the name. */
    paren = memrchr(s.p, ')', (size_t)(s.end - s.p));
    if (!og_span_eat(&s, " (") || paren == NULL)
        return false;
    comm = (og_span_t){ s.p, paren };
    tail = (og_span_t){ paren + 1, s.end };
    if (comm.end < comm.p || !og_span_is_comm(comm))
        return false;
    og_span_comm(kill->comm, comm);
    if (form == FORM_OPENVZ && og_span_eat(&tail, " score ") &&
        !og_span_value(&tail, &score))
        return false;
    if (tail.p == tail.end)
        return form == FORM_BARE;
    return is(tail, ".") || parse_tail(tail, kill); /* 2.6.18 ends with a full stop */
}
