/**
 * @file ledger.h
 * @brief Order memory, URL claims, quotas, certificates: an index of the audit log in SQLite.
 *
 * The audit log is the truth. ledger_submit checks the ledger's rules, appends the record and
 * applies it, all under one lock, so the order of records is the order of changes. The ledger keeps
 * the last sequence number it has taken in (in the same transaction) and replays the rest at open,
 * with the same code that applies live records. It may therefore commit lazily: a crash loses only
 * what the log still holds.
 */
#ifndef AW_SIGNER_LEDGER_H
#define AW_SIGNER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/audit.h"
#include "common/result.h"
#include "signer/request.h"

/** Limits. */
enum {
    LEDGER_FINALIZES_MAX = 8, /**< finalize signatures of one order: badNonce, lost replies */
    LEDGER_POLLS_MAX = 2000,  /**< POST-as-GET and challenge signatures of one order */
    LEDGER_ORDER_LIFETIME = 7 * 24 * 3600, /**< seconds in which an order's requests are signed */
    LEDGER_CHALLENGES_MAX = 8,             /**< challenges of one authorization */
    LEDGER_CERTIFICATES_MAX = 10,          /**< certificate URLs of one order (alternates) */
    LEDGER_RECORDED_MAX = 10,              /**< certificates handed back for one order */
    LEDGER_DAY = 24 * 3600,                /**< window of quotas: the last 24 hours */
};

/**
 * The ledger's rules: tags.
 *
 * url.taken: a URL belongs to the application that named it first, on its account. A CA hands out
 * valid authorizations, and some a pending order, again (RFC 8555 7.1.4, 7.4), so another order of
 * the same application may name the same URL as the same kind; order, finalize and certificate URLs
 * only for the same set of names. All else is refused, and alarmed when another order holds it.
 */
#define LEDGER_RULES(X)                                                                            \
    X(NONE, "")                                                                                    \
    X(ORDER_UNKNOWN, "order.unknown")       /* no such order of this application and account */    \
    X(ORDER_EXPIRED, "order.expired")       /* older than LEDGER_ORDER_LIFETIME */                 \
    X(ORDER_NAMES, "order.names")           /* the CSR's names are not the order's */              \
    X(ORDER_BOUND, "order.bound")           /* finalize with another URL or CSR than the first */  \
    X(ORDER_SPENT, "order.spent")           /* FINALIZES_MAX, POLLS_MAX or RECORDED_MAX reached */ \
    X(URL_UNCLAIMED, "url.unclaimed")       /* never named for this order, or of another kind */   \
    X(URL_TAKEN, "url.taken")               /* named by another order first: see above */          \
    X(URL_TOO_MANY, "url.too-many")         /* more than the order can have */                     \
    X(QUOTA_ORDERS, "quota.orders_per_day") /* the application's share is used up */               \
    X(QUOTA_REVOCATIONS, "quota.revocations_per_day") /* its revocations are used up */            \
    X(KEY_FOREIGN, "revoke.key")        /* this application never finalized that key */            \
    X(SERIAL_FOREIGN, "revoke.serial")  /* another's certificate has that serial number */         \
    X(KEY_USED, "finalize.key")         /* another application finalized that key */               \
    X(KEY_REFUSED, "key.refused")       /* refused for what it is before: ledger_keys.h */         \
    X(ORDER_REPLACES, "order.replaces") /* the application did not hand that certificate back */   \
    X(CERTIFICATE_NAMES, "certificate.names") /* other names than the order's: alarm */            \
    X(CERTIFICATE_KEY, "certificate.key")     /* another key than the finalized one: alarm */      \
    X(INNER_ACCOUNT, "evidence.account")      /* no such account with a relay, or deactivated */   \
    X(INNER_KEY, "evidence.key")              /* another account with a relay has that key */      \
    X(INNER_EVIDENCE, "evidence.order")       /* again, but not what was signed before */          \
    X(INNER_BINDING, "evidence.binding")      /* the app-eab does not exist for it */              \
    X(INNER_REVOKED, "evidence.binding.revoked") /* the app-eab was revoked */                     \
    X(INNER_EXPIRED, "evidence.binding.expired") /* the app-eab has expired */                     \
    X(INNER_USED, "evidence.binding.used")       /* the app-eab was for one account, and is used */

/** On record with an officer's revocation for keyCompromise: the key is refused from then on. */
#define LEDGER_RULE_COMPROMISED "revoke.compromised"

/** Rules. */
enum ledger_rule {
#define LEDGER_RULE_ENUM(name, tag) LEDGER_##name,
    LEDGER_RULES(LEDGER_RULE_ENUM)
#undef LEDGER_RULE_ENUM
};

/** Stable tag of a rule. */
const char *ledger_rule_tag(enum ledger_rule rule);

/** An open ledger; thread-safe. */
typedef struct ledger ledger;

/** What the start found. */
struct ledger_recovery {
    int64_t replayed; /**< records of the log that the ledger lacked */
    bool rebuilt;     /**< the database was missing (and the log was not empty), or damaged, and
                           was made anew */
};

/**
 * Opens or creates `path` (0640) and takes in what the log in `audit_folder` has beyond it. A
 * damaged database is set aside (path.bad-TIME) and rebuilt from the log: quotas and claims never
 * reset.
 * @return AW_CODE_NOT_FOUND when the log ends before what the database has taken in: it was cut;
 *         AW_CODE_MISMATCH when the two are of different logs
 */
AW_MUST_USE aw_result ledger_open(const char *path, const char *audit_folder, audit_log *log,
    ledger **out, struct ledger_recovery *recovery);

/** Commits, closes, nulls; NULL is allowed. */
void ledger_close(ledger **ledger);

