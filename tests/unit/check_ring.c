/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The text that syslog(2) gives, as records. The call itself needs a right and a kernel; it is
 * tried by tests/integration. */
#include "oomguard/ring.h"
#include "unit.h"

#include <string.h>

static og_ring_t ring;
static og_kmsg_record_t rec;

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
          "<6>[   12.345678]no space\n"
          "\n"
          "<6>[   12.345678] not ended");
    gives_no_more();
    holds("");
    gives_no_more();
}
END_TEST

/* As /dev/kmsg has them. */
START_TEST(bytes_of_no_print_are_escaped)
{
    holds("<3>[    1.000000] a\tb\\c\x1b\xff\x7f~\n");
    gives(1000000, 0, "a\\x09b\\x5cc\\x1b\\xff\\x7f~");
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
    }
    holds(strchr(text, '\n') + 1);
    for (int i = 1; i < 5; i++) {
        ck_assert(og_ring_next(&ring, &rec));
        ck_assert_uint_eq(rec.seq, places[i]);
    }
    ck_assert_uint_lt(places[4], 1ULL << 62);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("ring");

    tcase_add_test(tc, records);
    tcase_add_test(tc, no_records);
    tcase_add_test(tc, bytes_of_no_print_are_escaped);
    tcase_add_test(tc, places_stay);
    return unit_run("ring", &tc, 1);
}
