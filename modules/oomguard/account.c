/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/account.h"
#include "lib/atomic.h"
#include "lib/file.h"
#include "lib/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Of x86-64 and what else has pages of 4 KiB: a page table full of them. */
#define HUGE_PAGES 512

int64_t og_account_parse(const char *statm)
{
    const char *p = statm, *end = statm + strlen(statm);
    uint64_t size, resident, shared;

    if (!og_num_u64(&p, end, &size) || *p++ != ' ' || !og_num_u64(&p, end, &resident) ||
        *p++ != ' ' || !og_num_u64(&p, end, &shared) || resident > INT64_MAX / 2)
        return -1;
    return resident > shared ? (int64_t)(resident - shared) : 0;
}

int64_t og_account_now(const og_account_t *a)
{
    char text[128];
    ssize_t n = a->statm >= 0 ? pread(a->statm, text, sizeof text - 1, 0) : -1;

    if (n <= 0)
        return -1;
    text[n] = '\0'; /* the kernel gives this line as a whole */
    return og_account_parse(text);
}

int og_account_open(og_account_t *a, const char *proc, const char *sys)
{
    char path[256], text[64];

    snprintf(path, sizeof path, "%s/kernel/mm/transparent_hugepage/enabled", sys);
    a->fault = og_file_read(path, text, sizeof text) > 0 && strstr(text, "[always]") != NULL
                   ? HUGE_PAGES
                   : 1;
    snprintf(path, sizeof path, "%s/self/statm", proc);
    a->base = a->charged = 0;
    a->statm = open(path, O_RDONLY | O_CLOEXEC);
    return a->statm >= 0 ? 0 : -errno;
}

void og_account_begin(og_account_t *a)
{
    int64_t now = og_account_now(a);

    a->base = now > 0 ? now : 0;
}

int64_t og_account_look(og_account_t *a, uint64_t faults)
{
    int64_t now, most, charge, charged;

    if ((now = og_account_now(a)) < 0)
        return 0;
    most = faults < (uint64_t)INT64_MAX / HUGE_PAGES ? (int64_t)faults * a->fault : INT64_MAX / 2;
    charged = OG_PEEK(&a->charged);
    do {
        charge = now - a->base - charged;
        charge = charge > most ? most : charge < -most ? -most : charge;
    } while (!__atomic_compare_exchange_n(&a->charged, &charged, charged + charge, false,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return charge;
}
