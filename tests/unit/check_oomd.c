/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/oomd.h"
#include "unit.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-messages.h>
#endif

#ifdef SD_MESSAGE_UNIT_OOMD_KILL_STR

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>
#include <unistd.h>

/* --- What stands in for libsystemd -------------------------------------------------- */

#define UNIT "httpd.service"
#define KILL "MESSAGE_ID=" SD_MESSAGE_UNIT_OOMD_KILL_STR
#define STARTED "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"
#define SAID(words) "MESSAGE=" words, sizeof "MESSAGE=" words - 1

typedef struct {
    const char *unit, *pid, *id; /* as matches have them */
    uint64_t usec;               /* 0: of another boot */
    const char *message;         /* with its name, and not NUL-terminated: bytes */
    size_t bytes;
} entry_t;

/* A journal that is open: what it is to give of the entries, and at which one it is. */
struct sd_journal {
    const char *matches[3];
    char unit[512];
    int count;
    const entry_t *at;
};

static const entry_t *entries; /* the oldest first */
static size_t entry_count;
static const char *unit;
static char *given;
static sd_journal journal;
static int opened, closed, calls, failing;

/* Is it this call's turn to fail? */
static bool fails(void)
{
    return ++calls == failing;
}

int sd_pid_get_unit(pid_t pid, char **name)
{
    ck_assert_int_eq(pid, 0);
    if (fails())
        return -ENODATA;
    /* So large that it gets pages of its own, which go when it is freed. */
    *name = given = malloc(1024 * 1024);
    ck_assert_ptr_nonnull(given);
    strcpy(given, unit);
    return 0;
}

