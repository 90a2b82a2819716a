/*
 * The local socket: messages there and back, garbage, who is let in; against a real server in a
 * child process. What a command does with a cluster is the lab's to show.
 */
#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <qb/qbipcc.h>

#include "agent/outbox_io.h"
#include "agent/peer_io.h"
#include "agent/server_io.h"
#include "proto/control_io.h"

#define NOBODY 65534
#define HEAD sizeof(struct qb_ipc_request_header)

struct fixture {
    pid_t server;
    char service[32];
    _Alignas(8) uint8_t frame[CONTROL_BYTES_MAX];
    _Alignas(8) uint8_t reply[CONTROL_BYTES_MAX];
};

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
    assert_int_equal(((struct qb_ipc_request_header *)f->frame)->size, size);
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

static size_t pack_command(struct fixture *f, uint32_t version, Control__CommandKind kind,
                           const char *name)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__Command command = CONTROL__COMMAND__INIT;
    size_t size = 0;
    command.kind = kind;
    command.name = (char *)(uintptr_t)name;
    request.version = version;
    request.ask_case = CONTROL__REQUEST__ASK_COMMAND;
    request.command = &command;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    return size;
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
    assert_int_equal(unpack_command(f, 1, (Control__CommandKind)99, "v1"), -EBADMSG);
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

/* ---- the server */

static void drop_event(void *context, struct event *event)
{
    (void)context;
    (void)event;
}

static void serve(const char *service, int ready)
{
    const struct sink sink = {.put = drop_event};
    struct server_io *server = NULL;
    qb_loop_t *loop = qb_loop_create();
    if (loop == NULL || server_io_open(loop, service, &sink, &server) < 0) {
        _exit(1);
    }
    server_io_say(server, "waiting for the test");
    if (write(ready, "x", 1) != 1) {
        _exit(1);
    }
    alarm(60); /* should the test die */
    qb_loop_run(loop);
    _exit(0);
}

static qb_ipcc_connection_t *connect_to(const struct fixture *f)
{
    qb_ipcc_connection_t *connection = qb_ipcc_connect(f->service, CONTROL_BYTES_MAX);
    assert_non_null(connection);
    return connection;
}

/* Sends f->frame and takes the one reply. The caller frees. */
static Control__Reply *exchange(struct fixture *f, qb_ipcc_connection_t *connection, size_t size)
{
    Control__Reply *reply = NULL;
    assert_int_equal(qb_ipcc_send(connection, f->frame, size), size);
    ssize_t got = qb_ipcc_recv(connection, f->reply, sizeof(f->reply), 5000);
    assert_true(got > 0);
    assert_int_equal(control_unpack_reply(f->reply, (size_t)got, &reply), 0);
    return reply;
}

static void expect_refusal(struct fixture *f, qb_ipcc_connection_t *connection, size_t size,
                           const char *words)
{
    Control__Reply *reply = exchange(f, connection, size);
    assert_int_equal(reply->answer_case, CONTROL__REPLY__ANSWER_OUTCOME);
    assert_int_equal(reply->outcome->verdict, CONTROL__VERDICT__VERDICT_REFUSED);
    assert_non_null(strstr(reply->outcome->text, words));
    control_free_reply(&reply);
}

static void expect_status(struct fixture *f, qb_ipcc_connection_t *connection)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__StatusAsk ask = CONTROL__STATUS_ASK__INIT;
    size_t size = 0;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_STATUS;
    request.status = &ask;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    Control__Reply *reply = exchange(f, connection, size);
    assert_int_equal(reply->answer_case, CONTROL__REPLY__ANSWER_STATUS);
    assert_string_equal(reply->status->situation, "waiting for the test");
    assert_false(reply->status->loaded);
    control_free_reply(&reply);
}

static void server_answers_each(void **state)
{
    struct fixture *f = *state;
    qb_ipcc_connection_t *connection = connect_to(f);
    expect_status(f, connection);
    size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    expect_refusal(f, connection, size, "waits for Corosync");
    size = pack_command(f, 2, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    expect_refusal(f, connection, size, "different releases");
    size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "a b");
    expect_refusal(f, connection, size, "make sense");
    memset(f->frame + HEAD, 0xff, 40);
    ((struct qb_ipc_request_header *)f->frame)->size = (int32_t)HEAD + 40;
    expect_refusal(f, connection, HEAD + 40, "make sense");
    expect_status(f, connection);
    qb_ipcc_disconnect(connection);
}

