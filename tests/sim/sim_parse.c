/* The setup of a scenario: cluster, nodes, VMs; and how long the story is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "proto/settings.h"
#include "tests/sim/sim_words.h"

#define AFTER_LAST_US UINT64_C(600000000)
#define FILE_BYTES_MAX (4u << 20)

static void set_setting(struct words *words, const struct setting *setting, const char *value)
{
    struct setting_record *record = &words->story->set[setting->slot];
    if (words_setting(words, setting, value, &record->value)) {
        record->set_ms = 1;
        record->given = true;
        (void)snprintf(record->by, sizeof(record->by), "scenario");
    }
}

/* Whoever set them one by one would have been refused. */
static void check_settings(struct words *words)
{
    struct settings settings = settings_in_force(words->story->set);
    struct text why;
    if (!settings_agree(&settings, &why)) {
        words_error(words, 0, "%s", why.bytes);
    }
}

/* two_node=no|yes, qdevice=no|ffsplit */
static void parse_tie(struct words *words, const char *value, bool two_node)
{
    static const char *const algorithms[] = {"no", "ffsplit"};
    struct scenario *story = words->story;
    bool on = false;
    if (two_node) {
        (void)words_yes(words, value, "yes", "no", &on);
    } else if (strcmp(value, algorithms[1]) == 0) {
        on = true;
    } else if (words_not_yet(value)) {
        words_error(words, words->next - 1, "qdevice=%s is not yet supported", value);
    } else if (strcmp(value, algorithms[0]) != 0) {
        words_error(words, words->next - 1, "'%s' is no qdevice: no or ffsplit", value);
    }
    if (on && story->tie != TIE_NONE) {
        words_error(words, words->next - 1, "two_node and qdevice: Corosync takes but one");
    }
    story->tie = !on ? story->tie : two_node ? TIE_TWO_NODE : TIE_QDEVICE;
}

static void parse_cluster(struct words *words)
{
    static const char *const fixed[] = {"seed", "token",    "boot",   "settle",
                                        "hook", "two_node", "qdevice"};
    const char *keys[COUNT_OF(fixed) + SETTINGS_MAX];
    struct scenario *story = words->story;
    const char *value = NULL;
    uint32_t setting_count = 0;
    const struct setting *table = settings_table(&setting_count);
    for (size_t i = 0; i < COUNT_OF(fixed) + setting_count; i++) {
        keys[i] = i < COUNT_OF(fixed) ? fixed[i] : table[i - COUNT_OF(fixed)].name;
    }
    if (words->has_cluster) {
        words_error(words, 0, "a second 'cluster' line");
    }
    words->has_cluster = true;
    while (words_more(words)) {
        int key = words_key(words, keys, COUNT_OF(fixed) + setting_count, &value);
        if (key == 0) {
            (void)words_number(words, value, UINT64_MAX / 16, &story->seed);
        } else if (key == 1) {
            (void)words_time(words, value, &story->token_us);
        } else if (key == 2) {
            (void)words_time(words, value, &story->boot_us);
        } else if (key == 3) {
            (void)words_time(words, value, &story->settle_us);
        } else if (key == 4) {
            (void)words_yes(words, value, "yes", "no", &story->hook);
        } else if (key == 5 || key == 6) {
            parse_tie(words, value, key == 5);
        } else if (key > 6) {
            set_setting(words, &table[(size_t)key - COUNT_OF(fixed)], value);
        }
    }
    check_settings(words);
}

bool parse_bmc(struct words *words, const char *text, enum sim_bmc *ret_bmc, uint64_t *ret_slow_us)
{
    static const char *const known[] = {"ok",   "dead",     "with-host", "slow:5s",
                                        "lies", "lies-off", "none"};
    if (strncmp(text, "slow:", 5) == 0) {
        *ret_bmc = SIM_BMC_SLOW;
        return words_time(words, text + 5, ret_slow_us);
    }
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(text, known[i]) == 0) {
            *ret_bmc = (enum sim_bmc)i;
            return true;
        }
    }
    words_error(words, words->next - 1,
                "'%s' is no BMC: ok, dead, with-host, slow:TIME, lies, lies-off or none", text);
    return false;
}

/* yes, no, never, late:TIME */
static void parse_watchdog(struct words *words, const char *text, struct scenario_node *node)
{
    static const char *const known[] = {"no", "yes", "never"};
    if (strncmp(text, "late:", 5) == 0) {
        node->watchdog = SIM_WATCHDOG_YES;
        (void)words_time(words, text + 5, &node->watchdog_late_us);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (strcmp(text, known[i]) == 0) {
            node->watchdog = (enum sim_watchdog)i;
            return;
        }
    }
    words_error(words, words->next - 1, "'%s' is no watchdog: no, yes, never or late:TIME", text);
}

