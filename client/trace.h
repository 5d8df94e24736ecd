/**
 * @file trace.h
 * @brief -v: each call of the signer and each request to the CA with its answer, for a person who
 * looks for a fault.
 *
 * There is nothing to hide: the client has no account key and no EAB key. Of a JWS header and
 * payload are shown decoded when it is posted; its signature is not, so that nobody posts one that
 * can still be used.
 */
#ifndef AW_CLIENT_TRACE_H
#define AW_CLIENT_TRACE_H

#include "client/output.h"

/** From here on requests are told on `out`, and progress is not rewritten any more. */
void trace_begin(struct output *out);

#endif
