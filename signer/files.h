/**
 * @file files.h
 * @brief What the signer reads at its start and at each reload: signer.yaml, the policies, the
 * issuers that CAs are held to. They come and go together.
 */
#ifndef AW_SIGNER_FILES_H
#define AW_SIGNER_FILES_H

#include "common/config.h"
#include "common/result.h"
#include "csr/issuers.h"
#include "policy/policy.h"
#include "signer/peer.h"
#include "signer/relays.h"

/** All of them. Release: files_free. */
struct files {
    struct aw_config *config;
    policy_snapshot *snapshot;
    struct peer_roles roles;
    struct relays relays;
    struct issuers_set issuers;
};

/** Reads and checks them; every fault is collected. */
AW_MUST_USE aw_result files_load(const char *path, const struct policy_resolver *resolver,
    struct aw_faults *faults, struct aw_faults *warnings, struct files *files);

/**
 * The state folder holds what decides and what is on record, the others say what is allowed: nobody
 * else may write there.
 */
AW_MUST_USE aw_result files_check_owners(const struct aw_config *config);

/** Refuses a configuration that changes what is taken at the start only. */
AW_MUST_USE aw_result files_check_unchanged(
    const struct aw_config *old, const struct aw_config *new, struct aw_faults *faults);

/** Releases and zeroes. */
void files_free(struct files *files);

#endif
