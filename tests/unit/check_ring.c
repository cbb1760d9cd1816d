/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The text that syslog(2) gives, as records, and the call: of a kernel that is made here. */
#include "oomguard/ring.h"
#include "unit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <unistd.h>

static og_ring_t ring;
static og_kmsg_record_t rec;

/* --- What stands in for the kernel -------------------------------------------------- */

#define READ_ALL 3
#define SIZE_BUFFER 10
#define LOOKS_MAX 16

static struct {
    char log[2 * 1024 * 1024];
    size_t len;
    int size;             /* of its buffer */
    int size_err, err;    /* the errno that it has for either call */
    int looks[LOOKS_MAX]; /* how much was asked for, each time that the log was read */
    int count;
} kernel;

static int failure(int err)
{
    errno = err;
    return -1;
}

/* As much of the end of the log as there is room for, in whole lines. */
int klogctl(int type, char *buf, int size)
{
    const char *end = kernel.log + kernel.len, *p = kernel.log;

    if (type == SIZE_BUFFER) {
        ck_assert_ptr_null(buf);
        ck_assert_int_eq(size, 0);
        return kernel.size_err != 0 ? failure(kernel.size_err) : kernel.size;
    }
    ck_assert_int_eq(type, READ_ALL);
    ck_assert_int_lt(kernel.count, LOOKS_MAX);
    kernel.looks[kernel.count++] = size;
    if (kernel.err != 0)
        return failure(kernel.err);
    while (end - p > size)
        p = (const char *)memchr(p, '\n', (size_t)(end - p)) + 1;
    memcpy(buf, p, (size_t)(end - p));
    return (int)(end - p);
}

static void logs(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void logs(const char *format, ...)
{
    size_t room = sizeof kernel.log - kernel.len;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(kernel.log + kernel.len, room, format, args);
    va_end(args);
    ck_assert_uint_lt((size_t)n, room);
    kernel.len += (size_t)n;
}

#define LINE_BYTES 64

/* One line, of LINE_BYTES, each second, from that one to before the other. */
static void logs_each_second(unsigned from, unsigned to)
{
    for (; from < to; from++)
        logs("<6>[%5u.000000] %045u\n", from, from);
}

static void boot(int buffer_bytes)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.size = buffer_bytes;
}

static void start(int buffer_bytes)
{
    boot(buffer_bytes);
    ck_assert_int_eq(og_ring_open(&ring), 0);
}

static int read_from(uint64_t from)
{
    kernel.count = 0;
    return og_ring_read(&ring, from);
}

static uint64_t place(uint64_t usec)
{
    return OG_RING_PLACE + usec * 1024;
}

/* --- The text ----------------------------------------------------------------------- */

static void holds(const char *text)
{
    static char copy[4096];

    strcpy(copy, text);
    memset(&ring, 0, sizeof ring);
    ring.text = copy;
    ring.size = sizeof copy;
    ring.len = strlen(copy);
    ring.p = copy;
}

static void gives(uint64_t usec, unsigned facility, const char *text)
{
    memset(&rec, '#', sizeof rec);
    ck_assert(og_ring_next(&ring, &rec));
    ck_assert_uint_eq(rec.usec, usec);
    ck_assert_uint_eq(rec.facility, facility);
    ck_assert_uint_eq(rec.len, strlen(text));
    ck_assert(memcmp(rec.text, text, rec.len) == 0);
    ck_assert(!rec.fragment);
}

static void gives_no_more(void)
{
    ck_assert(!og_ring_next(&ring, &rec));
    ck_assert(!og_ring_next(&ring, &rec));
}

START_TEST(records)
{
    holds("<3>[   12.345678] Killed process 1\n"
          "<14>[   12.345679] of a process\n"
          "<6>[123456.000001][    T123] with its caller\n"
          "<6>[123456.000001][   C0]  indented\n"
          "<4>[    0.000000] \n");
    gives(12345678, 0, "Killed process 1");
    ck_assert_uint_eq(rec.level, 3);
    ck_assert_uint_eq(rec.seq, place(12345678));
    gives(12345679, 1, "of a process");
    gives(123456000001, 0, "with its caller");
    gives(123456000001, 0, " indented");
    gives(0, 0, "");
    gives_no_more();
}
END_TEST

