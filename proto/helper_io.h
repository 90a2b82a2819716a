/* Where stead's own other programs lie. */
#ifndef STEAD_PROTO_HELPER_IO_H
#define STEAD_PROTO_HELPER_IO_H

#include <stddef.h>

/* The path of the program `name`: where `make install` put it, beside this program's own folder, or
 * else in the build tree, beside this program. */
void helper_io_find(const char *name, char *ret_path, size_t size);

#endif
