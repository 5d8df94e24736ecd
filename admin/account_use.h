/**
 * @file account_use.h
 * @brief When an account's key signed last, by the audit log's files. No signer, no token.
 */
#ifndef AW_ADMIN_ACCOUNT_USE_H
#define AW_ADMIN_ACCOUNT_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

/** The last use. */
struct admin_account_use {
    int64_t seq; /**< of its record; 0: none in the segments at hand */
    int64_t time;
    char operation[64];
    char application[65]; /**< empty: an administrator's */
    bool partial;         /**< segments are archived that were not looked at */
};

/** Reads the segments from the last one back, until one has a record of a signature. */
AW_MUST_USE aw_result admin_account_use_find(
    const char *folder, const char *account, struct admin_account_use *out);

#endif
