#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "pkcs11/ckr.h"
#include "pkcs11/token.h"

static const struct {
    CK_RV rv;
    const char *name;
    enum token_ckr_class class;
    enum aw_code code;
    unsigned rungs;
} rows[] = {
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", TOKEN_CKR_SESSION, AW_CODE_TOKEN, 4},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", TOKEN_CKR_SESSION, AW_CODE_TOKEN, 4},
    {CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", TOKEN_CKR_SESSION, AW_CODE_TOKEN, 4},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", TOKEN_CKR_SESSION,
        AW_CODE_TOKEN, 4},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", TOKEN_CKR_HANDLE, AW_CODE_TOKEN, 4},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", TOKEN_CKR_HANDLE, AW_CODE_TOKEN, 4},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", TOKEN_CKR_LOGIN, AW_CODE_TOKEN, 4},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", TOKEN_CKR_GONE, AW_CODE_TOKEN_GONE, 0},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", TOKEN_CKR_GONE, AW_CODE_TOKEN_GONE, 0},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", TOKEN_CKR_GONE, AW_CODE_TOKEN_GONE, 0},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", TOKEN_CKR_GONE,
        AW_CODE_TOKEN_GONE, 0},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", TOKEN_CKR_PIN, AW_CODE_TOKEN_PIN, 0},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", TOKEN_CKR_PIN, AW_CODE_TOKEN_PIN, 0},
    {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", TOKEN_CKR_PIN, AW_CODE_TOKEN_PIN, 0},
    {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", TOKEN_CKR_PIN, AW_CODE_TOKEN_PIN, 0},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT", TOKEN_CKR_BUSY, AW_CODE_BUSY, 0},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY", TOKEN_CKR_BUSY, AW_CODE_BUSY, 0},
    {CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", TOKEN_CKR_ATTRIBUTE,
        AW_CODE_UNSUPPORTED, 0},
    {CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", TOKEN_CKR_ATTRIBUTE,
        AW_CODE_UNSUPPORTED, 0},
    {CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", TOKEN_CKR_ATTRIBUTE, AW_CODE_UNSUPPORTED,
        0},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", TOKEN_CKR_ATTRIBUTE,
        AW_CODE_UNSUPPORTED, 0},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", TOKEN_CKR_UNSUPPORTED, AW_CODE_UNSUPPORTED, 0},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", TOKEN_CKR_UNSUPPORTED,
        AW_CODE_UNSUPPORTED, 0},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", TOKEN_CKR_DOUBT, AW_CODE_TOKEN, 3},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", TOKEN_CKR_DOUBT, AW_CODE_TOKEN, 3},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", TOKEN_CKR_PIN, AW_CODE_TOKEN_PIN,
        0},
    {CKR_VENDOR_DEFINED + 0x17, "CKR 0x80000017", TOKEN_CKR_FATAL, AW_CODE_TOKEN, 0},
    {0x7777, "CKR 0x7777", TOKEN_CKR_FATAL, AW_CODE_TOKEN, 0},
};

static void
test_every_answer_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const struct token_ckr_rule *rule = token_ckr_rule(token_ckr_class(rows[i].rv));
        assert_string_equal(token_ckr_name(rows[i].rv), rows[i].name);
        if (token_ckr_class(rows[i].rv) != rows[i].class || rule->code != rows[i].code ||
            rule->rungs != rows[i].rungs)
            fail_msg("%s: class %d, code %s", rows[i].name, token_ckr_class(rows[i].rv),
                aw_code_tag(rule->code));
    }
    assert_int_equal(token_ckr_class(CKR_OK), TOKEN_CKR_GOOD);
    assert_int_equal(token_ckr_rule(TOKEN_CKR_GOOD)->rungs, 0);
}

static void
test_failures_name_function_and_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        aw_result r = token_ckr_fail(rows[i].rv, "C_Sign");
        const struct aw_error *error = aw_error_last();
        assert_int_equal(r.code, rows[i].code);
        assert_int_equal(error->cause, AW_CAUSE_CKR);
        assert_int_equal(error->cause_number, rows[i].rv);
        assert_non_null(strstr(error->message, "C_Sign"));
        assert_non_null(strstr(error->message, rows[i].name));
    }
    assert_int_equal(token_ckr_fail(CKR_OK, "C_Sign").code, AW_CODE_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_answer_has_its_class),
        cmocka_unit_test(test_failures_name_function_and_answer),
    };

    return cmocka_run_group_tests_name("ckr", tests, NULL, NULL);
}
