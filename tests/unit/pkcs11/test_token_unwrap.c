/*
 * EAB keys that come into the token wrapped: on SoftHSM, and on tokens that ignore the template,
 * unwrap something else, or fail on the way (the mock). What is in the token then is asked of
 * SoftHSM itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/evp.h>

#include "mock.h"
#include "wrap_support.h"

#define WRAPPING "acmeward-wrapping"

/* Objects of the wrapping key: both halves. */
enum { PAIR = 2 };

static struct softhsm h;
static token *t;
static struct token_wrapping wrapping;

/* One wrapping key for all: to make one takes half a second. */
static int
setup(void **state)
{
    struct token_key_report report;

    (void)state;
    mock_make(&h);
    t = softhsm_open(&h);
    /* So that what protects a key is the template of the unwrapping alone. */
    mock_rules(&h, "%s", "C_GenerateKeyPair:*:ignore CKA_UNWRAP_TEMPLATE");
    assert_ok(token_wrapping_generate(t, WRAPPING, &report));
    mock_rules(&h, "%s", "");
    assert_string_equal(report.dropped, "");
    assert_string_equal(report.weaker, "");
    assert_ok(token_wrapping_read(t, WRAPPING, &wrapping));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    token_wrapping_free(&wrapping);
    token_close(&t);
    softhsm_remove(&h);
    return 0;
}

static CK_ATTRIBUTE
flag(CK_ATTRIBUTE_TYPE type, CK_BBOOL *value)
{
    *value = 2;
    return (CK_ATTRIBUTE){type, value, sizeof(*value)};
}

static bool
reads(CK_OBJECT_CLASS class, const char *label, CK_ATTRIBUTE_TYPE type)
{
    CK_SESSION_HANDLE session = softhsm_session();
    CK_OBJECT_HANDLE object = softhsm_find(session, class, label);
    CK_BBOOL value;
    CK_ATTRIBUTE attribute = flag(type, &value);

    assert_int_not_equal(object, CK_INVALID_HANDLE);
    assert_int_equal(
        softhsm_functions()->C_GetAttributeValue(session, object, &attribute, 1), CKR_OK);
    softhsm_functions()->C_CloseSession(session);
    return value == CK_TRUE;
}

/* The wrapping key itself. */

static const struct {
    CK_OBJECT_CLASS class;
    CK_ATTRIBUTE_TYPE type;
    bool value;
} wrapping_flags[] = {
    {CKO_PRIVATE_KEY, CKA_UNWRAP, true},
    {CKO_PRIVATE_KEY, CKA_PRIVATE, true},
    {CKO_PRIVATE_KEY, CKA_SENSITIVE, true},
    {CKO_PRIVATE_KEY, CKA_EXTRACTABLE, false},
    {CKO_PRIVATE_KEY, CKA_NEVER_EXTRACTABLE, true},
    {CKO_PRIVATE_KEY, CKA_MODIFIABLE, false},
    {CKO_PRIVATE_KEY, CKA_COPYABLE, false},
    {CKO_PRIVATE_KEY, CKA_DECRYPT, false},
    {CKO_PRIVATE_KEY, CKA_SIGN, false},
    {CKO_PRIVATE_KEY, CKA_SIGN_RECOVER, false},
    {CKO_PRIVATE_KEY, CKA_DERIVE, false},
    {CKO_PUBLIC_KEY, CKA_ENCRYPT, false},
    {CKO_PUBLIC_KEY, CKA_WRAP, false},
    {CKO_PUBLIC_KEY, CKA_VERIFY, false},
};

static void
the_wrapping_key_unwraps_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(wrapping_flags); i++)
        if (reads(wrapping_flags[i].class, WRAPPING, wrapping_flags[i].type) !=
            wrapping_flags[i].value)
            fail_msg("row %zu: 0x%lx", i, wrapping_flags[i].type);
    assert_int_equal(mock_objects(), PAIR); /* the trial is gone */
}

