/** @file internal.h @brief What the parts of hostkey/ share: an open key. */
#ifndef AW_HOSTKEY_INTERNAL_H
#define AW_HOSTKEY_INTERNAL_H

#include <openssl/types.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "common/secret.h"
#include "hostkey/host_key.h"

struct host_key {
    int turn;                   /**< descriptor of the lock; -1: none */
    P11KitUri *uri;             /**< checked */
    const char *settings;       /**< file that the user mends */
    char *text;                 /**< as host_key_uri_check writes it */
    char *module_path;          /**< NULL: p11-kit's configuration */
    char *provider_path;        /**< the token's module, for the provider; NULL: it is not known */
    CK_FUNCTION_LIST **modules; /* NULL: not loaded */
    CK_FUNCTION_LIST *module;   /**< the token's */
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* 0: none */
    aw_secret *pin;            /**< NULL: none is needed */
    CK_OBJECT_HANDLE object;
    bool found;
    OSSL_LIB_CTX *libctx;
    EVP_PKEY *key;
};

/** Parses and checks (RFC 7512). Release: p11_kit_uri_free. */
AW_MUST_USE aw_result host_key_uri_parse(const char *text, P11KitUri **out);

/** Fails with what Cryptoki answered. */
AW_MUST_USE aw_result host_key_fail(enum aw_code code, CK_RV rv, const char *what);

/** Loads the provider; before anything is made that only it can use. */
AW_MUST_USE aw_result host_key_configure(host_key *k);

/** Unloads provider and library context. */
void host_key_unload(host_key *k);

#endif
