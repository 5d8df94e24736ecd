/**
 * @file peer.h
 * @brief Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED, SO_PEERGROUPS).
 *
 * Taken from the connected descriptor itself, as of connect(2); never from a pid or a path.
 */
#ifndef AW_SIGNER_PEER_H
#define AW_SIGNER_PEER_H

#include <stddef.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"

/** Limits. */
enum { PEER_USER_SIZE = 64 }; /**< characters of a user's name, with NUL; longer ones are cut */

/** A peer. */
struct peer {
    uid_t uid;
    gid_t groups[POLICY_SUBJECT_GROUPS_MAX]; /**< primary group first */
    size_t group_count;
    char user[PEER_USER_SIZE]; /**< name of the uid, or the number */
};

/** Administrators' roles, each with the powers of those before it. */
enum peer_role { PEER_NOBODY, PEER_OPERATOR, PEER_OFFICER };

/** "operator", "officer" or "nobody". */
const char *peer_role_name(enum peer_role role);

/**
 * Takes the peer's identity from a connected Unix socket.
 * @return AW_CODE_PERMISSION for uid 65534 (nobody: stands for unknown users); AW_CODE_LIMIT for
 *         more groups than POLICY_SUBJECT_GROUPS_MAX
 */
AW_MUST_USE aw_result peer_from_fd(int fd, struct peer *out);

/** The peer as a policy's subject; it borrows from `peer`. */
struct policy_subject peer_subject(const struct peer *peer);

/** The peer's role by the configuration; unknown users and groups match nobody. */
enum peer_role peer_role_of(const struct peer *peer, const struct aw_config *config);

#endif
