/**
 * @file varlink.h
 * @brief The Varlink protocol (varlink.org): framing, a small client, and a small server's half.
 *
 * A message is one JSON object ended by a NUL octet. A call is {method, parameters, more?, oneway?,
 * upgrade?}, a reply {parameters} or {error, parameters}. We never stream: `more`, `oneway` and
 * `upgrade` set true are refused.
 */
#ifndef AW_COMMON_VARLINK_H
#define AW_COMMON_VARLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <cjson/cJSON.h>

#include "common/json.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    AW_VARLINK_MAX_MESSAGE = AW_JSON_MAX_SIZE, /**< octets of a message without its NUL */
    AW_VARLINK_MAX_METHOD = 128,               /**< octets of a method or error name */
};

/**
 * A connected stream with its read buffer. Messages may carry secrets, so the buffer is kept out of
 * core dumps and wiped after each message and on release; a small one (any key fits) is locked too,
 * when the system lets us. For one thread at a time.
 */
typedef struct aw_varlink_stream aw_varlink_stream;

/**
 * Wraps a connected socket, which it then owns (on failure the caller still does). Release:
 * aw_varlink_stream_free.
 */
AW_MUST_USE aw_result aw_varlink_stream_new(int fd, aw_varlink_stream **out);

/**
 * Like aw_varlink_stream_new for two descriptors, one to read and one to write (a pipe pair: the
 * standard streams of a forced command or of ssh). Owns both, as above.
 */
AW_MUST_USE aw_result aw_varlink_stream_new_pair(int in, int out_fd, aw_varlink_stream **out);

/** Closes, wipes, releases, nulls; NULL is allowed. */
void aw_varlink_stream_free(aw_varlink_stream **stream);

/** The descriptor that is read. */
int aw_varlink_stream_fd(const aw_varlink_stream *stream);

/**
 * Waits for one whole message.
 * @param idle_ms longest wait for its first octet, -1 for ever; AW_CODE_TIMEOUT
 * @param total_ms longest time from the first octet to the NUL, -1 for ever; AW_CODE_TIMEOUT
 * @param[out] text the message without its NUL, valid until the next call on the stream
 * @return AW_CODE_CLOSED at an orderly end between messages; AW_CODE_LIMIT for a message too long;
 *         AW_CODE_SYNTAX when the stream ends inside a message. After AW_CODE_LIMIT and
 *         AW_CODE_SYNTAX nothing more can be received (AW_CODE_CLOSED); the peer can still be told.
 */
AW_MUST_USE aw_result aw_varlink_receive(
    aw_varlink_stream *stream, int idle_ms, int total_ms, const char **text, size_t *length);

/**
 * Sends one message (the NUL is added here). SIGPIPE is never raised.
 * @param timeout_ms longest time for the whole message, -1 for ever; AW_CODE_TIMEOUT
 * @return AW_CODE_CLOSED when the peer is gone; AW_CODE_LIMIT for a message too long (nothing
 * sent). After a message sent in part the stream is of no more use.
 */
AW_MUST_USE aw_result aw_varlink_send(aw_varlink_stream *stream, const char *text, int timeout_ms);

/**
 * Sends a message and waits for the one that answers it. After a failure the stream is of no more
 * use, for a late answer would be taken for that of the next message.
 */
AW_MUST_USE aw_result aw_varlink_exchange(aw_varlink_stream *stream, const char *message,
    int timeout_ms, const char **text, size_t *length);

/* Names and parameters, for both halves. */

/**
 * True for a full method or error name: an interface of two or more elements and a capitalised
 * name, "org.acmeward.Signer.NewOrder" (varlink.org, interface definition), at most
 * AW_VARLINK_MAX_METHOD.
 */
bool aw_varlink_name_valid(const char *full);

/** The member "parameters", made as {} when it is absent; AW_CODE_SYNTAX when it is no object. */
AW_MUST_USE aw_result aw_varlink_parameters(cJSON *message, const cJSON **out);

