/* Alarms to the journal. */
#include "agent/alarm_io.h"

#include <stdlib.h>
#include <systemd/sd-journal.h>

#include "agent/journal_io.h"

void alarm_io_journal(const struct alarm *alarm, bool raised)
{
    const struct alarm_about *about = alarm_about(alarm->kind);
    const char *state = raised ? "raised" : "cleared";
    const char *blank = alarm->subject[0] != '\0' ? " " : "";
    int priority = !raised ? LOG_NOTICE : about->critical ? LOG_CRIT : LOG_WARNING;
    if (getenv("JOURNAL_STREAM") == NULL) {
        journal_io_say(priority, "alarm %s: %s%s%s: %s", state, about->word, blank, alarm->subject,
                       alarm->text);
        return;
    }
    sd_journal_send("MESSAGE=alarm %s: %s%s%s: %s", state, about->word, blank, alarm->subject,
                    alarm->text, "MESSAGE_ID=%s", about->message_id, "PRIORITY=%i", priority,
                    "STEAD_ALARM=%s", about->word, "STEAD_SUBJECT=%s", alarm->subject,
                    "STEAD_STATE=%s", state, "STEAD_TEXT=%s", alarm->text, "STEAD_REMEDY=%s",
                    about->remedy, NULL);
}
