/*
 * The probe: what it finds on SoftHSM, that each of its rows goes red on a token that lies or is
 * weak, and that it leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mock.h"
#include "pkcs11/probe.h"

static const enum token_key_type types[] = {TOKEN_KEY_EC_P256, TOKEN_KEY_RSA_2048};

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

static struct token_probe *
probe(void)
{
    struct token_probe *found = NULL;

    assert_ok(token_probe_run(t, types, AW_COUNT(types), &found));
    return found;
}

static const struct token_probe_row *
row_of(const struct token_probe *found, const char *key, const char *attempt)
{
    for (size_t i = 0; i < found->row_count; i++)
        if (strncmp(found->rows[i].key, key, strlen(key)) == 0 &&
            strcmp(found->rows[i].attempt, attempt) == 0)
            return &found->rows[i];
    fail_msg("no row \"%s\" of %s", attempt, key);
    return NULL;
}

/* SoftHSM 2.6.1, as docs/token-probe.md has it. */

static const struct {
    const char *key;
    const char *attempt;
    const char *answer;
    enum token_probe_verdict verdict;
    bool required;
} softhsm_rows[] = {
    {"account key (EC", "make it like the real ones", "CKR_OK", TOKEN_PROBE_ENFORCED, false},
    {"account key (EC", "read CKA_VALUE", "CKR_ATTRIBUTE_SENSITIVE", TOKEN_PROBE_ENFORCED, true},
    {"account key (RSA", "read CKA_PRIME_1", "CKR_ATTRIBUTE_SENSITIVE", TOKEN_PROBE_ENFORCED, true},
    {"EAB key", "read CKA_VALUE", "CKR_ATTRIBUTE_SENSITIVE", TOKEN_PROBE_ENFORCED, true},
    {"account key (EC", "wrap it out with CKM_AES_KEY_WRAP_PAD", "CKR_KEY_UNEXTRACTABLE",
        TOKEN_PROBE_ENFORCED, true},
    {"EAB key", "wrap it out with CKM_RSA_PKCS_OAEP", "CKR_KEY_UNEXTRACTABLE", TOKEN_PROBE_ENFORCED,
        true},
    {"EAB key", "wrap it out with CKM_RSA_AES_KEY_WRAP", "CKR_MECHANISM_INVALID",
        TOKEN_PROBE_NOT_OFFERED, true},
    {"EAB key", "derive its value (CKM_XOR_BASE_AND_DATA)", "CKR_MECHANISM_INVALID",
        TOKEN_PROBE_NOT_OFFERED, true},
    {"EAB key", "another MAC (CKM_SHA512_HMAC)", "CKR_MECHANISM_INVALID", TOKEN_PROBE_ENFORCED,
        false},
    {"account key (EC", "derive a secret (CKM_ECDH1_DERIVE)", "CKR_KEY_FUNCTION_NOT_PERMITTED",
        TOKEN_PROBE_ENFORCED, false},
    {"account key (RSA", "decrypt (CKM_RSA_PKCS)", "CKR_KEY_FUNCTION_NOT_PERMITTED",
        TOKEN_PROBE_ENFORCED, false},
    {"account key (RSA", "digest it (C_DigestKey)", "CKR_KEY_INDIGESTIBLE", TOKEN_PROBE_ENFORCED,
        false},
    {"EAB key", "digest it (C_DigestKey)", "CKR_OK", TOKEN_PROBE_NOT_ENFORCED, false},
    {"EAB key", "make it EXTRACTABLE again", "CKR_ACTION_PROHIBITED", TOKEN_PROBE_ENFORCED, true},
    {"EAB key", "copy it EXTRACTABLE", "CKR_ACTION_PROHIBITED", TOKEN_PROBE_ENFORCED, true},
    {"key unwrapped", "read CKA_VALUE", "CKR_ATTRIBUTE_SENSITIVE", TOKEN_PROBE_ENFORCED, false},
    {"key unwrapped", "set CKA_DERIVE true", "CKR_OK", TOKEN_PROBE_NOT_ENFORCED, false},
    {"key unwrapped", "unwrap weaker than CKA_UNWRAP_TEMPLATE says", "CKR_TEMPLATE_INCONSISTENT",
        TOKEN_PROBE_ENFORCED, false},
};

