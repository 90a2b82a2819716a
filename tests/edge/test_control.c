/* The local socket's messages there and back, and garbage; the queue towards Corosync; an agent
 * that goes away. What the server does with them: test_service.c; what a client can do to the
 * transport: test_socket.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/client_io.h"
#include "agent/outbox_io.h"
#include "proto/control_io.h"
#include "proto/limits.h"
#include "tests/edge/control_frames.h"

/* ---- messages */

static void requests_come_back(void **state)
{
    struct fixture *f = *state;
    Control__Request *back = NULL;
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__VmAdd add = CONTROL__VM_ADD__INIT;
    size_t size = 0;
    add.name = "v1";
    add.xml = "<domain/>";
    add.on = "n2";
    add.priority = -5;
    add.memory_mib = 512;
    add.stopped = 1;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_VM_ADD;
    request.vm_add = &add;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(f->frame[2] << 8 | f->frame[3], size - HEAD);
    assert_int_equal(control_unpack_request(f->frame, size, &back), 0);
    assert_int_equal(back->ask_case, CONTROL__REQUEST__ASK_VM_ADD);
    assert_string_equal(back->vm_add->xml, "<domain/>");
    assert_int_equal(back->vm_add->priority, -5);
    assert_true(back->vm_add->stopped);
    control_free_request(&back);
    assert_null(back);
    assert_int_equal(control_pack_request(&request, f->frame, size - 1, &size), -ENOBUFS);
}

static void replies_come_back(void **state)
{
    struct fixture *f = *state;
    Control__Reply *back = NULL;
    Control__Reply reply = CONTROL__REPLY__INIT;
    Control__Status status = CONTROL__STATUS__INIT;
    Control__Vm vm = CONTROL__VM__INIT;
    Control__Vm *vms[] = {&vm};
    size_t size = 0;
    vm.name = "v1";
    vm.generation = UINT64_MAX;
    status.situation = "well";
    status.n_vms = 1;
    status.vms = vms;
    reply.version = CONTROL_VERSION;
    reply.answer_case = CONTROL__REPLY__ANSWER_STATUS;
    reply.status = &status;
    assert_int_equal(control_pack_reply(&reply, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_reply(f->frame, size, &back), 0);
    assert_string_equal(back->status->situation, "well");
    assert_int_equal(back->status->vms[0]->generation, UINT64_MAX);
    control_free_reply(&back);
    for (size_t cut = 0; cut < size; cut++) { /* never whole, never a crash */
        if (control_unpack_reply(f->frame, cut, &back) == 0) {
            control_free_reply(&back);
        }
    }
}

static int unpack_command(struct fixture *f, uint32_t version, Control__CommandKind kind,
                          const char *name)
{
    Control__Request *back = NULL;
    int r = control_unpack_request(f->frame, pack_command(f, version, kind, name), &back);
    control_free_request(&back);
    return r;
}

static void insane_requests_are_refused(void **state)
{
    struct fixture *f = *state;
    Control__Request *back = NULL;
    char long_name[NAME_BYTES + 1];
    const Control__CommandKind stop = CONTROL__COMMAND_KIND__COMMAND_VM_STOP;
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[NAME_BYTES] = '\0';
    assert_int_equal(unpack_command(f, 1, stop, "v1"), 0);
    assert_int_equal(unpack_command(f, 2, stop, "v1"), -EPROTO);
    assert_int_equal(unpack_command(f, 0, stop, "v1"), -EPROTO);
    assert_int_equal(unpack_command(f, 1, stop, ""), -EBADMSG);
    assert_int_equal(unpack_command(f, 1, stop, "-rf"), -EBADMSG);
    assert_int_equal(unpack_command(f, 1, stop, "a/../b"), -EBADMSG);
    assert_int_equal(unpack_command(f, 1, stop, "a b"), -EBADMSG);
    assert_int_equal(unpack_command(f, 1, stop, long_name), -EBADMSG);
    long_name[NAME_BYTES - 1] = '\0';
    assert_int_equal(unpack_command(f, 1, stop, long_name), 0);
    assert_int_equal(unpack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_NONE, "v1"), -EBADMSG);
    assert_int_equal(unpack_command(f, 1, (Control__CommandKind)99, "v1"), -EPROTO);
    assert_int_equal(unpack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_CLUSTER_INIT, "x"),
                     -EBADMSG);
    assert_int_equal(control_unpack_request(f->frame, 3, &back), -EBADMSG);
    assert_int_equal(control_unpack_request(f->frame, CONTROL_BYTES_MAX + 1, &back), -EBADMSG);
}

static void large_xml(void **state)
{
    struct fixture *f = *state;
    Control__Request *back = NULL;
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__VmAdd add = CONTROL__VM_ADD__INIT;
    size_t size = 0;
    char *xml = calloc(1, CONTROL_XML_MAX + 2);
    assert_non_null(xml);
    memset(xml, 'x', CONTROL_XML_MAX);
    add.name = "v1";
    add.xml = xml;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_VM_ADD;
    request.vm_add = &add;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_request(f->frame, size, &back), 0);
    control_free_request(&back);
    xml[CONTROL_XML_MAX] = 'x';
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_request(f->frame, size, &back), -EBADMSG);
    free(xml);
}

