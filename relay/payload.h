/**
 * @file payload.h
 * @brief What handlers ask of payloads and of who asks.
 */
#ifndef AW_RELAY_PAYLOAD_H
#define AW_RELAY_PAYLOAD_H

#include "relay/relay.h"
#include "relay/store.h"

/** Text of a client that does not parse is the client's fault (malformed); all else stays. */
AW_MUST_USE aw_result relay_payload_check(struct relay_call *call, aw_result r);

/** Refuses (unauthorized) a path with another account's number than that of who signed. */
AW_MUST_USE aw_result relay_own_account(struct relay_call *call);

/** Reads the order that the path names, if it is of the account that signed: else 404 malformed, or
 * unauthorized (attack: another account's order). */
AW_MUST_USE aw_result relay_own_order(struct relay_call *call, struct stored_order *out);

/** Likewise the authorization whose number is the path's second; `out` points into `order`. */
AW_MUST_USE aw_result relay_own_authorization(
    struct relay_call *call, struct stored_order *order, struct stored_authorization **out);

/** Reads an identifier of a payload (RFC 8555 9.7.7): malformed, unsupportedIdentifier, or
 * rejectedIdentifier. */
AW_MUST_USE aw_result relay_read_identifier(
    struct relay_call *call, const cJSON *identifier, struct aw_name *out);

/** A problem as JSON text, for the store. */
AW_MUST_USE aw_result relay_problem_text(const struct relay_problem *problem, char **out);

/** Seconds since the epoch. */
int64_t relay_now(void);

#endif
