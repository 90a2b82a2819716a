/*
 * A whole read in pages while commits go on: every interleaving of a small example.
 *
 * Four versions (10 to 13) of a state with three keys, one key to a page. A key read at version v
 * is as it was then; versions never go back from page to page.
 */
#include "storage/reload.h"
#include "storage/state.h"
#include "tests/unit/unit_fields.h"

#define FIRST 10
#define VERSIONS 4
#define KEYS 3

struct position {
    struct cluster at[VERSIONS]; /* the true states */
    struct delta deltas[VERSIONS];
    struct cluster image;
    struct reload reload;
};

static struct vm_record vm_of(uint64_t generation)
{
    struct vm_record vm = unit_any_vm();
    vm.generation = generation;
    return vm;
}

static void write_vm(struct delta *delta, uint32_t slot, uint64_t generation)
{
    struct record *record = &delta->records[delta->count++];
    *record = (struct record){.kind = RECORD_VM, .slot = slot};
    record->removed = generation == 0;
    if (generation != 0) {
        record->vm = vm_of(generation);
    }
}

static void advance(struct position *p, unsigned i)
{
    struct delta *delta = &p->deltas[i];
    delta->header = p->at[i - 1].header;
    delta->header.version++;
    delta->base_term = delta->header.term;
    delta->header.term += i == 2; /* one of them takes a term */
    delta->header.digest = state_digest_after(&p->at[i - 1], delta);
    p->at[i] = p->at[i - 1];
    assert_true(state_apply(&p->at[i], delta));
}

/* 10: keys 0 and 1; 11: 0 and 1 change; 12: 1 goes, 2 comes; 13: 0 and 2 change. */
static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->at[0].set[1] = unit_any_setting();
    p->at[0].vms[0] = vm_of(100);
    p->at[0].vms[1] = vm_of(200);
    p->at[0].vm_end = 2;
    p->at[0].header = (struct header){.epoch = 1, .term = 3, .version = FIRST};
    p->at[0].header.digest = state_digest(&p->at[0]);
    write_vm(&p->deltas[1], 0, 101);
    write_vm(&p->deltas[1], 1, 201);
    advance(p, 1);
    write_vm(&p->deltas[2], 1, 0);
    write_vm(&p->deltas[2], 2, 300);
    advance(p, 2);
    write_vm(&p->deltas[3], 0, 103);
    write_vm(&p->deltas[3], 2, 303);
    advance(p, 3);
    return p;
}

/* The pages as read at the versions pages[0] <= pages[1] <= pages[2] (counted from FIRST). */
static void read_pages(struct position *p, const unsigned *pages)
{
    struct cluster *image = &p->image;
    memset(image, 0, sizeof(*image));
    image->header = p->at[pages[0]].header;
    image->set[1] = p->at[0].set[1];
    for (unsigned key = 0; key < KEYS; key++) {
        image->vms[key] = p->at[pages[key]].vms[key];
        if (image->vms[key].state != VM_FREE) {
            image->vm_end = key + 1;
        }
    }
}

/* Keeps the deltas after page one up to version `told`, without `lost` (0: none). */
static void keep(struct position *p, unsigned first, unsigned told, unsigned lost)
{
    reload_begin(&p->reload);
    for (unsigned i = first + 1; i <= told; i++) {
        if (i != lost) {
            reload_keep(&p->reload, &p->deltas[i]);
        }
    }
}

static bool same_state(const struct cluster *a, const struct cluster *b)
{
    return a->header.version == b->header.version && a->header.digest == b->header.digest &&
           state_digest(a) == state_digest(b) && a->vm_end == b->vm_end;
}

typedef void check_read(struct position *p, const unsigned *pages);

static void each_interleaving(struct position *p, check_read *check)
{
    for (unsigned a = 0; a < VERSIONS; a++) {
        for (unsigned b = a; b < VERSIONS; b++) {
            for (unsigned c = b; c < VERSIONS; c++) {
                const unsigned pages[KEYS] = {a, b, c};
                check(p, pages);
            }
        }
    }
}

static void check_whole(struct position *p, const unsigned *pages)
{
    for (unsigned told = pages[2]; told < VERSIONS; told++) {
        read_pages(p, pages);
        keep(p, pages[0], told, 0);
        assert_true(reload_finish(&p->reload, &p->image, &p->at[pages[2]].header));
        assert_true(same_state(&p->image, &p->at[told]));
    }
}

