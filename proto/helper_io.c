/* Where stead's own other programs lie. */
#include "proto/helper_io.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void helper_io_find(const char *name, char *ret_path, size_t size)
{
    char self[PATH_MAX] = "";
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
    }
    snprintf(ret_path, size, "%s/../libexec/stead/%s", self, name);
    if (access(ret_path, X_OK) < 0) {
        snprintf(ret_path, size, "%s/%s", self, name);
    }
}
