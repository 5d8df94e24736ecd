#include "relay/handlers.h"
#include "relay/route.h"

#define POST(pattern) RELAY_POST, pattern

const struct relay_route relay_routes[] = {
    {RELAY_GET, "/directory", RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_directory},
    {RELAY_GET, RELAY_NONCE_PATTERN, RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_nonce},
    {RELAY_GET, "/acme/renewal-info/*", RELAY_NO_SIGNATURE, RELAY_ON_WORKER,
        relay_get_renewal_info},
    {POST("/acme/new-account"), RELAY_BY_KEY, RELAY_ON_WORKER, relay_post_new_account},
    {POST(RELAY_ACCOUNT_PATTERN), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_account},
    {POST("/acme/account/#/orders"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_account_orders},
    {POST("/acme/account/#/orders/#"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER,
        relay_post_account_orders},
    {POST("/acme/key-change"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_key_change},
    {POST("/acme/new-order"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_new_order},
    {POST("/acme/order/#"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_order},
    {POST("/acme/order/#/finalize"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_finalize},
    {POST("/acme/authz/#/#"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_authorization},
    {POST("/acme/challenge/#/#/!"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_challenge},
    {POST("/acme/certificate/#"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_certificate},
    {POST("/acme/certificate/#/#"), RELAY_BY_ACCOUNT, RELAY_ON_WORKER, relay_post_certificate},
    {POST("/acme/revoke-cert"), RELAY_BY_EITHER, RELAY_ON_WORKER, relay_post_revoke},
};

const size_t relay_route_count = AW_COUNT(relay_routes);
