/**
 * @file exchange.h
 * @brief One request of libevent's HTTP, as relay_handle() takes it, and its response as HTTP.
 */
#ifndef AW_RELAY_EXCHANGE_H
#define AW_RELAY_EXCHANGE_H

#include "common/result.h"
#include "relay/config.h"
#include "relay/message.h"
#include "relay/workers.h"

struct evhttp_request;

/** A request on its way. */
struct exchange {
    struct relay_job job;
    struct evhttp_request *asked; /**< libevent's, until exchange_respond() */
    void *context;
    char *path, *content_type, *body; /**< of `request` */
    struct relay_request request;
    struct relay_response response;
};

/** The exchange whose job it is. */
struct exchange *exchange_of(struct relay_job *job);

/** Copies what is asked, so that it outlives the connection; refuses what did not come by TLS.
 * Release: exchange_free. */
AW_MUST_USE aw_result exchange_new(
    struct evhttp_request *asked, void *context, struct exchange **out);

/** Releases and nulls; NULL is allowed. */
void exchange_free(struct exchange **slot);

/** Sends the response; libevent releases the request then. `last`: the connection ends after it. */
void exchange_respond(struct exchange *exchange, const struct relay_config *config, bool last);

#endif
