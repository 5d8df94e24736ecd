/**
 * @file recording.h
 * @brief Certificates that were issued, given to the signer's inventory; again later where the
 * signer can't be reached. The client's order does not wait for it.
 */
#ifndef AW_RELAY_RECORDING_H
#define AW_RELAY_RECORDING_H

#include "client/chain.h"
#include "client/signer_link.h"
#include "relay/relay.h"

/**
 * Gives the signer a chain; a failure is told in the log.
 * @return whether there is nothing left to do: recorded, or refused for good
 */
bool relay_record(signer_link *link, const struct signer_order *order, const struct chain *chain);

/** Does that for a valid order's stored certificate that was not recorded yet, and stores it.
 * @param[out] again try once more later */
AW_MUST_USE aw_result relay_recording_run(struct relay *relay, int64_t ticket, bool *again);

#endif
