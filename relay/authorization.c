/* Authorizations (RFC 8555 7.5) and their challenges (7.5.1). */
#include <string.h>

#include "relay/handlers.h"
#include "relay/order_object.h"
#include "relay/payload.h"
#include "relay/work.h"

static size_t
index_of(const struct stored_order *order, const struct stored_authorization *a)
{
    return (size_t)(a - order->authorizations);
}

/* RFC 8555 7.5.2. Of an order that was finalized nothing is taken back. */
static aw_result
deactivate(struct relay_call *call, struct stored_order *order, struct stored_authorization *a)
{
    static const char problem[] =
        "{\"type\":\"urn:ietf:params:acme:error:unauthorized\",\"status\":403,\"detail\":\"an "
        "authorization of the order was deactivated\"}";
    const struct authorization_step step = {.ticket = order->ticket,
        .number = index_of(order, a) + 1,
        .from = a->state,
        .to = AUTHORIZATION_DEACTIVATED,
        .challenge_from = a->challenge,
        .challenge_to = a->challenge,
        .validated = a->validated,
        .problem = a->problem,
        .order_problem = problem};
    bool moved = false;

    if (a->state != AUTHORIZATION_PENDING && a->state != AUTHORIZATION_VALID)
        return relay_problem_fail(&call->problem, RELAY_MALFORMED, "the authorization is %s",
            authorization_state_name(a->state));
    AW_TRY(relay_store_authorization_move(call->relay->store, &step, &moved));
    if (!moved) /* it was validated, or deactivated, meanwhile */
        return aw_fail(AW_CODE_BUSY, "authorization %zu of order %lld is in another state by now",
            step.number, (long long)order->ticket);
    a->state = AUTHORIZATION_DEACTIVATED;
    return relay_respond_authorization(call, order, index_of(order, a));
}

aw_result
relay_post_authorization(struct relay_call *call)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    struct stored_authorization *a = NULL;
    const char *status;

    AW_TRY(relay_own_authorization(call, &order, &a));
    if (call->payload == NULL)
        return relay_respond_authorization(call, &order, index_of(&order, a));
    AW_TRY(relay_payload_check(call, aw_json_string(call->payload, "status", 32, &status)));
    if (strcmp(status, "deactivated") == 0)
        return deactivate(call, &order, a);
    return relay_problem_fail(&call->problem, RELAY_MALFORMED,
        "an authorization's status can be set to \"deactivated\" only");
}

/* Durable before it is begun, so that it is gone on with after a kill. */
static aw_result
begin(struct relay_call *call, struct stored_order *order, struct stored_authorization *a)
{
    const struct authorization_step step = {.ticket = order->ticket,
        .number = index_of(order, a) + 1,
        .from = AUTHORIZATION_PENDING,
        .to = AUTHORIZATION_PENDING,
        .challenge_from = CHALLENGE_PENDING,
        .challenge_to = CHALLENGE_PROCESSING};
    bool moved = false;

    if (a->state != AUTHORIZATION_PENDING || a->challenge != CHALLENGE_PENDING)
        return AW_OK; /* answered before */
    if (relay_now() >= order->expires)
        return relay_problem_fail(
            &call->problem, RELAY_MALFORMED, "the order expired: make a new one");
    AW_TRY(relay_store_authorization_move(call->relay->store, &step, &moved));
    if (moved)
        AW_TRY(relay_work_validate(call->relay->work, order, step.number));
    a->challenge = CHALLENGE_PROCESSING;
    return AW_OK;
}

aw_result
relay_post_challenge(struct relay_call *call)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    struct stored_authorization *a = NULL;

    AW_TRY(relay_own_authorization(call, &order, &a));
    if (!relay_challenge_offered(a, call->match.word))
        return relay_problem_status(relay_problem_fail(&call->problem, RELAY_MALFORMED,
                                        "the authorization has no challenge %s", call->match.word),
            &call->problem, 404);
    if (call->payload != NULL)
        AW_TRY(begin(call, &order, a));
    return relay_respond_challenge(call, &order, index_of(&order, a));
}
