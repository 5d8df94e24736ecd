/**
 * @file names.h
 * @brief DNS names and IP addresses as ACME identifiers (RFC 8555 7.1.4 and 9.7.7, RFC 8738).
 *
 * A parsed aw_name is always canonical: lower case, A-labels only, no trailing dot; comparing two
 * names is comparing their text. What is not exactly a host name is refused with the reason.
 */
#ifndef AW_COMMON_NAMES_H
#define AW_COMMON_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/result.h"

/** Octets of a name in text form (RFC 1035 2.3.4: 255 on the wire) and of a label. */
enum { AW_NAME_MAX = 253, AW_LABEL_MAX = 63 };

/** Kind of a name. */
enum aw_name_form {
    AW_NAME_HOST,     /**< www.example.edu */
    AW_NAME_WILDCARD, /**< *.example.edu: exactly one asterisk, as the whole first label */
    AW_NAME_ADDRESS,  /**< IPv4 or IPv6 address in canonical text (RFC 5952) */
};

/** One identifier. */
struct aw_name {
    enum aw_name_form form;
    uint8_t labels;             /**< number of labels, with the asterisk; 0 for an address */
    uint8_t length;             /**< strlen(text) */
    uint8_t address_size;       /**< 4 or 16 for an address, else 0 */
    uint8_t address[16];        /**< network byte order */
    char text[AW_NAME_MAX + 1]; /**< canonical text */
};

/**
 * Parses a name as it arrives in a request: a fully qualified name of at least two labels, or its
 * wildcard form. Upper case is lowered. Refused (AW_CODE_SYNTAX, message says which): empty labels,
 * trailing dot, labels over 63 or a name over 253 octets, characters other than letters, digits and
 * hyphen, a hyphen at either end of a label, "--" in positions 3 and 4 unless a valid A-label
 * (RFC 5891 4.2.3.1; checked by decoding with libidn2 and encoding again), U-labels, underscores,
 * an asterisk anywhere but as the whole first label, a numeric last label, an IP address.
 * @param length octets of `text`, which may hold any bytes (NUL is refused)
 */
AW_MUST_USE aw_result aw_name_parse(const char *text, size_t length, struct aw_name *out);

/**
 * Parses a name as it stands in a file a person wrote: like aw_name_parse, but U-labels are turned
 * to A-labels (libidn2, IDNA2008 non-transitional) and a single label is let through (the policy
 * loader has its own word on that).
 */
AW_MUST_USE aw_result aw_name_parse_file(const char *text, size_t length, struct aw_name *out);

/** Parses an IPv4 or IPv6 address in canonical form only (no leading zeros, no zone, RFC 5952; no
 * IPv4-mapped address). */
AW_MUST_USE aw_result aw_name_parse_address(const char *text, size_t length, struct aw_name *out);

/** Makes an address from 4 or 16 octets in network byte order; IPv4-mapped ones are refused: rules
 * for the IPv4 address would not see them. AW_CODE_SYNTAX. */
AW_MUST_USE aw_result aw_name_from_address(const uint8_t *octets, size_t size, struct aw_name *out);

/** The ACME identifier type: "dns" or "ip". */
const char *aw_name_type(const struct aw_name *name);

/** Order of names: by text, then form; for qsort and sets. 0 means the same identifier. */
int aw_name_compare(const struct aw_name *a, const struct aw_name *b);

/** Sorts names in place; returns false when two are the same. */
bool aw_names_sort(struct aw_name *names, size_t count);

#endif
