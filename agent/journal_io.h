/* What the daemon says: to the journal under systemd, else to stderr. No secret may get here. */
#ifndef STEAD_AGENT_JOURNAL_IO_H
#define STEAD_AGENT_JOURNAL_IO_H

#include <syslog.h>

/* One line at a syslog priority (LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO). Keeps errno. */
__attribute__((format(printf, 2, 3))) void journal_io_say(int priority, const char *format, ...);

#endif
