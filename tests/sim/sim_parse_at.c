/* What happens in a scenario: the `at` lines. */
#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_words.h"

static bool take_node(struct words *words, struct scenario_step *step)
{
    const char *text = words_take(words, "a node");
    return text != NULL && words_node(words, text, &step->node);
}

static bool take_node_or_all(struct words *words, struct scenario_step *step)
{
    if (words_take_if(words, "all")) {
        step->node = SIM_NODES_MAX;
        return true;
    }
    return take_node(words, step);
}

static bool take_vm(struct words *words, struct scenario_step *step)
{
    const char *text = words_take(words, "a VM");
    return text != NULL && words_vm(words, text, &step->vm);
}

static void at_power(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_POWER;
    const char *text = take_node(words, step) ? words_take(words, "on or off") : NULL;
    if (text != NULL) {
        (void)words_yes(words, text, "on", "off", &step->on);
    }
}

static void at_net(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_NET;
    const char *text = take_node(words, step) ? words_take(words, "up or down") : NULL;
    if (text != NULL) {
        (void)words_yes(words, text, "up", "down", &step->on);
    }
}

/* N1,N2|N3: who is not named stays with the first part. */
static void at_partition(struct words *words, struct scenario_step *step)
{
    char copy[SIM_LINE_BYTES];
    uint64_t seen = 0;
    uint8_t side = 0;
    const char *text = words_take(words, "N1,N2|N3");
    step->kind = STEP_PARTITION;
    if (text == NULL) {
        return;
    }
    (void)snprintf(copy, sizeof(copy), "%s", text);
    for (char *at = copy; at != NULL; side++) {
        uint64_t part = 0;
        char *end = strchr(at, '|');
        if (end != NULL) {
            *end++ = '\0';
        }
        if (!words_nodes(words, at, ',', &part)) {
            return;
        }
        if ((part & seen) != 0) {
            words_error(words, words->next - 1, "a node is on two sides of the partition");
            return;
        }
        seen |= part;
        for (uint32_t n = 0; n < words->story->node_count; n++) {
            if ((part >> n & 1) != 0) {
                step->side[n] = side;
            }
        }
        at = end;
    }
    if (side < 2) {
        words_error(words, words->next - 1, "a partition has two sides or more, as in n1,n2|n3");
    }
}

static void at_heal(struct words *words, struct scenario_step *step)
{
    (void)words;
    step->kind = STEP_HEAL;
}

static void take_path(struct words *words, struct scenario_step *step)
{
    const char *text = take_node_or_all(words, step)
                           ? words_take(words, "up, down, silent, lossy:5% or slow:TIME")
                           : NULL;
    if (text == NULL) {
        return;
    }
    if (strncmp(text, "slow:", 5) == 0) {
        step->path = PATH_SLOW;
        (void)words_time(words, text + 5, &step->duration_us);
    } else if (strcmp(text, "up") == 0 || strcmp(text, "down") == 0) {
        step->path = text[0] == 'u' ? PATH_UP : PATH_DOWN;
    } else if (strcmp(text, "silent") == 0 && step->node != SIM_NODES_MAX) {
        step->path = PATH_SILENT;
    } else if (strncmp(text, "lossy:", 6) == 0) {
        step->path = PATH_LOSSY;
        (void)words_percent(words, text + 6, &step->percent);
    } else if (strcmp(text, "silent") == 0) {
        words_error(words, words->next - 1, "only the path of one node can be silent");
    } else {
        words_error(words, words->next - 1,
                    "'%s' is neither up, down, silent, lossy:5%% nor slow:TIME", text);
    }
}

static void at_storage(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_STORAGE;
    take_path(words, step);
}

static void at_state(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_STATE;
    take_path(words, step);
}

static void at_object(struct words *words, struct scenario_step *step)
{
    static const char *const known[] = {
        [OBJECT_GONE] = "gone",       [OBJECT_KEPT] = "kept",         [OBJECT_OLD] = "old",
        [OBJECT_BACK] = "back",       [OBJECT_GARBLED] = "garbled",   [OBJECT_DAMAGED] = "damaged",
        [OBJECT_STALLED] = "stalled", [OBJECT_RESTORED] = "restored",
    };
    step->kind = STEP_OBJECT;
    int what = words_choice(words, "change of the object", known, COUNT_OF(known));
    step->object = what < 0 ? OBJECT_BACK : (enum object_event)what;
    bool kept = false;
    for (uint32_t i = 0; i < words->story->step_count; i++) {
        const struct scenario_step *before = &words->story->steps[i];
        kept |= before->kind == STEP_OBJECT && before->object == OBJECT_KEPT;
    }
    if ((what == OBJECT_OLD || what == OBJECT_RESTORED) && !kept) {
        words_error(words, words->next - 1, "no 'object kept' comes before it");
    }
}