static void
test_softhsm(void **state)
{
    struct token_probe *found = probe();

    (void)state;
    for (size_t i = 0; i < AW_COUNT(softhsm_rows); i++) {
        const struct token_probe_row *row =
            row_of(found, softhsm_rows[i].key, softhsm_rows[i].attempt);
        if (strcmp(row->answer, softhsm_rows[i].answer) != 0 ||
            row->verdict != softhsm_rows[i].verdict || row->required != softhsm_rows[i].required)
            fail_msg("%s, %s: %s, %s, %d", row->key, row->attempt, row->answer, row->follows,
                row->required);
    }
    for (size_t i = 0; i < found->row_count; i++)
        if (found->rows[i].required && found->rows[i].verdict != TOKEN_PROBE_ENFORCED &&
            found->rows[i].verdict != TOKEN_PROBE_NOT_OFFERED)
            fail_msg(
                "%s, %s: %s", found->rows[i].key, found->rows[i].attempt, found->rows[i].follows);
    assert_true(token_probe_holds(found));
    assert_string_equal(found->left_behind, "");
    assert_string_equal(found->info.label, "test");
    assert_int_equal(mock_objects(), 0);
    token_probe_free(&found);
    assert_null(found);
}

/*
 * Tokens that lie or are weak. "real": SoftHSM is made to make weak keys and tells that they are
 * strong, so that what the probe gets is the key itself. "pretended": the mock says CKR_OK.
 */

#define STRONG                                                   \
    "C_GetAttributeValue:*:misreport CKA_SENSITIVE=true;"        \
    "C_GetAttributeValue:*:misreport CKA_EXTRACTABLE=false;"     \
    "C_GetAttributeValue:*:misreport CKA_MODIFIABLE=false;"      \
    "C_GetAttributeValue:*:misreport CKA_COPYABLE=false;"        \
    "C_GetAttributeValue:*:misreport CKA_ALWAYS_SENSITIVE=true;" \
    "C_GetAttributeValue:*:misreport CKA_NEVER_EXTRACTABLE=true"
#define MAKES(what)                                                                                \
    "C_GenerateKeyPair:*:force " what ";C_CreateObject:*:force " what ";C_UnwrapKey:*:force " what \
    ";C_GenerateKey:*:force " what "\n"
#define ALLOWS(usage)    \
    MAKES(usage "=true") \
    "C_GetAttributeValue:*:misreport " usage "=false\n"

