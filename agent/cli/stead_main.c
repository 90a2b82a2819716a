/* `stead`: the operator's command. Finds what was meant in one table and runs it. */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/nearest.h"
#include "agent/version.h"
#include "proto/assert.h"

#define COMMANDS_MAX 64

/* "stead vm", "stead vm strat", "stead node drain": the nearest word of that kind, or what there
 * is. False if there is no such kind of command. */
static bool unknown_of_kind(const char *kind, const char *word)
{
    size_t count = 0;
    const struct command *commands = cli_commands(&count);
    const char *words[COMMANDS_MAX];
    size_t word_count = 0;
    size_t length = strlen(kind);
    ASSERT(count <= COMMANDS_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *whole = commands[i].words;
        if (strncmp(whole, kind, length) == 0 && whole[length] == ' ') {
            words[word_count++] = whole + length + 1;
        }
    }
    if (word_count == 0) {
        return false;
    }
    const char *near = word != NULL ? nearest_word(word, words, word_count) : NULL;
    if (near != NULL) {
        fprintf(stderr, "stead: there is no `%s %.40s`; did you mean `stead %s %s`?\n", kind, word,
                kind, near);
        return true;
    }
    if (word != NULL) {
        fprintf(stderr, "stead: there is no `%s %.40s`; there is:", kind, word);
    } else {
        fprintf(stderr, "stead: `%s` wants one more word:", kind);
    }
    for (size_t i = 0; i < word_count; i++) {
        fprintf(stderr, " %s", words[i]);
    }
    fputc('\n', stderr);
    return true;
}

/* "stead vn lst", "stead stauts": the nearest whole command. */
static enum cli_exit unknown_command(const struct cli_options *options)
{
    char typed[128];
    size_t count = 0;
    const struct command *commands = cli_commands(&count);
    const char *names[COMMANDS_MAX];
    ASSERT(count <= COMMANDS_MAX);
    if (unknown_of_kind(options->words[0], options->word_count > 1 ? options->words[1] : NULL)) {
        return CLI_USAGE;
    }
    snprintf(typed, sizeof(typed), "%.40s%s%.40s", options->words[0],
             options->word_count > 1 ? " " : "", options->word_count > 1 ? options->words[1] : "");
    for (size_t i = 0; i < count; i++) {
        names[i] = commands[i].words;
    }
    const char *near = nearest_word(typed, names, count);
    fprintf(stderr, "stead: there is no `%s`%s%s%s\n", typed,
            near != NULL ? "; did you mean `stead " : ": see `stead --help`",
            near != NULL ? near : "", near != NULL ? "`?" : "");
    return CLI_USAGE;
}

static enum cli_exit run(const struct command *command, size_t words,
                         const struct cli_options *options)
{
    size_t operands = options->word_count - words;
    const char *name = operands > 0 ? options->words[words] : "";
    if (cli_complain_of_options(options->given, cli_options_of(command), command->words)) {
        return CLI_USAGE;
    }
    if (command->operand != NULL && operands == 0) {
        fprintf(stderr, "stead: `stead %s` wants its %s: see `stead %s --help`\n", command->words,
                command->operand, command->words);
        return CLI_USAGE;
    }
    bool two = command->operand != NULL && strchr(command->operand, ' ') != NULL;
    if (operands > (two ? 2u : command->operand != NULL ? 1u : 0u)) {
        fprintf(stderr, "stead: `stead %s` does not take '%s'\n", command->words,
                options->words[options->word_count - 1]);
        return CLI_USAGE;
    }
    bool file = command->operand != NULL && strcmp(command->operand, "FILE") == 0;
    if (command->operand != NULL && !two && !file && !control_is_name(name)) {
        fprintf(stderr, "stead: '%s' is no name: letters, digits and ._-, at most 63\n", name);
        return CLI_USAGE;
    }
    return command->run(options, name);
}

int main(int argc, char **argv)
{
    struct cli_options options;
    size_t count = 0;
    const struct command *commands = cli_commands(&count);
    if (argc > 1 && strcmp(argv[1], "complete") == 0) { /* asked by the shell, not by people */
        cli_complete(argc - 2, argv + 2);
        return CLI_DONE;
    }
    if (cli_parse_options(argc, argv, &options) < 0) {
        return CLI_USAGE;
    }
    if ((options.given & OPTION_VERSION) != 0) {
        puts("stead " STEAD_VERSION);
        return CLI_DONE;
    }
    if ((options.given & OPTION_HELP) != 0) {
        cli_print_help(&options);
        return CLI_DONE;
    }
    if (options.word_count == 0) {
        fputs("stead: what is to be done? See `stead --help`\n", stderr);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < count; i++) {
        size_t words = cli_command_matches(&commands[i], &options);
        if (words > 0) {
            return (int)run(&commands[i], words, &options);
        }
    }
    return (int)unknown_command(&options);
}