static void at_device(struct words *words, struct scenario_step *step, uint32_t device)
{
    step->kind = STEP_BMC;
    step->device = device;
    const char *text = take_node(words, step) ? words_take(words, "what becomes of it") : NULL;
    if (text != NULL && parse_bmc(words, text, &step->bmc, &step->duration_us)) {
        const struct scenario_node *node = &words->story->nodes[step->node];
        enum sim_bmc was = device == 0 ? node->bmc : node->pdus[device - 1];
        if (step->bmc == SIM_BMC_NONE || was == SIM_BMC_NONE) {
            words_error(words, words->next - 1, "a %s is there from the beginning, or never",
                        device == 0 ? "BMC" : "PDU");
        }
    }
}

static void at_bmc(struct words *words, struct scenario_step *step)
{
    at_device(words, step, 0);
}

static void at_pdu(struct words *words, struct scenario_step *step)
{
    at_device(words, step, 1);
}

static void at_pdu2(struct words *words, struct scenario_step *step)
{
    at_device(words, step, 2);
}

static void at_libvirt(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_LIBVIRT;
    const char *text =
        take_node(words, step) ? words_take(words, "ok, hang:TIME or late:TIME") : NULL;
    if (text == NULL) {
        return;
    }
    if (strncmp(text, "hang:", 5) == 0 || strncmp(text, "late:", 5) == 0) {
        step->libvirt = text[0] == 'h' ? LIBVIRT_HANG : LIBVIRT_LATE;
        (void)words_time(words, text + 5, &step->duration_us);
    } else if (strcmp(text, "ok") != 0) {
        words_error(words, words->next - 1, "'%s' is neither ok, hang:TIME nor late:TIME", text);
    }
}

static void take_standstill(struct words *words, struct scenario_step *step, enum step_kind kind)
{
    step->kind = kind;
    const char *text = take_node(words, step) ? words_take(words, "a time") : NULL;
    if (text != NULL) {
        (void)words_time(words, text, &step->duration_us);
    }
}

static void at_freeze(struct words *words, struct scenario_step *step)
{
    take_standstill(words, step, STEP_FREEZE);
}

static void at_hang(struct words *words, struct scenario_step *step)
{
    take_standstill(words, step, STEP_HANG);
}

static void at_kill(struct words *words, struct scenario_step *step)
{
    if (!take_node(words, step)) {
        return;
    }
    if (words_take_if(words, "agent")) {
        step->kind = STEP_KILL_AGENT;
        return;
    }
    if (words_take_if(words, "corosync")) {
        step->kind = STEP_KILL_COROSYNC;
        return;
    }
    if (words_take_if(words, "libvirt")) {
        step->kind = STEP_KILL_LIBVIRT;
        return;
    }
    if (words_take_if(words, "keeper")) {
        step->kind = STEP_KILL_KEEPER;
        return;
    }
    const char *text = words_take(words, "agent, corosync, libvirt, keeper or a VM");
    step->kind = STEP_KILL_VM;
    if (text != NULL) {
        (void)words_vm(words, text, &step->vm);
    }
}

static void take_service(struct words *words, struct scenario_step *step, enum step_kind agent,
                         enum step_kind corosync)
{
    static const char *const services[] = {"agent", "corosync"};
    int service =
        take_node(words, step) ? words_choice(words, "service", services, COUNT_OF(services)) : -1;
    if (service >= 0) {
        step->kind = service == 0 ? agent : corosync;
    }
}

static void at_halt(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_HALT;
    (void)take_node(words, step);
}

static void at_shutdown(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_SHUTDOWN;
    (void)take_node(words, step);
}

static void at_reboot(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_REBOOT;
    (void)take_node(words, step);
}

static void at_stop(struct words *words, struct scenario_step *step)
{
    take_service(words, step, STEP_STOP_AGENT, STEP_STOP_COROSYNC);
}

