/**
 * @file mock_rules.h
 * @brief What the mock module does at which call: a file of rules, read anew when it is replaced.
 *
 * One rule a line, or several parted by ';':
 *
 *     FUNCTION:WHEN:ACTION        C_Sign:3:CKR_DEVICE_REMOVED
 *
 * FUNCTION is a name of Cryptoki. WHEN is "*" (every call), N (the n-th since the rules were read),
 * N+ (from the n-th on) or N-M. Actions, all that match are taken:
 *
 *     CKR_X                    answer so without asking the token (CKR_OK: pretend)
 *     after CKR_X              let the token do it, then answer so (the answer got lost)
 *     delay MS                 first wait so long
 *     wait                     first wait until the rules are replaced
 *     crash                    kill the process
 *     die                      let the token do it, then kill the process
 *     refuse CKA_X CKR_Y       answer CKR_Y to a template that holds the attribute
 *     ignore CKA_X             leave the attribute out of the template
 *     force CKA_X=true|false   put another value into the template where it has the attribute
 *     misreport CKA_X=true|false|absent    tell another value (C_GetAttributeValue)
 *     leak CKA_X [CKR_Y]       hand out octets as the attribute's value, and answer CKR_Y
 *     wrong                    change one bit of the signature or MAC (C_Sign)
 *     short                    give one octet less of it (C_Sign)
 *     zero-first, zero-second  zeros for that half of it, r or s (C_Sign)
 *     high                     change its highest bit (C_Sign)
 *     other                    sign other data (C_Sign)
 *     scribble                 sign other data, and write it where the data was (C_Sign)
 *     tell N                   tell N as length or count (C_Sign, C_FindObjects,
 *                              C_GetAttributeValue)
 *     substitute N             make a key of N octets of its own instead (C_UnwrapKey)
 *     handle N                 give that handle, of nothing (C_OpenSession, C_FindObjects and what
 *                              makes an object)
 *     twice                    give the first object twice (C_FindObjects)
 *     serial                   tell another serial number (C_GetTokenInfo)
 *     flags +CKF_X | -CKF_X    tell other flags (C_GetTokenInfo)
 *
 * Names of constants or numbers (0x...). A rule that does not parse kills the process with a
 * message: a test must not pass because of a typing error.
 */
#ifndef AW_TESTS_MOCK_RULES_H
#define AW_TESTS_MOCK_RULES_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

/** Environment: path of the rules; path of the file that gets a line with each function called. */
#define MOCK_RULES "ACMEWARD_MOCK_RULES"
#define MOCK_CALLS "ACMEWARD_MOCK_CALLS"

enum { MOCK_RULES_MAX = 64 };

enum mock_action {
    MOCK_ANSWER,
    MOCK_AFTER,
    MOCK_DELAY,
    MOCK_WAIT,
    MOCK_CRASH,
    MOCK_REFUSE,
    MOCK_IGNORE,
    MOCK_FORCE,
    MOCK_MISREPORT,
    MOCK_LEAK,
    MOCK_WRONG,
    MOCK_SHORT,
    MOCK_FLAGS,
    MOCK_ZERO_FIRST,
    MOCK_ZERO_SECOND,
    MOCK_HIGH,
    MOCK_OTHER,
    MOCK_SCRIBBLE,
    MOCK_TELL,
    MOCK_SERIAL,
    MOCK_SUBSTITUTE,
    MOCK_DIE,
    MOCK_HANDLE,
    MOCK_TWICE,
};

/** One rule. */
struct mock_rule {
    char function[32];
    unsigned long first, last; /**< calls that it is for, from 1 on */
    unsigned long seen;        /**< calls of the function since the rules were read */
    enum mock_action action;
    unsigned long type; /**< CKA_X, CKF_X, milliseconds or a number */
    CK_RV answer;
    int value; /**< 0 false, 1 true, -1 absent */
};

/** What is to be done at one call. */
struct mock_call {
    struct mock_rule hits[MOCK_RULES_MAX];
    unsigned count;
};

/** Notes the call, collects the rules that match, and waits or dies if they say so. */
void mock_call_begin(struct mock_call *call, const char *function);

/** The first rule of that action, or NULL. */
const struct mock_rule *mock_call_find(const struct mock_call *call, enum mock_action action);

/** The first rule of that action for that attribute, or NULL. */
const struct mock_rule *
mock_call_find_for(const struct mock_call *call, enum mock_action action, CK_ATTRIBUTE_TYPE type);

/** Parses one rule; false when it is none. */
bool mock_rule_parse(const char *text, struct mock_rule *out);

#endif
