/* Attack 109 and its relatives: what a CA may not make us store. And the requests, which the
 * signer's own parser must take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "authority.h"
#include "client/chain.h"
#include "csr/csr.h"

#define HOST "www.example.edu"
#define OTHER "api.example.edu"

/* One of each for all rows. */
static struct party root, middle, stranger, leaf;
static struct aw_name ordered[3];
static size_t ordered_count;

static int
make_parties(void **state)
{
    static const char *const names[] = {HOST, OTHER, "192.0.2.7"};

    (void)state;
    root = authority_make(NULL, &(struct wish){.subject = "Root", .ca = true});
    middle = authority_make(&root, &(struct wish){.subject = "Middle", .ca = true});
    stranger = authority_make(NULL, &(struct wish){.subject = "Stranger", .ca = true});
    leaf = authority_make(
        &middle, &(struct wish){.subject = HOST, .san = "DNS:" HOST ",DNS:" OTHER ",IP:192.0.2.7"});
    ordered_count = 3;
    authority_names(names, ordered_count, ordered);
    return 0;
}

static int
free_parties(void **state)
{
    (void)state;
    authority_free(&root);
    authority_free(&middle);
    authority_free(&stranger);
    authority_free(&leaf);
    return 0;
}

/* Makers of texts; `size` is set where the text holds a NUL or is huge. */

static char *
pem_of(const struct party *a, const struct party *b, const struct party *c)
{
    char *first = authority_pem(a->certificate);
    char *second = b == NULL ? strdup("") : authority_pem(b->certificate);
    char *third = c == NULL ? strdup("") : authority_pem(c->certificate);
    char *all = authority_join(first, second, third, NULL);

    free(first);
    free(second);
    free(third);
    return all;
}

/* The leaf made anew after a wish, for the ordered key, with the middle behind it. */
static char *
special(const struct wish *wish)
{
    struct wish with_key = *wish;
    with_key.key = leaf.key;
    with_key.subject = with_key.subject == NULL ? HOST : with_key.subject;
    struct party made = authority_make(&middle, &with_key);
    char *all = pem_of(&made, &middle, NULL);

    authority_free(&made);
    return all;
}

static char *
around(const char *before, const char *between, const char *behind)
{
    char *first = authority_pem(leaf.certificate), *second = authority_pem(middle.certificate);
    char *all = authority_join(before, first, between, second, behind, NULL);

    free(first);
    free(second);
    return all;
}

static char *
make_good(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &middle, NULL);
}
static char *
make_with_root(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &middle, &root);
}
static char *
make_alone(size_t *size)
{
    (void)size;
    return pem_of(&leaf, NULL, NULL);
}
static char *
make_blank(size_t *size)
{
    (void)size;
    return around("\n \t\n", "\r\n\n", "\n\n");
}
static char *
make_text(size_t *size)
{
    (void)size;
    return around("", "subject=CN = x\n", "");
}
static char *
make_text_before(size_t *size)
{
    (void)size;
    return around("hello\n", "", "");
}
static char *
make_text_behind(size_t *size)
{
    (void)size;
    return around("", "", "<html>");
}
static char *
make_shell(size_t *size)
{
    (void)size;
    return around("", "`id`\033]0;x\a\n", "");
}
static char *
make_empty(size_t *size)
{
    (void)size;
    return strdup("");
}
static char *
make_white(size_t *size)
{
    (void)size;
    return strdup("\n\n");
}
static char *
make_order(size_t *size)
{
    (void)size;
    return pem_of(&middle, &leaf, NULL);
}
static char *
make_skip(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &root, &middle);
}
static char *
make_twice(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &leaf, &middle);
}
static char *
make_other(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &middle, &stranger);
}
static char *
make_no_issuer(size_t *size)
{
    (void)size;
    return pem_of(&leaf, &stranger, NULL);
}

static char *
make_crlf(size_t *size)
{
    char *good = make_good(size), *out = calloc(2, strlen(good) + 1), *at = out;

    for (const char *c = good; *c != '\0'; c++) {
        if (*c == '\n')
            *at++ = '\r';
        *at++ = *c;
    }
    free(good);
    return out;
}

