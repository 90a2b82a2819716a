/* Corosync's map: the nodelist, and the settings stead refuses. */
#include "agent/cmap_io.h"

#include <corosync/cmap.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/values.h"

/* An integer key of whatever width; false when there is none. */
static bool read_number(cmap_handle_t map, const char *key, uint64_t *ret_number)
{
    uint64_t number = 0; /* little-endian hosts only: the narrow value lands in the low bytes */
    size_t size = sizeof(number);
    cmap_value_types_t type;
    if (cmap_get(map, key, &number, &size, &type) != CS_OK || type > CMAP_VALUETYPE_UINT64) {
        return false;
    }
    *ret_number = number;
    return true;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "read_number() relies on it");

static bool has_keys(cmap_handle_t map, const char *prefix)
{
    cmap_iter_handle_t iterator;
    char key[CMAP_KEYNAME_MAXLEN + 1];
    if (cmap_iter_init(map, prefix, &iterator) != CS_OK) {
        return false;
    }
    bool found = cmap_iter_next(map, iterator, key, NULL, NULL) == CS_OK;
    cmap_iter_finalize(map, iterator);
    return found;
}

static void read_string(cmap_handle_t map, const char *key, char *field, size_t size)
{
    char *text = NULL;
    if (cmap_get_string(map, key, &text) == CS_OK) {
        name_set(field, size, text);
        free(text);
    }
}

static int refuse(char ret_text[TEXT_BYTES], const char *why)
{
    snprintf(ret_text, TEXT_BYTES, "corosync.conf: %s", why);
    return -EPERM;
}

/* A qdevice by which half of the nodes may be quorate, and never fewer. */
static int check_device(cmap_handle_t map, char ret_text[TEXT_BYTES])
{
    char model[NAME_BYTES] = "";
    char algorithm[NAME_BYTES] = "";
    uint64_t votes = 1;
    uint64_t wins = 0;
    read_string(map, "quorum.device.model", model, sizeof(model));
    read_string(map, "quorum.device.net.algorithm", algorithm, sizeof(algorithm));
    (void)read_number(map, "quorum.device.votes", &votes);
    (void)read_number(map, "quorum.device.master_wins", &wins);
    if (strcmp(model, "net") != 0) {
        return refuse(ret_text, "quorum.device.model must be net");
    }
    if (strcmp(algorithm, "ffsplit") != 0) {
        return refuse(ret_text, "quorum.device.net.algorithm must be ffsplit: with another, fewer "
                                "than half of the nodes may be quorate");
    }
    if (votes != 1 || wins != 0) {
        return refuse(ret_text, votes != 1 ? "quorum.device.votes must be 1"
                                           : "quorum.device.master_wins is set: set it to 0");
    }
    return 0;
}

/* The switches that let fewer than half of the votes be a quorum; and what breaks ties. */
static int check_switches(cmap_handle_t map, uint32_t node_count, enum tie_break *ret_tie,
                          char ret_text[TEXT_BYTES])
{
    static const char *const refused[] = {"quorum.last_man_standing", "quorum.auto_tie_breaker",
                                          "quorum.allow_downscale"};
    uint64_t two_node = 0;
    uint64_t wait = 1; /* two_node's own default */
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint64_t value = 0;
        if (read_number(map, refused[i], &value) && value != 0) {
            snprintf(ret_text, TEXT_BYTES,
                     "corosync.conf: %s is set, which stead does not support: set it to 0",
                     refused[i]);
            return -EPERM;
        }
    }
    (void)read_number(map, "quorum.two_node", &two_node);
    (void)read_number(map, "quorum.wait_for_all", &wait);
    if (two_node != 0 && node_count != 2) {
        return refuse(ret_text, "quorum.two_node is set, and the nodelist has not two nodes");
    }
    if (two_node != 0 && wait == 0) {
        return refuse(ret_text, "quorum.two_node without wait_for_all: a node that boots alone "
                                "would fence the other: remove wait_for_all: 0");
    }
    *ret_tie = two_node != 0 ? TIE_TWO_NODE : TIE_NONE;
    if (!has_keys(map, "quorum.device.")) {
        return 0;
    }
    *ret_tie = TIE_QDEVICE;
    return check_device(map, ret_text);
}

