/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/score.h"
#include "lib/file.h"
#include "lib/num.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool og_score_parse(const char *mode, const char *value, og_score_t *out)
{
    const char *p = value, *end = value + strlen(value);
    int64_t n;

    if (mode != NULL && strcasecmp(mode, "absolute") != 0 &&
        strcasecmp(mode, "relative") != 0)
        return false;
    if (*p == '+')
        p++;
    if ((p != value && *p == '-') || !og_num_i64(&p, end, &n) || p != end ||
        n < OG_SCORE_MIN || n > OG_SCORE_MAX)
        return false;
    out->absolute = mode != NULL && strcasecmp(mode, "absolute") == 0;
    out->value = (int)n;
    return true;
}

int og_score_target(og_score_t rule, int base)
{
    int sum = base + rule.value;

    if (rule.absolute)
        return rule.value;
    if (rule.value == 0)
        return base;
    if (sum <= OG_SCORE_MIN)
        return OG_SCORE_MIN + 1;
    return sum > OG_SCORE_MAX ? OG_SCORE_MAX : sum;
}

void og_score_format(int score, og_score_text_t *out)
{
    out->len = (size_t)snprintf(out->text, sizeof out->text, "%d", score);
}

static void path_of(char *path, size_t size, const char *proc, pid_t pid)
{
    if (pid == 0)
        snprintf(path, size, "%s/self/oom_score_adj", proc);
    else
        snprintf(path, size, "%s/%d/oom_score_adj", proc, (int)pid);
}

int og_score_read(const char *proc, pid_t pid, int *score)
{
    char path[256], text[16];
    const char *p = text;
    int64_t n;
    ssize_t len;

    path_of(path, sizeof path, proc, pid);
    len = og_file_read(path, text, sizeof text);
    if (len < 0)
        return (int)len;
    if (!og_num_i64(&p, text + len, &n) || n < OG_SCORE_MIN || n > OG_SCORE_MAX)
        return -EINVAL;
    *score = (int)n;
    return 0;
}

int og_score_write(const char *proc, pid_t pid, int score)
{
    char path[256];
    og_score_text_t text;
    int rc, now;

    og_score_format(score, &text);
    path_of(path, sizeof path, proc, pid);
    rc = og_file_write(path, text.text, text.len);
    if (rc == 0)
        rc = og_score_read(proc, pid, &now);
    if (rc == 0 && now != score)
        rc = -EXDEV;
    return rc;
}

void og_score_write_self(const og_score_text_t *text)
{
    int saved = errno;

    if (text->len > 0)
        og_file_write("/proc/self/oom_score_adj", text->text, text->len);
    errno = saved;
}
