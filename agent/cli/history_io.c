/* `stead history`: what was decided, picked out and followed. */
#define _GNU_SOURCE /* strptime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/cli/commands_io.h"
#include "agent/cli/json_io.h"
#include "agent/cli/table_io.h"
#include "agent/cli/watch_io.h"

#define EVERY_MS 1000
#define AWAY_EVERY_MS 3000    /* the agent is being restarted, perhaps */
#define FOLLOW_SHOWS_FIRST 10 /* of what was before, unless said otherwise */
#define WANTED_MAX (HISTORY_MAX + 2 * CONTROL_DECISIONS_MAX)

struct picked {
    size_t count;
    const Control__Decision *list[WANTED_MAX];
};

static bool wants_json(const struct cli_options *options)
{
    return (options->given & OPTION_JSON) != 0;
}

/* ---- --since */

/* "2026-01-31 12:00[:00]", with a blank or T between, "2026-01-31", "12:00[:00]" of today; local.
 */
static bool read_moment(const char *text, uint64_t *ret_ms)
{
    static const char *const days[] = {
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
        "%H:%M:%S",          "%H:%M"};
    time_t now = time(NULL);
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        struct tm parts;
        localtime_r(&now, &parts);
        parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
        const char *end = strptime(text, days[i], &parts);
        if (end != NULL && *end == '\0') {
            parts.tm_isdst = -1;
            time_t moment = mktime(&parts);
            *ret_ms = moment > 0 ? (uint64_t)moment * 1000 : 0;
            return moment > 0;
        }
    }
    return false;
}

/* As a point of this host's wall clock, which is what entries carry. */
static bool read_since(const char *text, uint64_t *ret_ms)
{
    uint32_t ago_ms = 0;
    struct timespec now;
    if (cli_parse_duration(text, &ago_ms) < 0) {
        return read_moment(text, ret_ms);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    *ret_ms = now_ms > ago_ms ? now_ms - ago_ms : 0;
    return true;
}

/* ---- what is shown */

static bool is_wanted(const struct cli_options *options, uint64_t since_ms,
                      const Control__Decision *decision)
{
    return (options->vm == NULL || strcmp(options->vm, decision->vm) == 0) &&
           (options->node == NULL || strcmp(options->node, decision->node) == 0) &&
           decision->wall_ms >= since_ms;
}

/* *next becomes the number of the first entry that was not there yet. */
static void pick(const struct cli_options *options, uint64_t since_ms,
                 const struct cli_history *history, struct picked *picked, uint64_t *next)
{
    picked->count = 0;
    for (size_t page = 0; page < history->page_count; page++) {
        const Control__History *part = history->pages[page]->history;
        for (size_t i = 0; i < part->n_decisions; i++) {
            const Control__Decision *decision = part->decisions[i];
            if (is_wanted(options, since_ms, decision) && picked->count < WANTED_MAX) {
                picked->list[picked->count++] = decision;
            }
            if (decision->sequence >= *next) {
                *next = decision->sequence + 1;
            }
        }
    }
}

/* Connects unless *client is; an agent that went away ends the connection. */
static enum cli_exit fetch(const struct cli_options *options, struct cli_client **client,
                           uint64_t first, struct cli_history *ret_history)
{
    enum cli_exit result = *client == NULL ? cli_connect(client) : CLI_DONE;
    if (result == CLI_DONE) {
        result =
            cli_ask_history(*client, first, (options->given & OPTION_FENCES) != 0, ret_history);
    }
    if (result != CLI_DONE) {
        cli_disconnect(client);
    }
    return result;
}

static size_t skip(const struct picked *picked, uint32_t last)
{
    return last != 0 && last < picked->count ? picked->count - last : 0;
}

static void show_lines(const struct cli_options *options, const struct picked *picked, size_t first)
{
    for (size_t i = first; i < picked->count; i++) {
        if (wants_json(options)) {
            cli_json_decision(picked->list[i]);
        } else {
            cli_print_decision(picked->list[i]);
        }
    }
    (void)fflush(stdout);
}

/* Until Ctrl-C; an agent that goes away is waited for. */
static enum cli_exit follow(const struct cli_options *options, uint64_t since_ms)
{
    uint64_t next = 0;
    uint32_t last = options->last != 0 ? options->last : since_ms == 0 ? FOLLOW_SHOWS_FIRST : 0;
    bool first_time = true;
    struct cli_client *client = NULL;
    while (true) {
        struct cli_history history;
        struct picked picked;
        enum cli_exit result = fetch(options, &client, next, &history);
        if (result != CLI_DONE && first_time) {
            return result;
        }
        if (result == CLI_DONE) {
            pick(options, since_ms, &history, &picked, &next);
            show_lines(options, &picked, first_time ? skip(&picked, last) : 0);
            cli_free_history(&history);
            first_time = false;
        }
        (void)cli_pause(result == CLI_DONE ? EVERY_MS : AWAY_EVERY_MS, 0);
        if (ferror(stdout) != 0) {
            cli_disconnect(&client);
            return CLI_FAILED;
        }
    }
}

enum cli_exit cli_history(const struct cli_options *options, const char *name)
{
    struct cli_history history;
    struct picked picked;
    uint64_t since_ms = 0;
    uint64_t next = 0;
    (void)name;
    if (options->since != NULL && !read_since(options->since, &since_ms)) {
        fprintf(stderr,
                "stead: --since wants a duration such as 10m, or a time such as 14:30 or "
                "'2026-01-31 14:30', not '%s'\n",
                options->since);
        return CLI_USAGE;
    }
    if ((options->given & OPTION_FOLLOW) != 0) {
        return follow(options, since_ms);
    }
    struct cli_client *client = NULL;
    enum cli_exit result = fetch(options, &client, 0, &history);
    if (result != CLI_DONE) {
        return result;
    }
    cli_disconnect(&client);
    pick(options, since_ms, &history, &picked, &next);
    size_t first = skip(&picked, options->last);
    if (wants_json(options)) {
        cli_json_history(picked.list + first, picked.count - first);
    } else {
        cli_print_history(picked.list + first, picked.count - first);
        if (picked.count == 0) {
            fprintf(stderr, "stead: none of the last %d entries goes with that\n", HISTORY_MAX);
        }
    }
    cli_free_history(&history);
    return CLI_DONE;
}
