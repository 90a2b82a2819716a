/* Options of the command line, all in one table. */
#include "agent/cli/options_io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nearest.h"
#include "proto/control_io.h"
#include "proto/review.h"

static const struct cli_option rows[] = {
    {"--json", OPTION_JSON, NULL, NULL, "one JSON object on stdout, for scripts"},
    {"--help", OPTION_HELP, NULL, NULL, "how it is used, and an example"},
    {"--version", OPTION_VERSION, NULL, NULL, "the version of this command"},
    {"--yes", OPTION_YES, NULL, NULL, "do not ask on the terminal"},
    {"--i-vouch", OPTION_I_VOUCH, NULL, NULL,
     "you say that it is off, or cut off, and stays so: counts as a proof"},
    {"--i-vouch-for", OPTION_VOUCH_FOR, "NODES", "nodes' names, as n2 or n2,n3",
     "these and no others are dead for ever: do not ask"},
    {"--stopped", OPTION_STOPPED, NULL, NULL, "register it only, start nothing"},
    {"--xml", OPTION_XML, "FILE", "a file, or - for stdin", "its domain XML; - is stdin"},
    {"--on", OPTION_ON, "NODE", "a node's name", "where it runs first"},
    {"--priority", OPTION_PRIORITY, "N", "a whole number",
     "higher starts first after a failure (0)"},
    {"--class", OPTION_CLASS, "CLASS", "a class's name",
     "its class, which says what proof it waits for"},
    {"--memory", OPTION_MEMORY, "SIZE", "a size such as 512M or 4G",
     "to plan with, if more than its XML says"},
    {"--timeout", OPTION_TIMEOUT, "DURATION", "a duration such as 60s or 2m",
     "then the plug is pulled (60s)"},
    {"--vm", OPTION_VM, "VM", "a VM's name", "only what concerns this VM"},
    {"--node", OPTION_NODE, "NODE", "a node's name", "only what concerns this node"},
    {"--watch", OPTION_WATCH, NULL, NULL,
     "go on looking until it has settled; Ctrl-C ends only that"},
    {"--within", OPTION_WITHIN, "DURATION", "a duration such as 60s or 2m",
     "how long --watch looks at most (5m; status: no end)"},
    {"--check", OPTION_CHECK, NULL, NULL, "only alarms, a line each; exit status 1 if any"},
    {"--since", OPTION_SINCE, "WHEN", "a duration such as 10m, or a time",
     "only since then: 10m, 2h, 14:30 or '2026-01-31 14:30'"},
    {"--follow", OPTION_FOLLOW, NULL, NULL, "print new ones as they come, until Ctrl-C"},
    {"--last", OPTION_LAST, "N", "a number, 1 or more", "only the last N entries"},
    {"--all", OPTION_ALL, NULL, NULL, "removed ones too"},
    {"--adopt", OPTION_ADOPT, NULL, NULL, "the libvirt domain NAME of this node, as it is"},
    {"--accept", OPTION_ACCEPT, "KINDS", "kinds of findings, such as passthrough,tpm",
     "take it all the same; it then starts on fewer nodes"},
    {"--dry-run", OPTION_DRY_RUN, NULL, NULL, "only say what would be found"},
    {"--keep-running", OPTION_KEEP_RUNNING, NULL, NULL, "as it runs; given on its node"},
    {"--no-define", OPTION_NO_DEFINE, NULL, NULL, "only keep its XML in a file of this node"},
    {"--fences", OPTION_FENCES, NULL, NULL, "only what concerns fences, further back"},
    {"--why", OPTION_WHY, "TEXT", "at most 63 characters", "for the history: your own words"},
    {"--dumpxml", OPTION_DUMPXML, NULL, NULL, "its definition alone, as vm add takes it"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

struct unit {
    const char *name;
    uint32_t factor;
};

static int parse_with_unit(const char *text, const struct unit *units, size_t unit_count,
                           uint32_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || text[0] < '0' || text[0] > '9') {
        return -EINVAL;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strcmp(end, units[i].name) == 0) {
            if (number == 0 || number > UINT32_MAX / units[i].factor) {
                return -EINVAL;
            }
            *ret_number = (uint32_t)number * units[i].factor;
            return 0;
        }
    }
    return -EINVAL;
}

/* "512M", "4G", "1T" (binary, also with "iB") in MiB. */
static int parse_size(const char *text, uint32_t *ret_mib)
{
    static const struct unit units[] = {{"M", 1},      {"MiB", 1},         {"G", 1024},
                                        {"GiB", 1024}, {"T", 1024 * 1024}, {"TiB", 1024 * 1024}};
    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_mib);
}

