/**
 * @file relay.h
 * @brief The relay without its sockets: what it holds, and how one request is answered.
 *
 * relay_handle() is synchronous and may run on any number of threads at once; what it uses locks
 * itself. It neither knows nor needs an event loop.
 */
#ifndef AW_RELAY_RELAY_H
#define AW_RELAY_RELAY_H

#include "jose/jws.h"
#include "relay/accounts.h"
#include "relay/config.h"
#include "relay/message.h"
#include "relay/nonces.h"
#include "relay/problem.h"
#include "relay/route.h"
#include "relay/signer.h"

/** The relay. */
struct relay {
    const struct relay_config *config;
    struct relay_signer *signer;     /**< links to the signer */
    struct relay_nonces *nonces;     /**< of clients */
    struct relay_accounts *accounts; /**< of clients, as the signer knows them */
    char *directory;                 /**< the directory, as JSON */
    struct relay_store *store;       /**< clients' contacts, orders, certificates */
    struct relay_upstream *upstream; /**< conversations with CAs */
    struct relay_renewals *renewals; /**< renewal information that is kept */
    struct relay_work *work;         /**< what goes on while clients poll; NULL: not begun */
};

/** Makes all of it; nobody is connected to yet. Release: relay_close. */
AW_MUST_USE aw_result relay_open(const struct relay_config *config, struct relay *out);

/** Begins with the orders that are under way, and with those to come: once, when threads may be
 * started. */
AW_MUST_USE aw_result relay_begin(struct relay *relay);

/** Ends what is under way, as far as it can be gone on with at the next start; releases, zeroes. */
void relay_close(struct relay *relay);

/**
 * One call on its way. Handlers read request, match, account, key and payload, and fill response;
 * to tell the client what is wrong they return relay_problem_fail(&call->problem, ...).
 */
struct relay_call {
    struct relay *relay;
    const struct relay_request *request;
    struct relay_match match;
    struct relay_response *response;
    struct relay_problem problem;

    /* Of a POST; all verified before a handler runs. */
    cJSON *body;                   /**< the JWS as JSON */
    struct jose_parts parts;       /**< its members as they came: the evidence; into `body` */
    struct jose_jws *jws;          /**< header: url, nonce, jwk */
    cJSON *payload;                /**< an object; NULL: empty payload, POST-as-GET */
    struct relay_account *account; /**< who signed; NULL: the key in jws->jwk did */

    /* What the signer refused in relay_call_signer(); error NULL: nothing. */
    struct signer_refusal refusal;
};

/**
 * Answers a request. It never fails: what goes wrong is a problem document. `response` is zero or
 * filled in part by nobody else. Release of the response: relay_response_free.
 */
void relay_handle(
    struct relay *relay, const struct relay_request *request, struct relay_response *response);

/** Where the request is to be answered: only what never waits may run on the event loop. */
enum relay_place relay_place_of(const struct relay *relay, const struct relay_request *request);

/**
 * Calls a method of org.acmeward.Relay ("NewOrder"). A refusal is kept in call->refusal, and
 * becomes the client's problem when the handler returns the failure.
 * @param parameters JSON text of an object
 * @param[out] reply release with aw_json_free
 */
AW_MUST_USE aw_result relay_call_signer(
    struct relay_call *call, const char *method, const char *parameters, cJSON **reply);

/** Tells the log this thread's last failure, whose text is not for the client. */
void relay_log_failed(const struct relay_call *call);

/** Members `evidence` and `seen` of a call with evidence; `validated` NULL: nothing was. */
void relay_write_evidence(
    struct aw_json_writer *w, const struct relay_call *call, const char *validated);

/** Refuses (orderNotReady, malformed ...) any payload but the empty one: the request is a
 * POST-as-GET. */
AW_MUST_USE aw_result relay_require_empty(struct relay_call *call);

/** Refuses an empty payload. */
AW_MUST_USE aw_result relay_require_payload(struct relay_call *call);

#endif
