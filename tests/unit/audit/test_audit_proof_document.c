/* Proofs as JSON: that a record's own number is the one that is proved; members that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "audit/proof_document.h"
#include "common/io.h"
#include "support.h"

#define ORIGIN "log.example"
#define RECORD(seq)                                                                             \
    "{\"seq\":" seq ",\"time\":\"2026-11-24T02:34:25Z\",\"kind\":\"start\",\"prev\":\"00000000" \
    "00000000000000000000000000000000000000000000000000000000\"}"

/* A checkpoint of a tree whose only leaf is that line, signed by a key made here. */
static char *
note_over(const char *line, EVP_PKEY *key, const audit_verifier *verifier)
{
    AW_CLEANUP(audit_hasher_free) audit_hasher *hasher = NULL;
    struct audit_checkpoint checkpoint = {.origin = ORIGIN, .head.size = 1};
    AW_CLEANUP(aw_free) char *body = NULL;
    uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE];
    unsigned char der[128];
    const unsigned char *at = der;
    size_t size = sizeof(der);
    char *note = NULL;

    expect_ok("hasher", audit_hasher_new(&hasher));
    expect_ok("leaf", audit_tree_leaf(hasher, line, strlen(line), &checkpoint.head.root));
    expect_ok("body", audit_checkpoint_body(&checkpoint, &body));
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(context, der, &size, (const unsigned char *)body, strlen(body)), 1);
    EVP_MD_CTX_free(context);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32), 32);
    ECDSA_SIG_free(signature);
    expect_ok("seal", audit_checkpoint_seal(&checkpoint, verifier, raw, &note));
    return note;
}

static void
what_is_proved_is_what_the_record_says(void **state)
{
    static const struct {
        const char *name, *leaf; /* what stands in the tree */
        int64_t seq;
        const char *record;
        enum aw_code code;
        const char *reason;
    } rows[] = {
        {"as it stands", RECORD("1"), 1, RECORD("1"), AW_CODE_OK, NULL},
        {"another number in the tree's own leaf", RECORD("2"), 1, RECORD("2"), AW_CODE_MISMATCH,
            "the record says 2"},
        {"another number claimed", RECORD("1"), 2, RECORD("1"), AW_CODE_MISMATCH,
            "the record says 1"},
        {"another record", RECORD("1"), 1, RECORD("1") " ", AW_CODE_MISMATCH, "does not show"},
        {"no record", "x", 1, "x", AW_CODE_SYNTAX, "record"},
        {"two lines", RECORD("1") "\nx", 1, RECORD("1") "\nx", AW_CODE_SYNTAX, "one line"},
    };
    EVP_PKEY *key = EVP_EC_gen("P-256");
    AW_CLEANUP(audit_verifier_free) audit_verifier *verifier = NULL;
    unsigned char *der = NULL;
    int size = i2d_PUBKEY(key, &der);

    (void)state;
    expect_ok("verifier", audit_verifier_of_spki(ORIGIN, der, (size_t)size, &verifier));
    const audit_verifier *const items[] = {verifier};
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_checkpoint checkpoint;
        AW_CLEANUP(audit_proof_document_free)
        struct audit_proof_document document = {.seq = rows[i].seq,
            .record = strdup(rows[i].record),
            .checkpoint = note_over(rows[i].leaf, key, verifier)};
        aw_result r =
            audit_proof_document_verify(&document, &(struct audit_keys){items, 1}, &checkpoint);
        if (rows[i].reason == NULL)
            expect_ok(rows[i].name, r);
        else
            expect_failure(rows[i].name, r, rows[i].code, rows[i].reason);
    }
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void
no_other_members(void **state)
{
    static const struct {
        const char *name, *text, *reason;
    } rows[] = {
        {"nothing", "{}", "seq"},
        {"no object", "[]", ""},
        {"no record", "{\"seq\":1,\"proof\":[],\"checkpoint\":\"\"}", "record"},
        {"no proof", "{\"seq\":1,\"record\":\"\",\"checkpoint\":\"\"}", "proof"},
        {"no checkpoint", "{\"seq\":1,\"record\":\"\",\"proof\":[]}", "checkpoint"},
        {"record none", "{\"seq\":\"1\",\"record\":\"\",\"proof\":[],\"checkpoint\":\"\"}", "seq"},
        {"both", "{\"from\":\"\",\"seq\":1,\"proof\":[],\"checkpoint\":\"\"}", "seq"},
        {"a short hash", "{\"from\":\"\",\"proof\":[\"AAAA\"],\"checkpoint\":\"\"}", "32 octets"},
        {"a number for a hash", "{\"from\":\"\",\"proof\":[1],\"checkpoint\":\"\"}", "32 octets"},
        {"twice", "{\"seq\":1,\"seq\":1}", "seq"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct audit_proof_document document;
        expect_failure(rows[i].name,
            audit_proof_document_parse(rows[i].text, strlen(rows[i].text), &document),
            AW_CODE_SYNTAX, rows[i].reason);
        assert_null(document.checkpoint);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proved_is_what_the_record_says),
        cmocka_unit_test(no_other_members),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
