/**
 * @file app_eab.h
 * @brief Keys of app-EABs: derived of one key in the token, and stored nowhere.
 *
 * An app-EAB is what an inner client of a relay is bound to its application with (RFC 8555 7.3.4):
 * a key identifier and an HMAC key. The key is HMAC-SHA256 by the relay key, which was made in the
 * token and never leaves it, over
 *
 *     "acmeward app-eab v1\n" KID "\n" APPLICATION "\n"
 *
 * So it is worth one application and one identifier, and there is nothing to steal but the relay
 * key. It is in the signer's memory while it is shown or an account is bound with it.
 */
#ifndef AW_SIGNER_APP_EAB_H
#define AW_SIGNER_APP_EAB_H

#include "common/result.h"
#include "common/secret.h"
#include "signer/core.h"
#include "signer/ledger_app_eabs.h"

/** Octets of a key: what HS256 has (RFC 7518 3.2). */
enum { APP_EAB_KEY_SIZE = 32 };

/** Digits of the relay key's check value, without NUL. */
enum { APP_EAB_CHECK_SIZE = 32 };

/** CKA_LABEL of the relay key. */
#define APP_EAB_RELAY_KEY "acmeward-relay-key"

/** A new key identifier: "app-" and 128 random bits. */
AW_MUST_USE aw_result app_eab_kid_new(struct core *core, char out[LEDGER_KID_SIZE + 1]);

/** True for what app_eab_kid_new makes. */
bool app_eab_kid_ok(const char *kid);

/**
 * Derives a key, in the token. Whether there is such an app-EAB is the ledger's to say.
 * @param out of a capacity of APP_EAB_KEY_SIZE; what was in it is wiped
 * @return AW_CODE_TOKEN_KEY_MISSING without a relay key; AW_CODE_SYNTAX for what is no identifier
 */
AW_MUST_USE aw_result app_eab_key(
    struct core *core, const char *kid, const char *application, aw_secret *out);

/** A value by which the relay key is known again, after the token was restored: 128 bits of a MAC
 * over a text that no identifier is in, hex. AW_CODE_TOKEN_KEY_MISSING. */
AW_MUST_USE aw_result app_eab_check_value(struct core *core, char out[APP_EAB_CHECK_SIZE + 1]);

#endif
