/*
 * stead-sim: runs the real decision core of every node against a simulated world.
 *
 *     stead-sim run FILE…       scenarios; one: with its trace; several: a line each
 *     stead-sim swarm           made-up scenarios, by seed
 *     stead-sim replay SEED     one of them, with its trace
 *     stead-sim kills FILE…     the acting node dies after each of its actions in turn
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nearest.h"
#include "proto/assert.h"
#include "tests/sim/sim_coverage.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/sim_kills.h"
#include "tests/sim/sim_result.h"
#include "tests/sim/sim_shrink.h"
#include "tests/sim/sim_swarm.h"

struct options {
    uint32_t given; /* which, each by its letter: a bit from 'a' on */
    bool trace;
    bool json;
    bool scenario;
    bool has_seed;
    bool coverage;
    uint64_t seed;
    uint64_t only;         /* kills: this action */
    enum sim_kill_how how; /* kills --only */
    struct swarm_options swarm;
};

static const char usage[] =
    "usage: stead-sim run FILE… [--seed N] [--trace] [--json] [--coverage]\n"
    "       stead-sim swarm [--seeds A..B] [--nodes N] [--vms N] [--quick] [--coverage]\n"
    "       stead-sim replay SEED [--nodes N] [--vms N] [--scenario] [--json] [--coverage]\n"
    "       stead-sim shrink FILE\n"
    "       stead-sim kills FILE… [--only K --mode host|agent|freeze] [--trace]\n"
    "\n"
    "A scenario says what a cluster is, what happens to it, and what must be true; see\n"
    "docs/scenarios.md. Exit status: 0 all held, 1 something did not, 2 not understood.\n";

static const struct option known_options[] = {
    {"seed", required_argument, NULL, 's'},
    {"seeds", required_argument, NULL, 'r'},
    {"nodes", required_argument, NULL, 'n'},
    {"vms", required_argument, NULL, 'v'},
    {"quick", no_argument, NULL, 'q'},
    {"coverage", no_argument, NULL, 'g'},
    {"only", required_argument, NULL, 'o'},
    {"mode", required_argument, NULL, 'm'},
    {"trace", no_argument, NULL, 't'},
    {"json", no_argument, NULL, 'j'},
    {"scenario", no_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int misused(const char *text, const char *word)
{
    (void)fprintf(stderr, "stead-sim: %s '%s'; see stead-sim --help\n", text, word);
    return 2;
}

static bool to_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number > max) {
        return false;
    }
    *ret = number;
    return true;
}

static bool to_range(const char *text, struct swarm_options *swarm)
{
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    char *dots = strstr(copy, "..");
    if (dots == NULL) {
        return false;
    }
    *dots = '\0';
    return to_number(copy, UINT32_MAX, &swarm->first) &&
           to_number(dots + 2, UINT32_MAX, &swarm->last) && swarm->first <= swarm->last;
}

/* --- run --- */

static struct scenario *story_new(void)
{
    struct scenario *story = calloc(1, sizeof(*story));
    if (story == NULL) {
        (void)fprintf(stderr, "stead-sim: out of memory\n");
        exit(2);
    }
    return story;
}

static bool run_one(const struct scenario *story, const struct options *options, bool alone)
{
    struct sim *sim = sim_run(story, NULL, options->swarm.coverage);
    bool ok = sim_ok(sim);
    if (options->json) {
        sim_result_json(sim, stdout);
    } else {
        if (alone || options->trace || !ok) {
            sim_result_trace(sim, stdout);
        }
        sim_result_line(sim, stdout);
    }
    sim_free(sim);
    return ok;
}

static int cmd_run(char **files, int count, const struct options *options)
{
    struct scenario *story = story_new();
    int failed = 0;
    bool unread = false;
    if (count == 0) {
        (void)fputs(usage, stderr);
        free(story);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        if (scenario_read(files[i], stderr, story) != 0) {
            unread = true;
            failed++;
            continue;
        }
        story->seed = options->has_seed ? options->seed : story->seed;
        failed += !run_one(story, options, count == 1);
    }
    if (count > 1 && !options->json) {
        (void)printf("%d passed, %d failed\n", count - failed, failed);
    }
    free(story);
    return unread ? 2 : failed > 0;
}

/* --- replay --- */

static int cmd_replay(char **words, int count, const struct options *options)
{
    uint64_t seed = 0;
    if (count != 1 || !to_number(words[0], UINT32_MAX, &seed)) {
        return misused("replay takes one seed, not", count > 0 ? words[0] : "");
    }
    char name[64];
    (void)snprintf(name, sizeof(name), "seed-%llu", (unsigned long long)seed);
    char *text = swarm_text(seed, &options->swarm);
    if (options->scenario) {
        (void)fputs(text, stdout);
        free(text);
        return 0;
    }
    struct scenario *story = story_new();
    bool ok = scenario_parse(name, text, stderr, story) == 0 && run_one(story, options, true);
    free(story);
    free(text);
    return !ok;
}

/* --- shrink --- */

static int cmd_shrink(char **files, int count, const struct options *options)
{
    (void)options;
    if (count != 1) {
        return misused("shrink takes one file, not", count > 0 ? files[1] : "");
    }
    struct scenario *story = story_new();
    char *text = scenario_text(files[0], stderr);
    int status = 2;
    if (text != NULL && scenario_parse(files[0], text, stderr, story) == 0) {
        char *small = shrink(text);
        status = small == NULL;
        (void)fputs(small != NULL ? small : "", stdout);
        if (small == NULL) {
            (void)fprintf(stderr, "stead-sim: %s does not fail\n", files[0]);
        }
        free(small);
    }
    free(text);
    free(story);
    return status;
}

