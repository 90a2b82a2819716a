/*
 * /etc/stead/stead.conf: what an agent is told about its own host. Everything has a default; what
 * concerns the whole cluster is kept in the cluster's state, not here.
 *
 *     [node]     name, uuid, memory
 *     [libvirt]  uri
 *     [ceph]     conf, user, pool, guest_user
 *     [bmc]      address, credentials, cipher_suite, level
 *     [fence NAME]  agent, level, trusted, and what else that fence agent is to be told
 *     [watchdog] device, softdog, fires
 *     [notify]   command
 */
#ifndef STEAD_AGENT_CONFIG_IO_H
#define STEAD_AGENT_CONFIG_IO_H

#include <stddef.h>

#include "proto/types.h"

#define CONFIG_PATH "/etc/stead/stead.conf"
#define CONFIG_VALUE_BYTES 160 /* of a path or URI, with the closing NUL */
#define CONFIG_TEXT_BYTES 512  /* one error */

struct config {
    char name[NAME_BYTES]; /* empty: as in Corosync's nodelist */
    struct uuid machine;   /* zero: this host's DMI UUID */
    uint32_t memory_mib;   /* for guests; 0: host_io_guest_memory_mib() */
    char libvirt_uri[CONFIG_VALUE_BYTES];
    char ceph_conf[CONFIG_VALUE_BYTES];
    char ceph_user[NAME_BYTES];
    char ceph_pool[NAME_BYTES];
    char ceph_guest_user[NAME_BYTES]; /* whose key QEMU gets */
    struct bmc_address bmc;           /* address empty: none */
    struct fence_device devices[FENCE_DEVICES_MAX];
    bool trusted[FENCE_DEVICES_MAX]; /* a person says that it is this host's */
    char bmc_credentials[CONFIG_VALUE_BYTES];
    char watchdog_device[ADDRESS_BYTES]; /* empty: the first that can be trusted */
    bool watchdog_softdog;
    uint32_t watchdog_fires_s;               /* 0: by the cluster's setting */
    char notify_command[CONFIG_VALUE_BYTES]; /* empty: none */
};

/* Reads `path`; one that is not there gives the defaults unless `must_exist`. On an error returns
 * -EINVAL or -errno with one sentence naming file, line and the nearest known word in
 * ret_text (CONFIG_TEXT_BYTES), and leaves *ret_config alone. */
int config_io_load(const char *path, bool must_exist, struct config *ret_config, char *ret_text);

/* What there is to say of each key, for stead.conf(5). */
struct config_key {
    const char *section;
    const char *name;
    const char *wants;    /* "PATH" */
    const char *fallback; /* NULL: `help` tells */
    const char *help;
};

/* The key number `index`, from 0, by section; false when there is none any more. */
bool config_io_describe(size_t index, struct config_key *ret_key);

#endif
