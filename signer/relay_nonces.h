/**
 * @file relay_nonces.h
 * @brief Nonces that relays give to their clients (RFC 8555 6.5): made here, checked here, each
 * good for one evidence.
 *
 * A nonce is a serial number, the time it was made and a MAC over both and the relay's base URL.
 * The MAC's key is random and in this process's memory alone, so that a restart ends all nonces.
 * Which ones are used is a bit each, in a window of the last ones for each base URL: memory is
 * bounded, and a relay that asks for too many ends its own older ones and nobody else's.
 * Thread-safe.
 */
#ifndef AW_SIGNER_RELAY_NONCES_H
#define AW_SIGNER_RELAY_NONCES_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Limits. */
enum {
    RELAY_NONCE_LIFETIME = 3600,      /**< seconds */
    RELAY_NONCE_WINDOW = 1024 * 1024, /**< last nonces of a base URL that can be used */
    RELAY_NONCE_BASES_MAX = 64,       /**< base URLs; of more, the one asked for longest ago ends */
    RELAY_NONCE_SIZE = 44 + 1,        /**< characters of a nonce, with NUL */
};

/** All relays' nonces. */
typedef struct relay_nonces relay_nonces;

/** Makes one, with a new key. `window`: RELAY_NONCE_WINDOW, or another multiple of 8. Release:
 * relay_nonces_free. */
AW_MUST_USE aw_result relay_nonces_new(size_t window, relay_nonces **out);

/** Releases and nulls; NULL is allowed. */
void relay_nonces_free(relay_nonces **slot);

/** Makes nonces for a relay's clients. `now`: aw_now_ms(). */
AW_MUST_USE aw_result relay_nonces_make(
    relay_nonces *self, const char *base, int64_t now, char (*out)[RELAY_NONCE_SIZE], size_t count);

/** What a nonce is worth. */
enum relay_nonce {
    RELAY_NONCE_GOOD,    /**< and used from now on */
    RELAY_NONCE_UNKNOWN, /**< none of ours, of another relay, or from before a restart */
    RELAY_NONCE_OLD,     /**< made too long ago, or too many ago */
    RELAY_NONCE_USED,
};

/** Uses a nonce. */
AW_MUST_USE aw_result relay_nonces_use(
    relay_nonces *self, const char *base, const char *nonce, int64_t now, enum relay_nonce *out);

/** Gives back a nonce that was used just now for what came to nothing. */
void relay_nonces_give_back(relay_nonces *self, const char *base, const char *nonce);

#endif
