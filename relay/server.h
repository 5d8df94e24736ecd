/**
 * @file server.h
 * @brief HTTPS for relay_handle(): libevent's HTTP over OpenSSL on one thread, workers beside it.
 */
#ifndef AW_RELAY_SERVER_H
#define AW_RELAY_SERVER_H

#include "common/result.h"
#include "relay/relay.h"
#include "relay/tls.h"

/** Limits that nobody needs to change. */
enum {
    RELAY_HEADERS_MAX = 16 * 1024, /**< octets of a request's header */
    RELAY_SWEEP_MS = 250,          /**< deadlines are looked at this often */
    RELAY_ENDING_SECONDS = 30,     /**< for requests in progress, when the server is to end */
};

/** The server. */
struct relay_server;

/** What it is made of; all is borrowed. */
struct relay_server_of {
    struct relay *relay;
    struct relay_tls *tls;
    int signals; /**< a signalfd: SIGHUP loads the certificate anew, any other ends the server */
};

/** Starts the workers. Release: relay_server_free. */
AW_MUST_USE aw_result relay_server_new(const struct relay_server_of *of, struct relay_server **out);

/** Takes connections from a listening socket, which it owns from now on, also after a failure. */
AW_MUST_USE aw_result relay_server_listen(struct relay_server *server, int fd);

/** Serves until a signal says to end; requests that are there then are answered. */
AW_MUST_USE aw_result relay_server_run(struct relay_server *server);

/** Releases and nulls; NULL is allowed. */
void relay_server_free(struct relay_server **slot);

#endif
