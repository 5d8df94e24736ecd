/**
 * @file forward_send.h
 * @brief One record as a message of syslog (RFC 5424) or of the journal, sent without waiting.
 * forward.c's own.
 */
#ifndef AW_SIGNER_FORWARD_SEND_H
#define AW_SIGNER_FORWARD_SEND_H

#include <sys/un.h>

#include "audit/follow.h"
#include "common/config.h"
#include "common/result.h"

/** Where messages go. */
struct forward_target {
    enum aw_config_forward to;
    int fd; /**< of syslog; -1 */
    bool connected;
    struct sockaddr_un address; /**< of syslog */
    char host[256];             /**< HOSTNAME of RFC 5424 */
};

/** Makes the socket; that nobody listens yet is no failure. Release: forward_target_close. */
AW_MUST_USE aw_result forward_target_open(
    enum aw_config_forward to, const char *socket, struct forward_target *out);

/** Closes the socket; may be called twice. */
void forward_target_close(struct forward_target *target);

/**
 * Sends one. A receiver that is gone is connected to anew.
 * @return AW_CODE_UNAVAILABLE, AW_CODE_BUSY: try the same one later
 */
AW_MUST_USE aw_result forward_send(
    struct forward_target *target, const struct audit_followed *followed);

#endif
