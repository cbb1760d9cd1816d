/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* A query string, and what must hold for whatever it says. The first line, if there is a
 * second, is OOMMaxSize. */
#include "oom/plan.h"
#include "fuzz.h"

#include <string.h>

#define PAGE_BYTES 4096u
#define LIMIT_BYTES ((uint64_t)128 << 20)

static void must(bool so)
{
    if (!so)
        abort();
}

/* One sentence in printable ASCII. */
static void check_sentence(const char *err)
{
    size_t len = strnlen(err, OOM_PLAN_ERROR_MAX);

    must(len > 0 && len < OOM_PLAN_ERROR_MAX - 1 && err[len - 1] == '.');
    for (size_t i = 0; i < len; i++)
        must(err[i] >= ' ' && err[i] < 0x7f);
}

static void check_plan(const oom_plan_t *p, uint64_t cap)
{
    uint64_t grain = p->kind == OOM_KIND_THREAD ? 256 * 1024 : PAGE_BYTES;
    unsigned __int128 total = (p->size_bytes + grain - 1) / grain * grain;
    uint64_t step = oom_plan_step(p, LIMIT_BYTES);

    must((unsigned)p->kind < OOM_KIND_COUNT && p->size_bytes > 0);
    must(p->repeat >= 1 && p->repeat <= OOM_PLAN_REPEAT_MAX);
    must(p->hold_msec <= OOM_PLAN_HOLD_MAX_SEC * (uint64_t)1000);
    must(p->rate_bytes <= OOM_PLAN_BYTES_MAX);
    must((step & (step - 1)) == 0 && step >= OOM_PLAN_STEP_MIN_BYTES &&
         step <= LIMIT_BYTES);
    if (p->size_bytes == OOM_PLAN_UNLIMITED) {
        must(cap == OOM_PLAN_UNLIMITED);
        return;
    }
    if (p->kind == OOM_KIND_FORK)
        total *= 2;
    /* Several cycles that are kept cost a page more each, at the least. */
    if (p->leak && p->repeat > 1)
        total = (total + PAGE_BYTES) * p->repeat;
    must(cap > OOM_PLAN_BYTES_MAX || total < (unsigned __int128)cap + PAGE_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *query = text, *nl;
    oom_bounds_t bounds = { LIMIT_BYTES, OOM_PLAN_UNLIMITED };
    char err[OOM_PLAN_ERROR_MAX];
    oom_amount_t cap;
    oom_plan_t plan;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if ((nl = strchr(text, '\n')) != NULL) {
        *nl = '\0';
        query = nl + 1;
        if (oom_plan_amount(text, &cap) == 0)
            bounds.cap_bytes = oom_plan_resolve(&cap, LIMIT_BYTES);
        must(bounds.cap_bytes > 0);
    }
    if (oom_plan_parse(query, &bounds, &plan, err, sizeof err) == 0)
        check_plan(&plan, bounds.cap_bytes);
    else
        check_sentence(err);
    free(text);
    return 0;
}
