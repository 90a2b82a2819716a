/* One commit under way: done, failed, or still open, and never two at once. */
#include "storage/commit.h"
#include "tests/unit/unit.h"

#define LIMIT_MS 5000

struct position {
    struct unit_alone *alone;
    struct commit commit;
};

static struct header old_header(void)
{
    return (struct header){.epoch = 1, .term = 3, .version = 10, .commit = {2, 1002, 4}};
}

static struct position *begun(void)
{
    struct position *p = calloc(1, sizeof(*p));
    p->alone = unit_alone_new();
    p->commit.delta.header = old_header();
    p->commit.delta.header.version = 11;
    p->commit.delta.header.commit = (struct origin){1, 1001, 9};
    p->commit.delta.base_term = 3;
    commit_begin(&p->commit, &p->alone->caller, LIMIT_MS);
    return p;
}

static void end(struct position *p)
{
    free(p->alone);
    free(p);
}

static enum commit_verdict answer(struct position *p, enum outcome outcome,
                                  const struct header *header)
{
    p->commit.call = (struct call){0}; /* the caller of commit_on_answer closes the call */
    return commit_on_answer(&p->commit, outcome, header);
}

/* A commit goes out once, bound to the freshness it was decided under. */
TEST(a_commit_is_bound_to_freshness)
{
    struct position *p = begun();
    const struct action *action = unit_only(p->alone, ACTION_COMMIT);
    assert_int_equal(action->valid_until_ms, 11000);
    assert_int_equal(action->deadline_ms, 10000 + LIMIT_MS);
    assert_ptr_equal(p->alone->out.delta, &p->commit.delta);
    end(p);
}

/* An answer "done" ends the commit as done. */
TEST(done_is_done)
{
    struct position *p = begun();
    assert_int_equal(answer(p, OUTCOME_DONE, NULL), COMMIT_DONE);
    assert_int_equal(p->commit.state, COMMIT_IDLE);
    end(p);
}

/* A retried commit refused by its own earlier success is done. */
TEST(refused_by_own_success_is_done)
{
    struct position *p = begun();
    struct header header = p->commit.delta.header;
    assert_int_equal(answer(p, OUTCOME_REFUSED, &header), COMMIT_DONE);
    assert_int_equal(p->commit.state, COMMIT_IDLE);
    end(p);
}

/* A commit refused because another's took its version has failed. */
TEST(anothers_first_is_failed)
{
    struct position *p = begun();
    struct header header = old_header();
    header.version = 11;
    assert_int_equal(answer(p, OUTCOME_REFUSED, &header), COMMIT_FAILED);
    assert_int_equal(p->commit.state, COMMIT_IDLE);
    end(p);
}

/* What became of the one before says nothing of the next. */
TEST(the_next_commit_has_its_own_fate)
{
    struct position *p = begun();
    struct header header = old_header();
    header.version = 11;
    assert_int_equal(answer(p, OUTCOME_UNKNOWN, NULL), COMMIT_PENDING);
    assert_int_equal(commit_on_header(&p->commit, &header), COMMIT_FAILED);
    commit_begin(&p->commit, &p->alone->caller, LIMIT_MS);
    assert_int_equal(answer(p, OUTCOME_STALE, NULL), COMMIT_FAILED);
    end(p);
}

/* A refusal under another epoch is final: this state is no longer ours to write. */
TEST(another_epoch_is_failed)
{
    struct position *p = begun();
    struct header header = old_header();
    header.epoch = 2;
    header.version = 3;
    assert_int_equal(answer(p, OUTCOME_REFUSED, &header), COMMIT_FAILED);
    end(p);
}

/* A refusal at the old version leaves the fate open: the write may land yet. */
TEST(refused_at_the_old_version_is_open)
{
    struct position *p = begun();
    struct header header = old_header();
    assert_int_equal(answer(p, OUTCOME_REFUSED, &header), COMMIT_PENDING);
    assert_int_equal(p->commit.state, COMMIT_UNKNOWN);
    end(p);
}

/* A first sending that certainly did not go out is over: it must not go out later on an old view.
 */
TEST(what_never_went_out_is_failed)
{
    const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_STALE};
    for (unsigned i = 0; i < UNIT_COUNT(outcomes); i++) {
        struct position *p = begun();
        assert_int_equal(answer(p, outcomes[i], NULL), COMMIT_FAILED);
        assert_int_equal(p->commit.state, COMMIT_IDLE);
        end(p);
    }
}

/* Once a sending may have landed, a later one that did not go out settles nothing. */
TEST(an_earlier_sending_may_have_landed)
{
    const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_STALE};
    for (unsigned i = 0; i < UNIT_COUNT(outcomes); i++) {
        struct position *p = begun();
        (void)answer(p, OUTCOME_UNKNOWN, NULL);
        commit_again(&p->commit, &p->alone->caller, LIMIT_MS);
        assert_int_equal(answer(p, outcomes[i], NULL), COMMIT_PENDING);
        assert_int_equal(p->commit.state, COMMIT_UNKNOWN);
        end(p);
    }
}

