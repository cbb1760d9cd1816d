/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Pieces of a line of the kernel's log, and what takes them apart. A function that takes
 * something moves the span's edge behind it and returns true, or returns false and leaves
 * it where it is. */
#ifndef OG_SPAN_H
#define OG_SPAN_H

#include "oomguard/kmsg.h"

/* Text between two pointers, not NUL-terminated. */
typedef struct {
    const char *p, *end;
} og_span_t;

/* Takes word from the start, or from the end. */
bool og_span_eat(og_span_t *s, const char *word);
bool og_span_eat_back(og_span_t *s, const char *word);

/* Take what is there of spaces, and of "[    T123]" or "[   C0]" (CONFIG_PRINTK_CALLER). */
void og_span_spaces(og_span_t *s);
void og_span_caller(og_span_t *s);

/* Take digits: 1 to INT_MAX; 0 to UINT32_MAX. */
bool og_span_pid(og_span_t *s, pid_t *pid);
bool og_span_uid(og_span_t *s, int64_t *uid);

/* Takes a number, with '-' or without. One too large for *value is taken all the same, as
 * OG_KMSG_UNKNOWN: the kernel prints so what it counted below zero, and that is no reason
 * to lose a line. */
bool og_span_value(og_span_t *s, int64_t *value);

/* Where word stands first between p and end, or NULL. */
const char *og_span_find(const char *p, const char *end, const char *word);

/* Short enough for a task's name? \xNN is one byte. */
bool og_span_is_comm(og_span_t s);

/* Does /dev/kmsg have the byte as it is: printable ASCII, and no backslash? */
bool og_span_is_plain(unsigned char c);

/* Writes a byte as it is, or as \xNN; how many that makes. */
size_t og_span_put(char *out, unsigned char c, bool plain);

/* Copies a name as logged, or a path with the log's escapes undone; either way control
 * bytes stand as \xNN. What does not fit is left out: half a path would be another's. */
void og_span_comm(char out[OG_KMSG_COMM_MAX], og_span_t s);
void og_span_path(char out[OG_KMSG_CGROUP_MAX], og_span_t s);

#endif
