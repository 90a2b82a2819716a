/* What changed between two looks at the cluster, as a line for each VM and node that did. */
#ifndef STEAD_AGENT_CLI_CHANGES_IO_H
#define STEAD_AGENT_CLI_CHANGES_IO_H

#include <stdio.h>

#include "agent/cli/client_io.h"

struct cli_changes;

/* Nothing was looked at yet. NULL: no memory. Freeing sets *changes to NULL. */
struct cli_changes *cli_changes_new(void);
void cli_changes_free(struct cli_changes **changes);

/* Which VMs and nodes are looked at: NULL: all; a name: that one; "": none. */
struct cli_subjects {
    const char *vm;
    const char *node;
};

/* Remembers what `status` tells of the subjects and prints "PREFIX vm web: running on n2" to `file`
 * for each that is new, gone or another than last time. NULL: only remembers. Returns how many. */
size_t cli_changes_take(struct cli_changes *changes, const struct cli_status *status,
                        const struct cli_subjects *subjects, const char *prefix, FILE *file);

#endif
