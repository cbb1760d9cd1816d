/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A kill as JSON, for programs. */
#ifndef OG_JSON_H
#define OG_JSON_H

#include "oomguard/kmsg.h"

#include <jansson.h>

/* A new object with the keys pid, comm, uid, killer ("global", "memcg", "cpuset",
 * "mempolicy"), oom_memcg, task_memcg, total_vm_kib, anon_rss_kib, file_rss_kib,
 * shmem_rss_kib, pgtables_kib, oom_score_adj, invoked_by, constraint ("CONSTRAINT_NONE" and
 * so on, as logged) and group_kill. What the log did not tell is null. The time is added by
 * who knows how it is to be read. Names are as logged, with \xNN; so are bytes of a path
 * that are not UTF-8. NULL if there is no memory. */
json_t *og_json_kill(const og_kmsg_kill_t *k);

#endif