/* With DECRYPT, whoever has the PIN would have a wrapped key in clear. */
static void
what_was_wrapped_cannot_be_decrypted(void **state)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, NULL, 0};
    CK_MECHANISM mechanism = {CKM_RSA_PKCS_OAEP, &oaep, sizeof(oaep)};
    CK_SESSION_HANDLE session = softhsm_session();
    CK_OBJECT_HANDLE key = softhsm_find(session, CKO_PRIVATE_KEY, WRAPPING);

    (void)state;
    assert_int_equal(softhsm_functions()->C_DecryptInit(session, &mechanism, key),
        CKR_KEY_FUNCTION_NOT_PERMITTED);
    softhsm_functions()->C_CloseSession(session);
}

static void
there_is_one_wrapping_key(void **state)
{
    struct token_key_report report;

    (void)state;
    assert_fails(token_wrapping_generate(t, WRAPPING, &report), AW_CODE_EXISTS, "already");
}

static void
destroyed_with_both_halves(void **state)
{
    struct token_key_report report;
    struct token_wrapping second;

    (void)state;
    assert_ok(token_wrapping_generate(t, "second", &report));
    assert_ok(token_wrapping_read(t, "second", &second));
    assert_memory_not_equal(second.digest, wrapping.digest, sizeof(second.digest));
    token_wrapping_free(&second);
    assert_ok(token_wrapping_destroy(t, "second"));
    assert_int_equal(mock_objects(), PAIR);
    assert_fails(
        token_wrapping_read(t, "second", &second), AW_CODE_TOKEN_KEY_MISSING, "wrapping key");
    assert_fails(token_wrapping_destroy(t, "second"), AW_CODE_TOKEN_KEY_MISSING, "wrapping key");
}

/* What a trial left that was cut off is in nobody's way. */
static void
a_trial_that_was_cut_off_is_not_in_the_way(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *value = NULL;
    struct token_key_report report;

    (void)state;
    assert_ok(aw_secret_new(TOKEN_MAC_MAX, &value));
    value->size = value->capacity;
    assert_ok(token_mac_import(
        t, "acmeward: trial of a new wrapping key", TOKEN_HS256, value, false, &report));
    assert_ok(token_wrapping_generate(t, "second", &report));
    assert_ok(token_wrapping_destroy(t, "second"));
    assert_int_equal(mock_objects(), PAIR);
}

/* A token without OAEP, or that does it wrongly, gets no wrapping key. */
static void
a_token_that_cannot_unwrap_gets_no_wrapping_key(void **state)
{
    static const struct {
        const char *rule, *part;
        enum aw_code code;
    } rows[] = {
        {"C_UnwrapKey:*:CKR_MECHANISM_INVALID", "trial", AW_CODE_UNSUPPORTED},
        {"C_UnwrapKey:*:CKR_FUNCTION_NOT_SUPPORTED", "trial", AW_CODE_UNSUPPORTED},
        {"C_UnwrapKey:*:substitute 64", "trial", AW_CODE_MISMATCH},
        {"C_GenerateKeyPair:*:ignore CKA_UNWRAP_TEMPLATE;C_UnwrapKey:*:force CKA_EXTRACTABLE=true",
            "trial", AW_CODE_TOKEN},
        {"C_GenerateKeyPair:*:force CKA_EXTRACTABLE=true", "EXTRACTABLE", AW_CODE_TOKEN},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct token_key_report report;
        mock_rules(&h, "%s", rows[i].rule);
        assert_fails(token_wrapping_generate(t, "second", &report), rows[i].code, rows[i].part);
        if (mock_objects() != PAIR)
            fail_msg("%s: %u objects", rows[i].rule, mock_objects());
    }
    mock_rules(&h, "%s", "");
}

