/**
 * @file answers.h
 * @brief tests/faults/answers.txt as it stands: groups of answers, rows of outcomes, exceptions.
 */
#ifndef AW_TESTS_ANSWERS_H
#define AW_TESTS_ANSWERS_H

#include <stdbool.h>

/** Limits of the table. */
enum { GROUPS_MAX = 12, CODES_MAX = 64, ROWS_MAX = 80, NAMES_MAX = 48, TEXT_MAX = 64 };

struct group {
    char name[TEXT_MAX];
    char codes[CODES_MAX][TEXT_MAX];
    unsigned count;
};

struct cell {
    char once[TEXT_MAX];
    char always[TEXT_MAX];
    bool latched;
};

struct row {
    char function[TEXT_MAX];
    char operation[TEXT_MAX];
    struct cell cells[GROUPS_MAX];
};

/* A code for which a row says otherwise than for its group. */
struct exception {
    char function[TEXT_MAX];
    char operation[TEXT_MAX];
    char code[TEXT_MAX];
    struct cell cell;
};

struct answers {
    struct group groups[GROUPS_MAX];
    unsigned group_count;
    struct row rows[ROWS_MAX];
    unsigned row_count;
    struct exception exceptions[ROWS_MAX];
    unsigned exception_count;
    char probe[NAMES_MAX][TEXT_MAX]; /* functions that only the probe calls */
    unsigned probe_count;
};
extern struct answers table;

/** A group set-up of cmocka: reads the table, and ends the test when it is not well-formed. */
int answers_read(void **state);

#endif
