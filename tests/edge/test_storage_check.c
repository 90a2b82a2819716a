/* What `vm add` sees of images in a real Ceph, and what it writes for a running domain. */
#include <dirent.h>
#include <rbd/librbd.h>

#include "storage/check_io.h"
#include "storage_world.h"

#define RBD_POOL "rbd"

struct seen {
    struct world *world;
    bool there;
    enum outcome outcome;
    struct image_report report;
};

static void on_checked(void *context, enum outcome outcome, const struct image_report *report)
{
    struct seen *seen = context;
    assert_false(seen->there);
    seen->there = true;
    seen->outcome = outcome;
    if (report != NULL) {
        seen->report = *report;
    }
    qb_loop_stop(seen->world->loop);
}

static struct image_check check_of(uint64_t vm, const char *pool, const char *image)
{
    struct image_check check = {.guest_user = "vm"};
    check.definition.vm = uuid_from(vm);
    check.definition.image_count = 1;
    strcpy(check.definition.images[0].pool, pool);
    strcpy(check.definition.images[0].name, image);
    return check;
}

static struct image_report look(struct world *world, const struct image_check *check)
{
    struct seen seen = {.world = world};
    storage_io_check_images(world->seats[0].io, check, boot_ms() + ANSWER_MS, on_checked, &seen);
    if (!seen.there) {
        run_guarded(world);
    }
    assert_int_equal(seen.outcome, OUTCOME_DONE);
    return seen.report;
}

static void expect_found(const struct image_report *report, enum finding_kind kind,
                         const char *words)
{
    for (uint32_t i = 0; i < report->review.count; i++) {
        if (report->review.list[i].kind == kind && strstr(report->review.list[i].text, words)) {
            return;
        }
    }
    for (uint32_t i = 0; i < report->review.count; i++) {
        print_error("found: %s\n", report->review.list[i].text);
    }
    fail_msg("nothing of kind %s says \"%s\"", review_word(kind), words);
}

static rados_ioctx_t images_of(struct world *world)
{
    rados_ioctx_t images;
    assert_int_equal(rados_ioctx_create(world->by_hand, RBD_POOL, &images), 0);
    return images;
}

static void make_image(rados_ioctx_t images, const char *name)
{
    int order = 22;
    rbd_remove(images, name);
    assert_int_equal(rbd_create(images, name, 8 << 20, &order), 0);
}

static void test_a_good_image_has_no_finding(void **state)
{
    rados_ioctx_t images = images_of(*state);
    make_image(images, "good");
    struct image_check check = check_of(1, RBD_POOL, "good");
    struct image_report report = look(*state, &check);
    assert_int_equal(report.review.count, 0);
    assert_true(uuid_is_zero(&report.claims[0].vm));
    rbd_remove(images, "good");
}

static void test_what_does_not_open_is_named(void **state)
{
    rados_ioctx_t images = images_of(*state);
    make_image(images, "good");
    struct image_check check = check_of(1, RBD_POOL, "nosuch");
    check.definition.image_count = 3; /* all at once */
    strcpy(check.definition.images[1].pool, "nopool");
    strcpy(check.definition.images[1].name, "x");
    strcpy(check.definition.images[2].pool, RBD_POOL);
    strcpy(check.definition.images[2].name, "good");
    struct image_report report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "image rbd/nosuch does not exist");
    expect_found(&report, FINDING_IMAGE, "there is no pool 'nopool'");
    assert_int_equal(report.review.count, 2);
    rbd_remove(images, "good");
}

/* Of a running domain, too: the feature can be enabled under a guest. */
static void test_an_image_without_a_lock_is_refused(void **state)
{
    rados_ioctx_t images = images_of(*state);
    rbd_image_t opened;
    int order = 22;
    rbd_remove(images, "bare");
    assert_int_equal(rbd_create2(images, "bare", 8 << 20, RBD_FEATURE_LAYERING, &order), 0);
    struct image_check check = check_of(1, RBD_POOL, "bare");
    struct image_report report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "image rbd/bare lacks exclusive-lock");
    expect_found(&report, FINDING_IMAGE, "(rbd feature enable rbd/bare exclusive-lock)");
    assert_int_equal(report.review.count, 1);
    assert_int_equal(rbd_open(images, "bare", &opened, NULL), 0);
    check.running = true;
    report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "image rbd/bare lacks exclusive-lock");
    assert_int_equal(rbd_update_features(opened, RBD_FEATURE_EXCLUSIVE_LOCK, 1), 0);
    report = look(*state, &check);
    assert_int_equal(report.review.count, 0);
    rbd_close(opened);
    rbd_remove(images, "bare");
}