/* --- kills --- */

static int kill_only(struct scenario *story, const struct options *options)
{
    struct sim_kill kill = {.armed = true, .target = options->only, .how = options->how};
    story->expect_count = 0;
    story->run_us = story->steps[story->step_count - 1].at_us + 300 * SECOND;
    struct sim *sim = sim_run(story, &kill, NULL);
    bool ok = sim_ok(sim);
    if (options->trace) {
        sim_result_trace(sim, stdout);
    }
    sim_result_line(sim, stdout);
    sim_free(sim);
    return !ok;
}

static int cmd_kills(char **files, int count, const struct options *options)
{
    struct scenario *story = story_new();
    struct kills_count total = {0};
    if (count == 0) {
        (void)fputs(usage, stderr);
        free(story);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        if (scenario_read(files[i], stderr, story) != 0) {
            free(story);
            return 2;
        }
        if (story->step_count > 0 && options->only != 0) {
            int status = kill_only(story, options);
            free(story);
            return status;
        }
        struct kills_count result = kills_run(story, stdout);
        total.passed += result.passed;
        total.failed += result.failed;
    }
    (void)printf("%u passed, %u failed\n", total.passed, total.failed);
    free(story);
    return total.failed > 0;
}

/* --- main --- */

static bool take_how(const char *word, enum sim_kill_how *ret_how)
{
    for (uint32_t how = 0; how < KILL_HOW_COUNT; how++) {
        if (strcmp(word, sim_kill_word((enum sim_kill_how)how)) == 0) {
            *ret_how = (enum sim_kill_how)how;
            return true;
        }
    }
    return false;
}

static bool take_option(int option, struct options *options)
{
    uint64_t number = 0;
    switch (option) {
    case 's':
        options->has_seed = true;
        return to_number(optarg, UINT32_MAX, &options->seed);
    case 'r':
        return to_range(optarg, &options->swarm);
    case 'n':
        options->swarm.nodes =
            to_number(optarg, SIM_NODES_MAX, &number) && number >= 2 ? (uint32_t)number : 0;
        return options->swarm.nodes != 0;
    case 'v':
        options->swarm.vms =
            to_number(optarg, SIM_VMS_MAX, &number) && number >= 1 ? (uint32_t)number : 0;
        return options->swarm.vms != 0;
    case 'g':
        options->coverage = true;
        return true;
    case 'q':
        options->swarm.quick = true;
        return true;
    case 'o':
        return to_number(optarg, UINT32_MAX, &options->only) && options->only > 0;
    case 'm':
        return take_how(optarg, &options->how);
    case 't':
        options->trace = true;
        return true;
    case 'j':
        options->json = true;
        return true;
    case 'c':
        options->scenario = true;
        return true;
    default:
        return false;
    }
}

static int cmd_swarm(char **words, int count, const struct options *options)
{
    if (count > 0) {
        return misused("swarm takes options only, not", words[0]);
    }
    return swarm_run(&options->swarm, stdout) > 0;
}

/* An option that says nothing to this command; NULL: all are for it. */
static const char *stray_option(const struct options *options, const char *letters)
{
    for (const struct option *option = known_options; option->name != NULL; option++) {
        bool given = (options->given >> (option->val - 'a') & 1) != 0;
        if (given && strchr(letters, option->val) == NULL) {
            return option->name;
        }
    }
    return NULL;
}

static int obey(const char *command, char **words, int count, const struct options *options)
{
    static const char *const commands[] = {"run", "swarm", "replay", "shrink", "kills"};
    static const struct {
        int (*obey)(char **words, int count, const struct options *options);
        const char *letters;
    } rows[] = {{cmd_run, "stjg"},
                {cmd_swarm, "rnvqg"},
                {cmd_replay, "nvctjg"},
                {cmd_shrink, ""},
                {cmd_kills, "omt"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(command, commands[i]) != 0) {
            continue;
        }
        const char *stray = stray_option(options, rows[i].letters);
        if (stray != NULL) {
            (void)fprintf(stderr, "stead-sim: %s has no --%s; see stead-sim --help\n", command,
                          stray);
            return 2;
        }
        return rows[i].obey(words, count, options);
    }
    const char *near = nearest_word(command, commands, sizeof(commands) / sizeof(commands[0]));
    (void)fprintf(stderr, "stead-sim: unknown command '%s'%s%s%s\n", command,
                  near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "; see stead-sim --help");
    return 2;
}

int main(int argc, char **argv)
{
    struct options options = {.swarm = {.first = 1, .last = 200}};
    /* Cores are large and little of them is used: fresh pages each time, rather than cleared ones.
     * What is small is kept for the next seed. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    int option = 0;
    while ((option = getopt_long(argc, argv, "h", known_options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return 0;
        }
        if (option == '?') {
            return 2;
        }
        options.given |= UINT32_C(1) << (option - 'a');
        if (!take_option(option, &options)) {
            return misused("cannot use the value", optarg != NULL ? optarg : "");
        }
    }
    if (optind == argc) {
        (void)fputs(usage, stderr);
        return 2;
    }
    if (options.coverage) {
        options.swarm.coverage = calloc(1, sizeof(*options.swarm.coverage));
        ASSERT(options.swarm.coverage != NULL);
    }
    int status = obey(argv[optind], argv + optind + 1, argc - optind - 1, &options);
    if (options.coverage) {
        coverage_write(options.swarm.coverage, stdout);
        free(options.swarm.coverage);
    }
    return status;
}
