/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "lib/cgroup.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What stands in for libc's (ld's --wrap): large pieces are counted, or refused. */
void *__wrap_malloc(size_t len);
void *__real_malloc(size_t len);
void __wrap_free(void *at);
void __real_free(void *at);

static bool refused;
static int large;
static const void *largest;

void *__wrap_malloc(size_t len)
{
    void *at;

    if (len < 100000)
        return __real_malloc(len);
    if (refused)
        return NULL;
    large++;
    largest = at = __real_malloc(len);
    return at;
}

void __wrap_free(void *at)
{
    large -= large > 0 && at == largest;
    __real_free(at);
}

/* --- The two texts ------------------------------------------------------------------ */

#define V1_MOUNT                                                                         \
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"        \
    "33 31 0:30 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup "           \
    "rw,memory\n"
#define V2_MOUNT                                                                         \
    "35 24 0:31 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define OTHER_MOUNTS                                                                     \
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"                            \
    "23 22 0:21 / /memory rw - tmpfs cgroup rw,memory\n"

static const struct {
    const char *name, *cgroup, *mountinfo;
    int rc, version;
    const char *path, *mount, *dir;
} texts[] = {
    { "version 1", "9:name=systemd:/\n4:cpu,memory,pids:/web/a\n3:cpu:/b\n",
      OTHER_MOUNTS V1_MOUNT, 0, 1, "/web/a", "/sys/fs/cgroup/memory",
      "/sys/fs/cgroup/memory/web/a" },
    { "version 2", "0::/system.slice/httpd.service\n", OTHER_MOUNTS V2_MOUNT, 0, 2,
      "/system.slice/httpd.service", "/sys/fs/cgroup",
      "/sys/fs/cgroup/system.slice/httpd.service" },
    { "no newline at the end", "0::/a", V2_MOUNT, 0, 2, "/a", "/sys/fs/cgroup",
      "/sys/fs/cgroup/a" },
    { "the root", "0::/\n", V2_MOUNT, 0, 2, "/", "/sys/fs/cgroup", "/sys/fs/cgroup" },
    { "hybrid: memory is version 1's", "0::/u\n2:memory:/m\n1:name=systemd:/s\n",
      V2_MOUNT V1_MOUNT, 0, 1, "/m", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/m" },
    { "hybrid: memory is version 2's", "1:name=systemd:/s\n0::/u\n", V1_MOUNT V2_MOUNT, 0,
      2, "/u", "/sys/fs/cgroup", "/sys/fs/cgroup/u" },
    { "another controller with memory in its name", "3:hugememory,memory2:/a\n0::/b\n",
      V2_MOUNT, 0, 2, "/b", "/sys/fs/cgroup", "/sys/fs/cgroup/b" },
    { "a colon in the path", "4:memory:/a:b:/c\n", V1_MOUNT, 0, 1, "/a:b:/c",
      "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a:b:/c" },
    { "a container: the mount's root is its cgroup", "4:memory:/docker/1f\n",
      "9 8 0:30 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", 0, 1,
      "/docker/1f", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory" },
    { "a container: below the mount's root", "4:memory:/docker/1f/web\n",
      "9 8 0:30 /docker/1f /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", 0, 1,
      "/docker/1f/web", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/web" },
    { "a container: the mount's root is beside the path", "4:memory:/docker/1f\n",
      "9 8 0:30 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n", 0, 1,
      "/docker/1f", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory" },
    { "the mount that the path is in, of two", "0::/web/a\n",
      "9 8 0:30 /db /mnt/db rw - cgroup2 none rw\n" V2_MOUNT, 0, 2, "/web/a",
      "/sys/fs/cgroup", "/sys/fs/cgroup/web/a" },
    { "escapes in the mount, none in the path", "0::/a\\040b\n",
      "9 8 0:30 / /mnt/my\\040cg\\134x\\9 rw - cgroup2 none rw\n", 0, 2, "/a\\040b",
      "/mnt/my cg\\x\\9", "/mnt/my cg\\x\\9/a\\040b" },
    { "escapes, all but", "0::/\n",
      "9 8 0:30 / /m\\/77\\477\\1/7\\187\\17/\\178/1234 rw - cgroup2 none rw\n", 0, 2,
      "/", "/m\\/77\\477\\1/7\\187\\17/\\178/1234",
      "/m\\/77\\477\\1/7\\187\\17/\\178/1234" },
    { "any escape", "0::/\n", "9 8 0:30 / /m\\303\\277\\001\\070 rw - cgroup2 none rw\n",
      0, 2, "/", "/m\303\277\0018", "/m\303\277\0018" },
    { "what looks like an escape", "0::/\n",
      "9 8 0:30 / /m\\4\\18\\1!!\\777\\04 rw - cgroup2 none rw\n", 0, 2, "/",
      "/m\\4\\18\\1!!\\777\\04", "/m\\4\\18\\1!!\\777\\04" },
    { "lines cut off", "0::/a\n",
      "9\n9 8 0:30\n9 8 - cgroup2\n9 8 0:30 / /x rw\n" V2_MOUNT, 0, 2, "/a",
      "/sys/fs/cgroup", "/sys/fs/cgroup/a" },
    { "a controller without a name", "4:,memory:/a\n", V1_MOUNT, 0, 1, "/a",
      "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a" },
    { "hybrid: a longer path before", "0::/user.slice/a\n2:memory:/m\n", V1_MOUNT, 0, 1,
      "/m", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/m" },
    { "the mount whose root the path is, of two", "0::/web/a\n",
      "9 8 0:30 /db /mnt/db rw - cgroup2 none rw\n"
      "9 8 0:30 /web/a /mnt/a rw - cgroup2 none rw\n",
      0, 2, "/web/a", "/mnt/a", "/mnt/a" },
    { "no option", "0::/a\n", "9 8 0:30 / /m - cgroup2 none rw\n", 0, 2, "/a", "/m",
      "/m/a" },
    { "an option that begins like the end of them", "0::/a\n",
      "9 8 0:30 / /m rw -x - cgroup2 none rw\n", 0, 2, "/a", "/m", "/m/a" },
    { "the end of options where the mount should be", "0::/a\n",
      "9 8 0:30 / - cgroup2 none rw\n", -ENOENT, 0, "", "", "" },
    { "no cgroup", "", V2_MOUNT, -ENOENT, 0, "", "", "" },
    { "no memory cgroup", "3:cpu:/a\n1:name=systemd:/b\n", V1_MOUNT V2_MOUNT, -ENOENT, 0,
      "", "", "" },
    { "neither one nor the other", "0:cpu:/x\n7::/y\n", V1_MOUNT V2_MOUNT, -ENOENT, 0, "",
      "", "" },
    { "no path", "0::\n4:memory\n4:memory:a\n", V1_MOUNT V2_MOUNT, -ENOENT, 0, "", "",
      "" },
    { "not mounted", "0::/a\n", OTHER_MOUNTS V1_MOUNT, -ENOENT, 0, "", "", "" },
    { "version 1 not mounted", "4:memory:/a\n", OTHER_MOUNTS V2_MOUNT, -ENOENT, 0, "", "",
      "" },
};

START_TEST(texts_are_read)
{
    og_cgroup_t cg;
    int rc = og_cgroup_parse(texts[_i].cgroup, texts[_i].mountinfo, &cg);

    ck_assert_msg(rc == texts[_i].rc, "%s: %d", texts[_i].name, rc);
    ck_assert_msg(cg.version == texts[_i].version, "%s: version %d", texts[_i].name,
                  cg.version);
    ck_assert_str_eq(cg.path, texts[_i].path);
    ck_assert_str_eq(cg.mount, texts[_i].mount);
    ck_assert_str_eq(cg.dir, texts[_i].dir);
}
END_TEST

/* Texts that end where the memory does, without a newline. */
START_TEST(nothing_is_behind_the_end)
{
    static const char cgroup[] = "0::/a", mounts[] = "9 8 0:30 / /m rw - cgroup2 none rw";
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages =
        mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    og_cgroup_t cg;

    ck_assert(pages != MAP_FAILED);
    ck_assert_int_eq(mprotect(pages + page, page, PROT_NONE), 0);
    ck_assert_int_eq(mprotect(pages + 3 * page, page, PROT_NONE), 0);
    memcpy(pages + page - sizeof cgroup, cgroup, sizeof cgroup);
    memcpy(pages + 3 * page - sizeof mounts, mounts, sizeof mounts);
    ck_assert_int_eq(og_cgroup_parse(pages + page - sizeof cgroup,
                                     pages + 3 * page - sizeof mounts, &cg),
                     0);
    ck_assert_str_eq(cg.dir, "/m/a");
    munmap(pages, 4 * page);
}
END_TEST

/* Exactly as long as fits, and one more. */
START_TEST(long_paths_are_refused)
{
    char name[OG_CGROUP_PATH_MAX + 1], cgroup[2 * OG_CGROUP_PATH_MAX],
        mounts[2 * OG_CGROUP_PATH_MAX];
    og_cgroup_t cg, zero;
    size_t most = OG_CGROUP_PATH_MAX - 1;

    memset(&zero, 0, sizeof zero);
    memset(name, 'n', sizeof name);
    name[0] = '/';
    snprintf(cgroup, sizeof cgroup, "0::%.*s\n", (int)most, name);
    snprintf(mounts, sizeof mounts, "9 8 0:30 %.*s /m rw - cgroup2 none rw\n", (int)most,
             name);
    ck_assert_int_eq(og_cgroup_parse(cgroup, mounts, &cg), 0);
    ck_assert_uint_eq(strlen(cg.path), most);
    ck_assert_str_eq(cg.dir, "/m");
    /* The path fits, the folder does not. */
    ck_assert_int_eq(og_cgroup_parse(cgroup, V2_MOUNT, &cg), -ENAMETOOLONG);
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    snprintf(cgroup, sizeof cgroup, "0::%.*s\n", (int)most + 1, name);
    ck_assert_int_eq(og_cgroup_parse(cgroup, V2_MOUNT, &cg), -ENAMETOOLONG);
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    snprintf(mounts, sizeof mounts, "9 8 0:30 / %.*s rw - cgroup2 none rw\n",
             (int)most + 1, name);
    ck_assert_int_eq(og_cgroup_parse("0::/\n", mounts, &cg), -ENAMETOOLONG);
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    /* Of the path, and of the mount's root, all but the last byte would do. */
    snprintf(cgroup, sizeof cgroup, "0::%.*s\n", (int)most + 1, name);
    ck_assert_int_eq(
        og_cgroup_parse(cgroup, "9 8 0:30 /x /m rw - cgroup2 none rw\n", &cg),
        -ENAMETOOLONG);
    snprintf(mounts, sizeof mounts, "9 8 0:30 %.*s /m rw - cgroup2 none rw\n",
             (int)most + 1, name);
    ck_assert_int_eq(og_cgroup_parse("0::/\n", mounts, &cg), -ENAMETOOLONG);
    /* The folder. */
    snprintf(cgroup, sizeof cgroup, "0::%.*s\n", (int)most - 2, name);
    ck_assert_int_eq(og_cgroup_parse(cgroup, "9 8 0:30 / /m rw - cgroup2 none rw\n", &cg),
                     0);
    ck_assert_uint_eq(strlen(cg.dir), most);
    snprintf(cgroup, sizeof cgroup, "0::%.*s\n", (int)most - 1, name);
    ck_assert_int_eq(og_cgroup_parse(cgroup, "9 8 0:30 / /m rw - cgroup2 none rw\n", &cg),
                     -ENAMETOOLONG);
}
END_TEST

/* --- A tree of files ---------------------------------------------------------------- */

static char top[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void make_top(void)
{
    strcpy(top, "check_cgroup.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(top));
}

static void remove_top(void)
{
    ck_assert_int_eq(nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes top/PATH, and its folders. */
static void put(const char *path, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void put(const char *path, const char *format, ...)
{
    char name[512];
    va_list args;
    FILE *f;

    snprintf(name, sizeof name, "%s/%s", top, path);
    for (char *p = name + strlen(top) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
        *p = '\0';
        ck_assert(mkdir(name, 0755) == 0 || errno == EEXIST);
    }
    f = fopen(name, "w");
    ck_assert_ptr_nonnull(f);
    va_start(args, format);
    vfprintf(f, format, args);
    va_end(args);
    ck_assert_int_eq(fclose(f), 0);
}

static void remove_file(const char *path)
{
    char name[512];

    snprintf(name, sizeof name, "%s/%s", top, path);
    ck_assert_int_eq(unlink(name), 0);
}

static int find(og_cgroup_t *cg)
{
    char proc[512];

    snprintf(proc, sizeof proc, "%s/proc", top);
    return og_cgroup_find(proc, cg);
}

static uint64_t limit(const og_cgroup_t *cg)
{
    uint64_t n = 4711;

    ck_assert_int_eq(og_cgroup_limit(cg, &n), 0);
    return n;
}

/* 9223372036854771712: what a kernel with pages of 4 KiB says; with 64 KiB it says
 * ...710528. */
START_TEST(version_1)
{
    og_cgroup_t cg;
    uint64_t n;

    put("proc/self/cgroup", "4:memory:/web/a\n0::/\n");
    put("proc/self/mountinfo", "33 31 0:30 / %s/mem rw - cgroup cgroup rw,memory\n", top);
    put("mem/web/a/memory.usage_in_bytes", "4096\n");
    put("mem/web/a/memory.limit_in_bytes", "9223372036854771712\n");
    put("mem/web/memory.limit_in_bytes", "9223372036854710272\n");
    put("mem/memory.limit_in_bytes", "9223372036854771712\n");
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_int_eq(cg.version, 1);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), 0);
    ck_assert_uint_eq(n, 4096);
    ck_assert_uint_eq(limit(&cg), OG_CGROUP_UNLIMITED);
    put("mem/web/memory.limit_in_bytes", "134217728\n");
    ck_assert_uint_eq(limit(&cg), 134217728);
    put("mem/web/a/memory.limit_in_bytes", "33554432\n");
    ck_assert_uint_eq(limit(&cg), 33554432);
    put("mem/web/a/memory.limit_in_bytes", "268435456\n");
    ck_assert_uint_eq(limit(&cg), 134217728);
    put("mem/memory.limit_in_bytes", "65536\n");
    ck_assert_uint_eq(limit(&cg), 65536);
}
END_TEST

START_TEST(version_2)
{
    og_cgroup_t cg;
    uint64_t n;

    put("proc/self/cgroup", "0::/web.slice/httpd.service\n");
    put("proc/self/mountinfo", "35 24 0:31 / %s/my\\040cg rw - cgroup2 cgroup2 rw\n",
        top);
    put("my cg/web.slice/httpd.service/memory.current", "123456789012\n");
    put("my cg/web.slice/httpd.service/memory.max", "max\n");
    put("my cg/web.slice/memory.max", "max\n");
    put("my cg/cgroup.controllers", "memory\n");
    put("memory.max", "1\n"); /* above the mount: another hierarchy's, if anybody's */
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_int_eq(cg.version, 2);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), 0);
    ck_assert_uint_eq(n, 123456789012);
    ck_assert_uint_eq(limit(&cg), OG_CGROUP_UNLIMITED);
    put("my cg/web.slice/memory.max", "134217728\n");
    ck_assert_uint_eq(limit(&cg), 134217728);
    put("my cg/web.slice/httpd.service/memory.max", "0\n");
    ck_assert_uint_eq(limit(&cg), 0);
}
END_TEST

START_TEST(usage_of_an_open_file)
{
    og_cgroup_t cg;
    uint64_t n;
    int fd;

    put("proc/self/cgroup", "0::/a\n");
    put("proc/self/mountinfo", "35 24 0:31 / %s/cg rw - cgroup2 cgroup2 rw\n", top);
    put("cg/a/cgroup.controllers", "memory\n");
    put("cg/a/memory.current", "4096\n");
    ck_assert_int_eq(find(&cg), 0);
    fd = og_cgroup_open_usage(&cg);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(og_cgroup_reread(fd, &n), 0);
    ck_assert_uint_eq(n, 4096);
    put("cg/a/memory.current", "12288\n");
    ck_assert_int_eq(og_cgroup_reread(fd, &n), 0);
    ck_assert_uint_eq(n, 12288);
    close(fd);
    ck_assert_int_eq(og_cgroup_reread(fd, &n), -EBADF);
    close(0);
    ck_assert_int_eq(og_cgroup_open_usage(&cg), 0); /* a descriptor like others */
    close(0);
    ck_assert_int_eq(open("/dev/null", O_RDONLY), 0);
    cg.version = 1;
    ck_assert_int_eq(og_cgroup_open_usage(&cg), -ENOENT);
    cg.version = 0;
    ck_assert_int_eq(og_cgroup_open_usage(&cg), -ENOENT);
}
END_TEST

/* The hybrid layout of systemd: processes are in both, memory in version 1. */
START_TEST(hybrid)
{
    og_cgroup_t cg;
    uint64_t n;

    put("proc/self/cgroup", "4:memory:/a\n1:name=systemd:/b\n0::/b\n");
    put("proc/self/mountinfo",
        "35 24 0:31 / %s/unified rw - cgroup2 cgroup2 rw\n"
        "36 24 0:32 / %s/cpu rw - cgroup cgroup rw,cpu\n"
        "37 24 0:33 / %s/memory rw - cgroup cgroup rw,memory\n",
        top, top, top);
    put("memory/a/memory.usage_in_bytes", "1\n");
    put("memory/a/memory.limit_in_bytes", "2\n");
    put("unified/b/memory.current", "3\n");
    put("unified/b/memory.max", "4\n");
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_int_eq(cg.version, 1);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), 0);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(limit(&cg), 2);
}
END_TEST

/* Its own cgroup is what the container sees as the root, with files that a real root
 * lacks. */
START_TEST(container)
{
    og_cgroup_t cg;
    uint64_t n;

    put("proc/self/cgroup", "0::/pods/7\n");
    put("proc/self/mountinfo", "35 24 0:31 /pods/7 %s/cg ro - cgroup2 cgroup rw\n", top);
    put("cg/memory.current", "10\n");
    put("cg/memory.max", "20\n");
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_str_eq(cg.path, "/pods/7");
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), 0);
    ck_assert_uint_eq(n, 10);
    ck_assert_uint_eq(limit(&cg), 20);
}
END_TEST

START_TEST(no_cgroup)
{
    og_cgroup_t cg, zero;
    uint64_t n = 4711;

    memset(&zero, 0, sizeof zero);
    ck_assert_int_eq(find(&cg), -ENOENT); /* no /proc */
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    put("proc/self/cgroup", "%s", "");
    put("proc/self/mountinfo", "%s", "");
    ck_assert_int_eq(find(&cg), -ENOENT);
    put("proc/self/cgroup", "0::/a\n");
    ck_assert_int_eq(find(&cg), -ENOENT);
    remove_file("proc/self/mountinfo");
    ck_assert_int_eq(find(&cg), -ENOENT);
    put("proc/self/cgroup", "3:cpu:/a\n");
    put("proc/self/mountinfo", "35 24 0:31 / /sys rw - cgroup2 cgroup2 rw\n");
    ck_assert_int_eq(find(&cg), -ENOENT);
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), -ENOENT);
    ck_assert_int_eq(og_cgroup_limit(&cg, &n), -ENOENT);
    ck_assert_uint_eq(n, 4711);
}
END_TEST

