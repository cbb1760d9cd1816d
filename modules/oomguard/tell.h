/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A kill as text for people. Text from the log stands in quotes; in it, what is no printable
 * ASCII is \xNN, as the kernel writes it, so that no log can drive a terminal. */
#ifndef OG_TELL_H
#define OG_TELL_H

#include "oomguard/klog.h"

#include <stdio.h>

/* Writes some lines; where names the log, or is NULL. Errors are the stream's. */
void og_tell_kill(FILE *out, const og_klog_kill_t *k, const char *where);

#endif
