/* The state from this host's agent, where the state object is of no use. */
#ifndef STEAD_AGENT_CLI_COPY_IO_H
#define STEAD_AGENT_CLI_COPY_IO_H

#include <stdbool.h>

#include "agent/cli/client_io.h"
#include "storage/backup_io.h"

struct copy_source {
    char node[NAME_BYTES];
    bool known;      /* it was the newest once */
    uint64_t age_ms; /* and that was so long ago */
};

/* All of it, of one version, its digest right. */
enum cli_exit cli_ask_copy(struct cli_client *client, struct backup *ret_backup,
                           struct copy_source *ret_source);

#endif
