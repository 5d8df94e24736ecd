/* The grammar of CSRs at the signer: every rule of part E of the catalogue refuses there, by its
 * own tag, on record, before policy and ledger are asked. The parser's tests have more of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "signer_world.h"

#define NAME LITERAL("a.example.edu")
#define CN "2.5.4.3"
#define HOST dns("a.example.edu")
#define REQUEST extension_request(san(HOST))
#define USAGE(octets) extension(KEY_USAGE_OID, element(0x03, LITERAL(octets)))

/* A CSR for one name, but for a part of it. */
#define WHOLE(name, ...)                        \
    static octets name(void)                    \
    {                                           \
        struct csr_parts parts = {__VA_ARGS__}; \
                                                \
        if (parts.names.data == NULL)           \
            parts.names = HOST;                 \
        return csr_of(&parts);                  \
    }

WHOLE(other_cn, .subject = subject(0x0c, LITERAL("b.example.edu")))
WHOLE(two_cns, .subject = SEQUENCE(rdn(CN, 0x0c, NAME), rdn(CN, 0x0c, NAME)))
WHOLE(nul_cn, .subject = subject(0x0c, LITERAL("a.example.edu\0.evil.example")))
WHOLE(t61_cn, .subject = subject(0x14, NAME))
WHOLE(bmp_cn, .subject = subject(0x1e, LITERAL("\0a\0.")))
WHOLE(universal_cn, .subject = subject(0x1c, LITERAL("\0\0\0a")))
WHOLE(upper_cn, .subject = subject(0x0c, LITERAL("A.example.edu")))
WHOLE(organization, .subject = SEQUENCE(rdn("2.5.4.10", 0x0c, LITERAL("Evil"))))
WHOLE(multi_valued, .subject = SEQUENCE(SET(SEQUENCE(oid(CN), element(0x0c, NAME)),
                        SEQUENCE(oid("2.5.4.10"), element(0x0c, LITERAL("Evil"))))))
WHOLE(two_sans, .more_extensions = san(HOST))
WHOLE(two_requests, .attributes = JOIN(REQUEST, REQUEST))
WHOLE(two_values, .attributes = attribute(EXTENSION_REQUEST_OID,
                      JOIN(SEQUENCE(san(HOST)), SEQUENCE(san(dns("evil.example"))))))
WHOLE(inner_octets, .more_info = LITERAL("\x05\0"))
WHOLE(other_name, .names = JOIN(HOST, element(0xa0, JOIN(oid("1.2.3"), element(0xa0, NAME)))))
WHOLE(email, .names = JOIN(HOST, element(0x81, LITERAL("admin@example.edu"))))
WHOLE(uri, .names = JOIN(HOST, element(0x86, LITERAL("https://a.example.edu/"))))
WHOLE(directory_name, .names = JOIN(HOST, element(0xa4, subject(0x0c, NAME))))
WHOLE(registered_id, .names = JOIN(HOST, element(0x88, LITERAL("\x2a\x03"))))
WHOLE(address_of_5, .names = JOIN(HOST, element(0x87, LITERAL("\xc0\0\x02\x10\0"))))
WHOLE(address_of_8, .names = JOIN(HOST, element(0x87, LITERAL("\xc0\0\x02\x10\xff\xff\xff\0"))))
WHOLE(mapped,
    .names = JOIN(HOST, element(0x87, LITERAL("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x10"))))
WHOLE(ca_true,
    .more_extensions = extension(BASIC_CONSTRAINTS_OID, SEQUENCE(element(0x01, LITERAL("\xff")))))
WHOLE(cert_sign, .more_extensions = USAGE("\x02\x04"))
WHOLE(code_signing,
    .more_extensions = extension(EXTENDED_KEY_USAGE_OID, SEQUENCE(oid("1.3.6.1.5.5.7.3.3"))))
WHOLE(unknown_extension, .more_extensions = critical_extension("1.2.3.4", LITERAL("\x05\0")))
WHOLE(usage_padded, .more_extensions = USAGE("\0\xa0"))
WHOLE(usage_nine_bits, .more_extensions = USAGE("\x07\x80\x80"))
WHOLE(usage_unused_9, .more_extensions = USAGE("\x09\x80"))
WHOLE(usage_empty, .more_extensions = USAGE("\0"))
WHOLE(password, .attributes = JOIN(
                    REQUEST, attribute("1.2.840.113549.1.9.7", element(0x0c, LITERAL("secret")))))