static int check_votes(cmap_handle_t map, uint32_t node_count, char ret_text[TEXT_BYTES])
{
    uint64_t votes = 1;
    if (read_number(map, "quorum.votes", &votes) && votes != 1) {
        snprintf(ret_text, TEXT_BYTES, "corosync.conf: quorum.votes must be 1 (it is %lu)", votes);
        return -EPERM;
    }
    uint64_t expected = node_count;
    if (read_number(map, "quorum.expected_votes", &expected) && expected < node_count) {
        snprintf(ret_text, TEXT_BYTES,
                 "corosync.conf: quorum.expected_votes is %lu, less than the %u nodes of the "
                 "nodelist: remove it",
                 expected, node_count);
        return -EPERM;
    }
    return 0;
}

/* Counts the nodes; each must have one vote. */
static int read_nodelist(cmap_handle_t map, uint32_t *ret_count, char ret_text[TEXT_BYTES])
{
    cmap_iter_handle_t iterator;
    char key[CMAP_KEYNAME_MAXLEN + 1];
    uint32_t count = 0;
    int r = 0;
    if (cmap_iter_init(map, "nodelist.node.", &iterator) != CS_OK) {
        return -ENOTCONN;
    }
    while (r == 0 && cmap_iter_next(map, iterator, key, NULL, NULL) == CS_OK) {
        const char *last = strrchr(key, '.') + 1;
        uint64_t votes = 1;
        count += strcmp(last, "ring0_addr") == 0;
        if (strcmp(last, "quorum_votes") == 0 && read_number(map, key, &votes) && votes != 1) {
            snprintf(ret_text, TEXT_BYTES, "corosync.conf: %.64s must be 1 (it is %lu)", key,
                     votes);
            r = -EPERM;
        }
    }
    cmap_iter_finalize(map, iterator);
    if (r == 0 && (count == 0 || count > NODES_MAX)) {
        snprintf(ret_text, TEXT_BYTES,
                 "corosync.conf: the nodelist has %u nodes; stead wants 1 to %d", count, NODES_MAX);
        r = -EPERM;
    }
    *ret_count = count;
    return r;
}

static int check_provider(cmap_handle_t map, char ret_text[TEXT_BYTES])
{
    char provider[NAME_BYTES] = "";
    read_string(map, "quorum.provider", provider, sizeof(provider));
    if (strcmp(provider, "corosync_votequorum") == 0) {
        return 0;
    }
    snprintf(ret_text, TEXT_BYTES,
             "corosync.conf: quorum.provider must be corosync_votequorum (it is '%s')", provider);
    return -EPERM;
}

/* As Corosync computed them for this many nodes; its own defaults where the map has none. A new
 * ring waits for the qdevice's word, and that host misses a dead one by its own heartbeats (5 to 10
 * s, measured). */
static uint32_t read_detect(cmap_handle_t map, enum tie_break tie)
{
    uint64_t device_ms = 10000;
    uint64_t token_ms = 3000;
    uint64_t consensus_ms = 0;
    (void)read_number(map, "runtime.config.totem.token", &token_ms);
    if (!read_number(map, "runtime.config.totem.consensus", &consensus_ms)) {
        consensus_ms = token_ms + token_ms / 5;
    }
    (void)read_number(map, "quorum.device.timeout", &device_ms);
    return (uint32_t)(token_ms + consensus_ms + (tie == TIE_QDEVICE ? device_ms : 0));
}

int cmap_io_read(struct cmap_facts *ret_facts, char ret_text[TEXT_BYTES])
{
    struct cmap_facts facts = {.node_count = 0};
    cmap_handle_t map;
    uint64_t position = 0;
    char key[CMAP_KEYNAME_MAXLEN + 1];
    if (cmap_initialize(&map) != CS_OK) {
        return -ENOTCONN;
    }
    int r = check_provider(map, ret_text);
    if (r == 0) {
        r = read_nodelist(map, &facts.node_count, ret_text);
    }
    if (r == 0) {
        r = check_switches(map, facts.node_count, &facts.tie, ret_text);
    }
    if (r == 0) {
        r = check_votes(map, facts.node_count, ret_text);
    }
    if (r == 0 && read_number(map, "nodelist.local_node_pos", &position)) {
        snprintf(key, sizeof(key), "nodelist.node.%lu.name", position);
        read_string(map, key, facts.name, sizeof(facts.name));
    }
    if (r == 0) {
        read_string(map, "totem.cluster_name", facts.cluster, sizeof(facts.cluster));
        facts.detect_ms = read_detect(map, facts.tie);
    }
    cmap_finalize(map);
    if (r == 0) {
        *ret_facts = facts;
    }
    return r;
}
