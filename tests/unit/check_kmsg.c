/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/kmsg.h"
#include "kmsg_cases.h"
#include "unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- Logs and kills as text --------------------------------------------------------- */

static char said[65536];

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    size_t n = strlen(said);
    va_list args;

    va_start(args, format);
    ck_assert_int_lt(vsnprintf(said + n, sizeof said - n, format, args), sizeof said - n);
    va_end(args);
}

static void say_number(const char *key, int64_t n)
{
    if (n != OG_KMSG_UNKNOWN)
        say(" %s=%" PRId64, key, n);
}

static void say_text(const char *key, const char *text)
{
    if (text[0] != '\0')
        say(" %s=%s", key, text);
}

/* What is unknown is left out. */
static void say_kill(const og_kmsg_kill_t *k)
{
    static const char *const killers[] = { "unknown", "global", "memcg", "cpuset",
                                           "mempolicy" };

    say("%d (%s) %s", (int)k->pid, k->comm, killers[k->killer]);
    say_number("uid", k->uid);
    say_number("vm", k->total_vm_kib);
    say_number("anon", k->anon_rss_kib);
    say_number("file", k->file_rss_kib);
    say_number("shmem", k->shmem_rss_kib);
    say_number("pt", k->pgtables_kib);
    say_number("adj", k->oom_score_adj);
    say_text("by", k->invoked_by);
    say_number("asker", k->invoked_pid != 0 ? k->invoked_pid : OG_KMSG_UNKNOWN);
    say_text("limit-of", k->oom_memcg);
    say_text("in", k->task_memcg);
    say_number("usage", k->usage_kib);
    say_number("limit", k->limit_kib);
    say(k->group_kill ? " group\n" : "\n");
}

static og_kmsg_t reader;

static void take(const char *raw, size_t len)
{
    og_kmsg_record_t rec;
    og_kmsg_kill_t kill;

    ck_assert_int_eq(og_kmsg_parse(raw, len, &rec), 0);
    if (!og_kmsg_feed(&reader, &rec, &kill))
        return;
    ck_assert_uint_eq(kill.seq, rec.seq);
    ck_assert_uint_eq(kill.usec, rec.usec);
    ck_assert_uint_lt(kill.seq, og_kmsg_resume(&reader, rec.seq + 1));
    say_kill(&kill);
}

/* Messages, one a line, as the kernel would give them out, one each millisecond.
 * "@gap" loses records, "@8s" lets time pass, "@user " and "@part " say what follows. */
static void feed(const char *log)
{
    static uint64_t seq, usec;
    char raw[OG_KMSG_RECORD_MAX];

    for (const char *end; *log != '\0'; log = end + (*end != '\0')) {
        unsigned prio = 4, seconds;
        char flag = '-';
        int n;

        end = log + strcspn(log, "\n");
        seq++;
        usec += 1000;
        if (strncmp(log, "@gap", 4) == 0) {
            seq += 100;
            og_kmsg_gap(&reader);
            continue;
        }
        if (sscanf(log, "@%us", &seconds) == 1) {
            usec += seconds * 1000000ULL;
            continue;
        }
        if (strncmp(log, "@user ", 6) == 0) {
            prio = 12; /* the facility that every writer but the kernel gets */
            log += 6;
        }
        if (strncmp(log, "@part ", 6) == 0) {
            flag = 'c';
            log += 6;
        }
        n = snprintf(raw, sizeof raw, "%u,%" PRIu64 ",%" PRIu64 ",%c;%.*s\n", prio, seq,
                     usec, flag, (int)(end - log), log);
        ck_assert_int_lt(n, sizeof raw);
        take(raw, (size_t)n);
    }
}

static void start(void)
{
    og_kmsg_init(&reader);
    said[0] = '\0';
}

static void check_cases(const case_t *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        start();
        feed(c[i].log);
        ck_assert_msg(strcmp(said, c[i].kills) == 0, "%s\n--- got\n%s--- expected\n%s",
                      c[i].name, said, c[i].kills);
    }
}

#define CHECK_CASES(table) check_cases(table, sizeof table / sizeof *table)

/* --- Logs made from the kernels' templates ----------------------------------------- */

