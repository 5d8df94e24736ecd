/**
 * @file renew_ca.h
 * @brief The CAs of one run of renew, asked for renewal information (RFC 9773).
 *
 * The signer tells the directory of an application's account, the directory where to ask. Each is
 * asked once in a run; one that can't be reached is not asked again in it, and then the stored
 * window or a third of the lifetime decides.
 */
#ifndef AW_CLIENT_RENEW_CA_H
#define AW_CLIENT_RENEW_CA_H

#include <stdbool.h>

#include "client/ari.h"
#include "client/options.h"
#include "client/output.h"

/** Different CAs of a run; more are not asked. */
enum { RENEW_CAS_MAX = 32 };

/** One application's CA. */
struct renew_ca {
    char *key;          /**< signer, application, roots, proxy */
    char *directory;    /**< NULL: not found out */
    char *renewal_info; /**< NULL: it has none */
    http *h;
    bool broken; /**< a question failed: no other in this run */
};

/** The CAs of a run; begin with a zeroed struct. Release: renew_cas_free. */
struct renew_cas {
    struct renew_ca items[RENEW_CAS_MAX];
    size_t count;
};

/** Settings of a certificate, and what the run shares for them. */
struct renew_ca_settings {
    const struct options *options;
    const char *ssh_control; /**< of struct signer_place */
};

/** The CA of a certificate's settings, asked for its directory where that is not known yet. */
AW_MUST_USE aw_result renew_ca_find(struct renew_cas *cas, const struct renew_ca_settings *settings,
    struct output *out, struct renew_ca **ca);

/**
 * Asks for a certificate's window.
 * @return AW_CODE_NOT_FOUND when the CA has none for it
 */
AW_MUST_USE aw_result renew_ca_window(struct renew_ca *ca, const char *id, struct ari *out);

/** Releases and zeroes. */
void renew_cas_free(struct renew_cas *cas);

#endif
