/*
 * The domains this host is known to have, and what is told of them: turns libvirt's news into
 * events. Lives on the main loop.
 */
#ifndef STEAD_MIGRATION_LIBVIRT_KNOWN_IO_H
#define STEAD_MIGRATION_LIBVIRT_KNOWN_IO_H

#include "migration/libvirt_inner_io.h"
#include "proto/sink.h"

#define KNOWN_MAX (RUNS_MAX * 2)

struct known {
    struct uuid vm;
    struct action_id action; /* of the start that made what is there now */
    bool present;            /* libvirt shows it */
    bool starting;           /* marked so */
    bool suspended;          /* likewise, or about to be */
    bool coming;             /* a creation of `coming_action` is under way */
    bool abandoned;          /* one of `abandoned_action` was given up: destroy it when it comes */
    bool listed;
    bool told;
    bool signalled;          /* QEMU was told to quit: what follows is no end of the guest's own */
    enum domain_state state; /* as told last */
    uint32_t changes;        /* since it is known */
    enum mark_sight mark;
    struct action_id coming_action;
    struct action_id abandoned_action;
};

struct known_domains {
    bool (*registered)(void *context, const struct uuid *vm); /* NULL: none is */
    void *registered_context;
    struct libvirt_shared *shared;
    struct sink sink;
    bool connected;
    bool listing; /* changes are held until the list is there */
    struct news_list held;
    uint32_t count;
    struct known list[KNOWN_MAX];
};

/* A creation begins; what libvirt tells of this domain belongs to it from now on. 0 or -ENOBUFS. */
int known_creation_begins(struct known_domains *domains, const struct uuid *vm,
                          struct action_id action);
/* That creation is over, or was not even sent (FAILED). */
void known_creation_ends(struct known_domains *domains, const struct uuid *vm,
                         struct action_id action, enum outcome outcome);
/* It is asked to stand still: if libvirt tells of a pause now, that is why. */
void known_suspends(struct known_domains *domains, const struct uuid *vm);
/* Takes over `news`. */
void known_on_news(struct known_domains *domains, struct news *news);
/* Asks libvirt what this domain is like; what it is told then is an ordinary change. */
void known_look(struct known_domains *domains, const struct uuid *vm);
void known_clear(struct known_domains *domains);

#endif
