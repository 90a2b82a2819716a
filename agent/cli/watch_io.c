/* `--watch`. */
#include "agent/cli/watch_io.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/changes_io.h"

#define FOLLOW_EVERY_MS 300
#define STATUS_EVERY_MS 1000
#define NO_AGENT_EVERY_MS 3000 /* it is being restarted, perhaps; each try complains */
#define ROWS_UNKNOWN 24
#define WITHIN_MS (5 * 60 * 1000)

static uint64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool cli_pause(uint32_t ms, uint64_t deadline_ms)
{
    uint64_t now_ms = mono_ms();
    if (deadline_ms != 0 && now_ms >= deadline_ms) {
        return false;
    }
    if (deadline_ms != 0 && now_ms + ms > deadline_ms) {
        ms = (uint32_t)(deadline_ms - now_ms);
    }
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
    return true;
}

enum cli_exit cli_look(const char *vm, struct cli_status *ret_status)
{
    struct cli_client *client = NULL;
    enum cli_exit result = cli_connect(&client);
    if (result == CLI_DONE) {
        result = cli_ask_status(client, vm, ret_status);
        cli_disconnect(&client);
    }
    return result;
}

/* ---- after a command */

static void say_it_goes_on(int number)
{
    static const char text[] = "\nstead: no longer watching; the command goes on: stead status\n";
    ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

const Control__Node *cli_find_node(const struct cli_status *status, const char *name)
{
    const Control__Status *first = status->pages[0]->status;
    for (size_t i = 0; i < first->n_nodes; i++) {
        if (strcmp(first->nodes[i]->name, name) == 0) {
            return first->nodes[i];
        }
    }
    return NULL;
}

static const Control__Vm *find_vm(const struct cli_status *status, const char *name)
{
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            if (strcmp(part->vms[i]->name, name) == 0) {
                return part->vms[i];
            }
        }
    }
    return NULL;
}

/* One is being started, or is to be and says nothing yet about what it waits for. */
static bool some_vm_moves(const struct cli_status *status)
{
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            const Control__Vm *vm = part->vms[i];
            if (strcmp(vm->state, "starting") == 0 ||
                (strcmp(vm->state, "recovering") == 0 && vm->reason[0] == '\0')) {
                return true;
            }
        }
    }
    return false;
}

static bool is_vm(const struct cli_status *status, const char *name, const char *state)
{
    const Control__Vm *vm = find_vm(status, name);
    return vm != NULL && strcmp(vm->state, state) == 0;
}

static bool is_node(const struct cli_status *status, const char *name, const char *state)
{
    const Control__Node *node = cli_find_node(status, name);
    return node != NULL && strcmp(node->state, state) == 0;
}

static bool reached(const struct cli_status *status, enum cli_goal goal, const char *name)
{
    switch (goal) {
    case GOAL_VM_RUNNING:
        return is_vm(status, name, "running");
    case GOAL_VM_STOPPED:
        return is_vm(status, name, "stopped");
    case GOAL_VM_GONE:
        return status->pages[0]->status->loaded && find_vm(status, name) == NULL;
    case GOAL_NODE_ONLINE:
        return is_node(status, name, "online");
    case GOAL_NODE_GONE:
        return cli_find_node(status, name) == NULL || is_node(status, name, "removed");
    case GOAL_NODE_FENCED:
        return is_node(status, name, "fenced") && !some_vm_moves(status);
    }
    return false;
}

static struct cli_subjects subjects_of(enum cli_goal goal, const char *name)
{
    bool vm = goal == GOAL_VM_RUNNING || goal == GOAL_VM_STOPPED || goal == GOAL_VM_GONE;
    return (struct cli_subjects){.vm = vm                         ? name
                                       : goal == GOAL_NODE_FENCED ? NULL
                                                                  : "",
                                 .node = vm ? "" : name};
}

/* Everything that another command says goes to stdout; beside JSON, to stderr. */
static FILE *progress_of(const struct cli_options *options)
{
    return (options->given & OPTION_JSON) != 0 ? stderr : stdout;
}

