/**
 * @file report_log.h
 * @brief What a report takes from the audit log: certificates, refusals, last uses.
 *
 * One walk over the log; of what lies before the period only last uses are kept, so memory does not
 * grow with the log's age but with certificates that are not over and kinds of refusals.
 */
#ifndef AW_ADMIN_REPORT_LOG_H
#define AW_ADMIN_REPORT_LOG_H

#include "admin/audit_files.h"
#include "admin/report_clients.h"
#include "admin/report_grants.h"
#include "common/hex.h"

/** What is reported of. */
struct report_period {
    int64_t since, until; /**< Unix seconds, both included */
    int64_t now;
    const char *application; /**< NULL: all */
};

/** A certificate that was handed back and was not over when the period began. */
struct report_certificate {
    char *application, *serial, *issuer;
    char *names; /**< sorted, one a line */
    char digest[AW_DIGEST_HEX_SIZE];
    int64_t not_after;
    bool has_verified, verified;
    bool revoked;
    bool replaced; /**< there is one with the same names that ends later */
};

/** Refusals of one kind; also what a roll-out let through. */
struct report_refusal {
    char *application, *user, *operation, *verdict, *rule; /**< NULL: the record did not say */
    int64_t count, first, last;
    char *names;   /**< of the last one, one a line */
    char *message; /**< of the last one */
};

/** What was found. Release: report_log_free. */
struct report_log {
    struct report_certificate *certificates; /**< those that end first come first */
    size_t certificate_count, certificate_room;
    struct report_refusal *refusals; /**< the most frequent first */
    size_t refusal_count, refusal_room;
    char **revoked; /**< digests */
    size_t revoked_count, revoked_room;
    struct report_clients clients; /**< of relays */
    void *by_kind;                 /**< refusals by their texts: a tree (tsearch) of numbers */
    int64_t records;               /**< read */
    int64_t first_time, last_time; /**< of those */
    int64_t absent;                /**< records in segments that were not at hand */
    const struct report_period *period;
    struct report_grants *grants;
};

/** Walks the log, and notes uses in `grants`. */
AW_MUST_USE aw_result report_log_read(const struct admin_audit_log *log,
    const struct report_period *period, struct report_grants *grants, struct report_log *out);

/** Releases and zeroes. */
void report_log_free(struct report_log *log);

#endif