/* A setting's name is a name; its value is bounded, whatever it says. */
static void settings_are_bounded(void **state)
{
    struct fixture *f = *state;
    Control__Request *back = NULL;
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__ConfigSet set = CONTROL__CONFIG_SET__INIT;
    char value[NAME_BYTES + 1] = "";
    size_t size = 0;
    memset(value, 'x', NAME_BYTES - 1);
    set.name = "fresh_ms";
    set.value = value;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_CONFIG_SET;
    request.config_set = &set;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_request(f->frame, size, &back), 0);
    control_free_request(&back);
    value[NAME_BYTES - 1] = 'x';
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_request(f->frame, size, &back), -EBADMSG);
    set.value = "1s";
    set.name = "fresh ms";
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    assert_int_equal(control_unpack_request(f->frame, size, &back), -EBADMSG);
}

static void garbage_is_survived(void **state)
{
    struct fixture *f = *state;
    Control__Request *request = NULL;
    Control__Reply *reply = NULL;
    unsigned seed = 7;
    size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    for (int i = 0; i < 20000; i++) {
        if (i % 2 == 0) { /* noise, or a good message with one byte changed */
            size = HEAD + (size_t)rand_r(&seed) % 64;
            for (size_t j = 0; j < size; j++) {
                f->frame[j] = (uint8_t)rand_r(&seed);
            }
        } else {
            size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
            f->frame[HEAD + (size_t)rand_r(&seed) % (size - HEAD)] = (uint8_t)rand_r(&seed);
        }
        if (control_unpack_request(f->frame, size, &request) == 0) {
            control_free_request(&request);
        }
        if (control_unpack_reply(f->frame, size, &reply) == 0) {
            control_free_reply(&reply);
        }
    }
}

/* ---- the queue towards Corosync */

static void outbox_is_bounded(void **state)
{
    struct outbox outbox = {.count = 0};
    (void)state;
    assert_int_equal(outbox_put(&outbox, (const uint8_t *)"beat1", 5, true), 0);
    assert_int_equal(outbox_put(&outbox, (const uint8_t *)"other", 5, false), 0);
    assert_int_equal(outbox_put(&outbox, (const uint8_t *)"beat2", 5, true), 0);
    assert_int_equal(outbox.count, 2);
    assert_memory_equal(outbox.messages[0].data, "other", 5);
    assert_memory_equal(outbox.messages[1].data, "beat2", 5);
    for (uint8_t i = 0; i < OUTBOX_MAX; i++) {
        assert_int_equal(outbox_put(&outbox, &i, 1, false), 0);
    }
    assert_int_equal(outbox.count, OUTBOX_MAX);
    assert_int_equal(outbox.messages[0].data[0], 0); /* the two oldest fell out */
    outbox_drop_first(&outbox);
    assert_int_equal(outbox.messages[0].data[0], 1);
    outbox_clear(&outbox);
    assert_int_equal(outbox.count, 0);
}

/* ---- an agent that goes away */

static void hears_no_answer(Control__Request *request, char ret_said[512])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct cli_client *client = NULL;
    Control__Reply *reply = NULL;
    FILE *heard = tmpfile();
    const int kept = dup(STDERR_FILENO), agent = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/stead-test-control.%d", getpid());
    assert_int_equal(bind(agent, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(agent, 1), 0);
    assert_int_equal(cli_connect_to(address.sun_path, &client), CLI_DONE);
    close(agent);
    unlink(address.sun_path);
    dup2(fileno(heard), STDERR_FILENO);
    const enum cli_exit result = cli_ask(client, request, &reply);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(heard);
    ret_said[fread(ret_said, 1, 511, heard)] = '\0';
    fclose(heard);
    cli_disconnect(&client);
    assert_int_equal(result, CLI_NO_AGENT);
    assert_non_null(strstr(ret_said, "went away"));
}

/* Only of what may have changed something is the outcome unknown, whoever may ask it. */
static void what_changes_has_an_unknown_outcome(void **state)
{
    static const char *const unknown = "the outcome is unknown";
    char said[512];
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__CopyAsk copy = CONTROL__COPY_ASK__INIT;
    Control__VmAsk vm = CONTROL__VM_ASK__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    (void)state;
    request.ask_case = CONTROL__REQUEST__ASK_COPY;
    request.copy = &copy;
    hears_no_answer(&request, said);
    assert_null(strstr(said, unknown));
    vm.name = "web";
    vm.xml = true;
    request.ask_case = CONTROL__REQUEST__ASK_VM;
    request.vm = &vm;
    hears_no_answer(&request, said);
    assert_null(strstr(said, unknown));
    command.kind = CONTROL__COMMAND_KIND__COMMAND_VM_START;
    command.name = "web";
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    hears_no_answer(&request, said);
    assert_non_null(strstr(said, unknown));
}

/* ---- */

static int make_fixture(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state != NULL ? 0 : -1;
}

static int free_fixture(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(replies_come_back),
        cmocka_unit_test(insane_requests_are_refused),
        cmocka_unit_test(large_xml),
        cmocka_unit_test(settings_are_bounded),
        cmocka_unit_test(garbage_is_survived),
        cmocka_unit_test(outbox_is_bounded),
        cmocka_unit_test(what_changes_has_an_unknown_outcome),
    };
    return cmocka_run_group_tests(tests, make_fixture, free_fixture);
}
