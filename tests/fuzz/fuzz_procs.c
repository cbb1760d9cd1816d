/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The text of /proc/PID/stat. */
#include "oomguard/procs.h"
#include "fuzz.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    og_procs_stat_t st;
    int rc;

    MUST(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    rc = og_procs_parse(text, &st);
    MUST(rc == 0 || rc == -EINVAL);
    MUST(rc != 0 || (st.pid > 0 && st.ppid >= 0 &&
                     memchr(st.comm, '\0', sizeof st.comm) != NULL &&
                     strstr(text, st.comm) != NULL));
    free(text);
    return 0;
}
