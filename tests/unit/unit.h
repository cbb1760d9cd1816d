/* What every unit test shares: one suite, run in a folder of its own, and its exit status. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline int unit_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/*
 * Runs the test cases of one room; to be returned from main(). The working directory is then a
 * folder that was empty and is removed afterwards, with what a failed test has left in it.
 */
static inline int unit_run(const char *room, TCase **cases, size_t n)
{
    Suite *s = suite_create(room);
    const char *tmp = getenv("TMPDIR");
    char folder[4096];
    SRunner *sr;
    int failed;

    snprintf(folder, sizeof(folder), "%s/check_%s.XXXXXX", tmp ? tmp : "/tmp", room);
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        perror(folder);
        return EXIT_FAILURE;
    }

    for (size_t i = 0; i < n; i++)
        suite_add_tcase(s, cases[i]);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    if (chdir("/") != 0 || nftw(folder, unit_remove, 8, FTW_DEPTH | FTW_PHYS) != 0)
        perror(folder);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
