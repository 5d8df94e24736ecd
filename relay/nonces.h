/**
 * @file nonces.h
 * @brief Nonces for clients (RFC 8555 6.5): made by the signer, fetched ahead in batches, each
 * given out once and taken back once.
 *
 * Only what this process gave out and nobody used yet is good: that is the set of the used ones
 * turned round, so nothing grows. Nonces of answers to signed requests are remembered apart from
 * those that anybody can ask for (new-nonce), so that a flood of the latter takes none of the
 * former away.
 */
#ifndef AW_RELAY_NONCES_H
#define AW_RELAY_NONCES_H

#include <stdbool.h>

#include "relay/message.h"
#include "relay/signer.h"

/** Limits. */
enum {
    RELAY_NONCES_BATCH = 256,     /**< nonces that are fetched at once */
    RELAY_NONCES_DROP_MS = 1000,  /**< between two times that the stock is dropped */
    RELAY_NONCES_LOW = 128,       /**< fewer than that in stock: more are fetched ahead */
    RELAY_NONCES_PAUSE_MS = 1000, /**< after a failure the signer is left alone for that long */
    RELAY_NONCES_GIVEN =
        16384, /**< given out and not used, of each kind; older ones are forgotten */
};

/** Whom a nonce is for. */
enum relay_nonce_kind {
    RELAY_NONCE_ASKED,  /**< whoever asked */
    RELAY_NONCE_SIGNED, /**< an account whose signature was good */
    RELAY_NONCE_KINDS
};

/** Stock and memory. Locks itself. */
struct relay_nonces;

/** Makes it empty: the first relay_nonces_give() waits for the signer. */
AW_MUST_USE aw_result relay_nonces_new(struct relay_nonces **out);

/** Releases and nulls; NULL is allowed. */
void relay_nonces_free(struct relay_nonces **slot);

/** True when there is one in stock, so that relay_nonces_give() asks nobody. */
bool relay_nonces_ready(struct relay_nonces *nonces);

/** True when more should be fetched ahead; said once until that was done. */
bool relay_nonces_low(struct relay_nonces *nonces);

/** Fetches a batch; waits for the signer. */
AW_MUST_USE aw_result relay_nonces_fetch(struct relay_nonces *nonces, struct relay_signer *signer);

/** Gives one out; fetches when there is none in stock (`signer` NULL: fails instead). */
AW_MUST_USE aw_result relay_nonces_give(struct relay_nonces *nonces, struct relay_signer *signer,
    enum relay_nonce_kind kind, char out[RELAY_NONCE_SIZE]);

/**
 * The signer refused one that was good here: it was started anew, and knows none of those in stock.
 * They are dropped, at most once in RELAY_NONCES_DROP_MS, so that nobody who has old ones at hand
 * keeps the signer making others.
 */
void relay_nonces_drop(struct relay_nonces *nonces);

/** Takes one back: true once for each that was given out and is not too old. */
bool relay_nonces_use(struct relay_nonces *nonces, const char *nonce);

#endif
