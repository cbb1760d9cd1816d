/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The rooms that want libsystemd, built without it, whatever the others are built with. */
#include "oomguard/oomd.h"
#include "oomguard/post.h"
#include "unit.h"

#include <errno.h>

START_TEST(systemd_has_killed_nobody)
{
    char said[8] = "#######";

    ck_assert(!og_oomd_has_killed(0, said, sizeof said));
    ck_assert_str_eq(said, "#######");
}
END_TEST

START_TEST(nothing_is_posted)
{
    const struct iovec field = { (char *)"MESSAGE=x", 9 };

    ck_assert(!og_post_is_built());
    ck_assert_int_eq(og_post_send("/dev/null", &field, 1), -ENOSYS);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("without_systemd");

    tcase_add_test(tc, systemd_has_killed_nobody);
    tcase_add_test(tc, nothing_is_posted);
    return unit_run("without_systemd", &tc, 1);
}
