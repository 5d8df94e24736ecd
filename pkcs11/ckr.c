#include "pkcs11/ckr.h"

#include <stdint.h>
#include <stdio.h>

#include "pkcs11/token.h"

/*
 * PKCS#11 v2.40 section 5.1. An operation that is active or missing means that the session was left
 * in the middle of something: a new one has none. A device error counts as gone: a restart of the
 * process is what helps.
 */
#define CKRS(X)                                    \
    X(CKR_OK, GOOD)                                \
    X(CKR_CANCEL, BUSY)                            \
    X(CKR_HOST_MEMORY, BUSY)                       \
    X(CKR_SLOT_ID_INVALID, GONE)                   \
    X(CKR_GENERAL_ERROR, DOUBT)                    \
    X(CKR_FUNCTION_FAILED, DOUBT)                  \
    X(CKR_ARGUMENTS_BAD, FATAL)                    \
    X(CKR_NO_EVENT, FATAL)                         \
    X(CKR_NEED_TO_CREATE_THREADS, FATAL)           \
    X(CKR_CANT_LOCK, FATAL)                        \
    X(CKR_ATTRIBUTE_READ_ONLY, ATTRIBUTE)          \
    X(CKR_ATTRIBUTE_SENSITIVE, ATTRIBUTE)          \
    X(CKR_ATTRIBUTE_TYPE_INVALID, ATTRIBUTE)       \
    X(CKR_ATTRIBUTE_VALUE_INVALID, ATTRIBUTE)      \
    X(CKR_ACTION_PROHIBITED, FATAL)                \
    X(CKR_DATA_INVALID, FATAL)                     \
    X(CKR_DATA_LEN_RANGE, FATAL)                   \
    X(CKR_DEVICE_ERROR, GONE)                      \
    X(CKR_DEVICE_MEMORY, FATAL)                    \
    X(CKR_DEVICE_REMOVED, GONE)                    \
    X(CKR_ENCRYPTED_DATA_INVALID, FATAL)           \
    X(CKR_ENCRYPTED_DATA_LEN_RANGE, FATAL)         \
    X(CKR_FUNCTION_CANCELED, BUSY)                 \
    X(CKR_FUNCTION_NOT_PARALLEL, FATAL)            \
    X(CKR_FUNCTION_NOT_SUPPORTED, UNSUPPORTED)     \
    X(CKR_KEY_HANDLE_INVALID, HANDLE)              \
    X(CKR_KEY_SIZE_RANGE, UNSUPPORTED)             \
    X(CKR_KEY_TYPE_INCONSISTENT, UNSUPPORTED)      \
    X(CKR_KEY_NOT_NEEDED, FATAL)                   \
    X(CKR_KEY_CHANGED, FATAL)                      \
    X(CKR_KEY_NEEDED, FATAL)                       \
    X(CKR_KEY_INDIGESTIBLE, FATAL)                 \
    X(CKR_KEY_FUNCTION_NOT_PERMITTED, UNSUPPORTED) \
    X(CKR_KEY_NOT_WRAPPABLE, FATAL)                \
    X(CKR_KEY_UNEXTRACTABLE, FATAL)                \
    X(CKR_MECHANISM_INVALID, UNSUPPORTED)          \
    X(CKR_MECHANISM_PARAM_INVALID, UNSUPPORTED)    \
    X(CKR_OBJECT_HANDLE_INVALID, HANDLE)           \
    X(CKR_OPERATION_ACTIVE, SESSION)               \
    X(CKR_OPERATION_NOT_INITIALIZED, SESSION)      \
    X(CKR_PIN_INCORRECT, PIN)                      \
    X(CKR_PIN_INVALID, PIN)                        \
    X(CKR_PIN_LEN_RANGE, PIN)                      \
    X(CKR_PIN_EXPIRED, PIN)                        \
    X(CKR_PIN_LOCKED, PIN)                         \
    X(CKR_SESSION_CLOSED, SESSION)                 \
    X(CKR_SESSION_COUNT, BUSY)                     \
    X(CKR_SESSION_HANDLE_INVALID, SESSION)         \
    X(CKR_SESSION_PARALLEL_NOT_SUPPORTED, FATAL)   \
    X(CKR_SESSION_READ_ONLY, FATAL)                \
    X(CKR_SESSION_EXISTS, BUSY)                    \
    X(CKR_SESSION_READ_ONLY_EXISTS, BUSY)          \
    X(CKR_SESSION_READ_WRITE_SO_EXISTS, BUSY)      \
    X(CKR_SIGNATURE_INVALID, FATAL)                \
    X(CKR_SIGNATURE_LEN_RANGE, FATAL)              \
    X(CKR_TEMPLATE_INCOMPLETE, ATTRIBUTE)          \
    X(CKR_TEMPLATE_INCONSISTENT, ATTRIBUTE)        \
    X(CKR_TOKEN_NOT_PRESENT, GONE)                 \
    X(CKR_TOKEN_NOT_RECOGNIZED, GONE)              \
    X(CKR_TOKEN_WRITE_PROTECTED, FATAL)            \
    X(CKR_UNWRAPPING_KEY_HANDLE_INVALID, FATAL)    \
    X(CKR_UNWRAPPING_KEY_SIZE_RANGE, FATAL)        \
    X(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, FATAL) \
    X(CKR_USER_ALREADY_LOGGED_IN, FATAL)           \
    X(CKR_USER_NOT_LOGGED_IN, LOGIN)               \
    X(CKR_USER_PIN_NOT_INITIALIZED, PIN)           \
    X(CKR_USER_TYPE_INVALID, FATAL)                \
    X(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, BUSY)    \
    X(CKR_USER_TOO_MANY_TYPES, BUSY)               \
    X(CKR_WRAPPED_KEY_INVALID, FATAL)              \
    X(CKR_WRAPPED_KEY_LEN_RANGE, FATAL)            \
    X(CKR_WRAPPING_KEY_HANDLE_INVALID, FATAL)      \
    X(CKR_WRAPPING_KEY_SIZE_RANGE, FATAL)          \
    X(CKR_WRAPPING_KEY_TYPE_INCONSISTENT, FATAL)   \
    X(CKR_RANDOM_SEED_NOT_SUPPORTED, FATAL)        \
    X(CKR_RANDOM_NO_RNG, FATAL)                    \
    X(CKR_DOMAIN_PARAMS_INVALID, UNSUPPORTED)      \
    X(CKR_CURVE_NOT_SUPPORTED, UNSUPPORTED)        \
    X(CKR_BUFFER_TOO_SMALL, FATAL)                 \
    X(CKR_SAVED_STATE_INVALID, FATAL)              \
    X(CKR_INFORMATION_SENSITIVE, FATAL)            \
    X(CKR_STATE_UNSAVEABLE, FATAL)                 \
    X(CKR_CRYPTOKI_NOT_INITIALIZED, GONE)          \
    X(CKR_CRYPTOKI_ALREADY_INITIALIZED, FATAL)     \
    X(CKR_MUTEX_BAD, FATAL)                        \
    X(CKR_MUTEX_NOT_LOCKED, FATAL)                 \
    X(CKR_FUNCTION_REJECTED, FATAL)                \
    X(CKR_NEW_PIN_MODE, PIN)                       \
    X(CKR_NEXT_OTP, PIN)                           \
    X(CKR_EXCEEDED_MAX_ITERATIONS, UNSUPPORTED)    \
    X(CKR_FIPS_SELF_TEST_FAILED, FATAL)            \
    X(CKR_LIBRARY_LOAD_FAILED, FATAL)              \
    X(CKR_PIN_TOO_WEAK, PIN)                       \
    X(CKR_PUBLIC_KEY_INVALID, FATAL)

