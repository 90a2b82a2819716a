/* The storage edge on a real Ceph, and the simulator's RADOS: the same list of actions to both. */
#include "storage_guest.h"

#include "conform_model.h"
#include "conform_storage.h"

#include <sys/wait.h>

static const char story[] = "cluster seed=7\nnode n1\nnode n2\nnode n3\nnode n4\n"
                            "vm web on n1 want=stopped running=no\n"
                            "vm db on n2 want=stopped running=no\n"
                            "vm never on n2 want=stopped running=no\n"
                            "run 10000s\n";

/* ---- the model */

static void model_garble(struct conform *conform)
{
    (void)conform;
    sim_rados_object(model.sim, OBJECT_GARBLED);
}

static void model_stall(struct conform *conform, bool on)
{
    (void)conform;
    for (uint32_t vm = 0; vm < model.sim->vm_count; vm++) {
        model.sim->rados.lease_stalled[vm] = on;
    }
    sim_rados_object(model.sim, on ? OBJECT_STALLED : OBJECT_BACK);
}

static void model_bar(struct conform *conform, const struct client *client)
{
    struct sim_address address;
    (void)conform;
    assert_true(sim_address_parse(model.sim, client, &address));
    sim_block_hand(model.sim, address, BAR_MS * MS);
    sim_block_publish(model.sim);
}

static void model_hands_pass(struct conform *conform, uint32_t real_ms, uint64_t model_ms)
{
    (void)conform;
    (void)real_ms;
    model_pass(model_ms * MS);
}

static struct client model_guest_start(struct conform *conform, uint32_t vm)
{
    (void)conform;
    const uint32_t guest = sim_guest_new(model.sim, vm, C, (struct action_id){1, 1});
    sim_guest_open(model.sim, guest);
    model.sim->vms[vm].newest_guest = guest; /* which takes the lock */
    model.sim->vms[vm].newest_order = guest + 1;
    return sim_address_client(model.sim->guests[guest].client);
}

static void model_guest_end(struct conform *conform, bool clean)
{
    (void)conform;
    const uint32_t last = model.sim->guest_count - 1;
    sim_guest_end(model.sim, last, clean ? END_SHUTDOWN : END_CRASHED, true);
}

static const struct hands model_hands = {
    .garble = model_garble,
    .stall = model_stall,
    .bar = model_bar,
    .pass = model_hands_pass,
    .guest_start = model_guest_start,
    .guest_end = model_guest_end,
    .elsewhere = "10.0.0.4",
};

/* Nothing is there yet but two leases and definitions. */
static void model_storage_begin(struct list *list)
{
    model_begin(story);
    memset(model.sim->rados.state, 0, sizeof(*model.sim->rados.state));
    sim_rados_object(model.sim, OBJECT_GONE);
    model.sim->digest_count = 0; /* no version was ever committed */
    model.sim->rados.lease_exists[NEVER] = false;
    model.sim->vms[NEVER].known = false;
    for (uint32_t vm = WEB; vm <= NEVER; vm++) {
        list->vms[vm] = model.sim->vms[vm].uuid;
    }
    list->conform.ask = model_ask;
    list->hands = &model_hands;
    list->nonce = 900000;
}

/* ---- the real one */

static struct {
    pid_t pid;
    int in, out;
    const char *images[NEVER + 1];
} real_guest;

static struct event real_ask(void *part, uint32_t seat, struct action *action,
                             const struct delta *delta)
{
    struct world *world = part;
    struct action asked = *action;
    asked.deadline_ms += boot_ms();
    world->delta = *delta;
    struct event event = *ask(&world->seats[seat], &asked);
    assert_true(boot_ms() <= asked.deadline_ms + 500); /* a busy machine's allowance */
    event.state.image = event.kind == EVENT_STATE ? &world->image : event.state.image;
    return event;
}

static void real_garble(struct conform *conform)
{
    const struct world *world = conform->part;
    const char *const keys[] = {"header"}, *const values[] = {"nonsense"};
    const size_t key_sizes[] = {6}, value_sizes[] = {8};
    rados_write_op_t write = rados_create_write_op();
    rados_write_op_omap_set2(write, keys, values, key_sizes, value_sizes, 1);
    assert_int_equal(rados_write_op_operate(write, world->pool, "cluster", NULL, 0), 0);
    rados_release_write_op(write);
}

static void real_stall(struct conform *conform, bool on)
{
    signal_daemon(conform->part, "osd", on ? SIGSTOP : SIGCONT);
}

static void real_bar(struct conform *conform, const struct client *client)
{
    const struct world *world = conform->part;
    char text[160];
    const char *command = text;
    snprintf(text, sizeof(text),
             "{\"prefix\":\"osd blocklist\",\"blocklistop\":\"add\",\"addr\":\"%s\","
             "\"expire\":%d.0}",
             client->address, BAR_MS / 1000);
    assert_int_equal(rados_mon_command(world->by_hand, &command, 1, "", 0, NULL, NULL, NULL, NULL),
                     0);
}

static void real_pass(struct conform *conform, uint32_t real_ms, uint64_t model_ms)
{
    (void)model_ms;
    world_run(conform->part, real_ms);
}

/* A process of its own, since one that is killed tells nobody: this program, asked to be a guest.
 */
