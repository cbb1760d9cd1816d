/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "state_sample.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The sum was made by another program than ours. */
static const char golden[] = "mod_oomguard state 1 12\n"
                             "boot_id " BOOT_ID "\n"
                             "clean no\n"
                             "master 4242\n"
                             "master_started_usec 81000000\n"
                             "resume_seq 1207\n"
                             "pending_seq 1206\n"
                             "cgroup_inode 5713\n"
                             "oom_kills 3\n"
                             "machine_oom_kills unknown\n"
                             "events 17\n"
                             "cgroup /system.slice/httpd.service\n"
                             "sum fb75bc835d50ff40\n";

START_TEST(writes_as_documented)
{
    og_state_t s = sample(), back;
    char buf[SLOT];
    uint64_t number;
    size_t n = og_state_format(&s, 12, buf);

    ck_assert_uint_eq(n, sizeof golden - 1);
    ck_assert_mem_eq(buf, golden, n);
    for (size_t i = n; i < SLOT; i++)
        ck_assert_int_eq(buf[i], '\n');
    ck_assert_int_eq(og_state_parse(buf, SLOT, &back, &number), 0);
    ck_assert_uint_eq(number, 12);
    is_same(&back, &s);
}
END_TEST

static void goes_round(const og_state_t *s, uint64_t number)
{
    char buf[SLOT];
    og_state_t back;
    uint64_t n;

    og_state_format(s, number, buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &back, &n), 0);
    ck_assert(n == number);
    is_same(&back, s);
}

START_TEST(goes_round_at_the_limits)
{
    og_state_t s = sample();

    for (int c = 1; c < 256; c++)
        s.cgroup[c - 1] = (char)c;
    s.cgroup[255] = '\0';
    s.clean = true;
    s.master = INT32_MIN;
    s.oom_kills = s.resume_seq = s.events = OG_STATE_UNKNOWN;
    s.pending_seq = OG_STATE_UNKNOWN - 1;
    goes_round(&s, INT64_MAX);
    memset(s.cgroup, 'x', sizeof s.cgroup - 1);
    s.cgroup[sizeof s.cgroup - 1] = '\0';
    goes_round(&s, 1);
    memset(&s, 0, sizeof s);
    goes_round(&s, 0);
}
END_TEST

/* What is not printable, and the backslash, are escaped, and nothing else. */
START_TEST(escapes_to_the_edge)
{
    og_state_t s = sample();
    char buf[SLOT];
    size_t n;

    strcpy(s.cgroup, "/\x01\x1f !~\x7f\x80\xff[\\]");
    s.clean = true;
    n = og_state_format(&s, 12, buf);
    buf[n] = '\0';
    ck_assert_ptr_nonnull(strstr(buf, "\nclean yes\n"));
    ck_assert_ptr_nonnull(strstr(buf, "\ncgroup /\\x01\\x1f !~\\x7f\x80\xff[\\x5c]\nsum "));
}
END_TEST

/* As many control characters as fit, and one more. */
START_TEST(leaves_out_what_does_not_fit)
{
    og_state_t s = sample(), back;
    size_t fits = 0, room = 0;

    for (size_t len = 1; len < sizeof s.cgroup; len++) {
        char buf[SLOT];
        uint64_t number;
        size_t n;

        memset(s.cgroup, '\n', len);
        s.cgroup[len] = '\0';
        n = og_state_format(&s, 1, buf);
        ck_assert_uint_le(n, SLOT);
        ck_assert_int_eq(og_state_parse(buf, SLOT, &back, &number), 0);
        if (back.cgroup[0] == '\0')
            break;
        ck_assert_str_eq(back.cgroup, s.cgroup);
        fits = len;
        room = SLOT - n;
    }
    ck_assert_uint_ge(fits, 850);
    ck_assert_uint_lt(fits, sizeof s.cgroup - 1);
    ck_assert_uint_lt(room, 4); /* not even one more fits */
    s.cgroup[0] = '\0';
    is_same(&back, &s);
}
END_TEST

