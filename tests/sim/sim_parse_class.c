/* Classes of VMs in a scenario: the statement, and the commands about them. */
#include <stdio.h>
#include <string.h>

#include "proto/settings.h"
#include "tests/sim/sim_words.h"

void words_priority(struct words *words, const char *text, int32_t *ret_priority)
{
    uint64_t number = 0;
    bool minus = text[0] == '-';
    if (words_number(words, text + minus, 1000000, &number)) {
        *ret_priority = minus ? -(int32_t)number : (int32_t)number;
    }
}

bool words_class(struct words *words, const char *text, uint32_t *ret_slot)
{
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS; slot++) {
        const struct setting_record *record = &words->story->set[slot];
        if (record->set_ms != 0 && strcmp(record->name, text) == 0) {
            *ret_slot = slot;
            return true;
        }
    }
    words_error(words, words->next - 1, "'%s' is no class: 'class %s proof=…' comes before it",
                text, text);
    return false;
}

/* class NAME [proof=WORDS] [priority=N] */
void parse_class(struct words *words)
{
    static const char *const keys[] = {"proof", "priority"};
    struct scenario *story = words->story;
    const char *name = words_take(words, "a class's name");
    const char *value = NULL;
    uint32_t slot = SETTINGS_MAX;
    while (slot < SETTING_SLOTS && story->set[slot].set_ms != 0) {
        if (name != NULL && strcmp(story->set[slot].name, name) == 0) {
            words_error(words, 1, "'%s' is a class already", name);
            return;
        }
        slot++;
    }
    if (name == NULL || slot == SETTING_SLOTS) {
        words_error(words, 0, "more than %d classes", CLASSES_MAX);
        return;
    }
    struct setting_record *record = &story->set[slot];
    *record = (struct setting_record){.set_ms = 1, .given = true, .by = "scenario"};
    record->value = settings_in_force(story->set).proof;
    if (!words_name(words, name, record->name)) {
        return;
    }
    while (words_more(words)) {
        int key = words_key(words, keys, COUNT_OF(keys), &value);
        if (key == 0) {
            (void)words_setting(words, settings_find("proof"), value, &record->value);
        } else if (key == 1) {
            words_priority(words, value, &story->class_priority[slot - SETTINGS_MAX]);
        }
    }
}

static bool take_class(struct words *words, char ret_name[NAME_BYTES])
{
    const char *name = words_take(words, "a class");
    return name != NULL && words_name(words, name, ret_name);
}

/* class set NAME proof=WORDS, class remove NAME: whether it is right, the acting node says. */
void parse_do_class(struct words *words, struct scenario_step *step)
{
    static const char *const verbs[] = {"set", "remove"};
    static const char *const keys[] = {"proof"};
    int verb = words_choice(words, "command", verbs, COUNT_OF(verbs));
    const char *value = NULL;
    if (verb < 0 || !take_class(words, step->setting)) {
        return;
    }
    step->kind = STEP_CLASS;
    step->request = verb == 0 ? REQUEST_CLASS_SET : REQUEST_CLASS_REMOVE;
    if (verb == 0 && words_key(words, keys, COUNT_OF(keys), &value) == 0) {
        (void)snprintf(step->value, sizeof(step->value), "%s", value);
    }
}

/* vm class VM NAME|none */
void parse_do_vm_class(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_CLASS;
    step->request = REQUEST_VM_CLASS;
    const char *vm = words_take(words, "a VM");
    if (vm == NULL || !words_vm(words, vm, &step->vm) || !take_class(words, step->value)) {
        return;
    }
    if (strcmp(step->value, "none") == 0) {
        memset(step->value, 0, sizeof(step->value));
    }
}