/* Mixed pages and all deltas since page one give the state after the last delta, however they
 * mixed. */
TEST(mixed_pages_come_out_right)
{
    struct position *p = begun();
    each_interleaving(p, check_whole);
    free(p);
}

static void check_lost(struct position *p, const unsigned *pages)
{
    for (unsigned lost = pages[0] + 1; lost <= pages[2]; lost++) {
        read_pages(p, pages);
        keep(p, pages[0], VERSIONS - 1, lost);
        assert_false(reload_finish(&p->reload, &p->image, &p->at[pages[2]].header));
    }
}

/* A delta between first and last page that was lost makes the read fail, never come out wrong. */
TEST(a_lost_delta_makes_it_fail)
{
    struct position *p = begun();
    each_interleaving(p, check_lost);
    free(p);
}

static void check_late(struct position *p, const unsigned *pages)
{
    for (unsigned told = pages[0]; told < pages[2]; told++) {
        read_pages(p, pages);
        keep(p, pages[0], told, 0);
        assert_false(reload_finish(&p->reload, &p->image, &p->at[pages[2]].header));
    }
}

/* Deltas still on their way make the read fail: the image would be older than its last page. */
TEST(a_late_delta_makes_it_fail)
{
    struct position *p = begun();
    each_interleaving(p, check_late);
    free(p);
}

/* A delta from before page one, delivered late, is passed over. */
TEST(an_older_delta_is_passed_over)
{
    struct position *p = begun();
    const unsigned pages[KEYS] = {2, 2, 3};
    read_pages(p, pages);
    reload_begin(&p->reload);
    for (unsigned i = 1; i < VERSIONS; i++) {
        reload_keep(&p->reload, &p->deltas[i]);
    }
    assert_true(reload_finish(&p->reload, &p->image, &p->at[3].header));
    assert_true(same_state(&p->image, &p->at[3]));
    free(p);
}

/* A page damaged in the store is found out. */
TEST(a_damaged_page_is_found_out)
{
    struct position *p = begun();
    const unsigned pages[KEYS] = {3, 3, 3};
    read_pages(p, pages);
    p->image.vms[2].generation ^= 1;
    keep(p, 3, 3, 0);
    assert_false(reload_finish(&p->reload, &p->image, &p->at[3].header));
    free(p);
}

/* Another epoch at the last page than at the first is no version of this state. */
TEST(an_epoch_in_between_makes_it_fail)
{
    struct position *p = begun();
    const unsigned pages[KEYS] = {3, 3, 3};
    struct header last = p->at[3].header;
    last.epoch = 2;
    read_pages(p, pages);
    keep(p, 3, 3, 0);
    assert_false(reload_finish(&p->reload, &p->image, &last));
    free(p);
}

/* More deltas than are kept make the read fail, or come out right; they never overrun. */
TEST(more_deltas_than_are_kept)
{
    struct position *p = begun();
    const unsigned pages[KEYS] = {0, 0, 3};
    read_pages(p, pages);
    reload_begin(&p->reload);
    for (unsigned i = 0; i < DELTAS_KEPT_MAX; i++) {
        reload_keep(&p->reload, &p->deltas[1]);
    }
    reload_keep(&p->reload, &p->deltas[2]);
    reload_keep(&p->reload, &p->deltas[3]);
    assert_int_equal(p->reload.count, DELTAS_KEPT_MAX);
    assert_false(reload_finish(&p->reload, &p->image, &p->at[3].header));
    free(p);
}

/* What came during the read before is not laid over the next one. */
TEST(each_read_begins_with_no_deltas)
{
    struct position *p = begun();
    const unsigned pages[KEYS] = {0, 0, 0};
    reload_keep(&p->reload, &p->deltas[1]);
    reload_begin(&p->reload);
    read_pages(p, pages);
    assert_true(reload_finish(&p->reload, &p->image, &p->at[0].header));
    assert_int_equal(p->image.header.version, FIRST);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixed_pages_come_out_right),
        cmocka_unit_test(a_lost_delta_makes_it_fail),
        cmocka_unit_test(a_late_delta_makes_it_fail),
        cmocka_unit_test(an_older_delta_is_passed_over),
        cmocka_unit_test(a_damaged_page_is_found_out),
        cmocka_unit_test(an_epoch_in_between_makes_it_fail),
        cmocka_unit_test(more_deltas_than_are_kept),
        cmocka_unit_test(each_read_begins_with_no_deltas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
