/**
 * @file store_order.h
 * @brief The order under way of a certificate, on disk, so that a run that was cut off, or that met
 * a CA in trouble, is gone on with by the next one instead of ordering again.
 *
 * Files beside the lock: archive/.order-NAME.key (0600), unless the key is in a token,
 * archive/.order-NAME.conf with the settings, unless they are those of the certificate already, and
 * last archive/.order-NAME.json (0600), which counts: without it there is no order under way,
 * whatever the others hold. It holds the
 * CSR too, since a finalize is bound to the very octets of the first one. Owned by the run that has
 * the store open.
 */
#ifndef AW_CLIENT_STORE_ORDER_H
#define AW_CLIENT_STORE_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "client/store.h"
#include "common/names.h"
#include "common/result.h"
#include "common/secret.h"

/** Limits. */
enum {
    STORE_ORDER_NAMES_MAX = 100,
    STORE_ORDER_SECONDS = 7 * 86400, /**< as long as the signer remembers an order */
};

/** An order under way. Release: store_order_free. */
struct store_order {
    char *application;
    int64_t ticket;        /**< the signer's */
    char *url;             /**< the order's, at the CA */
    char *new_order;       /**< the URL that it was ordered at, whose origin is the CA's */
    char *profile;         /**< NULL: none */
    struct aw_name *names; /**< sorted */
    size_t name_count;
    int64_t opened; /**< Unix seconds */
    uint8_t *csr;   /**< DER */
    size_t csr_size;
    bool must_staple; /**< the CSR asks for it */
    char *key_uri;    /**< of a key in a token: no file, and `key` its public half; NULL: a file */
    EVP_PKEY *key;
    aw_secret *key_pem; /**< what store_order_save wrote as the key's file; NULL: nothing yet */
};

/**
 * Writes it durably, in place of another.
 * @param settings what a renewal repeats, written beside it as archive/.order-NAME.conf; NULL: what
 *        renewal/NAME.conf says
 */
AW_MUST_USE aw_result store_order_save(
    const store *s, struct store_order *order, const char *settings);

/** The file of its key. */
AW_MUST_USE aw_result store_order_key_path(const store *s, char **out);

/** Reads it; AW_CODE_NOT_FOUND when there is none, AW_CODE_CORRUPT when it can't be used. */
AW_MUST_USE aw_result store_order_read(const store *s, struct store_order *out);

/** Removes it, if there is one. */
AW_MUST_USE aw_result store_order_forget(const store *s);

/**
 * Removes it, if there is one, now that its certificate is stored. That is made durable with
 * whatever is written into the folder next: if it comes back, the next run sees by the certificate
 * that it is done (certonly_under_way).
 */
AW_MUST_USE aw_result store_order_done(const store *s);

/** Releases and zeroes. */
void store_order_free(struct store_order *order);

#endif
