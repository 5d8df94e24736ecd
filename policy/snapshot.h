/**
 * @file snapshot.h
 * @brief Inside of a snapshot, for the files of this folder. Nothing in it changes once it is out.
 */
#ifndef AW_POLICY_SNAPSHOT_H
#define AW_POLICY_SNAPSHOT_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/hex.h"
#include "policy/arena.h"
#include "policy/index.h"
#include "policy/policy.h"

/** nobody: what the kernel shows for users it cannot name; never anybody's identity. */
#define POLICY_NOBODY 65534u

/** An application: what is shown of it, and its place in the index. */
struct application {
    struct policy_application shown;
    uint32_t first; /**< its first claim; the lists follow one another */
    uint32_t list_count[CLAIM_LISTS];
    uint16_t account; /**< number of its account */
};

/** What the lists are called in a file. */
extern const char *const policy_list_names[CLAIM_LISTS];

/** An account's part of the policy. */
struct account {
    const char *name;
    int64_t orders_per_day;
};

/** A user or group that an application names. */
struct member {
    uint32_t id;
    uint16_t application;
};

/** Members, sorted by id, then application. */
struct members {
    struct member *items;
    size_t count;
    size_t capacity;
};

struct policy_snapshot {
    atomic_size_t references;
    char digest[AW_DIGEST_HEX_SIZE];
    struct policy_counts counts;
    struct policy_arena arena;
    struct policy_index index;
    struct application *applications; /**< in order of their names */
    size_t application_count;
    struct account *accounts;
    size_t account_count;
    struct members users;
    struct members groups;
    bool prefixes[2][129]; /**< prefix lengths in use, of IPv4 and of IPv6 networks */
};

/** An empty snapshot with one reference, or NULL for want of memory. */
policy_snapshot *policy_snapshot_new(void);

/** Row of `prefixes` for addresses of that many octets. */
static inline unsigned
prefix_row(unsigned size)
{
    return size == 16;
}

/** The application that a claim belongs to. */
static inline const struct application *
owner_of(const policy_snapshot *snapshot, uint32_t claim)
{
    return &snapshot->applications[snapshot->index.owners[claim]];
}

/** Number of an application of this snapshot. */
static inline uint16_t
number_of(const policy_snapshot *snapshot, const struct application *application)
{
    return (uint16_t)(application - snapshot->applications);
}

/**
 * Chooses the application for a subject: the one it names, or its only one.
 * @param name may be NULL
 * @param[out] rule why there is none
 * @return NULL when there is none
 */
const struct application *policy_choose(const policy_snapshot *snapshot,
    const struct policy_subject *subject, const char *name, enum policy_rule *rule);

#endif
