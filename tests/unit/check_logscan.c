/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/logscan.h"
#include "edge.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

static char log_text[512];

/* Words behind and before so many other bytes, at every place of what is looked at at once. */
static const char *find_at(size_t before, const char *words, size_t after)
{
    size_t n = strlen(words), len = before + n + after;
    const char *copy, *at;

    memset(log_text, '.', len);
    memcpy(log_text + before, words, n);
    copy = at_edge(log_text, len);
    at = og_logscan_find(copy, copy + len);
    return at == NULL ? NULL : log_text + (at - copy);
}

static const struct {
    const char *words;
    int at; /* where it is found; -1: not */
} words[] = {
    { "Out of memory: Killed process 1 (a)", 15 },
    { "Killed process 1 (a)", 0 },
    { "Out of memory in UB 1: OOM killed process 1 (a)", 27 },
    { "Out of memory: Kill process 1 (a)", 15 },
    { "Out of memory: kill process 1 (a)", 15 },
    { "a invoked oom-killer: gfp_mask=", 14 },
    { "oom-kill:constraint=", 4 },
    { "Task in /a killed as a result of limit of /", 11 },
    { "Tasks in /a are going to be killed due to memory.oom.group set", 28 },
    { "Killed proces", -1 },
    { "a skill, killed by a kill -9 in an oom kill", -1 },
    { "kill", -1 },
    { "\n__CURSOR=s=", 1 },
    { "\n__CURSOr=s=", -1 },
    { " __CURSOR=s=", -1 },
    { "\n{\"MESSAGE\":[75],\"_TRANSPORT\":\"kernel\"}\n", 1 },
    { "\n{\"MESSAGE\" : [ 75 ], \"_TRANSPORT\" : \"kernel\"}\n", 1 },
    { "\n\x1e{\"_TRANSPORT\":\"kernel\",\"MESSAGE\":[75]}\n", 1 },
    { "\ndata: {\"_TRANSPORT\":\"kernel\",\"MESSAGE\":[75]}\n", 1 },
    { "\n{\"MESSAGE\":[75],\"_TRANSPORT\":\"stdout\"}\n", -1 },
    { "\n{\"MESSAGE\":\"[75]\",\"_TRANSPORT\":\"kernel\"}\n", -1 },
    { "\n{\"MESSAGE\":[75]}\n{\"_TRANSPORT\":\"kernel\"}\n", -1 },
};

START_TEST(finds_words_anywhere)
{
    for (size_t before = 0; before < 150; before++) {
        for (size_t after = 0; after < 80; after += 3) {
            const char *at = find_at(before, words[_i].words, after);
            int where = at == NULL ? -1 : (int)(at - log_text - (ptrdiff_t)before);

            ck_assert_msg(where == words[_i].at, "%s behind %zu, before %zu: %d",
                          words[_i].words, before, after, where);
        }
    }
}
END_TEST

START_TEST(finds_the_first)
{
    static const char text[] = "a\n__CURSOR=\nKilled process 1 (a)\n__CURSOR=\n";

    ck_assert_ptr_eq(og_logscan_find(text, text + strlen(text)), text + 2);
    ck_assert_ptr_eq(og_logscan_find(text + 2, text + strlen(text)), text + 2);
    ck_assert_ptr_eq(og_logscan_find(text + 3, text + strlen(text)), text + 12);
    ck_assert_ptr_null(og_logscan_find(text, text));
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("logscan");

    tcase_add_loop_test(c, finds_words_anywhere, 0, sizeof words / sizeof *words);
    tcase_add_test(c, finds_the_first);
    return unit_run("logscan", &c, 1);
}
