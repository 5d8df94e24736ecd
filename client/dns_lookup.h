/**
 * @file dns_lookup.h
 * @brief Questions to a resolver that follows aliases: what the rest of the world sees of a name.
 * By TCP, as all of client/dns.h.
 */
#ifndef AW_CLIENT_DNS_LOOKUP_H
#define AW_CLIENT_DNS_LOOKUP_H

#include "client/dns.h"

/** Addresses of one name that are kept. */
enum { DNS_ADDRESSES_MAX = 16 };

/** The first resolver of this system's /etc/resolv.conf. */
AW_MUST_USE aw_result dns_resolver_of_system(struct dns_server *out);

/**
 * Whether the name has a TXT record of that text.
 * @return AW_CODE_NOT_FOUND: there is no such name; AW_CODE_IO: the resolver failed to find out
 */
AW_MUST_USE aw_result dns_lookup_text(
    const struct dns_server *resolver, const char *name, const char *text, bool *found);

/** The addresses of a name, IPv6 first, with port 0; as dns_lookup_text. */
AW_MUST_USE aw_result dns_lookup_addresses(const struct dns_server *resolver, const char *name,
    struct sockaddr_storage out[DNS_ADDRESSES_MAX], size_t *count);

#endif
