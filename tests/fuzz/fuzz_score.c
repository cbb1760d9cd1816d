/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The words of a score: a mode and a value, with a NUL between them. */
#include "oomguard/score.h"
#include "fuzz.h"

#include <string.h>

/* A rule that was accepted gives a score, whatever the base, and its text says the same. */
static void check(og_score_t rule, int base)
{
    int score = og_score_target(rule, base);
    og_score_text_t text;

    MUST(score >= OG_SCORE_MIN && score <= OG_SCORE_MAX);
    MUST(rule.absolute || rule.value == 0 || score != OG_SCORE_MIN);
    og_score_format(score, &text);
    MUST(text.len < sizeof text.text && atoi(text.text) == score);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words = calloc(1, size + 2);
    og_score_t rule;

    MUST(words != NULL);
    if (size > 0)
        memcpy(words, data, size);
    if (og_score_parse(*words != '\0' ? words : NULL, words + strlen(words) + 1, &rule)) {
        for (int base = OG_SCORE_MIN; base <= OG_SCORE_MAX; base += 125)
            check(rule, base);
    }
    free(words);
    return 0;
}
