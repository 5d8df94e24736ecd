/**
 * @file challenge.h
 * @brief Key authorizations put where the CA looks for them: http-01 (RFC 8555 8.3) and tls-alpn-01
 * (RFC 8737).
 *
 * Three ways: a file below the web root of a server that runs anyway (webroot), or a server of our
 * own on port 80 or 443 for as long as it takes (standalone, tls_alpn). Tokens and texts come from
 * the CA: a token is used only if it is of base64url's characters (attack 109).
 */
#ifndef AW_CLIENT_CHALLENGE_H
#define AW_CLIENT_CHALLENGE_H

#include <stdint.h>

#include "common/hex.h"
#include "common/names.h"
#include "common/result.h"

/** Limits. */
enum {
    CHALLENGE_TOKEN_MAX = 128,        /**< characters of a token */
    CHALLENGE_TEXT_MAX = 512,         /**< octets of a key authorization */
    CHALLENGE_DEPLOYED_MAX = 100,     /**< tokens served at a time */
    CHALLENGE_REQUEST_MAX = 8 * 1024, /**< octets of a request's header */
    CHALLENGE_REQUEST_SECONDS = 20,   /**< a slower request is dropped */
    CHALLENGE_PORT = 80,              /**< RFC 8555 8.3 knows no other */
    CHALLENGE_TLS_PORT = 443,         /**< RFC 8737 3 knows no other */
    CHALLENGE_TURN_SECONDS = 1800,    /**< for the port, while other runs of ours have it */
    CHALLENGE_HANDSHAKES_MAX = 64,    /**< at a time; more are closed */
};

/** Where validation looks, below the web root and in a request. */
#define CHALLENGE_PATH ".well-known/acme-challenge"

/** Refuses a token that is not 1 to CHALLENGE_TOKEN_MAX of A-Z a-z 0-9 - _ (AW_CODE_SYNTAX). */
AW_MUST_USE aw_result challenge_token_check(const char *token);

/** SHA-256 of a key authorization: for dns-01 (RFC 8555 8.4) and tls-alpn-01 (RFC 8737 3). */
AW_MUST_USE aw_result challenge_digest(const char *key_authorization, uint8_t out[AW_DIGEST_SIZE]);

/** The place of a type in a list of --preferred-challenges, from 1 on; 0: it is not there. */
size_t challenge_preference(const char *list, const char *type);

/** Refuses a list with anything but http, dns, tls-alpn and their whole names (AW_CODE_USAGE). */
AW_MUST_USE aw_result challenge_preferences_check(const char *list);

/** A TCP port to listen at: not blocking, IPv6 and IPv4 where `address` is NULL.
 * @return AW_CODE_IO, AW_CODE_PERMISSION with what to do, also about `option` */
AW_MUST_USE aw_result challenge_listen(
    const char *address, unsigned port, const char *option, int *out);

/**
 * Waits for the turn at a port among the runs that store below `root` (renew has several at once):
 * a lock on ROOT/archive/.port-N.lock, until the descriptor is closed. Where nothing was ever
 * stored there is no turn to wait for, and the descriptor is -1.
 * @return AW_CODE_BUSY after CHALLENGE_TURN_SECONDS, AW_CODE_INTERRUPTED
 */
AW_MUST_USE aw_result challenge_port_turn(const char *root, unsigned port, int *out);

/** The port that a socket listens at. */
AW_MUST_USE aw_result challenge_listen_port(int fd, unsigned *out);

/** Files below web roots, and the folders made for them. */
typedef struct challenge_webroot challenge_webroot;

/** Makes an empty one. Release: challenge_webroot_free. */
AW_MUST_USE aw_result challenge_webroot_new(challenge_webroot **out);

/** Removes what is still deployed and the folders that were made, where they are empty; releases,
 * nulls; NULL is allowed. */
void challenge_webroot_free(challenge_webroot **w);

/**
 * Writes ROOT/.well-known/acme-challenge/TOKEN, readable for the server; folders that are missing
 * are made (not ROOT). A file of ours, left by a run that was killed, is replaced.
 * @return AW_CODE_EXISTS where something else is in its place, be it a symbolic link
 */
AW_MUST_USE aw_result challenge_webroot_deploy(
    challenge_webroot *w, const char *root, const char *token, const char *text);

/** Removes the file of a token. */
void challenge_webroot_remove(challenge_webroot *w, const char *token);

/** A server in a thread of its own. */
typedef struct challenge_standalone challenge_standalone;

/**
 * Listens and starts to serve: GET and HEAD of deployed tokens; everything else is 404, or 501 for
 * other methods.
 * @param address numeric, or NULL for any (IPv6 and IPv4)
 * @param port 0 lets the system choose
 * @return AW_CODE_IO, AW_CODE_PERMISSION with what to do. Release: challenge_standalone_stop.
 */
AW_MUST_USE aw_result challenge_standalone_start(
    const char *address, unsigned port, challenge_standalone **out);

/** Stops, waits for the thread, releases, nulls; NULL is allowed. */
void challenge_standalone_stop(challenge_standalone **s);

/** The port that is listened at. */
unsigned challenge_standalone_port(const challenge_standalone *s);

/** Serves a token from now on. */
AW_MUST_USE aw_result challenge_standalone_deploy(
    challenge_standalone *s, const char *token, const char *text);

/** Ends that. */
void challenge_standalone_remove(challenge_standalone *s, const char *token);

/** A TLS server for tls-alpn-01, in a thread of its own: it ends each connection after the
 * handshake, and makes none for another protocol than acme-tls/1 or a name not deployed. */
typedef struct challenge_tls_alpn challenge_tls_alpn;

/** Listens; as challenge_standalone_start. Release: challenge_tls_alpn_stop. */
AW_MUST_USE aw_result challenge_tls_alpn_start(
    const char *address, unsigned port, challenge_tls_alpn **out);

/** Stops, waits for the thread, releases, nulls; NULL is allowed. */
void challenge_tls_alpn_stop(challenge_tls_alpn **s);

/** The port that is listened at. */
unsigned challenge_tls_alpn_port(const challenge_tls_alpn *s);

/** Answers for a name, or for an address by its reverse name (RFC 8738 6), with a new key. */
AW_MUST_USE aw_result challenge_tls_alpn_deploy(
    challenge_tls_alpn *s, const struct aw_name *name, const char *key_authorization);

/** Ends that. */
void challenge_tls_alpn_remove(challenge_tls_alpn *s, const struct aw_name *name);

#endif
