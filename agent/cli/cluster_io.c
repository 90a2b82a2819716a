/* `cluster backup`, `restore` and `force`: what it means, said beforehand; stead-state does it,
 * since it must work where no agent can, and `stead` itself loads nothing of Ceph's. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/watch_io.h"
#include "proto/helper_io.h"
#include "proto/limits.h"

#define PATH_BYTES 512

/* Returns only when it could not. */
static enum cli_exit become(const char *const arguments[])
{
    char path[PATH_BYTES];
    helper_io_find("stead-state", path, sizeof(path));
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
    if (access(name, R_OK) < 0) {
        fprintf(stderr, "stead: %s: %s\n", name, strerror(errno));
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

/* ---- force */

/* Who is here, as node ids for stead-state, and who is not, for people. */
struct roll {
    char here[NODES_MAX * 11];
    char present[NODES_MAX * NAME_BYTES];
    char absent[NODES_MAX * NAME_BYTES];
    unsigned absent_count;
    unsigned vms; /* of the absent */
};

static void add(char *list, size_t size, const char *between, const char *word)
{
    size_t length = strlen(list);
    snprintf(list + length, size - length, "%s%s", length > 0 ? between : "", word);
}

static void call_roll(const Control__Status *status, struct roll *ret_roll)
{
    char id[12];
    *ret_roll = (struct roll){.vms = 0};
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Control__Node *node = status->nodes[i];
        if (cli_node_is_removed(node) || strcmp(node->state, "not-joined") == 0) {
            continue;
        }
        if (node->in_ring) {
            snprintf(id, sizeof(id), "%u", node->nodeid);
            add(ret_roll->here, sizeof(ret_roll->here), ",", id);
            add(ret_roll->present, sizeof(ret_roll->present), " ", node->name);
        } else {
            add(ret_roll->absent, sizeof(ret_roll->absent), " ", node->name);
            ret_roll->absent_count++;
            ret_roll->vms += node->vm_count;
        }
    }
}

static enum cli_exit let_force(const struct cli_options *options, const struct roll *roll)
{
    char text[2048];
    snprintf(
        text, sizeof(text),
        "You vouch that %.700s %s dead for ever: switched off, or cut off from Ceph for good.\n"
        "  %.700s go on as the cluster, in a new epoch, and keep what they run. The %u VMs of "
        "the others start here,\n  as far as there is memory, after the clients of each are "
        "blocklisted: no disk gets a second writer,\n  even if you are wrong.\n"
        "  What may be lost: if one of them does live, its guests are cut off from their disks "
        "in the middle of\n  their work, and it ends them once it reads this. Commands that "
        "were told done are kept.\n"
        "  From then on more than half of those that go on are a quorum. One that comes back "
        "joins empty.",
        roll->absent, roll->absent_count == 1 ? "is" : "are", roll->present, roll->vms);
    return cli_let_confirm(options, text, "force");
}

/* Is this name in the list, with `between` between its names? */
static bool has_name(const char *list, char between, const char *name, size_t length)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        const char *end = strchr(at, between);
        size_t size = end != NULL ? (size_t)(end - at) : strlen(at);
        if (size == length && strncmp(at, name, length) == 0) {
            return true;
        }
        at = end != NULL ? end + 1 : NULL;
    }
    return false;
}

/* All of `list` are in `other`; else says of the first that is not, and why that matters. */
static bool all_in(const char *list, char between, const char *other, char other_between,
                   const char *why)
{
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, (const char[]){between, '\0'});
        if (!has_name(other, other_between, at, length)) {
            fprintf(stderr, "stead: %.*s %s; nothing was changed\n", (int)length, at, why);
            return false;
        }
        at += length + (at[length] != '\0');
    }
    return true;
}

/* The person named those that are dead: these, and no others, must be gone. */
static enum cli_exit check_vouched(const char *named, const struct roll *roll)
{
    bool right = all_in(named, ',', roll->absent, ' ',
                        "is not gone, or no node of the cluster: only who is gone can be dead") &&
                 all_in(roll->absent, ' ', named, ',',
                        "is gone, too: name it if it is dead, or bring it back");
    return right ? CLI_DONE : CLI_FAILED;
}

enum cli_exit cli_cluster_force(const struct cli_options *options, const char *name)
{
    const struct passwd *user = getpwuid(getuid());
    struct cli_status status;
    struct roll roll;
    (void)name;
    enum cli_exit result = is_root() ? cli_look("", &status) : CLI_FAILED;
    if (result != CLI_DONE) {
        return result;
    }
    const Control__Status *first = status.pages[0]->status;
    call_roll(first, &roll);
    if (!first->loaded || (first->quorate && first->fresh)) {
        fprintf(stderr, "stead: nothing to force: %s\n",
                first->loaded ? "there is a quorum here" : first->situation);
        result = CLI_FAILED;
    } else if ((options->given & OPTION_VOUCH_FOR) != 0) {
        result = check_vouched(options->vouch_for, &roll);
    } else if (roll.absent_count > 0) { /* else the program says why not */
        result = let_force(options, &roll);
    }
    cli_free_status(&status);
    const char *const arguments[] = {"stead-state", "force", roll.here,
                                     user != NULL ? user->pw_name : "root", NULL};
    return result == CLI_DONE ? become(arguments) : result;
}
