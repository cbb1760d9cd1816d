/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* systemd-oomd kills all of a unit's cgroup at once, from userspace: the kernel neither logs nor
 * counts it, its marks on the cgroup (user.oomd_kill) go with the cgroup, and nobody of the unit
 * is left to tell. systemd itself tells, in the journal: sd-messages(3),
 * SD_MESSAGE_UNIT_OOMD_KILL, since systemd 248. */
#ifndef OG_OOMD_H
#define OG_OOMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Has systemd said, since then (microseconds of CLOCK_MONOTONIC, in this boot), that systemd-oomd
 * has killed in this process' unit? If so, its words are in said, cut to fit. False, too, where
 * that can't be known: built without libsystemd, in no unit, no right to read the journal. Opens
 * files and allocates. */
bool og_oomd_has_killed(uint64_t since_usec, char *said, size_t size);

#endif