START_TEST(every_template_is_accepted)
{
    CHECK_CASES(templates);
}
END_TEST

START_TEST(no_forgery_is_accepted)
{
    CHECK_CASES(forgeries);
}
END_TEST

START_TEST(names_and_paths_forge_nothing)
{
    CHECK_CASES(names);
}
END_TEST

START_TEST(headers_belong_to_their_kill)
{
    CHECK_CASES(episodes);
}
END_TEST

/* A record of that time, whatever its number. */
static void at(uint64_t usec, const char *line)
{
    static uint64_t seq = 1000;
    char raw[OG_KMSG_RECORD_MAX];

    take(raw, (size_t)snprintf(raw, sizeof raw, "4,%" PRIu64 ",%" PRIu64 ",-;%s", ++seq, usec,
                               line));
}

static void said_is(const char *kills)
{
    ck_assert_str_eq(said, kills);
    start();
}

#define LATER(usec) (1000 + (usec))

/* What a time allows, a microsecond more does not. */
START_TEST(time_ends_what_is_open)
{
    start();
    at(LATER(0), HEAD);
    at(LATER(OG_KMSG_EPISODE_USEC), KILL("12 (a)"));
    said_is("12 (a)" FIELDS " by=httpd\n");
    at(LATER(0), HEAD);
    at(LATER(OG_KMSG_EPISODE_USEC + 1), KILL("12 (a)"));
    said_is(BARE("12 (a)"));
    /* A group goes on for as long as one follows the other, the second line of one included. */
    at(LATER(0), KILL("12 (a)"));
    at(LATER(OG_KMSG_GROUP_USEC), GROUP("/x"));
    at(LATER(OG_KMSG_GROUP_USEC), KILL("13 (b)"));
    at(LATER(2 * OG_KMSG_GROUP_USEC), KILL("12 (a)"));
    at(LATER(3 * OG_KMSG_GROUP_USEC), KILL("14 (c)"));
    at(LATER(4 * OG_KMSG_GROUP_USEC + 1), KILL("15 (d)"));
    said_is(BARE("12 (a)") "13 (b)" FIELDS " in=/x group\n14 (c)" FIELDS " in=/x group\n"
            BARE("15 (d)"));
    /* That it is the second line of one is known for as long. */
    at(LATER(0), KILL("12 (a)"));
    at(LATER(OG_KMSG_GROUP_USEC), KILL("12 (a)"));
    said_is(BARE("12 (a)"));
    at(LATER(0), KILL("12 (a)"));
    at(LATER(OG_KMSG_GROUP_USEC + 1), KILL("12 (a)"));
    said_is(BARE("12 (a)") BARE("12 (a)"));
    /* A step back is no time. */
    at(LATER(1000), HEAD);
    at(LATER(0), KILL("12 (a)"));
    said_is("12 (a)" FIELDS " by=httpd\n");
}
END_TEST

START_TEST(begins_with_nothing)
{
    memset(&reader, '#', sizeof reader);
    og_kmsg_init(&reader);
    ck_assert_int_eq(reader.phase, OG_KMSG_IDLE);
    ck_assert_uint_eq(reader.first_seq + reader.usec + reader.line_seq + reader.kill_usec, 0);
    ck_assert_uint_eq(reader.line_len, 0);
    ck_assert_int_eq(reader.first_pid, 0);
    ck_assert_int_eq(reader.last_pid, 0);
    say_kill(&reader.ctx);
    ck_assert_str_eq(said, "0 () unknown\n");
}
END_TEST

/* --- Handing over ------------------------------------------------------------------- */

static uint64_t resumed(const char *log, uint64_t next)
{
    feed(log);
    return og_kmsg_resume(&reader, next);
}

