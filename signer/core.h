/**
 * @file core.h
 * @brief What the signer holds: configuration, policy snapshot, token, accounts, log, ledger.
 *
 * One core per process, made by main, shared by all threads. Everything in it locks itself.
 */
#ifndef AW_SIGNER_CORE_H
#define AW_SIGNER_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/types.h>

#include "audit/audit.h"
#include "common/config.h"
#include "common/log.h"
#include "common/result.h"
#include "csr/issuers.h"
#include "pkcs11/token.h"
#include "policy/policy.h"
#include "signer/accounts.h"
#include "signer/checkpoints.h"
#include "signer/clock.h"
#include "signer/forward.h"
#include "signer/forward_send.h"
#include "signer/freezes.h"
#include "signer/leaving.h"
#include "signer/ledger.h"
#include "signer/metrics.h"
#include "signer/peer.h"
#include "signer/relay_nonces.h"
#include "signer/relays.h"
#include "signer/teller.h"
#include "signer/turns.h"
#include "signer/users.h"
#include "signer/watch.h"

/** Limits. */
enum { CORE_REASON_MAX = 200 }; /**< characters of the reason for a freeze */

/** What of the sandbox is in force in this process; nothing in tests that open a core themselves.
 */
struct core_sandbox {
    bool root; /**< runs as root */
    bool seccomp;
    int landlock; /**< version of the kernel's interface; 0: not in force */
};

/** The core. Members below `lock` are guarded by it. */
struct core {
    const char *config_path;
    OSSL_LIB_CTX *libctx;
    users *users; /**< main's; NULL: users are looked up in this process */
    token *token;
    turns *turns;         /**< at the token, for the applications' requests */
    relay_nonces *nonces; /**< of relays' clients */
    accounts *accounts;
    audit_log *audit;
    checkpoints *checkpoints;             /**< NULL: none are configured */
    forward *forward;                     /**< NULL: records are not forwarded */
    struct forward_target forward_target; /**< made before the sandbox, then its */
    ledger *ledger;
    char *freeze_path;
    freezes *freezes;       /**< of single applications */
    struct leaving leaving; /**< signatures that no freeze stops any more */
    int64_t started_at;
    struct core_sandbox sandbox; /**< what main put in force */
    struct clock clock;          /**< records and quotas go by it: core_time */
    struct teller teller;        /**< of failures that clients cause */
    struct watch watch;          /**< housekeeping's */
    metrics *metrics;
    char *metrics_path;      /**< NULL: no figures are written */
    int64_t metrics_seconds; /**< from one to the next */
    int64_t ledger_replayed; /**< records that the ledger lacked at the start */
    atomic_int connections;  /**< open ones, at both sockets */
    atomic_long permits;
    atomic_long refusals;
    atomic_long failures;
    atomic_bool token_gone; /**< the process must end and be started anew */

    pthread_mutex_t freeze_lock; /**< one freeze or unfreeze at a time, with its record */
    pthread_mutex_t change_lock; /**< one reload at a time; before `lock` */
    pthread_mutex_t held_lock;   /**< one search of the token (held_keys.h); before `lock` */
    pthread_mutex_t lock;        /**< held for moments only, never over a call that blocks */
    struct aw_config *config;
    struct peer_roles roles;
    struct relays relays;
    struct issuers_set issuers; /**< by the order of config->cas */
    policy_snapshot *snapshot;
    struct token_held held; /**< public keys in the token; see held_keys.h */
    int64_t loaded_at;
    bool frozen;
    int64_t frozen_since;
    char frozen_reason[CORE_REASON_MAX + 1];
};

/**
 * Reads and checks configuration and policies, and opens nothing yet: main confines the process
 * between this and core_start. Faults of files are added to `faults`.
 * @param who outlives the core; NULL: users are looked up in this process
 * Release: core_close.
 */
AW_MUST_USE aw_result core_load(
    const char *config_path, users *who, struct aw_faults *faults, struct core **out);