static enum cli_exit give_up(uint64_t begun_ms, const char *name)
{
    fprintf(stderr, "stead: %s has not settled within %.1f s; it goes on: stead status --watch\n",
            name, (double)(mono_ms() - begun_ms) / 1e3);
    return CLI_FAILED;
}

enum cli_exit cli_follow(const struct cli_options *options, enum cli_goal goal, const char *name)
{
    struct cli_changes *changes = cli_changes_new();
    char own[NAME_BYTES] = "";
    uint64_t begun_ms = mono_ms();
    uint32_t within_ms =
        options->within_ms != 0 ? options->within_ms : WITHIN_MS + options->timeout_ms;
    enum cli_exit result = CLI_FAILED;
    bool done = false;
    signal(SIGINT, say_it_goes_on);
    do {
        struct cli_status status;
        result = cli_look("", &status);
        if (result == CLI_DONE) {
            char prefix[32];
            snprintf(prefix, sizeof(prefix), "%7.1f s  ", (double)(mono_ms() - begun_ms) / 1e3);
            snprintf(own, sizeof(own), "%.63s", status.pages[0]->status->node);
            name = name[0] != '\0' ? name : own;
            struct cli_subjects subjects = subjects_of(goal, name);
            cli_changes_take(changes, &status, &subjects, prefix, progress_of(options));
            done = reached(&status, goal, name);
            cli_free_status(&status);
        }
    } while (!done && cli_pause(result == CLI_DONE ? FOLLOW_EVERY_MS : NO_AGENT_EVERY_MS,
                                begun_ms + within_ms));
    cli_changes_free(&changes);
    return done ? CLI_DONE : give_up(begun_ms, name);
}

/* ---- status */

/* What `show` prints, cut to the height of the terminal, in one piece: nothing flickers. */
static void redraw(const struct cli_options *options, const struct cli_status *status,
                   void (*show)(const struct cli_options *options, const struct cli_status *status))
{
    struct winsize window = {.ws_row = 0};
    char *text = NULL;
    size_t size = 0;
    FILE *terminal = stdout;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return;
    }
    stdout = memory; /* glibc's is a variable; libsmartcols prints there, too */
    show(options, status);
    stdout = terminal;
    fclose(memory);
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0;
    unsigned rows = known ? window.ws_row : ROWS_UNKNOWN;
    char *end = text;
    for (unsigned row = 1; row < rows && *end != '\0'; row++) {
        size_t length = strcspn(end, "\n");
        end += length + (end[length] == '\n');
    }
    printf("\033[H\033[J%.*s%s", (int)(end - text), text, *end != '\0' ? "..." : "");
    fflush(stdout);
    free(text);
}

static void print_changes(const struct cli_options *options, const struct cli_status *status,
                          struct cli_changes *changes, bool first,
                          void (*show)(const struct cli_options *options,
                                       const struct cli_status *status))
{
    static const struct cli_subjects all = {NULL, NULL};
    bool json = (options->given & OPTION_JSON) != 0;
    char prefix[32];
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&now, &parts);
    strftime(prefix, sizeof(prefix), "%T  ", &parts);
    size_t changed = cli_changes_take(changes, status, &all, prefix, first || json ? NULL : stdout);
    if (first || (json && changed > 0)) {
        show(options, status);
    }
    fflush(stdout);
}

enum cli_exit cli_watch_status(const struct cli_options *options,
                               void (*show)(const struct cli_options *options,
                                            const struct cli_status *status))
{
    struct cli_changes *changes = cli_changes_new();
    bool terminal = isatty(STDOUT_FILENO) == 1 && (options->given & OPTION_JSON) == 0;
    uint64_t deadline_ms = options->within_ms != 0 ? mono_ms() + options->within_ms : 0;
    enum cli_exit result = CLI_FAILED;
    bool first = true;
    do {
        struct cli_status status;
        result = cli_look("", &status);
        if (result != CLI_DONE) {
            continue;
        }
        if (terminal) {
            redraw(options, &status, show);
        } else {
            print_changes(options, &status, changes, first, show);
            first = false;
        }
        cli_free_status(&status);
    } while (cli_pause(result == CLI_DONE ? STATUS_EVERY_MS : NO_AGENT_EVERY_MS, deadline_ms));
    cli_changes_free(&changes);
    return result;
}
