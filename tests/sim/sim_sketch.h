/* A made-up story while it is being written. */
#ifndef STEAD_TESTS_SIM_SKETCH_H
#define STEAD_TESTS_SIM_SKETCH_H

#include "tests/sim/sim.h"

/* What proves a host dead in this story, beside the barrier. */
struct sketch_proof {
    bool on;    /* it is drawn at all */
    bool alone; /* no host has a BMC or PDU */
    bool tried; /* something was put to the test already */
    uint32_t fresh_ms;
    uint32_t timeout_ms; /* of each watchdog */
    uint32_t fires_ms;   /* and when it has surely fired */
    bool watchdog[SIM_NODES_MAX + 1];
    uint32_t late_ms[SIM_NODES_MAX + 1];
    uint32_t never; /* the node whose watchdog never fires; 0: none */
};

struct sketch {
    char *text;
    size_t size;
    FILE *out;
    struct sim_rng rng;
    uint32_t nodes;
    uint32_t vms;
    uint64_t now_ms;
    const char *bmc[SIM_NODES_MAX + 1]; /* of each node, by its number */
    bool pdu[SIM_NODES_MAX + 1];        /* it has one */
    bool cut[SIM_NODES_MAX + 1];        /* it and the next one ever were cut */
    uint32_t home[SIM_VMS_MAX + 1];     /* where each VM was in the beginning */
    bool version[SIM_NODES_MAX + 1];    /* its agent's ever was another */
    uint32_t tmpfs_full;                /* the node whose /run has no room; 0: none */
    uint32_t replaced;                  /* the node that is other hardware by now; 0: none */
    bool kept;                          /* there is a backup of the state */
    bool classes;                       /* gold and timed are there from the beginning */
    bool strict;                        /* there is, or was, a class at all */
    enum tie_break tie;
    struct sketch_proof proof;
};

/* A line of the setup; a line `at` now. */
void sketch_line(struct sketch *sketch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sketch_at(struct sketch *sketch, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A number. Once a statement: in which order C evaluates two arguments is up to the compiler. */
uint32_t sketch_any(struct sketch *sketch, uint32_t low, uint32_t high);
/* A number from 1; small ones are likelier. */
uint32_t sketch_product(struct sketch *sketch, uint32_t high, uint32_t other_high);

/* One thing that goes wrong, or that somebody does; in places several that belong together. */
void sketch_fault(struct sketch *sketch);
/* ... that goes wrong seldom. */
void sketch_rare(struct sketch *sketch);

/* VMs and hardware come and go, classes are made and used, a guest reboots. */
void sketch_change(struct sketch *sketch);

/* The rest of the line `cluster`, and of a node's; a fault that a proof is put to the test by. */
void sketch_proof_cluster(struct sketch *sketch, uint64_t seed);
void sketch_proof_node(struct sketch *sketch, uint32_t node);
void sketch_proof_fault(struct sketch *sketch);

#endif
