/* Keys and signatures of CSRs: attacks 67 and 70, weak keys, odd encodings of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/result.h"
#include "csr_rows.h"

/* Keys. */

static const struct {
    const char *name;
    enum test_key key;
    const char *digest;
    const char *rule;
} key_rows[] = {
    {"P-256", KEY_P256, "SHA256", ""},
    {"P-384", KEY_P384, "SHA384", ""},
    {"P-256 with SHA-512", KEY_P256, "SHA512", ""},
    {"attack 114: P-521", KEY_P521, "SHA512", "csr.key.curve"},
    {"attack 114: secp256k1", KEY_SECP256K1, "SHA256", "csr.key.curve"},
    {"attack 114: explicit parameters of P-256", KEY_P256_EXPLICIT, "SHA256",
        "csr.key.explicit-curve"},
    {"attack 134: Ed25519", KEY_ED25519, "SHA512", "csr.key.type"},
    {"RSA 2048", KEY_RSA_2048, "SHA256", ""},
    {"RSA 2048 with SHA-384", KEY_RSA_2048, "SHA384", ""},
    {"RSA 3072", KEY_RSA_3072, "SHA256", ""},
    {"RSA 4096", KEY_RSA_4096, "SHA512", ""},
    {"attack 67: RSA 1024", KEY_RSA_1024, "SHA256", "csr.key.rsa-bits"},
    {"attack 67: RSA 2047", KEY_RSA_2047, "SHA256", "csr.key.rsa-bits"},
    {"attack 67: exponent 3", KEY_RSA_EXPONENT_3, "SHA256", "csr.key.rsa-exponent"},
    {"attack 113: CVE-2017-15361", KEY_RSA_ROCA, "SHA256", "csr.key.weak"},
    {"attack 113: close primes", KEY_RSA_CLOSE_PRIMES, "SHA256", "csr.key.weak"},
    {"attack 113: small factor", KEY_RSA_SMALL_FACTOR, "SHA256", "csr.key.weak"},
    {"attack 70: SHA-1, EC", KEY_P256, "SHA1", "csr.signature.sha1"},
    {"attack 70: SHA-1, RSA", KEY_RSA_2048, "SHA1", "csr.signature.sha1"},
    {"attack 134: SHA-224", KEY_P256, "SHA224", "csr.signature.algorithm"},
    {"attack 134: MD5", KEY_RSA_2048, "MD5", "csr.signature.algorithm"},
};

