/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Writes a log that was recorded from /dev/kmsg as other programs would have written it, from
 * stdin to stdout. Made after what dmesg of util-linux 2.38, rsyslog 8 and journalctl of
 * systemd 252 do. */
#include "oomguard/kmsg.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When the machine was started: 2026-11-26 00:00:00 in UTC. */
#define BOOT_SEC 1795651200u
#define BOOT_DAY 26

typedef struct {
    const og_kmsg_record_t *rec;
    char text[OG_KMSG_RECORD_MAX];
    size_t len;
    unsigned day, hour, min, sec, usec;
} message_t;

static void decode(message_t *m)
{
    const char *p = m->rec->text, *end = p + m->rec->len;
    unsigned byte;

    for (m->len = 0; p < end; m->len++) {
        char hex[5] = "";

        memcpy(hex, p, end - p < 4 ? (size_t)(end - p) : 4);
        if (sscanf(hex, "\\x%2x", &byte) == 1) {
            m->text[m->len] = (char)byte;
            p += 4;
        }
        else
            m->text[m->len] = *p++;
    }
}

/* A line for each of the message's, the first one behind head, the others behind more. */
static void lines(const message_t *m, const char *head, const char *more)
{
    const char *p = m->text, *end = p + m->len, *newline;

    fputs(head, stdout);
    while ((newline = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        fwrite(p, 1, (size_t)(newline - p), stdout);
        printf("\n%s", more);
        p = newline + 1;
    }
    fwrite(p, 1, (size_t)(end - p), stdout);
    putchar('\n');
}

static void dmesg(const message_t *m, const char *head)
{
    char indent[80] = "";

    memset(indent, ' ', strlen(head) < sizeof indent ? strlen(head) : 0);
    lines(m, head, indent);
}

static void stamp(char *buf, size_t size, const message_t *m)
{
    snprintf(buf, size, "[%5" PRIu64 ".%06u] ", m->rec->usec / 1000000, m->usec);
}

/* --- The journal -------------------------------------------------------------------- */

static bool is_printable(const message_t *m)
{
    for (size_t i = 0; i < m->len; i++)
        if ((unsigned char)m->text[i] < ' ')
            return false;
    return true;
}

static void json(const message_t *m)
{
    json_t *text = is_printable(m) ? json_stringn(m->text, m->len) : json_array();
    char *dumped;

    if (json_is_array(text))
        for (size_t i = 0; i < m->len; i++)
            json_array_append_new(text, json_integer((unsigned char)m->text[i]));
    dumped = json_dumps(text, JSON_ENCODE_ANY | JSON_COMPACT);
    printf("{\"__REALTIME_TIMESTAMP\":\"%" PRIu64 "\",\"_TRANSPORT\":\"kernel\","
           "\"__MONOTONIC_TIMESTAMP\":\"%" PRIu64 "\",\"MESSAGE\":%s,\"PRIORITY\":\"%u\","
           "\"SYSLOG_IDENTIFIER\":\"kernel\",\"SYSLOG_FACILITY\":\"%u\","
           "\"_SOURCE_MONOTONIC_TIMESTAMP\":\"%" PRIu64 "\",\"_HOSTNAME\":\"web\"}\n",
           (uint64_t)BOOT_SEC * 1000000 + m->rec->usec, m->rec->usec + 77, dumped,
           m->rec->level, m->rec->facility, m->rec->usec);
    free(dumped);
    json_decref(text);
}

static void export(const message_t *m)
{
    uint64_t len = m->len;

    printf("__CURSOR=s=0;i=%" PRIx64 "\n__REALTIME_TIMESTAMP=%" PRIu64
           "\n__MONOTONIC_TIMESTAMP=%" PRIu64 "\n_TRANSPORT=kernel\nSYSLOG_FACILITY=%u\n",
           m->rec->seq, (uint64_t)BOOT_SEC * 1000000 + m->rec->usec, m->rec->usec + 77,
           m->rec->facility);
    if (is_printable(m))
        fputs("MESSAGE=", stdout);
    else {
        fputs("MESSAGE\n", stdout);
        for (int i = 0; i < 8; i++)
            putchar((int)(len >> (8 * i) & 255));
    }
    fwrite(m->text, 1, m->len, stdout);
    printf("\n_SOURCE_MONOTONIC_TIMESTAMP=%" PRIu64 "\n_HOSTNAME=web\n\n", m->rec->usec);
}

/* --- All of them -------------------------------------------------------------------- */

static bool write_as(const char *form, const message_t *m)
{
    char head[128], time[40], since_boot[40];

    snprintf(time, sizeof time, "%02u:%02u:%02u", m->hour, m->min, m->sec);
    stamp(since_boot, sizeof since_boot, m);
    if (strcmp(form, "json") == 0)
        json(m);
    else if (strcmp(form, "export") == 0)
        export(m);
    else if (strcmp(form, "dmesg") == 0)
        dmesg(m, since_boot);
    else if (strcmp(form, "dmesg-T") == 0) {
        snprintf(head, sizeof head, "[Thu Nov %u %s 2026] ", m->day, time);
        dmesg(m, head);
    }
    else if (strcmp(form, "dmesg-x") == 0) {
        snprintf(head, sizeof head, "%-6s:%-6s: %s", "kern", "info", since_boot);
        dmesg(m, head);
    }
    else if (strcmp(form, "dmesg-r") == 0) {
        snprintf(head, sizeof head, "<%u>%s", m->rec->level, since_boot);
        lines(m, head, head);
    }
    else if (strcmp(form, "dmesg-iso") == 0) {
        snprintf(head, sizeof head, "2026-11-%uT%s,%06u+00:00 ", m->day, time, m->usec);
        dmesg(m, head);
    }
    else if (strcmp(form, "syslog") == 0) {
        snprintf(head, sizeof head, "Nov %u %s web kernel: %s", m->day, time, since_boot);
        lines(m, head, head);
    }
    else if (strcmp(form, "syslog-iso") == 0) {
        snprintf(head, sizeof head, "2026-11-%uT%s.%06u+00:00 web kernel: %s", m->day, time,
                 m->usec, since_boot);
        lines(m, head, head);
    }
    else if (strcmp(form, "journal") == 0) {
        snprintf(head, sizeof head, "Nov %u %s web kernel: ", m->day, time);
        dmesg(m, head);
    }
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    static char line[OG_KMSG_RECORD_MAX];
    static message_t m;

    while (fgets(line, sizeof line, stdin) != NULL) {
        og_kmsg_record_t rec;
        unsigned sec;

        if (og_kmsg_parse(line, strlen(line), &rec) != 0)
            continue;
        m.rec = &rec;
        sec = (unsigned)(rec.usec / 1000000);
        m.day = BOOT_DAY + sec / 86400;
        m.hour = sec / 3600 % 24;
        m.min = sec / 60 % 60;
        m.sec = sec % 60;
        m.usec = (unsigned)(rec.usec % 1000000);
        decode(&m);
        if (argc != 2 || !write_as(argv[1], &m)) {
            fputs("usage: convert FORM <RECORDED\n", stderr);
            return 2;
        }
    }
    return 0;
}