WHOLE(version_2, .version = integer(1))
WHOLE(version_negative, .version = element(0x02, LITERAL("\xff")))
WHOLE(version_padded, .version = element(0x02, LITERAL("\0\0")))
WHOLE(rsa_2047, .key = KEY_RSA_2047)
WHOLE(exponent_3, .key = KEY_RSA_EXPONENT_3)
WHOLE(roca, .key = KEY_RSA_ROCA)
WHOLE(close_primes, .key = KEY_RSA_CLOSE_PRIMES)
WHOLE(small_factor, .key = KEY_RSA_SMALL_FACTOR)
WHOLE(p521, .key = KEY_P521)
WHOLE(secp256k1, .key = KEY_SECP256K1)
WHOLE(explicit_curve, .key = KEY_P256_EXPLICIT)
WHOLE(ed25519, .key = KEY_ED25519, .digest = "SHA512")
WHOLE(sha1, .digest = "SHA1")
WHOLE(pss, .key = KEY_RSA_2048, .algorithm = SEQUENCE(oid("1.2.840.113549.1.1.10")))
WHOLE(rsa_oid_for_ec, .algorithm = SEQUENCE(oid("1.2.840.113549.1.1.11"), LITERAL("\x05\0")))
WHOLE(ecdsa_null, .algorithm = SEQUENCE(oid("1.2.840.10045.4.3.2"), LITERAL("\x05\0")))
WHOLE(rsa_no_null, .key = KEY_RSA_2048, .algorithm = SEQUENCE(oid("1.2.840.113549.1.1.11")))
WHOLE(unused_bits, .signature = JOIN(LITERAL("\x03"), SEQUENCE(integer(5), integer(5))))
WHOLE(zero_signature, .signature = JOIN(LITERAL("\0"), SEQUENCE(integer(0), integer(0))))
WHOLE(microsoft, .attributes = attribute("1.3.6.1.4.1.311.2.1.14", SEQUENCE(san(HOST))))
WHOLE(no_names, .names = NOTHING)
WHOLE(no_san, .extensions = extension(BASIC_CONSTRAINTS_OID, SEQUENCE(NOTHING)))
WHOLE(twice, .names = JOIN(HOST, HOST))
WHOLE(high_bit, .names = JOIN(HOST, element(0x82, LITERAL("b\xfc"
                                                          "c.example.edu"))))
WHOLE(upper_san, .names = dns("A.example.edu"))
WHOLE(trailing_space, .names = dns("a.example.edu "))
WHOLE(trailing_dot, .names = dns("a.example.edu."))
WHOLE(nul_in_san, .names = element(0x82, LITERAL("a.example.edu\0.evil.example")))
WHOLE(two_values_in_extension,
    .extensions = extension(SAN_OID, JOIN(SEQUENCE(HOST), SEQUENCE(dns("evil.example")))))
WHOLE(spelt_default, .extensions = SEQUENCE(
                         oid(SAN_OID), element(0x01, LITERAL("\0")), element(0x04, SEQUENCE(HOST))))
WHOLE(odd_true, .extensions = SEQUENCE(
                    oid(SAN_OID), element(0x01, LITERAL("\x01")), element(0x04, SEQUENCE(HOST))))