static void at_start(struct words *words, struct scenario_step *step)
{
    take_service(words, step, STEP_START_AGENT, STEP_START_COROSYNC);
}

/* Other hardware under the same name, the next time it is powered on. */
static void at_machine(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_MACHINE;
    if (take_node(words, step)) {
        (void)words_expect(words, "new");
    }
}

/* --- what an operator does --- */

static void do_stop(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_VM_STOP;
    step->duration_us = 60000000;
    if (take_vm(words, step) && words_take_if(words, "--timeout")) {
        const char *text = words_take(words, "a time");
        if (text != NULL) {
            (void)words_time(words, text, &step->duration_us);
        }
    }
}

/* A VM that is new, or one that was there: then with what it had. */
static void do_add(struct words *words, struct scenario_step *step, enum step_kind kind)
{
    step->kind = kind;
    const char *name = words_more(words) ? words->list[words->next].text : NULL;
    for (uint32_t v = 0; name != NULL && v < words->story->vm_count; v++) {
        if (strcmp(words->story->vms[v].name, name) == 0) {
            const char *node = NULL;
            words->next++;
            step->vm = v;
            node = words_expect(words, "on") ? words_take(words, "a node") : NULL;
            if (node != NULL && words_node(words, node, &step->node)) {
                words_end(words);
            }
            return;
        }
    }
    struct scenario_vm *vm = parse_vm_place(words);
    if (vm != NULL) {
        vm->later = true;
        vm->running = false;
        step->vm = words->story->vm_count - 1;
        step->node = vm->node;
        parse_vm_keys(words, vm);
    }
}

static void do_vm(struct words *words, struct scenario_step *step)
{
    static const char *const verbs[] = {"start", "stop",      "remove", "add",
                                        "adopt", "give-back", "class"};
    switch (words_choice(words, "command", verbs, COUNT_OF(verbs))) {
    case 0:
        step->kind = STEP_VM_START;
        (void)take_vm(words, step);
        return;
    case 1:
        do_stop(words, step);
        return;
    case 2:
        step->kind = STEP_VM_REMOVE;
        (void)take_vm(words, step);
        return;
    case 3:
        do_add(words, step, STEP_VM_ADD);
        return;
    case 4:
        do_add(words, step, STEP_VM_ADOPT);
        return;
    case 5:
        step->kind = STEP_VM_GIVE_BACK;
        (void)take_vm(words, step);
        return;
    case 6:
        parse_do_vm_class(words, step);
        return;
    default:
        return;
    }
}

static void do_node(struct words *words, struct scenario_step *step)
{
    static const char *const verbs[] = {"fence", "unfence", "remove", "resume"};
    static const enum step_kind kinds[] = {STEP_NODE_FENCE, STEP_NODE_UNFENCE, STEP_NODE_REMOVE,
                                           STEP_NODE_RESUME};
    int verb = words_choice(words, "command", verbs, COUNT_OF(verbs));
    if (verb < 0) {
        return;
    }
    step->kind = kinds[verb];
    if (take_node(words, step) && (verb == 0 || verb == 2)) {
        step->on = words_take_if(words, "--i-vouch");
    }
}

/* config set KEY=VALUE, or KEY VALUE: whether it is right, the acting node says. */
static void do_config(struct words *words, struct scenario_step *step)
{
    step->kind = STEP_CONFIG_SET;
    const char *key = words_expect(words, "set") ? words_take(words, "KEY=VALUE") : NULL;
    const char *equals = key != NULL ? strchr(key, '=') : NULL;
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (key != NULL && value == NULL) {
        value = words_take(words, "a value");
    }
    if (value == NULL) {
        return;
    }
    size_t length = equals != NULL ? (size_t)(equals - key) : strlen(key);
    if (length >= sizeof(step->setting) || strlen(value) >= sizeof(step->value)) {
        words_error(words, words->next - 1, "a setting's name or value has at most 63 letters");
        return;
    }
    memcpy(step->setting, key, length);
    if (words_not_yet(step->setting)) {
        words_error(words, words->next - 1, "'%s' is not yet supported", step->setting);
    }
    memcpy(step->value, value, strlen(value));
}

