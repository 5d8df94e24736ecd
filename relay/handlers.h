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

/** new-account (RFC 8555 7.3): made by the signer, with an app-eab. */
AW_MUST_USE aw_result relay_post_new_account(struct relay_call *call);

/** An account: read, contacts, deactivation (7.3.2, 7.3.6). */
AW_MUST_USE aw_result relay_post_account(struct relay_call *call);

/** Its orders (7.1.2.1); a second number: those after that ticket. */
AW_MUST_USE aw_result relay_post_account_orders(struct relay_call *call);

/** key-change (7.3.5). */
AW_MUST_USE aw_result relay_post_key_change(struct relay_call *call);

/** new-order (7.4): signed by the signer and opened at the CA before it is answered. */
AW_MUST_USE aw_result relay_post_new_order(struct relay_call *call);

/** An order (7.4), as it is stored. */
AW_MUST_USE aw_result relay_post_order(struct relay_call *call);

/** finalize (7.4). */
AW_MUST_USE aw_result relay_post_finalize(struct relay_call *call);

/** An authorization (7.5), read or deactivated (7.5.2). */
AW_MUST_USE aw_result relay_post_authorization(struct relay_call *call);

/** A challenge (7.5.1): read, or to be validated by threads of its own (work.h). */
AW_MUST_USE aw_result relay_post_challenge(struct relay_call *call);

/** A certificate (7.4.2); a second number: an alternate chain. */
AW_MUST_USE aw_result relay_post_certificate(struct relay_call *call);

/** revoke-cert (7.6). */
AW_MUST_USE aw_result relay_post_revoke(struct relay_call *call);

/** renewal-info (RFC 9773), passed on. */
AW_MUST_USE aw_result relay_get_renewal_info(struct relay_call *call);

#endif
