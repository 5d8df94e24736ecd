/*
 * Making keys on a token that refuses attributes, ignores them, tells of others, signs wrongly, or
 * fails on the way. The mock does this; what is in the token then is asked of SoftHSM itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "mock.h"

static struct softhsm h;
static token *t;

static int
setup(void **state)
{
    (void)state;
    mock_make(&h);
    t = softhsm_open(&h);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    token_close(&t);
    softhsm_remove(&h);
    return 0;
}

/* Both kinds of making, so that each row is shown with both. */

static aw_result
generate(struct token_key_report *report)
{
    token_key *key = NULL;

    aw_result r = token_key_generate(t, "account", TOKEN_KEY_EC_P256, report, &key);
    assert_true(aw_ok(r) == (key != NULL));
    token_key_free(&key);
    return r;
}

static aw_result
import(struct token_key_report *report)
{
    aw_secret *value = NULL;

    assert_ok(aw_secret_new(32, &value));
    value->size = 32;
    RAND_bytes(value->data, 32);
    aw_result r = token_mac_import(t, "eab", TOKEN_HS256, value, false, report);
    aw_secret_free(&value);
    return r;
}

static aw_result
make_secret(struct token_key_report *report)
{
    return token_mac_generate(t, "relay", TOKEN_HS256, report);
}

static const struct making {
    const char *name;
    const char *function;
    aw_result (*make)(struct token_key_report *report);
    CK_OBJECT_CLASS class;
    const char *label;
    unsigned objects;
} makings[] = {
    {"account key", "C_GenerateKeyPair", generate, CKO_PRIVATE_KEY, "account", 2},
    {"EAB key", "C_CreateObject", import, CKO_SECRET_KEY, "eab", 1},
    {"relay key", "C_GenerateKey", make_secret, CKO_SECRET_KEY, "relay", 1},
};

/* What tokens are known to answer to a template that they do not take. */
static const char *const refusals[] = {"CKR_ATTRIBUTE_READ_ONLY", "CKR_ATTRIBUTE_SENSITIVE",
    "CKR_ATTRIBUTE_TYPE_INVALID", "CKR_ATTRIBUTE_VALUE_INVALID", "CKR_TEMPLATE_INCONSISTENT",
    "CKR_TEMPLATE_INCOMPLETE", "CKR_ARGUMENTS_BAD"};

static bool
flag_of(const struct making *making, CK_ATTRIBUTE_TYPE type)
{
    CK_FUNCTION_LIST *f = softhsm_functions();
    CK_SESSION_HANDLE session = softhsm_session();
    CK_BBOOL value = CK_FALSE;
    CK_ATTRIBUTE attribute = {type, &value, sizeof(value)};
    CK_OBJECT_HANDLE object = softhsm_find(session, making->class, making->label);

    assert_int_not_equal(object, CK_INVALID_HANDLE);
    assert_int_equal(f->C_GetAttributeValue(session, object, &attribute, 1), CKR_OK);
    f->C_CloseSession(session);
    return value == CK_TRUE;
}

static void
destroy(const struct making *making)
{
    token_key *key = NULL;
    token_mac *mac = NULL;

    mock_rules(&h, "%s", "");
    if (making->class == CKO_PRIVATE_KEY) {
        assert_ok(token_key_find(t, making->label, &key));
        assert_ok(token_key_destroy(key));
    } else {
        assert_ok(token_mac_find(t, making->label, TOKEN_HS256, &mac));
        assert_ok(token_mac_destroy(mac));
    }
    token_key_free(&key);
    token_mac_free(&mac);
    assert_int_equal(mock_objects(), 0);
}

/* A key was made, and it is protected whatever else. */
static void
check_made(const char *name, const struct making *making, aw_result r)
{
    if (!aw_ok(r))
        fail_msg("%s, %s: %s", making->name, name, aw_error_last()->message);
    if (mock_objects() != making->objects)
        fail_msg("%s, %s: %u objects", making->name, name, mock_objects());
    if (!flag_of(making, CKA_SENSITIVE) || flag_of(making, CKA_EXTRACTABLE))
        fail_msg("%s, %s: it is not protected", making->name, name);
    destroy(making);
}

