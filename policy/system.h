/**
 * @file system.h
 * @brief Users and groups by the system's databases (NSS).
 */
#ifndef AW_POLICY_SYSTEM_H
#define AW_POLICY_SYSTEM_H

#include "policy/policy.h"

/** Finds users and groups as the system knows them. Asks NSS: may block, reads files. */
extern const struct policy_resolver policy_system_resolver;

#endif
