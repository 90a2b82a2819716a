/* What may stand where the cursor is, for the shell (deploy/completion/stead). */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/commands_io.h"
#include "proto/settings.h"

#define FILE_NAMES ":file" /* the shell knows files better than we do */
#define NAMES_S 1          /* how long the agent may take to tell names */

static void offer(const char *word, const char *begun)
{
    if (strncmp(word, begun, strlen(begun)) == 0) {
        puts(word);
    }
}

/* A shell that waits for ever at a <Tab> would be worse than one that offers nothing. */
static void give_up(int number)
{
    (void)number;
    _exit(0);
}

static void offer_vms(const struct cli_status *status, const char *begun)
{
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            offer(part->vms[i]->name, begun);
        }
    }
}

static void offer_nodes(const Control__Status *status, const char *begun)
{
    for (size_t i = 0; i < status->n_nodes; i++) {
        offer(status->nodes[i]->name, begun);
    }
}

static void offer_names(const char *kind, const char *begun)
{
    struct cli_client *client = NULL;
    struct cli_status status;
    signal(SIGALRM, give_up);
    (void)alarm(NAMES_S);
    if (freopen("/dev/null", "w", stderr) == NULL || cli_connect(&client) != CLI_DONE) {
        return;
    }
    if (cli_ask_status(client, "", &status) == CLI_DONE) {
        if (strcmp(kind, "VM") == 0) {
            offer_vms(&status, begun);
        } else {
            offer_nodes(status.pages[0]->status, begun);
        }
        cli_free_status(&status);
    }
    cli_disconnect(&client);
}

static void offer_settings(const char *begun)
{
    uint32_t count = 0;
    const struct setting *table = settings_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        offer(table[i].name, begun);
    }
}

static void offer_classes(const char *begun)
{
    Control__Reply *reply = NULL;
    signal(SIGALRM, give_up);
    (void)alarm(NAMES_S);
    if (freopen("/dev/null", "w", stderr) == NULL || cli_ask_config("", &reply) != CLI_DONE) {
        return;
    }
    for (size_t i = 0; i < reply->config->n_classes; i++) {
        offer(reply->config->classes[i]->name, begun);
    }
    control_free_reply(&reply);
}

/* "freeze|ignore" */
static void offer_words(const char *words, const char *begun)
{
    char word[32];
    for (const char *at = words; *at != '\0'; at += strcspn(at, "|"), at += *at == '|') {
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, "|"), at);
        offer(word, begun);
    }
}

/* `kind`: an operand or a metavar of the tables. */
static void offer_values(const char *kind, const char *begun)
{
    if (strcmp(kind, "VM") == 0 || strcmp(kind, "NODE") == 0) {
        offer_names(kind, begun);
    } else if (strcmp(kind, "VM CLASS") == 0) {
        offer_names("VM", begun);
    } else if (strcmp(kind, "CLASS") == 0 || strncmp(kind, "NAME proof=", 11) == 0) {
        offer_classes(begun);
    } else if (strncmp(kind, "SETTING", 7) == 0) {
        offer_settings(begun);
    } else if (strchr(kind, '|') != NULL) {
        offer_words(kind, begun);
    } else if (strcmp(kind, "FILE") == 0) {
        puts(FILE_NAMES);
    }
}

static const struct cli_option *option_called(const char *name)
{
    size_t count = 0;
    const struct cli_option *rows = cli_option_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

/* The words that are neither options nor their values; the unfinished one is left out. */
static void gather_words(int count, char **words, struct cli_options *options)
{
    for (int i = 0; i < count - 1; i++) {
        const struct cli_option *option = option_called(words[i]);
        if (option != NULL) {
            i += option->metavar != NULL;
        } else if (words[i][0] != '-' && options->word_count < CLI_WORDS_MAX) {
            options->words[options->word_count++] = words[i];
        }
    }
}

static const struct command *command_of(const struct cli_options *options)
{
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (cli_command_matches(&list[i], options) > 0) {
            return &list[i];
        }
    }
    return NULL;
}

static void offer_options(const struct command *command, const char *begun)
{
    size_t count = 0;
    const struct cli_option *rows = cli_option_rows(&count);
    uint32_t taken =
        command != NULL ? cli_options_of(command) | OPTION_HELP : OPTION_HELP | OPTION_VERSION;
    for (size_t i = 0; i < count; i++) {
        if ((taken & rows[i].bit) != 0) {
            offer(rows[i].name, begun);
        }
    }
}

/* The first words, each once, or the second ones of a group. */
static void offer_commands(const struct cli_options *options, const char *begun)
{
    char last[32] = "";
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        size_t first = strcspn(list[i].words, " ");
        bool second = list[i].words[first] == ' ' && options->word_count == 1 &&
                      strlen(options->words[0]) == first &&
                      strncmp(options->words[0], list[i].words, first) == 0;
        if (second) {
            offer(list[i].words + first + 1, begun);
        } else if (options->word_count == 0 &&
                   (strlen(last) != first || strncmp(last, list[i].words, first) != 0)) {
            snprintf(last, sizeof(last), "%.*s", (int)first, list[i].words);
            offer(last, begun);
        }
    }
}

void cli_complete(int count, char **words)
{
    struct cli_options options = {.given = 0};
    const char *begun = count > 0 ? words[count - 1] : "";
    const struct cli_option *before = count > 1 ? option_called(words[count - 2]) : NULL;
    gather_words(count, words, &options);
    const struct command *command = command_of(&options);
    size_t used = command != NULL ? cli_command_matches(command, &options) : 0;
    if (before != NULL && before->metavar != NULL) {
        offer_values(before->metavar, begun);
    } else if (begun[0] == '-') {
        offer_options(command, begun);
    } else if (command == NULL) {
        offer_commands(&options, begun);
    } else if (command->operand != NULL && options.word_count == used) {
        offer_values(command->operand, begun);
    } else if (command->run == cli_vm_class && options.word_count == used + 1) {
        offer("none", begun);
        offer_classes(begun);
    }
}
