/**
 * @file order_object.h
 * @brief Answers with an order, an authorization or a challenge as it is stored.
 */
#ifndef AW_RELAY_ORDER_OBJECT_H
#define AW_RELAY_ORDER_OBJECT_H

#include "relay/relay.h"
#include "relay/store.h"

/** `stored_authorization.type` of one that was born valid: nothing had to be proved. */
#define CHALLENGE_TYPE_NONE "none"

/** Whether a challenge of that type can prove that name. */
bool relay_challenge_possible(const char *type, const struct aw_name *name);

/** Whether the authorization has a challenge of that type. */
bool relay_challenge_offered(const struct stored_authorization *a, const char *type);

/** With the order, its Location, and Retry-After while it is processing. */
AW_MUST_USE aw_result relay_respond_order(
    struct relay_call *call, int status, const struct stored_order *order);

/** With an authorization of the order, by its index. */
AW_MUST_USE aw_result relay_respond_authorization(
    struct relay_call *call, const struct stored_order *order, size_t index);

/** With the challenge of that authorization and of the type that the request's path has. */
AW_MUST_USE aw_result relay_respond_challenge(
    struct relay_call *call, const struct stored_order *order, size_t index);

#endif
