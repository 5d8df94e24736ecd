#include "relay/handlers.h"
#include "relay/route.h"

const struct relay_route relay_routes[] = {
    {RELAY_GET, "/directory", RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_directory},
    {RELAY_GET, RELAY_NONCE_PATTERN, RELAY_NO_SIGNATURE, RELAY_ON_LOOP, relay_get_nonce},
};

const size_t relay_route_count = AW_COUNT(relay_routes);
