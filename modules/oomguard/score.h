/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* oom_score_adj: what it should be, what it is, and how it is set. Source:
 * proc_pid_oom_score_adj(5), and __set_oom_adj in the kernel's fs/proc/base.c. */
#ifndef OG_SCORE_H
#define OG_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define OG_SCORE_MIN (-1000) /* never killed: a leak in such a process kills all others */
#define OG_SCORE_MAX 1000

typedef struct {
    bool absolute; /* else relative to the score that httpd was started with */
    int value;
} og_score_t;

/* A score as text, ready to be written by a process that must not do more than that. */
typedef struct {
    char text[8];
    size_t len; /* 0: write nothing */
} og_score_text_t;

/* Parses a directive's words: mode "absolute", "relative" or NULL (relative), and a whole
 * number of -1000 to 1000, with a sign or without. False if they are anything else. */
bool og_score_parse(const char *mode, const char *value, og_score_t *out);

/* The score a rule means for that base, clamped. A relative rule never reaches -1000, which
 * only somebody who writes -1000 can want. */
int og_score_target(og_score_t rule, int base);

void og_score_format(int score, og_score_text_t *out);

/* The score of pid (0: the caller) with its files below proc. 0 or -errno. */
int og_score_read(const char *proc, pid_t pid, int *score);

/* Sets it and reads it back. 0; -EACCES or -EPERM without the right (lowering takes
 * CAP_SYS_RESOURCE); -EXDEV if the kernel keeps another value than was written; -errno. */
int og_score_write(const char *proc, pid_t pid, int score);

/* Sets the caller's own, in one open, write and close, and looks back at nothing:
 * async-signal-safe, errno untouched. */
void og_score_write_self(const og_score_text_t *text);

#endif
