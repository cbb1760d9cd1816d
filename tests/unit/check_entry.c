/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/entry.h"
#include "unit.h"

#include <string.h>

static og_entry_t entry;

/* The value of the nth field of that name, or NULL. What goes into the journal is what the
 * iovecs say. */
static const char *value_of(const char *name, int n)
{
    static char value[OG_ENTRY_TEXT_MAX];
    size_t len = strlen(name);

    for (int i = 0; i < entry.count; i++) {
        const char *field = entry.fields[i].iov_base;

        if (entry.fields[i].iov_len <= len || memcmp(field, name, len) != 0 ||
            field[len] != '=' || n-- > 0)
            continue;
        memcpy(value, field + len + 1, entry.fields[i].iov_len - len - 1);
        value[entry.fields[i].iov_len - len - 1] = '\0';
        return value;
    }
    return NULL;
}

static void has(const char *name, const char *value)
{
    const char *found = value_of(name, 0);

    ck_assert_msg(found != NULL, "no %s", name);
    ck_assert_str_eq(found, value);
}

static void lacks(const char *name)
{
    ck_assert_ptr_null(value_of(name, 0));
}

static void make(const char *event)
{
    json_t *j = json_loads(event, 0, NULL);

    ck_assert_ptr_nonnull(j);
    og_entry_make(&entry, 2, "OG0101: the kernel killed \"a\"", j);
    json_decref(j);
}

START_TEST(a_kill)
{
    make("{\"event\":\"kill\",\"id\":\"cafe-12\",\"late\":false,\"again\":true,\"pid\":7,"
         "\"uid\":null,\"oom_score_adj\":-900,\"slot\":0,\"requests\":["
         "{\"method\":\"GET\",\"path\":\"/a\",\"vhost\":\"v\",\"client\":\"c\",\"seconds\":2.5},"
         "{\"method\":null,\"path\":null,\"vhost\":null,\"client\":null,\"seconds\":1.0}]}");
    has("MESSAGE", "OG0101: the kernel killed \"a\"");
    has("PRIORITY", "2");
    has("SYSLOG_IDENTIFIER", "oomguard");
    has("MESSAGE_ID", "7db0fa0e2c3d4120b8ae6d97af3fad9a");
    has("OOMGUARD_EVENT", "kill");
    has("OOMGUARD_ID", "cafe-12");
    lacks("OOMGUARD_LATE");
    has("OOMGUARD_AGAIN", "1");
    has("OOMGUARD_PID", "7");
    lacks("OOMGUARD_UID");
    has("OOMGUARD_OOM_SCORE_ADJ", "-900");
    has("OOMGUARD_SLOT", "0");
    lacks("OOMGUARD_REQUESTS");
    has("OOMGUARD_METHOD", "GET");
    has("OOMGUARD_PATH", "/a");
    has("OOMGUARD_SECONDS", "2.500");
    ck_assert_str_eq(value_of("OOMGUARD_SECONDS", 1), "1.000");
    ck_assert_ptr_null(value_of("OOMGUARD_PATH", 1));
    ck_assert_int_eq(entry.count, 4 + 6 + 5 + 1);
}
END_TEST

/* Whatever is given is escaped, but for what is printable. */
START_TEST(escapes_to_the_edge)
{
    json_t *j = json_pack("{s:s, s:b}", "Az_{`9", "\x01\x1f ~\x7f\xc2\x80", "no", 0);

    og_entry_make(&entry, 12345, "\x1f ~\x7f\xff", j);
    json_decref(j);
    has("MESSAGE", "%1f ~%7f%ff");
    has("PRIORITY", "12345");
    has("OOMGUARD_AZ_{`9", "%01%1f ~%7f%c2%80");
    ck_assert_int_eq(entry.count, 4);
}
END_TEST

