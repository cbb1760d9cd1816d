/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Where in a log a kill may be told of: what passes over gigabytes that tell of none. */
#ifndef OG_LOGSCAN_H
#define OG_LOGSCAN_H

/* A place between p, the start of a line, and end, in the first line that has words with
 * which the kernel begins or ends to tell of a kill, or that begins an entry of journalctl
 * -o export. NULL if there is none. Lines that are none of the kernel's may have such words,
 * too, but there is no kill without them. */
const char *og_logscan_find(const char *p, const char *end);

#endif
