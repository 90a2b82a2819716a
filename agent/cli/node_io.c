/* `node fence` and `node remove`: what it costs, said beforehand; what is to be done by hand,
 * afterwards. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/watch_io.h"

/* A slip of a name must not switch off a host that is well, and a false "it is dead" costs no disk,
 * but the node's guests: a person says it, knowing that. What is gone is fenced unasked. */
static enum cli_exit let_fence(const struct cli_options *options, const char *name)
{
    char alive[NAME_BYTES + 128] = "";
    char vouch[NAME_BYTES + 128] = "";
    char text[1024];
    struct cli_status status;
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    const Control__Node *node = cli_find_node(&status, name);
    if (node != NULL && node->agent_alive) {
        snprintf(alive, sizeof(alive),
                 "%s is alive: its agent answers. It is cut off from its disks and, where it has a "
                 "BMC, switched off.\n",
                 name);
    }
    if ((options->given & OPTION_I_VOUCH) != 0) {
        snprintf(vouch, sizeof(vouch),
                 "You vouch that %s is powered off, or cut off for good, and stays so until you "
                 "unfence it.\n",
                 name);
    }
    snprintf(text, sizeof(text), "%s%sIts %u VM(s) will be started elsewhere.", alive, vouch,
             node != NULL ? node->vm_count : 0);
    cli_free_status(&status);
    return alive[0] != '\0' || vouch[0] != '\0' ? cli_let_confirm(options, text, name) : CLI_DONE;
}

enum cli_exit cli_node_fence(const struct cli_options *options, const char *name)
{
    enum cli_exit result = let_fence(options, name);
    if (result != CLI_DONE) {
        return result;
    }
    return cli_order(options, CONTROL__COMMAND_KIND__COMMAND_NODE_FENCE, name, GOAL_NODE_FENCED);
}

/* Those that stay when one of those that are in goes. */
static unsigned stay_count(const Control__Status *status)
{
    unsigned count = 0;
    for (size_t i = 0; i < status->n_nodes; i++) {
        count += !cli_node_is_removed(status->nodes[i]) &&
                 strcmp(status->nodes[i]->state, "not-joined") != 0;
    }
    return count > 0 ? count - 1 : 0;
}

static const char *cost(unsigned stay)
{
    if (stay == 2) {
        return "\nTwo nodes stay. Once this one is out of corosync.conf, losing either of the two "
               "leaves "
               "no quorum:\nVMs go on running, but nothing is recovered until the other is back.";
    }
    return stay < 2 ? "\nOne node stays: nothing can be recovered when it fails." : "";
}

static enum cli_exit let_remove(const struct cli_options *options, const char *name)
{
    char text[1024];
    struct cli_status status;
    enum cli_exit result = cli_look("", &status);
    if (result != CLI_DONE) {
        return result;
    }
    const Control__Node *node = cli_find_node(&status, name);
    unsigned vms = node != NULL ? node->vm_count : 0;
    snprintf(
        text, sizeof(text),
        "%s is taken out for good: it is fenced%s; its %u VM(s) are ended there and started on "
        "the others.%s%s",
        name, node != NULL && node->agent_alive ? " (by its own agent, which is alive)" : "", vms,
        cost(stay_count(status.pages[0]->status)),
        (options->given & OPTION_I_VOUCH) != 0
            ? "\nYou vouch that it is powered off, or cut off for good."
            : "");
    cli_free_status(&status);
    if (node == NULL) { /* the acting node says so */
        return CLI_DONE;
    }
    return cli_let_confirm(options, text, name);
}

enum cli_exit cli_node_remove(const struct cli_options *options, const char *name)
{
    enum cli_exit result = let_remove(options, name);
    if (result == CLI_DONE) {
        result =
            cli_order(options, CONTROL__COMMAND_KIND__COMMAND_NODE_REMOVE, name, GOAL_NODE_GONE);
    }
    if (result == CLI_DONE && (options->given & OPTION_JSON) == 0) {
        printf("next: on %s: systemctl disable --now stead-agent corosync\n"
               "      on the others: take %s out of the nodelist in corosync.conf, then "
               "corosync-cfgtool -R\n",
               name, name);
    }
    return result;
}