static const struct {
    const char *name;
    const char *rules;
    bool fit; /* nothing that must hold is broken */
    const char *red[10];
} lies[] = {
    {"keys that can be read, and are called sensitive", /* real */
        MAKES("CKA_SENSITIVE=false") MAKES("CKA_EXTRACTABLE=true") STRONG, false,
        {"read CKA_VALUE", "read CKA_PRIVATE_EXPONENT", "read CKA_PRIME_1", "read CKA_PRIME_2",
            "read CKA_EXPONENT_1", "read CKA_EXPONENT_2", "read CKA_COEFFICIENT",
            "wrap it out with CKM_AES_KEY_WRAP_PAD"}},
    {"keys that can be wrapped, and are called unextractable", /* real */
        MAKES("CKA_EXTRACTABLE=true") STRONG, false,
        {"wrap it out with CKM_AES_KEY_WRAP", "wrap it out with CKM_AES_KEY_WRAP_PAD",
            "wrap it out with CKM_RSA_PKCS", "wrap it out with CKM_RSA_PKCS_OAEP"}},
    {"wrapping takes any key", "C_WrapKey:2+:CKR_OK", false,
        {"wrap it out with CKM_AES_CBC_PAD", "wrap it out with CKM_RSA_AES_KEY_WRAP",
            "wrap a key with it (CKM_AES_KEY_WRAP)"}},
    {"a refusal that hands out the value all the same",
        "C_GetAttributeValue:*:leak CKA_VALUE CKR_ATTRIBUTE_SENSITIVE", false, {"read CKA_VALUE"}},
    {"keys that can be copied", /* real */
        MAKES("CKA_COPYABLE=true") MAKES("CKA_EXTRACTABLE=true") STRONG, false,
        {"copy it as it is", "copy it EXTRACTABLE"}},
    {"copies may do more", /* real */
        MAKES("CKA_COPYABLE=true") MAKES("CKA_MODIFIABLE=true") STRONG, true,
        {"copy it as it is", "copy it with DERIVE"}},
    {"keys that need no login", /* real, but for the copy, which SoftHSM never makes */
        MAKES("CKA_PRIVATE=false") "C_CopyObject:*:CKR_OK;"
                                   "C_GetAttributeValue:*:misreport CKA_PRIVATE=false",
        false, {"make it like the real ones", "copy it not PRIVATE"}},
    {"copies show their value",
        "C_CopyObject:*:CKR_OK;C_GetAttributeValue:*:leak CKA_VALUE;"
        "C_GetAttributeValue:*:leak CKA_PRIVATE_EXPONENT",
        false, {"copy it EXTRACTABLE", "copy it not SENSITIVE"}},
    {"extraction can be switched on", /* the value comes out by wrapping */
        MAKES("CKA_EXTRACTABLE=true") "C_SetAttributeValue:*:CKR_OK\n" STRONG, false,
        {"make it EXTRACTABLE again"}},
    {"sensitivity can be switched off",
        "C_SetAttributeValue:*:CKR_OK;C_GetAttributeValue:*:leak CKA_VALUE;"
        "C_GetAttributeValue:*:leak CKA_PRIVATE_EXPONENT",
        false, {"make it not SENSITIVE"}},
    {"usages can be switched on", /* real */
        MAKES("CKA_MODIFIABLE=true") "C_GetAttributeValue:*:misreport CKA_MODIFIABLE=false", true,
        {"set CKA_DERIVE true", "set CKA_DECRYPT true", "set CKA_UNWRAP true",
            "set CKA_ENCRYPT true", "set CKA_WRAP true"}},
    {"protection can be taken off",
        "C_SetAttributeValue:*:CKR_OK;C_GetAttributeValue:*:misreport CKA_COPYABLE=true;"
        "C_GetAttributeValue:*:misreport CKA_MODIFIABLE=true",
        true, {"set CKA_COPYABLE true", "set CKA_MODIFIABLE true", "make it like the real ones"}},
    {"account keys derive", ALLOWS("CKA_DERIVE"), true, /* real */
        {"derive a secret (CKM_ECDH1_DERIVE)"}},
    {"account keys decrypt", ALLOWS("CKA_DECRYPT"), true, /* real */
        {"decrypt (CKM_RSA_PKCS)"}},
    {"account keys unwrap", ALLOWS("CKA_UNWRAP"), true, /* real */
        {"unwrap a key with it (CKM_RSA_PKCS)"}},
    {"MAC keys verify", ALLOWS("CKA_VERIFY"), true, /* real */
        {"verify (CKM_SHA256_HMAC)"}},
    {"MAC keys compute any MAC", "C_CreateObject:*:ignore CKA_ALLOWED_MECHANISMS", true, /* real */
        {"another MAC (CKM_SHA512_HMAC)"}},
    {"usages are not looked at",
        "C_DecryptInit:*:CKR_OK;C_Decrypt:*:CKR_OK;C_EncryptInit:*:CKR_OK;C_Encrypt:*:CKR_OK;"
        "C_SignRecoverInit:*:CKR_OK;C_SignRecover:*:CKR_OK;C_DigestKey:*:CKR_OK",
        true,
        {"decrypt (CKM_AES_ECB)", "encrypt (CKM_AES_ECB)", "sign with recovery (CKM_RSA_PKCS)",
            "digest it (C_DigestKey)"}},
    {"a key that signs wrongly", "C_Sign:*:wrong", false, {"make it like the real ones"}},
    {"MAC keys compute truncated MACs", /* after the trials of the three keys */
        "C_SignInit:4+:CKR_OK;C_Sign:4+:CKR_OK", true,
        {"a truncated MAC (CKM_SHA256_HMAC_GENERAL)"}},
    {"derivation gives the value away", "C_DeriveKey:*:CKR_OK", false,
        {"derive its value (CKM_XOR_BASE_AND_DATA)",
            "derive its value (CKM_CONCATENATE_BASE_AND_DATA)",
            "derive its value (CKM_EXTRACT_KEY_FROM_KEY)"}},
    {"unwrapping does not look at templates",
        "C_UnwrapKey:2+:CKR_OK;C_GetAttributeValue:*:leak CKA_VALUE", false,
        {"unwrap weaker than CKA_UNWRAP_TEMPLATE says", "unwrap a key with it (CKM_AES_KEY_WRAP)"}},
};

/* Every (key, attempt) of a sound run, and whether it ever went red. */
static bool went_red[512];

