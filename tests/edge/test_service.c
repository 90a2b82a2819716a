/*
 * The local socket's service: who may do what, wrong frames, 10,000 VMs; against a real server in a
 * child process. What a command does with a cluster is the lab's to show.
 */
#define _GNU_SOURCE /* unshare */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/cli/copy_io.h"
#include "agent/peer_io.h"
#include "agent/server_io.h"
#include "agent/socket_io.h"
#include "proto/control_io.h"
#include "storage/state.h"
#include "tests/edge/control_client.h"
#include "tests/edge/control_frames.h"

#define GROUP_ALL 45001
#define GROUP_ASK 45002

/* ---- the server: a child, with 10,000 VMs and a /etc/group of its own */

/* In place of a core: the outcome of a command is the name that it is about. */
static void answer_event(void *context, struct event *event)
{
    struct server_io *const *server = context;
    const struct request *request = event->request;
    if (event->kind == EVENT_REQUEST) {
        bool done = strcmp(request->name, "done") == 0;
        bool unknown = strcmp(request->name, "unknown") == 0;
        struct reply reply = {.id = request->id,
                              .verdict = done      ? VERDICT_DONE
                                         : unknown ? VERDICT_UNKNOWN
                                                   : VERDICT_REFUSED,
                              .text = "so it is"};
        server_io_answer(*server, &reply);
    }
}

/* Only this process sees it. */
static bool own_group_file(void)
{
    char path[] = "/tmp/stead-group-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL || unshare(CLONE_NEWNS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        return false;
    }
    fputs("root:x:0:\nlong:x:44999:", file);
    for (int i = 0; i < 20000; i++) {
        fprintf(file, "%suser%d", i == 0 ? "" : ",", i);
    }
    fprintf(file, "\nstead-others:x:45003:\n" PEER_GROUP ":x:%d:\n" PEER_ASK_GROUP ":x:%d:\n",
            GROUP_ALL, GROUP_ASK);
    fclose(file);
    bool mounted = chmod(path, 0644) == 0 && mount(path, "/etc/group", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    return mounted;
}

static struct core *large_core(void)
{
    struct core *core = calloc(1, sizeof(*core));
    if (core == NULL) {
        _exit(1);
    }
    core->cluster.header.version = 1;
    core->cluster.nodes[0] =
        (struct node_record){.name = "n1", .nodeid = 1, .state = NODE_ADMITTED};
    core->cluster.vm_end = VMS_MAX;
    for (uint32_t i = 0; i < VMS_MAX; i++) {
        struct vm_record *vm = &core->cluster.vms[i];
        snprintf(vm->name, sizeof(vm->name), "vm-%05u", i);
        snprintf(vm->reason, sizeof(vm->reason), "as long as a reason may be: %0150u", i);
        vm->state = VM_RUNNING;
        vm->want = WANT_RUNNING;
        vm->node = NODE_NONE;
        vm->uuid.bytes[0] = (uint8_t)i;
        vm->uuid.bytes[1] = (uint8_t)(1 + (i >> 8));
    }
    core->cluster.header.digest = state_digest(&core->cluster);
    return core;
}

static void serve(const char *path, int ready, uint32_t large)
{
    struct server_io *server = NULL;
    const struct sink sink = {.put = answer_event, .context = &server};
    qb_loop_t *loop = qb_loop_create();
    if (loop == NULL || (geteuid() == 0 && !own_group_file()) ||
        server_io_open(loop, path, &sink, &server) < 0) {
        _exit(1);
    }
    server_io_say(server, "waiting for the test");
    if (large != 0) {
        static struct vm_tools tools;
        tools.core = large_core();
        server_io_begin(server, &tools);
    }
    if (write(ready, "x", 1) != 1) {
        _exit(1);
    }
    alarm(120); /* should the test die */
    qb_loop_run(loop);
    _exit(0);
}

static int connect_to(const struct fixture *f)
{
    int fd = raw_connect(f->path);
    assert_true(fd >= 0);
    return fd;
}