START_TEST(resume_is_at_the_start_of_what_is_open)
{
    uint64_t first;

    start();
    ck_assert_uint_eq(resumed("x\n", 901), 901);
    feed(HEAD);
    first = reader.first_seq;
    ck_assert_uint_eq(resumed(OOM12, 902), first);
    ck_assert_uint_eq(resumed("@user anything\n", 903), first);
    ck_assert_uint_eq(resumed(KILL("12 (a)"), 904), 904);
    feed(GROUP("/web"));
    ck_assert_uint_gt(reader.first_seq, first);
    ck_assert_uint_eq(resumed("x\n", 905), reader.first_seq);
    ck_assert_uint_eq(resumed(KILL("13 (b)"), 906), 906);
    ck_assert_uint_eq(resumed(HEAD, 907), reader.first_seq);
    ck_assert_uint_eq(resumed(EXITING("12 (a)"), 908), 908);
    feed(KILL("12 (a)") GROUP("/web"));
    ck_assert_uint_eq(resumed(KILL("12 (a)"), 908), 908); /* the second time */
    feed(HEAD);
    ck_assert_uint_eq(resumed("@30s\n@user anything\n", 909), 909);
    feed(HEAD);
    ck_assert_uint_eq(resumed("@gap\n", 910), 910);
}
END_TEST

/* A watcher that is replaced at any moment: both together report what one would. */
START_TEST(a_successor_loses_and_doubles_nothing)
{
    static const char log[] =
        "4,1,1000,-;" HEAD "6,2,2000,-;memory: usage 9kB, limit 9kB, "
        "failcnt 1\n6,3,3000,-;" OOM12
        "3,4,4000,-;" KILL("12 (a)") "4,5,5000,-;" HEAD "6,6,6000,-;" OOM12
                                     "3,7,7000,-;" KILL("13 (a)");
    const char *lines[8];
    char whole[4096];
    size_t n = 0;

    for (const char *p = log; *p != '\0'; p = strchr(p, '\n') + 1)
        lines[n++] = p;
    lines[n] = log + strlen(log);
    ck_assert_uint_eq(n, 7);
    start();
    for (size_t i = 0; i < n; i++)
        take(lines[i], (size_t)(lines[i + 1] - lines[i]));
    strcpy(whole, said);
    ck_assert_ptr_nonnull(strstr(whole, "13 (a)"));
    for (size_t at = 0; at <= n; at++) {
        size_t from;

        start();
        for (size_t i = 0; i < at; i++)
            take(lines[i], (size_t)(lines[i + 1] - lines[i]));
        from = og_kmsg_resume(&reader, at + 1);
        og_kmsg_init(&reader);
        for (size_t i = from - 1; i < n; i++)
            take(lines[i], (size_t)(lines[i + 1] - lines[i]));
        ck_assert_str_eq(said, whole);
    }
}
END_TEST

/* --- Recorded logs ------------------------------------------------------------------ */

/* Raw records, one after the other; a line that starts with a space belongs to the record
 * before it. */
static void feed_file(const char *name)
{
    const char *top = getenv("top_srcdir");
    char path[1024], line[OG_KMSG_RECORD_MAX];
    FILE *f;

    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/kmsg/%s", top ? top : ".", name);
    f = fopen(path, "r");
    ck_assert_msg(f != NULL, "%s: %s (top_srcdir names the sources)", path,
                  strerror(errno));
    while (fgets(line, sizeof line, f) != NULL)
        if (line[0] != ' ')
            take(line, strlen(line));
    fclose(f);
}

#define V1 " limit-of=/kmsgroom in=/kmsgroom/a)b,c usage=32768 limit=32768\n"

/* Five processes that ate the 32 MiB of their cgroup, one after the other. Four had given
 * themselves a name. */
START_TEST(recorded_by_6_18_cgroup_v1)
{
    start();
    feed_file("recorded-6.18-v1");
    ck_assert_str_eq(
        said,
        "5844 (httpd) memcg uid=0 vm=35372 anon=32512 file=864 shmem=0 pt=112 adj=0 "
        "by=httpd asker=5844" V1
        "5845 (a) total-vm:1kB) memcg uid=0 vm=35372 anon=32512 file=932 shmem=0 pt=116 "
        "adj=0 by=a) total-vm:1kB asker=5845" V1
        "5846 (,task=x,pid=1,u) memcg uid=0 vm=35372 anon=32512 file=964 shmem=0 pt=108 "
        "adj=0 by=,task=x,pid=1,u asker=5846" V1
        "5847 ( invoked oom-ki) memcg uid=0 vm=35372 anon=32512 file=936 shmem=0 pt=108 "
        "adj=0 by= invoked oom-ki asker=5847" V1 "5848 (a\\x0a b\\x5cc) memcg uid=0 vm=35372 "
                                      "anon=32512 file=856 shmem=0 pt=108 adj=0 "
        "by=a\\x0a b\\x5cc asker=5848" V1);
}
END_TEST

