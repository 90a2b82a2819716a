/* For the tests of the libvirt edge: the edge on a loop, and another client of the same libvirt. */
#ifndef STEAD_TESTS_EDGE_LIBVIRT_WORLD_H
#define STEAD_TESTS_EDGE_LIBVIRT_WORLD_H

#include <libvirt/libvirt.h>
#include <stdio.h>
#include <unistd.h>

#include "migration/domain_xml_io.h"
#include "migration/libvirt_io.h"
#include "tests/edge/events.h"

#define WAIT_MS 20000

/* Several of these tests may run at a time. */
static inline struct uuid vm(uint8_t number)
{
    struct uuid uuid = {{0x57, 0xea, 0xd1, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0}};
    uuid.bytes[13] = (uint8_t)getpid();
    uuid.bytes[14] = (uint8_t)(getpid() >> 8);
    uuid.bytes[15] = number;
    return uuid;
}

struct world {
    struct events *events;
    struct libvirt_io *io;
    const char *uri;
    virConnectPtr other; /* another client of the same libvirt */
};

static inline void world_open(struct world *world, const char *uri)
{
    world->uri = uri;
    world->events = events_new();
    assert_int_equal(libvirt_io_open(world->events->loop, uri, &world->events->sink, &world->io),
                     0);
}

static inline void world_connect(struct world *world)
{
    assert_non_null(events_wait(world->events, 0, EVENT_DOMAINS, 0, WAIT_MS));
    world->other = virConnectOpen(world->uri);
    assert_non_null(world->other);
}

static inline void world_close(struct world *world)
{
    if (world->other) {
        virConnectClose(world->other);
    }
    libvirt_io_close(world->io);
    events_free(world->events);
    free(world);
}

static inline struct action ask(struct world *world, enum action_kind kind, const struct uuid *uuid,
                                uint64_t limit_ms)
{
    struct action action = {.kind = kind};
    action.id = world->events->next_id++;
    action.deadline_ms = events_now_ms() + limit_ms;
    action.vm.uuid = *uuid;
    action.vm.action = (struct action_id){3, 4};
    return action;
}

static inline const struct event *wait_done(struct world *world, const struct action *action)
{
    const struct event *event =
        events_wait(world->events, 0, EVENT_DOMAIN_DONE, action->id, WAIT_MS);
    assert_non_null(event);
    return event;
}

static inline void expect_done(struct world *world, const struct action *action,
                               enum outcome outcome)
{
    const struct event *event = wait_done(world, action);
    if (event->domain_done.outcome != outcome) {
        fail_msg("outcome %d (\"%s\"), wanted %d", (int)event->domain_done.outcome,
                 event->domain_done.text, (int)outcome);
    }
}

/* Does it, and expects that outcome. */
static inline void act(struct world *world, enum action_kind kind, const struct uuid *uuid,
                       enum outcome outcome)
{
    struct action action = ask(world, kind, uuid, 15000);
    libvirt_io_act(world->io, &action);
    expect_done(world, &action, outcome);
}

static inline void expect_domain(struct world *world, uint32_t from, const struct uuid *uuid,
                                 enum domain_state domain_state, enum domain_end end)
{
    const struct event *event =
        events_wait_domain(world->events, from, uuid, domain_state, WAIT_MS);
    assert_non_null(event);
    assert_int_equal(event->domain.end, end);
    assert_int_equal(event->domain.action.term, 3);
    assert_int_equal(event->domain.action.counter, 4);
}

/* A domain of `type` without disks; with our mark if `mark` is not NULL. */
static inline void domain_xml(char *xml, size_t size, const char *type, const char *name,
                              const struct uuid *uuid, const char *mark)
{
    char text[UUID_TEXT_BYTES];
    uuid_format(uuid, text);
    snprintf(xml, size,
             "<domain type='%s'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>16</memory>"
             "<metadata>%s</metadata><os><type arch='x86_64'>hvm</type></os>"
             "<features><acpi/></features><devices><controller type='usb' model='none'/>"
             "<memballoon model='none'/></devices></domain>",
             type, name, text, mark ? mark : "");
}

#define MARK(rest) "<stead:vm xmlns:stead='https://stead.example/1' term='3' counter='4' " rest "/>"

#endif
