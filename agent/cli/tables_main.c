/*
 * stead-tables: the tables of the code in scdoc's language, for the man pages; `make man` runs it
 * where a line of docs/man/NAME.scd says @TABLE@. Not installed.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cli/commands_io.h"
#include "agent/config_io.h"
#include "proto/alarm.h"
#include "proto/settings.h"

/* scdoc takes _ and * for its own marks; `word` becomes bold. */
static void print_text(const char *text)
{
    bool bold = false;
    for (; *text != '\0'; text++) {
        if (*text == '`') {
            bold = !bold;
            putchar('*');
        } else {
            if (strchr("_*#[]<>\\~|", *text) != NULL) {
                putchar('\\');
            }
            putchar(*text);
        }
    }
}

/* The tables' helps begin small, as a list's do. */
static void print_sentence(const char *text)
{
    bool small = text[0] >= 'a' && text[0] <= 'z';
    putchar(small ? text[0] - 'a' + 'A' : text[0]);
    print_text(text + 1);
    putchar('.');
}

static void print_commands(void)
{
    size_t count = 0;
    const struct command *list = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        char usage[512];
        size_t words = strlen(list[i].words);
        cli_usage_of(&list[i], usage, sizeof(usage));
        printf("*stead %s*", list[i].words);
        print_text(usage + words);
        printf("\n\t");
        print_sentence(list[i].help);
        printf("\n\n\t");
        print_text(list[i].more);
        printf("\n\n\tExample: *");
        print_text(list[i].example);
        printf("*\n\n");
    }
}

static void print_options(void)
{
    size_t count = 0;
    const struct cli_option *rows = cli_option_rows(&count);
    for (size_t i = 0; i < count; i++) {
        printf("*%s*", rows[i].name);
        if (rows[i].metavar != NULL) {
            printf(" _%s_", rows[i].metavar);
        }
        printf("\n\t");
        print_sentence(rows[i].help);
        if (rows[i].value != NULL) {
            printf(" _%s_ is ", rows[i].metavar);
            print_text(rows[i].value);
            printf(".");
        }
        printf("\n\n");
    }
}

static void print_keys(void)
{
    const char *section = "";
    struct config_key key;
    for (size_t i = 0; config_io_describe(i, &key); i++) {
        if (strcmp(section, key.section) != 0) {
            section = key.section;
            printf("## [%s]\n\n", section);
        }
        printf("*");
        print_text(key.name);
        printf("* = _%s_\n\t", key.wants);
        print_text(key.help);
        if (key.fallback != NULL) {
            printf(" Default: ");
            print_text(key.fallback);
            printf(".");
        }
        printf("\n\n");
    }
}

static void print_settings(void)
{
    uint32_t count = 0;
    const struct setting *table = settings_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        struct text range = {0}, standard = {0};
        setting_add_range(&range, &table[i]);
        setting_add_value(&standard, &table[i], table[i].standard);
        printf("*");
        print_text(table[i].name);
        printf("*\n\t");
        print_sentence(table[i].help);
        printf(" ");
        print_text(range.bytes);
        printf("; default: ");
        print_text(standard.bytes[0] != '\0' ? standard.bytes : "none");
        printf(".\n\n");
    }
}

static void print_alarms(void)
{
    for (unsigned kind = 0; kind < ALARM_KIND_COUNT; kind++) {
        const struct alarm_about *about = alarm_about((enum alarm_kind)kind);
        printf("*");
        print_text(about->word);
        printf("*%s\n\t", about->critical ? " (critical)" : "");
        print_sentence(about->sentence);
        printf(" To do: ");
        print_text(about->remedy);
        printf("\n\n\tMESSAGE\\_ID %s\n\n", about->message_id);
    }
}

/* stead.conf as it is without one: every key, commented out. */
static void print_example(void)
{
    const char *section = "";
    struct config_key key;
    puts("# /etc/stead/stead.conf: what differs per host; see stead.conf(5). All keys are "
         "optional.");
    for (size_t i = 0; config_io_describe(i, &key); i++) {
        if (strcmp(section, key.section) != 0) {
            section = key.section;
            printf("\n[%s]\n", section);
        }
        printf("# %s\n# %s =%s%s\n", key.help, key.name, key.fallback != NULL ? " " : "",
               key.fallback != NULL ? key.fallback : "");
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } tables[] = {{"commands", print_commands}, {"options", print_options},
                  {"settings", print_settings}, {"keys", print_keys},
                  {"alarms", print_alarms},     {"example", print_example}};
    for (size_t i = 0; argc == 2 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (strcmp(argv[1], tables[i].name) == 0) {
            tables[i].print();
            return 0;
        }
    }
    fputs("usage: stead-tables commands|options|settings|keys|alarms|example\n", stderr);
    return 2;
}
