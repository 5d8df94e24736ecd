/**
 * @file connect.h
 * @brief Joins two standard streams to the signer's socket: what `acmeward connect` does.
 *
 * Octets are copied and not looked at: the signer parses them, as it does those of its own host.
 */
#ifndef AW_CLIENT_CONNECT_H
#define AW_CLIENT_CONNECT_H

#include "common/result.h"

/**
 * Copies `in` to the socket and the socket to `out` until the signer has closed. The end of `in` is
 * passed on (shutdown), so that answers on their way still arrive.
 * @return AW_CODE_UNAVAILABLE when the signer closed without an answer to what was sent
 */
AW_MUST_USE aw_result connect_streams(int in, int out, int socket);

#endif
