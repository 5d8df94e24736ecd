/**
 * @file signer.h
 * @brief Links to the signer, as many as are in use at once: each is one thread's while taken.
 */
#ifndef AW_RELAY_SIGNER_H
#define AW_RELAY_SIGNER_H

#include <cjson/cJSON.h>

#include "client/signer_link.h"
#include "common/result.h"

/** Links. Locks itself. */
struct relay_signer;

/** Connects to nobody yet. `place` is borrowed. Release: relay_signer_free. */
AW_MUST_USE aw_result relay_signer_new(const struct signer_place *place, struct relay_signer **out);

/** Closes, releases, nulls; NULL is allowed. */
void relay_signer_free(struct relay_signer **slot);

/** A link of the caller's own until relay_signer_give(): one that is idle, or a new one. */
AW_MUST_USE aw_result relay_signer_take(struct relay_signer *signer, signer_link **out);

/** Gives a link back, broken or not; NULL is allowed. */
void relay_signer_give(struct relay_signer *signer, signer_link **link);

/**
 * Calls a method of org.acmeward.Relay through any link.
 * @param[out] refusal what was refused, when that is why it failed, else zero; release:
 *             signer_refusal_free
 */
AW_MUST_USE aw_result relay_signer_call(struct relay_signer *signer, const char *method,
    const char *parameters, struct signer_refusal *refusal, cJSON **reply);

#endif