/* Sends f->frame and takes the one reply. The caller frees. */
static Control__Reply *exchange(struct fixture *f, int fd, size_t size)
{
    Control__Reply *reply = NULL;
    (void)raw_send(fd, f->frame, size); /* a refused connection may be closed already */
    size_t got = raw_receive(fd, f->reply, 5000);
    assert_true(got > 0);
    assert_int_equal(control_unpack_reply(f->reply, got, &reply), 0);
    return reply;
}

static void expect_refusal(struct fixture *f, int fd, size_t size, const char *words)
{
    Control__Reply *reply = exchange(f, fd, size);
    assert_int_equal(reply->answer_case, CONTROL__REPLY__ANSWER_OUTCOME);
    assert_int_equal(reply->outcome->verdict, CONTROL__VERDICT__VERDICT_REFUSED);
    if (strstr(reply->outcome->text, words) == NULL) {
        fail_msg("\"%s\" instead of \"%s\"", reply->outcome->text, words);
    }
    control_free_reply(&reply);
}

static size_t pack_ask(struct fixture *f, uint32_t first_vm)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__StatusAsk ask = CONTROL__STATUS_ASK__INIT;
    size_t size = 0;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_STATUS;
    request.status = &ask;
    ask.first_vm = first_vm;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    return size;
}

static size_t pack_copy_ask(struct fixture *f)
{
    Control__Request request = CONTROL__REQUEST__INIT;
    Control__CopyAsk ask = CONTROL__COPY_ASK__INIT;
    size_t size = 0;
    request.version = CONTROL_VERSION;
    request.ask_case = CONTROL__REQUEST__ASK_COPY;
    request.copy = &ask;
    assert_int_equal(control_pack_request(&request, f->frame, sizeof(f->frame), &size), 0);
    return size;
}

static void expect_status(struct fixture *f, int fd)
{
    Control__Reply *reply = exchange(f, fd, pack_ask(f, 0));
    assert_int_equal(reply->answer_case, CONTROL__REPLY__ANSWER_STATUS);
    assert_string_equal(reply->status->situation, "waiting for the test");
    assert_false(reply->status->loaded);
    control_free_reply(&reply);
}

static void server_answers_each(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);
    expect_status(f, fd);
    size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    expect_refusal(f, fd, size, "waits for Corosync");
    size = pack_command(f, 2, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    expect_refusal(f, fd, size, "different releases");
    size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "a b");
    expect_refusal(f, fd, size, "make sense");
    memset(f->frame + HEAD, 0xff, 40);
    memcpy(f->frame, "\0\0\0\050", HEAD);
    expect_refusal(f, fd, HEAD + 40, "make sense");
    expect_status(f, fd);
    close(fd);
}

static void each_outcome_is_told(void **state)
{
    static const struct {
        const char *name;
        Control__Verdict verdict;
    } outcomes[] = {{"done", CONTROL__VERDICT__VERDICT_DONE},
                    {"refused", CONTROL__VERDICT__VERDICT_REFUSED},
                    {"unknown", CONTROL__VERDICT__VERDICT_UNKNOWN}};
    struct fixture *f = calloc(1, sizeof(*f));
    (void)state;
    assert_non_null(f);
    snprintf(f->path, sizeof(f->path), "/tmp/stead-told-%d.sock", (int)getpid());
    f->server = server_start(f->path, 1, serve);
    assert_true(f->server > 0);
    int fd = connect_to(f);
    for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
        size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, outcomes[i].name);
        Control__Reply *reply = exchange(f, fd, size);
        assert_int_equal(reply->outcome->verdict, outcomes[i].verdict);
        assert_string_equal(reply->outcome->text, "so it is");
        control_free_reply(&reply);
    }
    close(fd);
    assert_true(server_stop(f->server));
    unlink(f->path);
    free(f);
}

static void wrong_lengths_do_no_harm(void **state)
{
    struct fixture *f = *state;
    static const uint32_t lengths[] = {0,          CONTROL_BYTES_MAX - HEAD + 1,
                                       0x7fffffff, 0x80000000,
                                       0xffffffff, 0x47455420 /* "GET " */};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int fd = connect_to(f);
        const uint32_t head = htonl(lengths[i]);
        memcpy(f->frame, &head, HEAD);
        expect_refusal(f, fd, HEAD, "its length is wrong");
        assert_true(raw_hung_up(fd, 5000));
        close(fd);
        fd = connect_to(f);
        expect_status(f, fd);
        close(fd);
    }
}

