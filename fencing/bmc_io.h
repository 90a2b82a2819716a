/*
 * The BMC edge: IPMI over LAN by libfreeipmi, one child process (stead-bmc) per request, each with
 * a hard deadline, so that a dead BMC costs nobody else a millisecond. A BMC's address may carry a
 * port: "HOST:PORT" or "[IPv6]:PORT".
 */
#ifndef STEAD_FENCING_BMC_IO_H
#define STEAD_FENCING_BMC_IO_H

#include <qb/qbloop.h>

#include "proto/action.h"
#include "proto/sink.h"

struct bmc_io;

/* `credentials`: an INI file, mode 0600 or stricter and owned by root, with [default] and optional
 * [NODE] sections of username= and password=. Read again for each request; its contents never reach
 * a log or an argv. NULL: no BMC is ever touched. `helper`: the program that talks to one BMC,
 * normally PREFIX/libexec/stead/stead-bmc. Both strings are copied. */
int bmc_io_open(qb_loop_t *loop, const char *credentials, const char *helper,
                const struct sink *sink, struct bmc_io **ret_io);

/* Checks the credentials file as a start-up check would: 0, or -errno with a sentence that names
 * file, line and remedy in ret_text (TEXT_BYTES). */
int bmc_io_check_credentials(const char *credentials, char *ret_text);

/* ACTION_POWER: compares the BMC's GUID with power.machine (skipped where bmc.verified says it
 * was compared while healthy and the GUID cannot be read now), switches off or on, reads back until
 * it is or the deadline; or only reads; answers EVENT_POWER. Already off is off. */
void bmc_io_act(struct bmc_io *io, const struct action *action);

/* Asks our own BMC for its GUID; answers EVENT_BMC_IDENTITY when it could be read, and in any case
 * EVENT_TROUBLE (TROUBLE_BMC): what is wrong with it, with the remedy, or nothing. */
void bmc_io_identify(struct bmc_io *io, const char *node, const struct bmc_address *bmc,
                     const struct uuid *machine, uint64_t deadline_ms);

/* Kills the children under way; nothing is answered any more. NULL is fine. */
void bmc_io_close(struct bmc_io *io);

#endif
