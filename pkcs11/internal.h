/**
 * @file internal.h
 * @brief The open token as the files of pkcs11/ see it.
 */
#ifndef AW_PKCS11_INTERNAL_H
#define AW_PKCS11_INTERNAL_H

#include <pthread.h>

#include <openssl/evp.h>

#include "pkcs11/lock.h"
#include "pkcs11/module.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

/** An open token. What is not under a lock does not change after token_open. */
struct token {
    struct token_module module;
    CK_SLOT_ID slot;
    bool login_required; /**< private objects are there for the logged-in only */
    char serial[17];     /**< of the token that was opened; empty until it is known */
    char *pin_source;    /**< NULL: none */
    char *latch;
    OSSL_LIB_CTX *libctx;
    char *properties;
    EVP_MD *sha256;
    EVP_MD *sha384;
    struct token_pool pool;
    unsigned stuck_ms; /**< a call that takes longer will not come back */
    struct token_lock login_lock;
    struct token_session anchor; /**< under login_lock; keeps the login alive */
    struct token_lock write_lock;
    struct token_session writer;  /**< under write_lock: one writer at a time */
    struct token_lock store_lock; /**< a search, or a call that adds or removes objects */
    struct token_lock ask_lock;
    struct token_session asker; /**< under ask_lock; never open: for questions about the token */
};

/** Room for a list of names in a report or a finding. */
enum { TOKEN_LIST_SIZE = 512 };

/** Appends "name" to a comma-separated list of TOKEN_LIST_SIZE bytes; what does not fit is cut. */
void token_list_add(char *list, const char *name);

#endif