/* No key was made, and nothing is left in the token. */
static void
check_not_made(
    const char *name, const struct making *making, aw_result r, enum aw_code code, const char *part)
{
    if (r.code != code)
        fail_msg("%s, %s: %s", making->name, name, aw_code_tag(r.code));
    if (strstr(aw_error_last()->message, part) == NULL)
        fail_msg("%s, %s: \"%s\" lacks \"%s\"", making->name, name, aw_error_last()->message, part);
    if (mock_objects() != 0)
        fail_msg("%s, %s: %u objects are left behind", making->name, name, mock_objects());
}

/* Refused. */

static const struct {
    int making;
    const char *attributes[3];
    const char *dropped;
} dropped_rows[] = {
    {0, {"CKA_COPYABLE"}, "COPYABLE, COPYABLE"}, /* of both halves */
    {0, {"CKA_MODIFIABLE"}, "MODIFIABLE, MODIFIABLE"},
    {0, {"CKA_DERIVE"}, "DERIVE, DERIVE"},
    {0, {"CKA_VERIFY_RECOVER"}, "VERIFY_RECOVER"},
    {0, {"CKA_WRAP"}, "WRAP"},
    {0, {"CKA_ENCRYPT"}, "ENCRYPT"},
    {0, {"CKA_SIGN_RECOVER"}, "SIGN_RECOVER"},
    {0, {"CKA_UNWRAP"}, "UNWRAP"},
    {0, {"CKA_DECRYPT"}, "DECRYPT"},
    {0, {"CKA_SIGN_RECOVER", "CKA_UNWRAP", "CKA_DECRYPT"}, "SIGN_RECOVER, UNWRAP, DECRYPT"},
    {1, {"CKA_COPYABLE"}, "COPYABLE"},
    {1, {"CKA_MODIFIABLE"}, "MODIFIABLE"},
    {1, {"CKA_VERIFY"}, "VERIFY"},
    {1, {"CKA_DERIVE"}, "DERIVE"},
    {1, {"CKA_ENCRYPT"}, "ENCRYPT"},
    {1, {"CKA_DECRYPT"}, "DECRYPT"},
    {1, {"CKA_WRAP"}, "WRAP"},
    {1, {"CKA_UNWRAP"}, "UNWRAP"},
    {1, {"CKA_ALLOWED_MECHANISMS"}, "ALLOWED_MECHANISMS"},
    {1, {"CKA_ALLOWED_MECHANISMS", "CKA_COPYABLE", "CKA_WRAP"},
        "ALLOWED_MECHANISMS, COPYABLE, WRAP"},
    {2, {"CKA_VERIFY"}, "VERIFY"},
    {2, {"CKA_ALLOWED_MECHANISMS", "CKA_COPYABLE"}, "ALLOWED_MECHANISMS, COPYABLE"},
};

static void
refuse(const struct making *making, const char *const attributes[3], const char *answer)
{
    char rules[512] = "";

    for (size_t i = 0; i < 3 && attributes[i] != NULL; i++) {
        size_t used = strlen(rules);
        snprintf(rules + used, sizeof(rules) - used, "%s:*:refuse %s %s\n", making->function,
            attributes[i], answer);
    }
    mock_rules(&h, "%s", rules);
}

static void
test_refused_attributes_are_dropped_and_reported(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(dropped_rows); i++) {
        const struct making *making = &makings[dropped_rows[i].making];
        for (size_t j = 0; j < AW_COUNT(refusals); j++) {
            struct token_key_report report;
            refuse(making, dropped_rows[i].attributes, refusals[j]);
            check_made(dropped_rows[i].dropped, making, making->make(&report));
            if (strcmp(report.dropped, dropped_rows[i].dropped) != 0)
                fail_msg("%s, %s to %s: dropped \"%s\"", making->name, refusals[j],
                    dropped_rows[i].dropped, report.dropped);
        }
    }
}

/* Attack: a token that takes a key only if it is weak gets none. */
static void
test_protection_is_never_dropped(void **state)
{
    static const char *const attributes[] = {
        "CKA_SENSITIVE", "CKA_EXTRACTABLE", "CKA_PRIVATE", "CKA_TOKEN", "CKA_SIGN"};

    (void)state;
    for (size_t m = 0; m < AW_COUNT(makings); m++) {
        for (size_t i = 0; i < AW_COUNT(attributes) * AW_COUNT(refusals); i++) {
            const char *const refused[3] = {attributes[i / AW_COUNT(refusals)]};
            const char *answer = refusals[i % AW_COUNT(refusals)];
            struct token_key_report report;
            refuse(&makings[m], refused, answer);
            aw_result r = makings[m].make(&report);
            check_not_made(refused[0], &makings[m], r,
                strcmp(answer, "CKR_ARGUMENTS_BAD") == 0 ? AW_CODE_TOKEN : AW_CODE_UNSUPPORTED,
                answer);
        }
    }
}

