/**
 * @file dns.h
 * @brief DNS messages to one server at a time, and RFC 2136 updates. Messages are built, parsed and
 * signed (TSIG, RFC 8945) by libldns; over TCP, so that nobody off the path can answer.
 */
#ifndef AW_CLIENT_DNS_H
#define AW_CLIENT_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "common/result.h"

/** Limits. */
enum {
    DNS_NAME_SIZE = 1025, /**< a name as text, every octet escaped at worst, with its NUL */
    DNS_PORT = 53,
    DNS_SECONDS = 5,      /**< for an answer */
    DNS_ALIASES_MAX = 8,  /**< of one name that are followed */
    DNS_SERVERS_MAX = 32, /**< addresses of a zone's servers that are asked */
    DNS_TTL = 60,         /**< of records that are added: they live for minutes */
    DNS_SERVER_TEXT_SIZE = 128,
};

/** Where a server is. */
struct dns_server {
    char text[DNS_SERVER_TEXT_SIZE]; /**< for messages */
    struct sockaddr_storage address;
    socklen_t size;
};

/** A TSIG key; strings are the caller's. */
struct dns_key {
    const char *name;
    const char *algorithm; /**< "hmac-sha256." */
    const char *secret;    /**< base64 */
};

/** A TXT record. */
struct dns_record {
    const char *zone;
    const char *name;
    const char *text; /**< at most 255 octets, of base64url's characters */
};

/** Finds the first address of a host, or takes a numeric one. */
AW_MUST_USE aw_result dns_server_find(const char *host, unsigned port, struct dns_server *out);

/**
 * The zone that a server is authoritative for and that `name` is in: SOA is asked for the name,
 * then for what is above it. @param key signs the questions; NULL: they are not signed
 */
AW_MUST_USE aw_result dns_find_zone(const struct dns_server *server, const struct dns_key *key,
    const char *name, char zone[DNS_NAME_SIZE]);

/**
 * Follows CNAMEs of a name: what `server` is authoritative for by it, the rest by this host's
 * resolver. A name whose aliases nobody tells is left as it is.
 */
AW_MUST_USE aw_result dns_follow(const struct dns_server *server, const struct dns_key *key,
    const char *name, char target[DNS_NAME_SIZE]);

/**
 * Adds (`add`) or removes that very record. The answer's signature is checked.
 * @return AW_CODE_PERMISSION: refused, key unknown or wrong; AW_CODE_MISMATCH: the answer is not
 * signed by the key; AW_CODE_IO, AW_CODE_TIMEOUT
 */
AW_MUST_USE aw_result dns_update(const struct dns_server *server, const struct dns_key *key,
    const struct dns_record *record, bool add);

/** The addresses of a zone's name servers, by their NS records; one whose address is that of
 * `server` has its port. */
AW_MUST_USE aw_result dns_zone_servers(const struct dns_server *server, const struct dns_key *key,
    const char *zone, struct dns_server *out, size_t *count);

/** Whether a server tells that record; one that can't be asked does not. */
bool dns_has(const struct dns_server *server, const struct dns_record *record);

#endif
