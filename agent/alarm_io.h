/* What becomes of an alarm outside the core: a journal entry, and the operator's own command. */
#ifndef STEAD_AGENT_ALARM_IO_H
#define STEAD_AGENT_ALARM_IO_H

#include "proto/alarm.h"

/*
 * To the journal: MESSAGE, MESSAGE_ID, PRIORITY, STEAD_ALARM (the kind's word), STEAD_SUBJECT,
 * STEAD_STATE (raised or cleared), STEAD_TEXT, STEAD_REMEDY. deploy/systemd/stead.catalog explains
 * each id. Without a journal: one line on stderr.
 */
void alarm_io_journal(const struct alarm *alarm, bool raised);

#endif