#define UNIT " limit-of=/system.slice/apache2.service in=/system.slice/apache2.service"
#define IN_UNIT " in=/system.slice/apache2.service"

/* From guests, the lines around left out: apache2 in its systemd unit, with a limit and
 * without, with memory.oom.group and without. */
START_TEST(recorded_by_6_1_cgroup_v2)
{
    start();
    feed_file("recorded-6.1-v2");
    ck_assert_str_eq(
        said,
        "257 (apache2) memcg uid=33 vm=1337808 anon=127232 file=2224 shmem=64 pt=480 "
        "adj=0 "
        "by=apache2" UNIT "\n"
        "382 (apache2) memcg uid=33 vm=1337808 anon=127232 file=2364 shmem=40 pt=476 "
        "adj=0 "
        "by=apache2" UNIT "\n"
        "541 (apache2) memcg uid=33 vm=1337808 anon=127236 file=2316 shmem=64 pt=480 "
        "adj=0\n"
        "538 (apache2) memcg uid=0 vm=6632 anon=1336 file=3004 shmem=340 pt=52 "
        "adj=0" IN_UNIT " group\n"
        "539 (apache2) memcg uid=33 vm=1211308 anon=1584 file=2316 shmem=64 pt=224 "
        "adj=0" IN_UNIT " group\n"
        "560 (apache2) memcg uid=33 vm=1337808 anon=127464 file=3348 shmem=64 pt=480 "
        "adj=0" IN_UNIT " group\n"
        "549 (apache2) memcg uid=33 vm=1211308 anon=1704 file=2548 shmem=64 pt=224 "
        "adj=0" IN_UNIT " group\n"
        "662 (apache2) global uid=33 vm=1376872 anon=165516 file=764 shmem=64 pt=552 "
        "adj=0 "
        "by=kswapd0" IN_UNIT "\n"
        "788 (apache2) global uid=33 vm=1374792 anon=163548 file=1464 shmem=64 pt=560 "
        "adj=0 "
        "by=kswapd0" IN_UNIT "\n"
        "944 (apache2) global uid=33 vm=1372736 anon=161968 file=1480 shmem=64 pt=544 "
        "adj=0 "
        "by=kswapd0" IN_UNIT "\n"
        "943 (apache2) global uid=0 vm=6632 anon=1332 file=1664 shmem=340 pt=48 adj=0 "
        "by=kswapd0" IN_UNIT " group\n"
        "1070 (apache2) memcg uid=33 vm=1337808 anon=127240 file=1308 shmem=64 pt=480 "
        "adj=0 "
        "by=apache2" UNIT "\n");
}
END_TEST

#define BYSTANDER " in=/system.slice/bystander.service"
#define FULL " usage=131072 limit=131072"

