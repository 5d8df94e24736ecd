/**
 * @file config_parts.h
 * @brief What the readers of signer.yaml's sections share. Private to config*.c.
 */
#ifndef AW_COMMON_CONFIG_PARTS_H
#define AW_COMMON_CONFIG_PARTS_H

#include "common/config.h"

/** The value of a key, or the mapping itself where there is none: where a fault is shown. */
aw_yaml_node aw_config_place(aw_yaml_node mapping, const char *name);

/** A path that is there must be absolute. */
void aw_config_check_absolute(aw_yaml_node mapping, const char *field, const char *name,
    const char *path, struct aw_faults *faults);

/** The same for a socket's, which must fit into an address. */
void aw_config_check_socket(aw_yaml_node mapping, const char *field, const char *name,
    const char *path, struct aw_faults *faults);

/** A name that is there must be a label (aw_config_label_ok). */
void aw_config_check_label(
    const char *what, const char *name, aw_yaml_node place, struct aw_faults *faults);

/** A copy of `value` where nothing was said. Copied, for the struct outlives libyaml's document. */
AW_MUST_USE aw_result aw_config_default(char **slot, const char *value);

/** The section "cas"; config->cas has room for all. */
AW_MUST_USE aw_result aw_config_read_cas(
    const struct aw_yaml_items *items, struct aw_config *config, struct aw_faults *faults);

/** Releases what one CA holds, not the struct: it stands in config->cas. */
void aw_config_free_ca(struct aw_config_ca *ca);

/** The section "relays"; config->relays has room for all. */
void aw_config_read_relays(
    const struct aw_yaml_items *items, struct aw_config *config, struct aw_faults *faults);

/** What is worth a warning of relays that have no fault. */
void aw_config_warn_relays(const struct aw_config *config, struct aw_faults *warnings);

/** Releases config->relays, all of them. */
void aw_config_free_relays(struct aw_config *config);

/** The tables of "token" and "sandbox"; each counts from its own struct in struct aw_config. */
extern const struct aw_yaml_field aw_config_token_fields[];
extern const struct aw_yaml_field aw_config_sandbox_fields[];

/** The section "token": what its table can't check. */
void
aw_config_check_token(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults);

/** The section "audit". */
void
aw_config_check_audit(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults);

/** Likewise those of `metrics`. */
void aw_config_check_metrics(
    const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults);

#endif
