/*
 * Commands about the cluster's settings.
 *
 * Decides: whether a setting may become this now. Assumes: called on the acting node with a draft
 * open. Never: takes what is out of range, or what does not go with the other settings as they will
 * be after this commit.
 */
#include "agent/request_validate.h"

#include <string.h>

#include "agent/draft.h"
#include "agent/nearest.h"
#include "agent/pause.h"
#include "agent/watchdog.h"
#include "proto/assert.h"
#include "proto/settings.h"
#include "proto/values.h"

void request_config_unknown(const char *name, struct text *ret_why)
{
    const char *names[SETTINGS_MAX];
    uint32_t count;
    const struct setting *table = settings_table(&count);
    ASSERT(count <= SETTINGS_MAX);
    const struct setting *meant = NULL;
    *ret_why = (struct text){0};
    for (uint32_t i = 0; i < count; i++) {
        names[i] = table[i].name;
        bool begins = strncmp(names[i], name, strnlen(name, NAME_BYTES)) == 0; /* without unit */
        meant = meant == NULL && begins ? &table[i] : meant;
    }
    const char *near = nearest_word(name, names, count);
    meant = near != NULL ? settings_find(near) : meant;
    text_add(text_add(text_add(ret_why, "there is no setting '"), name), "'");
    if (meant == NULL) {
        text_add(ret_why, ": see stead config list");
        return;
    }
    text_add(text_add(text_add(ret_why, "; did you mean '"), meant->name), "' (");
    setting_add_range(ret_why, meant);
    text_add(ret_why, ")?");
}

/* "200ms -> 500ms, by ada", as the history tells it after the setting's name. */
static void say_change(const struct setting *setting, uint32_t before, uint32_t after, bool given,
                       struct text *text)
{
    setting_add_value(text, setting, before);
    setting_add_value(text_add(text, " -> "), setting, after);
    text_add(text, given ? "" : " (default)");
}

const char *request_config_set(struct core *core, const struct request *request,
                               struct text *ret_why)
{
    const struct setting *setting = settings_find(request->name);
    struct settings settings = draft_peek_settings(core);
    struct setting_record record = {.set_ms = core->local.wall_ms, .given = true};
    if (setting == NULL) {
        request_config_unknown(request->name, ret_why);
        return ret_why->bytes;
    }
    if (name_equal(request->value, "default")) {
        record.given = false;
        record.value = setting->standard;
    } else if (!setting_parse(setting, request->value, &record.value, ret_why)) {
        return ret_why->bytes;
    }
    uint32_t before = setting_get(setting, &settings);
    setting_put(setting, &settings, record.value);
    if (!settings_agree(&settings, ret_why) || !watchdog_agrees(core, &settings, ret_why)) {
        return ret_why->bytes;
    }
    const char *refused = request_class_proof(core, &settings, ret_why);
    if (refused != NULL) {
        return refused;
    }
    bool pauses = pause_is_meant(setting->name) && record.value != HA_ON;
    if (pauses && core->cluster.header.feature_level < LEVEL_PAUSE) {
        return "older agents would not heed it: upgrade them first (stead history: feature-level)";
    }
    const char *fence = pauses ? pause_waits_for(core) : NULL;
    struct text cause = {0};
    say_change(setting, before, record.value, record.given, &cause);
    if (fence != NULL) { /* in force at once; the command is answered when that has ended */
        text_add(text_add(text_add(&cause, "; the fence of "), fence), " ends first");
    } else {
        text_add(&cause, pauses ? ", no fence is under way" : "");
    }
    if (request->why[0] != '\0') {
        text_add(text_add(text_add(&cause, " ("), request->why), ")");
    }
    record.set_ms = record.set_ms != 0 ? record.set_ms : 1; /* 0 would mean "never set" */
    name_set(record.by, sizeof(record.by), request->by);
    draft_setting(core, setting->slot, &record);
    struct history_entry *entry =
        request_entry(core, request, HISTORY_SETTING, 0, NULL, cause.bytes);
    entry->number = record.value;
    return NULL;
}