/* Answers that are no word on the template end the ladder at once. */
static void
test_other_answers_end_the_ladder(void **state)
{
    static const struct {
        const char *answer;
        enum aw_code code;
    } rows[] = {{"CKR_DEVICE_REMOVED", AW_CODE_TOKEN_GONE},
        {"CKR_DEVICE_ERROR", AW_CODE_TOKEN_GONE}, {"CKR_TOKEN_NOT_PRESENT", AW_CODE_TOKEN_GONE},
        {"CKR_HOST_MEMORY", AW_CODE_BUSY}, {"CKR_DEVICE_MEMORY", AW_CODE_TOKEN},
        {"CKR_GENERAL_ERROR", AW_CODE_TOKEN}, {"CKR_FUNCTION_FAILED", AW_CODE_TOKEN},
        {"CKR_SESSION_READ_ONLY", AW_CODE_TOKEN}, {"CKR_TOKEN_WRITE_PROTECTED", AW_CODE_TOKEN},
        {"CKR_MECHANISM_INVALID", AW_CODE_UNSUPPORTED}, {"CKR_USER_NOT_LOGGED_IN", AW_CODE_TOKEN},
        {"CKR_SESSION_HANDLE_INVALID", AW_CODE_TOKEN}};

    (void)state;
    for (size_t m = 0; m < AW_COUNT(makings); m++) {
        for (size_t i = 0; i < AW_COUNT(rows); i++) {
            struct token_key_report report;
            mock_forget_calls(&h);
            mock_rules(&h, "%s:*:%s", makings[m].function, rows[i].answer);
            aw_result r = makings[m].make(&report);
            check_not_made(rows[i].answer, &makings[m], r, rows[i].code, rows[i].answer);
            assert_int_equal(mock_calls(&h, makings[m].function), 1);
            assert_int_equal(mock_calls(&h, "C_Login"), 0);
        }
    }
}

/* Accepted and not kept to, or told otherwise: what is read back counts. */