/* No two kinds of event have the same one. */
START_TEST(message_ids)
{
    static const char *const events[] = { "kill", "counted", "unattributed", "sigkill",
                                          "httpd-sigkill", "crash", "vanished", "gap",
                                          "start" };
    const int n = sizeof events / sizeof *events;
    char ids[sizeof events / sizeof *events][33];

    for (int i = 0; i < n; i++) {
        json_t *j = json_pack("{s:s}", "event", events[i]);

        og_entry_make(&entry, 4, "x", j);
        json_decref(j);
        ck_assert_ptr_nonnull(value_of("MESSAGE_ID", 0));
        ck_assert_uint_eq(strspn(value_of("MESSAGE_ID", 0), "0123456789abcdef"), 32);
        strcpy(ids[i], value_of("MESSAGE_ID", 0));
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(ids[k], ids[i]);
    }
}
END_TEST

START_TEST(text_from_outside)
{
    make("{\"path\":\"/%41\\nOOMGUARD_PID=1\\u001b\\u007fcaf\\u00e9\\\\\\\"\",\"comm\":\"\"}");
    has("OOMGUARD_PATH", "/%41%0aOOMGUARD_PID=1%1b%7fcaf%c3%a9\\\"");
    has("OOMGUARD_COMM", "");
    lacks("OOMGUARD_PID");
    lacks("MESSAGE_ID");
}
END_TEST

/* What finds no room is left out, and what is there is whole. */
START_TEST(no_room)
{
    static char text[OG_ENTRY_TEXT_MAX / 2];
    json_t *j = json_object();

    memset(text, 1, sizeof text - 1);
    json_object_set_new(j, "event", json_string("kill"));
    json_object_set_new(j, "long", json_string(text));
    json_object_set_new(j, "pid", json_integer(7));
    og_entry_make(&entry, 2, "x", j);
    lacks("OOMGUARD_LONG");
    has("OOMGUARD_PID", "7");
    json_object_clear(j);
    for (int i = 0; i < 2 * OG_ENTRY_FIELDS_MAX; i++) {
        char key[2] = { (char)(i + 1), '\0' };

        json_object_set_new(j, key, json_true());
    }
    og_entry_make(&entry, 2, "x", j);
    ck_assert_int_eq(entry.count, OG_ENTRY_FIELDS_MAX);
    has("OOMGUARD_=", "1"); /* the last of those that there is room for */
    json_decref(j);
    og_entry_make(&entry, 2, "x", NULL); /* no memory for the event */
    ck_assert_int_eq(entry.count, 3);
}
END_TEST

/* To the last byte but one: what fills all of it may have been cut. Later and shorter ones have
 * the place of what did not fit. */
START_TEST(no_room_for_a_byte_more)
{
    static char text[OG_ENTRY_TEXT_MAX];
    const size_t head = strlen("MESSAGE=xPRIORITY=2SYSLOG_IDENTIFIER=oomguardOOMGUARD_A=");
    json_t *j;

    memset(text, 'x', sizeof text - 1);
    for (int less = 0; less < 2; less++) {
        text[sizeof text - head - (size_t)less] = '\0';
        j = json_pack("{s:s, s:i}", "a", text, "b", 7);
        og_entry_make(&entry, 2, "x", j);
        json_decref(j);
        if (less == 0) {
            lacks("OOMGUARD_A");
            has("OOMGUARD_B", "7");
            ck_assert_ptr_eq(entry.fields[3].iov_base, entry.text + head - strlen("OOMGUARD_A="));
        }
        else {
            has("OOMGUARD_A", text);
            lacks("OOMGUARD_B");
            ck_assert_uint_eq(entry.len, sizeof entry.text - 1);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("entry");

    tcase_add_test(tc, a_kill);
    tcase_add_test(tc, escapes_to_the_edge);
    tcase_add_test(tc, message_ids);
    tcase_add_test(tc, text_from_outside);
    tcase_add_test(tc, no_room);
    tcase_add_test(tc, no_room_for_a_byte_more);
    return unit_run("entry", &tc, 1);
}