int cli_parse_duration(const char *text, uint32_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}};
    return parse_with_unit(text, units, sizeof(units) / sizeof(units[0]), ret_ms);
}

static int parse_whole(const char *text, long least, long most, long *ret_number)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < least || number > most) {
        return -EINVAL;
    }
    *ret_number = number;
    return 0;
}

static int set_value(struct cli_options *options, enum option_bit bit, const char *value)
{
    long number = 0;
    int r = 0;
    if (bit == OPTION_XML) {
        options->xml = value;
    } else if (bit == OPTION_ACCEPT) {
        options->accept = value;
        r = strlen(value) < ACCEPT_BYTES ? 0 : -EINVAL;
    } else if (bit == OPTION_ON) {
        options->on = value;
    } else if (bit == OPTION_VM) {
        options->vm = value;
    } else if (bit == OPTION_SINCE) {
        options->since = value;
    } else if (bit == OPTION_NODE) {
        options->node = value;
    } else if (bit == OPTION_WHY) {
        options->why = value;
        r = strlen(value) < NAME_BYTES ? 0 : -EINVAL;
    } else if (bit == OPTION_VOUCH_FOR) {
        options->vouch_for = value;
    } else if (bit == OPTION_CLASS) {
        options->class_name = value;
        r = control_is_name(value) ? 0 : -EINVAL;
    } else if (bit == OPTION_PRIORITY) {
        r = parse_whole(value, INT32_MIN, INT32_MAX, &number);
        options->priority = (int32_t)number;
    } else if (bit == OPTION_LAST) {
        r = parse_whole(value, 1, INT32_MAX, &number);
        options->last = (uint32_t)number;
    } else if (bit == OPTION_MEMORY) {
        r = parse_size(value, &options->memory_mib);
    } else if (bit == OPTION_TIMEOUT) {
        r = cli_parse_duration(value, &options->timeout_ms);
    } else if (bit == OPTION_WITHIN) {
        r = cli_parse_duration(value, &options->within_ms);
    }
    return r;
}

static const struct cli_option *find_row(const char *argument, size_t length)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (strlen(rows[i].name) == length && strncmp(rows[i].name, argument, length) == 0) {
            return &rows[i];
        }
    }
    if (strcmp(argument, "-h") == 0) {
        return &rows[1];
    }
    return NULL;
}

static int unknown_option(const char *argument)
{
    const char *names[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        names[i] = rows[i].name + 2; /* the dashes make nothing near */
    }
    const char *near = nearest_word(argument + strspn(argument, "-"), names, ROWS);
    fprintf(stderr, "stead: unknown option %s%s%s%s\n", argument,
            near != NULL ? "; did you mean --" : ": see `stead COMMAND --help`",
            near != NULL ? near : "", near != NULL ? "?" : "");
    return -EINVAL;
}

/* One "--name", "--name=value" or "--name value"; *at moves on past the value. */
static int take_option(int argc, char **argv, int *at, struct cli_options *options)
{
    const char *argument = argv[*at];
    size_t length = strcspn(argument, "=");
    const struct cli_option *row = find_row(argument, length);
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    if (row == NULL) {
        return unknown_option(argument);
    }
    options->given |= row->bit;
    if (row->value == NULL && value == NULL) {
        return 0;
    }
    if (row->value == NULL) {
        fprintf(stderr, "stead: %s takes no value\n", row->name);
        return -EINVAL;
    }
    if (value == NULL && *at + 1 < argc) {
        value = argv[++*at];
    }
    if (value == NULL || set_value(options, row->bit, value) < 0) {
        fprintf(stderr, "stead: %s wants %s\n", row->name, row->value);
        return -EINVAL;
    }
    return 0;
}

int cli_parse_options(int argc, char **argv, struct cli_options *ret_options)
{
    struct cli_options options = {.given = 0};
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            if (take_option(argc, argv, &i, &options) < 0) {
                return -EINVAL;
            }
        } else if (options.word_count == CLI_WORDS_MAX) {
            fprintf(stderr, "stead: too many words, from '%s' on\n", argv[i]);
            return -EINVAL;
        } else {
            options.words[options.word_count++] = argv[i];
        }
    }
    *ret_options = options;
    return 0;
}

const struct cli_option *cli_option_rows(size_t *ret_count)
{
    *ret_count = ROWS;
    return rows;
}

bool cli_complain_of_options(uint32_t given, uint32_t allowed, const char *command)
{
    for (size_t i = 0; i < ROWS; i++) {
        if ((given & rows[i].bit & ~allowed) != 0) {
            fprintf(stderr, "stead: %s does not go with `stead %s`\n", rows[i].name, command);
            return true;
        }
    }
    return false;
}
