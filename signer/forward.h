/**
 * @file forward.h
 * @brief Hands each record of the audit log to the journal or to syslog besides.
 *
 * A thread of its own reads durable records from the log's files and sends them; nobody waits for
 * it. What the receiver does not take stays in the log and is sent later: the position is kept in
 * `forwarded` beside the log, so each record arrives at least once, in order, and after a crash the
 * last ones twice. The socket is made in forward_open and kept: afterwards only connect and sendmsg
 * are called on it (the journal's by libsystemd: sendmsg, and memfd_create for long ones).
 */
#ifndef AW_SIGNER_FORWARD_H
#define AW_SIGNER_FORWARD_H

#include <stdint.h>

#include "audit/audit.h"
#include "common/config.h"
#include "common/result.h"

/** A forwarder. Thread-safe. */
typedef struct forward forward;

/** What is forwarded where. */
struct forward_how {
    audit_log *log;
    const char *folder; /**< of the log */
    enum aw_config_forward to;
    const char *socket;            /**< of syslog: a datagram socket */
    struct forward_target *target; /**< opened before and taken over here; NULL: opened here */
};

/**
 * Begins with the first record that was not forwarded yet; where nothing ever was, with the next
 * one to come. *out is NULL where nothing is to be forwarded. A receiver that is not there is no
 * failure.
 */
AW_MUST_USE aw_result forward_open(const struct forward_how *how, forward **out);

/** Sends what the receiver takes at once, keeps the position, ends the thread; NULL is allowed. */
void forward_close(forward **self);

/** For `status`. */
struct forward_state {
    const char *to;                      /**< "journal", "syslog" */
    int64_t forwarded;                   /**< number of the last record that was taken */
    int64_t behind;                      /**< durable records that were not */
    int64_t failures;                    /**< attempts that failed, since the start */
    char message[AW_ERROR_MESSAGE_SIZE]; /**< why the last attempt failed; empty: it did not */
};

/** How it is. */
void forward_state(forward *self, struct forward_state *out);

#endif
