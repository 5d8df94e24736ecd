/**
 * @file users.h
 * @brief Who users and groups are, asked of a process that is made for it.
 *
 * The system's databases (NSS) may need files, sockets and libraries that the core must not have.
 * So the core asks a child, forked before it opened anything. Without one (tests, --check-config)
 * the databases are asked in this process.
 */
#ifndef AW_SIGNER_USERS_H
#define AW_SIGNER_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/result.h"
#include "policy/policy.h"

/** Limits. */
enum {
    USERS_NAME_MAX = 255,        /**< octets of a user's or group's name */
    USERS_LOOKUP_MS = 30 * 1000, /**< longest wait for a user or group of a policy */
    USERS_NAME_OF_MS = 2 * 1000, /**< longest wait for a peer's name, which is for people; waiting
                                      for others who ask is part of it */
};

/** The child and the socket to it. Locks itself. */
typedef struct users users;

/** Forks the child, which is confined (confine.h); before any thread, and before anything is
 * opened. Release: users_stop. */
AW_MUST_USE aw_result users_start(const struct aw_config_sandbox *use, users **out);

/** Ends the child, waits for it, nulls; NULL is allowed. */
void users_stop(users **slot);

/** True when the child has ended by itself: then nobody can be looked up any more. */
bool users_gone(const users *u);

/** Looks users and groups up; NULL: in this process. No answer in time is a failure. */
struct policy_resolver users_resolver(users *u);

/** The user's name, or the number where there is none, or not in time: while a question is without
 * an answer for longer, at once. NULL: in this process. */
void users_name_of(users *u, uid_t uid, char *out, size_t size);

#endif
