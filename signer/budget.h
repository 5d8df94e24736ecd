/**
 * @file budget.h
 * @brief What a uid may have written to the audit log without being permitted anything.
 *
 * A flood of refusals must not fill the log (attack 96b). Refusals and alarms have a budget each,
 * in octets of the log, for every payer: a bucket that fills up with time. What comes when it is
 * empty is counted by rule, and the count is one record per payer and interval. Thread-safe.
 *
 * A payer is a uid; but a relay's clients, who all come by its uid, pay for themselves: a client
 * that proved whose it is by its application's budget, all others of a relay by one of theirs. What
 * no honest relay hands over (evidence that it can see is none) is the relay's own.
 */
#ifndef AW_SIGNER_BUDGET_H
#define AW_SIGNER_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/result.h"

/** Limits. A refusal takes some 600 octets, one with a hundred long names up to 60,000. */
enum {
    BUDGET_REFUSALS_BURST = 256 * 1024,     /**< octets of refusals of a uid at once */
    BUDGET_REFUSALS_PER_MINUTE = 16 * 1024, /**< and from then on */
    BUDGET_ALARMS_BURST = 64 * 1024,        /**< alarms apart: refusals must not hide them */
    BUDGET_ALARMS_PER_MINUTE = 4 * 1024,
    BUDGET_INTERVAL_MS = 60 * 1000, /**< between two counts of one uid */
    BUDGET_RULES_MAX = 16,          /**< rules counted apart; the rest is "other" */
    BUDGET_UIDS_MAX = 4096,         /**< uids remembered; those beyond share one budget */
};

/** What is written. */
enum budget_kind { BUDGET_REFUSAL, BUDGET_ALARM };

/** Who pays: a uid is itself. */
typedef uint64_t budget_payer;

/** Who pays for that record. */
budget_payer budget_payer_of(const struct audit_entry *entry);

/** All payers' budgets. */
typedef struct budget budget;

/** Makes one. Release: budget_free. */
AW_MUST_USE aw_result budget_new(budget **out);

/** Releases and nulls; NULL is allowed. */
void budget_free(budget **slot);

/** True while the payer has something left, however little. `now`: aw_now_ms(). */
bool budget_left(budget *self, budget_payer payer, enum budget_kind kind, int64_t now);

/** Takes what a record was. The last one may take more than was left: that is owed. */
void
budget_spend(budget *self, budget_payer payer, enum budget_kind kind, size_t octets, int64_t now);

/** Counts what was not written: uid, user, application, rule of `entry`. */
void
budget_count(budget *self, const struct audit_entry *entry, enum budget_kind kind, int64_t now);

/** How many were counted since the start. */
int64_t budget_counted(budget *self);

/** A count to be recorded. */
struct budget_sum {
    bool has_uid; /**< false: of all uids that share a budget */
    uint32_t uid;
    char user[64];
    char application[68]; /**< empty: several, or none */
    char rule[64];        /**< the first one */
    int64_t count;
    char message[2048];
};

/**
 * Takes the next count whose interval has ended (`all`: or has not) from the table; false: none.
 * What was taken is no more counted.
 */
bool budget_take(budget *self, bool all, int64_t now, struct budget_sum *out);

#endif
