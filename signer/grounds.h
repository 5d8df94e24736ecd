/**
 * @file grounds.h
 * @brief Why a peer has business at a gate: the groups and applications whose shares of the
 * connections its own count to.
 */
#ifndef AW_SIGNER_GROUNDS_H
#define AW_SIGNER_GROUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/result.h"

/** Limits. */
enum {
    GROUNDS_MAX = 64 /**< of a peer that are looked at; a host that serves all has thousands */
};

/** A peer's grounds. Zero-initialise; none: it has no business. */
struct grounds {
    struct ground {
        bool by_group; /**< `group`, else the user himself */
        gid_t group;
        uint64_t application; /**< a number for its name (equal ones would share); 0: none */
    } items[GROUNDS_MAX];
    size_t count;
};

/**
 * Adds one, once.
 * @param group NULL: the user himself
 * @param application its name; NULL: none
 * @return false: there is room for no more
 */
bool grounds_add(struct grounds *grounds, const gid_t *group, const char *application);

/** True when one of them is the group. */
bool grounds_have_group(const struct grounds *grounds, gid_t group);

/** True when one of them is for the application. */
bool grounds_have_application(const struct grounds *grounds, uint64_t application);

#endif
