/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A line of a kernel log in any of the forms that are text, as a record of the kernel's. The
 * form is told by each line alone, since people concatenate logs; only dmesg -e and lines
 * without any mark need what came before. Journal entries are journal.h's.
 *
 * Sources: RFC 3164, RFC 5424 as rsyslog writes them; dmesg(1) of util-linux with its
 * options -d, -e, -r, -S, -T, -x and --time-format; journalctl(1), its short-* outputs;
 * Documentation/ABI/testing/dev-kmsg. */
#ifndef OG_LOGLINE_H
#define OG_LOGLINE_H

#include "oomguard/kmsg.h"
#include "oomguard/logtime.h"

/* A message of the greatest length, each byte of it escaped. Longer ones are cut. */
#define OG_LOGLINE_TEXT_MAX (4 * OG_KMSG_RECORD_MAX)

typedef enum {
    OG_CLOCK_NONE, /* no time is known: usec stands still */
    OG_CLOCK_RAW,  /* the record has its own sequence number and time */
    OG_CLOCK_BOOT, /* usec is since boot */
    OG_CLOCK_WALL  /* usec is since 1970 */
} og_clock_t;

typedef struct {
    /* facility 0 only where the form proves that the kernel spoke; seq is 0 but for
     * OG_CLOCK_RAW; text may point into the line or into the field below. */
    og_kmsg_record_t rec;
    og_clock_t clock;
    int64_t wall_usec, boot_usec; /* or OG_LOGTIME_NONE */
    char text[OG_LOGLINE_TEXT_MAX];
} og_entry_t;

typedef struct {
    int64_t now_sec; /* to find the year that syslog leaves out */
    bool marked;     /* a line had a time or a tag, so one without is no kernel's line */
    int64_t told_usec; /* the latest time that dmesg -e told, or OG_LOGTIME_NONE */
} og_logline_t;

void og_logline_init(og_logline_t *l, int64_t now_sec);

/* Reads a line without its newline. False if it is no entry of any form. */
bool og_logline_parse(og_logline_t *l, const char *p, size_t len, og_entry_t *e);

/* Makes s the text of e, escaped as the kernel does in /dev/kmsg: bytes that are not
 * printable ASCII, and backslashes, are \xNN. Escapes that whoever wrote the log has put in
 * place of bytes of no print are kept: \xNN where there may be some (dmesg, journalctl), and
 * rsyslog's #NNN. */
typedef enum { OG_ESCAPES_NONE, OG_ESCAPES_SOME } og_escapes_t;
void og_logline_text(og_entry_t *e, og_span_t s, og_escapes_t escapes);

#endif
