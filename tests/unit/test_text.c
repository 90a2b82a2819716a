/* One bounded line of text. */
#include "proto/text.h"
#include "tests/unit/unit.h"

/* Words and numbers follow one another. */
TEST(words_and_numbers)
{
    struct text text = {0};
    text_add_u64(text_add(&text, "term "), 42);
    text_add_incarnation(text_add(&text, ", life "), (struct incarnation){1, 7});
    assert_string_equal(text.bytes, "term 42, life 1.7");
}

/* Numbers are whole, from the smallest to the largest. */
TEST(the_ends_of_numbers)
{
    struct text text = {0};
    text_add_u64(&text, 0);
    text_add_u64(text_add(&text, " "), UINT64_MAX);
    assert_string_equal(text.bytes, "0 18446744073709551615");
}

/* What does not fit is cut, never overrun. */
TEST(too_much_is_cut)
{
    struct text text = {0};
    for (unsigned i = 0; i < 100; i++) {
        text_add(&text, "0123456789");
    }
    assert_int_equal(text.length, TEXT_BYTES - 1);
    assert_int_equal(strlen(text.bytes), TEXT_BYTES - 1);
    text_add_u64(&text, 7);
    assert_int_equal(text.length, TEXT_BYTES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_numbers),
        cmocka_unit_test(the_ends_of_numbers),
        cmocka_unit_test(too_much_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
