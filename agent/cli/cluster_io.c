/* `cluster backup` and `cluster restore`: what it means, said beforehand; stead-state does it,
 * since it must work where no agent does, and `stead` itself loads nothing of Ceph's. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/commands_io.h"

#define PATH_BYTES 512

/* It lies where `make install` put it, or in the build tree beside this program. */
static void find_program(char ret_path[PATH_BYTES])
{
    char self[PATH_BYTES - 64] = "";
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash = length > 0 ? strrchr(self, '/') : NULL;
    if (slash != NULL) {
        *slash = '\0';
    }
    snprintf(ret_path, PATH_BYTES, "%s/../libexec/stead/stead-state", self);
    if (access(ret_path, X_OK) < 0) {
        snprintf(ret_path, PATH_BYTES, "%s/stead-state", self);
    }
}

/* Returns only when it could not. */
static enum cli_exit become(const char *const arguments[])
{
    char path[PATH_BYTES];
    find_program(path);
    fflush(stdout);
    execv(path, (char *const *)(uintptr_t)arguments);
    fprintf(stderr, "stead: %s: %s\n", path, strerror(errno));
    return CLI_FAILED;
}

static bool is_root(void)
{
    if (geteuid() != 0) {
        fputs("stead: root is needed: this reads the key in the keyring of stead's Ceph user\n",
              stderr);
        return false;
    }
    return true;
}

enum cli_exit cli_cluster_backup(const struct cli_options *options, const char *name)
{
    const char *const arguments[] = {"stead-state", "backup", name, NULL};
    (void)options;
    return is_root() ? become(arguments) : CLI_FAILED;
}

enum cli_exit cli_cluster_restore(const struct cli_options *options, const char *name)
{
    const struct passwd *user = getpwuid(getuid());
    bool vouched = (options->given & OPTION_I_VOUCH) != 0;
    char text[1600];
    const char *const arguments[] = {"stead-state",
                                     "restore",
                                     name,
                                     user != NULL ? user->pw_name : "root",
                                     vouched ? "--leases" : NULL,
                                     NULL};
    if (!is_root()) {
        return CLI_FAILED;
    }
    snprintf(
        text, sizeof(text),
        "The cluster's state becomes what %.256s holds, as a new epoch.\n"
        "  Lost: every command, VM and setting since that backup was made.\n"
        "  Every node ends its guests, then takes part anew with empty hands; every VM that the "
        "backup\n  does not call stopped is started again, once: run leases and blocklist see to "
        "that.\n"
        "  A host that does not come back is not fenced by this: make sure that it is off.%s",
        name,
        vouched ? "\n  Run leases that are gone are made anew. You vouch that no host outside "
                  "this cluster's ring\n  runs any of its VMs: nothing else could tell."
                : "");
    enum cli_exit result = cli_let_confirm(options, text, "restore");
    return result == CLI_DONE ? become(arguments) : result;
}
