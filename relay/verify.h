/**
 * @file verify.h
 * @brief What must hold of a POST before a handler sees it (RFC 8555 6.2 to 6.5): media type, JWS,
 * URL, nonce, account, signature.
 */
#ifndef AW_RELAY_VERIFY_H
#define AW_RELAY_VERIFY_H

#include "relay/relay.h"

/** Fills body, parts, jws, account and payload of the call; or fails with its problem. */
AW_MUST_USE aw_result relay_verify(struct relay_call *call);

/** Releases what relay_verify() filled, after a failure too. */
void relay_verify_free(struct relay_call *call);

#endif
