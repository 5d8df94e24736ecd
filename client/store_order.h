/**
 * @file store_order.h
 * @brief The order under way of a certificate, on disk, so that a run that was cut off, or that met
 * a CA in trouble, is gone on with by the next one instead of ordering again.
 *
 * Two files beside the lock, both 0600: archive/.order-NAME.key, unless the key is in a token, then
 * archive/.order-NAME.json, which counts: without it there is no order under way, whatever the
 * key's file holds. It holds the
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
};

/** Writes it durably, in place of another. */
AW_MUST_USE aw_result store_order_save(const store *s, const struct store_order *order);

/** Reads it; AW_CODE_NOT_FOUND when there is none, AW_CODE_CORRUPT when it can't be used. */
AW_MUST_USE aw_result store_order_read(const store *s, struct store_order *out);

/** Removes it, if there is one. */
AW_MUST_USE aw_result store_order_forget(const store *s);

/** Releases and zeroes. */
void store_order_free(struct store_order *order);

#endif