/** What is asked of the ledger; members as the operation needs them. */
struct ledger_request {
    enum sign_operation operation;
    const char *application;
    const char *account;
    int64_t orders_per_day;      /**< new-order: the application's share */
    int64_t revocations_per_day; /**< revoke: likewise */
    int64_t order;               /**< ticket */
    const char *url;
    const char *csr;      /**< finalize: SHA-256 of the CSR, hex */
    const char *key;      /**< finalize, revoke, record-certificate: SHA-256 of the key, hex */
    const char *replaces; /**< new-order: serial of the certificate to be replaced, hex as in its
                               record; NULL: none */
    bool pinned; /**< new-order: issuers are pinned for the CA, so only a verified certificate gives
                      the right to replace it */
    const char *certificate;     /**< record-certificate: SHA-256 of its DER, hex */
    const char *alarm_rule;      /**< record-certificate: tag of what is to be alarmed beside the
                                      record; NULL: nothing */
    const char *alarm;           /**< its text */
    const struct aw_name *names; /**< finalize, record-certificate: the CSR's or certificate's */
    size_t name_count;
    const struct sign_claim *claims;
    size_t claim_count;
    int64_t account_id;    /**< through a relay: the account that asks; 0: the application itself */
    const char *jwk;       /**< inner-account, inner-key-change: the account's (new) key */
    const char *evidence;  /**< SHA-256 of what the account signed, hex; NULL: nothing was to be */
    const char *signed_by; /**< the account's key that the evidence was verified with; NULL: none */
    bool again;            /**< new-order, revoke: the same evidence once more */
    const char *kid;       /**< inner-account: the app-eab that it was bound with */
};

/** What the ledger says. */
struct ledger_verdict {
    enum ledger_rule rule; /**< LEDGER_NONE: nothing against it */
    char message[512];     /**< for a person, when a rule refused */
    int64_t retry_after;   /**< seconds, for a quota; 0: none */
    bool alarm;            /**< an alarm record was written too */
    bool known;            /**< nothing was recorded: all of it was on record before */
    int64_t account_id;    /**< evidence.key: the account that has the key */
};

/**
 * Checks the rules, appends `entry` to the log and applies it.
 *
 * entry->verdict is "permit" or "warn" (both are signed, and count). What both have, the record
 * takes from the request. With rules in the way, entry->verdict becomes "refuse" and entry->rule
 * the rule's tag; a refusal is recorded all the same, or counted, when its user's budget (budget.h)
 * or the room for refusals is used up. A request that the policy refused already,
 * and any other record, comes with `request` NULL and is only recorded. For claims one record per
 * URL is written, and none for those that the order has already; nor for a certificate that was
 * handed back for the order before, with the same outcome. The record is not durable yet:
 * audit_log_wait(seq) before anything leaves.
 * @param now Unix seconds; the later of this and the last record's time is used
 * @param[out] seq sequence number of the (last) record; 0 for a refusal that was counted only
 * @return AW_CODE_BUSY when too many records wait: nothing was permitted, try again. After a
 * failure of the database the ledger stays broken, AW_CODE_UNAVAILABLE, until it is opened anew: an
 *         index that may be behind must not decide
 */
AW_MUST_USE aw_result ledger_submit(ledger *ledger, const struct ledger_request *request,
    struct audit_entry *entry, int64_t now, struct ledger_verdict *verdict, int64_t *seq);

struct aw_db;

/**
 * Reads the database under the ledger's lock: for look-ups by other files. A failure of `read` is
 * one of the database.
 */
AW_MUST_USE aw_result ledger_read(
    ledger *ledger, aw_result (*read)(struct aw_db *db, void *context), void *context);

/** What an application was signed within the last 24 hours. */
struct ledger_usage {
    int64_t orders, revocations;
};

/** Counts it. */
AW_MUST_USE aw_result ledger_used_today(
    ledger *ledger, const char *application, int64_t now, struct ledger_usage *out);

/**
 * Who named that URL on the account first, and as what.
 * @param[out] application NULL: nobody; allocated
 */
AW_MUST_USE aw_result ledger_holder(ledger *ledger, const char *account, const char *url,
    enum sign_url_kind *kind, char **application);

/** The application that finalized a key (SHA-256, hex); NULL: none did. Allocated. */
AW_MUST_USE aw_result ledger_key_owner(ledger *ledger, const char *key, char **application);

/** A certificate of the inventory; not one that is known not to be its CA's. */
struct ledger_certificate {
    char *application;
    char *names; /**< one text: ledger_names.h */
    int64_t not_after;
};

/** Visits those that end after `since`: a walk over all of them, for the start. */
AW_MUST_USE aw_result ledger_visit_certificates(ledger *ledger, int64_t since,
    aw_result (*visit)(void *context, const struct ledger_certificate *found), void *context);

/** Refusals that were only counted since the start (budget.h, room). */
int64_t ledger_unrecorded(ledger *ledger);

/** True while the uid has been refused more than is recorded of it (budget.h). */
bool ledger_is_over(ledger *ledger, uint32_t uid);

/** Time of the last record; 0: none. */
int64_t ledger_time(ledger *ledger);

/** Counts a refusal that has no record of its own: `entry` says uid, user and rule. */
void ledger_count_refusal(ledger *ledger, const struct audit_entry *entry);

/** Records the counts whose interval has ended, or all, while there is room for them. */
AW_MUST_USE aw_result ledger_record_counts(ledger *ledger, bool all, int64_t now);

/** Commits what was applied; called now and then by housekeeping and before a clean end. */
AW_MUST_USE aw_result ledger_commit(ledger *ledger);

#endif
