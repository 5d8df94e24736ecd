/**
 * @file readiness.h
 * @brief What --check-config tells besides faults of the files: what the start will want and not
 * find.
 */
#ifndef AW_SIGNER_READINESS_H
#define AW_SIGNER_READINESS_H

#include "common/config.h"

/**
 * Warns of what signer.yaml names and is not there, or not as the start wants it: module, PIN, what
 * the module reads, folders. Warnings, since a token may be plugged in and a credential made later;
 * owners are looked at only where this is not root, whom they tell nothing.
 */
void readiness_warn(const struct aw_config *config, struct aw_faults *warnings);

#endif
