/**
 * @file report_grants.h
 * @brief What policies give, entry by entry, and when each was last made use of.
 *
 * A name counts for the entry that gives it: the same rules as the policy's, the more specific
 * first, by the policy of today. Pointers are into the snapshot.
 */
#ifndef AW_ADMIN_REPORT_GRANTS_H
#define AW_ADMIN_REPORT_GRANTS_H

#include "policy/policy.h"

/** Lists of a policy that give something. */
enum report_list_kind {
    REPORT_GRANT_EXACT,
    REPORT_GRANT_SUBDOMAINS,
    REPORT_GRANT_WILDCARDS,
    REPORT_GRANT_ADDRESSES,
};

/** An entry. */
struct report_grant {
    const struct policy_application *application;
    enum report_list_kind list;
    const char *text;
    int64_t last_used; /**< when an order that it let through was last signed; 0: never */
    bool held;         /**< a certificate that is not over has a name of it */
};

/** An application. */
struct report_user {
    const struct policy_application *application;
    int64_t orders;    /**< signed in the period */
    int64_t last_used; /**< when an order was last signed; 0: never */
};

/** All of a snapshot, sorted. Release: report_grants_free. */
struct report_grants {
    struct report_grant *items;
    size_t count, room;
    struct report_user *users; /**< by name */
    size_t user_count, user_room;
    bool failed;
};

/** Lists what a snapshot gives: of all applications, or of one. */
AW_MUST_USE aw_result report_grants_of(
    const policy_snapshot *snapshot, const char *application, struct report_grants *out);

/** The application's figures, or NULL when no policy is of that name. */
struct report_user *report_grants_user(const struct report_grants *grants, const char *application);

/** Notes that an application made use of a name at that time. */
void report_grants_use(
    struct report_grants *grants, const char *application, const char *name, int64_t time);

/** Notes that a certificate of an application that is not over has that name. */
void report_grants_hold(struct report_grants *grants, const char *application, const char *name);

/** "exact" and so on, as in the file. */
const char *report_grant_list(enum report_list_kind list);

/** Releases and zeroes. */
void report_grants_free(struct report_grants *grants);

#endif
