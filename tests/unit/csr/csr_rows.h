/**
 * @file csr_rows.h
 * @brief Rows of a table of CSRs: each differs from a good one in one part.
 */
#ifndef AW_TEST_CSR_ROWS_H
#define AW_TEST_CSR_ROWS_H

#include "csr_builder.h"

/**
 * Parses a CSR and compares the rule that refused with the expectation ("" is acceptance); prints
 * the row's name when it differs.
 */
bool verdict_is(const char *name, octets der, const char *expected);

/** Where a row's octets go. */
enum slot {
    SUBJECT,
    NAMES,
    MORE_EXTENSIONS,
    EXTENSIONS,
    ATTRIBUTES,
    WHOLE_ATTRIBUTES,
    VERSION,
    MORE_INFO,
    KEY_INFO,
    ALGORITHM,
    SIGNATURE,
};

/** A good CSR but for that part. */
octets row_csr(enum slot slot, octets part);

/** A row. */
struct row {
    const char *name;
    enum slot slot;
    octets (*part)(void);
    const char *rule;
};

/** Defines a function that builds a row's part. */
#define PART(name, value)    \
    static octets name(void) \
    {                        \
        return value;        \
    }

/** Checks every row; the test fails after the last. */
void check_rows(const struct row *rows, size_t count);

/** Ends of a test and of a group of tests. */
int csr_reset(void **state);
int csr_end(void **state);

#endif
