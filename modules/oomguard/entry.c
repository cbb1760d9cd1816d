/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/entry.h"

#include <stdio.h>
#include <string.h>

/* Random ones, made once and for ever: by these the events are looked for. tests/lint/man
 * holds them against the man page. */
static const struct {
    const char *event, *id;
} message_ids[] = {
    { "kill", "7db0fa0e2c3d4120b8ae6d97af3fad9a" },
    { "counted", "45a2bab9c08846079fa13d114f68af37" },
    { "unattributed", "6dc4f90fe54a49568cb4160165a4db9b" },
    { "sigkill", "6629ff3b9ffc4643a9ce5e96c4b9cb1a" },
    { "httpd-sigkill", "f2b5b36b48984d1c9bd1a21f48f93d91" },
    { "crash", "2b0c7093efab4923bf0f727d2f467923" },
    { "vanished", "241bb653473541d7a3799282b381f943" },
    { "gap", "69c9f400a19d4f26849efe838ea3e4cf" },
    { "start", "e75b624468fb44a196b287a1b8507ba9" },
};

static void put(og_entry_t *e, char c)
{
    if (e->len < sizeof e->text)
        e->text[e->len++] = c;
}

static void put_escaped(og_entry_t *e, const char *value)
{
    static const char digits[] = "0123456789abcdef";

    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;

        if (c >= 0x20 && c <= 0x7e) {
            put(e, *value);
            continue;
        }
        put(e, '%');
        put(e, digits[c >> 4]);
        put(e, digits[c & 15]);
    }
}

/* key in upper case is the field's name, after the prefix. */
static void add(og_entry_t *e, const char *prefix, const char *key, const char *value)
{
    size_t begin = e->len;

    if (e->count == OG_ENTRY_FIELDS_MAX)
        return;
    for (; *prefix != '\0'; prefix++)
        put(e, *prefix);
    for (; *key != '\0'; key++)
        put(e, *key >= 'a' && *key <= 'z' ? (char)(*key - 'a' + 'A') : *key);
    put(e, '=');
    put_escaped(e, value);
    if (e->len == sizeof e->text)
        e->len = begin;
    else
        e->fields[e->count++] = (struct iovec){ e->text + begin, e->len - begin };
}

static void add_members(og_entry_t *e, json_t *object)
{
    const char *key;
    json_t *value, *element;
    size_t i;
    char number[64];

    json_object_foreach(object, key, value) {
        switch (json_typeof(value)) {
        case JSON_STRING:
            add(e, "OOMGUARD_", key, json_string_value(value));
            break;
        case JSON_INTEGER:
            snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
            add(e, "OOMGUARD_", key, number);
            break;
        case JSON_REAL:
            snprintf(number, sizeof number, "%.3f", json_real_value(value));
            add(e, "OOMGUARD_", key, number);
            break;
        case JSON_TRUE:
            add(e, "OOMGUARD_", key, "1");
            break;
        case JSON_ARRAY: /* the requests */
            json_array_foreach(value, i, element)
                add_members(e, element);
            break;
        default:
            break;
        }
    }
}

void og_entry_make(og_entry_t *e, int priority, const char *message, json_t *event)
{
    const char *kind = json_string_value(json_object_get(event, "event"));
    char number[16];

    e->len = 0;
    e->count = 0;
    snprintf(number, sizeof number, "%d", priority);
    add(e, "", "MESSAGE", message);
    add(e, "", "PRIORITY", number);
    add(e, "", "SYSLOG_IDENTIFIER", "oomguard");
    for (size_t i = 0; i < sizeof message_ids / sizeof *message_ids; i++) {
        if (kind != NULL && strcmp(kind, message_ids[i].event) == 0)
            add(e, "", "MESSAGE_ID", message_ids[i].id);
    }
    add_members(e, event);
}
