#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>

#include "relay/directory.h"
#include "relay/renewal_info.h"
#include "relay/store.h"
#include "relay/upstream.h"
#include "relay/work.h"

static aw_result
open_parts(const struct relay_config *config, struct relay *relay)
{
    struct signer_place place = relay_config_signer(config);

    relay->config = config;
    AW_TRY(jose_prepare(&(struct jose_openssl){0}));
    AW_TRY(relay_signer_new(&place, &relay->signer));
    AW_TRY(relay_nonces_new(&relay->nonces));
    AW_TRY(relay_accounts_new(&relay->accounts));
    AW_TRY(relay_store_open(config->state, &relay->store));
    AW_TRY(relay_upstream_new(config, &relay->upstream));
    AW_TRY(relay_renewals_new(&relay->renewals));
    return relay_directory_write(config, &relay->directory);
}

aw_result
relay_open(const struct relay_config *config, struct relay *out)
{
    memset(out, 0, sizeof(*out));
    aw_result r = open_parts(config, out);
    if (!aw_ok(r))
        relay_close(out);
    return r;
}

aw_result
relay_begin(struct relay *relay)
{
    const struct relay_config *config = relay->config;

    return relay_work_start(relay, (size_t)config->limits.orders,
        (size_t)(config->limits.workers + 1) / 2, &relay->work);
}

void
relay_close(struct relay *relay)
{
    if (relay->upstream != NULL)
        relay_upstream_stop(relay->upstream);
    relay_work_stop(&relay->work);
    relay_renewals_free(&relay->renewals);
    relay_upstream_free(&relay->upstream);
    relay_store_close(&relay->store);
    relay_accounts_free(&relay->accounts);
    relay_nonces_free(&relay->nonces);
    relay_signer_free(&relay->signer);
    free(relay->directory);
    memset(relay, 0, sizeof(*relay));
}
