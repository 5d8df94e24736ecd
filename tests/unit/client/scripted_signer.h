/**
 * @file scripted_signer.h
 * @brief A signer on a Unix socket that answers as its interface says, but for what the script
 * changes.
 *
 * It signs only for URLs that were claimed, by the kind that the method needs, as the real one
 * does. A "signature" is a JWS whose protected header is the nonce, in base64url.
 */
#ifndef AW_TESTS_SCRIPTED_SIGNER_H
#define AW_TESTS_SCRIPTED_SIGNER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/** Something other than the usual answer, used once, for the next call of that method. */
struct signer_change {
    const char *method;     /**< "NewOrder" */
    const char *error;      /**< "PolicyRefused" or a full name; NULL: success */
    const char *parameters; /**< JSON text of an object */
    bool close;             /**< the connection ends after the answer; all else NULL: without one */
};

enum { SIGNER_LOG_MAX = 64 * 1024, SIGNER_URLS_MAX = 256 };

/** The signer. */
struct scripted_signer {
    char folder[32];
    char path[48];
    char new_order[96]; /**< the pinned URL */
    int listener;
    pthread_t thread;
    pthread_mutex_t lock; /**< over what follows */
    const struct signer_change *changes;
    size_t count;
    bool taken[32]; /**< changes that were used */
    long ticket;
    unsigned connections;
    struct {
        char kind[16];
        char url[256];
    } claims[SIGNER_URLS_MAX];
    size_t claim_count;
    char calls[SIGNER_LOG_MAX]; /**< "NewOrder\n" ... */
    char log[SIGNER_LOG_MAX];   /**< calls with their parameters, a line each */
};

/** Starts; fails the test when it can't. `base`: of the CA. */
void scripted_signer_start(struct scripted_signer *signer, const char *base);

/** Sets the changes anew and forgets calls and claims. */
void scripted_signer_load(
    struct scripted_signer *signer, const struct signer_change *changes, size_t count);

/** After an answer, before its members are read: what the signer wrote is seen here. */
void scripted_signer_settle(struct scripted_signer *signer);

/** Stops and removes its folder; for AW_CLEANUP. Connections must be closed before. */
void scripted_signer_stop(struct scripted_signer *signer);

#endif
