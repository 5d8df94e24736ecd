/**
 * @file signer_link.h
 * @brief The signer as the client calls it: one connection, typed calls, refusals with their
 * fields.
 *
 * The contract is signer/org.acmeward.Signer.varlink; nothing of signer/ is included. A relay calls
 * org.acmeward.Relay instead, with what its client signed (struct signer_behalf). When the
 * connection was dropped while idle it is made anew, once per call. Refusals fail with
 * AW_CODE_REFUSED and the text "refused: ..." that names rule and owner; Unavailable and NotReady
 * fail with AW_CODE_UNAVAILABLE, Frozen with AW_CODE_FROZEN.
 */
#ifndef AW_CLIENT_SIGNER_LINK_H
#define AW_CLIENT_SIGNER_LINK_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/names.h"
#include "common/result.h"

/** Longest wait for an answer of the signer, in milliseconds. */
enum { SIGNER_LINK_TIMEOUT_MS = 30 * 1000 };

/** A connection to the signer. */
typedef struct signer_link signer_link;

/** Where the signer is, and whom to take for it. */
struct signer_place {
    const char *at;          /**< its socket's path, or ssh://... (client/ssh_url.h) */
    uid_t server_uid;        /**< of a socket: the uid the signer may have besides root */
    const char *ssh_config;  /**< of ssh: a configuration file for it; NULL: the user's */
    const char *ssh_control; /**< of ssh: a connection to share (client/ssh_master.h); NULL: none */
    bool relay;              /**< the caller is a relay: org.acmeward.Relay is called */
};

/**
 * Connects; all calls go through one connection, or one ssh. What ssh finds out about the other
 * host is seen by the first call. A relay's ssh is started by that call, in turn with those of its
 * other links (client/ssh_turn.h). Release: signer_link_close.
 */
AW_MUST_USE aw_result signer_link_open(const struct signer_place *place, signer_link **out);

/** Closes, releases, nulls; NULL is allowed. */
void signer_link_close(signer_link **link);

/** A refusal as the signer said it; members that it did not say are NULL. */
struct signer_refusal {
    char *error; /**< "PolicyRefused", "LedgerRefused" ... */
    char *rule;
    char *application;
    char *name;
    char *allowed;
    char *owner;
    char *message;
    int64_t retry_after; /**< seconds; -1: none */
};
/** The last refusal on this connection, for --json; the link's own. All NULL: there was none. */
const struct signer_refusal *signer_link_refusal(const signer_link *link);

/** Hands the last refusal over; the connection has none then. Release: signer_refusal_free. */
void signer_link_take_refusal(signer_link *link, struct signer_refusal *out);

/** Releases and clears. */
void signer_refusal_free(struct signer_refusal *refusal);

/**
 * A relay's client: the flattened JWS that it signed, as it came, and how it was seen. Strings are
 * the caller's.
 */
struct signer_behalf {
    const char *protected_header, *payload, *signature; /**< base64url */
    const char *address;                                /**< NULL: not known */
    const char *client_certificate; /**< SHA-256 of its DER, hex; NULL: it showed none */
    const char *validated;          /**< challenge type that was met; NULL: none */
};

/**
 * On whose behalf a relay's link signs newOrder, finalize and revokeCert from here on: names and
 * CSR are what that evidence says. It must outlive those calls; NULL: nobody's.
 */
void signer_link_set_behalf(signer_link *link, const struct signer_behalf *behalf);

/** That one. */
const struct signer_behalf *signer_link_behalf(const signer_link *link);

/** What a relay's link remembers of that behalf: the ticket that it opened, 1 for a revocation; 0:
 * nothing was signed for it yet. A request that is signed once more says so. */
int64_t signer_link_signed(const signer_link *link);

/** Sets it. */
void signer_link_set_signed(signer_link *link, int64_t ticket);

/** Whether this is a relay's link. */
bool signer_link_is_relay(const signer_link *link);

/**
 * Calls any method of the link's interface; for those whose answers are shown as they are, or that
 * have no typed call here.
 * @param parameters JSON text of an object
 * @param[out] reply the reply's parameters object; release with aw_json_free
 */
AW_MUST_USE aw_result signer_link_call(
    signer_link *link, const char *method, const char *parameters, cJSON **reply);

/** A call that was made, for signer_link_trace. */
struct signer_exchange {
    const char *method;     /**< full name */
    const char *parameters; /**< JSON text of an object */
    const char *error;      /**< name of an error reply; NULL: none */
    const cJSON *reply;     /**< parameters of the reply; NULL: none came */
    const char *failure;    /**< why there is none */
    int64_t milliseconds;
};

/** Is told of each call when it is over. */
typedef void (*signer_tracer)(const struct signer_exchange *exchange, void *context);

/** Has all calls of this process told, whatever link they go through; before the first one. */
void signer_link_trace(signer_tracer tracer, void *context);

/** What identifies an order that was opened through the signer. Release: signer_order_free. */
struct signer_order {
    char *application;
    int64_t ticket;
};

/** Releases and zeroes. */
void signer_order_free(struct signer_order *order);

/** A signed request. Release: signer_signed_free. */
struct signer_signed {
    char *url;     /**< where to post it */
    char *jws;     /**< flattened (RFC 7515 7.2.2) */
    char *warning; /**< set when warn_until let it through, else NULL */
};

/** Releases and zeroes. */
void signer_signed_free(struct signer_signed *signed_request);

/** What newOrder asks for; NULL members are left out. */
struct signer_new_order {
    const char *application;
    const struct aw_name *names;
    size_t name_count;
    const char *profile;
    const char *replaces; /**< RFC 9773 5 */
};

/** Signs newOrder. Each call opens an order of its own with the signer. */
AW_MUST_USE aw_result signer_new_order(signer_link *link, const struct signer_new_order *asked,
    const char *nonce, struct signer_order *order, struct signer_signed *out);

/** One URL with its kind: "order", "finalize", "authorization", "challenge", "certificate". */
struct signer_claim {
    const char *kind;
    const char *url;
};

/** Names URLs of an order. */
AW_MUST_USE aw_result signer_claim_urls(signer_link *link, const struct signer_order *order,
    const struct signer_claim *claims, size_t count);

/** A claimed URL to sign for. */
struct signer_target {
    const struct signer_order *order;
    const char *nonce;
    const char *url;
};

/** Signs finalize of a CSR (DER). */
AW_MUST_USE aw_result signer_finalize(signer_link *link, const struct signer_target *target,
    const uint8_t *csr, size_t csr_size, struct signer_signed *out);

/** Signs POST-as-GET ("PostAsGet") or a challenge response ("AnswerChallenge"). */
AW_MUST_USE aw_result signer_post_url(signer_link *link, const char *method,
    const struct signer_target *target, struct signer_signed *out);

/** What is to be revoked with the account's key. */
struct signer_revoke {
    const char *application;
    const uint8_t *certificate; /**< DER */
    size_t size;
    int reason; /**< RFC 5280 5.3.1; -1: none */
};

/** Signs revokeCert (RFC 8555 7.6). */
AW_MUST_USE aw_result signer_revoke(signer_link *link, const struct signer_revoke *asked,
    const char *nonce, struct signer_signed *out);

/** Hands an issued certificate back: DER of leaf and chain. */
AW_MUST_USE aw_result signer_record_certificate(signer_link *link, const struct signer_order *order,
    const uint8_t *const *certificates, const size_t *sizes, size_t count);

#endif
