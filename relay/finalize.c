/* Finalize (RFC 8555 7.4): what the client signed is stored, the work goes on behind it. */
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "relay/evidence.h"
#include "relay/handlers.h"
#include "relay/order_object.h"
#include "relay/payload.h"
#include "relay/work.h"

static aw_result
not_ready(struct relay_call *call, const struct stored_order *order)
{
    return relay_problem_fail(&call->problem, RELAY_ORDER_NOT_READY, "the order is %s, not ready",
        relay_now() >= order->expires && order->state == ORDER_READY
            ? "expired"
            : order_state_name(order->state));
}

/* How the names were proved: by the policy's way, or not at all. */
static const char *
validated(const struct relay_call *call)
{
    return strcmp(call->account->validation, "none") == 0 ? NULL : call->account->validation;
}

/* An authorization that was proved another way than the policy asks for now counts no more. */
static aw_result
check_proofs(struct relay_call *call, const struct stored_order *order)
{
    const char *type = validated(call);

    for (size_t i = 0; type != NULL && i < order->authorization_count; i++)
        if (strcmp(order->authorizations[i].type, type) != 0)
            return relay_problem_fail(&call->problem, RELAY_UNAUTHORIZED,
                "the policy asks for a proof by %s now: make a new order", type);
    return AW_OK;
}

static aw_result
begin(struct relay_call *call, const struct stored_order *order)
{
    AW_CLEANUP(aw_free) char *evidence = NULL;
    bool moved = false;

    if (order->state != ORDER_READY || relay_now() >= order->expires)
        return not_ready(call, order);
    AW_TRY(check_proofs(call, order));
    AW_TRY(relay_evidence_write(call, validated(call), &evidence));
    const struct order_step step = {
        .ticket = order->ticket, .from = ORDER_READY, .to = ORDER_PROCESSING, .evidence = evidence};
    AW_TRY(relay_store_order_move(call->relay->store, &step, &moved));
    return moved ? AW_OK : not_ready(call, order);
}

/* What is inside is the signer's to judge; what can't even be handed to it would stay processing.
 */
static aw_result
check_csr(struct relay_call *call)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    const char *csr;
    size_t size = 0;

    AW_TRY(relay_payload_check(call, aw_json_string(call->payload, "csr", RELAY_BODY_MAX, &csr)));
    aw_result r = aw_b64url_decode_new(csr, strlen(csr), &der, &size);
    if (r.code != AW_CODE_SYNTAX)
        return r;
    return relay_problem_fail(&call->problem, RELAY_BAD_CSR,
        "csr: expected the DER of a PKCS#10 request in base64url without padding (RFC 8555 7.4)");
}

aw_result
relay_post_finalize(struct relay_call *call)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    AW_TRY(relay_require_payload(call));
    AW_TRY(check_csr(call));
    AW_TRY(relay_own_order(call, &order));
    AW_TRY(begin(call, &order));
    AW_TRY(relay_work_finalize(call->relay->work, &order, &call->problem));
    if (call->problem.status != 0)
        return aw_fail(AW_CODE_REFUSED, "%s", call->problem.detail);
    stored_order_free(&order);
    AW_TRY(relay_store_order(call->relay->store, call->match.numbers[0], &order));
    return relay_respond_order(call, 200, &order);
}
