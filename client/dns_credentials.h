/**
 * @file dns_credentials.h
 * @brief The file of --dns-rfc2136-credentials: certbot's keys and form, "dns_rfc2136_NAME =
 * VALUE".
 *
 * It holds a TSIG secret, so it must belong to root or this user and be readable for nobody else.
 * The secret is never shown, nor are the file's lines.
 */
#ifndef AW_CLIENT_DNS_CREDENTIALS_H
#define AW_CLIENT_DNS_CREDENTIALS_H

#include "client/dns.h"
#include "common/secret.h"

/** Octets of the file. */
enum { DNS_CREDENTIALS_MAX = 16 * 1024 };

/** What is in it; strings are in `text`. */
struct dns_credentials {
    aw_secret *text;
    const char *server;
    unsigned port; /**< default 53 */
    struct dns_key key;
    bool sign_query;                 /**< questions are signed too; default: no */
    const char *propagation_servers; /**< ADDRESS or ADDRESS@PORT, with commas; NULL: by NS */
};

/** Reads one. AW_CODE_CONFIG with the line. Release: dns_credentials_free. */
AW_MUST_USE aw_result dns_credentials_load(const char *path, struct dns_credentials *out);

/** Parses the text of one, taking it over. As dns_credentials_load. */
AW_MUST_USE aw_result dns_credentials_parse(
    const char *path, aw_secret **text, struct dns_credentials *out);

/** Wipes, releases, zeroes. */
void dns_credentials_free(struct dns_credentials *credentials);

#endif
