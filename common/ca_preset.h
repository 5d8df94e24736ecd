/**
 * @file ca_preset.h
 * @brief What is known of CAs: one table. signer.yaml names a row as `preset`, or says it all
 * itself; nothing else in the project knows a CA.
 */
#ifndef AW_COMMON_CA_PRESET_H
#define AW_COMMON_CA_PRESET_H

#include <stddef.h>

/** May an external account binding (RFC 8555 7.3.4) be used again? Names in aw_ca_eab_names. */
enum aw_ca_eab { AW_CA_EAB_UNKNOWN, AW_CA_EAB_NONE, AW_CA_EAB_REUSABLE, AW_CA_EAB_ONE_TIME };

/** Does the CA take a keyChange (RFC 8555 7.3.5)? Names in aw_ca_key_change_names. */
enum aw_ca_key_change { AW_CA_KEY_CHANGE_UNKNOWN, AW_CA_KEY_CHANGE_YES, AW_CA_KEY_CHANGE_NO };

/** How authorizations arrive. Names in aw_ca_validation_names. */
enum aw_ca_validation {
    AW_CA_VALIDATION_UNKNOWN,
    AW_CA_VALIDATION_BEFORE,     /**< valid: domains are validated at the CA beforehand */
    AW_CA_VALIDATION_CHALLENGES, /**< pending: a challenge per name */
};

/** Can the CA limit an account to domains? Names in aw_ca_scope_names. */
enum aw_ca_scope { AW_CA_SCOPE_UNKNOWN, AW_CA_SCOPE_DOMAINS, AW_CA_SCOPE_NONE };

/** Each ended by NULL, in the order of its enum. */
extern const char *const aw_ca_eab_names[];
extern const char *const aw_ca_key_change_names[];
extern const char *const aw_ca_validation_names[];
extern const char *const aw_ca_scope_names[];

/** One row. */
struct aw_ca_preset {
    const char *directory;
    enum aw_ca_eab eab;
    enum aw_ca_key_change key_change;
    enum aw_ca_validation validation;
    enum aw_ca_scope scope;
    const char *note; /**< for an administrator; may be empty */
};

/** The rows, and their names, ended by NULL, in the same order. */
extern const struct aw_ca_preset aw_ca_presets[];
extern const char *const aw_ca_preset_names[];

/** The row of that directory, a slash at its end or not; -1: none. */
int aw_ca_preset_of(const char *directory);

#endif
