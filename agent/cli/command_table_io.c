/* Every command there is, and what a person should know of it: one source for help, completion and
 * the manual. */
#include <string.h>

#include "agent/cli/commands_io.h"

#define WATCH (OPTION_WATCH | OPTION_WITHIN)

static const struct command commands[] = {
    {"status", NULL, cli_status, WATCH | OPTION_CHECK, "the cluster, its nodes and VMs",
     "Answered by this host's agent from its own copy of the state, also without quorum or Ceph; a "
     "copy that may be out of date says how old it is. An asterisk marks the acting node. With "
     "--watch, "
     "a terminal is drawn anew each second; elsewhere each change is a line. --check is for "
     "monitoring: exit status 0 well, 1 alarm, 3 no "
     "agent.",
     "stead status --watch"},
    {"history", NULL, cli_history,
     OPTION_VM | OPTION_NODE | OPTION_LAST | OPTION_SINCE | OPTION_FOLLOW | OPTION_FENCES,
     "what was decided, and why",
     "The decisions that the cluster's state remembers, the oldest first, each with its cause. "
     "Filters may be combined. --fences: each loss, barrier, try of a BMC, proof and return, kept "
     "longer than the rest. --follow shows the last 10 first, then each new one as a line; with "
     "--json as one object a line.",
     "stead history --vm web --last 20"},
    {"config list", NULL, cli_config_list, 0, "the cluster's settings, and who changed them",
     "Each setting with its value, default, range, what it does, and who changed it when. They "
     "hold "
     "for the whole cluster and are kept in its state.",
     "stead config list"},
    {"config get", "SETTING", cli_config_get, 0, "the value of one setting",
     "Prints the bare value, for scripts.", "stead config get fresh_ms"},
    {"config timing", NULL, cli_config_timing, 0, "when a lost node's watchdog has fired",
     "What the proof `watchdog` waits for on each node, term by term, and the margin. --json is "
     "that "
     "of node list.",
     "stead config timing"},
    {"config set", "SETTING VALUE", cli_config_set, OPTION_WHY, "change a setting",
     "Also SETTING=VALUE. Checked and committed by the acting node, in force on all nodes without "
     "a restart. Durations are 500ms, 2s or 1m; lists have commas; `default` takes it back.",
     "stead config set fresh_ms 2s"},
    {"ha pause", "freeze|ignore", cli_ha_pause, OPTION_WHY, "fence and recover nothing for now",
     "For work on switches, storage or power. Under both, no host is fenced and nothing is "
     "recovered; what runs goes on. freeze: commands that would start, stop or fence are refused, "
     "and what ends meanwhile is started after the resume. ignore: what people ask for is done, "
     "and "
     "what ends by itself stays off. Done once no fence is under way any more. The first line of "
     "every status says so.",
     "stead ha pause freeze --why 'new switch in rack 2'"},
    {"ha resume", NULL, cli_ha_resume, OPTION_WHY, "fence and recover again",
     "Hosts that are still gone are fenced, and their VMs start elsewhere.", "stead ha resume"},
    {"class list", NULL, cli_class_list, 0, "classes of VMs, and what proof they wait for",
     "A VM of a class is taken from a dead host once one of the class's proofs is there; one of no "
     "class goes by the cluster's `proof`.",
     "stead class list"},
    {"class set", "NAME proof=PROOFS", cli_class_set, 0, "make a class of VMs, or change it",
     "Proofs as in `config set proof`: storage, power, watchdog, with commas between (reborn, "
     "clean and operator always count). A class gains or loses watchdog only while its VMs are "
     "stopped.",
     "stead class set gold proof=power"},
    {"class remove", "CLASS", cli_class_remove, 0, "take a class away that no VM is of",
     "Refused while VMs are of it: stead vm class them otherwise first.",
     "stead class remove gold"},
    {"cluster init", NULL, cli_cluster_init, 0, "make a new cluster, this node its first",
     "Writes the first state into the pool named in stead.conf. Refused where there is one "
     "already. The other hosts then join.",
     "stead cluster init"},
    {"cluster join", NULL, cli_cluster_join, WATCH, "let this node take part",
     "Given on the host that joins, once Corosync knows it. Needs quorum.", "stead cluster join"},
    {"cluster backup", "FILE", cli_cluster_backup, OPTION_PLAIN,
     "the state, leases and definitions, to a file",
     "Read from Ceph by itself, on any host with a stead.conf, as root; works without an agent. "
     "Where the state object is gone, the copy of this host's agent is taken. The file is for "
     "root's eyes: definitions hold console passwords. Disks are not in it.",
     "stead cluster backup /var/backups/stead-state"},
    {"cluster restore", "FILE", cli_cluster_restore, OPTION_YES | OPTION_I_VOUCH | OPTION_PLAIN,
     "go back to a backup, in a new epoch",
     "For a state that is gone, damaged, or to be undone. Says what that means and asks. All "
     "guests "
     "are ended and started again, each once; commands since the backup are lost. Where run leases "
     "are gone too (a deleted pool), their VMs wait until it is given with --i-vouch: you say that "
     "no host outside the cluster's ring runs any of them.",
     "stead cluster restore /var/backups/stead-state"},
    {"cluster force", NULL, cli_cluster_force, OPTION_YES | OPTION_VOUCH_FOR | OPTION_PLAIN,
     "go on when a majority is lost for ever",
     "Given on a node that is left. Says which nodes it gives up, what may be lost, and asks, "
     "unless you name them (--i-vouch-for): one of two nodes that boots alone, say. It is refused "
     "while more than half are here, or while one of the others still writes to the state. "
     "Those given up are fenced as ever before their VMs start here, and do not count for the "
     "quorum until they are back and admitted.",
     "stead cluster force"},
    {"vm add", "NAME", cli_vm_add,
     OPTION_XML | OPTION_ADOPT | OPTION_ON | OPTION_PRIORITY | OPTION_CLASS | OPTION_MEMORY |
         OPTION_STOPPED | OPTION_ACCEPT | OPTION_DRY_RUN | WATCH,
     "register a VM from XML, or a domain here",
     "Either --xml or --adopt. Everything that keeps the domain from running elsewhere is said "
     "first, and refused if it cannot be cured. The definition goes to RADOS; a domain that runs "
     "goes on running.",
     "stead vm add web --adopt --dry-run"},
    {"vm remove", "VM", cli_vm_remove, OPTION_KEEP_RUNNING | OPTION_NO_DEFINE | WATCH,
     "give a stopped VM back to libvirt here",
     "Its domain is defined again on the node where this is given, with autostart off; then the "
     "definition and the run lease leave the pool. The images are left alone.",
     "stead vm remove web"},
    {"vm start", "VM", cli_vm_start, WATCH, "want it running, wherever there is room",
     "From then on it is started again whenever it ends, on whichever node can take it.",
     "stead vm start web"},
    {"vm stop", "VM", cli_vm_stop, OPTION_TIMEOUT | WATCH, "shut it down, then pull the plug",
     "Asks the guest to shut down; if it still runs after the timeout, its power is cut. It stays "
     "stopped until it is started.",
     "stead vm stop web --timeout 2m --watch"},
    {"vm class", "VM CLASS", cli_vm_class, 0, "make it one of a class; `none`: of no class",
     "In force at once, also for one that waits to be taken from a dead host. Where only one of "
     "the two accepts watchdog it is refused unless the VM is stopped.",
     "stead vm class web gold"},
    {"vm list", NULL, cli_vm_list, 0, "all VMs",
     "The state is what the cluster has committed; REASON says what an unfinished one waits for.",
     "stead vm list"},
    {"vm show", "VM", cli_vm_show, OPTION_DUMPXML, "one VM, its console and screen",
     "All that the state holds of it, what is known of its definition, and where console and "
     "screen "
     "are: as they are now, on the node where it runs; elsewhere, how to ask there.",
     "stead vm show web"},
    {"node list", NULL, cli_node_list, OPTION_ALL, "all nodes",
     "STATE is online, offline, away (announced), unattended (its agent is silent), halted (see "
     "node resume), lost (being fenced), fenced, out, removed (shown with --all) or not-joined; an "
     "asterisk marks the acting node.",
     "stead node list"},
    {"node show", "NODE", cli_node_show, 0, "one node",
     "All that the state and the last heartbeats tell of it, and by what it was last proven dead.",
     "stead node show n3"},
    {"node fence", "NODE", cli_node_fence, OPTION_I_VOUCH | OPTION_YES | WATCH,
     "prove it harmless now; its VMs restart",
     "Its guests are cut off from their disks and started elsewhere; its BMC switches it off. "
     "--i-vouch is for a proof that cannot come by itself, such as a dead BMC under the policy "
     "`power`, of the cluster or of a class whose VMs wait while the host is fenced already: you "
     "say that the host is off. It does not count for the quorum then, until it is "
     "admitted anew. If you vouch, or its agent is alive, it asks you for its name unless --yes "
     "is given.",
     "stead node fence n3 --watch"},
    {"node unfence", "NODE", cli_node_unfence, WATCH, "let a fenced node return",
     "For a node that was frozen or cut off rather than rebooted; one that was rebooted returns "
     "by itself.",
     "stead node unfence n3"},
    {"node resume", "NODE", cli_node_resume, WATCH, "let a halted node work again",
     "After a failed assertion an agent keeps its VMs and decides nothing. It works again when the "
     "state has moved on, or by this: when you know why it halted, or it acted on a fault that is "
     "gone.",
     "stead node resume n2"},
    {"node remove", "NODE", cli_node_remove, OPTION_I_VOUCH | OPTION_YES | WATCH,
     "take it out for good",
     "A fence: it is proven harmless, its VMs start elsewhere, then it is forgotten but for what "
     "must stay barred. Says beforehand what that costs, and asks for its name unless --yes is "
     "given. --i-vouch as for node fence. Afterwards take it out of corosync.conf on the others.",
     "stead node remove n3 --watch"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *cli_commands(size_t *ret_count)
{
    *ret_count = COMMANDS;
    return commands;
}

uint32_t cli_options_of(const struct command *command)
{
    return command->options | ((command->options & OPTION_PLAIN) != 0 ? 0 : OPTION_JSON);
}

size_t cli_command_matches(const struct command *command, const struct cli_options *options)
{
    const char *space = strchr(command->words, ' ');
    size_t first = space != NULL ? (size_t)(space - command->words) : strlen(command->words);
    if (options->word_count == 0 || strlen(options->words[0]) != first ||
        strncmp(options->words[0], command->words, first) != 0) {
        return 0;
    }
    if (space == NULL) {
        return 1;
    }
    return options->word_count > 1 && strcmp(options->words[1], space + 1) == 0 ? 2 : 0;
}