/* ---- who may do what */

/* In children of other users: 0 when it went as the words say. */
static bool outcome_says(struct fixture *f, int fd, size_t size, const char *words)
{
    Control__Reply *reply = NULL;
    (void)raw_send(fd, f->frame, size);
    size_t got = raw_receive(fd, f->reply, 5000);
    bool says = got > 0 && control_unpack_reply(f->reply, got, &reply) == 0 &&
                reply->answer_case == CONTROL__REPLY__ANSWER_OUTCOME &&
                strstr(reply->outcome->text, words) != NULL;
    control_free_reply(&reply);
    return says;
}

static bool gets_status(struct fixture *f, int fd)
{
    Control__Reply *reply = NULL;
    (void)raw_send(fd, f->frame, pack_ask(f, 0));
    size_t got = raw_receive(fd, f->reply, 5000);
    bool is = got > 0 && control_unpack_reply(f->reply, got, &reply) == 0 &&
              reply->answer_case == CONTROL__REPLY__ANSWER_STATUS;
    control_free_reply(&reply);
    return is;
}

static int may_do_all(void *context)
{
    struct fixture *f = context;
    int fd = raw_connect(f->path);
    size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    return fd >= 0 && outcome_says(f, fd, size, "waits for Corosync") && gets_status(f, fd) ? 0 : 1;
}

static int may_ask(void *context)
{
    struct fixture *f = context;
    int fd = raw_connect(f->path);
    size_t size = pack_command(f, 1, CONTROL__COMMAND_KIND__COMMAND_VM_STOP, "v1");
    bool refused = fd >= 0 && outcome_says(f, fd, size, "members of the group stead may do this");
    if (!refused || !gets_status(f, fd) ||
        !outcome_says(f, fd, pack_copy_ask(f), "members of the group stead may do this")) {
        return 1;
    }
    /* Those who only ask need no large frames, and get no memory for them. */
    memcpy(f->frame, "\0\0\020\001", HEAD);
    return outcome_says(f, fd, HEAD, "its length is wrong") && raw_hung_up(fd, 5000) ? 0 : 2;
}

static int may_do_nothing(void *context)
{
    struct fixture *f = context;
    int fd = raw_connect(f->path);
    bool told =
        fd >= 0 && outcome_says(f, fd, pack_ask(f, 0),
                                "only root and members of the group stead may talk to the "
                                "agent, and those of stead-view may ask; this is uid 65534");
    return told && raw_hung_up(fd, 5000) ? 0 : 1;
}

static void groups_decide(void **state)
{
    const gid_t all[] = {3, GROUP_ALL};
    const gid_t ask[] = {GROUP_ASK};
    const gid_t both[] = {GROUP_ASK, GROUP_ALL};
    const gid_t others[] = {44999, 45003, 1, 2};
    char name[NAME_BYTES];
    assert_int_equal(geteuid(), 0); /* else nobody else can be played */
    assert_int_equal(as_user(0, 0, NULL, 0, may_do_all, *state), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, all, 2, may_do_all, *state), 0);
    assert_int_equal(as_user(NOBODY, GROUP_ALL, NULL, 0, may_do_all, *state), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, both, 2, may_do_all, *state), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, ask, 1, may_ask, *state), 0);
    assert_int_equal(as_user(NOBODY, GROUP_ASK, NULL, 0, may_ask, *state), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, NULL, 0, may_do_nothing, *state), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, others, 4, may_do_nothing, *state), 0);
    assert_int_equal(as_user(NOBODY, 0, NULL, 0, may_do_nothing, *state), 0); /* root's group */
    peer_io_name(0, name);
    assert_string_equal(name, "root");
    peer_io_name(4000000000u, name);
    assert_string_equal(name, "uid-4000000000");
}

/* ---- how many of them */

