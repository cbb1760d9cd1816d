/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A slot of the state file as it is, and the same text with the right sum behind it: nothing
 * that is made up finds one. */
#include "oomguard/state.h"
#include "fuzz.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOT OG_STATE_SLOT_BYTES

/* What was accepted is written so that it is read again, and the same. */
static void check_whole(const og_state_t *s, uint64_t number)
{
    char buf[SLOT];
    og_state_t again;
    uint64_t n;
    size_t len;

    MUST(memchr(s->boot_id, '\0', sizeof s->boot_id) != NULL);
    MUST(memchr(s->cgroup, '\0', sizeof s->cgroup) != NULL);
    len = og_state_format(s, number, buf);
    MUST(len > 0 && len < SLOT && buf[len - 1] == '\n');
    MUST(og_state_parse(buf, SLOT, &again, &n) == 0 && n == number);
    MUST(memcmp(s, &again, sizeof again) == 0);
}

static void check(const char *buf, size_t len)
{
    static const og_state_t zero;
    uint64_t number = 1;
    og_state_t s;
    int rc;

    memset(&s, 0x55, sizeof s);
    rc = og_state_parse(buf, len, &s, &number);
    if (rc == 0) {
        check_whole(&s, number);
        return;
    }
    MUST(memcmp(&s, &zero, sizeof zero) == 0);
    MUST(rc == -EPROTONOSUPPORT || ((rc == -EINVAL || rc == -ENODATA) && number == 0));
}

/* The length with a sum. */
static size_t seal(char *buf, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325;

    for (size_t i = 0; i < len; i++)
        sum = (sum ^ (unsigned char)buf[i]) * 0x100000001b3;
    return len + (size_t)sprintf(buf + len, "sum %016" PRIx64 "\n", sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *buf = calloc(1, size + 32);

    MUST(buf != NULL);
    if (size > 0)
        memcpy(buf, data, size);
    check(buf, size);
    check(buf, seal(buf, size));
    free(buf);
    return 0;
}
