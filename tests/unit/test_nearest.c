/* The known word that somebody probably meant. */
#include "agent/nearest.h"
#include "tests/unit/unit.h"

static const char *const words[] = {"start", "stop", "status", "remove", "list"};

static const char *nearest(const char *word)
{
    return nearest_word(word, words, UNIT_COUNT(words));
}

/* A letter put in, left out, changed, or swapped with its neighbour is found. */
TEST(one_error)
{
    assert_string_equal(nearest("starrt"), "start");
    assert_string_equal(nearest("strt"), "start");
    assert_string_equal(nearest("stoo"), "stop");
    assert_string_equal(nearest("lsit"), "list");
    assert_string_equal(nearest("statsu"), "status");
}

/* A word that is known is its own nearest. */
TEST(no_error)
{
    for (unsigned i = 0; i < UNIT_COUNT(words); i++) {
        assert_string_equal(nearest(words[i]), words[i]);
    }
}

/* What is near to nothing is not guessed. */
TEST(nothing_near)
{
    assert_null(nearest("xyzxyz"));
    assert_null(nearest_word("start", words, 0));
}

/* A word longer than is looked at does not overrun. */
TEST(a_long_word)
{
    char word[200];
    memset(word, 's', sizeof(word));
    word[sizeof(word) - 1] = '\0';
    assert_null(nearest(word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_error),
        cmocka_unit_test(no_error),
        cmocka_unit_test(nothing_near),
        cmocka_unit_test(a_long_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
