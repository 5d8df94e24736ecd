/**
 * @file reference.h
 * @brief The decision once more, for comparison: no index, no hashes, only lists that are searched
 * from begin to end.
 */
#ifndef AW_TEST_POLICY_REFERENCE_H
#define AW_TEST_POLICY_REFERENCE_H

#include "world.h"

/** Names that a request to the reference may have. */
enum { REFERENCE_NAMES_MAX = 3 };

/** What the decision must be. */
struct expectation {
    bool allowed;
    bool warned;
    enum policy_rule rule;
};

/** Decides for the application of number `a`. */
struct expectation
reference(const struct world *w, int a, const struct policy_request *q, int64_t now);

#endif
