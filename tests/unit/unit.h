/* What every unit test shares: one suite, run, exit status. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdlib.h>

/* Runs the test cases of one room; to be returned from main(). */
static inline int unit_run(const char *room, TCase **cases, size_t n)
{
    Suite *s = suite_create(room);
    SRunner *sr;
    int failed;

    for (size_t i = 0; i < n; i++)
        suite_add_tcase(s, cases[i]);
    sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