/* SoftHSM honours CKA_UNWRAP_TEMPLATE: with it the token itself refuses a weaker key. */
static void
the_wrapping_key_itself_says_what_is_unwrapped(void **state)
{
    struct token_key_report report;
    struct token_wrapping second;
    struct wrap_sample sample;

    (void)state;
    assert_ok(token_wrapping_generate(t, "second", &report));
    assert_ok(token_wrapping_read(t, "second", &second));
    wrap_sample_make(&sample, TOKEN_HS256, &second);
    const struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
    mock_rules(&h, "%s", "C_UnwrapKey:*:force CKA_EXTRACTABLE=true");
    assert_fails(token_mac_unwrap(t, "second", &wrapped, &report), AW_CODE_UNSUPPORTED, "TEMPLATE");
    mock_rules(&h, "%s", "");
    token_wrapping_free(&second);
    assert_ok(token_wrapping_destroy(t, "second"));
    assert_int_equal(mock_objects(), PAIR);
}

/* Unwrapping. */

static void
check_mac(enum token_mac_algorithm algorithm, const struct wrap_sample *sample)
{
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};
    static const unsigned char input[] = "eyJh.eyJi";
    uint8_t got[TOKEN_MAC_MAX], expected[TOKEN_MAC_MAX];
    size_t got_size, size;
    token_mac *mac = NULL;

    assert_ok(token_mac_find(t, "eab", algorithm, &mac));
    assert_ok(token_mac_compute(mac, input, sizeof(input) - 1, got, &got_size));
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, digests[algorithm], NULL, sample->value,
        sample->size, input, sizeof(input) - 1, expected, sizeof(expected), &size));
    assert_int_equal(got_size, size);
    assert_memory_equal(got, expected, size);
    assert_ok(token_mac_destroy(mac));
    token_mac_free(&mac);
}

static void
unwrapped_keys_make_the_same_macs(void **state)
{
    (void)state;
    for (int algorithm = TOKEN_HS256; algorithm <= TOKEN_HS512; algorithm++) {
        struct token_key_report report;
        struct wrap_sample sample;

        wrap_sample_make(&sample, (enum token_mac_algorithm)algorithm, &wrapping);
        const struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
        assert_ok(token_mac_unwrap(t, WRAPPING, &wrapped, &report));
        /* SoftHSM 2.6.1 unwraps into modifiable keys only (docs/token-probe.md). */
        assert_string_equal(report.dropped, "MODIFIABLE");
        assert_string_equal(report.weaker, "MODIFIABLE");
        assert_true(reads(CKO_SECRET_KEY, "eab", CKA_SENSITIVE));
        assert_false(reads(CKO_SECRET_KEY, "eab", CKA_EXTRACTABLE));
        assert_false(reads(CKO_SECRET_KEY, "eab", CKA_VERIFY));
        assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_EXISTS, "already");
        check_mac((enum token_mac_algorithm)algorithm, &sample);
    }
}

