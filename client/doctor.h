/**
 * @file doctor.h
 * @brief `acmeward doctor`: whether this host can get and renew certificates, and what to do.
 *
 * cmd_doctor.c is the sequence; doctor_ca.c looks at the CA and the clock, doctor_host.c at what is
 * stored and at the timer, doctor_token.c at keys in a token. Nothing is changed, ordered or
 * signed.
 */
#ifndef AW_CLIENT_DOCTOR_H
#define AW_CLIENT_DOCTOR_H

#include "client/certonly.h"

/** What came of a look. */
enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

/** One run. */
struct doctor {
    struct output *out;
    struct aw_json_writer w; /**< inside of the array of checks */
    const struct client_config *config;
    size_t warnings, failures;
};

/** Tells a line. @param hint what to do; NULL or empty: nothing */
void doctor_tell(struct doctor *d, enum doctor_verdict verdict, const char *check,
    const char *message, const char *hint);

/** Tells this thread's last failure. */
void doctor_tell_failure(struct doctor *d, enum doctor_verdict verdict, const char *check);

/** Fetches the directory of each of the applications' CAs; compares clocks. */
void doctor_look_at_cas(struct doctor *d, const struct whoami *whoami);

/** A certificate's key in a token: module, token, PIN, provider, and that it is its key. */
void doctor_look_at_token(struct doctor *d, const struct store_entry *entry);

/** Folders, certificates, orders under way, the timer. */
void doctor_look_at_host(struct doctor *d);

#endif
