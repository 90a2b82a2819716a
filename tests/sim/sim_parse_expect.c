/* What must be true in a scenario: the `expect` lines. */
#include <stdlib.h>
#include <string.h>

#include "proto/alarm.h"
#include "proto/assert.h"
#include "tests/sim/sim_words.h"

static void vm_running(struct words *words, struct scenario_expect *expect)
{
    expect->kind = EXPECT_VM_RUNNING;
    const char *text = words_expect(words, "on") ? words_take(words, "a node or any") : NULL;
    if (text == NULL) {
        return;
    }
    expect->any = strcmp(text, "any") == 0;
    if (!expect->any) {
        (void)words_nodes(words, text, '|', &expect->nodes);
    }
}

static void at_most_time(struct words *words, const char *const before[2],
                         struct scenario_expect *expect)
{
    const char *text = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (before[i] != NULL && !words_expect(words, before[i])) {
            return;
        }
    }
    text = words_take(words, "a time");
    if (text != NULL) {
        (void)words_time(words, text, &expect->duration_us);
    }
}

static void vm_never(struct words *words, struct scenario_expect *expect)
{
    static const char *const words_known[] = {"on", "moved"};
    int which = words_choice(words, "word", words_known, COUNT_OF(words_known));
    expect->kind = which == 0 ? EXPECT_NEVER_ON : EXPECT_MOVED;
    const char *text = which == 0 ? words_take(words, "a node") : NULL;
    if (text != NULL) {
        (void)words_node(words, text, &expect->node);
    }
}

static void vm_moved(struct words *words, struct scenario_expect *expect)
{
    uint64_t number = 0;
    expect->kind = EXPECT_MOVED;
    const char *text = words_expect(words, "at") && words_expect(words, "most")
                           ? words_take(words, "a number")
                           : NULL;
    if (text != NULL && words_number(words, text, 1000, &number)) {
        expect->number = (uint32_t)number;
    }
}

static void expect_vm(struct words *words, struct scenario_expect *expect)
{
    static const char *const known[] = {"running",   "stopped", "recovering", "ghost",
                                        "recovered", "never",   "moved",      "suspended"};
    static const char *const ghost[2] = {"at", "most"};
    static const char *const within[2] = {"within", NULL};
    const char *name = words_take(words, "a VM");
    if (name == NULL || !words_vm(words, name, &expect->vm)) {
        return;
    }
    switch (words_choice(words, "word", known, COUNT_OF(known))) {
    case 0:
        vm_running(words, expect);
        return;
    case 1:
        expect->kind = EXPECT_VM_STOPPED;
        return;
    case 2:
        expect->kind = EXPECT_VM_RECOVERING;
        return;
    case 3:
        expect->kind = EXPECT_GHOST;
        at_most_time(words, ghost, expect);
        return;
    case 4:
        expect->kind = EXPECT_RECOVERED;
        at_most_time(words, within, expect);
        return;
    case 5:
        vm_never(words, expect);
        return;
    case 6:
        vm_moved(words, expect);
        return;
    case 7:
        expect->kind = EXPECT_VM_SUSPENDED;
        return;
    default:
        return;
    }
}

static void expect_node(struct words *words, struct scenario_expect *expect)
{
    static const char *const known[] = {"online",     "offline", "fenced", "away",
                                        "unattended", "removed", "halted", "out"};
    const char *name = words_take(words, "a node");
    expect->kind = EXPECT_NODE;
    if (name == NULL || !words_node(words, name, &expect->node)) {
        return;
    }
    int word = words_choice(words, "word", known, COUNT_OF(known));
    if (word >= 0) {
        expect->word = (enum node_word)word;
    }
}