/* Tokens at fault: nothing is left of the key, whatever they do. */
static const struct {
    const char *rules;
    enum aw_code code;
    const char *part;
} faults[] = {
    {"C_UnwrapKey:*:force CKA_EXTRACTABLE=true", AW_CODE_TOKEN, "accepted EXTRACTABLE false"},
    {"C_UnwrapKey:*:force CKA_SENSITIVE=false", AW_CODE_TOKEN, "accepted SENSITIVE true"},
    {"C_UnwrapKey:*:force CKA_PRIVATE=false", AW_CODE_TOKEN, "PRIVATE was to be true"},
    {"C_UnwrapKey:*:force CKA_TOKEN=false", AW_CODE_TOKEN, "TOKEN was to be true"},
    {"C_UnwrapKey:*:force CKA_ENCRYPT=true", AW_CODE_TOKEN, "ENCRYPT was to be false"},
    {"C_UnwrapKey:*:force CKA_COPYABLE=true", AW_CODE_TOKEN, "COPYABLE was to be false"},
    {"C_UnwrapKey:*:force CKA_MODIFIABLE=true", AW_CODE_TOKEN, "MODIFIABLE was to be false"},
    {"C_UnwrapKey:*:ignore CKA_VERIFY;C_UnwrapKey:*:ignore CKA_WRAP", AW_CODE_TOKEN,
        "was to be false"},
    /* all of it ignored, its name too */
    {"C_UnwrapKey:*:ignore CKA_ID;C_UnwrapKey:*:ignore CKA_LABEL;"
     "C_UnwrapKey:*:force CKA_EXTRACTABLE=true;C_UnwrapKey:*:force CKA_SENSITIVE=false",
        AW_CODE_TOKEN, "give away"},
    {"C_UnwrapKey:*:ignore CKA_ID;C_UnwrapKey:*:ignore CKA_LABEL", AW_CODE_TOKEN_KEY_MISSING,
        "no secret key"},
    /* flags that it does not tell */
    {"C_GetAttributeValue:*:misreport CKA_EXTRACTABLE=absent", AW_CODE_TOKEN, "EXTRACTABLE"},
    {"C_GetAttributeValue:*:misreport CKA_SENSITIVE=false", AW_CODE_TOKEN, "SENSITIVE"},
    /* something else is unwrapped */
    {"C_UnwrapKey:*:substitute 64", AW_CODE_MISMATCH, "not the key that was wrapped"},
    {"C_UnwrapKey:*:substitute 32", AW_CODE_TOKEN, "32 octets instead of 64"},
    {"C_UnwrapKey:*:substitute 128", AW_CODE_TOKEN, "128 octets instead of 64"},
    {"C_UnwrapKey:*:substitute 1", AW_CODE_TOKEN, "1 octets instead of 64"},
    {"C_Sign:*:wrong", AW_CODE_MISMATCH, "not the key that was wrapped"},
    {"C_Sign:*:short", AW_CODE_TOKEN, "31 octets"},
    /* it fails on the way */
    {"C_UnwrapKey:1:CKR_GENERAL_ERROR", AW_CODE_TOKEN, "C_UnwrapKey"},
    {"C_UnwrapKey:1:after CKR_FUNCTION_FAILED", AW_CODE_TOKEN, "C_UnwrapKey"},
    {"C_UnwrapKey:1:CKR_MECHANISM_PARAM_INVALID", AW_CODE_UNSUPPORTED, "C_UnwrapKey"},
    {"C_GetAttributeValue:3:CKR_GENERAL_ERROR", AW_CODE_TOKEN, "C_GetAttributeValue"},
    {"C_SignInit:1:CKR_KEY_FUNCTION_NOT_PERMITTED", AW_CODE_UNSUPPORTED, "C_SignInit"},
    {"C_Sign:1:CKR_FUNCTION_FAILED", AW_CODE_TOKEN, "C_Sign"},
    {"C_Sign:1:CKR_DEVICE_REMOVED", AW_CODE_TOKEN_GONE, "C_Sign"},
};

static void
a_token_that_does_otherwise_keeps_no_key(void **state)
{
    struct wrap_sample sample;

    (void)state;
    wrap_sample_make(&sample, TOKEN_HS256, &wrapping);
    const struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
    for (size_t i = 0; i < AW_COUNT(faults); i++) {
        struct token_key_report report;

        mock_rules(&h, "%s", faults[i].rules);
        aw_result r = token_mac_unwrap(t, WRAPPING, &wrapped, &report);
        if (r.code != faults[i].code || strstr(aw_error_last()->message, faults[i].part) == NULL)
            fail_msg("%s: %s %s", faults[i].rules, aw_code_tag(r.code),
                aw_ok(r) ? "" : aw_error_last()->message);
        if (aw_error_last()->hint[0] == '\0')
            fail_msg("%s: no hint", faults[i].rules);
        if (mock_objects() != PAIR)
            fail_msg("%s: %u objects", faults[i].rules, mock_objects());
    }
    mock_rules(&h, "%s", "");
}

/* What it can't destroy again it says by name. */
static void
a_key_that_stays_is_told(void **state)
{
    struct token_key_report report;
    struct wrap_sample sample;
    token_mac *mac = NULL;

    (void)state;
    wrap_sample_make(&sample, TOKEN_HS256, &wrapping);
    const struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
    mock_rules(&h, "%s", "C_Sign:*:wrong;C_DestroyObject:*:CKR_ACTION_PROHIBITED");
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_MISMATCH,
        "could not be destroyed again");
    assert_non_null(strstr(aw_error_last()->hint, "\"eab\" is left"));
    mock_rules(&h, "%s", "");
    assert_ok(token_mac_find(t, "eab", TOKEN_HS256, &mac));
    assert_ok(token_mac_destroy(mac));
    token_mac_free(&mac);
}

