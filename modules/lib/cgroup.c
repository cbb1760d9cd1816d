/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/cgroup.h"
#include "lib/file.h"
#include "lib/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Version 1 writes "no limit" as the largest multiple of the page size in a signed long. */
#define V1_UNLIMITED_BYTES ((uint64_t)INT64_MAX & ~(uint64_t)0xffff)

/* mountinfo grows with containers and snaps; a line is what is looked at. */
#define MOUNTINFO_MAX (256 * 1024)

/* One field of a line: the next run up to any of stop. Moves *p behind the stop. */
static const char *field(const char **p, const char *stop, size_t *len)
{
    const char *s = *p;

    *len = strcspn(s, stop);
    *p = s + *len + (s[*len] != '\0');
    return s;
}

static bool is(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* Is word one of the comma-separated ones? */
static bool lists(const char *s, size_t len, const char *word)
{
    while (len > 0) {
        size_t n = 0;

        while (n < len && s[n] != ',')
            n++;
        if (is(s, n, word))
            return true;
        s += n + (n < len);
        len -= n + (n < len);
    }
    return false;
}

static int put(char *out, const char *s, size_t len)
{
    if (len >= OG_CGROUP_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(out, s, len);
    out[len] = '\0';
    return 0;
}

/* "4:memory:/a/b" for version 1, "0::/a/b" for version 2. Version 1 wins: on a hybrid the
 * memory controller is there, and the unified hierarchy has none. */
static int parse_cgroup(const char *text, og_cgroup_t *cg)
{
    int rc = -ENOENT;

    while (*text != '\0') {
        size_t idlen, ctlen, pathlen;
        const char *id = field(&text, ":\n", &idlen);
        const char *ct = field(&text, ":\n", &ctlen);
        const char *path = field(&text, "\n", &pathlen);

        if (path[0] != '/' || pathlen == 0)
            continue;
        if (lists(ct, ctlen, "memory")) {
            cg->version = 1;
            return put(cg->path, path, pathlen);
        }
        if (ctlen == 0 && is(id, idlen, "0")) {
            cg->version = 2;
            rc = put(cg->path, path, pathlen);
            if (rc != 0)
                return rc;
        }
    }
    return rc;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static bool is_octal(const char *s)
{
    return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
           s[2] <= '7';
}

static int unescape(char *out, const char *s, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = s[i];

        if (c == '\\' && len - i > 3 && is_octal(s + i + 1)) {
            c = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0'));
            i += 3;
        }
        if (n + 1 >= OG_CGROUP_PATH_MAX)
            return -ENAMETOOLONG;
        out[n++] = c;
    }
    out[n] = '\0';
    return 0;
}

/* The folder is the mount point and what of the path lies below the mount's root: a
 * container sees only its own part of the hierarchy. */
static int locate(og_cgroup_t *cg, const char *root, bool inside)
{
    const char *rest = cg->path;
    size_t rootlen = strcmp(root, "/") == 0 ? 0 : strlen(root);
    int n;

    if (strncmp(cg->path, root, rootlen) == 0 &&
        (cg->path[rootlen] == '/' || cg->path[rootlen] == '\0'))
        rest += rootlen;
    else if (inside)
        return -ENOENT;
    else
        rest = "";
    if (strcmp(rest, "/") == 0)
        rest = "";
    n = snprintf(cg->dir, sizeof cg->dir, "%s%s", cg->mount, rest);
    return n < 0 || (size_t)n >= sizeof cg->dir ? -ENAMETOOLONG : 0;
}

/* "36 35 98:0 ROOT MOUNT OPTS [TAGS...] - TYPE SOURCE SUPEROPTS". The first mount that
 * serves; if inside, that the path is in. */
static int parse_mountinfo(const char *text, og_cgroup_t *cg, bool inside)
{
    while (*text != '\0') {
        size_t len, rootlen, mountlen, typelen, superlen;
        const char *line = field(&text, "\n", &len);
        const char *p = line, *root, *mount, *type, *super, *dash;
        char rootpath[OG_CGROUP_PATH_MAX];
        int rc;

        for (int i = 0; i < 3; i++)
            field(&p, " \n", &rootlen);
        root = field(&p, " \n", &rootlen);
        mount = field(&p, " \n", &mountlen);
        dash = memmem(line, len, " - ", 3);
        if (dash == NULL || p > dash + 1)
            continue;
        p = dash + 3;
        type = field(&p, " \n", &typelen);
        field(&p, " \n", &superlen);
        super = field(&p, " \n", &superlen);
        if (cg->version == 1
                ? !is(type, typelen, "cgroup") || !lists(super, superlen, "memory")
                : !is(type, typelen, "cgroup2"))
            continue;
        if ((rc = unescape(cg->mount, mount, mountlen)) != 0 ||
            (rc = unescape(rootpath, root, rootlen)) != 0)
            return rc;
        rc = locate(cg, rootpath, inside);
        if (rc != -ENOENT)
            return rc;
    }
    return -ENOENT;
}

int og_cgroup_parse(const char *cgroup, const char *mountinfo, og_cgroup_t *cg)
{
    int rc = parse_cgroup(cgroup, cg);

    if (rc == 0) {
        rc = parse_mountinfo(mountinfo, cg, true);
        if (rc == -ENOENT)
            rc = parse_mountinfo(mountinfo, cg, false);
    }
    if (rc != 0)
        memset(cg, 0, sizeof *cg);
    return rc;
}

int og_cgroup_find(const char *proc, og_cgroup_t *cg)
{
    char cgroup[8192], path[OG_CGROUP_PATH_MAX], *mountinfo;
    ssize_t n;
    int rc;

    memset(cg, 0, sizeof *cg);
    snprintf(path, sizeof path, "%s/self/cgroup", proc);
    n = og_file_read(path, cgroup, sizeof cgroup);
    if (n < 0)
        return (int)n;
    mountinfo = malloc(MOUNTINFO_MAX);
    if (mountinfo == NULL)
        return -ENOMEM;
    snprintf(path, sizeof path, "%s/self/mountinfo", proc);
    n = og_file_read(path, mountinfo, MOUNTINFO_MAX);
    rc = n < 0 ? (int)n : og_cgroup_parse(cgroup, mountinfo, cg);
    free(mountinfo);
    return rc;
}

/* One number, or "max". */
static int parse_bytes(const char *text, ssize_t n, uint64_t *bytes)
{
    if (n < 0)
        return (int)n;
    if (strncmp(text, "max", 3) == 0) {
        *bytes = OG_CGROUP_UNLIMITED;
        return 0;
    }
    return og_num_u64(&text, text + n, bytes) ? 0 : -EINVAL;
}

static int read_bytes(const char *dir, const char *file, uint64_t *bytes)
{
    char path[OG_CGROUP_PATH_MAX + 64], text[64];

    snprintf(path, sizeof path, "%s/%s", dir, file);
    return parse_bytes(text, og_file_read(path, text, sizeof text), bytes);
}

static const char *usage_file(const og_cgroup_t *cg)
{
    return cg->version == 1 ? "memory.usage_in_bytes" : "memory.current";
}

int og_cgroup_usage(const og_cgroup_t *cg, uint64_t *bytes)
{
    return cg->version == 0 ? -ENOENT : read_bytes(cg->dir, usage_file(cg), bytes);
}

int og_cgroup_open_usage(const og_cgroup_t *cg)
{
    char path[OG_CGROUP_PATH_MAX + 64];
    int fd;

    if (cg->version == 0)
        return -ENOENT;
    snprintf(path, sizeof path, "%s/%s", cg->dir, usage_file(cg));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int og_cgroup_reread(int fd, uint64_t *bytes)
{
    char text[64];

    return parse_bytes(text, og_file_reread(fd, text, sizeof text), bytes);
}

int og_cgroup_limit(const og_cgroup_t *cg, uint64_t *bytes)
{
    const char *file = cg->version == 1 ? "memory.limit_in_bytes" : "memory.max";
    size_t mountlen = strlen(cg->mount);
    char dir[OG_CGROUP_PATH_MAX];
    uint64_t lowest = OG_CGROUP_UNLIMITED, n;
    int rc;

    if (cg->version == 0)
        return -ENOENT;
    strcpy(dir, cg->dir);
    for (;;) {
        char *slash;

        rc = read_bytes(dir, file, &n);
        if (rc == 0) {
            if (cg->version == 1 && n >= V1_UNLIMITED_BYTES)
                n = OG_CGROUP_UNLIMITED;
            if (n < lowest)
                lowest = n;
        }
        else if (rc != -ENOENT) /* the root of version 2 has no memory.max */
            return rc;
        slash = strrchr(dir, '/');
        if (strlen(dir) <= mountlen || slash == NULL)
            break;
        *slash = '\0';
    }
    *bytes = lowest;
    return 0;
}
