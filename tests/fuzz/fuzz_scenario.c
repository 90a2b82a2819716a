/* A scenario: whatever is in it, it is understood, or each error names its line and column. */
#define _GNU_SOURCE /* open_memstream */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scenario story;
    char *text = calloc(1, size + 1);
    char *said = NULL;
    size_t said_size = 0;
    FILE *errors = open_memstream(&said, &said_size);
    PROMISE(text != NULL && errors != NULL);
    memcpy(text, data, size);
    uint32_t count = scenario_parse("fuzz", text, errors, &story);
    PROMISE(fclose(errors) == 0);
    uint32_t lines = 0;
    for (const char *at = said; *at != '\0'; at = strchr(at, '\n') + 1) {
        unsigned line = 0;
        unsigned column = 0;
        PROMISE(sscanf(at, "fuzz:%u:%u: ", &line, &column) == 2 && column > 0);
        PROMISE(strchr(at, '\n') != NULL);
        lines++;
    }
    PROMISE(lines == count);
    PROMISE(count != 0 || (story.node_count > 0 && story.run_us > 0));
    free(said);
    free(text);
    return 0;
}