static void expect_fenced(struct words *words, struct scenario_expect *expect)
{
    const char *text = words_take(words, "nodes, or none");
    expect->kind = EXPECT_FENCED;
    if (text == NULL || strcmp(text, "none") == 0 ||
        !words_nodes(words, text, ',', &expect->nodes)) {
        return;
    }
    if (!words_take_if(words, "by")) {
        return;
    }
    expect->kind = EXPECT_FENCED_BY;
    while ((expect->nodes >> expect->node & 1) == 0) {
        expect->node++;
    }
    if (expect->nodes != UINT64_C(1) << expect->node) {
        words_error(words, words->next - 1, "'by' goes with one node");
        return;
    }
    text = words_take(words, "a proof");
    if (text != NULL) {
        (void)words_proofs(words, text, &expect->proof);
    }
}

static void expect_setting(struct words *words, struct scenario_expect *expect)
{
    uint32_t count = 0;
    const char *names[SETTINGS_MAX];
    const struct setting *table = settings_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = table[i].name;
    }
    expect->kind = EXPECT_SETTING;
    int which = words_choice(words, "setting", names, count);
    const char *text = which >= 0 ? words_take(words, "its value") : NULL;
    if (text != NULL && words_setting(words, &table[which], text, &expect->number)) {
        (void)snprintf(expect->text, sizeof(expect->text), "%s", table[which].name);
    }
}

/* [KIND [SUBJECT]] */
static void expect_alarm(struct words *words, struct scenario_expect *expect, bool no)
{
    const char *kinds[ALARM_KIND_COUNT];
    for (uint32_t i = 0; i < ALARM_KIND_COUNT; i++) {
        kinds[i] = alarm_about((enum alarm_kind)i)->word;
    }
    expect->kind = no ? EXPECT_NO_ALARM : EXPECT_ALARM;
    expect->number = ALARM_KIND_COUNT;
    if (words_more(words)) {
        expect->number = (uint32_t)words_choice(words, "alarm", kinds, COUNT_OF(kinds));
    }
    if (words_more(words)) {
        (void)snprintf(expect->text, sizeof(expect->text), "%s", words_take(words, "a name"));
    }
}

/* The rest of the line, as it is written. */
static void take_rest(struct words *words, struct scenario_expect *expect)
{
    if (words_take(words, "text") == NULL) {
        return;
    }
    uint32_t column = words->list[words->next - 1].column - words->list[0].column;
    (void)snprintf(expect->text, sizeof(expect->text), "%s", words->source + column);
    words->next = words->count;
}

void parse_expect(struct words *words)
{
    static const char *const known[] = {"vm",  "node",    "fenced", "refused",
                                        "log", "setting", "alarm",  "no"};
    struct scenario_expect expect = {.line = words->line, .at_us = SIM_TIME_END};
    (void)snprintf(expect.words, sizeof(expect.words), "%s", words->source);
    if (words_take_if(words, "at")) {
        const char *text = words_take(words, "a time");
        if (text == NULL || !words_time(words, text, &expect.at_us)) {
            return;
        }
    }
    switch (words_choice(words, "expectation", known, COUNT_OF(known))) {
    case 0:
        expect_vm(words, &expect);
        break;
    case 1:
        expect_node(words, &expect);
        break;
    case 2:
        expect_fenced(words, &expect);
        break;
    case 3:
        expect.kind = EXPECT_REFUSED;
        take_rest(words, &expect);
        break;
    case 4:
        expect.kind = EXPECT_LOG;
        take_rest(words, &expect);
        break;
    case 5:
        expect_setting(words, &expect);
        break;
    case 6:
        expect_alarm(words, &expect, false);
        break;
    case 7:
        if (words_expect(words, "alarm")) {
            expect_alarm(words, &expect, true);
        }
        break;
    default:
        return;
    }
    words_end(words);
    if (words->failed) {
        return;
    }
    if (words->story->expect_count == SIM_EXPECTS_MAX) {
        words_error(words, 0, "more than %d expectations", SIM_EXPECTS_MAX);
        return;
    }
    words->story->expects[words->story->expect_count++] = expect;
}
