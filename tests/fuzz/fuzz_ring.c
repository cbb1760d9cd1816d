/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* The text of syslog(2). Records come out whole, printable, in places that only grow, and that
 * are the same for whoever begins later, where times do not run backwards. */
#include "oomguard/ring.h"
#include "fuzz.h"

#include <string.h>

static og_ring_t ring, later;

static void start(og_ring_t *r, const char *text, size_t len)
{
    r->text = (char *)text;
    r->p = text;
    r->size = r->len = len;
    r->place = 0;
}

static void check_record(const og_kmsg_record_t *rec, uint64_t last)
{
    MUST(rec->seq > last && rec->seq >= OG_RING_PLACE && rec->seq >> 62 == 0);
    MUST(rec->level < 8 && !rec->fragment);
    for (size_t i = 0; i < rec->len; i++)
        MUST(rec->text[i] >= 0x20 && rec->text[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* so that no byte behind it may be read */
    og_kmsg_record_t rec, same;
    uint64_t last = 0, usec = 0;
    og_kmsg_kill_t kill;
    og_kmsg_t k;
    bool begun = false, ordered = true;

    MUST(copy != NULL);
    memcpy(copy, data, size);
    og_kmsg_init(&k);
    start(&ring, copy, size);
    while (og_ring_next(&ring, &rec)) {
        check_record(&rec, last);
        ordered &= last == 0 || rec.usec > usec;
        last = rec.seq;
        usec = rec.usec;
        if (og_kmsg_feed(&k, &rec, &kill))
            MUST(rec.facility == 0 && kill.seq == rec.seq && kill.pid > 0);
        if (begun && ordered) {
            MUST(og_ring_next(&later, &same));
            MUST(same.seq == rec.seq && same.len == rec.len);
        }
        else if (!begun && ring.p > copy + size / 2) {
            begun = true;
            start(&later, ring.p, (size_t)(copy + size - ring.p));
        }
    }
    free(copy);
    return 0;
}