static int be_guest(const char *conf, const char *image_name)
{
    rados_t cluster;
    rados_ioctx_t pool;
    rbd_image_t image;
    char byte;
    assert_int_equal(rados_create(&cluster, "vm"), 0);
    assert_int_equal(rados_conf_read_file(cluster, conf), 0);
    rados_conf_set(cluster, "objecter_tick_interval", "1"); /* it must renew its watch in time */
    assert_int_equal(rados_connect(cluster), 0);
    assert_int_equal(rados_ioctx_create(cluster, "rbd", &pool), 0);
    assert_int_equal(rbd_open(pool, image_name, &image, NULL), 0);
    assert_int_equal(rbd_lock_acquire(image, RBD_LOCK_MODE_EXCLUSIVE), 0);
    const struct client client = address_of(cluster);
    printf("%s\n", client.address);
    fflush(stdout);
    if (read(STDIN_FILENO, &byte, 1) == 1) {
        rbd_close(image);
    }
    _exit(0);
}

static struct client real_guest_start(struct conform *conform, uint32_t vm)
{
    const struct world *world = conform->part;
    struct client client = {{0}};
    int in[2], out[2];
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    real_guest.pid = fork();
    if (real_guest.pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl("/proc/self/exe", "guest", world->conf, real_guest.images[vm], (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    real_guest.in = in[1];
    FILE *said = fdopen(out[0], "r");
    assert_int_equal(fscanf(said, "%63s", client.address), 1);
    fclose(said);
    return client;
}

static void real_guest_end(struct conform *conform, bool clean)
{
    (void)conform;
    if (clean) {
        assert_int_equal(write(real_guest.in, "x", 1), 1);
    } else {
        kill(real_guest.pid, SIGKILL);
    }
    assert_int_equal(waitpid(real_guest.pid, NULL, 0), real_guest.pid);
    close(real_guest.in);
}

static const struct hands real_hands = {
    .garble = real_garble,
    .stall = real_stall,
    .bar = real_bar,
    .pass = real_pass,
    .guest_start = real_guest_start,
    .guest_end = real_guest_end,
    .elsewhere = "10.99.0.7",
};

static void set_watch_timeout(const struct world *world, uint32_t seconds)
{
    char text[128];
    const char *command = text;
    char *said = NULL;
    size_t said_size = 0;
    snprintf(text, sizeof(text),
             "{\"prefix\":\"config set\",\"var\":\"osd_client_watch_timeout\",\"val\":[\"%u\"]}",
             seconds);
    rados_t admin = connect_as(world, "admin");
    assert_int_equal(rados_osd_command(admin, 0, &command, 1, "", 0, NULL, NULL, &said, &said_size),
                     0);
    rados_buffer_free(said);
    rados_shutdown(admin);
}

/* Seats without handles. */
static void bare_seats(struct world *world)
{
    for (world->seat_count = 0; world->seat_count < CONFORM_SEATS; world->seat_count++) {
        struct seat *seat = &world->seats[world->seat_count];
        const struct storage_options options = {.conf = world->conf,
                                                .user = "stead",
                                                .pool = "stead",
                                                .nodeid = world->seat_count + 1,
                                                .call_ms = CALL_MS};
        const struct sink sink = {.put = world_put, .context = seat};
        storage_io_close(seat->io);
        seat->world = world;
        assert_int_equal(storage_io_open(world->loop, &options, &sink, &seat->io), 0);
    }
}

static void real_storage_begin(struct world *world, struct list *list)
{
    static char names[NEVER][32];
    for (uint32_t vm = WEB; vm < NEVER; vm++) {
        snprintf(names[vm], sizeof(names[vm]), "disk-%u", fresh_nonce());
        const char *const images[] = {names[vm], NULL};
        make_image(world, names[vm]);
        add_definition(world, &list->vms[vm], 1, images);
        real_guest.images[vm] = names[vm];
    }
    set_watch_timeout(world, WATCH_REAL_S);
    bare_seats(world);
    list->conform.part = world;
    list->conform.ask = real_ask;
    list->hands = &real_hands;
    list->nonce = fresh_nonce();
}

/* ---- */

static void test_both_answer_alike(void **state)
{
    static struct list of_model, of_real;
    model_storage_begin(&of_model);
    run_list(&of_model);
    memcpy(of_real.vms, of_model.vms, sizeof(of_real.vms));
    real_storage_begin(*state, &of_real);
    run_list(&of_real);
    model_end();
    conform_compare(&of_model.conform, &of_real.conform);
}

/* Whatever happened: the tests after this one need the storage as it was. */
static int mend(void **state)
{
    const char *command = "{\"prefix\":\"osd blocklist\",\"blocklistop\":\"rm\","
                          "\"addr\":\"127.0.0.1:0/0\"}";
    struct world *world = *state;
    signal_daemon(world, "osd", SIGCONT);
    set_watch_timeout(world, WATCH_MODEL_S);
    return rados_mon_command(world->by_hand, &command, 1, "", 0, NULL, NULL, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[0], "guest") == 0) {
        return be_guest(argv[1], argv[2]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_both_answer_alike, world_empty, mend),
    };
    leave(cmocka_run_group_tests_name("conform: storage", tests, world_make, world_end));
}
