/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The memory cgroup a process is in, version 1 or 2: where it is, what it uses, what limits
 * it. Sources: cgroups(7), proc_pid_cgroup(5), proc_pid_mountinfo(5), and the kernel's
 * Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. */
#ifndef OG_CGROUP_H
#define OG_CGROUP_H

#include <stdint.h>

#define OG_CGROUP_PATH_MAX 1024

/* What a cgroup says when nothing limits it. */
#define OG_CGROUP_UNLIMITED UINT64_MAX

typedef struct {
    int version;                    /* 1 or 2; 0: no memory cgroup */
    char path[OG_CGROUP_PATH_MAX];  /* within the hierarchy, as the kernel's log prints it */
    char mount[OG_CGROUP_PATH_MAX]; /* where (a part of) the hierarchy is mounted */
    char dir[OG_CGROUP_PATH_MAX];   /* the cgroup's own folder, at or below mount */
} og_cgroup_t;

/* Finds it in the text of /proc/PID/cgroup and /proc/PID/mountinfo. 0; -ENOENT if the text
 * names no memory cgroup or none that is mounted; -ENAMETOOLONG. *cg is all zero on error. */
int og_cgroup_parse(const char *cgroup, const char *mountinfo, og_cgroup_t *cg);

/* The same for the calling process, with its files below proc (normally "/proc").
 * Allocates for a moment: call it at start. Also -ENOMEM, -EFBIG or what open(2) says. */
int og_cgroup_find(const char *proc, og_cgroup_t *cg);

/* Bytes charged to the cgroup now. 0 or -errno; -ENOENT in the root of version 2, which
 * keeps no such account. */
int og_cgroup_usage(const og_cgroup_t *cg, uint64_t *bytes);

/* The same for who must not ask for memory, as opening a file does: open it in good time and
 * read it once. A descriptor or -errno; 0 or -errno. */
int og_cgroup_open_usage(const og_cgroup_t *cg);
int og_cgroup_reread(int fd, uint64_t *bytes);

/* The limit in force: the lowest of the cgroup's own and those of its ancestors, as far as
 * they can be seen from here. Bytes or OG_CGROUP_UNLIMITED. 0 or -errno. */
int og_cgroup_limit(const og_cgroup_t *cg, uint64_t *bytes);

#endif