START_TEST(no_records)
{
    holds("the rest of a line that was cut\n"
          "<6>no time\n"
          "<6>[   12.345678 no end\n"
          "<6>[   12.34567] five digits\n"
          "<6>[99999999999999999.000000] a time too late\n"
          "<99999999999>[   12.345678] a priority too high\n"
          "[   12.345678] no priority\n"
          "<4294967296>[   12.345678] a priority that is none by one\n"
          "<6>[   12.345678]no space\n"
          "6>[   12.345678] no bracket\n"
          "<6[   12.345678] no other bracket\n"
          "<6>   12.345678] no bracket of the time\n"
          "<6>[   .345678] no seconds\n"
          "<6>[   12,345678] no point\n"
          "<6>[   12.3456789] seven digits\n"
          "<6>[   12.34567x] no digit\n"
          "<6>[   12.345678\n"
          "<6>[   12.34567\n"
          "<6>[2251799813.000000] a time too late by a second\n"
          "\n"
          "<6>[   12.345678] not ended");
    gives_no_more();
    holds("");
    gives_no_more();
}
END_TEST

START_TEST(the_largest_numbers)
{
    holds("<4294967295>[2251799812.999999] a\n");
    gives(2251799812999999, 536870911, "a");
    ck_assert_uint_eq(rec.level, 7);
    ck_assert_uint_eq(rec.seq, place(2251799812999999));
    ck_assert_uint_lt(rec.seq, 1ULL << 62);
}
END_TEST

/* As /dev/kmsg has them. */
START_TEST(bytes_of_no_print_are_escaped)
{
    holds("<3>[    1.000000] a\tb\\c\x1b\xff\x7f~\n");
    gives(1000000, 0, "a\\x09b\\x5cc\\x1b\\xff\\x7f~");
}
END_TEST

/* What can grow to more than there is room for is cut, between two bytes. */
START_TEST(a_long_line_fits)
{
    static char text[40 * 1024];
    size_t head = (size_t)sprintf(text, "<3>[    1.000000] ");
    const size_t room = 4 * OG_KMSG_RECORD_MAX;

    memset(text + head, 1, sizeof text - head);
    ring.text = text;
    ring.size = ring.len = head + OG_KMSG_RECORD_MAX + 2;
    for (size_t bytes = OG_KMSG_RECORD_MAX - 1; bytes <= OG_KMSG_RECORD_MAX + 1; bytes++) {
        ring.p = text;
        text[head + bytes] = '\n';
        ck_assert(og_ring_next(&ring, &rec));
        ck_assert_uint_eq(rec.len, bytes < OG_KMSG_RECORD_MAX ? room - 4 : room);
        ck_assert(memcmp(rec.text + rec.len - 4, "\\x01", 4) == 0);
        text[head + bytes] = 1;
    }
    /* Where they take one byte each, and where they don't end with the room. */
    text[sizeof text - 1] = '\n';
    ring.size = ring.len = sizeof text;
    for (size_t plain = 1; plain <= 3; plain++) {
        text[head + plain - 1] = 'a';
        ring.p = text;
        ck_assert(og_ring_next(&ring, &rec));
        ck_assert_uint_eq(rec.len, room - 4 + plain);
    }
    memset(text + head, 'a', sizeof text - head - 1);
    ring.p = text;
    ck_assert(og_ring_next(&ring, &rec));
    ck_assert_uint_eq(rec.len, room - 3);
}
END_TEST

/* Whoever looks again finds the same places, wherever the text begins. */
START_TEST(places_stay)
{
    static const char *const text = "<3>[    1.000000] a\n"
                                    "<3>[    2.000000] b\n"
                                    "<3>[    2.000000] c\n"
                                    "<3>[    1.999999] late\n"
                                    "<3>[    3.000000] d\n";
    uint64_t places[5];

    holds(text);
    for (int i = 0; i < 5; i++) {
        ck_assert(og_ring_next(&ring, &rec));
        places[i] = rec.seq;
        ck_assert_uint_ge(rec.seq, OG_RING_PLACE);
        ck_assert(i == 0 || places[i] > places[i - 1]);
        if (i == 2 || i == 3) /* the same time, or an earlier one: the next place */
            ck_assert_uint_eq(places[i], places[i - 1] + 1);
    }
    holds(strchr(text, '\n') + 1);
    for (int i = 1; i < 5; i++) {
        ck_assert(og_ring_next(&ring, &rec));
        ck_assert_uint_eq(rec.seq, places[i]);
    }
    ck_assert_uint_lt(places[4], 1ULL << 62);
}
END_TEST

