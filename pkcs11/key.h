/**
 * @file key.h
 * @brief An account key as key.c, keygen.c and sign.c see it.
 */
#ifndef AW_PKCS11_KEY_H
#define AW_PKCS11_KEY_H

#include "pkcs11/object.h"
#include "pkcs11/public.h"

/** An account key. What is not under a lock does not change. */
struct token_key {
    token *t;
    char label[TOKEN_LABEL_MAX + 1];
    uint8_t id[TOKEN_ID_MAX];
    size_t id_size;
    struct token_public *public_key;
    struct token_handle handle;
    pthread_mutex_t verifiers_lock;
    EVP_PKEY_CTX
    *verifiers[TOKEN_SESSIONS_MAX]; /**< ready contexts; making one costs microseconds */
    unsigned verifier_count;
};

/** Takes the private key object in: its ID and public key. For token_key_find and _generate. */
AW_MUST_USE aw_result token_key_take(
    struct token_session *s, token *t, const char *label, CK_OBJECT_HANDLE object, token_key **out);

/** Refuses labels that are empty, too long or hold control characters (AW_CODE_CONFIG). */
AW_MUST_USE aw_result token_label_check(const char *label);

/** Signs on a given session, without recovery, and verifies. For the trial of a new key. */
AW_MUST_USE aw_result token_key_try(struct token_session *s, token_key *key);

#endif
