/* Fills a page of the state from a core. A page begins at a number: 0 is the header, then come the
 * slots of all kinds in one row, used or not. */
#include "agent/copy_io.h"

#include <errno.h>
#include <stdio.h>

#include "agent/query.h"
#include "proto/assert.h"
#include "proto/clock_io.h"
#include "storage/state.h"

static uint8_t *next_value(struct copy_page *page, Control__CopyRecord **ret_record)
{
    const size_t at = page->copy.n_records;
    control__copy_record__init(&page->records[at]);
    page->records[at].key = page->keys[at];
    page->records[at].value.data = page->values[at];
    page->list[at] = &page->records[at];
    *ret_record = &page->records[at];
    return page->values[at];
}

static void add_header(struct copy_page *page, const struct header *header)
{
    Control__CopyRecord *record;
    uint8_t *value = next_value(page, &record);
    snprintf(record->key, WIRE_KEY_BYTES, "header");
    const int r = wire_pack_header(header, value, COPY_VALUE_BYTES, &record->value.len);
    ASSERT(r == 0); /* the largest is below */
    page->copy.n_records++;
}

static void add_record(struct copy_page *page, const struct record *from)
{
    Control__CopyRecord *record;
    uint8_t *value = next_value(page, &record);
    wire_record_key(from->kind, from->slot, record->key);
    const int r = wire_pack_record(from, value, COPY_VALUE_BYTES, &record->value.len);
    ASSERT(r == 0);
    page->copy.n_records++;
}

/* The record with that number; false behind the last. */
static bool find(const struct cluster *cluster, uint32_t number, struct record *ret_record)
{
    for (unsigned kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        const uint32_t slots = state_slots((enum record_kind)kind);
        if (number < slots) {
            *ret_record = state_record(cluster, (enum record_kind)kind, number);
            return true;
        }
        number -= slots;
    }
    return false;
}

const char *copy_io_fill(struct copy_page *page, const struct core *core, uint32_t first)
{
    struct record record;
    control__copy__init(&page->copy);
    if (core == NULL || !query_loaded(core)) {
        return "this agent holds no copy of the state: `stead status` says who does";
    }
    const uint64_t age_ms = query_copy_age_ms(core, clock_io_boot_ms());
    page->copy.node = (char *)(uintptr_t)core->local.facts.name;
    page->copy.known = age_ms != UINT64_MAX;
    page->copy.age_ms = page->copy.known ? age_ms : 0;
    page->copy.records = page->list;
    if (first == 0) {
        add_header(page, &core->cluster.header);
        first = 1;
    }
    while (page->copy.n_records < COPY_RECORDS_MAX && find(&core->cluster, first - 1, &record)) {
        if (!record.removed) {
            add_record(page, &record);
        }
        first++;
    }
    page->copy.next = find(&core->cluster, first - 1, &record) ? first : 0;
    return NULL;
}
