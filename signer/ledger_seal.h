/**
 * @file ledger_seal.h
 * @brief What the ledger's database was like when it was closed: the SHA-256 of its file, in a file
 * beside it.
 *
 * A file that is what SQLite closed needs no look at each of its rows, which takes eight times as
 * long; and one octet that changed since is noticed, in a value too, where SQLite's integrity check
 * sees nothing. A seal is there only while nobody uses the database: it is removed before that is
 * opened, so what a process left that did not end in order has none, and is looked at row by row.
 */
#ifndef AW_SIGNER_LEDGER_SEAL_H
#define AW_SIGNER_LEDGER_SEAL_H

#include <stdbool.h>

#include "common/result.h"

/**
 * Looks whether the database at `path`, which is not open, is as it was sealed, and then breaks the
 * seal, durably.
 * @param whole false too when there is no seal, or one that says nothing: a write-ahead log is
 * there
 * @return AW_CODE_CORRUPT when the file is another, and the seal stays
 */
AW_MUST_USE aw_result ledger_seal_break(const char *path, bool *whole);

/** Seals the database at `path`, which was closed in order. */
AW_MUST_USE aw_result ledger_seal_make(const char *path);

#endif
