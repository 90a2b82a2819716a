/* What befalls the world in between: who hears whom, what time it is, one object of many. */
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_words.h"

#define BLOCKED_US UINT64_C(3600000000) /* an entry's life where nobody says another */
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

/* tmpfs NODE full|ok */
void parse_tmpfs(struct words *words, struct scenario_step *step)
{
    const char *name = words_take(words, "a node");
    step->kind = STEP_TMPFS;
    if (name == NULL || !words_node(words, name, &step->node)) {
        return;
    }
    const char *text = words_take(words, "full or ok");
    if (text != NULL) {
        (void)words_yes(words, text, "full", "ok", &step->on);
    }
}

/* Whether it is a VM or a node, its name tells. */
static bool take_target(struct words *words, struct scenario_step *step)
{
    const char *name = words_take(words, "a VM, a node or all");
    if (name == NULL) {
        return false;
    }
    for (uint32_t v = 0; v < words->story->vm_count; v++) {
        if (strcmp(words->story->vms[v].name, name) == 0) {
            step->target = BLOCK_QEMU;
            step->vm = v;
            return true;
        }
    }
    if (strcmp(name, "all") == 0) {
        step->target = BLOCK_ALL;
        return true;
    }
    if (!words_node(words, name, &step->node)) {
        return false;
    }
    step->target = words_take_if(words, "agent") ? BLOCK_AGENT : BLOCK_HOST;
    return true;
}

/* blocklist VM|NODE|NODE agent on|TIME, blocklist NODE|all off */
void parse_blocklist(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_BLOCKLIST;
    const char *text = take_target(words, step) ? words_take(words, "on, off or a time") : NULL;
    if (text == NULL) {
        return;
    }
    step->on = strcmp(text, "off") != 0;
    step->duration_us = BLOCKED_US;
    if (step->on && strcmp(text, "on") != 0) {
        (void)words_time(words, text, &step->duration_us);
    }
    if (step->on && step->target == BLOCK_ALL) {
        words_error(words, words->next - 1, "all entries can only be taken 'off'");
    } else if (!step->on && (step->target == BLOCK_QEMU || step->target == BLOCK_AGENT)) {
        words_error(words, words->next - 1, "only a node's address, or all, can be taken off");
    }
}

/* monitors stalled|back|slow:TIME|late:TIME */
void parse_monitors(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_MONITORS;
    const char *text = words_take(words, "stalled, back, slow:TIME or late:TIME");
    if (text == NULL) {
        return;
    }
    bool slow = strncmp(text, "slow:", 5) == 0;
    if (slow || strncmp(text, "late:", 5) == 0) {
        step->monitors = slow ? MONITORS_SLOW : MONITORS_LATE;
        (void)words_time(words, text + 5, &step->duration_us);
    } else if (strcmp(text, "stalled") == 0) {
        step->monitors = MONITORS_STALLED;
    } else if (strcmp(text, "back") != 0) {
        words_error(words, words->next - 1,
                    "'%s' is neither stalled, back, slow:TIME nor late:TIME", text);
    }
}

/* messages delivered|lost|chance */
void parse_messages(struct words *words, struct scenario_step *step)
{
    static const char *const known[] = {[DELIVERY_BY_CHANCE] = "chance",
                                        [DELIVERY_TO_ALL] = "delivered",
                                        [DELIVERY_TO_NONE] = "lost"};
    step->kind = STEP_MESSAGES;
    int choice = words_choice(words, "fate", known, COUNT_OF(known));
    if (choice >= 0) {
        step->delivery = (enum delivery)choice;
    }
}

/* qdevice up|down */
void parse_qdevice(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_QDEVICE;
    const char *text = words_take(words, "up or down");
    if (text != NULL && words->story->tie != TIE_QDEVICE) {
        words_error(words, words->next - 2, "there is no qdevice: say 'cluster qdevice=ffsplit'");
    } else if (text != NULL) {
        (void)words_yes(words, text, "up", "down", &step->on);
    }
}

/* What becomes of its record is for commands. */
static void refuse_change(struct words *words, const char *key)
{
    if (strcmp(key, "want") == 0 || strcmp(key, "running") == 0) {
        words_error(words, words->next, "%s: say 'do vm start' or 'do vm stop'", key);
    } else if (strcmp(key, "class") == 0) {
        words_error(words, words->next, "class: say 'do vm class'");
    } else {
        words_error(words, words->next, "%s of a VM that is there: not yet supported", key);
    }
}

static void take_change(struct words *words, struct vm_change *change)
{
    static const char *const keys[] = {"boot", "start_fails", "start_fails_on", "stop_fails"};
    const char *value = NULL;
    uint64_t number = 0;
    switch (words_key(words, keys, COUNT_OF(keys), &value)) {
    case 0:
        change->boots = words_time(words, value, &change->boot_us);
        return;
    case 1:
        change->fails = words_number(words, value, 1000, &number);
        change->start_fails = (uint32_t)number;
        return;
    case 2:
        change->fails_on =
            strcmp(value, "none") == 0 || words_nodes(words, value, ',', &change->start_fails_on);
        return;
    case 3:
        change->stops = words_yes(words, value, "yes", "no", &change->stop_fails);
        return;
    default:
        return;
    }
}

/* set VM KEY=VALUE … */
void parse_set(struct words *words, struct scenario_step *step)
{
    static const char *const fixed[] = {"want", "running", "mem", "priority", "class"};
    const char *name = words_take(words, "a VM");
    struct vm_change *change = &step->change;
    step->kind = STEP_SET;
    if (name == NULL || !words_vm(words, name, &step->vm)) {
        return;
    }
    do {
        const char *word = words_more(words) ? words->list[words->next].text : "";
        for (size_t i = 0; i < COUNT_OF(fixed); i++) {
            size_t length = strlen(fixed[i]);
            if (strncmp(word, fixed[i], length) == 0 && word[length] == '=') {
                refuse_change(words, fixed[i]);
            }
        }
        take_change(words, change);
    } while (words_more(words));
}