static char *
with_key(bool first, EVP_PKEY *key)
{
    char *pem = authority_key_pem(key);
    char *all = around(first ? pem : "", "", first ? "" : pem);

    free(pem);
    return all;
}

static char *
make_key_last(size_t *size)
{
    (void)size;
    return with_key(false, leaf.key);
}
static char *
make_key_first(size_t *size)
{
    (void)size;
    return with_key(true, leaf.key);
}
static char *
make_foreign_key(size_t *size)
{
    (void)size;
    return with_key(false, stranger.key);
}

static char *
block(const char *label, size_t extra)
{
    char *first = authority_block(leaf.certificate, label, extra);
    char *second = authority_pem(middle.certificate);
    char *all = authority_join(first, second, NULL);

    free(first);
    free(second);
    return all;
}

static char *
make_trusted(size_t *size)
{
    (void)size;
    return block("TRUSTED CERTIFICATE", 0);
}
static char *
make_old_label(size_t *size)
{
    (void)size;
    return block("X509 CERTIFICATE", 0);
}
static char *
make_crl(size_t *size)
{
    (void)size;
    return block("X509 CRL", 0);
}
static char *
make_trailing(size_t *size)
{
    (void)size;
    return block("CERTIFICATE", 3);
}

static char *
make_nul(size_t *size)
{
    char *good = make_good(size);

    *size = strlen(good);
    good[200] = '\0';
    return good;
}

static char *
make_nul_behind(size_t *size)
{
    char *good = make_good(size);

    *size = strlen(good) + 1;
    return good;
}

static char *
make_cut(size_t *size)
{
    char *good = make_alone(size);

    good[strlen(good) - 40] = '\0';
    return good;
}

static char *
make_header(size_t *size)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
    char *good = make_alone(size);
    char *all = authority_join(begin, "Proc-Type: 4,ENCRYPTED\n\n", good + strlen(begin), NULL);

    free(good);
    return all;
}

