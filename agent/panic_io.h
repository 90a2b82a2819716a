/*
 * What a failed assertion leaves behind. stead_panic() itself is declared in "proto/assert.h"; it
 * says what failed, leaves a mark if the core was stepping, and aborts (with a core dump where the
 * host keeps them). systemd starts the agent again, and the mark decides that it begins halted. A
 * step that dies of a wrong access or a division by zero leaves one as well. SIGBUS does not: it is
 * a page of a file that could not be read.
 */
#ifndef STEAD_AGENT_PANIC_IO_H
#define STEAD_AGENT_PANIC_IO_H

#include "proto/message.h"

#define MARK_PATH "/run/stead/halted"

/* Once, by the thread that steps: from here on marks are left at `path`, which must stay. */
void panic_io_watch(const char *path);

/* The core is about to step on this version of the state. */
void panic_io_stepping(const struct header *header);
/* ... and has. An assertion that fails outside a step is a plain crash. */
void panic_io_stepped(void);

/* 0; -ENOENT: there is no mark of this boot; -EBADMSG: not such a file. */
int panic_io_load(const char *path, const struct uuid *boot, struct mark *ret_mark);

/* Leaves a mark, with the boot id as /proc has it now. Allocates nothing. 0 or -errno. */
int panic_io_save(const char *path, const struct mark *mark);

/* Takes it away; none is fine. */
void panic_io_forget(const char *path);

#endif
