/**
 * @file held_keys.h
 * @brief The public keys that are in the token, whoever put them there: none of them may become a
 * certificate's key, whose owner is an application's host and not the token.
 *
 * The token is searched when the signer starts, at each reload and when an account key is made;
 * requests look into that memory. What another program puts into the token is seen at the next
 * reload.
 */
#ifndef AW_SIGNER_HELD_KEYS_H
#define AW_SIGNER_HELD_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/hex.h"
#include "common/result.h"
#include "signer/core.h"

/** Searches the token anew; after a failure what was found before stays. Token's failures. */
AW_MUST_USE aw_result held_keys_refresh(struct core *core);

/** The same where the caller's work is done already: a failure is logged. */
void held_keys_refresh_late(struct core *core);

/** True when the SubjectPublicKeyInfo of that SHA-256 is one of the token's. */
bool held_keys_has(struct core *core, const uint8_t digest[AW_DIGEST_SIZE]);

#endif
