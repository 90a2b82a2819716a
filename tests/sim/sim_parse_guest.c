/* What guests do by themselves, and what somebody does past stead. */
#include <string.h>

#include "tests/sim/sim_words.h"

static bool take_vm(struct words *words, struct scenario_step *step)
{
    const char *text = words_take(words, "a VM");
    return text != NULL && words_vm(words, text, &step->vm);
}

static bool take_node(struct words *words, struct scenario_step *step)
{
    const char *text = words_take(words, "a node");
    return text != NULL && words_node(words, text, &step->node);
}

/* stuck:TIME */
static bool take_stuck(struct words *words, struct scenario_step *step)
{
    const char *text = words_more(words) ? words->list[words->next].text : "";
    if (strncmp(text, "stuck:", 6) != 0) {
        return false;
    }
    words->next++;
    step->deed = DEED_STICK;
    (void)words_time(words, text + 6, &step->duration_us);
    return true;
}

void parse_guest(struct words *words, struct scenario_step *step)
{
    static const char *const known[] = {"poweroff", "reboot", "panic"};
    static const enum deed deeds[] = {DEED_POWEROFF, DEED_REBOOT, DEED_PANIC};
    step->kind = STEP_GUEST;
    step->node = SIM_NODES_MAX; /* where it is */
    if (!take_vm(words, step) || take_stuck(words, step)) {
        return;
    }
    int deed = words_choice(words, "deed of a guest", known, COUNT_OF(known));
    if (deed >= 0) {
        step->deed = deeds[deed];
    }
}

/* hand start|stop|pause|resume VM [NODE] | hand move VM NODE */
void parse_hand(struct words *words, struct scenario_step *step)
{
    static const char *const known[] = {"start", "stop", "pause", "resume", "move"};
    static const enum deed deeds[] = {DEED_START, DEED_STOP, DEED_PAUSE, DEED_RESUME, DEED_MOVE};
    step->kind = STEP_HAND;
    step->node = SIM_NODES_MAX; /* where it is */
    int deed = words_choice(words, "deed", known, COUNT_OF(known));
    if (deed < 0 || !take_vm(words, step)) {
        return;
    }
    step->deed = deeds[deed];
    bool needed = step->deed == DEED_MOVE || step->deed == DEED_START;
    if (needed || words_more(words)) {
        (void)take_node(words, step);
    }
}

void parse_pool(struct words *words, struct scenario_step *step)
{
    static const char *const known[] = {"ok", "full", "refuses"};
    static const enum pool_state pools[] = {POOL_OK, POOL_FULL, POOL_REFUSES};
    step->kind = STEP_POOL;
    int pool = words_choice(words, "state of the pool", known, COUNT_OF(known));
    if (pool >= 0) {
        step->pool = pools[pool];
    }
}
