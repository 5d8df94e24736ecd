/**
 * @file tls_advice.h
 * @brief What clients will not like of the relay's certificate, told before they do.
 */
#ifndef AW_RELAY_TLS_ADVICE_H
#define AW_RELAY_TLS_ADVICE_H

#include <stddef.h>

#include <openssl/types.h>

/** Days before its end from which a certificate is warned of. */
enum { RELAY_TLS_WARN_DAYS = 14, RELAY_TLS_ADVICE_SIZE = 512 };

/** Writes what is wrong with a certificate that is shown for that base URL: its names, its time.
 * Empty: nothing. Without certificate nothing is. */
void relay_tls_advise(X509 *certificate, const char *url, char out[RELAY_TLS_ADVICE_SIZE]);

#endif
