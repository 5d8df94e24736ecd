/* What peers are by the present configuration. */
#include <string.h>
#include <unistd.h>

#include "signer/core.h"

bool
core_is_self(const struct peer *peer)
{
    return peer->uid == geteuid();
}

enum peer_role
core_role_of(struct core *core, const struct peer *peer)
{
    pthread_mutex_lock(&core->lock);
    enum peer_role role = peer_role_of(peer, &core->roles);
    pthread_mutex_unlock(&core->lock);
    return role;
}

void
core_grounds_of(struct core *core, const struct peer *peer, struct grounds *out)
{
    pthread_mutex_lock(&core->lock);
    peer_grounds_of(peer, &core->roles, out);
    pthread_mutex_unlock(&core->lock);
    if (core_is_self(peer)) /* no room: the peer has other grounds, and comes in by those */
        (void)grounds_add(out, NULL, NULL);
}

bool
core_relay_of(struct core *core, const struct peer *peer, char url[AW_CONFIG_RELAY_URL_MAX + 1])
{
    pthread_mutex_lock(&core->lock);
    const struct relay_entry *relay = relays_find(&core->relays, peer);
    if (relay != NULL)
        memcpy(url, relay->url, sizeof(relay->url));
    pthread_mutex_unlock(&core->lock);
    return relay != NULL;
}

void
core_relay_grounds_of(struct core *core, const struct peer *peer, struct grounds *out)
{
    pthread_mutex_lock(&core->lock);
    relays_grounds_of(&core->relays, peer, out);
    pthread_mutex_unlock(&core->lock);
}
