/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Memory that threads and processes share without a lock. Each value is read and written at once;
 * what a thread wrote before it stored a value is seen by a thread that has loaded this value.
 *
 * A copy of something that another one may be writing is made word by word, and is worth something
 * only if a look at a stamp says so that was taken before and after. There are no fences, since
 * ThreadSanitizer knows none: instead each word is loaded before anything after it (acquire), and
 * stored after anything before it (release). If a reader has one word that was written after the
 * stamp, it sees that stamp when it looks again. */
#ifndef OG_ATOMIC_H
#define OG_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define OG_LOAD(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define OG_STORE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Of values that say nothing of others. */
#define OG_PEEK(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define OG_POKE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define OG_ADD(p, n) __atomic_add_fetch((p), (n), __ATOMIC_RELAXED)

typedef uint64_t og_word_t __attribute__((may_alias));

/* Both begin at a whole word, and have a whole number of words. */
static inline void og_atomic_read(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size / sizeof(og_word_t); i++)
        ((og_word_t *)to)[i] = OG_LOAD((const og_word_t *)from + i);
}

static inline void og_atomic_write(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size / sizeof(og_word_t); i++)
        OG_STORE((og_word_t *)to + i, ((const og_word_t *)from)[i]);
}

/* Writes a text that fits, with its NUL and what is left of the last word of it: "to" begins at a
 * whole word. */
static inline void og_atomic_text(char *to, const char *text, size_t len)
{
    og_word_t word, *at = (og_word_t *)(void *)to;

    for (; len >= sizeof word; len -= sizeof word, text += sizeof word) {
        memcpy(&word, text, sizeof word);
        OG_STORE(at++, word);
    }
    word = 0;
    memcpy(&word, text, len);
    OG_STORE(at, word);
}

/* What has a stamp, which is odd while it is written, and 0 if it never was. One thread at a time
 * may write it; one that dies in the midst leaves it to the next. */
static inline void og_stamped_write(uint64_t *stamp, void *to, const void *from, size_t size)
{
    uint64_t odd = OG_PEEK(stamp) | 1;

    OG_POKE(stamp, odd);
    og_atomic_write(to, from, size);
    OG_STORE(stamp, odd + 1);
}

/* False if it never was written, or is being written. */
static inline bool og_stamped_read(const uint64_t *stamp, void *to, const void *from, size_t size)
{
    uint64_t before = OG_LOAD(stamp);

    if (before == 0 || before % 2 != 0)
        return false;
    og_atomic_read(to, from, size);
    return OG_PEEK(stamp) == before;
}

#endif
