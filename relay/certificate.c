/* Certificates (RFC 8555 7.4.2), with the CA's alternate chains. */
#include <string.h>

#include "common/io.h"
#include "relay/handlers.h"
#include "relay/payload.h"

static aw_result
link_others(struct relay_call *call, int64_t ticket, size_t number, size_t count)
{
    const char *base = call->relay->config->url;

    for (size_t i = 0; i < count; i++) {
        if (i == number)
            continue;
        if (i == 0)
            AW_TRY(relay_response_link(
                call->response, "alternate", "%s/acme/certificate/%lld", base, (long long)ticket));
        else
            AW_TRY(relay_response_link(call->response, "alternate", "%s/acme/certificate/%lld/%zu",
                base, (long long)ticket, i));
    }
    return AW_OK;
}

aw_result
relay_post_certificate(struct relay_call *call)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    AW_CLEANUP(aw_free) char *pem = NULL;
    size_t number = (size_t)call->match.numbers[1], count = 0;

    AW_TRY(relay_require_empty(call));
    AW_TRY(relay_own_order(call, &order));
    aw_result r = relay_store_chain(call->relay->store, order.ticket, number, &pem, &count);
    if (r.code == AW_CODE_NOT_FOUND)
        return relay_problem_status(
            relay_problem_fail(&call->problem, RELAY_MALFORMED,
                order.state == ORDER_VALID ? "the certificate has no such chain"
                                           : "the order has no certificate yet: it is %s",
                order_state_name(order.state)),
            &call->problem, 404);
    AW_TRY(r);
    AW_TRY(link_others(call, order.ticket, number, count));
    return relay_response_text(call->response, 200, "application/pem-certificate-chain", pem);
}