static char *
make_garbage(size_t *size)
{
    (void)size;
    return strdup("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
}

static char *
make_nested(size_t *size)
{
    char *good = make_alone(size);
    char *all = authority_join("-----BEGIN CERTIFICATE-----\n", good, NULL);

    free(good);
    return all;
}

static char *
make_many(size_t *size)
{
    char *all = make_good(size);

    for (size_t i = 0; i < CHAIN_CERTIFICATES_MAX; i++) {
        char *next = authority_pem(middle.certificate);
        char *more = authority_join(all, next, NULL);
        free(all);
        free(next);
        all = more;
    }
    return all;
}

static char *
make_huge(size_t *size)
{
    char *all = malloc(CHAIN_PEM_MAX + 2);

    assert_non_null(all);
    memset(all, '\n', CHAIN_PEM_MAX + 1);
    all[CHAIN_PEM_MAX + 1] = '\0';
    *size = CHAIN_PEM_MAX + 1;
    return all;
}

#define GOOD_SAN "DNS:" HOST ",DNS:" OTHER ",IP:192.0.2.7"
#define SPECIAL(name, ...)                           \
    static char *name(size_t *size)                  \
    {                                                \
        (void)size;                                  \
        return special(&(struct wish){__VA_ARGS__}); \
    }
SPECIAL(make_one_more, .san = GOOD_SAN ",DNS:evil.example.edu")
SPECIAL(make_one_fewer, .san = "DNS:" HOST ",DNS:" OTHER)
SPECIAL(make_one_other, .san = "DNS:" HOST ",DNS:b.example.edu,IP:192.0.2.7")
SPECIAL(make_wildcard, .san = "DNS:" HOST ",DNS:*.example.edu,IP:192.0.2.7")
SPECIAL(make_other_address, .san = "DNS:" HOST ",DNS:" OTHER ",IP:192.0.2.8")
SPECIAL(make_upper, .san = "DNS:WWW.Example.EDU,DNS:" OTHER ",IP:192.0.2.7")
SPECIAL(make_mail, .san = GOOD_SAN ",email:a@example.edu")
SPECIAL(make_uri, .san = GOOD_SAN ",URI:https://example.edu/")
SPECIAL(make_bad_name, .san = GOOD_SAN ",DNS:a_b.example.edu")
SPECIAL(make_name_twice, .san = GOOD_SAN ",DNS:" HOST)
SPECIAL(make_no_san, .san = NULL)
SPECIAL(make_empty_san, .san = "DER:30:00")
SPECIAL(make_ca, .san = GOOD_SAN, .ca = true)
SPECIAL(make_expired, .san = GOOD_SAN, .from = -90000, .until = -7200)
SPECIAL(make_just_expired, .san = GOOD_SAN, .from = -90000, .until = -1800)
SPECIAL(make_future, .san = GOOD_SAN, .from = 7200)
SPECIAL(make_soon, .san = GOOD_SAN, .from = 1800)

static char *
make_wrong_key(size_t *size)
{
    struct party made = authority_make(&middle, &(struct wish){.subject = HOST, .san = GOOD_SAN});
    char *all = pem_of(&made, &middle, NULL);

    (void)size;
    authority_free(&made);
    return all;
}

/* A leaf as an issuer: everybody who has a certificate would be a CA. */
static char *
make_leaf_as_issuer(size_t *size)
{
    struct party upper = authority_make(&middle, &(struct wish){.subject = "Not a CA"});
    struct party made =
        authority_make(&upper, &(struct wish){.subject = HOST, .san = GOOD_SAN, .key = leaf.key});
    char *all = pem_of(&made, &upper, &middle);

    (void)size;
    authority_free(&upper);
    authority_free(&made);
    return all;
}

/* The right names in issuer and subject, another key's signature. */
static char *
make_forged(size_t *size)
{
    struct party fake = authority_make(NULL, &(struct wish){.subject = "Middle", .ca = true});
    char *all = pem_of(&leaf, &fake, NULL);

    (void)size;
    authority_free(&fake);
    return all;
}

static const struct row {
    const char *name;
    char *(*make)(size_t *size);
    enum aw_code verdict;
    const char *reason; /* part of the message */
} rows[] = {
    {"leaf and issuer", make_good, AW_CODE_OK, NULL},
    {"with the root", make_with_root, AW_CODE_OK, NULL},
    {"leaf alone", make_alone, AW_CODE_OK, NULL},
    {"CRLF", make_crlf, AW_CODE_OK, NULL},
    {"white space between", make_blank, AW_CODE_OK, NULL},
    {"upper case in the SAN", make_upper, AW_CODE_OK, NULL},
    {"expired within the clocks' difference", make_just_expired, AW_CODE_OK, NULL},
    {"valid within the clocks' difference", make_soon, AW_CODE_OK, NULL},
    {"attack 109: private key behind", make_key_last, AW_CODE_MISMATCH, "BEGIN PRIVATE KEY"},
    {"attack 109: private key before", make_key_first, AW_CODE_MISMATCH, "BEGIN PRIVATE KEY"},
    {"attack 109: private key of another", make_foreign_key, AW_CODE_MISMATCH, "BEGIN PRIVATE KEY"},
    {"attack 109: trusted certificate", make_trusted, AW_CODE_MISMATCH, "TRUSTED"},
    {"attack 109: old label", make_old_label, AW_CODE_MISMATCH, "X509 CERTIFICATE"},
    {"attack 109: CRL", make_crl, AW_CODE_MISMATCH, "X509 CRL"},
    {"attack 109: text between", make_text, AW_CODE_MISMATCH, "subject=CN"},
    {"attack 109: text before", make_text_before, AW_CODE_MISMATCH, "line 1"},
    {"attack 109: text behind", make_text_behind, AW_CODE_MISMATCH, "<html>"},
    {"attack 109: shell and terminal", make_shell, AW_CODE_MISMATCH, "`id`\\x1b"},
    {"NUL inside", make_nul, AW_CODE_MISMATCH, "\\x00"},
    {"NUL behind", make_nul_behind, AW_CODE_MISMATCH, "\\x00"},
    {"header in a block", make_header, AW_CODE_MISMATCH, "Proc-Type"},
    {"a block in a block", make_nested, AW_CODE_MISMATCH, "BEGIN CERTIFICATE"},
    {"cut off", make_cut, AW_CODE_SYNTAX, "ends inside"},
    {"empty", make_empty, AW_CODE_SYNTAX, "no certificate"},
    {"white space only", make_white, AW_CODE_SYNTAX, "no certificate"},
    {"no DER", make_garbage, AW_CODE_CRYPTO, "certificate 1"},
    {"octets behind the DER", make_trailing, AW_CODE_SYNTAX, "octets behind"},
    {"too many", make_many, AW_CODE_LIMIT, "more than 10"},
    {"too long", make_huge, AW_CODE_LIMIT, "262145"},
    {"attack 109: another key", make_wrong_key, AW_CODE_MISMATCH, "not for the key"},
    {"attack 109: more", make_one_more, AW_CODE_MISMATCH, "evil.example.edu, which was not"},
    {"attack 109: fewer", make_one_fewer, AW_CODE_MISMATCH, "192.0.2.7, which was ordered"},
    {"attack 109: other", make_one_other, AW_CODE_MISMATCH, "api.example.edu, which was ordered"},
    {"attack 109: a wildcard", make_wildcard, AW_CODE_MISMATCH, "*.example.edu, which was not"},
    {"attack 109: address", make_other_address, AW_CODE_MISMATCH, "192.0.2.7, which was ordered"},
    {"an e-mail address", make_mail, AW_CODE_MISMATCH, "value of type 1"},
    {"a URI", make_uri, AW_CODE_MISMATCH, "value of type 6"},
    {"a name that is none", make_bad_name, AW_CODE_MISMATCH, "a_b.example.edu"},
    {"a name twice", make_name_twice, AW_CODE_MISMATCH, "twice"},
    {"no SAN", make_no_san, AW_CODE_MISMATCH, "no subjectAltName"},
    {"a SAN without a name", make_empty_san, AW_CODE_MISMATCH, "empty subjectAltName"},
    {"a CA as leaf", make_ca, AW_CODE_MISMATCH, "one of a CA"},
    {"expired", make_expired, AW_CODE_MISMATCH, "expired at"},
    {"not valid yet", make_future, AW_CODE_MISMATCH, "valid only from"},
    {"issuer first", make_order, AW_CODE_MISMATCH, "not for the key"},
    {"root before its child", make_skip, AW_CODE_MISMATCH, "certificate 2 of the chain (\"CN=Root"},
    {"the leaf twice", make_twice, AW_CODE_MISMATCH, "did not sign certificate 1"},
    {"a stranger behind", make_other, AW_CODE_MISMATCH, "certificate 3 of the chain"},
    {"a stranger as issuer", make_no_issuer, AW_CODE_MISMATCH, "CN=Stranger"},
    {"issuer that is no CA", make_leaf_as_issuer, AW_CODE_MISMATCH, "CN=Not a CA"},
    {"issuer's name, another key", make_forged, AW_CODE_MISMATCH, "did not sign"},
};

static void
test_chains(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        size_t size = 0;
        char *text = rows[i].make(&size);
        struct chain chain = {0};

        aw_result r = chain_check(
            text, size == 0 ? strlen(text) : size, leaf.key, ordered, ordered_count, &chain);
        if (r.code != rows[i].verdict)
            fail_msg("%s: %s, expected %s (%s)", rows[i].name, aw_code_tag(r.code),
                aw_code_tag(rows[i].verdict), aw_error_last()->message);
        if (rows[i].reason != NULL && strstr(aw_error_last()->message, rows[i].reason) == NULL)
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, aw_error_last()->message,
                rows[i].reason);
        if (!aw_ok(r) && chain.count != 0)
            fail_msg("%s: a refused chain was given out", rows[i].name);
        chain_free(&chain);
        free(text);
    }
}

