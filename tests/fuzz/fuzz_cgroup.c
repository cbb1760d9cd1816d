/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* /proc/PID/cgroup and /proc/PID/mountinfo, with a NUL between them. */
#include "lib/cgroup.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    MUST(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

static void check(int rc, const og_cgroup_t *cg)
{
    static const og_cgroup_t zero;
    size_t mountlen;

    if (rc != 0) {
        MUST(rc == -ENOENT || rc == -ENAMETOOLONG);
        MUST(memcmp(cg, &zero, sizeof zero) == 0);
        return;
    }
    MUST(cg->version == 1 || cg->version == 2);
    MUST(memchr(cg->path, '\0', sizeof cg->path) != NULL && cg->path[0] == '/');
    MUST(memchr(cg->mount, '\0', sizeof cg->mount) != NULL);
    MUST(memchr(cg->dir, '\0', sizeof cg->dir) != NULL);
    mountlen = strlen(cg->mount);
    MUST(strncmp(cg->dir, cg->mount, mountlen) == 0);
    MUST(cg->dir[mountlen] == '\0' || cg->dir[mountlen] == '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t first = nul == NULL ? size : (size_t)(nul - data);
    size_t second = nul == NULL ? size : first + 1;
    char *cgroup = text_of(data, first),
         *mountinfo = text_of(data + second, size - second);
    og_cgroup_t cg;

    memset(&cg, 0x55, sizeof cg);
    check(og_cgroup_parse(cgroup, mountinfo, &cg), &cg);
    free(cgroup);
    free(mountinfo);
    return 0;
}
