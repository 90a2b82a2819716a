/* Fills a page of settings from a core. */
#include "agent/settings_io.h"

#include <string.h>

#include "agent/query.h"
#include "agent/request_validate.h"
#include "proto/settings.h"

enum { TEXT_NAME, TEXT_VALUE, TEXT_STANDARD, TEXT_RANGE };

/* What a newer release set, and we only keep. */
static void fill_foreign(struct text *texts, const struct setting_record *record, uint32_t slot,
                         Control__Setting *pb)
{
    text_add_u64(text_add(&texts[TEXT_NAME], "setting/"), slot);
    text_add_u64(&texts[TEXT_VALUE], record->value);
    pb->name = texts[TEXT_NAME].bytes;
    pb->help = (char *)"of another release: kept, and without effect on this node";
}

static void fill_known(struct text *texts, const struct setting *setting, uint32_t value,
                       Control__Setting *pb)
{
    static const char *const units[] = {
        [SETTING_MS] = "ms",
        [SETTING_NUMBER] = "number",
        [SETTING_WORD] = "word",
        [SETTING_WORDS] = "words",
    };
    setting_add_value(&texts[TEXT_VALUE], setting, value);
    setting_add_value(&texts[TEXT_STANDARD], setting, setting->standard);
    setting_add_range(&texts[TEXT_RANGE], setting);
    pb->name = (char *)(uintptr_t)setting->name;
    pb->help = (char *)(uintptr_t)setting->help;
    pb->unit = (char *)(uintptr_t)units[setting->kind];
    pb->number = value;
}

static void add(struct settings_page *page, const struct core *core, uint32_t slot)
{
    size_t at = page->config.n_settings++;
    const struct setting_record *record = &core->cluster.set[slot];
    const struct setting *setting = settings_find_slot(slot);
    Control__Setting *pb = &page->settings[at];
    control__setting__init(pb);
    page->list[at] = pb;
    if (setting != NULL) {
        fill_known(page->texts[at], setting, setting_get(setting, &core->cluster.settings), pb);
    } else {
        fill_foreign(page->texts[at], record, slot, pb);
    }
    pb->value = page->texts[at][TEXT_VALUE].bytes;
    pb->standard = page->texts[at][TEXT_STANDARD].bytes;
    pb->range = page->texts[at][TEXT_RANGE].bytes;
    pb->given = record->set_ms != 0 && record->given;
    pb->set_ms = record->set_ms;
    pb->by = (char *)(uintptr_t)record->by;
}

static void add_class(struct settings_page *page, const struct core *core, uint32_t slot)
{
    size_t at = page->config.n_classes++;
    const struct setting_record *record = &core->cluster.set[slot];
    Control__Class *pb = &page->classes[at];
    control__class__init(pb);
    page->class_list[at] = pb;
    setting_add_value(&page->policies[at], settings_find("proof"), record->value);
    pb->name = (char *)(uintptr_t)record->name;
    pb->proof = page->policies[at].bytes;
    pb->set_ms = record->set_ms;
    pb->by = (char *)(uintptr_t)record->by;
    for (uint32_t i = 0; i < core->cluster.vm_end; i++) {
        const struct vm_record *vm = &core->cluster.vms[i];
        pb->vm_count += vm->state != VM_FREE && vm->class_slot == slot;
    }
}

const char *settings_io_fill(struct settings_page *page, const struct core *core,
                             const Control__ConfigAsk *ask)
{
    uint32_t count = 0;
    const struct setting *table = settings_table(&count);
    memset(page, 0, sizeof(*page));
    control__config__init(&page->config);
    page->config.settings = page->list;
    page->config.classes = page->class_list;
    if (core == NULL || !query_loaded(core)) {
        return "there is no cluster here yet: `stead cluster init` or `join`";
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ask->name[0] == '\0' || strcmp(ask->name, table[i].name) == 0) {
            add(page, core, table[i].slot);
        }
    }
    for (uint32_t slot = 0; slot < SETTINGS_MAX && ask->name[0] == '\0'; slot++) {
        if (core->cluster.set[slot].set_ms != 0 && settings_find_slot(slot) == NULL) {
            add(page, core, slot);
        }
    }
    for (uint32_t slot = SETTINGS_MAX; slot < SETTING_SLOTS && ask->name[0] == '\0'; slot++) {
        if (core->cluster.set[slot].set_ms != 0) {
            add_class(page, core, slot);
        }
    }
    if (page->config.n_settings == 0) {
        request_config_unknown(ask->name, &page->refusal);
        return page->refusal.bytes;
    }
    return NULL;
}