/* To the last byte of the slot, and not one further. */
START_TEST(fills_the_slot_to_its_last_byte)
{
    og_state_t s = sample(), back;
    char buf[SLOT + 1];
    uint64_t number;
    size_t room;

    s.cgroup[0] = '\0';
    room = SLOT - og_state_format(&s, 1, buf);
    for (size_t len = room - 4; len <= room + 4; len++) {
        size_t plain = len % 4, escaped = len / 4;

        memset(s.cgroup, 'x', plain);
        memset(s.cgroup + plain, '\n', escaped);
        if (_i == 1) { /* the plain ones behind */
            memset(s.cgroup, '\n', escaped);
            memset(s.cgroup + escaped, 'x', plain);
        }
        s.cgroup[plain + escaped] = '\0';
        buf[SLOT] = '!';
        ck_assert_uint_eq(og_state_format(&s, 1, buf), SLOT - room + (len <= room ? len : 0));
        ck_assert_int_eq(buf[SLOT], '!');
        ck_assert_int_eq(og_state_parse(buf, SLOT, &back, &number), 0);
        ck_assert_str_eq(back.cgroup, len <= room ? s.cgroup : "");
    }
}
END_TEST

/* One without an end is ended where its field is. */
START_TEST(ends_every_text)
{
    og_state_t s = sample(), back;
    char buf[SLOT];
    uint64_t number;

    memset(s.boot_id, 'b', sizeof s.boot_id);
    memset(s.cgroup, 'c', sizeof s.cgroup);
    og_state_format(&s, 1, buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &back, &number), 0);
    ck_assert_uint_eq(strlen(back.boot_id), sizeof s.boot_id - 1);
    ck_assert_uint_eq(strlen(back.cgroup), sizeof s.cgroup - 1);
}
END_TEST

START_TEST(sees_every_changed_byte)
{
    og_state_t s = sample(), out;
    char buf[SLOT];
    uint64_t number;

    og_state_format(&s, 12, buf);
    for (size_t i = 0; i < SLOT; i++) {
        for (int bits = 1; bits < 256; bits = bits < 128 ? bits * 2 : bits + 127) {
            buf[i] = (char)(buf[i] ^ bits);
            ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
            ck_assert_uint_eq(number, 0);
            is_zero(&out);
            buf[i] = (char)(buf[i] ^ bits);
        }
    }
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), 0);
}
END_TEST

/* A text that is whole is not less so for what fills the slot up. */
START_TEST(sees_every_cut)
{
    og_state_t s = sample(), out;
    char buf[SLOT + 1];
    uint64_t number;
    size_t n = og_state_format(&s, 12, buf);

    ck_assert_int_eq(og_state_parse(buf, 0, &out, &number), -ENODATA);
    for (size_t len = 1; len < n; len++)
        ck_assert_int_eq(og_state_parse(buf, len, &out, &number), -EINVAL);
    for (size_t len = n; len <= SLOT; len++)
        ck_assert_int_eq(og_state_parse(buf, len, &out, &number), 0);
    buf[SLOT] = '\n';
    ck_assert_int_eq(og_state_parse(buf, sizeof buf, &out, &number), -EINVAL);
}
END_TEST

/* What fills the rest may be anything that ends the text; what it is must be there. */
START_TEST(ends_with_a_newline)
{
    og_state_t out;
    char buf[SLOT];
    uint64_t number;

    seal("", buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
    seal("\n", buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
    seal("mod_oomguard state 7 9\n", buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EPROTONOSUPPORT);
    ck_assert_uint_eq(number, 9);
    /* The sum is one, and right, but on no line of its own. */
    seal("mod_oomguard state 7 9\nx", buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
}
END_TEST

START_TEST(knows_a_blank_one)
{
    char buf[SLOT];
    og_state_t out;
    uint64_t number;

    memset(buf, 0, sizeof buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -ENODATA);
    memset(buf, '\n', sizeof buf / 2);
    buf[17] = ' ';
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -ENODATA);
    buf[SLOT - 1] = 'x';
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
    buf[SLOT - 1] = '\0';
    buf[0] = 'x';
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), -EINVAL);
}
END_TEST

