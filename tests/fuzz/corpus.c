/*
 * Writes the seeds of the fuzz targets, from real encodings: corpus DIRECTORY (make corpus). To be
 * run anew when a wire form has grown; what a crash has left beside them stays.
 */
#include <sys/stat.h>

#include "proto/control_io.h"
#include "storage/definition_io.h"
#include "tests/edge/wire_random.h"
#include "tests/fuzz/fuzz.h"

#define SEED_BYTES_MAX 900
#define SEEDS_EACH 2

static uint8_t bytes[WIRE_BYTES_MAX];
static const char *directory;

static void write_seed(const char *target, const char *name, int number, const uint8_t *prefix,
                       size_t prefix_size, size_t size)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s/%s-%d", directory, target, name, number);
    FILE *file = fopen(path, "w");
    PROMISE(file != NULL);
    fwrite(prefix, 1, prefix_size, file);
    fwrite(bytes, 1, size, file);
    PROMISE(fclose(file) == 0);
}

/* For fuzz_wire the decoder; for fuzz_step the same as one step, when `step` says which. */
static void write_wire(const char *name, int number, uint8_t decoder, int step, size_t size)
{
    const uint8_t likely = 4;
    const uint8_t steps[] = {(uint8_t)step | likely, (uint8_t)(size >> 8), (uint8_t)size};
    write_seed("wire", name, number, &decoder, 1, size);
    if (step >= 0) {
        write_seed("step", name, number, steps, sizeof(steps), size);
    }
}

static bool pack_one(uint64_t *seed, enum message_kind kind, size_t *ret_size)
{
    static struct wire_message message;
    memset(&message, 0, sizeof(message));
    random_message(seed, kind, &message);
    switch (kind) {
    case MESSAGE_BEAT:
        message.beat.nodeid = 3; /* a member of the ring of fuzz_step */
        return wire_pack_beat(&message.beat, bytes, SEED_BYTES_MAX, ret_size) == 0;
    case MESSAGE_DELTA:
        return wire_pack_delta(&message.delta, bytes, SEED_BYTES_MAX, ret_size) == 0;
    case MESSAGE_REQUEST:
        return wire_pack_request(&message.request, bytes, SEED_BYTES_MAX, ret_size) == 0;
    case MESSAGE_REPLY:
        return wire_pack_reply(&message.reply, bytes, SEED_BYTES_MAX, ret_size) == 0;
    case MESSAGE_NONE:
        break;
    }
    return false;
}

static void messages(uint64_t *seed)
{
    static const char *const names[] = {
        [MESSAGE_BEAT] = "beat",
        [MESSAGE_DELTA] = "delta",
        [MESSAGE_REQUEST] = "request",
        [MESSAGE_REPLY] = "reply",
    };
    for (int kind = MESSAGE_BEAT; kind <= MESSAGE_REPLY; kind++) {
        size_t size = 0;
        for (int made = 0; made < SEEDS_EACH;) {
            if (pack_one(seed, (enum message_kind)kind, &size)) {
                write_wire(names[kind], made++, 0, 0, size);
            }
        }
    }
}

static void values(uint64_t *seed)
{
    static struct record record;
    struct header header;
    struct lease lease;
    size_t size = 0;
    for (int i = 0; i < SEEDS_EACH; i++) {
        random_header(seed, &header);
        PROMISE(wire_pack_header(&header, bytes, sizeof(bytes), &size) == 0);
        write_wire("header", i, 1, 1, size);
        random_lease(seed, &lease);
        PROMISE(wire_pack_lease(&lease, bytes, sizeof(bytes), &size) == 0);
        write_wire("lease", i, 2, 2, size);
    }
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        for (int made = 0; made < SEEDS_EACH;) {
            memset(&record, 0, sizeof(record));
            random_record(seed, &record);
            if ((int)record.kind == kind && !record.removed &&
                wire_pack_record(&record, bytes, sizeof(bytes), &size) == 0) {
                char name[32];
                snprintf(name, sizeof(name), "record%d", kind);
                write_wire(name, made++, (uint8_t)(5 + kind), -1, size);
            }
        }
    }
}

static void frame(const char *name, int kind, size_t size)
{
    const uint8_t prefix = (uint8_t)kind;
    memmove(bytes, bytes + CONTROL_HEAD_BYTES, size - CONTROL_HEAD_BYTES);
    write_seed("control", name, 0, &prefix, 1, size - CONTROL_HEAD_BYTES);
}

static void requests(void)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__StatusAsk status = CONTROL__STATUS_ASK__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    Control__VmAdd add = CONTROL__VM_ADD__INIT;
    size_t size = 0;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_STATUS;
    request.status = &status;
    status.first_vm = 128;
    PROMISE(control_pack_request(&request, bytes, sizeof(bytes), &size) == 0);
    frame("status", 0, size);
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    command.kind = CONTROL__COMMAND_KIND__COMMAND_VM_STOP;
    command.name = (char *)(uintptr_t) "web1";
    command.stop_timeout_ms = 60000;
    PROMISE(control_pack_request(&request, bytes, sizeof(bytes), &size) == 0);
    frame("command", 0, size);
    request.ask_case = CONTROL__REQUEST__ASK_VM_ADD;
    request.vm_add = &add;
    add.name = (char *)(uintptr_t) "web1";
    add.xml = (char *)(uintptr_t) "<domain type='kvm'><name>web1</name></domain>";
    PROMISE(control_pack_request(&request, bytes, sizeof(bytes), &size) == 0);
    frame("vm-add", 0, size);
}

static void replies(void)
{
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__Status status = CONTROL__STATUS__INIT;
    Control__Vm vm = CONTROL__VM__INIT;
    Control__Vm *vms[] = {&vm, &vm};
    Control__Node node = CONTROL__NODE__INIT;
    Control__Node *nodes[] = {&node};
    size_t size = 0;
    vm.name = (char *)(uintptr_t) "web1";
    node.name = (char *)(uintptr_t) "n1";
    status.n_vms = 2;
    status.vms = vms;
    status.n_nodes = 1;
    status.nodes = nodes;
    reply.version = CONTROL_VERSION;
    reply.answer_case = CONTROL__REPLY__ANSWER_STATUS;
    reply.status = &status;
    PROMISE(control_pack_reply(&reply, bytes, sizeof(bytes), &size) == 0);
    frame("status-reply", 1, size);
    PROMISE(control_pack_refusal("no", bytes, sizeof(bytes), &size) == 0);
    frame("refusal", 1, size);
}

int main(int argc, char **argv)
{
    uint64_t seed = 20261125;
    PROMISE(argc == 2);
    directory = argv[1];
    messages(&seed);
    values(&seed);
    requests();
    replies();
    return 0;
}
