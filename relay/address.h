/**
 * @file address.h
 * @brief Addresses: where to listen, and whom a connection counts for.
 */
#ifndef AW_RELAY_ADDRESS_H
#define AW_RELAY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "relay/message.h"

/** An address with its port. */
struct relay_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/**
 * Whom a connection counts for: an IPv4 address, or the /64 of an IPv6 address, which is what one
 * host can have all of (RFC 6177). All zero: none (a Unix socket).
 */
struct relay_neighbourhood {
    uint64_t high; /**< of the IPv6 /64; of IPv4 its mapped prefix */
    uint64_t low;  /**< of IPv4 the address; else 0 */
};

/** Parses "[address]:port" or "address:port", numeric only; false when it is neither. */
bool relay_address_parse(const char *text, struct relay_address *out);

/** The numeric address without a port; IPv4-mapped ones as IPv4. "" when there is none. */
void relay_address_text(const struct sockaddr_storage *address, char out[RELAY_ADDRESS_SIZE]);

/** Whom it counts for. */
struct relay_neighbourhood relay_address_neighbourhood(const struct sockaddr_storage *address);

#endif
