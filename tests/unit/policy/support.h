/**
 * @file support.h
 * @brief For the tests of policies: folders of files, a table of users and groups, loading.
 */
#ifndef AW_TEST_POLICY_SUPPORT_H
#define AW_TEST_POLICY_SUPPORT_H

#include "policy/policy.h"

/** Makes an empty folder; its path goes into `out`. */
void folder_make(char out[64]);

/** Writes a file of mode 0644 into the folder. */
void folder_write(const char *folder, const char *name, const char *text, size_t length);

/** Removes the folder and what is in it. */
void folder_remove(const char *folder);

/** Users alice 1001, bob 1002, carol 1003, root, nobody; groups web 2001, ops 2002, root, nogroup.
 */
extern const struct policy_resolver test_resolver;

/** A user's number; fails the test when there is none. */
uid_t test_uid(const char *user);

/** A group's number; fails the test when there is none. */
gid_t test_gid(const char *group);

/** Loads a folder; a policy with faults prints them and fails the test. */
policy_snapshot *
load_folder(const char *folder, const struct policy_account *accounts, size_t account_count);

/** The same, and what it was warned of. */
policy_snapshot *load_folder_warned(const char *folder, const struct policy_account *accounts,
    size_t account_count, struct aw_faults *warnings);

/** Parses a name of a policy; fails the test when it is none. */
struct aw_name name_of(const char *text);

/** Parses a network; fails the test when it is none. */
struct policy_network network_of(const char *text);

/**
 * Loads files, pairs of a name and a text, the last name NULL, with the account "main": its ceiling
 * is example.edu and 192.0.2.1.
 */
policy_snapshot *load_files(const char *const (*files)[2]);

/** The same, with a limit of orders per day. */
policy_snapshot *load_files_at(int64_t orders_per_day, const char *const (*files)[2]);

#endif
