/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/ring.h"
#include "oomguard/span.h"
#include "lib/num.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>

/* Of syslog(2); <sys/klog.h> has no names. */
#define READ_ALL 3
#define SIZE_BUFFER 10

/* One look takes the log's latest part first. A report with its list of tasks has some 10. */
#define FIRST_LOOK_BYTES (32 * 1024)

/* The kernel's buffer is without times and priorities. Someone may have made it huge: what
 * goes that far back is lost, and said to be. */
#define TEXT_PARTS 2
#define SIZE_MAX_BYTES (1024 * 1024)

/* Clocks may be coarse, and those of two processors differ, so that a record stands behind one
 * of a later time. The place of one that was read first is right only where all before it are
 * earlier: read on until that does not matter. */
#define DISORDER_USEC 1000000

/* Places between two microseconds. */
#define PLACE_SHIFT 10
#define USEC_MAX (OG_RING_PLACE >> PLACE_SHIFT)

static bool digits6(og_span_t *s, uint64_t *usec)
{
    og_span_t t = { s->p, s->p + 6 };

    if (s->end - s->p < 6 || !og_num_u64(&t.p, t.end, usec) || t.p != t.end)
        return false;
    s->p = t.p;
    return true;
}

/* "[   12.345678]". */
static bool stamp(og_span_t *s, uint64_t *usec)
{
    uint64_t sec, part;

    if (!og_span_eat(s, "["))
        return false;
    og_span_spaces(s);
    if (!og_num_u64(&s->p, s->end, &sec) || !og_span_eat(s, ".") || !digits6(s, &part) ||
        !og_span_eat(s, "]") || sec >= USEC_MAX / 1000000)
        return false;
    *usec = sec * 1000000 + part;
    return true;
}

static bool parse(og_span_t s, og_kmsg_record_t *rec)
{
    uint64_t priority;

    memset(rec, 0, sizeof *rec);
    if (!og_span_eat(&s, "<") || !og_num_u64(&s.p, s.end, &priority) || priority > UINT_MAX ||
        !og_span_eat(&s, ">") || !stamp(&s, &rec->usec))
        return false;
    og_span_caller(&s);
    if (!og_span_eat(&s, " "))
        return false;
    rec->facility = (unsigned)(priority >> 3);
    rec->level = (unsigned)(priority & 7);
    rec->text = s.p;
    rec->len = (size_t)(s.end - s.p);
    return true;
}

static void escape(og_ring_t *r, og_kmsg_record_t *rec)
{
    size_t n = 0;

    for (size_t i = 0; i < rec->len && n + 4 <= sizeof r->escaped; i++) {
        unsigned char c = (unsigned char)rec->text[i];

        n += og_span_put(r->escaped + n, c, og_span_is_plain(c));
    }
    rec->text = r->escaped;
    rec->len = n;
}

bool og_ring_next(og_ring_t *r, og_kmsg_record_t *rec)
{
    const char *end = r->text + r->len, *newline;
    bool found = false;

    while (!found && (newline = memchr(r->p, '\n', (size_t)(end - r->p))) != NULL) {
        found = parse((og_span_t){ r->p, newline }, rec);
        r->p = newline + 1;
    }
    if (!found)
        return false;
    rec->seq = OG_RING_PLACE | rec->usec << PLACE_SHIFT;
    if (rec->seq <= r->place)
        rec->seq = r->place + 1;
    r->place = rec->seq;
    escape(r, rec);
    return true;
}

static void rewind_to_start(og_ring_t *r)
{
    r->p = r->text;
    r->place = 0;
}

int og_ring_read(og_ring_t *r, uint64_t from)
{
    og_kmsg_record_t first;
    bool any, enough = false;

    for (size_t size = FIRST_LOOK_BYTES; !enough; size *= 2) {
        int n = klogctl(READ_ALL, r->text, (int)(size < r->size ? size : r->size));

        r->len = n > 0 ? (size_t)n : 0;
        rewind_to_start(r);
        if (n < 0)
            return -errno;
        any = og_ring_next(r, &first);
        rewind_to_start(r);
        enough = !any || size >= r->size ||
                 first.usec + DISORDER_USEC < (from & (OG_RING_PLACE - 1)) >> PLACE_SHIFT;
    }
    return any && first.seq > from && from > OG_RING_PLACE ? -ENODATA : 0;
}

int og_ring_open(og_ring_t *r)
{
    int size = klogctl(SIZE_BUFFER, NULL, 0);

    memset(r, 0, sizeof *r);
    if (size < 0)
        return -errno;
    r->size = (size_t)size * TEXT_PARTS;
    if (r->size > SIZE_MAX_BYTES)
        r->size = SIZE_MAX_BYTES;
    r->text = mmap(NULL, r->size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (r->text == MAP_FAILED)
        return -errno;
    rewind_to_start(r);
    return 0;
}

int og_ring_probe(void)
{
    static og_ring_t ring;
    og_kmsg_record_t rec;
    int rc = og_ring_open(&ring);

    if (rc == 0)
        rc = og_ring_read(&ring, UINT64_MAX);
    if (rc == 0 && ring.len > 0 && !og_ring_next(&ring, &rec))
        rc = -ENODATA;
    return rc;
}
