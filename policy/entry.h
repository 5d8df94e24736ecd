/**
 * @file entry.h
 * @brief What is read from one file becomes claims of a draft: names are checked, principals are
 * resolved.
 */
#ifndef AW_POLICY_ENTRY_H
#define AW_POLICY_ENTRY_H

#include <libpsl.h>

#include "policy/draft.h"
#include "policy/file.h"

/** What checking needs from outside. */
struct checker {
    struct draft *draft;
    const psl_ctx_t *suffixes; /**< the public suffix list */
    const struct policy_resolver *resolver;
    bool working_copy; /**< owners and modes of files do not matter */
};

/** Adds the application of a file; faults are added for what it may not say. */
AW_MUST_USE aw_result policy_entry_add(
    const struct checker *checker, const struct policy_file *file);

#endif