/* Server's half. */

/** A parsed call. */
struct aw_varlink_call {
    cJSON *message;                         /**< owns the strings below */
    char method[AW_VARLINK_MAX_METHOD + 1]; /**< full name, "org.acmeward.Signer.NewOrder" */
    const cJSON *parameters;                /**< an object; never NULL (an empty one if absent) */
};

/**
 * Parses a message strictly as a call. Release: aw_varlink_call_free (*out is zero after a
 * failure).
 * @return AW_CODE_SYNTAX, AW_CODE_LIMIT; AW_CODE_UNSUPPORTED for more, oneway or upgrade
 */
AW_MUST_USE aw_result aw_varlink_call_parse(
    const char *text, size_t length, struct aw_varlink_call *out);

/** Releases the call and zeroes it. */
void aw_varlink_call_free(struct aw_varlink_call *call);

/** Splits "org.acmeward.Signer.NewOrder" into interface and method; false when there is no dot. */
bool aw_varlink_split(const char *full, char interface[AW_VARLINK_MAX_METHOD + 1],
    char method[AW_VARLINK_MAX_METHOD + 1]);

/** What a service tells about itself, and its interfaces. */
struct aw_varlink_service {
    const char *vendor;
    const char *product;
    const char *version;
    const char *url;
    const struct aw_varlink_interface {
        const char *name;        /**< "org.acmeward.Signer" */
        const char *description; /**< text of the .varlink file */
    } * interfaces;
    size_t interface_count;
};

/**
 * Answers org.varlink.service.GetInfo and GetInterfaceDescription, and any other method of that
 * interface with MethodNotFound. Sets *handled to false, and no reply, for any method of another
 * interface. The interfaces of `service` are listed after org.varlink.service, which is not among
 * them. The reply text is allocated.
 */
AW_MUST_USE aw_result aw_varlink_service_call(const struct aw_varlink_service *service,
    const struct aw_varlink_call *call, bool *handled, char **reply);

/** {"parameters": parameters}; `parameters` is JSON text of an object. Allocated. */
AW_MUST_USE aw_result aw_varlink_reply(const char *parameters, char **out);

/** {"error": name, "parameters": parameters}; NULL parameters are {}. Allocated. */
AW_MUST_USE aw_result aw_varlink_error(const char *name, const char *parameters, char **out);

/**
 * {"error": name, "parameters": {member: value}}, for the errors of one string, as
 * org.varlink.service.MethodNotFound (method). Allocated.
 */
AW_MUST_USE aw_result aw_varlink_error_about(
    const char *name, const char *member, const char *value, char **out);

/* Client's half. */

/**
 * Connects to a Unix socket. The server must be trustworthy: its uid (SO_PEERCRED) is root or
 * `server_uid`, and the socket's folder is owned by root or `server_uid` and not writable by
 * others.
 * @return AW_CODE_UNAVAILABLE (nobody listens; hint), AW_CODE_PERMISSION, AW_CODE_MISMATCH (an
 *         untrustworthy server)
 */
AW_MUST_USE aw_result aw_varlink_connect(
    const char *path, uid_t server_uid, aw_varlink_stream **out);

/** A reply. */
struct aw_varlink_answer {
    cJSON *message;
    char error[AW_VARLINK_MAX_METHOD + 1]; /**< full error name, empty for success */
    const cJSON *parameters;               /**< an object, never NULL */
};

/**
 * Calls a method and waits for its answer. An error reply is not a failure of this function; after
 * a failure the stream is of no more use (but for AW_CODE_USAGE: no such method name).
 * @param parameters JSON text of an object; our copy of it is wiped
 */
AW_MUST_USE aw_result aw_varlink_invoke(aw_varlink_stream *stream, const char *method,
    const char *parameters, int timeout_ms, struct aw_varlink_answer *out);

/** Releases the answer and zeroes it. */
void aw_varlink_answer_free(struct aw_varlink_answer *answer);

#endif
