/*
 * A failing story is cut down as a person would: leave lines out, many at once and then one by one,
 * then let less time pass between those that are left; whatever still breaks the same promise is
 * kept. What no longer is a scenario (a VM on a node that was left out) does not fail alike.
 */
#include "tests/sim/sim_shrink.h"

#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"
#include "tests/sim/sim_result.h"

#define LINES_MAX (SIM_STEPS_MAX + SIM_EXPECTS_MAX + SIM_VMS_MAX + SIM_NODES_MAX)
#define PROMISE_BYTES 16

struct sheet {
    char *text; /* a copy that `lines` point into */
    char *lines[LINES_MAX];
    uint32_t count;
    uint64_t gap_ms[LINES_MAX]; /* of an `at` line: since the one before */
    bool at[LINES_MAX];
    uint64_t run_ms; /* since the last of them */
    char promise[PROMISE_BYTES];
};

/* --- how a text fails --- */

/* "I5" of "I5: v7 is wanted and does not run". */
static void promise_of(const char *why, char ret_promise[PROMISE_BYTES])
{
    size_t length = strcspn(why, ":");
    (void)snprintf(ret_promise, PROMISE_BYTES, "%.*s", (int)length, why);
}

/* --- the sheet --- */

static char *write_sheet(const struct sheet *sheet)
{
    char *text = NULL;
    size_t size = 0;
    uint64_t now_ms = 0;
    FILE *out = open_memstream(&text, &size);
    ASSERT(out != NULL);
    for (uint32_t i = 0; i < sheet->count; i++) {
        now_ms += sheet->gap_ms[i];
        if (sheet->lines[i] != NULL && sheet->at[i]) {
            (void)fprintf(out, "at %llums %s\n", (unsigned long long)now_ms, sheet->lines[i]);
        } else if (sheet->lines[i] != NULL) {
            (void)fprintf(out, "%s\n", sheet->lines[i]);
        }
    }
    (void)fprintf(out, "run %llums\n", (unsigned long long)(now_ms + sheet->run_ms));
    (void)fclose(out);
    return text;
}

static bool still_fails(const struct sheet *sheet)
{
    char why[SIM_LINE_BYTES];
    char promise[PROMISE_BYTES];
    char *text = write_sheet(sheet);
    sim_result_of(text, NULL, why);
    free(text);
    promise_of(why, promise);
    return strcmp(promise, sheet->promise) == 0;
}

/* Reads the lines; the times of the steps are the story's, which the parser has made sense of. */
static void read_sheet(struct sheet *sheet, const char *text, const struct scenario *story)
{
    uint64_t last_us = 0;
    uint32_t step = 0;
    sheet->text = strdup(text);
    ASSERT(sheet->text != NULL);
    for (char *line = strtok(sheet->text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        bool run = strncmp(line, "run ", 4) == 0;
        ASSERT(sheet->count < LINES_MAX);
        if (!run && strncmp(line, "at ", 3) == 0) {
            uint64_t at_us = story->steps[step++].at_us;
            sheet->at[sheet->count] = true;
            sheet->gap_ms[sheet->count] = at_us / MS - last_us / MS;
            last_us = at_us;
            line += 3;
            line += strspn(line, " ");
            line += strcspn(line, " ");
            line += strspn(line, " ");
        }
        if (!run) {
            sheet->lines[sheet->count++] = line;
        }
    }
    ASSERT(step == story->step_count);
    sheet->run_ms = story->run_us / MS - last_us / MS;
}

/* --- smaller --- */

/* Leaves out lines [first, first + size) if it fails without them; the time they took is kept. */
static bool leave_out(struct sheet *sheet, uint32_t first, uint32_t size)
{
    char *kept[LINES_MAX];
    bool any = false;
    memcpy(kept, sheet->lines, sizeof(kept));
    for (uint32_t i = first; i < first + size && i < sheet->count; i++) {
        bool cluster = kept[i] != NULL && strncmp(kept[i], "cluster", 7) == 0;
        any = any || (kept[i] != NULL && !cluster);
        sheet->lines[i] = cluster ? kept[i] : NULL;
    }
    if (any && still_fails(sheet)) {
        return true;
    }
    memcpy(sheet->lines, kept, sizeof(kept));
    return false;
}

static void fewer_lines(struct sheet *sheet)
{
    for (uint32_t size = sheet->count / 2; size > 0; size /= 2) {
        bool again = true;
        while (again) {
            again = false;
            for (uint32_t first = sheet->count; first > 0; first -= first < size ? first : size) {
                uint32_t from = first < size ? 0 : first - size;
                again = leave_out(sheet, from, first - from) || again;
            }
            again = again && size == 1;
        }
    }
}

static void less_time(struct sheet *sheet, uint64_t *gap_ms)
{
    for (uint64_t cut_ms = *gap_ms; cut_ms > 100; cut_ms /= 2) {
        uint64_t before_ms = *gap_ms;
        *gap_ms -= cut_ms;
        if (still_fails(sheet)) {
            return;
        }
        *gap_ms = before_ms;
    }
}

char *shrink(const char *text)
{
    struct sheet *sheet = calloc(1, sizeof(*sheet));
    struct scenario *story = malloc(sizeof(*story));
    char why[SIM_LINE_BYTES];
    char *small = NULL;
    ASSERT(sheet != NULL);
    ASSERT(story != NULL);
    sim_result_of(text, NULL, why);
    if (why[0] != '\0' && scenario_parse("shrink", text, NULL, story) == 0) {
        promise_of(why, sheet->promise);
        read_sheet(sheet, text, story);
        fewer_lines(sheet);
        for (uint32_t i = 0; i < sheet->count; i++) {
            less_time(sheet, &sheet->gap_ms[i]);
        }
        less_time(sheet, &sheet->run_ms);
        fewer_lines(sheet);
        small = write_sheet(sheet);
        free(sheet->text);
    }
    free(story);
    free(sheet);
    return small;
}