/* What is stored is what was checked: written anew, not the CA's octets. */
static void
test_parts(void **state)
{
    size_t size = 0;
    char *text = make_blank(&size), *cert = NULL, *above = NULL, *all = NULL;
    char *leaf_pem = authority_pem(leaf.certificate),
         *middle_pem = authority_pem(middle.certificate);
    char *both = authority_join(leaf_pem, middle_pem, NULL);
    struct chain chain = {0};
    uint8_t *der = NULL;

    (void)state;
    assert_true(aw_ok(chain_check(text, strlen(text), leaf.key, ordered, ordered_count, &chain)));
    assert_true(aw_ok(chain_pem(&chain, 0, 1, &cert)));
    assert_true(aw_ok(chain_pem(&chain, 1, CHAIN_CERTIFICATES_MAX, &above)));
    assert_true(aw_ok(chain_pem(&chain, 0, CHAIN_CERTIFICATES_MAX, &all)));
    assert_string_equal(cert, leaf_pem);
    assert_string_equal(above, middle_pem);
    assert_string_equal(all, both);
    assert_int_equal(strlen(chain.serial), 32);
    assert_true(aw_ok(chain_der(&chain, 1, &der, &size)));
    const unsigned char *next = der;
    X509 *again = d2i_X509(NULL, &next, (long)size);
    assert_int_equal(X509_cmp(again, middle.certificate), 0);
    X509_free(again);
    chain_free(&chain);
    free(der);
    free(text);
    free(cert);
    free(above);
    free(all);
    free(leaf_pem);
    free(middle_pem);
    free(both);
}

