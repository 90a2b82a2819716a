/*
 * Who stead is at a BMC: an INI file of [default] and optional [NODE] sections with username= and
 * password=, and of [fence DEVICE] sections with whatever that device's fence agent needs. What is
 * read never reaches a log, an error text or an argv.
 */
#ifndef STEAD_FENCING_CREDENTIALS_IO_H
#define STEAD_FENCING_CREDENTIALS_IO_H

#include "proto/limits.h"

#define CREDENTIAL_BYTES 64 /* IPMI 2.0 itself takes 16 for a user name and 20 for a password */

struct credentials {
    char username[CREDENTIAL_BYTES];
    char password[CREDENTIAL_BYTES];
};

/* Reads what `path` says for `node` (its own section over [default]); NULL checks the file only. 0,
 * or -errno with one sentence in ret_text: -EPERM for a file others may read, -EINVAL for a line
 * that is none, -ENOKEY when there is nothing for this node. Wipe the result after use. */
int credentials_read(const char *path, const char *node, struct credentials *ret_credentials,
                     char ret_text[TEXT_BYTES]);

#define SECRETS_BYTES 1024 /* of one fence device: "key=value", one a line */

/* Reads what `path` says in [fence DEVICE]; nothing, where there is no such section: some agents
 * need none. 0, or -errno as above. Wipe the result after use. */
int credentials_read_device(const char *path, const char *device, char ret_lines[SECRETS_BYTES],
                            char ret_text[TEXT_BYTES]);

#endif