static bool fresh_name(struct words *words, const char *name)
{
    for (uint32_t n = 0; n < words->story->node_count; n++) {
        if (strcmp(words->story->nodes[n].name, name) == 0) {
            words_error(words, 1, "'%s' is a node already", name);
            return false;
        }
    }
    for (uint32_t v = 0; v < words->story->vm_count; v++) {
        if (strcmp(words->story->vms[v].name, name) == 0) {
            words_error(words, 1, "'%s' is a VM already", name);
            return false;
        }
    }
    return true;
}

static void parse_node(struct words *words)
{
    static const char *const keys[] = {"mem", "power", "net", "bmc", "watchdog", "pdu", "pdu2"};
    struct scenario *story = words->story;
    const char *name = words_take(words, "a node's name");
    const char *value = NULL;
    if (name == NULL || !fresh_name(words, name)) {
        return;
    }
    if (story->node_count == SIM_NODES_MAX) {
        words_error(words, 0, "more than %d nodes", SIM_NODES_MAX);
        return;
    }
    struct scenario_node *node = &story->nodes[story->node_count];
    *node = (struct scenario_node){.memory_mib = 128 * 1024, .powered = true, .net_up = true};
    node->pdus[0] = node->pdus[1] = SIM_BMC_NONE;
    if (!words_name(words, name, node->name)) {
        return;
    }
    story->node_count++;
    while (words_more(words)) {
        int key = words_key(words, keys, COUNT_OF(keys), &value);
        if (key == 0) {
            (void)words_size(words, value, &node->memory_mib);
        } else if (key == 1) {
            (void)words_yes(words, value, "on", "off", &node->powered);
        } else if (key == 2) {
            (void)words_yes(words, value, "up", "down", &node->net_up);
        } else if (key == 3) {
            (void)parse_bmc(words, value, &node->bmc, &node->bmc_slow_us);
        } else if (key == 4) {
            parse_watchdog(words, value, node);
        } else if (key > 4) {
            (void)parse_bmc(words, value, &node->pdus[key - 5], &node->pdu_slow_us[key - 5]);
        }
    }
    if (node->pdus[0] == SIM_BMC_NONE && node->pdus[1] != SIM_BMC_NONE) {
        words_error(words, UINT32_MAX, "pdu2= is the second of two: 'pdu=' is missing here");
    }
}

void parse_vm_keys(struct words *words, struct scenario_vm *vm)
{
    static const char *const keys[] = {"want",           "running",    "mem",
                                       "priority",       "boot",       "start_fails",
                                       "start_fails_on", "stop_fails", "class"};
    const char *value = NULL;
    uint64_t number = 0;
    bool own = false;
    while (words_more(words)) {
        switch (words_key(words, keys, COUNT_OF(keys), &value)) {
        case 0:
            if (strcmp(value, "ignored") == 0) {
                words_error(words, words->next - 1, "want=ignored is not yet supported");
            } else if (words_yes(words, value, "running", "stopped", &vm->wanted)) {
                vm->running = vm->running && vm->wanted;
            }
            break;
        case 1:
            (void)words_yes(words, value, "yes", "no", &vm->running);
            break;
        case 2:
            (void)words_size(words, value, &vm->memory_mib);
            break;
        case 3:
            words_priority(words, value, &vm->priority);
            own = true;
            break;
        case 4:
            (void)words_time(words, value, &vm->boot_us);
            break;
        case 5:
            if (words_number(words, value, 1000, &number)) {
                vm->start_fails = (uint32_t)number;
            }
            break;
        case 6:
            (void)words_nodes(words, value, ',', &vm->start_fails_on);
            break;
        case 7:
            (void)words_yes(words, value, "yes", "no", &vm->stop_fails);
            break;
        case 8:
            (void)words_class(words, value, &vm->class_slot);
            break;
        default:
            break;
        }
    }
    if (vm->class_slot != 0 && !own) {
        vm->priority = words->story->class_priority[vm->class_slot - SETTINGS_MAX];
    }
}

/* NAME on NODE, of a VM that is new. */
struct scenario_vm *parse_vm_place(struct words *words)
{
    struct scenario *story = words->story;
    uint32_t node = 0;
    const char *name = words_take(words, "a VM's name");
    if (name == NULL || !fresh_name(words, name) || !words_expect(words, "on")) {
        return NULL;
    }
    const char *place = words_take(words, "a node");
    if (place == NULL || !words_node(words, place, &node)) {
        return NULL;
    }
    if (story->vm_count == SIM_VMS_MAX) {
        words_error(words, 0, "more than %d VMs", SIM_VMS_MAX);
        return NULL;
    }
    struct scenario_vm *vm = &story->vms[story->vm_count];
    *vm = (struct scenario_vm){
        .node = node, .wanted = true, .running = true, .memory_mib = 1024, .boot_us = 2000000};
    if (!words_name(words, name, vm->name)) {
        return NULL;
    }
    story->vm_count++;
    return vm;
}

static void parse_vm(struct words *words)
{
    struct scenario_vm *vm = parse_vm_place(words);
    if (vm == NULL) {
        return;
    }
    parse_vm_keys(words, vm);
    if (vm->running && !words->story->nodes[vm->node].powered) {
        words_error(words, 1, "'%s' cannot run on '%s', which is off: say running=no", vm->name,
                    words->story->nodes[vm->node].name);
    }
}

