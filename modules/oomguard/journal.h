/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Entries of systemd's journal, as journalctl -o json and -o export write them. Fields whose
 * name begins with _ are the journal's own, and no client can set them: what has
 * _TRANSPORT=kernel was in /dev/kmsg, and with SYSLOG_FACILITY=0 the kernel has put it there.
 * Sources: journalctl(1), systemd.journal-fields(7), and systemd's JOURNAL_EXPORT_FORMATS. */
#ifndef OG_JOURNAL_H
#define OG_JOURNAL_H

#include "oomguard/logline.h"

/* The digits of a number, with a NUL; empty if there is none. */
#define OG_JOURNAL_DIGITS_MAX 24
typedef char og_journal_digits_t[OG_JOURNAL_DIGITS_MAX];

/* An entry, as far as it was read. Most are of no interest, so this is next to nothing but
 * copies. A message longer than the kernel's are is none. The journal has undone the kernel's
 * escapes in it. */
typedef struct {
    bool kernel;  /* _TRANSPORT */
    bool other;   /* SYSLOG_FACILITY is there, and not 0 */
    bool message; /* MESSAGE is there, and fits */
    og_journal_digits_t real, mono, source; /* microseconds */
    size_t len;
    char text[OG_KMSG_RECORD_MAX];
} og_journal_t;

void og_journal_init(og_journal_t *j);

/* Was it the kernel who spoke? */
bool og_journal_is_kernel(const og_journal_t *j);

/* Makes the kernel's record of it, with the kernel's escapes. */
void og_journal_entry(const og_journal_t *j, og_entry_t *e);

/* Reads an entry of -o json, json-seq or json-sse, which is one line. Allocates for the
 * moment. False if it is none. */
bool og_journal_json(og_journal_t *j, const char *p, size_t len);

/* Does the line begin an entry of -o export? */
bool og_journal_is_export(const char *p, size_t len);

typedef enum {
    OG_EXPORT_FIELD, /* took *used bytes */
    OG_EXPORT_ENTRY, /* the same, and *j is an entry; next, og_journal_init is needed */
    OG_EXPORT_MORE,  /* can't tell without more bytes; nothing was taken */
    OG_EXPORT_SKIP,  /* took *used bytes, and *skip bytes behind what is there are binary */
    OG_EXPORT_END    /* no field: the stream of entries is over; nothing was taken */
} og_export_t;

/* Takes the next field of -o export, or the empty line that ends an entry. Every byte must
 * pass through here: a client's text of more than one line may hold what looks like an entry,
 * and only its length tells that it is none. */
og_export_t og_journal_export(og_journal_t *j, const char *p, size_t len, size_t *used,
                              uint64_t *skip);

#endif