/**
 * Opens everything in the order that fails cheapest first: log, ledger, token, accounts. A start
 * record is written, and an alarm for each application that is inert.
 */
AW_MUST_USE aw_result core_start(struct core *core);

/** Both in one. */
AW_MUST_USE aw_result core_open(
    const char *config_path, users *who, struct aw_faults *faults, struct core **out);

/** Writes the stop record, closes everything in order, nulls; NULL is allowed. This thread's last
 * failure stays: it may be why. */
void core_close(struct core **core);

/** A line of the log for each fault or warning. */
void core_log_faults(enum aw_log_level level, const struct aw_faults *faults);

/** Reads and checks configuration and policies as core_open would, without opening anything. */
AW_MUST_USE aw_result core_check_config(
    const char *config_path, struct aw_faults *faults, struct aw_faults *warnings);

/** The present snapshot, retained: policy_release it. */
policy_snapshot *core_snapshot(struct core *core);

/**
 * Reads configuration and policies anew and swaps them in; on any fault the old ones stay, and the
 * log has each. Token and paths are taken at the start only: a change of them is a fault that says
 * so.
 * @param by the administrator, for the record; NULL: a signal
 */
AW_MUST_USE aw_result core_reload(
    struct core *core, const struct peer *by, struct aw_faults *faults, struct aw_faults *warnings);

/** The peer's role by the present configuration. */
enum peer_role core_role_of(struct core *core, const struct peer *peer);

/**
 * True for the signer's own user: it has no role, and may ask for what it may have by a signal, as
 * the service manager does to learn what comes of it.
 */
bool core_is_self(const struct peer *peer);

/**
 * By which users and groups of the present configuration the peer is an administrator, or by being
 * the signer's own user.
 */
void core_grounds_of(struct core *core, const struct peer *peer, struct grounds *out);

/**
 * True when the peer is a relay by the present configuration; then `url` is the base of the URLs
 * that its clients sign for, without a slash at the end.
 */
bool
core_relay_of(struct core *core, const struct peer *peer, char url[AW_CONFIG_RELAY_URL_MAX + 1]);

/** Adds the user or group by which the peer is a relay. */
void core_relay_grounds_of(struct core *core, const struct peer *peer, struct grounds *out);

/** What certificates of that CA must chain to, retained: issuers_release it. NULL: none pinned. */
issuers *core_issuers(struct core *core, const char *ca);

/** True while signing for applications is stopped; since when and why. Both may be NULL. */
bool core_frozen(struct core *core, int64_t *since, char reason[CORE_REASON_MAX + 1]);

/** Stops signing for all applications; durable before it returns, and where writing failed it is
 * stopped until the end. Its record is the caller's, who holds freeze_lock over both: what a start
 * finds in the two must be what was said last. */
AW_MUST_USE aw_result core_freeze(struct core *core, const char *reason);

/** Stops signing in memory alone, at once: before core_freeze, which waits for another change to be
 * over, whatever that waits for. A reason that is too long is left out. */
void core_freeze_now(struct core *core, const char *reason);

/** Lets it go on; likewise. Freezes of single applications stay (freezes.h). */
AW_MUST_USE aw_result core_unfreeze(struct core *core);

/** The time of records and quotas (clock.h). `ahead` may be NULL. */
int64_t core_time(const struct core *core, int64_t *ahead);

/** Counts a message that is no request, for the record of refusals. */
void core_count_garbage(struct core *core, const struct peer *peer);

/** Appends a record of the signer's own or an administrator's and waits until it is durable. */
AW_MUST_USE aw_result core_record(struct core *core, struct audit_entry *entry);

/** Notes AW_CODE_TOKEN_GONE wherever it turns up: main ends the process. */
void core_note_failure(struct core *core, enum aw_code code);

/** Looks after log, ledger, counts and clock; called by main several times a second. */
AW_MUST_USE aw_result core_housekeep(struct core *core);

/** The real-time clock in Unix seconds, for the policy; records and quotas go by core_time. */
int64_t core_now(void);

#endif