/* The agent's pool: its own key may write there, the guests' may not. */
static void test_missing_rights_are_named(void **state)
{
    rados_ioctx_t images = images_of(*state);
    make_image(images, "good");
    make_image(((struct world *)*state)->pool, "theirs");
    struct image_check check = check_of(1, "stead", "theirs");
    struct image_report report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "client.vm has no right to open and write it");
    expect_found(&report, FINDING_IMAGE, "profile rbd pool=stead");
    check = check_of(1, RBD_POOL, "good");
    strcpy(check.guest_user, "stranger");
    report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "/etc/ceph/ceph.client.stranger.keyring");
    rbd_remove(images, "good");
}

static void allow_guest(const struct world *world, const char *osd)
{
    char text[256];
    const char *command = text;
    rados_t admin = connect_as(world, "admin");
    snprintf(text, sizeof(text),
             "{\"prefix\":\"auth caps\",\"entity\":\"client.vm\",\"caps\":[\"mon\",\"profile "
             "rbd\",\"osd\",\"%s\"]}",
             osd);
    assert_int_equal(rados_mon_command(admin, &command, 1, "", 0, NULL, NULL, NULL, NULL), 0);
    rados_shutdown(admin);
}

/* The client with the guests' key is kept for the next look, but not with what was wrong in it. */
static void test_mended_rights_are_seen_at_once(void **state)
{
    struct world *world = *state;
    make_image(world->pool, "theirs");
    struct image_check check = check_of(1, "stead", "theirs");
    struct image_report report = look(world, &check);
    expect_found(&report, FINDING_IMAGE, "client.vm has no right to open and write it");
    allow_guest(world, "profile rbd pool=rbd, profile rbd pool=stead");
    report = look(world, &check);
    assert_int_equal(report.review.count, 0);
    allow_guest(world, "profile rbd pool=rbd");
    rbd_remove(world->pool, "theirs");
}

