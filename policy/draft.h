/**
 * @file draft.h
 * @brief A policy while it is being loaded: a snapshot in the making, and places for faults.
 */
#ifndef AW_POLICY_DRAFT_H
#define AW_POLICY_DRAFT_H

#include "common/hex.h"
#include "common/yaml.h"
#include "policy/snapshot.h"

/** Where something stands in its application's file. */
struct place {
    uint32_t line;
    uint32_t column;
};

/** An application that was read. */
struct draft_application {
    struct application compiled;
    struct place place;
    struct place account_place;
    uint16_t serial; /**< number in the order of reading; members hold it until compiled */
    uint8_t digest[AW_DIGEST_SIZE];
};

/** Zero-initialise; release: policy_draft_release. */
struct draft {
    policy_snapshot *snapshot;
    struct place *places; /**< of each claim */
    size_t place_capacity;
    struct draft_application *applications;
    size_t count;
    size_t capacity;
    uint32_t account_claims; /**< the accounts' claims are the first of the index */
    bool incomplete;         /**< a file could not be read so far that its application is known */
    struct aw_faults *faults;
    struct aw_faults *warnings; /**< may be NULL */
};

/** The last part of a path, for a fault that speaks of another file of the same folder. */
const char *policy_base_name(const char *path);

/** Adds a claim and its place. */
AW_MUST_USE aw_result policy_draft_claim(
    struct draft *draft, enum claim_kind kind, const char *text, aw_yaml_node node);

/** Adds accounts and their ceilings; faults are added for those that cannot be. */
AW_MUST_USE aw_result policy_draft_accounts(
    struct draft *draft, const struct policy_account *accounts, size_t count);

/**
 * Compiles: sorts, links the index, and checks between applications. Faults are added; the snapshot
 * is complete when there is none.
 */
AW_MUST_USE aw_result policy_compile(struct draft *draft);

/** Warns of names that can never be issued and of names that several applications list. */
void policy_warn_overlaps(struct draft *draft);

/** Digest of what one application's policy says, but for its principals: those come in as text. */
AW_MUST_USE aw_result policy_digest_application(const policy_snapshot *snapshot,
    const struct application *application, const char *principals, uint8_t out[AW_DIGEST_SIZE]);

/** Digest over all applications, in order, and the accounts; written to the snapshot. */
AW_MUST_USE aw_result policy_digest_all(struct draft *draft);

/** Releases all, the snapshot included. */
void policy_draft_release(struct draft *draft);

#endif