/* Of whom there is room for one more: the next is told so. */
static int one_more(void *context)
{
    struct fixture *f = context;
    int first = raw_connect(f->path);
    if (first < 0 || !gets_status(f, first)) {
        return 1;
    }
    int second = raw_connect(f->path);
    return second >= 0 && outcome_says(f, second, pack_ask(f, 0), "connections, no more for you")
               ? 0
               : 2;
}

static int none_more(void *context)
{
    struct fixture *f = context;
    int fd = raw_connect(f->path);
    return fd >= 0 && outcome_says(f, fd, pack_ask(f, 0), "connections, no more for you") ? 0 : 1;
}

/* Opens connections until there are `count`, each known to the server. */
static void fill_up(struct fixture *f, int *fds, int from, int count)
{
    for (int i = from; i < count; i++) {
        fds[i] = connect_to(f);
        expect_status(f, fds[i]);
    }
}

/* Those who ask cannot keep out those who operate, nor these root. */
static void each_kind_has_its_room(void **state)
{
    const gid_t ask[] = {GROUP_ASK}, all[] = {GROUP_ALL};
    struct fixture *f = *state;
    static int fds[SOCKET_CLIENTS_MAX];
    assert_int_equal(geteuid(), 0); /* else nobody else can be played */
    fill_up(f, fds, 0, SOCKET_ASKS_MAX - 1);
    assert_int_equal(as_user(NOBODY, NOBODY, ask, 1, one_more, f), 0);
    fill_up(f, fds, SOCKET_ASKS_MAX - 1, SOCKET_OPERATES_MAX - 1);
    assert_int_equal(as_user(NOBODY, NOBODY, ask, 1, none_more, f), 0);
    assert_int_equal(as_user(NOBODY, NOBODY, all, 1, one_more, f), 0);
    fill_up(f, fds, SOCKET_OPERATES_MAX - 1, SOCKET_CLIENTS_MAX - 1);
    assert_int_equal(as_user(NOBODY, NOBODY, all, 1, none_more, f), 0);
    assert_int_equal(as_user(0, 0, NULL, 0, one_more, f), 0); /* root */
    for (int i = 0; i < SOCKET_CLIENTS_MAX - 1; i++) {
        close(fds[i]);
    }
}

/* ---- 10,000 VMs */

#define READERS 100
#define COMMANDS 8

/* What `stead status` does, in a child. */
static int whole_status(void *context)
{
    static struct cli_status status;
    struct fixture *f = context;
    struct cli_client *client = NULL;
    size_t count = 0;
    if (cli_connect_to(f->path, &client) != CLI_DONE ||
        cli_ask_status(client, "", &status) != CLI_DONE) {
        return 1;
    }
    for (size_t i = 0; i < status.page_count; i++) {
        count += status.pages[i]->status->n_vms;
    }
    cli_free_status(&status);
    cli_disconnect(&client);
    return count == VMS_MAX ? 0 : 2;
}

/* The page that begins there, for one client; where the next begins. */
static uint32_t take_page(struct fixture *f, int fd, size_t *count, size_t *ret_size)
{
    Control__Reply *reply = NULL;
    size_t size = raw_receive(fd, f->reply, 20000);
    assert_int_equal(control_unpack_reply(f->reply, size, &reply), 0);
    assert_int_equal(reply->answer_case, CONTROL__REPLY__ANSWER_STATUS);
    uint32_t next = reply->status->next_vm;
    *count += reply->status->n_vms;
    *ret_size = size;
    control_free_reply(&reply);
    return next;
}

