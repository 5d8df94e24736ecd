/**
 * @file internal.h
 * @brief The open token as the rooms of pkcs11/ see it.
 */
#ifndef AW_PKCS11_INTERNAL_H
#define AW_PKCS11_INTERNAL_H

#include <pthread.h>

#include <openssl/evp.h>

#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

/** An open token. What is not under a lock does not change after token_open. */
struct token {
    struct token_module module;
    CK_SLOT_ID slot;
    bool login_required; /**< private objects are there for the logged-in only */
    char *pin_source;    /**< NULL: none */
    char *latch;
    OSSL_LIB_CTX *libctx;
    char *properties;
    EVP_MD *sha256;
    EVP_MD *sha384;
    struct token_pool pool;
    pthread_mutex_t login_lock;
    struct token_session anchor; /**< under login_lock; keeps the login alive */
    pthread_mutex_t write_lock;  /**< one writer at a time */
    pthread_mutex_t store_lock;  /**< a search, or a call that adds or removes objects */
};

/** Room for a list of names in a report or a finding. */
enum { TOKEN_LIST_SIZE = 512 };

/** Appends "name" to a comma-separated list of TOKEN_LIST_SIZE bytes; what does not fit is cut. */
void token_list_add(char *list, const char *name);

#endif
