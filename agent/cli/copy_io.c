/* Pages of the agent's copy, put together as the state object's keys. */
#include "agent/cli/copy_io.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/values.h"
#include "storage/op_io.h"

#define TRIES_MAX 5

static int take_page(const Control__Copy *copy, struct backup *backup)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < copy->n_records; i++) {
        r = backup_add(backup, STORAGE_OBJECT, copy->records[i]->key, copy->records[i]->value.data,
                       copy->records[i]->value.len);
    }
    return r;
}

static enum cli_exit ask_pages(struct cli_client *client, struct backup *backup,
                               struct copy_source *ret_source)
{
    Control__CopyAsk ask = CONTROL__COPY_ASK__INIT;
    Control__Request request = CONTROL__REQUEST__INIT;
    enum cli_exit result = CLI_DONE;
    request.ask_case = CONTROL__REQUEST__ASK_COPY;
    request.copy = &ask;
    do {
        Control__Reply *reply = NULL;
        const uint32_t before = ask.first;
        result = cli_ask(client, &request, &reply);
        if (result == CLI_DONE && reply->answer_case != CONTROL__REPLY__ANSWER_COPY) {
            result = cli_unexpected(reply);
        } else if (result == CLI_DONE && take_page(reply->copy, backup) < 0) {
            fputs("stead: out of memory\n", stderr);
            result = CLI_FAILED;
        } else if (result == CLI_DONE) {
            name_set(ret_source->node, sizeof(ret_source->node), reply->copy->node);
            ret_source->known = reply->copy->known;
            ret_source->age_ms = reply->copy->age_ms;
            ask.first = reply->copy->next > before ? reply->copy->next : 0;
        }
        control_free_reply(&reply);
    } while (result == CLI_DONE && ask.first != 0);
    return result;
}

enum cli_exit cli_ask_copy(struct cli_client *client, struct backup *ret_backup,
                           struct copy_source *ret_source)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct backup backup = {.count = 0};
        struct cluster *image = NULL;
        enum cli_exit result = ask_pages(client, &backup, ret_source);
        if (result == CLI_DONE && backup_state(&backup, &image) == 0) {
            free(image);
            *ret_backup = backup;
            return CLI_DONE;
        }
        backup_free(&backup);
        if (result != CLI_DONE) {
            return result;
        }
    }
    fputs("stead: the agent's copy changes too fast, or is damaged\n", stderr);
    return CLI_FAILED;
}