/* By tests/vm, all lines from the first kill to the last: the cases story, global and group. */
START_TEST(recorded_by_5_10_cgroup_v2)
{
    start();
    feed_file("recorded-5.10-v2");
    ck_assert_str_eq(
        said,
        "259 (apache2) memcg uid=33 vm=883408 anon=123292 file=6808 shmem=40 pt=452 adj=200 "
        "by=apache2 asker=265" UNIT FULL "\n"
        "401 (apache2) memcg uid=33 vm=883408 anon=123028 file=6860 shmem=88 pt=464 adj=200 "
        "by=apache2 asker=407" UNIT FULL "\n"
        "689 (python3) global uid=0 vm=125144 anon=115332 file=0 shmem=0 pt=288 adj=0 "
        "by=apache2 asker=655" BYSTANDER "\n"
        "761 (apache2) global uid=33 vm=834208 anon=73036 file=0 shmem=96 pt=372 adj=200 "
        "by=apache2 asker=768" IN_UNIT "\n"
        "967 (apache2) memcg uid=33 vm=883408 anon=123196 file=6964 shmem=72 pt=452 adj=200 "
        "by=apache2 asker=977" UNIT FULL "\n"
        "963 (apache2) memcg uid=0 vm=15008 anon=1760 file=3216 shmem=364 pt=56 adj=-900 "
        "by=apache2 asker=977" UNIT FULL " group\n"
        "965 (oomguard) memcg uid=33 vm=15180 anon=2280 file=1212 shmem=20 pt=56 adj=-900 "
        "by=apache2 asker=977" UNIT FULL " group\n"
        "966 (apache2) memcg uid=33 vm=763344 anon=4624 file=6456 shmem=64 pt=208 adj=200 "
        "by=apache2 asker=977" UNIT FULL " group\n"
        "1114 (apache2) memcg uid=33 vm=883416 anon=123044 file=6900 shmem=92 pt=456 adj=200 "
        "by=apache2 asker=1121" UNIT FULL "\n"
        "1113 (apache2) memcg uid=33 vm=763416 anon=4688 file=6912 shmem=88 pt=216 adj=200 "
        "by=apache2 asker=1121" UNIT FULL " group\n");
}
END_TEST

/* 1081 and 1234 are threads of the groups' first victims, logged twice: that they are, the log
 * does not say. */
START_TEST(recorded_by_6_12_cgroup_v2)
{
    start();
    feed_file("recorded-6.12-v2");
    ck_assert_str_eq(
        said,
        "361 (apache2) memcg uid=33 vm=887876 anon=122124 file=8284 shmem=0 pt=476 adj=200 "
        "by=apache2 asker=365" UNIT FULL "\n"
        "500 (apache2) memcg uid=33 vm=887876 anon=122252 file=8304 shmem=0 pt=476 adj=200 "
        "by=apache2 asker=507" UNIT FULL "\n"
        "793 (python3) global uid=0 vm=115500 anon=103808 file=68 shmem=0 pt=256 adj=0 "
        "by=curl asker=805" BYSTANDER "\n"
        "869 (apache2) global uid=33 vm=834576 anon=70796 file=124 shmem=0 pt=356 adj=200 "
        "by=apache2 asker=874" IN_UNIT "\n"
        "1075 (apache2) memcg uid=33 vm=887876 anon=122124 file=8212 shmem=0 pt=476 adj=200 "
        "by=apache2 asker=1081" UNIT FULL "\n"
        "1071 (apache2) memcg uid=0 vm=17012 anon=1920 file=3404 shmem=256 pt=64 adj=-900 "
        "by=apache2 asker=1081" UNIT FULL " group\n"
        "1076 (apache2) memcg uid=33 vm=767876 anon=6028 file=8188 shmem=0 pt=232 adj=200 "
        "by=apache2 asker=1081" UNIT FULL " group\n"
        "1081 (apache2) memcg uid=33 vm=887876 anon=122124 file=8212 shmem=0 pt=476 adj=200 "
        "by=apache2 asker=1081" UNIT FULL " group\n"
        "1226 (apache2) memcg uid=33 vm=887884 anon=122260 file=8220 shmem=0 pt=468 adj=200 "
        "by=apache2 asker=1234" UNIT " usage=131064 limit=131072\n"
        "1234 (apache2) memcg uid=33 vm=887884 anon=122260 file=8220 shmem=0 pt=468 adj=200 "
        "by=apache2 asker=1234" UNIT " usage=131064 limit=131072 group\n");
}
END_TEST

/* --- The record --------------------------------------------------------------------- */