/* ha pause freeze|ignore, ha resume: a setting, as the command has it. */
static void do_ha(struct words *words, struct scenario_step *step)
{
    static const char *const verbs[] = {"pause", "resume"};
    static const char *const kinds[] = {"freeze", "ignore"};
    int verb = words_choice(words, "command", verbs, COUNT_OF(verbs));
    int kind = verb == 0 ? words_choice(words, "kind of pause", kinds, COUNT_OF(kinds)) : -1;
    step->kind = STEP_CONFIG_SET;
    (void)snprintf(step->setting, sizeof(step->setting), "ha");
    (void)snprintf(step->value, sizeof(step->value), "%s", kind >= 0 ? kinds[kind] : "on");
}

/* Given on the node itself. */
static void do_cluster(struct words *words, struct scenario_step *step)
{
    static const char *const verbs[] = {"join", "force"};
    int verb = words_choice(words, "command", verbs, COUNT_OF(verbs));
    if (verb >= 0) {
        step->kind = verb == 0 ? STEP_CLUSTER_JOIN : STEP_CLUSTER_FORCE;
        (void)take_node(words, step);
    }
}

static void at_do(struct words *words, struct scenario_step *step)
{
    static const char *const nouns[] = {"vm", "node", "config", "cluster", "ha", "class"};
    const char *begin = strstr(words->source, " do ");
    int noun = words_choice(words, "command", nouns, COUNT_OF(nouns));
    if (begin != NULL) {
        (void)snprintf(step->words, sizeof(step->words), "%s", begin + 4);
    }
    if (noun == 0) {
        do_vm(words, step);
    } else if (noun == 1) {
        do_node(words, step);
    } else if (noun == 2) {
        do_config(words, step);
    } else if (noun == 3) {
        do_cluster(words, step);
    } else if (noun == 4) {
        do_ha(words, step);
    } else if (noun == 5) {
        parse_do_class(words, step);
    }
}

/* --- at TIME WHAT --- */

static bool take_moment(struct words *words, uint64_t *ret_us)
{
    const char *text = words_take(words, "a time");
    uint64_t us = 0;
    if (text == NULL) {
        return false;
    }
    bool relative = text[0] == '+';
    if (!words_time(words, text + relative, &us)) {
        return false;
    }
    us += relative ? words->at_us : 0;
    if (us < words->at_us) {
        words_error(words, words->next - 1, "time runs backwards: the last 'at' was later");
        return false;
    }
    *ret_us = us;
    return true;
}

void parse_at(struct words *words)
{
    static const struct {
        const char *word;
        void (*parse)(struct words *, struct scenario_step *);
    } kinds[] = {
        {"power", at_power},
        {"net", at_net},
        {"partition", at_partition},
        {"heal", at_heal},
        {"storage", at_storage},
        {"state", at_state},
        {"bmc", at_bmc},
        {"pdu", at_pdu},
        {"pdu2", at_pdu2},
        {"libvirt", at_libvirt},
        {"freeze", at_freeze},
        {"hang", at_hang},
        {"kill", at_kill},
        {"do", at_do},
        {"object", at_object},
        {"halt", at_halt},
        {"shutdown", at_shutdown},
        {"reboot", at_reboot},
        {"stop", at_stop},
        {"start", at_start},
        {"machine", at_machine},
        {"guest", parse_guest},
        {"hand", parse_hand},
        {"pool", parse_pool},
        {"cut", parse_cut},
        {"mend", parse_mend},
        {"clock", parse_clock},
        {"lease", parse_lease},
        {"version", parse_version},
        {"tmpfs", parse_tmpfs},
        {"set", parse_set},
        {"blocklist", parse_blocklist},
        {"monitors", parse_monitors},
        {"messages", parse_messages},
        {"qdevice", parse_qdevice},
    };
    const char *known[COUNT_OF(kinds)];
    struct scenario_step step = {0};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        known[i] = kinds[i].word;
    }
    if (!take_moment(words, &step.at_us)) {
        return;
    }
    words->at_us = step.at_us;
    int kind = words_choice(words, "event", known, COUNT_OF(known));
    if (kind < 0) {
        return;
    }
    const char *what =
        words->source + (words->list[words->next - 1].column - words->list[0].column);
    (void)snprintf(step.words, sizeof(step.words), "%s", what);
    kinds[kind].parse(words, &step);
    words_end(words);
    if (words->failed) {
        return;
    }
    if (words->story->step_count == SIM_STEPS_MAX) {
        words_error(words, 0, "more than %d events", SIM_STEPS_MAX);
        return;
    }
    words->story->steps[words->story->step_count++] = step;
}
