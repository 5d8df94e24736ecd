#include "relay/recording.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "relay/store.h"

static aw_result
hand_over(signer_link *link, const struct signer_order *order, const struct chain *chain)
{
    uint8_t *der[CHAIN_CERTIFICATES_MAX] = {NULL};
    size_t sizes[CHAIN_CERTIFICATES_MAX] = {0};
    aw_result r = AW_OK;

    for (size_t i = 0; i < chain->count && aw_ok(r); i++)
        r = chain_der(chain, i, &der[i], &sizes[i]);
    if (aw_ok(r))
        r = signer_record_certificate(
            link, order, (const uint8_t *const *)der, sizes, chain->count);
    for (size_t i = 0; i < chain->count; i++)
        free(der[i]);
    return r;
}

bool
relay_record(signer_link *link, const struct signer_order *order, const struct chain *chain)
{
    aw_result r = hand_over(link, order, chain);

    if (!aw_ok(r))
        aw_log_failure(AW_LOG_WARNING, "the signer's inventory has not got the certificate");
    return aw_ok(r) || r.code == AW_CODE_REFUSED;
}

static aw_result
read_chain(struct relay *relay, int64_t ticket, struct chain *out)
{
    AW_CLEANUP(aw_free) char *pem = NULL;
    size_t count = 0;

    AW_TRY(relay_store_chain(relay->store, ticket, 0, &pem, &count));
    return chain_read(pem, strlen(pem), out);
}

aw_result
relay_recording_run(struct relay *relay, int64_t ticket, bool *again)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    AW_CLEANUP(chain_free) struct chain chain = {0};
    signer_link *link = NULL;

    *again = false;
    aw_result r = relay_store_order(relay->store, ticket, &order);
    if (r.code == AW_CODE_NOT_FOUND) /* so late that it was forgotten */
        return AW_OK;
    *again = true;
    AW_TRY(r);
    AW_TRY(read_chain(relay, ticket, &chain));
    AW_TRY(relay_signer_take(relay->signer, &link));
    *again = !relay_record(link, &(struct signer_order){order.application, ticket}, &chain);
    relay_signer_give(relay->signer, &link);
    return *again ? AW_OK : relay_store_recorded(relay->store, ticket);
}
