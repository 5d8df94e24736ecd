/**
 * @file confine.h
 * @brief The sandbox of each of the signer's processes: what it may reach, by the configuration.
 */
#ifndef AW_SIGNER_CONFINE_H
#define AW_SIGNER_CONFINE_H

#include "common/sandbox.h"

/** What the configuration leaves in force; read by itself, before there is any other process. */
AW_MUST_USE aw_result confine_read(
    const char *config_path, struct aw_faults *faults, struct aw_config_sandbox *out);

/** Refuses, with what to do, when the kernel does not offer what is to be in force. */
AW_MUST_USE aw_result confine_check(const struct aw_config_sandbox *use);

/** Confines the core: configuration, policies, state, PIN, what the token's module needs. */
AW_MUST_USE aw_result confine_core(const struct aw_config *config);

/** Confines the keeper: it starts the gate's program, at one of these two places. */
AW_MUST_USE aw_result confine_keeper(
    const struct aw_config_sandbox *use, const char *beside, const char *installed);

/** Confines the process that looks users up: the system's databases, to read. */
AW_MUST_USE aw_result confine_users(const struct aw_config_sandbox *use);

#endif
