/* `--help`, made from the tables. Every screen of it fits 24 lines of 80 columns. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"

#define LINE_MAX_COLUMNS 78

static const struct {
    const char *word;
    const char *help;
} groups[] = {
    {"cluster", "made once"},
    {"vm", "virtual machines"},
    {"class", "which proof frees which VMs"},
    {"node", "hosts"},
    {"config", "settings of the whole cluster"},
    {"ha", "fencing and recovery by itself"},
};
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

/* Words of `text` on lines that all begin with `indent` blanks. The first line goes on at
 * `column`. */
static void print_wrapped(const char *text, size_t indent, size_t column)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column > indent && column + 1 + length > LINE_MAX_COLUMNS) {
            printf("\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", (int)length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

/* "vm add", "vm": "add"; "status": NULL. */
static const char *verb_of(const struct command *command)
{
    const char *space = strchr(command->words, ' ');
    return space != NULL ? space + 1 : NULL;
}

static bool is_in(const struct command *command, const char *group)
{
    size_t length = strlen(group);
    return strncmp(command->words, group, length) == 0 && command->words[length] == ' ';
}

/* ---- all of them, in short */

static void print_group(const char *group, const char *help)
{
    char text[512] = "";
    size_t used = 0, count = 0;
    const struct command *list = cli_commands(&count);
    for (size_t i = 0; i < count && used < sizeof(text); i++) {
        if (is_in(&list[i], group)) {
            used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? " " : "",
                                     verb_of(&list[i]));
        }
    }
    if (used > 0) {
        printf("  %-8s %-29s ", group, help);
        print_wrapped(text, 41, 41);
    }
}

static void print_overview(void)
{
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    puts("usage: stead COMMAND [OPTION...]          on any node with stead-agent\n");
    for (size_t i = 0; i < count; i++) {
        if (verb_of(&list[i]) == NULL) {
            printf("  %-8s %s\n", list[i].words, list[i].help);
        }
    }
    for (size_t i = 0; i < GROUPS; i++) {
        print_group(groups[i].word, groups[i].help);
    }
    puts("\n  stead vm --help         the commands of one kind\n"
         "  stead vm add --help     one command, its options, an example\n"
         "  man stead               all of it\n\n"
         "All but cluster backup, restore and force take --json. Exit status: 0 done\n"
         "(committed), 1 refused or failed, 2 wrong usage, 3 no agent on this host.");
}

/* ---- one kind, one command */

static void add_text(char *line, size_t size, const char *text)
{
    size_t used = strlen(line);
    snprintf(line + used, size - used, "%s", text);
}

static void add_option(char *line, size_t size, const struct cli_option *row)
{
    add_text(line, size, " [");
    add_text(line, size, row->name);
    add_text(line, size, row->metavar != NULL ? "=" : "");
    add_text(line, size, row->metavar != NULL ? row->metavar : "");
    add_text(line, size, "]");
}

void cli_usage_of(const struct command *command, char *ret_line, size_t size)
{
    size_t count = 0;
    const struct cli_option *rows = cli_option_rows(&count);
    snprintf(ret_line, size, "%s%s%s", command->words, command->operand != NULL ? " " : "",
             command->operand != NULL ? command->operand : "");
    for (size_t i = 0; i < count; i++) {
        if ((command->options & rows[i].bit) != 0) {
            add_option(ret_line, size, &rows[i]);
        }
    }
}

static void print_usage(const struct command *command)
{
    char line[512];
    cli_usage_of(command, line, sizeof(line));
    printf("usage: stead ");
    print_wrapped(line, 13, 13);
}

static void print_options(uint32_t options)
{
    size_t count = 0;
    const struct cli_option *rows = cli_option_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if ((options & rows[i].bit) != 0) {
            char left[64];
            snprintf(left, sizeof(left), "%s%s%s", rows[i].name, rows[i].metavar != NULL ? " " : "",
                     rows[i].metavar != NULL ? rows[i].metavar : "");
            printf("  %-20s ", left);
            print_wrapped(rows[i].help, 23, 23);
        }
    }
}

static void print_command(const struct command *command)
{
    print_usage(command);
    puts("");
    printf("  ");
    print_wrapped(command->more, 2, 2);
    puts("");
    print_options(cli_options_of(command));
    printf("\nExample: %s\n", command->example);
}

/* Returns whether there is such a group. */
static bool print_commands_of(const char *group)
{
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (is_in(&list[i], group)) {
            char left[64];
            if (!found) {
                printf("usage: stead %s COMMAND\n\n", group);
            }
            snprintf(left, sizeof(left), "%s%s%s", verb_of(&list[i]),
                     list[i].operand != NULL ? " " : "",
                     list[i].operand != NULL ? list[i].operand : "");
            printf("  %-20s %s\n", left, list[i].help);
            found = true;
        }
    }
    if (found) {
        printf("\n  stead %s COMMAND --help    its options, and an example\n", group);
    }
    return found;
}

void cli_print_help(const struct cli_options *options)
{
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (cli_command_matches(&list[i], options) > 0) {
            print_command(&list[i]);
            return;
        }
    }
    if (options->word_count == 0 || !print_commands_of(options->words[0])) {
        print_overview();
    }
}
