/**
 * @file upstream.h
 * @brief Conversations with CAs, as many as are in use at once: each has connections and nonces of
 * its own, and is one thread's while taken.
 */
#ifndef AW_RELAY_UPSTREAM_H
#define AW_RELAY_UPSTREAM_H

#include <stdint.h>

#include "client/acme.h"
#include "client/signer_link.h"
#include "common/result.h"
#include "relay/accounts.h"
#include "relay/config.h"
#include "relay/problem.h"
#include "relay/signer.h"

/** Limits. */
enum {
    UPSTREAM_IDLE_MAX = 64,      /**< conversations that are kept for the next one */
    UPSTREAM_ANSWER_SECONDS = 8, /**< a client that waits for an answer waits that long for the CA
                                    to be better off */
};

struct relay;

/** Conversations. Locks itself. */
struct relay_upstream;

/** Connects to nobody yet. `config` is borrowed. Release: relay_upstream_free. */
AW_MUST_USE aw_result relay_upstream_new(
    const struct relay_config *config, struct relay_upstream **out);

/** Releases and nulls; NULL is allowed. */
void relay_upstream_free(struct relay_upstream **slot);

/** Has all that waits for a CA end soon, here and in every thread (AW_CODE_INTERRUPTED). */
void relay_upstream_stop(struct relay_upstream *upstream);

/** What a conversation is for. */
enum upstream_use {
    UPSTREAM_ANSWER, /**< a client waits, and with it a thread of the server's: no more than half of
                          those do, so that a CA that hangs leaves some for everything else */
    UPSTREAM_WORK,   /**< nobody waits */
};

/** One conversation and one link to the signer, taken together: what a signed request needs. */
struct upstream_talk {
    struct relay_upstream *upstream;
    struct relay_signer *signer;
    struct upstream_line *line; /**< the conversation */
    http *h;                    /**< its connections */
    acme_session *session;      /**< its nonces */
    signer_link *link;
    bool counted; /**< it is one of those that a client waits for */
};

/**
 * Takes both for the CA of an account. Release: relay_upstream_end.
 * @return AW_CODE_UNAVAILABLE when the account's CA is not pinned or registered yet, AW_CODE_BUSY
 * when too many clients wait for CAs
 */
AW_MUST_USE aw_result relay_upstream_begin(struct relay *relay, const struct relay_account *account,
    enum upstream_use use, struct upstream_talk *out);

/** Gives both back and zeroes; a zeroed one is allowed. */
void relay_upstream_end(struct upstream_talk *talk);

/** A URL of the account's CA by its name in the directory ("newNonce"); NULL: none. */
const char *relay_upstream_url(const struct relay_account *account, const char *name);

/** Whether the CA told a problem with this conversation's last failure. */
bool relay_upstream_told(const struct upstream_talk *talk);

/**
 * What a client is told about a failure of a signed request: what the signer refused, else what the
 * CA said, else that it is to be tried again. `r` is this thread's last failure.
 * @param[out] refusal what the signer refused; release: signer_refusal_free
 */
AW_MUST_USE aw_result relay_upstream_problem(struct upstream_talk *talk, aw_result r,
    struct signer_refusal *refusal, struct relay_problem *problem);

#endif
