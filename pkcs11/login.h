/**
 * @file login.h
 * @brief Login with the latch, and the PIN's file.
 *
 * A marker file is written durably before C_Login. It is removed after a success, and after an
 * answer that by its definition comes before the PIN is looked at; while it is there nobody logs
 * in. So a wrong PIN costs one try, however often the service
 * manager starts us again.
 */
#ifndef AW_PKCS11_LOGIN_H
#define AW_PKCS11_LOGIN_H

#include <sys/types.h>
#include <time.h>

#include "common/result.h"
#include "common/secret.h"
#include "pkcs11/token.h"

/** Permission bits that the PIN's file at this path must not have. */
mode_t token_pin_forbidden(const char *path);

/** Checks mode and owner of the PIN's file. AW_CODE_TOKEN_PIN. */
AW_MUST_USE aw_result token_pin_check(const char *path);

/**
 * Sees to it that the user is logged in: asks the token, and if not, logs in once. Threads wait for
 * each other. AW_CODE_TOKEN_PIN when there is no login to be had.
 */
AW_MUST_USE aw_result token_login(token *t);

/** The same with a deadline for the wait; a login itself may take longer. AW_CODE_BUSY. */
AW_MUST_USE aw_result token_login_by(token *t, const struct timespec *deadline);

#endif
