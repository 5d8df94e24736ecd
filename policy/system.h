/**
 * @file system.h
 * @brief Users and groups by the system's databases (NSS), or none at all.
 */
#ifndef AW_POLICY_SYSTEM_H
#define AW_POLICY_SYSTEM_H

#include "policy/policy.h"

/** Finds users and groups as the system knows them. Asks NSS: may block, reads files. */
extern const struct policy_resolver policy_system_resolver;

/**
 * Takes every user and group for one that exists, but for those that no policy may name: for
 * machines that know nobody of a policy (CI of a policy repository). What it resolves to is
 * nobody's number: such a snapshot decides for applications by name, never for a peer.
 */
extern const struct policy_resolver policy_anybody_resolver;

#endif
