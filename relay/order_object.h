/**
 * @file order_object.h
 * @brief Answers with an order, an authorization or a challenge as it is stored.
 */
#ifndef AW_RELAY_ORDER_OBJECT_H
#define AW_RELAY_ORDER_OBJECT_H

#include "relay/relay.h"
#include "relay/store.h"

/** With the order, its Location, and Retry-After while it is processing. */
AW_MUST_USE aw_result relay_respond_order(
    struct relay_call *call, int status, const struct stored_order *order);

/** With an authorization of the order, by its index. */
AW_MUST_USE aw_result relay_respond_authorization(
    struct relay_call *call, const struct stored_order *order, size_t index);

/** With the challenge of that authorization. */
AW_MUST_USE aw_result relay_respond_challenge(
    struct relay_call *call, const struct stored_order *order, size_t index);

#endif
