/* What befalls the world in between: who hears whom, what time it is, one object of many. */
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_words.h"

#define LEVEL_MAX 1000
#define DRIFT_PPM_MAX 10000 /* twenty times what NTP corrects */

static uint32_t node_named(const struct scenario *story, const char *name, size_t length)
{
    for (uint32_t n = 0; n < story->node_count; n++) {
        if (strlen(story->nodes[n].name) == length &&
            memcmp(story->nodes[n].name, name, length) == 0) {
            return n;
        }
    }
    return SIM_NODES_MAX;
}

/* N1-N3: names may hold dashes themselves, so each of them may be the one between. */
static bool take_pair(struct words *words, struct scenario_step *step)
{
    const char *text = words_take(words, "two nodes, as in n1-n3");
    if (text == NULL) {
        return false;
    }
    for (const char *dash = strchr(text, '-'); dash != NULL; dash = strchr(dash + 1, '-')) {
        step->node = node_named(words->story, text, (size_t)(dash - text));
        step->other = node_named(words->story, dash + 1, strlen(dash + 1));
        if (step->node != SIM_NODES_MAX && step->other != SIM_NODES_MAX) {
            break;
        }
        step->node = SIM_NODES_MAX;
    }
    if (step->node == SIM_NODES_MAX || step->node == step->other) {
        words_error(words, words->next - 1, "'%s' is not two nodes of this cluster, as in n1-n3",
                    text);
        return false;
    }
    return true;
}

void parse_cut(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_CUT;
    if (take_pair(words, step)) {
        step->on = words_take_if(words, "oneway");
    }
}

void parse_mend(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_MEND;
    (void)take_pair(words, step);
}

static void take_drift(struct words *words, const char *text, struct scenario_step *step)
{
    char digits[16] = "";
    uint64_t ppm = 0;
    bool minus = text[0] == '-';
    size_t length = strlen(text + minus);
    if (length < 4 || length - 3 >= sizeof(digits) ||
        strcmp(text + minus + length - 3, "ppm") != 0) {
        words_error(words, words->next - 1, "'%s' is no drift, as in drift:200ppm", text);
        return;
    }
    memcpy(digits, text + minus, length - 3);
    if (words_number(words, digits, DRIFT_PPM_MAX, &ppm)) {
        step->drifts = true;
        step->drift_ppm = minus ? -(int32_t)ppm : (int32_t)ppm;
    }
}

/* clock NODE +60s|-60s|drift:200ppm */
void parse_clock(struct words *words, struct scenario_step *step)
{
    uint64_t us = 0;
    const char *node = words_take(words, "a node");
    step->kind = STEP_CLOCK;
    if (node == NULL || !words_node(words, node, &step->node)) {
        return;
    }
    const char *text = words_take(words, "+TIME, -TIME or drift:200ppm");
    if (text == NULL) {
        return;
    }
    if (strncmp(text, "drift:", 6) == 0) {
        take_drift(words, text + 6, step);
    } else if (text[0] != '+' && text[0] != '-') {
        words_error(words, words->next - 1, "'%s' is neither +TIME, -TIME nor drift:200ppm", text);
    } else if (words_time(words, text + 1, &us)) {
        step->wall_us = text[0] == '-' ? -(int64_t)us : (int64_t)us;
    }
}

/* lease VM stalled|back */
void parse_lease(struct words *words, struct scenario_step *step)
{
    const char *name = words_take(words, "a VM");
    step->kind = STEP_LEASE;
    if (name == NULL || !words_vm(words, name, &step->vm)) {
        return;
    }
    const char *text = words_take(words, "stalled or back");
    if (text != NULL) {
        (void)words_yes(words, text, "stalled", "back", &step->on);
    }
}

/* version NODE V */
void parse_version(struct words *words, struct scenario_step *step)
{
    uint64_t level = 0;
    const char *name = words_take(words, "a node");
    step->kind = STEP_VERSION;
    if (name == NULL || !words_node(words, name, &step->node)) {
        return;
    }
    const char *text = words_take(words, "a feature level");
    if (text != NULL && words_number(words, text, LEVEL_MAX, &level)) {
        step->level = (uint32_t)level;
        if (level == 0) {
            words_error(words, words->next - 1, "feature levels begin with 1");
        }
    }
}
