/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Raw records of /dev/kmsg, one after the other; lines that start with a space belong to
 * the record before them. A sequence number that steps back is a gap. */
#include "oomguard/kmsg.h"
#include "fuzz.h"

#include <string.h>

static void check_text(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);

    MUST(end != NULL);
    for (const char *p = text; p < end; p++)
        MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void check_number(int64_t n)
{
    MUST(n >= 0 || n == OG_KMSG_UNKNOWN);
}

static void check_kill(const og_kmsg_record_t *rec, const og_kmsg_kill_t *kill)
{
    MUST(rec->facility == 0 && !rec->fragment);
    MUST(memmem(rec->text, rec->len, "illed process ", 14) != NULL);
    MUST(kill->seq == rec->seq && kill->usec == rec->usec);
    MUST(kill->killer >= OG_KILLER_UNKNOWN && kill->killer <= OG_KILLER_MEMPOLICY);
    MUST(kill->pid > 0);
    check_text(kill->comm, sizeof kill->comm);
    check_text(kill->invoked_by, sizeof kill->invoked_by);
    check_text(kill->oom_memcg, sizeof kill->oom_memcg);
    check_text(kill->task_memcg, sizeof kill->task_memcg);
    MUST(kill->oom_memcg[0] == '\0' || kill->oom_memcg[0] == '/');
    MUST(kill->task_memcg[0] == '\0' || kill->task_memcg[0] == '/');
    check_number(kill->uid);
    check_number(kill->total_vm_kib);
    check_number(kill->anon_rss_kib);
    check_number(kill->file_rss_kib);
    check_number(kill->shmem_rss_kib);
    check_number(kill->pgtables_kib);
    check_number(kill->usage_kib);
    check_number(kill->limit_kib);
    MUST(kill->oom_score_adj == OG_KMSG_UNKNOWN ||
         (kill->oom_score_adj >= -1000 && kill->oom_score_adj <= 1000));
}

/* The length of the first record, with the newline at its end. */
static size_t first_record(const char *p, size_t size)
{
    size_t len = 0;

    do {
        const char *newline = memchr(p + len, '\n', size - len);

        len = newline == NULL ? size : (size_t)(newline - p) + 1;
    } while (len < size && p[len] == ' ');
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static og_kmsg_t k;
    uint64_t last = 0;

    og_kmsg_init(&k);
    while (size > 0) {
        size_t len = first_record((const char *)data, size);
        og_kmsg_record_t rec;
        og_kmsg_kill_t kill;
        char *copy = malloc(len); /* so that no byte behind it may be read */

        MUST(copy != NULL);
        memcpy(copy, data, len);
        if (og_kmsg_parse(copy, len, &rec) == 0) {
            uint64_t next = rec.seq + 1;

            MUST(rec.text >= copy && rec.text + rec.len <= copy + len);
            MUST(memchr(rec.text, '\n', rec.len) == NULL);
            if (rec.seq < last)
                og_kmsg_gap(&k);
            last = rec.seq;
            if (og_kmsg_feed(&k, &rec, &kill)) {
                check_kill(&rec, &kill);
                MUST(og_kmsg_resume(&k, next) == next);
            }
        }
        free(copy);
        data += len;
        size -= len;
    }
    return 0;
}
