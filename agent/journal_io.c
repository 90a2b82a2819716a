/* One line to the journal or to stderr. */
#include "agent/journal_io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-journal.h>

void journal_io_say(int priority, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int error = errno;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (getenv("JOURNAL_STREAM") == NULL) {
        fprintf(stderr, "stead-agent: %s\n", line);
    } else {
        sd_journal_send("MESSAGE=%s", line, "PRIORITY=%i", priority, NULL);
    }
    errno = error;
}
