/**
 * @file object.h
 * @brief Objects of the token: search by label, attributes, handles that threads share.
 */
#ifndef AW_PKCS11_OBJECT_H
#define AW_PKCS11_OBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "pkcs11/lock.h"
#include "pkcs11/session.h"

/** Octets of a CKA_ID that is kept; ours have 16. */
enum { TOKEN_ID_MAX = 64 };

/** An attribute of `size` octets; Cryptoki does not write through it in a template. */
static inline CK_ATTRIBUTE
token_attribute(CK_ATTRIBUTE_TYPE type, const void *value, size_t size)
{
    CK_ATTRIBUTE attribute = {.type = type, .ulValueLen = size};

    memcpy(&attribute.pValue, &value, sizeof(value)); /* sheds const without a cast */
    return attribute;
}

/** An attribute that is true or false. */
CK_ATTRIBUTE token_attribute_bool(CK_ATTRIBUTE_TYPE type, bool value);

/** Name without prefix, for example "SENSITIVE"; a number in hex for an unknown one. */
const char *token_attribute_name(CK_ATTRIBUTE_TYPE type);

/**
 * Finds up to `max` objects. What is private is found only when logged in: call token_login before.
 */
AW_MUST_USE aw_result token_objects_find(struct token_session *s, const CK_ATTRIBUTE *template,
    size_t count, CK_OBJECT_HANDLE *out, size_t *found);

/** What names an object. */
struct token_object_name {
    CK_OBJECT_CLASS class;
    const char *label;
    const uint8_t *id; /**< NULL: any */
    size_t id_size;
    const char *what; /**< "private key", for messages */
};

/**
 * Finds exactly one object.
 * @return AW_CODE_TOKEN_KEY_MISSING, AW_CODE_MISMATCH (several)
 */
AW_MUST_USE aw_result token_object_find_one(
    struct token_session *s, const struct token_object_name *name, CK_OBJECT_HANDLE *out);

/** AW_CODE_EXISTS when an object of that class and label is there. */
AW_MUST_USE aw_result token_object_absent(
    struct token_session *s, const struct token_object_name *name);

/**
 * Destroys an object that has that name, alone of all, and looks whether it is gone.
 * @return AW_CODE_TOKEN when the token says that it did, and still has it
 */
AW_MUST_USE aw_result token_object_destroy(
    struct token_session *s, const struct token_object_name *name, CK_OBJECT_HANDLE object);

/**
 * Destroys the objects of a new CKA_ID, as far as it goes, on the way out of a failed creation: a
 * token may have made half of a pair. This thread's last failure is kept.
 */
void token_objects_discard(struct token_session *s, const uint8_t *id, size_t id_size);

/** Reads an attribute into attribute->pValue; ulValueLen is its room before and its length after.
 */
AW_MUST_USE aw_result token_attribute_read(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attribute);

/**
 * Like token_attribute_read where a refusal (sensitive, unknown to the token, larger than the room)
 * is an answer and no failure: it is in *answer.
 */
AW_MUST_USE aw_result token_attribute_ask(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *attribute, CK_RV *answer);

/** Value of a boolean attribute as the token tells it. */
enum token_flag { TOKEN_FLAG_FALSE, TOKEN_FLAG_TRUE, TOKEN_FLAG_UNKNOWN };

/** Reads a boolean attribute. */
AW_MUST_USE aw_result token_flag_read(
    struct token_session *s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, enum token_flag *out);

/** A handle that threads share; each new finding is a new generation. */
struct token_handle {
    struct token_lock renewing; /**< one search at a time */
    pthread_mutex_t lock;       /**< held for moments only */
    CK_OBJECT_HANDLE value;
    uint64_t generation;
};

/** Makes an empty handle; release: token_handle_destroy. */
AW_MUST_USE aw_result token_handle_init(struct token_handle *handle);

/** The token's object stays. */
void token_handle_destroy(struct token_handle *handle);

/** Yields the present handle and its generation. */
CK_OBJECT_HANDLE token_handle_get(struct token_handle *handle, uint64_t *generation);

/**
 * Replaces a handle that proved stale. `search` runs unless another thread has replaced generation
 * `used` meanwhile; it finds the object and checks that it is the same. AW_CODE_BUSY when
 * another search does not end before the session's deadline.
 */
AW_MUST_USE aw_result token_handle_renew(struct token_handle *handle, uint64_t used,
    aw_result (*search)(void *context, struct token_session *s, CK_OBJECT_HANDLE *out),
    void *context, struct token_session *s);

#endif
