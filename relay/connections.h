/**
 * @file connections.h
 * @brief The server's connections: how many there are in all and of one address, and how long each
 * may take for a handshake, a request, a response, and for nothing at all.
 *
 * libevent owns a connection; what is kept here goes with its SSL. To end one, its socket is shut
 * down, and libevent finds that out. All for the loop's thread.
 */
#ifndef AW_RELAY_CONNECTIONS_H
#define AW_RELAY_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "common/result.h"
#include "relay/config.h"
#include "relay/message.h"

struct bufferevent;

/** What a connection is doing; each but RELAY_ANSWERING has a deadline. */
enum relay_doing {
    RELAY_SHAKING_HANDS,
    RELAY_IDLE,      /**< nothing of a request has come */
    RELAY_ASKING,    /**< a request is coming in */
    RELAY_ANSWERING, /**< the request is here, the response not yet */
    RELAY_SENDING,   /**< the response is going out */
};

/** One connection. */
struct relay_connection;

/** All of them. */
struct relay_connections;

/** Makes it empty; limits are those of `config`, which is borrowed. */
AW_MUST_USE aw_result relay_connections_new(
    const struct relay_config *config, struct relay_connections **out);

/** When no connection is left; releases and nulls. */
void relay_connections_free(struct relay_connections **slot);

/** A connection begins; its address is not known yet. AW_CODE_MEMORY. */
AW_MUST_USE aw_result relay_connections_add(
    struct relay_connections *connections, struct bufferevent *bufferevent, SSL *ssl);

/**
 * Looks at those that were added since: who is over the limit of its address is turned away; over
 * the limit in all, whoever has been idle longest makes room.
 */
void relay_connections_greet(struct relay_connections *connections);

/** Ends those whose deadline has passed. */
void relay_connections_sweep(struct relay_connections *connections);

/** Ends those that wait for a request; of the others each after its response. */
void relay_connections_retire(struct relay_connections *connections);

/** How many there are. */
size_t relay_connections_count(const struct relay_connections *connections);

/** The connection of a TLS session; NULL: none. */
struct relay_connection *relay_connection_of(const SSL *ssl);

/** The request is here. */
void relay_connection_answering(struct relay_connection *connection);
/** The response goes out from now on. */
void relay_connection_sending(struct relay_connection *connection);
/** The response is out. */
void relay_connection_idle(struct relay_connection *connection);

/** The client's address; "": not known. */
const char *relay_connection_address(const struct relay_connection *connection);

#endif