static int tasks(void)
{
    int count = -2; /* . and .. */
    DIR *folder = opendir("/proc/self/task");
    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/* One client for a row of looks, and none that stays. */
static void test_the_guests_client_goes_again(void **state)
{
    struct world *world = *state;
    rados_ioctx_t images = images_of(world);
    make_image(images, "good");
    struct image_check check = check_of(1, RBD_POOL, "good");
    (void)look(world, &check);
    const int one = tasks();
    for (int i = 0; i < 5; i++) {
        assert_int_equal(look(world, &check).review.count, 0);
        assert_true(tasks() <= one + 1); /* a worker more, no client */
    }
    guest_client_forget(world->seats[0].io);
    for (int i = 0; i < 50 && tasks() >= one - 3; i++) {
        usleep(100000);
    }
    assert_true(tasks() < one - 3);
    rbd_remove(images, "good");
}

static void test_other_monitors_are_asked(void **state)
{
    rados_ioctx_t images = images_of(*state);
    make_image(images, "good");
    struct image_check check = check_of(1, RBD_POOL, "good");
    strcpy(check.hosts[0], "127.0.0.1:1"); /* nobody there */
    struct image_report report = look(*state, &check);
    expect_found(&report, FINDING_IMAGE, "127.0.0.1:1");
    rbd_remove(images, "good");
}

static void test_an_open_image_is_refused_or_named(void **state)
{
    struct world *world = *state;
    rados_ioctx_t images = images_of(world);
    rbd_image_t opened, again;
    make_image(images, "busy");
    struct image_check check = check_of(1, RBD_POOL, "busy");
    check.running = true;
    struct image_report report = look(world, &check);
    expect_found(&report, FINDING_IMAGE_OPEN, "is open 0 times");
    assert_int_equal(rbd_open(images, "busy", &opened, NULL), 0);
    report = look(world, &check);
    assert_int_equal(report.review.count, 0);
    assert_int_equal(report.clients.count, 1);
    check.running = false;
    report = look(world, &check);
    expect_found(&report, FINDING_IMAGE_OPEN, "is open at ");
    rados_t other = connect_as(world, "vm");
    rados_ioctx_t theirs;
    assert_int_equal(rados_ioctx_create(other, RBD_POOL, &theirs), 0);
    assert_int_equal(rbd_open(theirs, "busy", &again, NULL), 0);
    check.running = true;
    report = look(world, &check);
    expect_found(&report, FINDING_IMAGE_OPEN, "is open 2 times");
    rbd_close(again);
    rados_ioctx_destroy(theirs);
    rados_shutdown(other);
    rbd_close(opened);
    rbd_remove(images, "busy");
}

/* ---- claims, and the lease of a running domain */

struct told {
    struct world *world;
    enum outcome outcome;
    uint64_t generation;
    char text[TEXT_BYTES];
    bool there;
};

static void on_prepared(void *context, enum outcome outcome, uint64_t generation, const char *text)
{
    struct told *told = context;
    told->there = true;
    told->outcome = outcome;
    told->generation = generation;
    snprintf(told->text, sizeof(told->text), "%s", text);
    qb_loop_stop(told->world->loop);
}

static struct told prepare(struct world *world, const struct preparation *preparation)
{
    struct told told = {.world = world};
    storage_io_prepare_vm(world->seats[0].io, preparation, boot_ms() + ANSWER_MS, on_prepared,
                          &told);
    if (!told.there) {
        run_guarded(world);
    }
    return told;
}

static struct preparation preparation_of(const struct image_check *check, uint32_t version)
{
    static char xml[] = "<domain/>";
    struct preparation preparation = {.definition = check->definition, .cluster_id = uuid_from(9)};
    preparation.definition.version = version;
    preparation.definition.xml = xml;
    preparation.definition.digest = digest_bytes(DIGEST_SEED, xml, strlen(xml));
    return preparation;
}

static void test_an_image_is_claimed_once(void **state)
{
    rados_ioctx_t images = images_of(*state);
    make_image(images, "one");
    struct image_check first = check_of(1, RBD_POOL, "one"), second = check_of(2, RBD_POOL, "one");
    struct preparation one = preparation_of(&first, 7), two = preparation_of(&second, 8);
    assert_int_equal(prepare(*state, &one).outcome, OUTCOME_DONE);
    struct told told = prepare(*state, &two); /* it had seen the image unclaimed */
    assert_int_equal(told.outcome, OUTCOME_REFUSED);
    assert_non_null(strstr(told.text, "another VM was just given the image rbd/one"));
    struct image_report report = look(*state, &second);
    assert_true(uuid_equal(&report.claims[0].vm, &first.definition.vm));
    assert_true(report.claims[0].wall_s + 60 > (uint64_t)time(NULL));
    memcpy(two.claims, report.claims, sizeof(two.claims)); /* nobody's any more, says the cluster */
    assert_int_equal(prepare(*state, &two).outcome, OUTCOME_DONE);
    rbd_remove(images, "one");
}

static struct lease lease_of(struct world *world, uint64_t vm)
{
    struct action action = {.kind = ACTION_LEASE_READ};
    action.lease.lease.vm = uuid_from(vm);
    const struct event *event = ask(&world->seats[0], &action);
    assert_int_equal(event->lease.outcome, OUTCOME_DONE);
    return event->lease.lease;
}

static void test_a_running_domain_has_a_held_lease(void **state)
{
    struct world *world = *state;
    struct image_check check = check_of(3, RBD_POOL, "one");
    struct preparation running = preparation_of(&check, 7);
    running.running = true;
    running.holder = 2;
    running.incarnation = (struct incarnation){1, 5};
    running.clients.count = 1;
    strcpy(running.clients.list[0].address, "10.0.0.2:0/77");
    assert_int_equal(prepare(world, &running).generation, 7);
    struct lease lease = lease_of(world, 3);
    assert_int_equal(lease.state, LEASE_HELD);
    assert_int_equal(lease.holder, 2);
    assert_string_equal(lease.clients.list[0].address, "10.0.0.2:0/77");
    struct preparation other = running; /* another node, or an XML: not while it is held */
    other.holder = 3;
    other.claims[0] = look(world, &check).claims[0];
    struct told told = prepare(world, &other);
    assert_int_equal(told.outcome, OUTCOME_REFUSED);
    assert_non_null(strstr(told.text, "held by node 2"));
    running.claims[0] = look(world, &check).claims[0];
    assert_int_equal(prepare(world, &running).generation, 8); /* its own half-done try */
    struct action action = {.kind = ACTION_LEASE_REMOVE};
    action.lease.lease = (struct lease){.vm = uuid_from(3), .generation = 8};
    (void)ask(&world->seats[0], &action); /* not free */
    assert_int_equal(lease_of(world, 3).generation, 8);
    action.lease.lease.state = LEASE_HELD; /* given back */
    action.lease.lease.incarnation = running.incarnation;
    action.id = 0;
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_DONE);
    action = (struct action){.kind = ACTION_LEASE_READ};
    action.lease.lease.vm = uuid_from(3);
    assert_int_equal(ask(&world->seats[0], &action)->lease.outcome, OUTCOME_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_good_image_has_no_finding, world_empty),
        cmocka_unit_test_setup(test_what_does_not_open_is_named, world_empty),
        cmocka_unit_test_setup(test_an_image_without_a_lock_is_refused, world_empty),
        cmocka_unit_test_setup(test_missing_rights_are_named, world_empty),
        cmocka_unit_test_setup(test_mended_rights_are_seen_at_once, world_empty),
        cmocka_unit_test_setup(test_the_guests_client_goes_again, world_empty),
        cmocka_unit_test_setup(test_other_monitors_are_asked, world_empty),
        cmocka_unit_test_setup(test_an_open_image_is_refused_or_named, world_empty),
        cmocka_unit_test_setup(test_an_image_is_claimed_once, world_empty),
        cmocka_unit_test_setup(test_a_running_domain_has_a_held_lease, world_empty),
    };
    leave(cmocka_run_group_tests(tests, world_make, world_end));
}
