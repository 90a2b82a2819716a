/* Reading a scenario word by word, with the place of each for the messages. */
#ifndef STEAD_TESTS_SIM_WORDS_H
#define STEAD_TESTS_SIM_WORDS_H

#include "proto/settings.h"
#include "tests/sim/sim_scenario.h"

#define WORDS_MAX 64

struct word {
    char text[SIM_LINE_BYTES];
    uint32_t column; /* from 1 */
};

/* One file being read. `next` is the word to be read next; errors end their line. */
struct words {
    const char *file;
    FILE *errors;
    uint32_t line;
    uint32_t error_count;
    bool failed; /* this line */
    uint32_t count;
    uint32_t next;
    struct word list[WORDS_MAX];
    char source[SIM_LINE_BYTES]; /* the line without comment and outer blanks */
    uint32_t end_column;
    struct scenario *story;
    bool has_cluster;
    bool begun; /* the first `at` was seen: the setup is over */
    bool has_run;
    uint64_t at_us; /* of the last `at` */
};

/* Splits a line. False when nothing is on it. */
bool words_split(struct words *words, const char *line, size_t length);

/* Says what is wrong with word `index` (or with the end of the line); the line is done with. */
void words_error(struct words *words, uint32_t index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ": a, b or c"; of a list that is too long, its beginning. */
const char *words_list(const char *const *known, size_t count, char ret_list[SIM_LINE_BYTES]);

/* An unknown word: "unknown WHAT 'x', did you mean 'y'?", or all that is known; without any, that
 * it is one word too many. */
void words_unknown(struct words *words, uint32_t index, const char *what, const char *const *known,
                   size_t known_count);

/* What the language has, but not yet: never silently taken, never called unknown. */
bool words_not_yet(const char *word);

/* The next word, or NULL after an error that says `what` was expected. */
const char *words_take(struct words *words, const char *what);
bool words_more(const struct words *words);
/* Takes the next word if it is this one. */
bool words_take_if(struct words *words, const char *text);
/* The next word must be this one. */
bool words_expect(struct words *words, const char *text);
/* Nothing may follow. */
void words_end(struct words *words);

/* The index of the next word in `known`; an error and -1 if it is none of them. */
int words_choice(struct words *words, const char *what, const char *const *known, size_t count);

/* If the next word is KEY=VALUE: the index of the key in `keys` (or -1 and an error), its value in
 * *ret_value. The word is taken. */
int words_key(struct words *words, const char *const *keys, size_t count, const char **ret_value);

/* Values, of the word just taken; false after an error. */
bool words_time(struct words *words, const char *text, uint64_t *ret_us);
bool words_size(struct words *words, const char *text, uint32_t *ret_mib);
bool words_number(struct words *words, const char *text, uint64_t max, uint64_t *ret);
bool words_percent(struct words *words, const char *text, uint32_t *ret_percent);
bool words_yes(struct words *words, const char *text, const char *yes, const char *no, bool *ret);
bool words_node(struct words *words, const char *text, uint32_t *ret_node);
bool words_nodes(struct words *words, const char *text, char separator, uint64_t *ret_mask);
bool words_vm(struct words *words, const char *text, uint32_t *ret_vm);
bool words_name(struct words *words, const char *text, char ret_name[NAME_BYTES]);
bool words_setting(struct words *words, const struct setting *setting, const char *text,
                   uint32_t *ret_value);
bool words_proofs(struct words *words, const char *text, uint32_t *ret_mask);

/* The statements: sim_parse.c, sim_parse_at.c, sim_parse_expect.c. */
void parse_vm_keys(struct words *words, struct scenario_vm *vm);
struct scenario_vm *parse_vm_place(struct words *words);
bool parse_bmc(struct words *words, const char *text, enum sim_bmc *ret_bmc, uint64_t *ret_slow_us);
void parse_at(struct words *words);
void parse_expect(struct words *words);
/* sim_parse_class.c: the statement `class`, and what follows `do class` and `do vm class` */
void parse_class(struct words *words);
void parse_do_class(struct words *words, struct scenario_step *step);
void parse_do_vm_class(struct words *words, struct scenario_step *step);
/* The class of this name, by its slot. */
bool words_class(struct words *words, const char *text, uint32_t *ret_slot);
void words_priority(struct words *words, const char *text, int32_t *ret_priority);
/* sim_parse_guest.c: what follows `guest`, `hand` and `pool`. */
void parse_guest(struct words *words, struct scenario_step *step);
void parse_hand(struct words *words, struct scenario_step *step);
void parse_pool(struct words *words, struct scenario_step *step);
void parse_cut(struct words *words, struct scenario_step *step);
void parse_mend(struct words *words, struct scenario_step *step);
void parse_clock(struct words *words, struct scenario_step *step);
void parse_lease(struct words *words, struct scenario_step *step);
void parse_version(struct words *words, struct scenario_step *step);
void parse_tmpfs(struct words *words, struct scenario_step *step);
void parse_set(struct words *words, struct scenario_step *step);
void parse_blocklist(struct words *words, struct scenario_step *step);
void parse_monitors(struct words *words, struct scenario_step *step);
void parse_messages(struct words *words, struct scenario_step *step);
void parse_qdevice(struct words *words, struct scenario_step *step);

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
