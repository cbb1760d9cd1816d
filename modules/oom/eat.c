/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oom/eat.h"
#include "oom/cap.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define NSEC_PER_SEC 1000000000u
#define NSEC_PER_MSEC 1000000u
#define TICK_NSEC NSEC_PER_SEC
#define PACES_PER_SEC 16u                 /* how smooth a rate is */
#define POLL_NSEC (2u * NSEC_PER_MSEC)    /* while a child writes */
#define CHILD_NSEC (100u * NSEC_PER_MSEC) /* while it only is there */

typedef struct {
    const oom_plan_t *plan;
    const oom_eater_t *eater;
    oom_outcome_t *out;
    oom_meal_t *meal;
    uint64_t size;   /* of a cycle, rounded up; or OOM_PLAN_UNLIMITED */
    uint64_t before; /* bytes that earlier cycles leaked */
    uint64_t bytes;  /* of this cycle */
    uint64_t told_bytes, told_nsec;
    oom_phase_t phase;
    uint32_t cycle;
} run_t;

static uint64_t min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int tell(run_t *r)
{
    oom_eaten_t now = { r->phase, r->cycle, r->before + r->bytes };

    r->told_bytes = r->bytes;
    r->told_nsec = r->eater->clock.now_nsec();
    return r->eater->tell(r->eater->baton, &now) ? OOM_END_DONE : OOM_END_STOPPED;
}

/* Nobody hears a client go: it is noticed when something is written to it. */
static int tick(run_t *r)
{
    if (r->eater->clock.now_nsec() - r->told_nsec < TICK_NSEC)
        return OOM_END_DONE;
    return tell(r);
}

static int grown(run_t *r)
{
    if (r->bytes - r->told_bytes >= r->eater->step_bytes)
        return tell(r);
    return tick(r);
}

static int look_after_child(run_t *r)
{
    if (r->meal->child == 0 || oom_copy_alive(r->meal, &r->out->signal))
        return OOM_END_DONE;
    return OOM_END_CHILD_KILLED;
}

static int wait_until(run_t *r, uint64_t due_nsec)
{
    const oom_clock_t *clock = &r->eater->clock;
    uint64_t now, told, nap;
    int rc;

    while ((now = clock->now_nsec()) < due_nsec) {
        told = now - r->told_nsec;
        nap = min(due_nsec - now, told < TICK_NSEC ? TICK_NSEC - told : 0);
        clock->sleep_nsec(r->meal->child != 0 ? min(nap, CHILD_NSEC) : nap);
        if ((rc = look_after_child(r)) != 0 || (rc = tick(r)) != 0)
            return rc;
    }
    return 0;
}

/* How much is touched in one go: a step, or less when there is a rate to keep. */
static uint64_t quantum(const run_t *r)
{
    uint64_t step = r->eater->step_bytes, q = r->plan->rate_bytes / PACES_PER_SEC;

    if (r->plan->kind == OOM_KIND_THREAD)
        return OOM_MEAL_STACK_BYTES;
    if (r->plan->rate_bytes == 0 || q >= step)
        return step;
    q -= q % OOM_MEAL_PAGE_BYTES;
    return q > 0 ? q : OOM_MEAL_PAGE_BYTES;
}

/* One chunk of len bytes, quantum by quantum. */
static int bite(run_t *r, uint64_t len, uint64_t q, uint64_t start_nsec)
{
    uint64_t rate = r->plan->rate_bytes;
    int rc = oom_meal_get(r->meal, len);

    for (uint64_t done = 0, n; rc == 0 && done < len; done += n) {
        n = min(q, len - done);
        rc = oom_meal_touch(r->meal, n);
        if (rc != 0)
            break;
        r->bytes += n;
        rc = grown(r);
        if (rc == 0 && rate != 0)
            rc = wait_until(r, oom_copy_due_nsec(start_nsec, r->bytes, rate));
    }
    return rc;
}

static int grow(run_t *r)
{
    uint64_t q = quantum(r), start = r->eater->clock.now_nsec();
    uint64_t chunk = q > r->eater->step_bytes ? q : r->eater->step_bytes;
    int rc = 0;

    r->phase = OOM_PHASE_GROWING;
    while (rc == 0 && r->bytes < r->size)
        rc = bite(r, min(chunk, r->size - r->bytes), q, start);
    if (rc == 0 && r->told_bytes != r->bytes)
        rc = tell(r);
    return rc;
}