/* Whatever else an edge answers, the commit may have landed. */
TEST(every_other_outcome_is_open)
{
    const enum outcome outcomes[] = {OUTCOME_UNKNOWN, OUTCOME_MISSING, OUTCOME_BLOCKLISTED};
    for (unsigned i = 0; i < UNIT_COUNT(outcomes); i++) {
        struct position *p = begun();
        assert_int_equal(answer(p, outcomes[i], NULL), COMMIT_PENDING);
        assert_int_equal(p->commit.state, COMMIT_UNKNOWN);
        end(p);
    }
}

/* A commit read back as absent that lands late is done when a header shows its id. */
TEST(a_late_landing_is_done)
{
    struct position *p = begun();
    struct header old = old_header();
    (void)answer(p, OUTCOME_UNKNOWN, NULL);
    assert_int_equal(commit_on_header(&p->commit, &old), COMMIT_PENDING);
    struct header landed = p->commit.delta.header;
    assert_int_equal(commit_on_header(&p->commit, &landed), COMMIT_DONE);
    end(p);
}

/* An open commit that another's overtook is given up only when the version has moved. */
TEST(an_open_commit_overtaken_is_failed)
{
    struct position *p = begun();
    (void)answer(p, OUTCOME_UNKNOWN, NULL);
    struct header header = old_header();
    header.version = 12;
    assert_int_equal(commit_on_header(&p->commit, &header), COMMIT_FAILED);
    end(p);
}

/* An open commit is sent again with the same bytes. */
TEST(an_open_commit_is_sent_again_unchanged)
{
    struct position *p = begun();
    struct delta *before = malloc(sizeof(*before));
    *before = p->commit.delta;
    (void)answer(p, OUTCOME_UNKNOWN, NULL);
    unit_alone_at(p->alone, 12000);
    commit_again(&p->commit, &p->alone->caller, LIMIT_MS);
    unit_only(p->alone, ACTION_COMMIT);
    assert_memory_equal(p->alone->out.delta, before, sizeof(*before));
    assert_int_equal(p->commit.state, COMMIT_SENT);
    free(before);
    end(p);
}

/* A second commit is never begun while the first one's fate is open. */
TEST(never_two_in_flight)
{
    struct position *p = begun();
    expect_assert_failure(commit_begin(&p->commit, &p->alone->caller, LIMIT_MS));
    expect_assert_failure(commit_again(&p->commit, &p->alone->caller, LIMIT_MS));
    (void)answer(p, OUTCOME_UNKNOWN, NULL);
    expect_assert_failure(commit_begin(&p->commit, &p->alone->caller, LIMIT_MS));
    end(p);
}

/* A commit that is not fresh is never begun; only the making of the cluster needs no quorum. */
TEST(no_commit_without_freshness)
{
    struct position *p = begun();
    struct commit *commit = calloc(1, sizeof(*commit));
    commit->delta = p->commit.delta;
    p->alone->caller.valid_until_ms = p->alone->caller.now_ms;
    expect_assert_failure(commit_begin(commit, &p->alone->caller, LIMIT_MS));
    *commit = (struct commit){.create = true, .delta = p->commit.delta};
    commit_begin(commit, &p->alone->caller, LIMIT_MS);
    assert_int_equal(commit->state, COMMIT_SENT);
    free(commit);
    end(p);
}

/* A commit without an id could never be told from another's, so it is never sent. */
TEST(a_commit_has_an_id)
{
    struct position *p = begun();
    (void)answer(p, OUTCOME_DONE, NULL);
    p->commit.delta.header.commit.counter = 0;
    expect_assert_failure(commit_begin(&p->commit, &p->alone->caller, LIMIT_MS));
    end(p);
}

/* A header seen while nothing is under way settles nothing. */
TEST(an_idle_commit_has_no_verdict)
{
    struct commit *commit = calloc(1, sizeof(*commit));
    struct header header = old_header();
    assert_int_equal(commit_on_header(commit, &header), COMMIT_PENDING);
    assert_int_equal(commit->state, COMMIT_IDLE);
    free(commit);
}

/* A poll that shows our commit settles it before its own answer comes. */
TEST(a_header_settles_a_commit_under_way)
{
    struct position *p = begun();
    struct header header = p->commit.delta.header;
    assert_int_equal(commit_on_header(&p->commit, &header), COMMIT_DONE);
    assert_false(call_open(&p->commit.call));
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_bound_to_freshness),
        cmocka_unit_test(done_is_done),
        cmocka_unit_test(refused_by_own_success_is_done),
        cmocka_unit_test(anothers_first_is_failed),
        cmocka_unit_test(the_next_commit_has_its_own_fate),
        cmocka_unit_test(another_epoch_is_failed),
        cmocka_unit_test(refused_at_the_old_version_is_open),
        cmocka_unit_test(what_never_went_out_is_failed),
        cmocka_unit_test(an_earlier_sending_may_have_landed),
        cmocka_unit_test(every_other_outcome_is_open),
        cmocka_unit_test(a_late_landing_is_done),
        cmocka_unit_test(an_open_commit_overtaken_is_failed),
        cmocka_unit_test(an_open_commit_is_sent_again_unchanged),
        cmocka_unit_test(never_two_in_flight),
        cmocka_unit_test(no_commit_without_freshness),
        cmocka_unit_test(a_commit_has_an_id),
        cmocka_unit_test(an_idle_commit_has_no_verdict),
        cmocka_unit_test(a_header_settles_a_commit_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
