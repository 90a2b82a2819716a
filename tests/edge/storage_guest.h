/* For the storage tests: images, definitions, and guests that have an image open. */
#ifndef STEAD_TESTS_EDGE_STORAGE_GUEST_H
#define STEAD_TESTS_EDGE_STORAGE_GUEST_H

#include <rbd/librbd.h>

#include "tests/edge/storage_world.h"

static inline uint32_t fresh_nonce(void) /* never one of an earlier run: entries last for years */
{
    static uint32_t last;
    last = last == 0 ? (uint32_t)time(NULL) % 1000000 * 1000 : last + 1;
    return last;
}

static inline void make_image(struct world *world, const char *name)
{
    rados_ioctx_t images;
    int order = 22;
    assert_int_equal(rados_ioctx_create(world->by_hand, "rbd", &images), 0);
    assert_int_equal(rbd_create2(images, name, 8 << 20, RBD_FEATURES_SINGLE_CLIENT, &order), 0);
    rados_ioctx_destroy(images);
}

static inline struct client address_of(rados_t cluster)
{
    struct client client = {{0}};
    char *addresses = NULL;
    assert_int_equal(rados_getaddrs(cluster, &addresses), 0);
    name_set(client.address, CLIENT_BYTES,
             strncmp(addresses, "v2:", 3) == 0 ? addresses + 3 : addresses);
    rados_buffer_free(addresses);
    return client;
}

static inline void on_definition_added(void *context, enum outcome outcome, uint64_t generation,
                                       const char *text)
{
    (void)generation;
    assert_string_equal(text, "");
    assert_int_equal(outcome, OUTCOME_DONE);
    qb_loop_stop(((struct world *)context)->loop);
}

/* With its lease; `images` ends with a NULL. */
static inline void add_definition(struct world *world, const struct uuid *vm, uint32_t version,
                                  const char *const *images)
{
    char xml[] = "<domain/>";
    struct definition definition = {.vm = *vm, .version = version, .xml = xml};
    definition.digest = digest_bytes(DIGEST_SEED, xml, strlen(xml));
    for (; images[definition.image_count] != NULL; definition.image_count++) {
        strcpy(definition.images[definition.image_count].pool, "rbd");
        strcpy(definition.images[definition.image_count].name, images[definition.image_count]);
    }
    const struct preparation preparation = {.definition = definition, .cluster_id = uuid_from(1)};
    storage_io_prepare_vm(world->seats[0].io, &preparation, boot_ms() + ANSWER_MS,
                          on_definition_added, world);
    run_guarded(world);
}

#endif
