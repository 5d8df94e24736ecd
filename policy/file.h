/**
 * @file file.h
 * @brief One file of policy.d as it is written: read by tables, nothing resolved yet.
 */
#ifndef AW_POLICY_FILE_H
#define AW_POLICY_FILE_H

#include "common/yaml.h"

/** Lists of names, in the order of the claims' kinds. */
enum file_list {
    FILE_EXACT,
    FILE_SUBDOMAINS,
    FILE_WILDCARDS,
    FILE_DENY,
    FILE_ADDRESSES,
    FILE_PROFILES,
    FILE_SHARES,
    FILE_RELAY_NETWORKS,
    FILE_RELAY_CERTIFICATES,
    FILE_LIST_COUNT
};

/** Limits of a file's numbers and defaults of its optional keys. */
enum {
    FILE_NAMES_PER_CERTIFICATE = 100,
    FILE_ORDERS_PER_DAY = 50,
    FILE_ORDERS_PER_DAY_MAX = 1000000,
    FILE_OWNER_MAX = 254,
    FILE_PROFILES_MAX = 16,
    FILE_PROFILE_MAX = 64,
    FILE_RELAY_MAX = 256, /**< networks, or client certificates */
};

/** A day that no file can mean. */
#define FILE_NO_DAY INT64_MIN

/** Who may use the application: exactly one of them is set. */
struct file_principal {
    char *user;
    char *group;
    int64_t uid; /**< -1: not given */
    int64_t gid;
    aw_yaml_node place; /**< of the value that is set */
};

/** What a file says. Zero-initialise; release: policy_file_release. */
struct policy_file {
    char *application;
    char *owner;
    char *account;
    struct aw_yaml_items principals;
    struct aw_yaml_strings lists[FILE_LIST_COUNT];
    struct aw_yaml_strings operations;
    struct aw_yaml_strings keys;
    int validation;
    int64_t names_per_certificate;
    int64_t orders_per_day;
    int64_t revocations_per_day; /**< 0: not given */
    int64_t expires;             /**< FILE_NO_DAY: not given */
    int64_t warn_until;
    aw_yaml_node place; /**< of application, else of the file's begin */
    aw_yaml_node owner_place;
    aw_yaml_node account_place;
    aw_yaml_node principals_place;
    aw_yaml_node names_place;
    aw_yaml_node expires_place;
    aw_yaml_node warn_place;
    aw_yaml_node relay_place; /**< a mapping: there is such a section */
};

/** Reads a file's root; faults of form are added to `faults`, and what could be read is kept. */
void policy_file_read(aw_yaml_node root, struct policy_file *out, struct aw_faults *faults);

/** True when the section `relay` is there. */
bool policy_file_is_relayed(const struct policy_file *file);

/** Reads one item of `principals`; false when it does not name exactly one user or group. */
bool policy_file_principal(aw_yaml_node item, struct file_principal *out, struct aw_faults *faults);

/** Releases what was read and zeroes it. */
void policy_file_release(struct policy_file *file);

/** Releases a principal's texts and zeroes it. */
void policy_file_principal_release(struct file_principal *principal);

/** Adds "path: message" at a node's place. */
void policy_file_fault(aw_yaml_node node, struct aw_faults *faults, const char *format, ...)
    AW_PRINTF(3, 4);

#endif
