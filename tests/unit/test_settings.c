/* The table of settings: every row is sound, and nothing that is read or kept leaves its range. */
#include "proto/settings.h"
#include "tests/unit/unit.h"

static const struct setting *row(const char *name)
{
    const struct setting *setting = settings_find(name);
    assert_non_null(setting);
    return setting;
}

/* Each row has a name, a number and a field of its own, and a line of help that fits one. */
TEST(rows_are_sound)
{
    uint32_t count = 0;
    const struct setting *table = settings_table(&count);
    assert_true(count <= SETTINGS_MAX);
    assert_int_equal(count * sizeof(uint32_t), sizeof(struct settings)); /* none without a row */
    for (uint32_t i = 0; i < count; i++) {
        assert_true(table[i].slot < SETTINGS_MAX);
        assert_true(strlen(table[i].help) > 10 && strlen(table[i].help) < 80);
        assert_true(settings_find(table[i].name) == &table[i]);
        assert_true(settings_find_slot(table[i].slot) == &table[i]);
        for (uint32_t j = 0; j < i; j++) {
            assert_int_not_equal(table[i].offset, table[j].offset);
        }
        if (table[i].kind == SETTING_MS) {
            assert_true(strstr(table[i].name, "_ms") != NULL);
        }
    }
    assert_null(settings_find("no_such"));
    assert_null(settings_find_slot(SETTINGS_MAX - 1));
}

/* Each default, and each bound, is a value that its own row reads back as it writes it. */
TEST(what_is_written_is_read_back)
{
    uint32_t count = 0;
    const struct setting *table = settings_table(&count);
    for (uint32_t i = 0; i < count; i++) {
        bool number = table[i].kind == SETTING_MS || table[i].kind == SETTING_NUMBER;
        const uint32_t values[] = {table[i].standard, number ? table[i].least : 1,
                                   number ? table[i].most : 1};
        for (unsigned v = 0; v < UNIT_COUNT(values); v++) {
            struct text text = {0};
            struct text why;
            uint32_t value = 0;
            setting_add_value(&text, &table[i], values[v]);
            if (!setting_parse(&table[i], text.bytes, &value, &why)) {
                fail_msg("%s", why.bytes);
            }
            assert_int_equal(value, values[v]);
        }
        if (number) {
            assert_true(table[i].least <= table[i].standard && table[i].standard <= table[i].most);
        }
    }
}

/* The defaults go together. */
TEST(defaults_agree)
{
    struct settings settings = settings_default();
    struct text why;
    assert_true(settings_agree(&settings, &why));
}

static void check_reads(const char *name, const char *words, uint32_t value)
{
    struct text why;
    uint32_t read = 0;
    if (!setting_parse(row(name), words, &read, &why)) {
        fail_msg("%s", why.bytes);
    }
    assert_int_equal(read, value);
}

static void check_refuses(const char *name, const char *words, const char *sentence)
{
    struct text why;
    uint32_t read = 77;
    if (setting_parse(row(name), words, &read, &why)) {
        fail_msg("%s took '%s' for %u", name, words, read);
    }
    assert_int_equal(read, 77);
    assert_string_equal(why.bytes, sentence);
}

/* Durations as people write them; what is none, or out of range, is told the range. */
TEST(durations)
{
    check_reads("fresh_ms", "500ms", 500);
    check_reads("fresh_ms", "500", 500);
    check_reads("fresh_ms", "2s", 2000);
    check_reads("fresh_ms", "1.5s", 1500);
    check_reads("start_ms", "2m", 120000);
    check_reads("start_ms", "0.5m", 30000);
    const char *const bad[] = {"",       "s",    "2 s",   "-1s",        "1h",      "1.5",
                               "0.25ms", "200x", "199ms", "10001ms",    "1.0005s", "99999999999s",
                               "2ss",    "+2s",  "1.",    "4294968296", "0x200ms", "2S"};
    for (unsigned i = 0; i < UNIT_COUNT(bad); i++) {
        char sentence[TEXT_BYTES];
        snprintf(sentence, sizeof(sentence), "fresh_ms wants a time from 200ms to 10s, not '%s'",
                 bad[i]);
        check_refuses("fresh_ms", bad[i], sentence);
    }
}

/* Lists of words; at least one, each known. */
TEST(words)
{
    check_reads("proof", "storage", PROOF_STORAGE);
    check_reads("proof", "power,storage", PROOF_STORAGE | PROOF_POWER);
    check_reads("proof", "operator,operator", PROOF_OPERATOR);
    const char *const bad[] = {"", ",", "power,", ",power", "powe", "power storage", "Power"};
    for (unsigned i = 0; i < UNIT_COUNT(bad); i++) {
        char sentence[TEXT_BYTES];
        snprintf(sentence, sizeof(sentence),
                 "proof wants one or more, with commas between, of "
                 "storage,power,reborn,clean,operator,watchdog, not '%s'",
                 bad[i]);
        check_refuses("proof", bad[i], sentence);
    }
}

/* Each rule between two settings refuses its breach with what would mend it, and takes the mend. */
TEST(what_does_not_go_together)
{
    static const struct {
        const char *larger;
        uint32_t value;
        const char *sentence;
    } breaches[] = {
        {"fresh_ms", 399, "set fresh_ms to 400ms or more, or beat_ms to 199ms or less"},
        {"able_ms", 999, "set able_ms to 1s or more, or poll_ms to 499ms or less"},
        {"able_ms", 399, "set able_ms to 400ms or more, or beat_ms to 199ms or less"},
        {"start_ms", 4999, "set start_ms to 5s or more, or call_ms to 4999ms or less"},
    };
    for (unsigned i = 0; i < UNIT_COUNT(breaches); i++) {
        struct settings settings = settings_default();
        struct text why;
        settings.poll_ms = i == 2 ? 100 : settings.poll_ms;
        setting_put(row(breaches[i].larger), &settings, breaches[i].value);
        assert_false(settings_agree(&settings, &why));
        if (strstr(why.bytes, breaches[i].sentence) == NULL) {
            fail_msg("it says \"%s\"", why.bytes);
        }
        setting_put(row(breaches[i].larger), &settings, breaches[i].value + 1);
        assert_true(settings_agree(&settings, &why));
    }
}

/* What another release set is never handed out beyond what this one knows: nearest bound for a
 * number, nothing for an unknown proof; and a record of an unknown setting harms nothing. */
TEST(foreign_values_are_tamed)
{
    struct setting_record set[SETTINGS_MAX] = {{0}};
    set[row("beat_ms")->slot] = (struct setting_record){.set_ms = 1, .given = true};
    set[row("fresh_ms")->slot] =
        (struct setting_record){.set_ms = 1, .given = true, .value = UINT32_MAX};
    set[row("proof")->slot] = (struct setting_record){.set_ms = 1, .given = true, .value = 64 + 2};
    set[row("call_ms")->slot] = (struct setting_record){.set_ms = 1, .value = 777};
    set[SETTINGS_MAX - 1] = (struct setting_record){.set_ms = 1, .given = true, .value = 5};
    struct settings settings = settings_in_force(set);
    assert_int_equal(settings.beat_ms, 50);
    assert_int_equal(settings.fresh_ms, 10000);
    assert_int_equal(settings.proof, PROOF_POWER);
    assert_int_equal(settings.call_ms, 5000); /* put back to the default */
    set[row("proof")->slot].value = 64;
    assert_int_equal(settings_in_force(set).proof, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(defaults_agree),
        cmocka_unit_test(durations),
        cmocka_unit_test(words),
        cmocka_unit_test(what_does_not_go_together),
        cmocka_unit_test(foreign_values_are_tamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