/* Each key type: the signer's parser, which is stricter than OpenSSL's, takes our request. */
static void
test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; chain_key_types[i] != NULL; i++) {
        EVP_PKEY *key = NULL;
        uint8_t *der = NULL;
        size_t size = 0;
        char rule[CSR_RULE_SIZE] = "";
        struct csr *csr = NULL;

        assert_true(aw_ok(chain_key_generate(NULL, chain_key_types[i], &key)));
        assert_string_equal(chain_key_type(key), chain_key_types[i]);
        const struct chain_request asked = {ordered, ordered_count, i % 2 == 1};
        assert_true(aw_ok(chain_csr(NULL, key, &asked, &der, &size)));
        if (!aw_ok(csr_parse(der, size, NULL, NULL, rule, &csr)))
            fail_msg("%s: %s: %s", chain_key_types[i], rule, aw_error_last()->message);
        assert_int_equal(csr->key, i);
        assert_int_equal(csr->name_count, ordered_count);
        for (size_t j = 0; j < ordered_count; j++)
            assert_int_equal(aw_name_compare(&csr->names[j], &ordered[j]), 0);
        assert_int_equal(csr->must_staple, asked.must_staple);
        csr_free(&csr);
        free(der);
        chain_key_free(&key);
    }
}

static void
test_keys(void **state)
{
    EVP_PKEY *key = NULL, *second = NULL;
    aw_secret *pem = NULL;

    (void)state;
    assert_int_equal(chain_key_generate(NULL, "rsa-1024", &key).code, AW_CODE_USAGE);
    assert_int_equal(chain_key_generate(NULL, "", &key).code, AW_CODE_USAGE);
    assert_null(key);
    assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &key)));
    assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &second)));
    assert_int_not_equal(EVP_PKEY_eq(key, second), 1);
    assert_true(aw_ok(chain_key_pem(key, &pem)));
    assert_memory_equal(pem->data, "-----BEGIN PRIVATE KEY-----\n", 28);
    assert_int_equal(pem->data[pem->size - 1], '\n');
    aw_secret_free(&pem);
    chain_key_free(&key);
    chain_key_free(&second);
    key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_string_equal(chain_key_type(key), "other");
    chain_key_free(&key);
    key = EVP_EC_gen("P-521");
    assert_string_equal(chain_key_type(key), "other");
    chain_key_free(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, make_parties, free_parties);
}
