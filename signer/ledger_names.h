/**
 * @file ledger_names.h
 * @brief A set of names as one text: sorted, a space between two; equal sets are equal texts.
 */
#ifndef AW_SIGNER_LEDGER_NAMES_H
#define AW_SIGNER_LEDGER_NAMES_H

#include <stddef.h>

#include "common/names.h"
#include "common/result.h"

/** Of canonical texts. Allocated. */
AW_MUST_USE aw_result ledger_names_text(const char *const *names, size_t count, char **out);

/** Of names. Allocated. */
AW_MUST_USE aw_result ledger_names_of(const struct aw_name *names, size_t count, char **out);

#endif
