/**
 * @file peer.h
 * @brief Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS).
 *
 * Taken from the connected descriptor itself, as of connect(2); never from a pid or a path.
 */
#ifndef AW_SIGNER_PEER_H
#define AW_SIGNER_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"
#include "signer/grounds.h"

/** Limits. */
enum { PEER_USER_SIZE = 64 }; /**< characters of a user's name, with NUL; longer ones are cut */

/** A peer. */
struct peer {
    uid_t uid;
    gid_t groups[POLICY_SUBJECT_GROUPS_MAX]; /**< primary group first */
    size_t group_count;
    char user[PEER_USER_SIZE]; /**< the uid's number until its name is known (users.h) */
};

/** Administrators' roles, each with the powers of those before it. */
enum peer_role { PEER_NOBODY, PEER_OPERATOR, PEER_OFFICER };

/** "operator", "officer" or "nobody". */
const char *peer_role_name(enum peer_role role);

/** Users and groups that have a role. Zero-initialise; release: peer_roles_free. */
struct peer_roles {
    struct peer_principal {
        bool is_group;
        uint32_t id;
        enum peer_role role;
    } * items;
    size_t count;
};

/**
 * Looks up whom the configuration names, once, so that nobody waits for the system's databases at a
 * socket. Who does not exist has no role and is warned of, as is 65534, which stands for unknowns.
 */
AW_MUST_USE aw_result peer_roles_resolve(const struct aw_config *config,
    const struct policy_resolver *resolver, struct aw_faults *warnings, struct peer_roles *out);

/** Releases and zeroes. */
void peer_roles_free(struct peer_roles *roles);

/**
 * Takes the peer's identity from a connected Unix socket. Asks the kernel alone: never blocks.
 * @return AW_CODE_PERMISSION for uid 65534 (nobody: stands for unknown users); AW_CODE_LIMIT for
 *         more groups than POLICY_SUBJECT_GROUPS_MAX
 */
AW_MUST_USE aw_result peer_from_fd(int fd, struct peer *out);

/** The peer as a policy's subject; it borrows from `peer`. */
struct policy_subject peer_subject(const struct peer *peer);

/**
 * The number of a user or group of the configuration.
 * @param[out] found false: it does not exist, or is 65534, which stands for unknowns
 */
AW_MUST_USE aw_result peer_look_up(const struct aw_config_principal *principal,
    const struct policy_resolver *resolver, bool *found, uint32_t *id);

/** True when the peer is that user, or in that group. */
bool peer_matches(const struct peer *peer, bool is_group, uint32_t id);

/** By which of the roles' users and groups the peer is an administrator. */
void peer_grounds_of(const struct peer *peer, const struct peer_roles *roles, struct grounds *out);

/** The peer's highest role. */
enum peer_role peer_role_of(const struct peer *peer, const struct peer_roles *roles);

#endif
