/**
 * @file softhsm.h
 * @brief A private SoftHSM2 for a test: its own folder, configuration, token and random PIN.
 */
#ifndef AW_TESTS_SOFTHSM_H
#define AW_TESTS_SOFTHSM_H

#include <p11-kit/pkcs11.h>

#include "pkcs11/token.h"

/** Where Debian puts it. */
#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"

struct softhsm {
    char root[64];
    char pin[17];
    char pin_path[128];
    char latch[128];
    char uri[96];
    struct token_config config; /**< ready for token_open; four sessions */
};

/** Makes the folder and a token "test" and points SOFTHSM2_CONF at it. Ends the test on failure. */
void softhsm_make(struct softhsm *h);

/** Adds a token of that label with the same PIN. The module must not be open. */
void softhsm_add_token(struct softhsm *h, const char *label);

/** Removes everything. */
void softhsm_remove(struct softhsm *h);

/** Writes a PIN to the PIN's file. */
void softhsm_write_pin(struct softhsm *h, const char *text, unsigned mode);

/** Cryptoki of the module, the same library that a token of ours uses. */
CK_FUNCTION_LIST *softhsm_functions(void);

/** A read-write session beside the token's own, on the slot of the token "test". */
CK_SESSION_HANDLE softhsm_session(void);

/** The slot of the initialised token of that label. */
CK_SLOT_ID softhsm_slot(const char *label);

/** The one object of a class and label; CK_INVALID_HANDLE when there is none. */
CK_OBJECT_HANDLE softhsm_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, const char *label);

/** Puts a public key (SubjectPublicKeyInfo) into the token; `bare`: an EC point without its OCTET
 * STRING, as some tokens have it. */
void softhsm_put_public_key(CK_SESSION_HANDLE session, const uint8_t *spki, size_t size, bool bare);

/** Puts a certificate into the token. */
void softhsm_put_certificate(CK_SESSION_HANDLE session, const uint8_t *der, size_t size);

/** Opens the token of the configuration; ends the test with the failure's message. */
token *softhsm_open(const struct softhsm *h);

/** Asserts success and shows the message otherwise. */
#define assert_ok(expression)                                                    \
    do {                                                                         \
        if (!aw_ok(expression))                                                  \
            fail_msg("%s: %s (hint: %s)", #expression, aw_error_last()->message, \
                aw_error_last()->hint);                                          \
    } while (0)

/** Asserts a failure's code and a part of its message. */
#define assert_fails(expression, expected, part)                                                \
    do {                                                                                        \
        aw_result got_ = (expression);                                                          \
        if (got_.code != (expected))                                                            \
            fail_msg("%s: got %s (%s), expected %s", #expression, aw_code_tag(got_.code),       \
                aw_ok(got_) ? "" : aw_error_last()->message, aw_code_tag(expected));            \
        if (strstr(aw_error_last()->message, (part)) == NULL)                                   \
            fail_msg("%s: \"%s\" lacks \"%s\"", #expression, aw_error_last()->message, (part)); \
    } while (0)

#endif
