/* Two looks at the cluster, compared. */
#include "agent/cli/changes_io.h"

#include <stdlib.h>
#include <string.h>

#include "proto/assert.h"

#define LINE_BYTES 384

struct line {
    char key[NAME_BYTES + 8]; /* "vm web" */
    char text[LINE_BYTES];
    bool seen; /* in the look under way */
};

struct cli_changes {
    struct line *lines;
    size_t count;
    size_t room;
    size_t expected; /* where the next one was last time: they come in the same order */
    size_t changed;
    const char *prefix;
    FILE *file;
};

struct cli_changes *cli_changes_new(void)
{
    struct cli_changes *changes = calloc(1, sizeof(*changes));
    ASSERT(changes != NULL);
    return changes;
}

void cli_changes_free(struct cli_changes **changes)
{
    if (*changes != NULL) {
        free((*changes)->lines);
        free(*changes);
        *changes = NULL;
    }
}

static void say(struct cli_changes *changes, const char *key, const char *text)
{
    changes->changed++;
    if (changes->file != NULL) {
        fprintf(changes->file, "%s%s: %s\n", changes->prefix, key, text);
        fflush(changes->file);
    }
}

static struct line *add(struct cli_changes *changes, const char *key)
{
    if (changes->count == changes->room) {
        changes->room = changes->room == 0 ? 64 : changes->room * 2;
        changes->lines = realloc(changes->lines, changes->room * sizeof(*changes->lines));
        ASSERT(changes->lines != NULL);
    }
    struct line *line = &changes->lines[changes->count++];
    *line = (struct line){.seen = false};
    snprintf(line->key, sizeof(line->key), "%s", key);
    return line;
}

static struct line *find(struct cli_changes *changes, const char *key)
{
    for (size_t i = 0; i < changes->count; i++) {
        size_t at = (changes->expected + i) % changes->count;
        if (strcmp(changes->lines[at].key, key) == 0) {
            changes->expected = at + 1;
            return &changes->lines[at];
        }
    }
    return add(changes, key);
}

static void take(struct cli_changes *changes, const char *key, const char *text)
{
    struct line *line = find(changes, key);
    if (strcmp(line->text, text) != 0) {
        snprintf(line->text, sizeof(line->text), "%s", text);
        say(changes, key, text);
    }
    line->seen = true;
}

static bool wanted(const char *subject, const char *name)
{
    return subject == NULL || strcmp(subject, name) == 0;
}

static void take_vm(struct cli_changes *changes, const Control__Vm *vm)
{
    char key[NAME_BYTES + 8], text[LINE_BYTES];
    bool reason = vm->reason[0] != '\0';
    snprintf(key, sizeof(key), "vm %.63s", vm->name);
    snprintf(text, sizeof(text), "%.20s%s%.63s%s%.200s%s", vm->state,
             vm->node[0] != '\0' ? " on " : "", vm->node, reason ? " (" : "", vm->reason,
             reason ? ")" : "");
    take(changes, key, text);
}

static void take_node(struct cli_changes *changes, const Control__Node *node)
{
    char key[NAME_BYTES + 8];
    snprintf(key, sizeof(key), "node %.63s", node->name);
    take(changes, key, node->state);
}

static void drop_gone(struct cli_changes *changes)
{
    size_t kept = 0;
    for (size_t i = 0; i < changes->count; i++) {
        if (!changes->lines[i].seen) {
            say(changes, changes->lines[i].key, "gone");
        } else {
            changes->lines[i].seen = false;
            if (kept != i) {
                changes->lines[kept] = changes->lines[i];
            }
            kept++;
        }
    }
    changes->count = kept;
    changes->expected = 0;
}

size_t cli_changes_take(struct cli_changes *changes, const struct cli_status *status,
                        const struct cli_subjects *subjects, const char *prefix, FILE *file)
{
    const Control__Status *first = status->pages[0]->status;
    changes->changed = 0;
    changes->prefix = prefix;
    changes->file = file;
    if (subjects->vm == NULL && subjects->node == NULL) {
        take(changes, "now", first->situation);
    }
    for (size_t i = 0; i < first->n_nodes; i++) {
        if (wanted(subjects->node, first->nodes[i]->name)) {
            take_node(changes, first->nodes[i]);
        }
    }
    for (size_t page = 0; page < status->page_count; page++) {
        const Control__Status *part = status->pages[page]->status;
        for (size_t i = 0; i < part->n_vms; i++) {
            if (wanted(subjects->vm, part->vms[i]->name)) {
                take_vm(changes, part->vms[i]);
            }
        }
    }
    drop_gone(changes);
    return changes->changed;
}
