/**
 * @file probe.h
 * @brief acmeward-signer --probe-token: tries what the token enforces, with the signer stopped.
 */
#ifndef AW_SIGNER_PROBE_H
#define AW_SIGNER_PROBE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/result.h"

/** Where the last result is kept, in the state folder: what --json prints. */
#define PROBE_RESULT_NAME "probe.json"

/**
 * Probes the token of a configuration with the key types of its accounts, writes the table, and
 * keeps the result in the state folder. Signals that would end the process wait until the
 * throw-away keys are destroyed.
 * @param json one JSON object instead of a table for people
 * @param[out] holds all that must hold holds
 * @return AW_CODE_BUSY while a signer runs on the same state folder, AW_CODE_PERMISSION for anybody
 *         but the signer's user, AW_CODE_CONFIG, failures of the token
 */
AW_MUST_USE aw_result probe_token(const char *config_path, bool json, FILE *out, bool *holds);

#endif
