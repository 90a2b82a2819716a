/* A failed assertion: said once, then the process ends. Whatever the daemon was doing, its guests
 * run on, and what starts next reads the truth from RADOS. */
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <systemd/sd-journal.h>

#include "proto/assert.h"

_Noreturn void stead_panic(const char *file, int line, const char *condition)
{
    if (getenv("JOURNAL_STREAM") == NULL) {
        fprintf(stderr, "stead: %s:%d: assertion failed: %s\n", file, line, condition);
    } else {
        sd_journal_send("MESSAGE=assertion failed: %s", condition, "PRIORITY=%i", LOG_CRIT,
                        "CODE_FILE=%s", file, "CODE_LINE=%i", line, NULL);
    }
    abort();
}