START_TEST(odd_files)
{
    og_cgroup_t cg;
    uint64_t n;

    put("proc/self/cgroup", "0::/\n");
    put("proc/self/mountinfo", "35 24 0:31 / %s/cg rw - cgroup2 cgroup2 rw\n", top);
    put("cg/cgroup.procs", "1\n");
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), -ENOENT); /* the root of version 2 */
    ck_assert_uint_eq(limit(&cg), OG_CGROUP_UNLIMITED);
    put("cg/memory.current", "mad\n");
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), -EINVAL);
    put("cg/memory.current", "lots\n");
    put("cg/memory.max", "%s", "");
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), -EINVAL);
    ck_assert_int_eq(og_cgroup_limit(&cg, &n), -EINVAL);
    put("cg/memory.current", "%0100d\n", 1);
    ck_assert_int_eq(og_cgroup_usage(&cg, &n), -EFBIG);
    put("proc/self/cgroup", "%09000d\n", 1);
    ck_assert_int_eq(find(&cg), -EFBIG);
}
END_TEST

/* What it reads into is given back, and may be refused. */
START_TEST(no_memory)
{
    og_cgroup_t cg, zero;

    memset(&zero, 0, sizeof zero);
    put("proc/self/cgroup", "0::/a\n");
    put("proc/self/mountinfo", "35 24 0:31 / %s/cg rw - cgroup2 cgroup2 rw\n", top);
    ck_assert_int_eq(find(&cg), 0);
    ck_assert_int_eq(large, 0);
    refused = true;
    ck_assert_int_eq(find(&cg), -ENOMEM);
    refused = false;
    ck_assert_mem_eq(&cg, &zero, sizeof cg);
    put("proc/self/cgroup", "0::/\n");
    remove_file("proc/self/mountinfo");
    ck_assert_int_eq(find(&cg), -ENOENT);
    ck_assert_int_eq(large, 0);
}
END_TEST

