/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/json.h"

#include <string.h>

static json_t *number(int64_t n)
{
    return n == OG_KMSG_UNKNOWN ? json_null() : json_integer(n);
}

/* A path's name is bytes, and JSON's are UTF-8: else all that is not ASCII is \xNN. */
static json_t *text(const char *s)
{
    static const char digits[] = "0123456789abcdef";
    char escaped[4 * OG_KMSG_CGROUP_MAX];
    size_t n = 0;
    json_t *out;

    if (*s == '\0')
        return json_null();
    out = json_string(s); /* NULL if it is no UTF-8 */
    for (; out == NULL && *s != '\0' && n + 5 <= sizeof escaped; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x80) {
            escaped[n++] = *s;
            continue;
        }
        escaped[n++] = '\\';
        escaped[n++] = 'x';
        escaped[n++] = digits[c >> 4];
        escaped[n++] = digits[c & 15];
    }
    return out != NULL ? out : json_stringn(escaped, n);
}

static json_t *killer(og_killer_t k)
{
    static const char *const names[] = { "", "global", "memcg", "cpuset", "mempolicy" };

    return text(names[k]);
}

static json_t *constraint(og_killer_t k)
{
    static const char *const names[] = { "", "CONSTRAINT_NONE", "CONSTRAINT_MEMCG",
                                         "CONSTRAINT_CPUSET",
                                         "CONSTRAINT_MEMORY_POLICY" };

    return text(names[k]);
}

json_t *og_json_kill(const og_kmsg_kill_t *k)
{
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        { "pid", json_integer(k->pid) },
        { "comm", json_string(k->comm) }, /* it may be empty, and is known */
        { "uid", number(k->uid) },
        { "killer", killer(k->killer) },
        { "oom_memcg", text(k->oom_memcg) },
        { "task_memcg", text(k->task_memcg) },
        { "total_vm_kib", number(k->total_vm_kib) },
        { "anon_rss_kib", number(k->anon_rss_kib) },
        { "file_rss_kib", number(k->file_rss_kib) },
        { "shmem_rss_kib", number(k->shmem_rss_kib) },
        { "pgtables_kib", number(k->pgtables_kib) },
        { "oom_score_adj", number(k->oom_score_adj) },
        { "invoked_by", text(k->invoked_by) },
        { "constraint", constraint(k->constraint) },
        { "group_kill", json_boolean(k->group_kill) },
    };
    json_t *object = json_object();
    bool failed = object == NULL;

    /* Each value is given away, whether it goes in or not. */
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        failed |= json_object_set_new(object, members[i].key, members[i].value) != 0;
    if (!failed)
        return object;
    json_decref(object);
    return NULL;
}