/* --- The call ----------------------------------------------------------------------- */

static int resident_pages(char *mem, size_t bytes)
{
    static unsigned char map[1024 * 1024 / 4096];
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = (bytes + page - 1) / page;
    int there = 0;

    ck_assert_int_eq(mincore(mem, bytes, map), 0);
    for (size_t i = 0; i < n; i++)
        there += map[i] & 1;
    return there;
}

/* How many there are where all are asked for: all of them, but with an emulator that does not
 * know how to ask. */
static int populated_pages(size_t bytes)
{
    char *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    int there;

    ck_assert(mem != MAP_FAILED);
    there = resident_pages(mem, bytes);
    munmap(mem, bytes);
    return there;
}

/* Twice what the kernel has, since it leaves out what is put before each line, up to 1 MiB; and
 * all of it at once, since there may be no memory later. */
START_TEST(opening_takes_all_that_is_wanted)
{
    static const struct {
        int buffer;
        size_t size;
    } cases[] = {
        { 4096, 8192 },
        { 256 * 1024, 512 * 1024 },
        { 512 * 1024 - 1, 1024 * 1024 - 2 },
        { 512 * 1024, 1024 * 1024 },
        { 512 * 1024 + 1, 1024 * 1024 },
        { INT32_MAX, 1024 * 1024 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&ring, '#', sizeof ring);
        start(cases[i].buffer);
        ck_assert_uint_eq(ring.size, cases[i].size);
        ck_assert_int_eq(resident_pages(ring.text, ring.size), populated_pages(ring.size));
        ring.text[ring.size - 1] = 'x';
        gives_no_more();
        ck_assert_int_eq(munmap(ring.text, ring.size), 0);
    }
    ck_assert_int_eq(kernel.count, 0);
}
END_TEST

START_TEST(opening_says_what_is_wrong)
{
    boot(4096);
    kernel.size_err = EPERM;
    ck_assert_int_eq(og_ring_open(&ring), -EPERM);
    boot(0); /* which cannot be had */
    ck_assert_int_eq(og_ring_open(&ring), -EINVAL);
}
END_TEST

START_TEST(reads_all_there_is)
{
    start(64 * 1024);
    logs_each_second(1, 2000); /* some 125 KiB */
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(read_from(OG_RING_PLACE), 0);
        for (unsigned s = 1; s < 2000; s++) {
            ck_assert(og_ring_next(&ring, &rec));
            ck_assert_uint_eq(rec.seq, place(s * 1000000ULL));
        }
        gives_no_more();
    }
    /* It was as much as there is room for. */
    ck_assert_int_eq(kernel.count, 3);
    ck_assert_int_eq(kernel.looks[2], 128 * 1024);
}
END_TEST

START_TEST(an_empty_log_is_no_error)
{
    start(64 * 1024);
    ck_assert_int_eq(read_from(OG_RING_PLACE), 0);
    gives_no_more();
    ck_assert_int_eq(read_from(place(5)), 0);
    gives_no_more();
    logs("a line that is no record\n");
    ck_assert_int_eq(read_from(place(5)), 0);
    ck_assert_int_eq(kernel.count, 1);
    gives_no_more();
}
END_TEST

START_TEST(reading_says_what_is_wrong)
{
    start(64 * 1024);
    logs_each_second(1, 10);
    ck_assert_int_eq(read_from(OG_RING_PLACE), 0);
    kernel.err = ENOSYS;
    ck_assert_int_eq(read_from(OG_RING_PLACE), -ENOSYS);
    ck_assert_int_eq(kernel.count, 1);
    gives_no_more();
    kernel.err = 0;
    ck_assert_int_eq(read_from(OG_RING_PLACE), 0);
    gives(1000000, 0, "000000000000000000000000000000000000000000001");
}
END_TEST

/* The latest part first, twice as much each time, until it goes back for long enough. Nothing
 * more than was had at the start is ever written to. */
