/* What an edge of any room warns of: a line on standard error, which under systemd is the journal.
 */
#ifndef STEAD_PROTO_WARN_IO_H
#define STEAD_PROTO_WARN_IO_H

/* One line, without its newline; from any thread. No secret may get here. */
__attribute__((format(printf, 1, 2))) void warn_io_say(const char *format, ...);

#endif
