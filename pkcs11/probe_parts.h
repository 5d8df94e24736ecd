/**
 * @file probe_parts.h
 * @brief The parts of the probe: the keys, the attacker's tools, one attempt. Private to probe*.c.
 */
#ifndef AW_PKCS11_PROBE_PARTS_H
#define AW_PKCS11_PROBE_PARTS_H

#include <openssl/types.h>

#include "pkcs11/object.h"
#include "pkcs11/probe.h"

/** Kinds of keys; an attempt says which it is for. */
enum { PROBE_EC = 1, PROBE_RSA = 2, PROBE_MAC = 4, PROBE_UNWRAPPED = 8 };
enum {
    PROBE_PRIVATE = PROBE_EC | PROBE_RSA,
    PROBE_SECRET = PROBE_MAC | PROBE_UNWRAPPED,
    PROBE_ALL = PROBE_PRIVATE | PROBE_SECRET
};

/** Room for a wrapped, decrypted or read value. */
enum { PROBE_ROOM = 4096 };

/** The key that attempts are made on. */
struct probe_subject {
    char title[40];
    const char *label;
    unsigned kind;
    CK_OBJECT_CLASS class;
    bool required;        /**< keys of ours are of this kind */
    EVP_PKEY *public_key; /**< of an account key; NULL for secrets */
    CK_OBJECT_HANDLE object;
};

/** What an attacker makes for himself: session objects, gone with the session. */
struct probe_tools {
    CK_OBJECT_HANDLE aes;    /**< wraps and unwraps; CK_INVALID_HANDLE: the token makes none */
    CK_OBJECT_HANDLE rsa;    /**< a public key that wraps */
    CK_OBJECT_HANDLE victim; /**< may be extracted: shows that wrapping works at all */
    uint8_t blob[64];        /**< the victim, wrapped with AES */
    CK_ULONG blob_size;      /**< 0: it could not be wrapped */
    CK_RV answer;            /**< of the first call that failed */
};

struct probe_attempt;

/** One attempt in the making. */
struct probe_try {
    const struct probe_attempt *row;
    const struct probe_subject *subject;
    const struct probe_tools *tools;
    struct token_session *s; /**< of this attempt alone */
    CK_RV answer;            /**< what is shown */
    bool got;                /**< what must not be had was had */
    bool absent;             /**< the token has no such thing */
    bool unproved;           /**< refused, but so might be what is allowed */
    char note[96];           /**< how, if there is something to say */
};

/** A row of the table of attempts. */
struct probe_attempt {
    const char *name;
    unsigned kinds;
    bool required;
    void (*run)(struct probe_try *attempt);
    unsigned long type; /**< CKA_ or CKM_, as `run` wants it */
    bool value;         /**< of the attribute */
    const char *consequence;
};

/** The table, in the order in which attempts are made: what may spoil the key comes last. */
extern const struct probe_attempt probe_attempts[];
extern const size_t probe_attempt_count;

/** A call of Cryptoki whose answer is a finding, whatever it is. Yields the CK_RV. */
#define PROBE_CALL(s, function, ...) probe_answer((s), TOKEN_CALL((s), function, __VA_ARGS__))

/** The answer of a call; forgets the failure. */
static inline CK_RV
probe_answer(struct token_session *s, aw_result r)
{
    CK_RV answer = s->answer;

    aw_ignore(r, "the answer is what is looked for");
    token_session_forgive(s);
    return answer;
}

/** Whether the token offers a mechanism for a use (CKF_WRAP and so on). */
bool probe_offers(struct token_session *s, CK_MECHANISM_TYPE mechanism, CK_FLAGS use);

/** Makes the tools; what the token does not make stays invalid. */
void probe_tools_make(struct token_session *s, struct probe_tools *out);

/** Wraps `key` with the tool that fits the mechanism; *size is 0 unless it succeeded. */
CK_RV probe_wrap(struct token_session *s, const struct probe_tools *tools,
    CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE key, CK_ULONG *size);

/** Unwraps the blob with AES. */
CK_RV probe_unwrap(struct token_session *s, const struct probe_tools *tools, CK_ATTRIBUTE *template,
    CK_ULONG count, CK_OBJECT_HANDLE *out);

/** Whether the value of an object can be had, by reading or wrapping it. */
bool probe_escapes(struct probe_try *attempt, CK_OBJECT_HANDLE object);

/** @name What an attempt is: `run` of a row. Each sets what came of it. @{ */
void probe_read(struct probe_try *attempt);            /**< C_GetAttributeValue of `type` */
void probe_wrap_out(struct probe_try *attempt);        /**< C_WrapKey by mechanism `type` */
void probe_set(struct probe_try *attempt);             /**< C_SetAttributeValue of `type` */
void probe_copy(struct probe_try *attempt);            /**< C_CopyObject, changing `type` */
void probe_digest(struct probe_try *attempt);          /**< C_DigestKey */
void probe_decrypt(struct probe_try *attempt);         /**< C_Decrypt by mechanism `type` */
void probe_encrypt(struct probe_try *attempt);         /**< C_Encrypt by mechanism `type` */
void probe_verify(struct probe_try *attempt);          /**< C_Verify by mechanism `type` */
void probe_sign_recover(struct probe_try *attempt);    /**< C_SignRecover by mechanism `type` */
void probe_other_mac(struct probe_try *attempt);       /**< C_Sign by mechanism `type` */
void probe_derive(struct probe_try *attempt);          /**< C_DeriveKey by mechanism `type` */
void probe_wrap_with(struct probe_try *attempt);       /**< C_WrapKey with the key itself */
void probe_unwrap_with(struct probe_try *attempt);     /**< C_UnwrapKey with the key itself */
void probe_unwrap_template(struct probe_try *attempt); /**< against CKA_UNWRAP_TEMPLATE */
/** @} */

#endif