/* A hundred clients that read it page by page, a slow one, and eight whole commands at once. */
static void ten_thousand_vms(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    pid_t commands[COMMANDS];
    int fds[READERS];
    uint32_t next = 0;
    size_t count = 0;
    (void)state;
    assert_non_null(f);
    snprintf(f->path, sizeof(f->path), "/tmp/stead-large-%d.sock", (int)getpid());
    f->server = server_start(f->path, 1, serve);
    assert_true(f->server > 0);
    int slow = connect_to(f);
    assert_true(raw_send(slow, f->frame, pack_ask(f, 0)));
    for (int i = 0; i < READERS; i++) {
        fds[i] = connect_to(f);
    }
    for (int i = 0; i < COMMANDS; i++) {
        commands[i] = fork();
        if (commands[i] == 0) {
            _exit(whole_status(f));
        }
    }
    do {
        size_t first = 0;
        for (int i = 0; i < READERS; i++) {
            assert_true(raw_send(fds[i], f->frame, pack_ask(f, next)));
        }
        uint32_t after = take_page(f, fds[0], &count, &first);
        for (int i = 1; i < READERS; i++) { /* all get the same */
            assert_int_equal(raw_receive(fds[i], f->reply, 20000), first);
        }
        next = after;
    } while (next != 0);
    assert_int_equal(count, VMS_MAX);
    for (int i = 0; i < COMMANDS; i++) {
        int status = 0;
        assert_int_equal(waitpid(commands[i], &status, 0), commands[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < READERS; i++) {
        close(fds[i]);
    }
    close(slow);
    assert_true(server_stop(f->server));
    unlink(f->path);
    free(f);
}

/* What `stead cluster backup` asks for where the state object is gone. */
static void the_whole_copy(void **state)
{
    struct fixture *f = *state;
    char path[64];
    struct cli_client *client = NULL;
    struct backup backup;
    struct copy_source source;
    struct cluster *image = NULL;
    assert_int_equal(cli_connect_to(f->path, &client), CLI_DONE);
    assert_int_equal(cli_ask_copy(client, &backup, &source), CLI_FAILED); /* it has none */
    cli_disconnect(&client);
    snprintf(path, sizeof(path), "/tmp/stead-copy-%d.sock", (int)getpid());
    pid_t server = server_start(path, 1, serve);
    assert_true(server > 0);
    assert_int_equal(cli_connect_to(path, &client), CLI_DONE);
    assert_int_equal(cli_ask_copy(client, &backup, &source), CLI_DONE);
    cli_disconnect(&client);
    assert_int_equal(backup_state(&backup, &image), 0);
    assert_int_equal(image->vm_end, VMS_MAX);
    assert_string_equal(image->vms[VMS_MAX - 1].name, "vm-09999");
    assert_string_equal(image->nodes[0].name, "n1");
    assert_false(source.known);
    free(image);
    backup_free(&backup);
    assert_true(server_stop(server));
    unlink(path);
}

/* ---- the command's own words */

static void the_command_tells_what_is_wrong(void **state)
{
    struct fixture *f = *state;
    struct cli_client *client = NULL;
    static struct cli_status status;
    assert_int_equal(cli_connect_to("/tmp/no-such-stead.sock", &client), CLI_NO_AGENT);
    assert_null(client);
    assert_int_equal(cli_connect_to(f->path, &client), CLI_DONE);
    assert_int_equal(kill(f->server, SIGSTOP), 0); /* it hangs */
    enum cli_exit hung = cli_ask_status(client, "", &status);
    assert_int_equal(kill(f->server, SIGCONT), 0);
    assert_int_equal(hung, CLI_NO_AGENT);
    cli_disconnect(&client);
    assert_int_equal(cli_connect_to(f->path, &client), CLI_DONE);
    assert_int_equal(cli_ask_status(client, "", &status), CLI_DONE);
    cli_free_status(&status);
    cli_disconnect(&client);
}

/* ---- */

static int start_server(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    snprintf(f->path, sizeof(f->path), "/tmp/stead-control-%d.sock", (int)getpid());
    f->server = server_start(f->path, 0, serve);
    *state = f;
    return f->server > 0 ? 0 : -1;
}

static int stop_server(void **state)
{
    struct fixture *f = *state;
    bool was_alive = server_stop(f->server);
    unlink(f->path);
    free(f);
    return was_alive ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_answers_each),
        cmocka_unit_test(each_outcome_is_told),
        cmocka_unit_test(wrong_lengths_do_no_harm),
        cmocka_unit_test(groups_decide),
        cmocka_unit_test(each_kind_has_its_room),
        cmocka_unit_test(ten_thousand_vms),
        cmocka_unit_test(the_whole_copy),
        cmocka_unit_test(the_command_tells_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
