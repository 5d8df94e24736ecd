/**
 * @file ari.h
 * @brief ACME Renewal Information (RFC 9773): when the CA would have a certificate renewed.
 *
 * A question without signature: the answer is what TLS to the CA's web server makes of it, and all
 * it can do is to move the time of a renewal. Times are kept within the certificate's own life by
 * the caller.
 */
#ifndef AW_CLIENT_ARI_H
#define AW_CLIENT_ARI_H

#include <stdint.h>

#include <openssl/types.h>

#include "client/http.h"
#include "common/result.h"

/** Limits of the interval between two questions (RFC 9773 4.3), in seconds. */
enum {
    ARI_RETRY_MIN = 60,
    ARI_RETRY_MAX = 24 * 3600,
    ARI_RETRY_DEFAULT = 6 * 3600, /**< where the CA tells none, or nothing of use */
};

/** An answer. Release: ari_free. */
struct ari {
    int64_t start, end;  /**< suggestedWindow, Unix seconds */
    int64_t retry_after; /**< seconds until the next question, within the limits */
    char *explanation;   /**< URL for a person, printable; NULL: none */
};

/**
 * The certificate's identifier (RFC 9773 4.1): base64url of the authority key identifier, ".",
 * base64url of the serial number's octets. Allocated.
 * @return AW_CODE_NOT_FOUND when it has no authority key identifier: there is no ARI for it
 */
AW_MUST_USE aw_result ari_id(const X509 *certificate, char **out);

/** Parses an answer's body; *out has no retry_after yet. */
AW_MUST_USE aw_result ari_parse(const char *text, size_t size, struct ari *out);

/** Asks. `renewal_info`: the directory's URL of that name. */
AW_MUST_USE aw_result ari_fetch(http *h, const char *renewal_info, const char *id, struct ari *out);

/** A uniformly random time of the window (RFC 9773 4.2), its ends included. */
AW_MUST_USE aw_result ari_choose(const struct ari *ari, int64_t *out);

/** Releases and zeroes. */
void ari_free(struct ari *ari);

#endif
