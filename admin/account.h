/**
 * @file account.h
 * @brief What the commands on accounts share.
 */
#ifndef AW_ADMIN_ACCOUNT_H
#define AW_ADMIN_ACCOUNT_H

#include "admin/admin_cli.h"

/** Prints an Account for a person. */
void admin_account_print(const cJSON *account);

/** Writes {"account": name}. */
void admin_account_write_name(const char *name, struct aw_json_writer *w);

/** The Account of that name; points into *reply, which the caller releases. AW_CODE_NOT_FOUND. */
AW_MUST_USE aw_result admin_account_find(
    const struct admin_options *options, const char *name, cJSON **reply, const cJSON **out);

#endif
