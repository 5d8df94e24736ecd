/**
 * @file config_parts.h
 * @brief What client.yaml and relay.yaml have in common: where the signer is and who it runs as,
 * paths, and who may change the file. Faults are added to `faults`, as aw_yaml_fault does.
 */
#ifndef AW_CLIENT_CONFIG_PARTS_H
#define AW_CLIENT_CONFIG_PARTS_H

#include <stddef.h>
#include <sys/types.h>

#include "common/result.h"
#include "common/yaml.h"

/** A setting that has to be an absolute path; `path` NULL: it is not set. */
struct config_path {
    const char *field;
    const char *path;
};

/** client_config_replace() where nothing is set. */
AW_MUST_USE aw_result config_default(char **slot, const char *value);

/**
 * The uid of the user that the signer runs as. One that is named must exist; the default need not,
 * where the signer is on another host or runs as root.
 * @param named where the file names it; line 0: it is the default
 */
AW_MUST_USE aw_result config_signer_user(
    const char *user, aw_yaml_node named, struct aw_faults *faults, uid_t *out);

/** Wants absolute paths. */
void config_check_paths(
    const struct config_path *paths, size_t count, aw_yaml_node root, struct aw_faults *faults);

/** Wants of an ssh:// URL that it is one (ssh_url.h). */
void config_check_signer(const char *signer, aw_yaml_node root, struct aw_faults *faults);

/** The file must belong to root or this user, and be writable for nobody else: who may change it
 * chooses which server is taken for the signer. */
AW_MUST_USE aw_result config_check_owner(const char *path, struct aw_faults *faults);

#endif