static void parse_run(struct words *words)
{
    const char *text = words_take(words, "a time");
    if (words->has_run) {
        words_error(words, 0, "a second 'run' line");
    }
    words->has_run = true;
    if (text == NULL || !words_time(words, text, &words->story->run_us)) {
        return;
    }
    if (words->story->run_us == 0) {
        words_error(words, words->next - 1, "'%s' is no time for a story", text);
    }
    words_end(words);
}

static void parse_statement(struct words *words)
{
    static const char *const known[] = {"cluster", "node", "vm", "at", "run", "expect", "class"};
    switch (words_choice(words, "statement", known, COUNT_OF(known))) {
    case 0:
        parse_cluster(words);
        break;
    case 1:
        parse_node(words);
        break;
    case 2:
        parse_vm(words);
        break;
    case 3:
        words->begun = true;
        parse_at(words);
        return;
    case 4:
        parse_run(words);
        return;
    case 5:
        parse_expect(words);
        return;
    case 6:
        parse_class(words);
        break;
    default:
        return;
    }
    if (words->begun) {
        words_error(words, 0, "the setup comes before the first 'at'");
    }
}

static void take_title(struct scenario *story, const char *line, size_t length)
{
    const char *hash = memchr(line, '#', length);
    if (story->title[0] != '\0' || hash != line) {
        return;
    }
    const char *begin = line + 1;
    const char *end = line + length;
    while (begin < end && *begin == ' ') {
        begin++;
    }
    (void)snprintf(story->title, sizeof(story->title), "%.*s", (int)(end - begin), begin);
}

/* What can only be said once everything is read. */
static void check_whole(struct words *words)
{
    struct scenario *story = words->story;
    words->count = 0;
    words->end_column = 1;
    words->line = words->line > 0 ? words->line : 1;
    words->failed = false;
    if (story->node_count == 0) {
        words_error(words, UINT32_MAX, "a scenario needs at least one node");
    }
    if (story->tie == TIE_TWO_NODE && story->node_count != 2) {
        words_error(words, UINT32_MAX, "two_node=yes is for two nodes");
    }
    if (!words->has_run) {
        story->run_us = words->at_us + AFTER_LAST_US;
    }
    if (words->at_us > story->run_us) {
        words_error(words, UINT32_MAX, "the last 'at' lies behind the end ('run')");
    }
    for (uint32_t i = 0; i < story->expect_count; i++) {
        struct scenario_expect *expect = &story->expects[i];
        bool found = expect->kind != EXPECT_REFUSED;
        for (uint32_t j = 0; j < story->step_count && !found; j++) {
            found = strcmp(story->steps[j].words, expect->text) == 0;
        }
        words->failed = false;
        words->line = expect->line;
        if (!found) {
            words_error(words, 0, "nobody does '%s' in this story", expect->text);
        } else if (expect->at_us != SIM_TIME_END && expect->at_us > story->run_us) {
            words_error(words, 0, "this is expected behind the end ('run')");
        }
    }
}

uint32_t scenario_parse(const char *file, const char *text, FILE *errors, struct scenario *ret)
{
    struct words *words = calloc(1, sizeof(*words));
    ASSERT(words != NULL);
    *ret = (struct scenario){
        .seed = 1, .token_us = 1000000, .boot_us = 60000000, .settle_us = 60000000};
    (void)snprintf(ret->file, sizeof(ret->file), "%s", file);
    words->file = file;
    words->errors = errors;
    words->story = ret;
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        words->line++;
        take_title(ret, line, length);
        if (words_split(words, line, length)) {
            parse_statement(words);
        }
        line += length + (line[length] == '\n');
    }
    if (words->error_count == 0) {
        check_whole(words);
    }
    uint32_t count = words->error_count;
    free(words);
    return count;
}

char *scenario_text(const char *file, FILE *errors)
{
    FILE *stream = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (stream == NULL) {
        (void)fprintf(errors, "%s: %s\n", file, strerror(errno));
        return NULL;
    }
    char *text = calloc(1, FILE_BYTES_MAX + 2);
    ASSERT(text != NULL);
    size_t size = fread(text, 1, FILE_BYTES_MAX + 1, stream);
    const char *wrong = NULL;
    if (ferror(stream) != 0 || size > FILE_BYTES_MAX) {
        wrong = "cannot be read, or is larger than 4 MiB";
    } else if (strlen(text) != size) {
        wrong = "is not text: it holds a NUL byte";
    }
    if (stream != stdin) {
        (void)fclose(stream);
    }
    if (wrong != NULL) {
        (void)fprintf(errors, "%s: %s\n", file, wrong);
        free(text);
        return NULL;
    }
    return text;
}

uint32_t scenario_read(const char *file, FILE *errors, struct scenario *ret)
{
    char *text = scenario_text(file, errors);
    uint32_t error_count = text != NULL ? scenario_parse(file, text, errors, ret) : 1;
    free(text);
    return error_count;
}
