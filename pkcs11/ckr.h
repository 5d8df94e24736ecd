/**
 * @file ckr.h
 * @brief Answers of Cryptoki: their names, what class each belongs to, what is done about a class.
 *
 * Two tables, no state. The ladder of recovery (session.c) and the ladder of attributes
 * (template.c) read them; nothing else compares CK_RV values, but for the few cases that PKCS#11
 * singles out.
 */
#ifndef AW_PKCS11_CKR_H
#define AW_PKCS11_CKR_H

#include <p11-kit/pkcs11.h>

#include "common/result.h"

/** What an answer means for the caller. */
enum token_ckr_class {
    TOKEN_CKR_GOOD,        /**< CKR_OK */
    TOKEN_CKR_SESSION,     /**< the session is dead or stuck: another one */
    TOKEN_CKR_HANDLE,      /**< the object handle is stale: find again */
    TOKEN_CKR_LOGIN,       /**< nobody is logged in: one login */
    TOKEN_CKR_GONE,        /**< device, token or library gone: end the process */
    TOKEN_CKR_PIN,         /**< the PIN is at fault: never tried again by itself */
    TOKEN_CKR_BUSY,        /**< may pass: try again later */
    TOKEN_CKR_ATTRIBUTE,   /**< an attribute or template was refused */
    TOKEN_CKR_UNSUPPORTED, /**< mechanism, key type or size not offered */
    TOKEN_CKR_DOUBT,       /**< says nothing; may be one of the first three: look and try again */
    TOKEN_CKR_FATAL,       /**< anything else */
};

/** What is done about a class. */
struct token_ckr_rule {
    enum aw_code code; /**< what the failure is called when it stays */
    unsigned rungs;    /**< how far a call may have recovered already and still go on; 0: never */
    const char *hint;  /**< what a person can do */
};

/** Class of an answer; unknown and vendor-defined ones are TOKEN_CKR_FATAL. */
enum token_ckr_class token_ckr_class(CK_RV rv);

/** Rule of a class; never NULL. */
const struct token_ckr_rule *token_ckr_rule(enum token_ckr_class class);

/** Fails with the code, name and hint of `rv`; `function` is the Cryptoki function that gave it. */
AW_MUST_USE aw_result token_ckr_fail(CK_RV rv, const char *function);

#endif