static void
keys(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(key_rows); i++) {
        octets der =
            csr_of(&(struct csr_parts){.key = key_rows[i].key, .digest = key_rows[i].digest});
        failures += !verdict_is(key_rows[i].name, der, key_rows[i].rule);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

#define P256_ALGORITHM SEQUENCE(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"))
#define RSA_ALGORITHM SEQUENCE(oid("1.2.840.113549.1.1.1"), LITERAL("\x05\0"))
#define RSA_KEY(algorithm, n, e) SEQUENCE(algorithm, bits(SEQUENCE(n, e)))
#define F4 element(0x02, LITERAL("\x01\0\x01"))

/* 65 octets that are no point, or the point of the test's key in another form. */
static octets
point(uint8_t form, bool on_curve)
{
    octets key_info = public_key(KEY_P256);
    uint8_t point[65];

    memcpy(point, key_info.data + key_info.size - sizeof(point), sizeof(point));
    point[0] = form;
    point[64] = (uint8_t)(point[64] ^ !on_curve);
    return octets_of(point, form == 0x04 ? 65 : form == 0x00 ? 1 : form < 0x04 ? 33 : 65);
}

static octets
modulus(size_t size, uint8_t last, bool padded)
{
    octets n = JOIN(padded ? LITERAL("\0\0") : LITERAL("\0"), NOTHING);
    uint8_t *body = memset(malloc(size), 0xb5, size);

    body[size - 1] = last;
    n = element(0x02, JOIN(n, octets_of(body, size)));
    free(body);
    return n;
}

PART(off_curve, SEQUENCE(P256_ALGORITHM, bits(point(0x04, false))))
PART(compressed, SEQUENCE(P256_ALGORITHM, bits(point(0x02, true))))
/* One of the two has the parity that OpenSSL would take. */
PART(hybrid, SEQUENCE(P256_ALGORITHM, bits(point(0x06, true))))
PART(hybrid_odd, SEQUENCE(P256_ALGORITHM, bits(point(0x07, true))))
PART(infinity, SEQUENCE(P256_ALGORITHM, bits(point(0x00, true))))
PART(no_point, SEQUENCE(P256_ALGORITHM, bits(NOTHING)))
PART(long_point, SEQUENCE(P256_ALGORITHM, bits(JOIN(point(0x04, true), LITERAL("x")))))
PART(implicit_curve,
    SEQUENCE(SEQUENCE(oid("1.2.840.10045.2.1"), LITERAL("\x05\0")), bits(point(0x04, true))))
PART(no_curve, SEQUENCE(SEQUENCE(oid("1.2.840.10045.2.1")), bits(point(0x04, true))))
PART(two_curves,
    SEQUENCE(SEQUENCE(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"), oid("1.3.132.0.34")),
        bits(point(0x04, true))))
PART(odd_bits, SEQUENCE(P256_ALGORITHM, element(0x03, JOIN(LITERAL("\x01"), point(0x04, true)))))
PART(after_key, SEQUENCE(P256_ALGORITHM, bits(point(0x04, true)), LITERAL("\x05\0")))
PART(even_modulus, RSA_KEY(RSA_ALGORITHM, modulus(256, 0xb4, false), F4))
PART(padded_modulus, RSA_KEY(RSA_ALGORITHM, modulus(256, 0xb5, true), F4))
PART(padded_exponent,
    RSA_KEY(RSA_ALGORITHM, modulus(256, 0xb5, false), element(0x02, LITERAL("\0\x01\0\x01"))))
PART(exponent_1, RSA_KEY(RSA_ALGORITHM, modulus(256, 0xb5, false), integer(1)))
PART(exponent_0, RSA_KEY(RSA_ALGORITHM, modulus(256, 0xb5, false), integer(0)))
PART(modulus_16384, RSA_KEY(RSA_ALGORITHM, modulus(2048, 0xb5, false), F4))
PART(modulus_0, RSA_KEY(RSA_ALGORITHM, integer(0), F4))
PART(
    rsa_without_null, RSA_KEY(SEQUENCE(oid("1.2.840.113549.1.1.1")), modulus(256, 0xb5, false), F4))
PART(rsa_pss, RSA_KEY(SEQUENCE(oid("1.2.840.113549.1.1.10")), modulus(256, 0xb5, false), F4))
PART(dsa, SEQUENCE(SEQUENCE(oid("1.2.840.10040.4.1")), bits(integer(2))))

/* The signatures of these are P-256's, so an RSA key that got as far would fail by its algorithm.
 */
static const struct row key_form_rows[] = {
    {"attack 115: point off the curve", KEY_INFO, off_curve, "csr.key.point"},
    {"attack 115: compressed point", KEY_INFO, compressed, "csr.key.point"},
    {"attack 115: hybrid point", KEY_INFO, hybrid, "csr.key.point"},
    {"attack 115: hybrid point, odd", KEY_INFO, hybrid_odd, "csr.key.point"},
    {"attack 115: point at infinity", KEY_INFO, infinity, "csr.key.point"},
    {"attack 115: no point", KEY_INFO, no_point, "csr.key.point"},
    {"attack 115: point and an octet", KEY_INFO, long_point, "csr.key.point"},
    {"attack 114: implicit curve", KEY_INFO, implicit_curve, "csr.key.explicit-curve"},
    {"attack 114: no curve", KEY_INFO, no_curve, "csr.key.explicit-curve"},
    {"attack 114: two curves", KEY_INFO, two_curves, "csr.structure"},
    {"attack 127: bit string with unused bits", KEY_INFO, odd_bits, "csr.not-der"},
    {"attack 127: something after the key", KEY_INFO, after_key, "csr.structure"},
    {"attack 67: exponent 1", KEY_INFO, exponent_1, "csr.key.rsa-exponent"},
    {"attack 67: exponent 0", KEY_INFO, exponent_0, "csr.key.rsa-exponent"},
    {"attack 67: RSA 16384", KEY_INFO, modulus_16384, "csr.key.rsa-bits"},
    {"attack 67: RSA 0", KEY_INFO, modulus_0, "csr.key.rsa-bits"},
    {"attack 134: RSA without NULL", KEY_INFO, rsa_without_null, "csr.structure"},
    {"attack 134: RSA-PSS key", KEY_INFO, rsa_pss, "csr.key.type"},
    {"attack 134: DSA key", KEY_INFO, dsa, "csr.key.type"},
};

static void
forms_of_keys(void **state)
{
    (void)state;
    check_rows(key_form_rows, AW_COUNT(key_form_rows));
}

/* RSA keys that nobody can sign with: the signature is of the right length and never looked at. */
static void
moduli_that_cannot_sign(void **state)
{
    static const struct {
        const char *name;
        octets (*key_info)(void);
        const char *rule;
    } rows[] = {
        {"attack 113: even modulus", even_modulus, "csr.key.weak"},
        {"attack 127: padded modulus", padded_modulus, "csr.not-der"},
        {"attack 127: padded exponent", padded_exponent, "csr.not-der"},
    };
    uint8_t signature[257] = {0};
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        octets der = csr_of(&(struct csr_parts){.key = KEY_RSA_2048,
            .key_info = rows[i].key_info(),
            .signature = octets_of(signature, sizeof(signature))});
        failures += !verdict_is(rows[i].name, der, rows[i].rule);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

/* Signature. */

#define SHA256_RSA "1.2.840.113549.1.1.11"
#define SHA256_ECDSA "1.2.840.10045.4.3.2"
#define R LITERAL("\x02\x01\x05")

PART(rsa_algorithm, SEQUENCE(oid(SHA256_RSA), LITERAL("\x05\0")))
PART(ecdsa_with_null, SEQUENCE(oid(SHA256_ECDSA), LITERAL("\x05\0")))
PART(pss_algorithm, SEQUENCE(oid("1.2.840.113549.1.1.10")))
PART(no_signature, NOTHING)
PART(zero_signature, JOIN(LITERAL("\0"), SEQUENCE(integer(0), integer(0))))
PART(wrong_signature, JOIN(LITERAL("\0"), SEQUENCE(R, R)))
PART(negative_signature, JOIN(LITERAL("\0"), SEQUENCE(integer(0xff), R)))
PART(padded_signature, JOIN(LITERAL("\0"), SEQUENCE(element(0x02, LITERAL("\0\x05")), R)))
PART(three_numbers, JOIN(LITERAL("\0"), SEQUENCE(R, R, R)))
PART(after_signature, JOIN(LITERAL("\0"), SEQUENCE(R, R), LITERAL("x")))
PART(odd_signature, JOIN(LITERAL("\x03"), SEQUENCE(R, R)))

static const struct row signature_rows[] = {
    {"attack 70: an RSA algorithm with an EC key", ALGORITHM, rsa_algorithm,
        "csr.signature.algorithm"},
    {"attack 70: RSA-PSS", ALGORITHM, pss_algorithm, "csr.signature.algorithm"},
    {"attack 70: ECDSA with NULL", ALGORITHM, ecdsa_with_null, "csr.structure"},
    {"attack 70: no signature", SIGNATURE, no_signature, "csr.structure"},
    {"attack 70: r and s 0", SIGNATURE, zero_signature, "csr.signature"},
    {"attack 70: r and s 5", SIGNATURE, wrong_signature, "csr.signature"},
    {"attack 70: negative r", SIGNATURE, negative_signature, "csr.not-der"},
    {"attack 70: padded r", SIGNATURE, padded_signature, "csr.not-der"},
    {"attack 70: r, s and one more", SIGNATURE, three_numbers, "csr.structure"},
    {"attack 70: octets after s", SIGNATURE, after_signature, "csr.structure"},
    {"attack 70: unused bits", SIGNATURE, odd_signature, "csr.not-der"},
};

static void
signatures(void **state)
{
    (void)state;
    check_rows(signature_rows, AW_COUNT(signature_rows));
    octets key_info = public_key(KEY_P256_OTHER);
    octets other = csr_of(&(struct csr_parts){.key = KEY_P256, .key_info = key_info});
    assert_true(verdict_is("attack 70: signed by another key", other, "csr.signature"));
    octets swapped = csr_sign(
        csr_info(&(struct csr_parts){.key = KEY_RSA_2048}), &(struct csr_parts){.key = KEY_P256});
    assert_true(verdict_is(
        "attack 70: an EC signature for an RSA key", swapped, "csr.signature.algorithm"));
    octets cut = csr_of(&(struct csr_parts){.key = KEY_RSA_2048, .signature = LITERAL("\0abc")});
    assert_true(verdict_is("attack 70: short RSA signature", cut, "csr.signature"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(keys, csr_reset),
        cmocka_unit_test_teardown(forms_of_keys, csr_reset),
        cmocka_unit_test_teardown(moduli_that_cannot_sign, csr_reset),
        cmocka_unit_test_teardown(signatures, csr_reset),
    };

    return cmocka_run_group_tests_name("csr_key", tests, NULL, csr_end);
}
