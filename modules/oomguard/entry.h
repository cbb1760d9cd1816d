/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What is told, as an entry of systemd's journal: see JOURNAL in mod_oomguard(8). Only made
 * here; og_post_send sends it. */
#ifndef OG_ENTRY_H
#define OG_ENTRY_H

#include <jansson.h>
#include <stddef.h>
#include <sys/uio.h>

/* Enough for the longest event with every byte of its text escaped. */
#define OG_ENTRY_TEXT_MAX (48 * 1024)
#define OG_ENTRY_FIELDS_MAX 64

typedef struct {
    struct iovec fields[OG_ENTRY_FIELDS_MAX]; /* NAME=value each, within text */
    int count;
    size_t len;
    char text[OG_ENTRY_TEXT_MAX];
} og_entry_t;

/* Makes the entry of an event (og_event_...): MESSAGE, PRIORITY (as in syslog(3)),
 * SYSLOG_IDENTIFIER, MESSAGE_ID by the kind of event, and OOMGUARD_KEY for each of its keys
 * and those of its requests. What is null or false is left out, true is 1. What is not
 * printable ASCII stands as %NN: no value has a newline. Neither allocates nor fails: a field
 * that finds no room is left out. */
void og_entry_make(og_entry_t *e, int priority, const char *message, json_t *event);

#endif