static const struct {
    int making;
    const char *rules; /* %s: the function that makes the key */
    enum aw_code code;
    const char *weaker; /* or a part of the message */
} weaker_rows[] = {
    {0, "%s:*:force CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "EXTRACTABLE"},
    {0, "%s:*:force CKA_SENSITIVE=false", AW_CODE_TOKEN, "SENSITIVE"},
    {1, "%s:*:force CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "EXTRACTABLE"},
    {1, "%s:*:force CKA_SENSITIVE=false", AW_CODE_TOKEN, "SENSITIVE"},
    {2, "%s:*:force CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "EXTRACTABLE"},
    {2, "%s:*:force CKA_SENSITIVE=false", AW_CODE_TOKEN, "SENSITIVE"},
    {2, "%s:*:force CKA_DERIVE=true", AW_CODE_OK, "DERIVE"},
    {2, "C_GetAttributeValue:*:misreport CKA_LOCAL=false", AW_CODE_OK, "LOCAL"},
    {0, "%s:*:force CKA_DERIVE=true", AW_CODE_OK, "DERIVE"},
    {0, "%s:*:force CKA_UNWRAP=true", AW_CODE_OK, "UNWRAP"},
    {0, "%s:*:force CKA_DECRYPT=true", AW_CODE_OK, "DECRYPT"},
    {0, "%s:*:force CKA_COPYABLE=true", AW_CODE_OK, "COPYABLE"},
    {0, "%s:*:force CKA_MODIFIABLE=true", AW_CODE_OK, "MODIFIABLE"},
    {1, "%s:*:force CKA_MODIFIABLE=true", AW_CODE_OK, "MODIFIABLE"},
    {1, "%s:*:force CKA_DERIVE=true;%s:*:force CKA_WRAP=true", AW_CODE_OK, "DERIVE, WRAP"},
    /* SoftHSM's own defaults, where an attribute is accepted and ignored. */
    {1, "%s:*:ignore CKA_WRAP", AW_CODE_OK, "WRAP"},
    {1, "%s:*:ignore CKA_ENCRYPT", AW_CODE_OK, "ENCRYPT"},
    {1, "%s:*:ignore CKA_VERIFY", AW_CODE_OK, "VERIFY"},
    {1, "%s:*:ignore CKA_MODIFIABLE;%s:*:ignore CKA_COPYABLE", AW_CODE_OK, "COPYABLE, MODIFIABLE"},
    {0, "%s:*:ignore CKA_SENSITIVE", AW_CODE_TOKEN, "SENSITIVE"},
    {0, "%s:*:ignore CKA_EXTRACTABLE", AW_CODE_OK, ""},
    /* Misreports. */
    {0, "C_GetAttributeValue:*:misreport CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "EXTRACTABLE"},
    {0, "C_GetAttributeValue:*:misreport CKA_EXTRACTABLE=absent", AW_CODE_TOKEN, "EXTRACTABLE"},
    {0, "C_GetAttributeValue:*:misreport CKA_SENSITIVE=false", AW_CODE_TOKEN, "SENSITIVE"},
    {0, "C_GetAttributeValue:*:misreport CKA_SENSITIVE=absent", AW_CODE_TOKEN, "SENSITIVE"},
    {1, "C_GetAttributeValue:*:misreport CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "EXTRACTABLE"},
    {1, "C_GetAttributeValue:*:misreport CKA_SENSITIVE=absent", AW_CODE_TOKEN, "SENSITIVE"},
    {0, "C_GetAttributeValue:*:misreport CKA_LOCAL=false", AW_CODE_OK, "LOCAL"},
    {0, "C_GetAttributeValue:*:misreport CKA_ALWAYS_SENSITIVE=absent", AW_CODE_OK,
        "ALWAYS_SENSITIVE"},
    {0, "C_GetAttributeValue:*:misreport CKA_NEVER_EXTRACTABLE=false", AW_CODE_OK,
        "NEVER_EXTRACTABLE"},
    {0, "C_GetAttributeValue:*:misreport CKA_MODIFIABLE=true", AW_CODE_OK, "MODIFIABLE"},
    {1, "C_GetAttributeValue:*:misreport CKA_SIGN=false", AW_CODE_OK, "SIGN"},
    {1, "C_GetAttributeValue:*:misreport CKA_DERIVE=absent", AW_CODE_OK, "DERIVE"},
};

static void
test_what_is_not_kept_is_reported_or_destroyed(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(weaker_rows); i++) {
        const struct making *making = &makings[weaker_rows[i].making];
        struct token_key_report report;
        char rules[256];
        /* Both rows with one %s and rows with two get the function twice. */
        snprintf(rules, sizeof(rules), "%s", weaker_rows[i].rules);
        for (char *at = strstr(rules, "%s"); at != NULL; at = strstr(rules, "%s")) {
            char rest[256];
            snprintf(rest, sizeof(rest), "%s", at + 2);
            snprintf(at, sizeof(rules) - (size_t)(at - rules), "%s%s", making->function, rest);
        }
        mock_rules(&h, "%s", rules);
        aw_result r = making->make(&report);
        if (weaker_rows[i].code != AW_CODE_OK) {
            check_not_made(rules, making, r, weaker_rows[i].code, weaker_rows[i].weaker);
            continue;
        }
        check_made(rules, making, r);
        if (strcmp(report.weaker, weaker_rows[i].weaker) != 0)
            fail_msg("%s, %s: weaker \"%s\"", making->name, rules, report.weaker);
        bool birth = strstr(rules, "CKA_LOCAL") != NULL || strstr(rules, "ALWAYS") != NULL ||
                     strstr(rules, "NEVER") != NULL;
        if (weaker_rows[i].making == 0 && report.always_protected == birth)
            fail_msg("%s: always_protected is %d", rules, report.always_protected);
    }
}

/* A token that can't sign, or signs wrongly, gets no key. */

static void
test_a_wrong_trial_destroys_the_key(void **state)
{
    static const struct {
        const char *rule;
        enum aw_code code;
    } rows[] = {{"C_Sign:*:wrong", AW_CODE_TOKEN}, {"C_Sign:*:short", AW_CODE_TOKEN},
        {"C_Sign:*:CKR_DEVICE_ERROR", AW_CODE_TOKEN_GONE},
        {"C_Sign:*:after CKR_GENERAL_ERROR", AW_CODE_TOKEN},
        {"C_SignInit:*:CKR_MECHANISM_INVALID", AW_CODE_UNSUPPORTED},
        {"C_SignInit:*:CKR_KEY_FUNCTION_NOT_PERMITTED", AW_CODE_UNSUPPORTED}};

    (void)state;
    for (size_t m = 0; m < AW_COUNT(makings); m++) {
        for (size_t i = 0; i < AW_COUNT(rows); i++) {
            struct token_key_report report;
            /* Whether all MACs of a key that nobody has are wrong, nobody can see. */
            bool unseen = makings[m].make == make_secret && i == 0;
            mock_rules(&h, "%s", unseen ? "C_Sign:2:wrong" : rows[i].rule);
            aw_result r = makings[m].make(&report);
            check_not_made(rows[i].rule, &makings[m], r, rows[i].code, "destroyed again");
        }
    }
}

/* The token made the key, and its answer was lost. */
static void
test_a_lost_answer_leaves_nothing(void **state)
{
    static const char *const answers[] = {"CKR_GENERAL_ERROR", "CKR_FUNCTION_FAILED",
        "CKR_DEVICE_ERROR", "CKR_HOST_MEMORY", "CKR_FUNCTION_CANCELED"};

    (void)state;
    for (size_t m = 0; m < AW_COUNT(makings); m++) {
        for (size_t i = 0; i < AW_COUNT(answers); i++) {
            struct token_key_report report;
            mock_rules(&h, "%s:1:after %s", makings[m].function, answers[i]);
            aw_result r = makings[m].make(&report);
            if (aw_ok(r) || mock_objects() != 0)
                fail_msg("%s, %s: %u objects", makings[m].name, answers[i], mock_objects());
        }
    }
}

/* Whichever call fails: a whole key or none. */
static void
test_any_failing_call_leaves_a_key_or_nothing(void **state)
{
    static const char *const functions[] = {"C_GetSessionInfo", "C_OpenSession",
        "C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal", "C_GenerateKeyPair",
        "C_CreateObject", "C_GetAttributeValue", "C_SignInit", "C_Sign"};
    static const char *const answers[] = {"CKR_GENERAL_ERROR", "CKR_DEVICE_REMOVED",
        "CKR_SESSION_HANDLE_INVALID", "CKR_OBJECT_HANDLE_INVALID", "CKR_USER_NOT_LOGGED_IN"};
    unsigned failed = 0;

    (void)state;
    for (size_t row = 0; row < AW_COUNT(makings) * AW_COUNT(functions) * AW_COUNT(answers); row++) {
        const struct making *making = &makings[row % AW_COUNT(makings)];
        const char *function = functions[row / AW_COUNT(makings) % AW_COUNT(functions)];
        const char *answer = answers[row / AW_COUNT(makings) / AW_COUNT(functions)];
        unsigned calls;
        for (unsigned n = 1;; n++) {
            struct token_key_report report;
            char name[96];
            snprintf(name, sizeof(name), "%s:%u:%s", function, n, answer);
            mock_forget_calls(&h);
            mock_rules(&h, "%s", name);
            aw_result r = making->make(&report);
            calls = mock_calls(&h, function);
            if (aw_ok(r))
                check_made(name, making, r);
            else if (mock_objects() != 0)
                fail_msg("%s, %s: %u objects are left behind", making->name, name, mock_objects());
            failed += !aw_ok(r);
            if (calls < n)
                break; /* it was not called that often */
        }
    }
    assert_in_range(failed, 200, 2000); /* the rows did something */
}

#define test_row(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test_row(test_refused_attributes_are_dropped_and_reported),
        test_row(test_protection_is_never_dropped),
        test_row(test_other_answers_end_the_ladder),
        test_row(test_what_is_not_kept_is_reported_or_destroyed),
        test_row(test_a_wrong_trial_destroys_the_key),
        test_row(test_a_lost_answer_leaves_nothing),
        test_row(test_any_failing_call_leaves_a_key_or_nothing),
    };

    return cmocka_run_group_tests_name("token_ladder", tests, NULL, NULL);
}
