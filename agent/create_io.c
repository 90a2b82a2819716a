/* Definition, secret, domain: in that order. */
#include "agent/create_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/journal_io.h"
#include "agent/keyring_io.h"
#include "migration/review_io.h"
#include "proto/digest.h"
#include "proto/values.h"
#include "storage/nvram_io.h"

#define SECRETS_MAX 16 /* different secrets in use at one time; more are set each time anew */

struct secret {
    char uuid[40];
    uint64_t digest; /* of the key it was set to */
};

struct create_io {
    struct storage_io *storage;
    struct libvirt_io *libvirt;
    struct create_options options;
    struct sink sink;
    uint32_t secret_count;
    struct secret secrets[SECRETS_MAX];
};

/* One creation on its way. */
struct creation {
    struct create_io *io;
    struct action action;
    char *xml;
};

static void fail(struct create_io *io, const struct action *action, const char *why)
{
    struct event event = {.kind = EVENT_DOMAIN_DONE, .id = action->id};
    event.domain_done.outcome = OUTCOME_FAILED;
    name_set(event.domain_done.text, sizeof(event.domain_done.text), why);
    sink_put(&io->sink, &event);
}

static bool is_set(const struct create_io *io, const struct secret *secret)
{
    for (uint32_t i = 0; i < io->secret_count; i++) {
        if (strcmp(io->secrets[i].uuid, secret->uuid) == 0) {
            return io->secrets[i].digest == secret->digest;
        }
    }
    return false;
}

static void remember(struct create_io *io, const struct secret *secret)
{
    uint32_t at = 0;
    while (at < io->secret_count && strcmp(io->secrets[at].uuid, secret->uuid) != 0) {
        at++;
    }
    if (at < SECRETS_MAX) {
        io->secrets[at] = *secret;
        io->secret_count += at == io->secret_count;
    }
}

/* A secret that cannot be set is said, and the creation tried all the same: libvirt may have it. */
static void see_to_secret(struct create_io *io, const char *uuid)
{
    char key[KEYRING_KEY_BYTES];
    struct secret secret = {.digest = 0};
    const char *user = io->options.guest_user;
    int r = keyring_io_read_key(io->options.ceph_conf, user, key);
    if (r < 0) {
        journal_io_say(LOG_WARNING, "no key of Ceph user client.%s found here: %s", user,
                       strerror(-r));
        return;
    }
    name_set(secret.uuid, sizeof(secret.uuid), uuid);
    secret.digest = digest_bytes(DIGEST_SEED, key, strlen(key));
    if (!is_set(io, &secret)) {
        r = libvirt_io_set_ceph_secret(io->libvirt, uuid, user, key);
        if (r == 0) {
            remember(io, &secret);
        } else {
            journal_io_say(LOG_WARNING, "libvirt did not take the Ceph secret %s: %s", uuid,
                           strerror(-r));
        }
    }
    explicit_bzero(key, sizeof(key));
}

void create_io_bring_secrets(struct create_io *io, const char *xml)
{
    struct domain_facts facts;
    char text[TEXT_BYTES];
    if (domain_xml_facts(xml, &facts, text) < 0) {
        return; /* libvirt will say what is wrong with it */
    }
    for (uint32_t i = 0; i < facts.image_count; i++) {
        bool again = false;
        for (uint32_t j = 0; j < i; j++) {
            again = again || strcmp(facts.images[i].secret, facts.images[j].secret) == 0;
        }
        if (facts.images[i].secret[0] != '\0' && !again) {
            see_to_secret(io, facts.images[i].secret);
        }
    }
}

static void create(struct creation *creation)
{
    libvirt_io_create(creation->io->libvirt, &creation->action, creation->xml);
    free(creation->xml);
    free(creation);
}

static void have_nvram(void *context, enum outcome outcome)
{
    struct creation *creation = context;
    if (outcome == OUTCOME_DONE) {
        create(creation);
        return;
    }
    fail(creation->io, &creation->action,
         "its firmware variables could not be brought to this node from the pool");
    free(creation->xml);
    free(creation);
}

/* Firmware variables first, if it has any: QEMU opens the file when it is created. */
static void bring_nvram(struct creation *creation, const char *xml)
{
    struct nvram_place place = {.vm = creation->action.vm.uuid};
    review_nvram_path(xml, place.path, sizeof(place.path));
    creation->xml = strdup(xml);
    if (creation->xml == NULL) {
        fail(creation->io, &creation->action, "out of memory");
        free(creation);
    } else if (place.path[0] == '\0') {
        create(creation);
    } else {
        storage_io_restore_nvram(creation->io->storage, &place, creation->action.deadline_ms,
                                 have_nvram, creation);
    }
}

static void have_definition(void *context, enum outcome outcome,
                            const struct definition *definition)
{
    struct creation *creation = context;
    struct create_io *io = creation->io;
    const struct action *action = &creation->action;
    if (outcome == OUTCOME_MISSING) {
        fail(io, action, "its definition is not in the pool");
    } else if (outcome != OUTCOME_DONE || definition == NULL) {
        fail(io, action, "its definition could not be read from the pool");
    } else if (digest_bytes(DIGEST_SEED, definition->xml, strlen(definition->xml)) !=
               action->vm.definition_digest) {
        fail(io, action, "its definition in the pool is not the one the cluster decided on");
    } else {
        create_io_bring_secrets(io, definition->xml);
        bring_nvram(creation, definition->xml);
        return;
    }
    free(creation);
}

void create_io_act(struct create_io *io, const struct action *action)
{
    struct creation *creation = malloc(sizeof(*creation));
    if (creation == NULL) {
        fail(io, action, "out of memory");
        return;
    }
    *creation = (struct creation){.io = io, .action = *action};
    storage_io_read_definition(io->storage, &action->vm.uuid, action->vm.definition_version,
                               action->deadline_ms, have_definition, creation);
}

void create_io_forget_secrets(struct create_io *io)
{
    io->secret_count = 0;
}

int create_io_open(struct storage_io *storage, struct libvirt_io *libvirt,
                   const struct create_options *options, const struct sink *sink,
                   struct create_io **ret_io)
{
    struct create_io *io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return -ENOMEM;
    }
    io->storage = storage;
    io->libvirt = libvirt;
    io->options = *options;
    io->sink = *sink;
    *ret_io = io;
    return 0;
}
