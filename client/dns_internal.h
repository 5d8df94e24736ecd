/**
 * @file dns_internal.h
 * @brief What the files of dns share: libldns's messages and their release.
 */
#ifndef AW_CLIENT_DNS_INTERNAL_H
#define AW_CLIENT_DNS_INTERNAL_H

#include <ldns/ldns.h>

#include "client/dns.h"

/** Releases for AW_CLEANUP. */
void dns_free_packet(ldns_pkt **packet);
/** Releases for AW_CLEANUP. */
void dns_free_name(ldns_rdf **name);
/** Releases for AW_CLEANUP. */
void dns_free_record(ldns_rr **record);

/** A name from text; AW_CODE_SYNTAX. */
AW_MUST_USE aw_result dns_name(const char *text, ldns_rdf **out);

/** The text of a name, without the dot at its end. */
AW_MUST_USE aw_result dns_name_text(const ldns_rdf *name, char out[DNS_NAME_SIZE]);

/**
 * Sends a message, signed where there is a key, and reads the answer, whose signature is then
 * checked. Its response code is the caller's to judge.
 */
AW_MUST_USE aw_result dns_exchange(const struct dns_server *server, const struct dns_key *key,
    ldns_pkt *message, ldns_pkt **answer);

/** Asks, without recursion. */
AW_MUST_USE aw_result dns_ask(const struct dns_server *server, const struct dns_key *key,
    const ldns_rdf *name, ldns_rr_type type, ldns_pkt **answer);

/** The first record of that owner and type in the answer section; NULL: none. */
const ldns_rr *dns_find(const ldns_pkt *answer, const ldns_rdf *owner, ldns_rr_type type);

#endif