/* Attributes that it refuses are dropped and told; those that protect are not. */
static void
refused_attributes_are_dropped(void **state)
{
    struct token_key_report report;
    struct wrap_sample sample;
    token_mac *mac = NULL;

    (void)state;
    wrap_sample_make(&sample, TOKEN_HS256, &wrapping);
    const struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
    mock_rules(&h, "%s", "C_UnwrapKey:*:refuse CKA_ALLOWED_MECHANISMS CKR_TEMPLATE_INCONSISTENT");
    assert_ok(token_mac_unwrap(t, WRAPPING, &wrapped, &report));
    assert_string_equal(report.dropped, "ALLOWED_MECHANISMS, MODIFIABLE");
    mock_rules(&h, "%s", "");
    assert_ok(token_mac_find(t, "eab", TOKEN_HS256, &mac));
    assert_ok(token_mac_destroy(mac));
    token_mac_free(&mac);
    mock_rules(&h, "%s", "C_UnwrapKey:*:refuse CKA_SENSITIVE CKR_TEMPLATE_INCONSISTENT");
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_UNSUPPORTED, "least");
    mock_rules(&h, "%s", "");
    assert_int_equal(mock_objects(), PAIR);
}

/* What is wrapped otherwise than it says. */
static void
a_changed_file_is_refused(void **state)
{
    struct token_key_report report;
    struct wrap_sample sample, other;
    static const uint8_t text[] = "\0acmeward: for another kid";

    (void)state;
    wrap_sample_make(&sample, TOKEN_HS256, &wrapping);
    wrap_sample_make(&other, TOKEN_HS256, &wrapping);
    struct token_wrapped wrapped = wrap_sample_of(&sample, "eab");
    wrapped.wrapped.data = other.wrapped;
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_MISMATCH, "not the key");
    wrapped = wrap_sample_of(&sample, "eab");
    wrapped.check_text = (struct token_octets){text, sizeof(text)};
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_MISMATCH, "not the key");
    wrapped = wrap_sample_of(&sample, "eab");
    wrapped.check.size = 16;
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_MISMATCH, "not the key");
    wrapped = wrap_sample_of(&sample, "eab");
    wrapped.wrapped.size--;
    assert_fails(token_mac_unwrap(t, WRAPPING, &wrapped, &report), AW_CODE_SYNTAX, "384 octets");
    sample.wrapped[17] ^= 1;
    wrapped = wrap_sample_of(&sample, "eab");
    assert_false(aw_ok(token_mac_unwrap(t, WRAPPING, &wrapped, &report)));
    assert_int_equal(mock_objects(), PAIR);
}

static void
the_doctor_knows_a_wrapping_key(void **state)
{
    struct token_examination *e = NULL;

    (void)state;
    assert_ok(token_examine(t, &e));
    assert_int_equal(e->object_count, PAIR);
    for (size_t i = 0; i < e->object_count; i++)
        assert_string_equal(e->objects[i].faults, "");
    token_examination_free(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_wrapping_key_unwraps_and_nothing_else),
        cmocka_unit_test(what_was_wrapped_cannot_be_decrypted),
        cmocka_unit_test(there_is_one_wrapping_key),
        cmocka_unit_test(destroyed_with_both_halves),
        cmocka_unit_test(a_trial_that_was_cut_off_is_not_in_the_way),
        cmocka_unit_test(a_token_that_cannot_unwrap_gets_no_wrapping_key),
        cmocka_unit_test(the_wrapping_key_itself_says_what_is_unwrapped),
        cmocka_unit_test(unwrapped_keys_make_the_same_macs),
        cmocka_unit_test(a_token_that_does_otherwise_keeps_no_key),
        cmocka_unit_test(a_key_that_stays_is_told),
        cmocka_unit_test(refused_attributes_are_dropped),
        cmocka_unit_test(a_changed_file_is_refused),
        cmocka_unit_test(the_doctor_knows_a_wrapping_key),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
