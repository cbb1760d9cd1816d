/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What a plan comes to in memory: what is held against OOMMaxSize. Sizes are what eat
 * makes of them, and of cycles that pile up each one's own cost counts, too: a million
 * times a byte is no megabyte.
 *
 * Not counted is what does not grow with the number of cycles (some 16 KiB a request, and
 * for kind=file 64 KiB), nor what grows with the size (under 3 %: page tables, malloc's
 * headers, threads). */
#ifndef OOM_CAP_H
#define OOM_CAP_H

#include "oom/plan.h"

/* What sizes of this kind are rounded up to multiples of. */
uint64_t oom_cap_grain_bytes(oom_kind_t kind);

/* What a cycle keeps beside its size when more than one is kept, here and in the kernel:
 * no less than what it was measured to take. */
uint64_t oom_cap_extra_bytes(oom_kind_t kind);

/* The most that is there at one time, with every kept cycle and the copy of kind=fork.
 * False: more than a process can address. plan->size_bytes is at most OOM_PLAN_BYTES_MAX.
 */
bool oom_cap_total(const oom_plan_t *plan, uint64_t *bytes);

/* The cap as pages can keep to it: rounded up to one. */
uint64_t oom_cap_pages(uint64_t cap_bytes);

/* The largest size, in whole grains, that keeps the plan's total within the cap; 0 if
 * none does. OOM_PLAN_UNLIMITED where there is no cap. */
uint64_t oom_cap_size(const oom_plan_t *plan, uint64_t cap_bytes);

#endif
