/* What was typed after `stead`: words, options and their values. */
#ifndef STEAD_AGENT_CLI_OPTIONS_IO_H
#define STEAD_AGENT_CLI_OPTIONS_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_bit { /* which options were given, or may be */
                  OPTION_JSON = 1,
                  OPTION_HELP = 2,
                  OPTION_VERSION = 4,
                  OPTION_YES = 8,
                  OPTION_I_VOUCH = 16,
                  OPTION_STOPPED = 32,
                  OPTION_XML = 64,
                  OPTION_ON = 128,
                  OPTION_PRIORITY = 256,
                  OPTION_MEMORY = 512,
                  OPTION_TIMEOUT = 1024,
                  OPTION_VM = 2048,
                  OPTION_NODE = 4096,
                  OPTION_LAST = 8192,
                  OPTION_WATCH = 16384,
                  OPTION_WITHIN = 32768,
                  OPTION_CHECK = 1u << 16,
                  OPTION_SINCE = 1u << 17,
                  OPTION_FOLLOW = 1u << 18,
                  OPTION_ALL = 1u << 19,
                  OPTION_ADOPT = 1u << 20,
                  OPTION_ACCEPT = 1u << 21,
                  OPTION_DRY_RUN = 1u << 22,
                  OPTION_KEEP_RUNNING = 1u << 23,
                  OPTION_NO_DEFINE = 1u << 24,
                  OPTION_DUMPXML = 1u << 25,
                  OPTION_WHY = 1u << 26,
                  OPTION_FENCES = 1u << 27,
                  OPTION_VOUCH_FOR = 1u << 28,
                  OPTION_CLASS = 1u << 29,
                  OPTION_PLAIN = 1u << 30, /* none: a command with it takes no --json */
};

#define CLI_WORDS_MAX 4

struct cli_options {
    uint32_t given; /* mask of enum option_bit */
    size_t word_count;
    const char *words[CLI_WORDS_MAX];
    const char *xml;
    const char *accept;
    const char *on;
    const char *vm;
    const char *node;
    const char *since;
    const char *why;
    const char *vouch_for;
    const char *class_name;
    int32_t priority;
    uint32_t memory_mib;
    uint32_t timeout_ms;
    uint32_t last;
    uint32_t within_ms;
};

/* 0, or -EINVAL after one sentence on stderr. */
int cli_parse_options(int argc, char **argv, struct cli_options *ret_options);

/* The table of options, for help, completion and the manual. */
struct cli_option {
    const char *name; /* "--timeout" */
    enum option_bit bit;
    const char *metavar; /* what stands for its value in a usage line; NULL: it takes none */
    const char *value;   /* what it wants, for people: "a duration such as 60s or 2m" */
    const char *help;    /* one line */
};
const struct cli_option *cli_option_rows(size_t *ret_count);

/* Says on stderr which of `given` is not in `allowed`; true if there was one. */
bool cli_complain_of_options(uint32_t given, uint32_t allowed, const char *command);

/* "60s", "500ms", "2m", "1h" in ms. -EINVAL. */
int cli_parse_duration(const char *text, uint32_t *ret_ms);

#endif