START_TEST(reads_no_more_than_it_must)
{
    static const int sizes[] = { 32, 64, 128, 256, 512, 1000 };
    const unsigned last = 20000; /* 1250 KiB, one line a second */
    const unsigned per_look = 32 * 1024 / LINE_BYTES;

    start(500 * 1024);
    logs_each_second(0, last);
    ck_assert_int_eq(read_from(UINT64_MAX), 0);
    ck_assert_int_eq(kernel.count, 1);
    for (unsigned looks = 1, back = per_look; looks < 6; looks++, back *= 2) {
        /* A second is what a record may be out of order by: what begins just then may have
         * one before it that is later. */
        uint64_t begins = (last - back) * 1000000ULL;

        ck_assert_int_eq(read_from(place(begins + 1000001)), 0);
        ck_assert_int_eq(kernel.count, looks);
        ck_assert(og_ring_next(&ring, &rec));
        ck_assert_uint_eq(rec.usec, begins);
        ck_assert_int_eq(read_from(place(begins + 1000000)), 0);
        ck_assert_int_eq(kernel.count, looks + 1);
    }
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(kernel.looks[i], sizes[i] * 1024);
}
END_TEST

/* The kernel has overwritten what was not read yet. */
START_TEST(what_is_lost_is_said)
{
    uint64_t first;

    start(2 * 1024);
    logs_each_second(0, 1000); /* of which 64 lines are still there */
    first = place((1000 - 64) * 1000000ULL);
    ck_assert_int_eq(read_from(first), 0);
    ck_assert(og_ring_next(&ring, &rec));
    ck_assert_uint_eq(rec.seq, first);
    ck_assert_int_eq(read_from(first + 1), 0);
    ck_assert_int_eq(read_from(first - 1), -ENODATA);
    ck_assert(og_ring_next(&ring, &rec));
    ck_assert_uint_eq(rec.seq, first);
    ck_assert_int_eq(kernel.count, 1);
    ck_assert_int_eq(read_from(OG_RING_PLACE + 1), -ENODATA);
    /* Who wants all that is there misses nothing; nor does who wants its end. */
    ck_assert_int_eq(read_from(OG_RING_PLACE), 0);
    ck_assert_int_eq(read_from(UINT64_MAX), 0);
}
END_TEST

/* What a watcher does: what it has read it knows by its place, while the log goes on. */
START_TEST(follows_a_log_that_wraps)
{
    uint64_t next = OG_RING_PLACE;
    unsigned seen = 0;

    start(1024 * 1024);
    for (unsigned s = 0; s < 1200; s += 100) {
        logs_each_second(s, s + 100);
        ck_assert_int_eq(read_from(next), 0);
        while (og_ring_next(&ring, &rec)) {
            if (rec.seq < next)
                continue;
            ck_assert_uint_eq(rec.usec, seen++ * 1000000ULL);
            next = rec.seq + 1;
        }
    }
    ck_assert_uint_eq(seen, 1200);
}
END_TEST

/* --- The probe ---------------------------------------------------------------------- */

START_TEST(probes)
{
    boot(64 * 1024);
    ck_assert_int_eq(og_ring_probe(), 0);
    logs_each_second(0, 2000);
    ck_assert_int_eq(og_ring_probe(), 0);
    ck_assert_int_eq(kernel.count, 2);
}
END_TEST

START_TEST(probes_what_is_wrong)
{
    boot(64 * 1024);
    logs("<6>no time\n<6>none here\n");
    ck_assert_int_eq(og_ring_probe(), -ENODATA);
    kernel.err = EPERM;
    ck_assert_int_eq(og_ring_probe(), -EPERM);
    kernel.size_err = ENOSYS;
    kernel.count = 0;
    ck_assert_int_eq(og_ring_probe(), -ENOSYS);
    ck_assert_int_eq(kernel.count, 0);
}
END_TEST

int main(void)
{
    TCase *text = tcase_create("text"), *call = tcase_create("call");
    TCase *cases[] = { text, call };

    tcase_add_test(text, records);
    tcase_add_test(text, no_records);
    tcase_add_test(text, the_largest_numbers);
    tcase_add_test(text, bytes_of_no_print_are_escaped);
    tcase_add_test(text, a_long_line_fits);
    tcase_add_test(text, places_stay);
    tcase_add_test(call, opening_takes_all_that_is_wanted);
    tcase_add_test(call, opening_says_what_is_wrong);
    tcase_add_test(call, reads_all_there_is);
    tcase_add_test(call, an_empty_log_is_no_error);
    tcase_add_test(call, reading_says_what_is_wrong);
    tcase_add_test(call, reads_no_more_than_it_must);
    tcase_add_test(call, what_is_lost_is_said);
    tcase_add_test(call, follows_a_log_that_wraps);
    tcase_add_test(call, probes);
    tcase_add_test(call, probes_what_is_wrong);
    return unit_run("ring", cases, 2);
}
