/**
 * @file relays.h
 * @brief Which peers are relays, and for which base URL.
 *
 * A relay is a user or group of this host that may hand in what inner clients signed. It is not
 * believed: all that it has is the right to ask (docs/threat-model.md).
 */
#ifndef AW_SIGNER_RELAYS_H
#define AW_SIGNER_RELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"
#include "signer/grounds.h"
#include "signer/peer.h"

/** Users and groups that are relays. Zero-initialise; release: relays_free. */
struct relays {
    struct relay_entry {
        bool is_group;
        uint32_t id;
        char url[AW_CONFIG_RELAY_URL_MAX + 1]; /**< base, without a slash at the end */
    } * items;                                 /**< users before groups */
    size_t count;
};

/**
 * Looks up whom the configuration names, once. Who does not exist, or stands for unknowns (65534),
 * is no relay and is warned of; of two that are one user or group, the first counts, and the other
 * is warned of. Fails where somebody can't be looked up.
 */
AW_MUST_USE aw_result relays_resolve(const struct aw_config *config,
    const struct policy_resolver *resolver, struct aw_faults *warnings, struct relays *out);

/** Releases and zeroes. */
void relays_free(struct relays *relays);

/** The relay that the peer is: by its user, else by the first of its groups in the file's order;
 * NULL: none. */
const struct relay_entry *relays_find(const struct relays *relays, const struct peer *peer);

/** Adds the user or group by which the peer is a relay. */
void relays_grounds_of(const struct relays *relays, const struct peer *peer, struct grounds *out);

#endif