static const struct {
    CK_RV rv;
    const char *name;
    enum token_ckr_class class;
} answers[] = {
#define CKR_ROW(rv, class) {rv, #rv, TOKEN_CKR_##class},
    CKRS(CKR_ROW)
#undef CKR_ROW
};

/*
 * Session, login and handle can each be lost once in a call, and once more while it recovers. In
 * doubt: SoftHSM answers CKR_GENERAL_ERROR when a logout overtakes a call.
 */
#define KEEPS_LOSING                                                                            \
    "see whether another program closes the token's sessions or logs it out; else restart the " \
    "signer"
#define LOOK_THERE \
    "the log of the token or of its driver may say more; if it stays, restart the signer"

static const struct token_ckr_rule rules[] = {
    [TOKEN_CKR_GOOD] = {AW_CODE_OK, 0, ""},
    [TOKEN_CKR_SESSION] = {AW_CODE_TOKEN, 4, KEEPS_LOSING},
    [TOKEN_CKR_HANDLE] = {AW_CODE_TOKEN, 4, KEEPS_LOSING},
    [TOKEN_CKR_LOGIN] = {AW_CODE_TOKEN, 4, KEEPS_LOSING},
    [TOKEN_CKR_GONE] = {AW_CODE_TOKEN_GONE, 0,
        "look whether the token and its driver or service are there, then start again"},
    [TOKEN_CKR_PIN] = {AW_CODE_TOKEN_PIN, 0,
        "see with the token's own tools what it wants to be done about the PIN"},
    [TOKEN_CKR_BUSY] = {AW_CODE_BUSY, 0,
        "try again later; another program may hold all sessions of the token"},
    [TOKEN_CKR_ATTRIBUTE] = {AW_CODE_UNSUPPORTED, 0,
        "the token does not keep or tell what acmeward asks of a key; \"acmeward-signer "
        "--probe-token\" shows what it does"},
    [TOKEN_CKR_UNSUPPORTED] = {AW_CODE_UNSUPPORTED, 0,
        "\"acmeward-admin token doctor\" lists what this token offers"},
    [TOKEN_CKR_DOUBT] = {AW_CODE_TOKEN, 3, LOOK_THERE},
    [TOKEN_CKR_FATAL] = {AW_CODE_TOKEN, 0, LOOK_THERE},
};

static size_t
index_of(CK_RV rv)
{
    size_t i = 0;

    while (i < AW_COUNT(answers) && answers[i].rv != rv)
        i++;
    return i;
}

enum token_ckr_class
token_ckr_class(CK_RV rv)
{
    size_t i = index_of(rv);

    return i < AW_COUNT(answers) ? answers[i].class : TOKEN_CKR_FATAL;
}

const struct token_ckr_rule *token_ckr_rule(enum token_ckr_class class)
{
    return &rules[class];
}

const char *
token_ckr_name(unsigned long rv)
{
    static _Thread_local char number[32];
    size_t i = index_of(rv);

    if (i < AW_COUNT(answers))
        return answers[i].name;
    snprintf(number, sizeof(number), "CKR 0x%lx", rv);
    return number;
}

aw_result
token_ckr_fail(CK_RV rv, const char *function)
{
    const struct token_ckr_rule *rule = token_ckr_rule(token_ckr_class(rv));

    if (rv == CKR_OK)
        return aw_fail(AW_CODE_INTERNAL, "%s succeeded and was taken for a failure", function);
    aw_result r = aw_fail_cause(rule->code, AW_CAUSE_CKR, rv, "the token answered %s with %s",
        function, token_ckr_name(rv));
    return aw_hint(r, "%s", rule->hint);
}
