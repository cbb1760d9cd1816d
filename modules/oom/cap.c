/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/cap.h"

#define PAGE_BYTES 4096u
/* A thread's stack holds its control block and the C library's start-up frames: less than
 * this is not worth a thread, and pthread_attr_setstack refuses it on some machines. */
#define STACK_GRAIN_BYTES (256u * 1024)

uint64_t oom_cap_grain_bytes(oom_kind_t kind)
{
    return kind == OOM_KIND_THREAD ? STACK_GRAIN_BYTES : PAGE_BYTES;
}

uint64_t oom_cap_extra_bytes(oom_kind_t kind)
{
    switch (kind) {
    case OOM_KIND_THREAD: /* the kernel's own stack and its record of the task */
        return 64u * 1024;
    case OOM_KIND_FORK: /* a process, with the page tables of its parent */
        return 1024u * 1024;
    default: /* a record, and malloc's header or the kernel's record of the mapping */
        return PAGE_BYTES;
    }
}

static uint64_t copies(const oom_plan_t *plan)
{
    return plan->kind == OOM_KIND_FORK ? 2 : 1;
}

static uint64_t kept_cycles(const oom_plan_t *plan)
{
    return plan->leak ? plan->repeat : 1;
}

/* One cycle costs what it costs without leak, which counts its size alone. */
static uint64_t extra(const oom_plan_t *plan)
{
    return kept_cycles(plan) > 1 ? oom_cap_extra_bytes(plan->kind) : 0;
}

static uint64_t round_up(uint64_t bytes, uint64_t grain)
{
    return (bytes + grain - 1) / grain * grain;
}

bool oom_cap_total(const oom_plan_t *plan, uint64_t *bytes)
{
    uint64_t grain = oom_cap_grain_bytes(plan->kind), cycle;

    return !__builtin_mul_overflow(round_up(plan->size_bytes, grain), copies(plan),
                                   &cycle) &&
           !__builtin_add_overflow(cycle, extra(plan), &cycle) &&
           !__builtin_mul_overflow(cycle, kept_cycles(plan), bytes) &&
           *bytes <= round_up(OOM_PLAN_BYTES_MAX, grain);
}

uint64_t oom_cap_pages(uint64_t cap_bytes)
{
    return cap_bytes > OOM_PLAN_BYTES_MAX ? cap_bytes : round_up(cap_bytes, PAGE_BYTES);
}

uint64_t oom_cap_size(const oom_plan_t *plan, uint64_t cap_bytes)
{
    uint64_t grain = oom_cap_grain_bytes(plan->kind);
    uint64_t cycle = oom_cap_pages(cap_bytes) / kept_cycles(plan);

    if (cap_bytes == OOM_PLAN_UNLIMITED)
        return OOM_PLAN_UNLIMITED;
    if (cycle <= extra(plan))
        return 0;
    cycle = (cycle - extra(plan)) / copies(plan);
    return cycle - cycle % grain;
}
