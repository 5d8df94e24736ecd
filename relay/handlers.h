/**
 * @file handlers.h
 * @brief What answers each resource (relay/route_table.c names them).
 */
#ifndef AW_RELAY_HANDLERS_H
#define AW_RELAY_HANDLERS_H

#include "relay/relay.h"

/** The directory (RFC 8555 7.1.1): the same text for everybody. */
AW_MUST_USE aw_result relay_get_directory(struct relay_call *call);

/** new-nonce (RFC 8555 7.2): 200 for HEAD, 204 for GET; the nonce is put in by relay_handle(). */
AW_MUST_USE aw_result relay_get_nonce(struct relay_call *call);

#endif
