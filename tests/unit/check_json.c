/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/json.h"
#include "unit.h"

#include <string.h>

static void check(const og_kmsg_kill_t *k, const char *expected)
{
    json_t *object = og_json_kill(k);
    char *text;

    ck_assert_ptr_nonnull(object);
    text = json_dumps(object, JSON_COMPACT);
    ck_assert_str_eq(text, expected);
    free(text);
    json_decref(object);
}

static og_kmsg_kill_t unknown(void)
{
    og_kmsg_kill_t k = { .pid = 7, .comm = "httpd" };

    k.uid = k.total_vm_kib = k.anon_rss_kib = k.file_rss_kib = OG_KMSG_UNKNOWN;
    k.shmem_rss_kib = k.pgtables_kib = k.oom_score_adj = OG_KMSG_UNKNOWN;
    return k;
}

START_TEST(all_is_known)
{
    og_kmsg_kill_t k = { .pid = 7, .comm = "a\"b", .killer = OG_KILLER_MEMCG,
                         .constraint = OG_KILLER_MEMCG, .uid = 48, .total_vm_kib = 1,
                         .anon_rss_kib = 2, .file_rss_kib = 3, .shmem_rss_kib = 4,
                         .pgtables_kib = 5, .oom_score_adj = -900, .group_kill = true,
                         .invoked_by = "sh", .oom_memcg = "/a", .task_memcg = "/a/\xc3\xa9" };

    check(&k, "{\"pid\":7,\"comm\":\"a\\\"b\",\"uid\":48,\"killer\":\"memcg\",\"oom_memcg\":"
              "\"/a\",\"task_memcg\":\"/a/\xc3\xa9\",\"total_vm_kib\":1,\"anon_rss_kib\":2,"
              "\"file_rss_kib\":3,\"shmem_rss_kib\":4,\"pgtables_kib\":5,\"oom_score_adj\":"
              "-900,\"invoked_by\":\"sh\",\"constraint\":\"CONSTRAINT_MEMCG\","
              "\"group_kill\":true}");
}
END_TEST

START_TEST(nothing_is_known)
{
    og_kmsg_kill_t k = unknown();

    check(&k, "{\"pid\":7,\"comm\":\"httpd\",\"uid\":null,\"killer\":null,\"oom_memcg\":null,"
              "\"task_memcg\":null,\"total_vm_kib\":null,\"anon_rss_kib\":null,"
              "\"file_rss_kib\":null,\"shmem_rss_kib\":null,\"pgtables_kib\":null,"
              "\"oom_score_adj\":null,\"invoked_by\":null,\"constraint\":null,"
              "\"group_kill\":false}");
}
END_TEST

static const struct {
    og_killer_t killer;
    const char *name, *constraint;
} killers[] = {
    { OG_KILLER_GLOBAL, "global", "CONSTRAINT_NONE" },
    { OG_KILLER_MEMCG, "memcg", "CONSTRAINT_MEMCG" },
    { OG_KILLER_CPUSET, "cpuset", "CONSTRAINT_CPUSET" },
    { OG_KILLER_MEMPOLICY, "mempolicy", "CONSTRAINT_MEMORY_POLICY" },
};

START_TEST(names_the_killer)
{
    og_kmsg_kill_t k = unknown();
    json_t *object;

    k.killer = k.constraint = killers[_i].killer;
    object = og_json_kill(&k);
    ck_assert_str_eq(json_string_value(json_object_get(object, "killer")), killers[_i].name);
    ck_assert_str_eq(json_string_value(json_object_get(object, "constraint")),
                     killers[_i].constraint);
    json_decref(object);
}
END_TEST

START_TEST(a_path_that_is_no_utf8)
{
    static const char escaped[] = "/\x7f\\x80\\xff/\\xc3\\xe9";
    og_kmsg_kill_t k = unknown();
    json_t *object;
    const char *path;

    strcpy(k.oom_memcg, "/\x7f\x80\xff/\xc3\\xe9");
    memset(k.task_memcg, '\xfe', sizeof k.task_memcg - 1);
    object = og_json_kill(&k);
    ck_assert_str_eq(json_string_value(json_object_get(object, "oom_memcg")), escaped);
    ck_assert_uint_eq(json_string_length(json_object_get(object, "oom_memcg")), strlen(escaped));
    path = json_string_value(json_object_get(object, "task_memcg"));
    ck_assert_uint_eq(strlen(path), 4 * (OG_KMSG_CGROUP_MAX - 1));
    ck_assert_uint_eq(strspn(path, "\\xfe"), strlen(path));
    json_decref(object);
}
END_TEST

static int room = -1; /* so often there is memory yet; -1: always */
static int in_use;

static void *take(size_t n)
{
    if (room == 0)
        return NULL;
    if (room > 0)
        room--;
    in_use++;
    return malloc(n);
}

static void give(void *p)
{
    in_use -= p != NULL;
    free(p);
}

/* Wherever memory ends there is no object, and nothing is left of it. */
START_TEST(without_memory_there_is_none)
{
    og_kmsg_kill_t k = unknown();
    json_t *object = NULL;
    int failed;

    k.killer = k.constraint = OG_KILLER_MEMCG;
    k.uid = 48;
    json_set_alloc_funcs(take, give);
    for (failed = 0; object == NULL && failed < 1000; failed++) {
        room = failed;
        object = og_json_kill(&k);
        ck_assert_int_eq(in_use > 0, object != NULL);
    }
    ck_assert_ptr_nonnull(object);
    ck_assert_int_gt(failed, 10);
    ck_assert_str_eq(json_string_value(json_object_get(object, "constraint")), "CONSTRAINT_MEMCG");
    json_decref(object);
    ck_assert_int_eq(in_use, 0);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("json");

    tcase_add_test(c, all_is_known);
    tcase_add_test(c, nothing_is_known);
    tcase_add_loop_test(c, names_the_killer, 0, sizeof killers / sizeof *killers);
    tcase_add_test(c, a_path_that_is_no_utf8);
    tcase_add_test(c, without_memory_there_is_none);
    return unit_run("json", &c, 1);
}
