/* Warnings to standard error. The prefix is a priority to systemd, which takes it off. */
#include "proto/warn_io.h"

#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

void warn_io_say(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    fprintf(stderr, SD_WARNING "%s\n", line);
}
