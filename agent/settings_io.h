/* The cluster's settings as a message of the local socket. */
#ifndef STEAD_AGENT_SETTINGS_IO_H
#define STEAD_AGENT_SETTINGS_IO_H

#include "agent/core.h"
#include "proto/control_io.h"
#include "proto/text.h"

/* Where one answer is put together; large, so allocated once with whoever asks. */
struct settings_page {
    Control__Config config;
    Control__Setting settings[SETTINGS_MAX];
    Control__Setting *list[SETTINGS_MAX];
    struct text texts[SETTINGS_MAX][4]; /* name, value, default, range */
    struct text refusal;
    Control__Class classes[CLASSES_MAX];
    Control__Class *class_list[CLASSES_MAX];
    struct text policies[CLASSES_MAX];
};

/* Fills the page with all settings and classes of VMs, or the one setting asked for. NULL, or why
 * not (kept in the page). The message points into `page` and `core`: pack it before either changes.
 */
const char *settings_io_fill(struct settings_page *page, const struct core *core,
                             const Control__ConfigAsk *ask);

#endif