static void lying_headers_do_no_harm(void **state)
{
    struct fixture *f = *state;
    static const int32_t sizes[] = {
        -1, 0, 1, INT32_MAX, INT32_MIN, CONTROL_BYTES_MAX, CONTROL_BYTES_MAX + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        qb_ipcc_connection_t *connection = connect_to(f);
        size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
        ((struct qb_ipc_request_header *)f->frame)->size = sizes[i];
        (void)qb_ipcc_send(connection, f->frame, size);
        (void)qb_ipcc_recv(connection, f->reply, sizeof(f->reply), 1000);
        qb_ipcc_disconnect(connection);
        connection = connect_to(f);
        expect_status(f, connection);
        qb_ipcc_disconnect(connection);
    }
}

/* Runs in a child: 0 when the connection was refused. */
static int strangers_errno(const struct fixture *f)
{
    if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
        return 99;
    }
    errno = 0;
    return qb_ipcc_connect(f->service, CONTROL_BYTES_MAX) == NULL ? errno : 98;
}

static int in_child(int (*run)(const struct fixture *), const struct fixture *f)
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(run(f));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void strangers_are_refused(void **state)
{
    struct fixture *f = *state;
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(strangers_errno, f), EACCES);
    qb_ipcc_connection_t *connection = connect_to(f);
    expect_status(f, connection);
    qb_ipcc_disconnect(connection);
}

/* Runs in a child with one extra group: is it let in by that group, and by no other? */
static int member_is_allowed(const struct fixture *f)
{
    const gid_t daemon_group = 1;
    (void)f;
    if (setgroups(1, &daemon_group) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
        return 99;
    }
    bool by_group = peer_io_is_allowed(getpid(), NOBODY, NOBODY, "daemon");
    bool by_other = peer_io_is_allowed(getpid(), NOBODY, NOBODY, "bin");
    bool by_none = peer_io_is_allowed(getpid(), NOBODY, NOBODY, "no-such-group");
    bool as_other = peer_io_is_allowed(getpid(), 12345, NOBODY, "daemon");
    return by_group && !by_other && !by_none && !as_other ? 0 : 1;
}

static void groups_decide(void **state)
{
    char name[NAME_BYTES];
    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(in_child(member_is_allowed, *state), 0);
    assert_true(peer_io_is_allowed(getpid(), 0, 0, "no-such-group"));
    peer_io_name(0, name);
    assert_string_equal(name, "root");
    peer_io_name(4000000000u, name);
    assert_string_equal(name, "uid-4000000000");
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

/* ---- */

static int start_server(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int ready[2];
    char byte;
    if (f == NULL || pipe(ready) < 0) {
        return -1;
    }
    snprintf(f->service, sizeof(f->service), "stead-test-%d", (int)getpid());
    f->server = fork();
    if (f->server == 0) {
        serve(f->service, ready[1]);
    }
    close(ready[1]);
    ssize_t got = read(ready[0], &byte, 1);
    close(ready[0]);
    *state = f;
    return f->server > 0 && got == 1 ? 0 : -1;
}

static int stop_server(void **state)
{
    struct fixture *f = *state;
    int status = 0;
    int r = kill(f->server, SIGKILL);
    waitpid(f->server, &status, 0);
    free(f);
    /* Killed by us, not fallen before. */
    return r == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_come_back),
        cmocka_unit_test(replies_come_back),
        cmocka_unit_test(insane_requests_are_refused),
        cmocka_unit_test(large_xml),
        cmocka_unit_test(garbage_is_survived),
        cmocka_unit_test(server_answers_each),
        cmocka_unit_test(lying_headers_do_no_harm),
        cmocka_unit_test(strangers_are_refused),
        cmocka_unit_test(groups_decide),
        cmocka_unit_test(outbox_is_bounded),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