int sd_journal_open(sd_journal **j, int flags)
{
    ck_assert_int_eq(flags, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
    if (fails())
        return -EACCES;
    memset(&journal, 0, sizeof journal);
    opened++;
    *j = &journal;
    return 0;
}

void sd_journal_close(sd_journal *j)
{
    closed += j != NULL;
}

int sd_journal_add_match(sd_journal *j, const void *data, size_t size)
{
    ck_assert_uint_eq(size, 0);
    ck_assert_int_lt(j->count, 3);
    if (fails())
        return -ENOMEM;
    if (strncmp(data, "UNIT=", 5) == 0)
        data = strcpy(j->unit, data);
    j->matches[j->count++] = data;
    return 0;
}

int sd_journal_seek_tail(sd_journal *j)
{
    if (fails())
        return -EIO;
    j->at = entries + entry_count;
    return 0;
}

/* All fields that are asked for must be there. */
static bool matches(const sd_journal *j, const entry_t *e)
{
    for (int i = 0; i < j->count; i++)
        if (strcmp(j->matches[i], e->unit) != 0 && strcmp(j->matches[i], e->pid) != 0 &&
            strcmp(j->matches[i], e->id) != 0)
            return false;
    return true;
}

int sd_journal_previous(sd_journal *j)
{
    ck_assert_ptr_nonnull(j->at);
    if (fails())
        return -EIO;
    do
        if (j->at == entries) {
            j->at = NULL;
            return 0;
        }
    while (!matches(j, --j->at));
    return 1;
}

int sd_journal_get_monotonic_usec(sd_journal *j, uint64_t *usec, sd_id128_t *boot)
{
    ck_assert_ptr_nonnull(j->at);
    ck_assert_ptr_null(boot);
    if (fails())
        return -EIO;
    *usec = j->at->usec;
    return *usec != 0 ? 0 : -ESTALE;
}

int sd_journal_get_data(sd_journal *j, const char *field, const void **data, size_t *bytes)
{
    ck_assert_ptr_nonnull(j->at);
    ck_assert_str_eq(field, "MESSAGE");
    if (fails())
        return -EIO;
    *data = j->at->message;
    *bytes = j->at->bytes;
    return 0;
}

#ifdef __SANITIZE_ADDRESS__
#define IS_FREED(mem) true /* the sanitizer tells by itself, and keeps the pages for that */
#else
#define IS_FREED(mem) is_freed(mem)

static bool is_freed(const char *mem)
{
    uintptr_t page = (uintptr_t)mem & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    unsigned char there;

    return mem == NULL || (mincore((void *)page, 1, &there) != 0 && errno == ENOMEM);
}
#endif

/* --- The tests ---------------------------------------------------------------------- */

static char said[300];

static bool ask(const entry_t *list, size_t n, uint64_t since)
{
    bool found;

    entries = list;
    entry_count = n;
    given = NULL;
    opened = closed = calls = 0;
    memset(said, '#', sizeof said);
    found = og_oomd_has_killed(since, said, sizeof said);
    ck_assert_int_eq(closed, opened);
    ck_assert(IS_FREED(given));
    return found;
}

#define ASK(list, since) ask(list, sizeof list / sizeof *list, since)

static void setup(void)
{
    mallopt(M_MMAP_THRESHOLD, 128 * 1024); /* for good: it grows by itself */
    unit = UNIT;
    failing = 0;
}

/* What happened since tells nothing of it, nor do others' entries. */
static const entry_t log_of_a_kill[] = {
    { "UNIT=" UNIT, "_PID=1", KILL, 1000, SAID("too long ago") },
    { "UNIT=" UNIT, "_PID=1", KILL, 2000, SAID(UNIT ": killed 3") },
    { "UNIT=" UNIT, "_PID=1", STARTED, 2001, SAID("Started") },
    { "UNIT=other.service", "_PID=1", KILL, 2002, SAID("another unit") },
    { "UNIT=" UNIT, "_PID=12", KILL, 2003, SAID("anybody") },
};

START_TEST(tells_what_systemd_said)
{
    ck_assert(ASK(log_of_a_kill, 1500));
    ck_assert_str_eq(said, UNIT ": killed 3");
    ck_assert(ASK(log_of_a_kill, 0));
    ck_assert_str_eq(said, UNIT ": killed 3");
    ck_assert(ASK(log_of_a_kill, 2000));
    ck_assert(!ASK(log_of_a_kill, 2001));
}
END_TEST

START_TEST(tells_of_no_others)
{
    ck_assert(!ask(log_of_a_kill + 2, 3, 0));
    ck_assert(!ask(log_of_a_kill, 0, 0));
    unit = "third.service";
    ck_assert(!ASK(log_of_a_kill, 0));
}
END_TEST

START_TEST(tells_of_no_other_boot)
{
    static const entry_t before[] = {
        { "UNIT=" UNIT, "_PID=1", KILL, 0, SAID("another day") },
    };

    ck_assert(!ASK(before, 0));
}
END_TEST

/* Whatever fails, it is not known, and what was opened is closed. */
START_TEST(nothing_is_known_after_an_error)
{
    int n;

    ck_assert(ASK(log_of_a_kill, 0));
    n = calls;
    ck_assert_int_eq(n, 9);
    for (failing = 1; failing <= n; failing++) {
        ck_assert_msg(!ASK(log_of_a_kill, 0), "call %d", failing);
        ck_assert_msg(calls == failing, "goes on after call %d", failing);
        ck_assert_int_eq(opened, failing > 2);
    }
}
END_TEST

/* There is no NUL behind them. */
START_TEST(words_are_cut_to_fit)
{
    char small[8] = "#######";

    ck_assert(ASK(log_of_a_kill, 0));
    ck_assert(og_oomd_has_killed(0, small, 6));
    ck_assert_str_eq(small, "httpd");
    ck_assert_int_eq(small[6], '#');
}
END_TEST

START_TEST(words_end_where_the_entry_ends)
{
    static const entry_t none[] = {
        { "UNIT=" UNIT, "_PID=1", KILL, 1, "MESSAGE=more", 8 },
    }, half[] = {
        { "UNIT=" UNIT, "_PID=1", KILL, 1, "MESSAGE=more", 7 },
    };

    ck_assert(ASK(none, 1));
    ck_assert_str_eq(said, "");
    ck_assert(!ASK(half, 1));
}
END_TEST

/* A part of a name is another unit's. */
START_TEST(a_name_is_whole)
{
    char field[300], name[296];
    const entry_t of_part[] = {
        { field, "_PID=1", KILL, 1, SAID("of it, or of another") },
    };

    memset(field, 'n', sizeof field);
    memcpy(field, "UNIT=", 5);
    field[299] = '\0';
    memset(name, 'n', sizeof name);
    name[294] = '\0'; /* the longest that there is room for; systemd's have 255 bytes */
    unit = name;
    ck_assert(ASK(of_part, 1));
    name[294] = 'n';
    name[295] = '\0';
    ck_assert(!ASK(of_part, 1));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("oomd");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, tells_what_systemd_said);
    tcase_add_test(tc, tells_of_no_others);
    tcase_add_test(tc, tells_of_no_other_boot);
    tcase_add_test(tc, nothing_is_known_after_an_error);
    tcase_add_test(tc, words_are_cut_to_fit);
    tcase_add_test(tc, words_end_where_the_entry_ends);
    tcase_add_test(tc, a_name_is_whole);
    return unit_run("oomd", &tc, 1);
}

#else

/* Built without libsystemd, or with one that is older than systemd-oomd: see
 * check_without_systemd.c. */
int main(void)
{
    return 77;
}

#endif
