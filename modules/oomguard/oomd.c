/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/oomd.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-messages.h>
#endif

#ifdef SD_MESSAGE_UNIT_OOMD_KILL_STR

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>

#define MESSAGE "MESSAGE="

/* Only systemd is process 1, and journald says so, not who writes. */
static bool match(sd_journal *j, const char *unit)
{
    char field[300];
    int n = snprintf(field, sizeof field, "UNIT=%s", unit);

    return n > 0 && (size_t)n < sizeof field && sd_journal_add_match(j, field, 0) >= 0 &&
           sd_journal_add_match(j, "_PID=1", 0) >= 0 &&
           sd_journal_add_match(j, "MESSAGE_ID=" SD_MESSAGE_UNIT_OOMD_KILL_STR, 0) >= 0;
}

/* The latest one; of an earlier boot it has no time in this one. */
static bool find(sd_journal *j, uint64_t since_usec, char *said, size_t size)
{
    const void *data;
    uint64_t usec;
    size_t len;

    if (sd_journal_seek_tail(j) < 0 || sd_journal_previous(j) <= 0 ||
        sd_journal_get_monotonic_usec(j, &usec, NULL) < 0 || usec < since_usec ||
        sd_journal_get_data(j, "MESSAGE", &data, &len) < 0 || len < strlen(MESSAGE))
        return false;
    snprintf(said, size, "%.*s", (int)(len - strlen(MESSAGE)),
             (const char *)data + strlen(MESSAGE));
    return true;
}

bool og_oomd_has_killed(uint64_t since_usec, char *said, size_t size)
{
    sd_journal *j = NULL;
    char *unit = NULL;
    bool found = sd_pid_get_unit(0, &unit) >= 0 &&
                 sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM) >= 0 &&
                 match(j, unit) && find(j, since_usec, said, size);

    sd_journal_close(j);
    free(unit);
    return found;
}

#else

bool og_oomd_has_killed(uint64_t since_usec, char *said, size_t size)
{
    (void)since_usec, (void)said, (void)size;
    return false;
}

#endif