static void
note_red(const struct token_probe *sound, const struct token_probe *found)
{
    for (size_t i = 0; i < found->row_count; i++)
        for (size_t j = 0; j < sound->row_count; j++)
            if (found->rows[i].verdict == TOKEN_PROBE_NOT_ENFORCED &&
                strcmp(found->rows[i].key, sound->rows[j].key) == 0 &&
                strcmp(found->rows[i].attempt, sound->rows[j].attempt) == 0)
                went_red[j] = true;
}

static bool
is_red(const struct token_probe *found, const char *attempt)
{
    for (size_t i = 0; i < found->row_count; i++)
        if (found->rows[i].verdict == TOKEN_PROBE_NOT_ENFORCED &&
            strcmp(found->rows[i].attempt, attempt) == 0)
            return true;
    return false;
}

static void
test_each_row_goes_red(void **state)
{
    struct token_probe *sound = probe();

    (void)state;
    for (size_t i = 0; i < AW_COUNT(lies); i++) {
        mock_rules(&h, "%s", lies[i].rules);
        struct token_probe *found = probe();
        if (token_probe_holds(found) != lies[i].fit)
            fail_msg("%s: %s", lies[i].name, lies[i].fit ? "unfit" : "fit");
        for (size_t j = 0; j < 10 && lies[i].red[j] != NULL; j++)
            if (!is_red(found, lies[i].red[j]))
                fail_msg("%s: \"%s\" is not red", lies[i].name, lies[i].red[j]);
        note_red(sound, found);
        if (mock_objects() != 0)
            fail_msg("%s: %u objects are left", lies[i].name, mock_objects());
        token_probe_free(&found);
    }
    for (size_t j = 0; j < sound->row_count; j++)
        if (!went_red[j])
            print_error("never red: %s, %s\n", sound->rows[j].key, sound->rows[j].attempt);
    for (size_t j = 0; j < sound->row_count; j++)
        assert_true(went_red[j]);
    token_probe_free(&sound);
}

/* What follows is said in words, and whether it matters. */
static void
test_words(void **state)
{
    (void)state;
    mock_rules(&h, "%s", MAKES("CKA_EXTRACTABLE=true") STRONG);
    struct token_probe *found = probe();
    const struct token_probe_row *row =
        row_of(found, "EAB key", "wrap it out with CKM_AES_KEY_WRAP");
    assert_non_null(strstr(row->follows, "NOT ENFORCED: whoever has a session"));
    assert_non_null(strstr(row->follows, "octets came"));
    assert_true(row->required);
    assert_string_equal(token_probe_verdict_name(row->verdict), "not-enforced");
    row = row_of(found, "EAB key", "wrap it out with CKM_AES_CBC_PAD");
    assert_string_equal(row->follows, "not offered by this token");
    assert_string_equal(token_probe_verdict_name(row->verdict), "not-offered");
    token_probe_free(&found);
}

/* An attempt that failed as such proves nothing: the token is not called fit. */
static const struct {
    const char *rules;
    enum token_probe_verdict verdict;
    bool holds;
} failing_rows[] = {
    {"C_WrapKey:2+:CKR_SESSION_HANDLE_INVALID", TOKEN_PROBE_UNCLEAR, false},
    {"C_WrapKey:2+:CKR_DEVICE_REMOVED", TOKEN_PROBE_UNCLEAR, false},
    {"C_WrapKey:2+:CKR_OBJECT_HANDLE_INVALID", TOKEN_PROBE_UNCLEAR, false},
    {"C_WrapKey:2+:CKR_USER_NOT_LOGGED_IN", TOKEN_PROBE_UNCLEAR, false},
    {"C_WrapKey:2+:CKR_HOST_MEMORY", TOKEN_PROBE_UNCLEAR, false},
    /* Offered, but it works on no key at all: that says nothing about ours. */
    {"C_WrapKey:*:CKR_FUNCTION_FAILED", TOKEN_PROBE_UNCLEAR, false},
    {"C_GenerateKey:*:CKR_DEVICE_MEMORY", TOKEN_PROBE_UNCLEAR, false},
    /* Not offered. */
    {"C_WrapKey:*:CKR_FUNCTION_NOT_SUPPORTED;C_GetMechanismInfo:*:CKR_MECHANISM_INVALID",
        TOKEN_PROBE_NOT_OFFERED, true},
};

