/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* How fast eat fills memory, against what any program could reach: malloc and memset of
 * the same chunks. Prints "eat MIB/S", "memset MIB/S" and "ratio R"; with an argument,
 * the MiB to fill (default 96), of which the memory cgroup must have a little more. */
#include "oom/eat.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 9
#define MIB ((uint64_t)1 << 20)
#define STEP_BYTES (4 * MIB)
#define NSEC_PER_SEC 1000000000u

static uint64_t now_nsec(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void sleep_nsec(uint64_t nsec)
{
    (void)nsec;
}

static uint64_t full_nsec; /* when the last byte was there: giving back is not measured */

static bool tell(void *baton, const oom_eaten_t *eaten)
{
    (void)baton;
    (void)eaten;
    full_nsec = now_nsec();
    return true;
}

static uint64_t eat(uint64_t bytes)
{
    oom_kept_t kept = {NULL};
    oom_plan_t plan = {.kind = OOM_KIND_ANON, .size_bytes = bytes, .repeat = 1};
    oom_eater_t eater = {.file_dir = "/var/tmp",
                         .step_bytes = STEP_BYTES,
                         .clock = {now_nsec, sleep_nsec},
                         .kept = &kept,
                         .tell = tell};
    oom_outcome_t out;
    uint64_t start = now_nsec();

    if (oom_eat_run(&plan, &eater, &out) != OOM_END_DONE) {
        fprintf(stderr, "fill: %s was refused\n", out.step);
        exit(1);
    }
    return full_nsec - start;
}

static uint64_t set(uint64_t bytes)
{
    size_t n = (size_t)(bytes / STEP_BYTES);
    char **chunk = calloc(n, sizeof *chunk);
    uint64_t start = now_nsec(), took;

    for (size_t i = 0; chunk != NULL && i < n; i++) {
        chunk[i] = malloc(STEP_BYTES);
        if (chunk[i] == NULL) {
            fprintf(stderr, "fill: malloc was refused\n");
            exit(1);
        }
        memset(chunk[i], (int)i + 1, STEP_BYTES);
        /* Else a compiler may see that nobody reads it. */
        __asm__ volatile("" : : "r"(chunk[i]) : "memory");
    }
    took = now_nsec() - start;
    for (size_t i = 0; chunk != NULL && i < n; i++)
        free(chunk[i]);
    free(chunk);
    return took;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double rate(uint64_t *took, uint64_t bytes)
{
    qsort(took, ROUNDS, sizeof *took, by_size);
    return (double)bytes / MIB / ((double)took[ROUNDS / 2] / NSEC_PER_SEC);
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 96;
    uint64_t bytes = mib * MIB / STEP_BYTES * STEP_BYTES;
    uint64_t eaten[ROUNDS], filled[ROUNDS];
    double a, b;

    if (bytes == 0 || mib > 1024 * 1024) {
        fprintf(stderr, "usage: fill [MIB, at least 4]\n");
        return 2;
    }
#ifdef M_MMAP_THRESHOLD
    /* Else it rises with the first chunk that is freed, and the rounds differ. */
    mallopt(M_MMAP_THRESHOLD, MIB);
#endif
    eat(bytes);
    for (int i = 0; i < ROUNDS; i++) {
        filled[i] = set(bytes);
        eaten[i] = eat(bytes);
    }
    a = rate(eaten, bytes);
    b = rate(filled, bytes);
    printf("eat %.0f MiB/s\nmemset %.0f MiB/s\nratio %.3f\n", a, b, a / b);
    return 0;
}