/* kind=fork: the child writes it all once more. */
static int copy(run_t *r)
{
    const oom_clock_t *clock = &r->eater->clock;
    int rc = oom_copy_start(r->meal, r->plan->rate_bytes, clock);

    r->phase = OOM_PHASE_COPYING;
    while (rc == 0 && r->bytes < 2 * r->size) {
        clock->sleep_nsec(POLL_NSEC);
        rc = look_after_child(r);
        r->bytes = r->size + oom_copy_written(r->meal);
        if (rc == 0)
            rc = grown(r);
    }
    if (rc == 0 && r->told_bytes != r->bytes)
        rc = tell(r);
    return rc;
}

static int hold(run_t *r)
{
    uint64_t due = r->eater->clock.now_nsec() + r->plan->hold_msec * NSEC_PER_MSEC;
    int rc;

    if (r->plan->hold_msec == 0)
        return 0;
    r->phase = OOM_PHASE_HOLDING;
    rc = tell(r);
    return rc == 0 ? wait_until(r, due) : rc;
}

static void keep(oom_kept_t *kept, oom_meal_t *m)
{
    m->next_kept = __atomic_load_n(&kept->head, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&kept->head, &m->next_kept, m, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
}

static void *emergency_take(void)
{
    return mmap(NULL, OOM_EAT_EMERGENCY_BYTES, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

static int cycle(run_t *r)
{
    const oom_eater_t *e = r->eater;
    int rc = 0;

    r->bytes = r->told_bytes = 0;
    if (r->meal == NULL)
        rc = oom_meal_open(r->plan->kind, e->file_dir, e->clock.now_nsec(), &r->meal,
                           &r->out->step);
    if (rc != 0)
        return rc;
    rc = grow(r);
    if (rc == 0 && r->plan->kind == OOM_KIND_FORK)
        rc = copy(r);
    if (rc == 0)
        rc = hold(r);
    r->out->step = rc < 0 ? r->meal->step : NULL;
    if (r->before + r->bytes > r->out->bytes)
        r->out->bytes = r->before + r->bytes;
    return rc;
}

/* After the emergency reserve, if that was needed: taking threads apart may allocate. */
static void finish(run_t *r, bool last)
{
    if (r->meal == NULL)
        return;
    if (r->plan->leak) {
        r->before += r->bytes;
        /* The next cycle goes on in the same meal, whose pages would be kept as often as
         * there are cycles. A child copies its whole meal: each needs its own. */
        if (!last && r->plan->kind != OOM_KIND_FORK)
            return;
        keep(r->eater->kept, r->meal);
    }
    else
        oom_meal_close(r->meal);
    r->meal = NULL;
}

int oom_eat_run(const oom_plan_t *plan, const oom_eater_t *eater, oom_outcome_t *out)
{
    uint64_t grain = oom_cap_grain_bytes(plan->kind);
    run_t r = { .plan = plan, .eater = eater, .out = out, .size = plan->size_bytes };
    void *emergency = emergency_take();
    int rc = 0;

    *out = (oom_outcome_t){ .step = "mmap of the emergency reserve" };
    if (emergency == MAP_FAILED)
        return -errno;
    if (r.size != OOM_PLAN_UNLIMITED)
        r.size = (r.size + grain - 1) / grain * grain;
    r.told_nsec = eater->clock.now_nsec();
    for (r.cycle = 1; rc == 0 && r.cycle <= plan->repeat; r.cycle++) {
        rc = cycle(&r);
        if (rc < 0 && emergency != NULL) {
            munmap(emergency, OOM_EAT_EMERGENCY_BYTES);
            emergency = NULL;
        }
        finish(&r, rc != 0 || r.cycle == plan->repeat);
    }
    if (emergency != NULL)
        munmap(emergency, OOM_EAT_EMERGENCY_BYTES);
    return rc;
}

void oom_eat_drop(oom_kept_t *kept)
{
    oom_meal_t *m = kept->head, *next;

    kept->head = NULL;
    for (; m != NULL; m = next) {
        next = m->next_kept;
        oom_meal_close(m);
    }
}