START_TEST(a_record_is_taken_apart)
{
    static const char raw[] = "30,339,5140900,c,caller=T1;NET: Registered; protocol 10\n"
                              " SUBSYSTEM=net\n DEVICE=+net:lo\n";
    og_kmsg_record_t rec;

    ck_assert_int_eq(og_kmsg_parse(raw, sizeof raw - 1, &rec), 0);
    ck_assert_uint_eq(rec.facility, 3);
    ck_assert_uint_eq(rec.level, 6);
    ck_assert_uint_eq(rec.seq, 339);
    ck_assert_uint_eq(rec.usec, 5140900);
    ck_assert(rec.fragment);
    ck_assert_uint_eq(rec.len, strlen("NET: Registered; protocol 10"));
    ck_assert_mem_eq(rec.text, "NET: Registered; protocol 10", rec.len);
    ck_assert_int_eq(og_kmsg_parse("4294967295,18446744073709551615,0,-c;", 37, &rec), 0);
    ck_assert_uint_eq(rec.facility, UINT32_MAX >> 3);
    ck_assert_uint_eq(rec.level, 7);
    ck_assert_uint_eq(rec.seq, UINT64_MAX);
    ck_assert_uint_eq(rec.len, 0);
    ck_assert(!rec.fragment);
    ck_assert_int_eq(og_kmsg_parse("6,1,2,+;x", 9, &rec), 0);
    ck_assert(rec.fragment);
    ck_assert_uint_eq(rec.len, 1);
}
END_TEST

START_TEST(what_is_no_record_is_refused)
{
    static const char *const bad[] = {
        "",
        "\n",
        "6",
        "6,",
        "6,1",
        "6,1,2",
        "6,1,2,",
        "6,1,2,-",
        "6,1,2,;x",
        "6,1,2;x",
        "6,1,2-;x",
        "6,1;2,-;x",
        "6,1,2,-,x",
        ",1,2,-;x",
        "-6,1,2,-;x",
        " 6,1,2,-;x",
        "6,1,2,-\n;x",
        "x",
        "<4>x",
        "4294967296,1,2,-;x",
        "6,18446744073709551616,2,-;x",
        " SUBSYSTEM=net",
    };
    og_kmsg_record_t rec;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(og_kmsg_parse(bad[i], strlen(bad[i]), &rec) == -EINVAL, "%s",
                      bad[i]);
}
END_TEST

/* From a reader that undoes the escapes. */
START_TEST(raw_bytes_are_escaped_again)
{
    static const char text[] = "Out of memory: Killed process 9 (a\n\033[\177\377)" TAIL;
    og_kmsg_record_t rec = { .seq = 1, .text = text, .len = sizeof text - 1 };
    og_kmsg_kill_t kill;

    og_kmsg_init(&reader);
    ck_assert(og_kmsg_feed(&reader, &rec, &kill));
    ck_assert_str_eq(kill.comm, "a\\x0a\\x1b[\\x7f\\xff");
}
END_TEST

/* Half a path would be another's. */
START_TEST(a_path_too_long_is_left_out)
{
    char path[OG_KMSG_CGROUP_MAX + 1], log[3 * OG_KMSG_CGROUP_MAX];

    for (size_t len = OG_KMSG_CGROUP_MAX - 1; len <= OG_KMSG_CGROUP_MAX; len++) {
        memset(path, 'p', len);
        path[0] = '/';
        path[len] = '\0';
        snprintf(log, sizeof log,
                 OOM "oom_memcg=/,task_memcg=%s,task=a,pid=12,uid=48\n%s", path,
                 KILL("12 (a)"));
        start();
        feed(log);
        ck_assert_ptr_nonnull(strstr(said, " limit-of=/"));
        ck_assert_int_eq(strstr(said, path) != NULL, len < OG_KMSG_CGROUP_MAX);
        ck_assert_int_eq(strstr(said, " in=") != NULL, len < OG_KMSG_CGROUP_MAX);
    }
}
END_TEST

/* Longer than can be kept: better no paths than those of half a line. */
START_TEST(a_header_too_long_is_left_out)
{
    char part[1024], log[8192];

    memset(part, 'p', sizeof part);
    part[sizeof part - 1] = '\0';
    snprintf(log, sizeof log,
             HEAD OOM "oom_memcg=/,task_memcg=/%s\n@part %s\n@part %s\n%s", part, part,
             part,
             "@part oom_memcg=/x,task_memcg=/x,task=a,pid=12,uid=48\n" KILL("12 (a)"));
    start();
    feed(log);
    ck_assert_str_eq(said, "12 (a)" FIELDS " by=httpd\n");
}
END_TEST

/* There is room for 2560 bytes, in one record or in two. What is half there names no kind of
 * kill either. */
