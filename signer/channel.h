/**
 * @file channel.h
 * @brief What crosses from a gate to the core: arrivals with their descriptors, then typed
 * messages.
 *
 * A gate parses JSON; the core never sees that text. What crosses is a header (kind, size) and a
 * tree of typed values, each with its length. The core reads it as if an attacker had written it:
 * what an honest gate does not send is AW_CODE_MISMATCH, and ends the gate. Both ends are of one
 * build on one machine: numbers are in its byte order.
 */
#ifndef AW_SIGNER_CHANNEL_H
#define AW_SIGNER_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"
#include "common/varlink.h"

/** Limits. */
enum {
    CHANNEL_BODY_MAX =
        512 * 1024,           /**< octets of a message: a call of AW_VARLINK_MAX_MESSAGE fits */
    CHANNEL_MEMBERS_MAX = 64, /**< members of one object */
    CHANNEL_TEXT_MAX = 1023,  /**< octets of what a gate says of a message that is no call */
};

/** Kinds of messages. */
enum channel_kind {
    CHANNEL_CALL = 1,    /**< a method's full name, then its parameters */
    CHANNEL_GARBAGE = 2, /**< what came was no call; the text says why */
};

/** A message's body. Wiped on release, since calls may carry keys. Release: channel_message_free.
 */
struct channel_message {
    enum channel_kind kind;
    uint8_t *data;
    size_t size;
};

/** Wipes, releases, zeroes. */
void channel_message_free(struct channel_message *message);

/** Writes a parsed call as a message. AW_CODE_LIMIT: more than a message may have. */
AW_MUST_USE aw_result channel_encode(
    const struct aw_varlink_call *call, struct channel_message *out);

/** Says what was wrong with something that is no call; cut to CHANNEL_TEXT_MAX. */
AW_MUST_USE aw_result channel_encode_garbage(const char *text, struct channel_message *out);

/**
 * Reads a CHANNEL_CALL: bounds, depth, UTF-8 without NUL, exact integers, no member
 * twice, a method's name of the right form, parameters that are an object, and nothing behind.
 * @return AW_CODE_MISMATCH for what no gate sends. Release: aw_varlink_call_free.
 */
AW_MUST_USE aw_result channel_decode(
    const struct channel_message *message, struct aw_varlink_call *out);

/** Reads a CHANNEL_GARBAGE; the text is in the message, ended by a NUL. AW_CODE_MISMATCH. */
AW_MUST_USE aw_result channel_decode_garbage(
    const struct channel_message *message, const char **text);

/** Tells the gate that the connection is one of the core's. AW_CODE_CLOSED: it is gone. */
AW_MUST_USE aw_result channel_admit(int fd);

/**
 * Waits until the core has taken the connection; nothing is read from the peer before.
 * @return AW_CODE_CLOSED: it has not, and will not
 */
AW_MUST_USE aw_result channel_await(int fd);

/** Sends a message. AW_CODE_CLOSED when the core has ended the connection. */
AW_MUST_USE aw_result channel_send(int fd, const struct channel_message *message);

/**
 * Waits for a message; for its whole once it has begun, `message_ms`.
 * @return AW_CODE_CLOSED at the end, in the middle of a message too: the gate has gone;
 *         AW_CODE_MISMATCH: a header that no gate sends, a message that does not come. Release:
 *         channel_message_free.
 */
AW_MUST_USE aw_result channel_receive(int fd, int message_ms, struct channel_message *out);

/** A gate's first word to the core: from now on it accepts. AW_CODE_CLOSED: the core is gone. */
AW_MUST_USE aw_result channel_open(int socket);

/**
 * Takes it.
 * @return AW_CODE_CLOSED when the gate is gone; AW_CODE_MISMATCH: something else
 */
AW_MUST_USE aw_result channel_take_open(int socket);

/**
 * Passes a connection that was accepted, and the end of its channel from which the core will read.
 * @param socket the gate's socket to the core (SOCK_SEQPACKET). AW_CODE_CLOSED: the core is gone.
 */
AW_MUST_USE aw_result channel_pass(int socket, int connection, int channel);

/**
 * Takes a connection that a gate passes.
 * @return AW_CODE_CLOSED when the gate is gone; AW_CODE_MISMATCH: not two descriptors;
 *         AW_CODE_BUSY: there was no room for them in this process, and they are lost
 */
AW_MUST_USE aw_result channel_take(int socket, int *connection, int *channel);

#endif
