/**
 * @file tls.h
 * @brief The server's TLS: versions, ciphers, its certificate and key, which are loaded anew when
 * their files change; client certificates.
 *
 * TLS 1.2 and 1.3 only, forward secrecy and authenticated encryption only, no tickets and no
 * resumption, no renegotiation. Connections keep the certificate that they began with.
 */
#ifndef AW_RELAY_TLS_H
#define AW_RELAY_TLS_H

#include <openssl/types.h>

#include "common/hex.h"
#include "common/result.h"
#include "relay/config.h"
#include "relay/message.h"

/** How often files are looked at, and a token's key is tried; the second time after it failed. */
enum { RELAY_TLS_LOOK_MS = 1000, RELAY_TLS_TRIAL_MS = 5000, RELAY_TLS_AGAIN_MS = 1500 };

/** The context in force and what it was made from. For the loop's thread. */
struct relay_tls;

/** Loads the files. The key's must not be readable for others than its owner and group. Release:
 * relay_tls_free. `config` is borrowed. */
AW_MUST_USE aw_result relay_tls_new(const struct relay_config *config, struct relay_tls **out);

/** Releases and nulls; NULL is allowed. Connections that are there keep what they use. */
void relay_tls_free(struct relay_tls **slot);

/** A new connection's half; release with SSL_free(). NULL: no memory. */
SSL *relay_tls_accept(struct relay_tls *tls);

/** Loads the files anew; when they are not in order what was in force stays so. */
AW_MUST_USE aw_result relay_tls_reload(struct relay_tls *tls);

/** Now and then: reloads when the files were changed and have been left alone since; says so in the
 * log, either way. */
void relay_tls_look(struct relay_tls *tls);

/** Now and then: a key in a token is tried (RELAY_TLS_TRIAL_MS). When it fails twice on end there
 * is no use in going on: a new start opens the token anew. */
AW_MUST_USE aw_result relay_tls_try(struct relay_tls *tls);

/** SHA-256 of the DER of the verified certificate that the client showed, hex; "": none. */
void relay_tls_client(const SSL *ssl, char out[AW_DIGEST_HEX_SIZE]);

#endif
