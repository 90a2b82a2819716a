/*
 * The exhaustive walk over one recovery: after the k-th action of the acting node, for every k,
 * that node dies (its host, back 30 s later; its agent alone) or its host stands still for 20 s.
 * Invariants must hold and everything must settle; which node is fenced or runs what is another
 * matter, so expectations do not count.
 */
#include "tests/sim/sim_kills.h"

#include "tests/sim/sim_host.h"

#define RECOVERY_US (60 * SECOND) /* actions this long after the last event are looked at */
#define SETTLE_US (240 * SECOND)

static uint64_t count_actions(const struct scenario *story)
{
    struct sim_kill kill = {.armed = true};
    struct sim *sim = sim_run(story, &kill, NULL);
    uint64_t count = sim->kill.count;
    sim_free(sim);
    return count;
}

static bool survives(const struct scenario *story, uint64_t target, enum sim_kill_how how,
                     FILE *out)
{
    struct sim_kill kill = {.armed = true, .target = target, .how = how};
    struct sim *sim = sim_run(story, &kill, NULL);
    bool ok = sim_ok(sim);
    if (!ok) {
        (void)fprintf(out, "%s: FAILED, %s struck after action %llu: at %.3f s: %s\n", story->file,
                      sim_kill_word(how), (unsigned long long)target,
                      (double)sim->now_us / (double)SECOND, sim->violation);
        (void)fprintf(out, "    stead-sim kills %s --only %llu --mode %s --trace\n", story->file,
                      (unsigned long long)target, sim_kill_word(how));
    }
    sim_free(sim);
    return ok;
}

struct kills_count kills_run(struct scenario *story, FILE *out)
{
    struct kills_count result = {0};
    uint64_t last_us = story->step_count == 0 ? 0 : story->steps[story->step_count - 1].at_us;
    story->expect_count = 0;
    story->run_us = last_us + RECOVERY_US;
    uint64_t count = count_actions(story);
    story->run_us = last_us + RECOVERY_US + SETTLE_US;
    for (uint64_t k = 1; k <= count; k++) {
        for (uint32_t how = 0; how < KILL_HOW_COUNT; how++) {
            bool ok = survives(story, k, (enum sim_kill_how)how, out);
            result.passed += ok;
            result.failed += !ok;
        }
    }
    return result;
}