static void
test_attempts_that_fail_prove_nothing(void **state)
{
    const enum token_key_type type = TOKEN_KEY_EC_P256;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(failing_rows); i++) {
        struct token_probe *found = NULL;
        mock_rules(&h, "%s", failing_rows[i].rules);
        assert_ok(token_probe_run(t, &type, 1, &found));
        const struct token_probe_row *row =
            row_of(found, "EAB key", "wrap it out with CKM_AES_KEY_WRAP");
        if (row->verdict != failing_rows[i].verdict ||
            token_probe_holds(found) != failing_rows[i].holds)
            fail_msg("%s: %s, %s", failing_rows[i].rules, row->answer, row->follows);
        token_probe_free(&found);
        assert_int_equal(mock_objects(), 0);
    }
}

/* The way out. */

/* Whichever call fails, at whichever time: nothing is left, or it is told. */
static void
test_nothing_is_left_behind(void **state)
{
    static const char *const functions[] = {"C_OpenSession", "C_GetSessionInfo", "C_CreateObject",
        "C_GenerateKeyPair", "C_FindObjectsInit", "C_FindObjects", "C_GetAttributeValue",
        "C_UnwrapKey", "C_DestroyObject"};
    static const char *const answers[] = {"CKR_GENERAL_ERROR", "CKR_DEVICE_REMOVED"};
    const enum token_key_type type = TOKEN_KEY_EC_P256;
    unsigned failed = 0;

    (void)state;
    for (size_t row = 0; row < AW_COUNT(functions); row++) {
        for (unsigned n = 1; n < 40; n = n * 5 / 2 + 1) {
            struct token_probe *found = NULL;
            char rule[96];
            snprintf(rule, sizeof(rule), "%s:%u:%s", functions[row], n,
                answers[(row + n) % AW_COUNT(answers)]);
            mock_rules(&h, "%s", rule);
            aw_result r = token_probe_run(t, &type, 1, &found);
            bool told = aw_ok(r) ? found->left_behind[0] != '\0'
                                 : strstr(aw_error_last()->message, "left behind") != NULL;
            if (mock_objects() != 0 && !told)
                fail_msg("%s: %u objects are left, and nobody says so", rule, mock_objects());
            failed += !aw_ok(r) || !token_probe_holds(found);
            token_probe_free(&found);
            mock_rules(&h, "%s", "");
        }
    }
    assert_in_range(failed, 10, 1000); /* the rows did something */
}

static void
test_what_stays_is_told(void **state)
{
    const enum token_key_type type = TOKEN_KEY_EC_P256;
    struct token_probe *found = NULL;

    (void)state;
    mock_rules(&h, "C_DestroyObject:*:CKR_ACTION_PROHIBITED");
    assert_ok(token_probe_run(t, &type, 1, &found));
    assert_string_equal(found->left_behind,
        "acmeward-probe:ec-p256, acmeward-probe:eab, acmeward-probe:relay, "
        "acmeward-probe:unwrapped");
    assert_false(token_probe_holds(found));
    assert_int_equal(mock_objects(), 5);
    token_probe_free(&found);
    /* The next probe destroys it, and keys of ours stay. */
    struct token_key_report report;
    token_key *key = NULL;
    mock_rules(&h, "%s", "");
    assert_ok(token_key_generate(t, "acmeward-account:probe", type, &report, &key));
    assert_ok(token_probe_run(t, &type, 1, &found));
    assert_true(token_probe_holds(found));
    assert_int_equal(mock_objects(), 2);
    token_key_free(&key);
    token_probe_free(&found);
    assert_ok(token_key_find(t, "acmeward-account:probe", &key));
    token_key_free(&key);
}

/* A token that is gone ends it, with what could not be destroyed. */
static void
test_a_token_that_goes_away(void **state)
{
    struct token_probe *found = NULL;

    (void)state;
    mock_rules(&h, "C_GenerateKeyPair:3+:CKR_DEVICE_REMOVED;C_DestroyObject:*:CKR_DEVICE_REMOVED");
    assert_fails(
        token_probe_run(t, types, AW_COUNT(types), &found), AW_CODE_TOKEN_GONE, "left behind");
    assert_null(found);
}

#define test_row(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        test_row(test_softhsm),
        test_row(test_each_row_goes_red),
        test_row(test_words),
        test_row(test_attempts_that_fail_prove_nothing),
        test_row(test_nothing_is_left_behind),
        test_row(test_what_stays_is_told),
        test_row(test_a_token_that_goes_away),
    };

    return cmocka_run_group_tests_name("token_probe", tests, NULL, NULL);
}