START_TEST(a_header_just_fits)
{
    static const char head[] = "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=";
    static const char tail[] = ",mems_allowed=0,global_oom,task_memcg=/g,task=a,pid=12,uid=48";
    char log[8192], *p;

    for (int len = 2560; len <= 2561; len++)
        for (int parts = 1; parts <= 2; parts++) {
            p = log + sprintf(log, "%s", head);
            memset(p, '/', (size_t)len - strlen(head) - strlen(tail));
            p += (size_t)len - strlen(head) - strlen(tail);
            p += sprintf(p, "%s%s\n", parts == 2 ? "\n@part " : "", tail);
            strcpy(p, "Out of memory: Killed process 12 (a)" TAIL "\n");
            start();
            feed(log);
            ck_assert_str_eq(said, len == 2560
                                       ? "12 (a) cpuset vm=5 anon=4 file=3 shmem=2 in=/g\n"
                                       : "12 (a) global vm=5 anon=4 file=3 shmem=2\n");
        }
}
END_TEST

/* Only the line that names it counts; "Out of memory" may be said of a cpuset's nodes, too. */
START_TEST(the_constraint_is_what_was_logged)
{
    static const struct {
        const char *log;
        og_killer_t constraint;
    } cases[] = {
        { "3,1,1,-;Out of memory: Killed process 9 (a) total-vm:5kB", OG_KILLER_UNKNOWN },
        { "6,2,2,-;oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=/"
          ",mems_allowed=0,global_oom,task_memcg=/,task=b,pid=10,uid=0",
          OG_KILLER_UNKNOWN },
        { "3,3,3,-;Out of memory: Killed process 10 (b) total-vm:5kB", OG_KILLER_CPUSET },
        { "6,4,4,-;Tasks in /g are going to be killed due to memory.oom.group set",
          OG_KILLER_UNKNOWN },
        { "3,5,5,-;Out of memory: Killed process 11 (c) total-vm:5kB", OG_KILLER_CPUSET },
        { "4,6,6,-;d invoked oom-killer: gfp_mask=0x0, order=0", OG_KILLER_UNKNOWN },
        { "3,7,7,-;Out of memory: Killed process 12 (d) total-vm:5kB", OG_KILLER_UNKNOWN },
    };

    start();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        og_kmsg_record_t rec;
        og_kmsg_kill_t kill;

        ck_assert_int_eq(og_kmsg_parse(cases[i].log, strlen(cases[i].log), &rec), 0);
        if (og_kmsg_feed(&reader, &rec, &kill))
            ck_assert_msg(kill.constraint == cases[i].constraint, "%s", cases[i].log);
        else
            ck_assert_ptr_null(strstr(cases[i].log, "Killed"));
    }
}
END_TEST

int main(void)
{
    TCase *lines = tcase_create("lines"), *state = tcase_create("state");
    TCase *cases[] = { lines, state };

    tcase_add_test(lines, a_record_is_taken_apart);
    tcase_add_test(lines, what_is_no_record_is_refused);
    tcase_add_test(lines, every_template_is_accepted);
    tcase_add_test(lines, no_forgery_is_accepted);
    tcase_add_test(lines, names_and_paths_forge_nothing);
    tcase_add_test(lines, raw_bytes_are_escaped_again);
    tcase_add_test(lines, a_path_too_long_is_left_out);
    tcase_add_test(lines, a_header_too_long_is_left_out);
    tcase_add_test(lines, a_header_just_fits);
    tcase_add_test(state, begins_with_nothing);
    tcase_add_test(state, headers_belong_to_their_kill);
    tcase_add_test(state, time_ends_what_is_open);
    tcase_add_test(state, the_constraint_is_what_was_logged);
    tcase_add_test(state, resume_is_at_the_start_of_what_is_open);
    tcase_add_test(state, a_successor_loses_and_doubles_nothing);
    tcase_add_test(state, recorded_by_6_18_cgroup_v1);
    tcase_add_test(state, recorded_by_6_1_cgroup_v2);
    tcase_add_test(state, recorded_by_5_10_cgroup_v2);
    tcase_add_test(state, recorded_by_6_12_cgroup_v2);
    return unit_run("kmsg", cases, 2);
}
