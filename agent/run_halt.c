/*
 * A guest that is up and stands still: paused by hand, by its storage, or by its own panic.
 *
 * Decides: who lets it go on. One that somebody paused is theirs. One that panicked is ended,
 * unless the rule is to leave it. One that its storage stopped (an image that refuses, an OSD's
 * error; not a full pool, which only lets it wait: measured) is resumed at a falling rate, and only
 * after its lease was seen to be ours and no client of it to be on the blocklist since the last
 * try, and while quorum is fresh: a guest that was fenced must not be woken. Never: tells of a
 * standstill before it is known that the guest was not fenced; then it is killed instead
 * (run_end.c).
 */
#include <stddef.h>

#include "agent/run.h"
#include "fencing/timing.h"
#include "proto/assert.h"

#define CALM_MS 5000 /* a guest resumed too early runs for a moment, then stands again */

static enum domain_state state_of(const struct core *core, const struct run *run)
{
    const struct domain *domain = run_domain(core, run);
    return domain == NULL ? DOMAIN_GONE : domain->state;
}

enum vm_trouble run_trouble(const struct core *core, const struct run *run)
{
    if (run->state != RUN_UP) {
        return VM_TROUBLE_NONE;
    }
    if (run->io.trouble) {
        return VM_TROUBLE_IO_ERROR;
    }
    enum domain_state state = state_of(core, run);
    return state == DOMAIN_PAUSED     ? VM_TROUBLE_PAUSED
           : state == DOMAIN_PANICKED ? VM_TROUBLE_PANICKED
                                      : VM_TROUBLE_NONE;
}

static void begin_vetting(struct run_step *step)
{
    struct run *run = step->run;
    run->io.vetting = true;
    run->io.lease_ours = false;
    run->suspect = true;
    run->check_ms = step->caller->now_ms;
}

static void resume(struct run_step *step)
{
    struct run *run = step->run;
    const struct domain *domain = run_domain(step->core, run);
    ASSERT(domain != NULL);
    struct action *action =
        run_call(step, &run->side_call, ACTION_DOMAIN_RESUME, run_settings(step)->call_ms, true);
    action->vm.action = domain->action; /* which its mark bears */
    run->io.vetting = false;
    run->io.tries++;
    run->io.next_ms = step->caller->now_ms + timing_retry_ms(run_settings(step), run->io.tries);
}

static void io_error(struct run_step *step)
{
    struct run *run = step->run;
    run->io.calm_ms = 0;
    if (!run->io.trouble) {
        run->io.trouble = !run->suspect; /* not known to be fenced: it is the storage */
        run->io.next_ms = step->caller->now_ms + run_settings(step)->retry_ms;
        return;
    }
    if (run_settings(step)->guest_io_error != IO_RESUME || call_open(&run->side_call)) {
        return;
    }
    if (!run->io.vetting && step->caller->now_ms >= run->io.next_ms) {
        begin_vetting(step);
    } else if (run->io.vetting && run->io.lease_ours && !run->suspect && run_may_begin(step)) {
        resume(step);
    }
}

/* It goes on; whether for good is seen after a while. */
static void io_calm(struct run_step *step)
{
    struct run_io *io = &step->run->io;
    if (io->calm_ms == 0) {
        io->calm_ms = step->caller->now_ms;
    } else if (step->caller->now_ms - io->calm_ms >= CALM_MS) {
        *io = (struct run_io){0};
    }
}

void run_halt_carry_on(struct run_step *step)
{
    struct run *run = step->run;
    const struct domain *domain = run_domain(step->core, run);
    enum domain_state state = domain == NULL ? DOMAIN_GONE : domain->state;
    ASSERT(run->state == RUN_UP);
    run->domain_at = domain == NULL ? 0 : (uint32_t)(domain - step->core->local.domains);
    if (state == DOMAIN_IO_ERROR) {
        io_error(step);
    } else if (run->io.trouble) {
        io_calm(step);
    }
    if (state == DOMAIN_PANICKED && run_settings(step)->guest_panic != GUEST_LEAVE) {
        run->end = END_PANICKED;
        run_end(step, "the guest's kernel panicked");
    }
}

void run_halt_on_lease(struct run_step *step)
{
    step->run->io.lease_ours = true;
}