static octets
point(uint8_t form, size_t size, uint8_t change)
{
    octets good = public_key(KEY_P256);
    uint8_t point[65];

    memcpy(point, good.data + good.size - sizeof(point), sizeof(point));
    point[0] = form;
    point[64] = (uint8_t)(point[64] ^ change);
    return SEQUENCE(SEQUENCE(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7")),
        bits(octets_of(point, size)));
}

WHOLE(off_curve, .key_info = point(0x04, 65, 1))
WHOLE(compressed, .key_info = point(0x02, 33, 0))
WHOLE(hybrid, .key_info = point(0x06, 65, 0))
WHOLE(infinity, .key_info = point(0x00, 1, 0))

/* Another encoding of a good CSR. */

static octets
good(void)
{
    return csr_of(&(struct csr_parts){.names = HOST});
}

static octets
trailing(void)
{
    return JOIN(good(), LITERAL("\0"));
}

static octets
long_length(void)
{
    octets der = good();

    assert_int_equal(der.data[1], 0x81);
    return JOIN(
        LITERAL("\x30\x82\0"), (octets){der.data + 2, 1}, (octets){der.data + 3, der.size - 3});
}

static octets
indefinite(void)
{
    octets der = good();

    return JOIN(LITERAL("\x30\x80"), (octets){der.data + 3, der.size - 3}, LITERAL("\0\0"));
}

static octets
too_many(void)
{
    octets names = NOTHING;

    for (int i = 0; i <= CSR_NAMES_MAX; i++) {
        char text[32];
        snprintf(text, sizeof(text), "h%d.example.edu", i);
        names = JOIN(names, dns(text));
    }
    return csr_of(&(struct csr_parts){.names = names});
}

static const struct {
    const char *name;
    octets (*csr)(void);
    const char *rule;
    const char *words; /* of the message; NULL: not looked at */
} rows[] = {
    {"attack 51: a CN that is no SAN", other_cn, "csr.subject.cn-not-in-san", "b.example.edu"},
    {"attack 52: two CNs", two_cns, "csr.subject.two-cn", NULL},
    {"attack 54: NUL in the CN", nul_cn, "csr.subject.nul", "a NUL octet"},
    {"attack 54: NUL in a SAN", nul_in_san, "csr.san.nul", "a NUL octet"},
    {"attack 55: two SAN extensions", two_sans, "csr.extension.twice", "twice"},
    {"attack 56: two extensionRequests", two_requests, "csr.attribute.twice", "two"},
    {"attack 56: two values", two_values, "csr.attribute.values", "two values"},
    {"attack 61: trailing octets", trailing, "csr.trailing", "1 octets after its end"},
    {"attack 61: octets inside", inner_octets, "csr.structure", "more than expected"},
    {"attack 62: otherName", other_name, "csr.san.other-name", "an otherName in subjectAltName"},
    {"attack 62: e-mail address", email, "csr.san.email", "an e-mail address in subjectAltName"},
    {"attack 62: URI", uri, "csr.san.uri", "a URI in subjectAltName"},
    {"attack 62: directoryName", directory_name, "csr.san.directory-name", "a directoryName"},
    {"attack 62: registeredID", registered_id, "csr.san.registered-id", "a registeredID"},
    {"attack 63: an address of 5 octets", address_of_5, "csr.san.address", "5 octets"},
    {"attack 63: an address with a mask", address_of_8, "csr.san.address", "8 octets"},
    {"attack 64: CA:TRUE", ca_true, "csr.extension.ca", "CA's certificate"},
    {"attack 64: keyCertSign", cert_sign, "csr.extension.key-usage", "keyUsage asks for more"},
    {"attack 64: codeSigning", code_signing, "csr.extension.extended-key-usage", "Code Signing"},
    {"attack 64: an unknown extension", unknown_extension, "csr.extension.unknown", "1.2.3.4"},
    {"attack 65: challengePassword", password, "csr.attribute.challenge-password", "challenge"},
    {"attack 66: version 2", version_2, "csr.version", "version other than 1"},
    {"attack 66: a negative version", version_negative, "csr.version", NULL},
    {"attack 66: a padded version", version_padded, "csr.not-der", NULL},
    {"attack 67: RSA 2047", rsa_2047, "csr.key.rsa-bits", "2047 bits"},
    {"attack 67: exponent 3", exponent_3, "csr.key.rsa-exponent", "65537"},
    {"attack 70: SHA-1", sha1, "csr.signature.sha1", "SHA1"},
    {"attack 70: r and s 0", zero_signature, "csr.signature", "not one of its own key"},
    {"attack 71: over the names limit", too_many, "csr.names.count", "more than 100 names"},
    {"attack 74: a trailing dot", trailing_dot, "csr.san.name", "trailing dot"},
    {"attack 75: upper case in the CN", upper_cn, "csr.subject.case", "upper case"},
    {"attack 75: upper case in a SAN", upper_san, "csr.san.case", "upper case"},
    {"attack 83: a trailing space", trailing_space, "csr.san.name", "characters"},
    {"attack 83a: a name twice", twice, "csr.san.twice", "twice"},
    {"attack 113: CVE-2017-15361", roca, "csr.key.weak", "CVE-2017-15361"},
    {"attack 113: close primes", close_primes, "csr.key.weak", "too close"},
    {"attack 113: a small factor", small_factor, "csr.key.weak", "divisible by 751"},
    {"attack 114: P-521", p521, "csr.key.curve", "secp521r1"},
    {"attack 114: secp256k1", secp256k1, "csr.key.curve", "secp256k1"},
    {"attack 114: explicit parameters", explicit_curve, "csr.key.explicit-curve", "not named"},
    {"attack 115: off the curve", off_curve, "csr.key.point", "not on its curve"},
    {"attack 115: compressed", compressed, "csr.key.point", "33 octets"},
    {"attack 115: hybrid", hybrid, "csr.key.point", NULL},
    {"attack 115: infinity", infinity, "csr.key.point", "1 octets"},
    {"attack 127: a longer length", long_length, "csr.not-der", NULL},
    {"attack 127: an indefinite length", indefinite, "csr.not-der", "BER"},
    {"attack 127: a default spelt out", spelt_default, "csr.not-der", NULL},
    {"attack 127: TRUE as 0x01", odd_true, "csr.not-der", NULL},
    {"attack 128: T61String", t61_cn, "csr.subject.string", NULL},
    {"attack 128: BMPString", bmp_cn, "csr.subject.string", NULL},
    {"attack 128: UniversalString", universal_cn, "csr.subject.string", NULL},
    {"attack 129: O", organization, "csr.subject.attribute", "organizationName"},
    {"attack 129: an RDN of CN and O", multi_valued, "csr.subject.attribute", "organizationName"},
    {"attack 130: an empty SAN", no_names, "csr.san.missing", "no name"},
    {"attack 130: no SAN", no_san, "csr.san.missing", "no subjectAltName"},
    {"attack 131: an IPv4-mapped address", mapped, "csr.san.address", "192.0.2.16"},
    {"attack 133: an octet beyond ASCII", high_bit, "csr.san.name", "ASCII"},
    {"attack 134: Ed25519", ed25519, "csr.key.type", NULL},
    {"attack 134: RSA-PSS", pss, "csr.signature.algorithm", NULL},
    {"attack 134: RSA's algorithm, an EC key", rsa_oid_for_ec, "csr.signature.algorithm", NULL},
    {"attack 134: ECDSA with NULL", ecdsa_null, "csr.structure", NULL},
    {"attack 134: RSA without NULL", rsa_no_null, "csr.structure", NULL},
    {"attack 134: unused bits in the signature", unused_bits, "csr.not-der", "unused bits"},
    {"attack 135: Microsoft's extension request", microsoft, "csr.attribute.unknown", NULL},
    {"attack 136: keyUsage, padded", usage_padded, "csr.not-der", NULL},
    {"attack 136: keyUsage of nine bits", usage_nine_bits, "csr.extension.key-usage", NULL},
    {"attack 136: keyUsage, nine unused bits", usage_unused_9, "csr.not-der", NULL},
    {"attack 136: keyUsage, empty", usage_empty, "csr.extension.key-usage", "nothing"},
    {"attack 137: two values in one extension", two_values_in_extension, "csr.structure", NULL},
};

static int
setup(void **state)
{
    (void)world_setup(state);
    struct world *w = *state;
    world_order(w, "daemon", "a.example.edu", "a");
    return 0;
}

static bool
says(struct world *w, const char *name, const char *words)
{
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    world_last(w, &last);
    if (words == NULL || strstr(last.entry->message, words) != NULL)
        return true;
    print_error("%s: %s\n", name, last.entry->message);
    return false;
}

static void
every_rule_of_the_grammar(void **state)
{
    struct world *w = *state;
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        world_set_octets(w, "C", rows[i].csr());
        const struct world_row row = {rows[i].name, "daemon", "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}",
            SIGN_OUTCOME_CSR_REFUSED, rows[i].rule};
        bad += !world_refuses(w, &row) || !says(w, rows[i].name, rows[i].words);
        builder_reset();
    }
    assert_int_equal(bad, 0);
}

/* And what is good is signed: the rows above were refused for what they say. */
static void
a_good_one_is_signed(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);

    world_set_octets(w, "C", good());
    assert_int_equal(
        world_ask(w, &peer, "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C\"}",
            &reply),
        SIGN_OUTCOME_DONE);
    assert_non_null(reply.jws);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_rule_of_the_grammar),
        cmocka_unit_test(a_good_one_is_signed),
    };

    return cmocka_run_group_tests_name("authorize_csr", tests, setup, world_teardown);
}
