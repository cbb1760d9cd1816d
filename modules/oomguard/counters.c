/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/counters.h"
#include "lib/file.h"
#include "lib/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* /proc/vmstat has some 180 lines of up to 40 bytes. */
#define TEXT_MAX 16384

bool og_counters_parse(const char *text, size_t len, og_counts_t *out)
{
    const struct {
        const char *key;
        uint64_t *value;
    } keys[] = {
        { "oom ", &out->oom },
        { "oom_kill ", &out->oom_kill },
        { "oom_group_kill ", &out->oom_group_kill },
        { "max ", &out->max },
        { "high ", &out->high },
    };
    const char *end = text + len;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        *keys[i].value = OG_COUNTERS_UNKNOWN;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;

        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            size_t n = strlen(keys[i].key);
            const char *p = text + n;
            uint64_t value;

            if ((size_t)(stop - text) > n && memcmp(text, keys[i].key, n) == 0 &&
                og_num_u64(&p, stop, &value) && p == stop)
                *keys[i].value = value;
        }
        text = stop + 1;
    }
    return out->oom_kill != OG_COUNTERS_UNKNOWN;
}

int og_counters_read(const og_counters_t *c, og_counts_t *out)
{
    char text[TEXT_MAX];
    ssize_t n = og_file_reread(c->fd, text, sizeof text);

    if (n < 0)
        return (int)n;
    return og_counters_parse(text, (size_t)n, out) ? 0 : -EINVAL;
}

static int try_file(og_counters_t *c, const char *path)
{
    og_counts_t counts;
    int rc;

    c->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (c->fd < 0)
        return -errno;
    rc = og_counters_read(c, &counts);
    if (rc != 0) {
        close(c->fd);
        c->fd = -1;
    }
    return rc;
}

int og_counters_open(og_counters_t *c, const og_cgroup_t *cg, const char *proc)
{
    char path[OG_CGROUP_PATH_MAX + 64];

    c->machine = false;
    if (cg->version != 0) {
        snprintf(path, sizeof path, "%s/%s", cg->dir,
                 cg->version == 1 ? "memory.oom_control" : "memory.events");
        if (try_file(c, path) == 0)
            return 0;
    }
    c->machine = true;
    snprintf(path, sizeof path, "%s/vmstat", proc);
    return try_file(c, path);
}

bool og_counters_count(const og_counters_t *c, const og_cgroup_t *cg, const char *task_memcg)
{
    size_t n = strlen(cg->path);

    if (c->machine)
        return true;
    if (strncmp(task_memcg, cg->path, n) != 0)
        return false;
    /* The root's path ends with the slash that all others have behind theirs. */
    return task_memcg[n] == '\0' ||
           (cg->version == 2 && (task_memcg[n] == '/' || (n > 0 && cg->path[n - 1] == '/')));
}
