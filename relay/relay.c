#include "relay/relay.h"

#include <stdlib.h>
#include <string.h>

#include "relay/directory.h"

static aw_result
open_parts(const struct relay_config *config, struct relay *relay)
{
    struct signer_place place = relay_config_signer(config);

    relay->config = config;
    AW_TRY(jose_prepare(&(struct jose_openssl){0}));
    AW_TRY(relay_signer_new(&place, &relay->signer));
    AW_TRY(relay_nonces_new(&relay->nonces));
    AW_TRY(relay_accounts_new(&relay->accounts));
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

void
relay_close(struct relay *relay)
{
    relay_accounts_free(&relay->accounts);
    relay_nonces_free(&relay->nonces);
    relay_signer_free(&relay->signer);
    free(relay->directory);
    memset(relay, 0, sizeof(*relay));
}