/* Where these tests run: whatever there is, it can be read. */
START_TEST(this_machine)
{
    og_cgroup_t cg;
    uint64_t n;
    int rc = og_cgroup_find("/proc", &cg);

    if (rc == -ENOENT)
        return;
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(og_cgroup_limit(&cg, &n), 0);
    rc = og_cgroup_usage(&cg, &n);
    ck_assert(rc == -ENOENT || (rc == 0 && (n > 0 || cg.version == 1)));
}
END_TEST

int main(void)
{
    TCase *parse = tcase_create("parse"), *files = tcase_create("files");
    TCase *cases[] = { parse, files };

    tcase_add_loop_test(parse, texts_are_read, 0, sizeof texts / sizeof *texts);
    tcase_add_test(parse, nothing_is_behind_the_end);
    tcase_add_test(parse, long_paths_are_refused);
    tcase_add_checked_fixture(files, make_top, remove_top);
    tcase_add_test(files, version_1);
    tcase_add_test(files, version_2);
    tcase_add_test(files, usage_of_an_open_file);
    tcase_add_test(files, hybrid);
    tcase_add_test(files, container);
    tcase_add_test(files, no_cgroup);
    tcase_add_test(files, odd_files);
    tcase_add_test(files, no_memory);
    tcase_add_test(files, this_machine);
    return unit_run("cgroup", cases, 2);
}