/* What becomes of the golden text, of the right sum, if a part of it is another. */
static const struct {
    const char *part, *instead;
    int rc;
} changes[] = {
    { "clean no", "clean yes", 0 },
    { "master 4242", "master -1", 0 },
    { "events 17", "events unknown", 0 },
    { "boot_id " BOOT_ID, "boot_id ", 0 },
    { "/httpd.service", "/h\\x0a\\x5c\\xff t", 0 },
    { "state 1 12", "state 2 12", -EPROTONOSUPPORT },
    { "state 1 12", "state 0 12", -EPROTONOSUPPORT },
    { "state 1 12", "state 1 9223372036854775807", 0 },
    { "state 1 12", "state 1 9223372036854775808", -EINVAL },
    { "state 1 12", "state 1", -EINVAL },
    { "state 1 12", "state 1 12 ", -EINVAL },
    { "state 1 12", "state x 12", -EINVAL },
    { "mod_oomguard state", "mod_oomguard_state", -EINVAL },
    { "clean no", "clean maybe", -EINVAL },
    { "clean no", "clean yep", -EINVAL },
    { "clean no", "clean yesterday", -EINVAL },
    { "clean no", "clean on", -EINVAL },
    { "clean no", "clean", -EINVAL },
    { "clean no", "clean ", -EINVAL },
    { "clean no\n", "", -EINVAL },
    { "clean no\n", "clean no\nclean no\n", -EINVAL },
    { "clean no\n", "clean no\nnew key\n", -EINVAL },
    { "clean no\n", "clean no\n\n", -EINVAL },
    { "clean no", " clean no", -EINVAL },
    { "clean no", "Clean no", -EINVAL },
    { "master 4242", "master 2147483647", 0 },
    { "master 4242", "master -2147483648", 0 },
    { "master 4242", "master 2147483648", -EINVAL },
    { "master 4242", "master -2147483649", -EINVAL },
    { "master 4242", "master 4242 ", -EINVAL },
    { "master 4242", "master +4242", -EINVAL },
    { "events 17", "events 18446744073709551616", -EINVAL },
    { "events 17", "events -1", -EINVAL },
    { "events 17", "events unknowm", -EINVAL },
    { "cgroup /", "Cgroup /", -EINVAL },
    { "cgroup /", "cgroup/", -EINVAL },
    { "events 17", "events 0x11", -EINVAL },
    { BOOT_ID, BOOT_ID "0", -EINVAL },
    { "/httpd.service", "/\\x00", -EINVAL },
    { "/httpd.service", "/\\x0A", -EINVAL },
    { "/httpd.service", "/\\x0", -EINVAL },
    { "/httpd.service", "/\\", -EINVAL },
    { "/httpd.service", "/\\012", -EINVAL },
    { "/httpd.service", "/a\tb", -EINVAL },
    { "/httpd.service", "/a\x7f", -EINVAL },
    { "/httpd.service", "/\\x09\\xa0\\xf9", 0 },
    { "/httpd.service", "/\\x:0", -EINVAL },
    { "/httpd.service", "/\\x/0", -EINVAL },
    { "/httpd.service", "/\\x`0", -EINVAL },
    { "/httpd.service", "/\\xg0", -EINVAL },
    { "/httpd.service", "/\\x", -EINVAL },
    { "/httpd.service", "/\\y00", -EINVAL },
    { "/httpd.service", "/ ~", 0 },
    { "/httpd.service", "/\x1f", -EINVAL },
    { "httpd.service\n", "httpd.service\nevents 17\n", -EINVAL },
    { "httpd.service\n", "httpd.service", -EINVAL },
};

START_TEST(refuses)
{
    const char *at = strstr(golden, changes[_i].part);
    size_t head = (size_t)(at - golden);
    size_t tail = (size_t)(strstr(golden, "sum ") - golden);
    char text[1024], buf[SLOT];
    og_state_t out;
    uint64_t number;

    ck_assert_ptr_nonnull(at);
    snprintf(text, sizeof text, "%.*s%s%.*s", (int)head, golden, changes[_i].instead,
             (int)(tail - head - strlen(changes[_i].part)), at + strlen(changes[_i].part));
    seal(text, buf);
    ck_assert_int_eq(og_state_parse(buf, SLOT, &out, &number), changes[_i].rc);
    if (changes[_i].rc != 0)
        is_zero(&out);
    ck_assert_int_eq(number != 0, changes[_i].rc != -EINVAL);
}
END_TEST

int main(void)
{
    TCase *slot = tcase_create("slot");

    tcase_add_test(slot, writes_as_documented);
    tcase_add_test(slot, goes_round_at_the_limits);
    tcase_add_test(slot, escapes_to_the_edge);
    tcase_add_test(slot, leaves_out_what_does_not_fit);
    tcase_add_loop_test(slot, fills_the_slot_to_its_last_byte, 0, 2);
    tcase_add_test(slot, ends_every_text);
    tcase_add_test(slot, sees_every_changed_byte);
    tcase_add_test(slot, sees_every_cut);
    tcase_add_test(slot, ends_with_a_newline);
    tcase_add_test(slot, knows_a_blank_one);
    tcase_add_loop_test(slot, refuses, 0, (int)(sizeof changes / sizeof *changes));
    return unit_run("state", &slot, 1);
}
