/* The grammar of CSRs, one row a rule: attacks 51 to 71 and the names of F, at the parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <openssl/sha.h>

#include "common/io.h"
#include "common/result.h"
#include "csr/csr.h"
#include "csr_rows.h"

/* Subject. */

#define WWW LITERAL("www.example.edu")
#define CN "2.5.4.3"

PART(utf8_cn, subject(0x0c, WWW))
PART(printable_cn, subject(0x13, WWW))
PART(other_cn, subject(0x0c, LITERAL("mail.example.edu")))
PART(longer_cn, subject(0x0c, LITERAL("www.example.edu.evil.example")))
PART(shorter_cn, subject(0x0c, LITERAL("www.example.ed")))
PART(empty_cn, subject(0x0c, NOTHING))
PART(blank_cn, subject(0x0c, LITERAL(" ")))
PART(empty_cn_and_other,
    SEQUENCE(rdn(CN, 0x0c, NOTHING), rdn(CN, 0x0c, LITERAL("mail.example.edu"))))
PART(two_cn, SEQUENCE(rdn(CN, 0x0c, WWW), rdn(CN, 0x0c, WWW)))
PART(two_cn_in_set,
    SEQUENCE(SET(SEQUENCE(oid(CN), element(0x0c, WWW)), SEQUENCE(oid(CN), element(0x13, WWW)))))
PART(nul_cn, subject(0x0c, LITERAL("www.example.edu\0.evil.example")))
PART(upper_cn, subject(0x0c, LITERAL("WWW.example.edu")))
PART(t61_cn, subject(0x14, WWW))
PART(bmp_cn, subject(0x1e, LITERAL("\0w\0w\0w")))
PART(ia5_cn, subject(0x16, WWW))
PART(odd_printable_cn, subject(0x13, LITERAL("*.example.edu")))
PART(organization, SEQUENCE(rdn("2.5.4.10", 0x0c, LITERAL("Evil"))))
PART(organization_and_cn, SEQUENCE(rdn("2.5.4.10", 0x0c, LITERAL("Evil")), rdn(CN, 0x0c, WWW)))
PART(email_in_subject, SEQUENCE(rdn("1.2.840.113549.1.9.1", 0x16, LITERAL("a@example.edu"))))
PART(empty_rdn, SEQUENCE(SET(NOTHING)))
PART(padded_cn, SEQUENCE(SET(SEQUENCE(oid(CN), element(0x0c, WWW), integer(0)))))

static const struct row subject_rows[] = {
    {"UTF8String CN in SAN", SUBJECT, utf8_cn, ""},
    {"PrintableString CN in SAN", SUBJECT, printable_cn, ""},
    {"attack 51: CN not in SAN", SUBJECT, other_cn, "csr.subject.cn-not-in-san"},
    {"attack 51: CN longer than the SAN", SUBJECT, longer_cn, "csr.subject.cn-not-in-san"},
    {"attack 51: CN shorter than the SAN", SUBJECT, shorter_cn, "csr.subject.cn-not-in-san"},
    {"an empty CN names nobody", SUBJECT, empty_cn, ""},
    {"attack 51: a blank CN", SUBJECT, blank_cn, "csr.subject.cn-not-in-san"},
    {"attack 52: an empty CN and another", SUBJECT, empty_cn_and_other, "csr.subject.two-cn"},
    {"attack 52: two CNs", SUBJECT, two_cn, "csr.subject.two-cn"},
    {"attack 52: two CNs in one RDN", SUBJECT, two_cn_in_set, "csr.subject.two-cn"},
    {"attack 54: NUL in the CN", SUBJECT, nul_cn, "csr.subject.nul"},
    {"attack 75: upper case in the CN", SUBJECT, upper_cn, "csr.subject.case"},
    {"attack 128: T61String CN", SUBJECT, t61_cn, "csr.subject.string"},
    {"attack 128: BMPString CN", SUBJECT, bmp_cn, "csr.subject.string"},
    {"attack 128: IA5String CN", SUBJECT, ia5_cn, "csr.subject.string"},
    {"attack 128: PrintableString with an asterisk", SUBJECT, odd_printable_cn,
        "csr.subject.string"},
    {"attack 129: O", SUBJECT, organization, "csr.subject.attribute"},
    {"attack 129: O beside CN", SUBJECT, organization_and_cn, "csr.subject.attribute"},
    {"attack 62: e-mail address in the subject", SUBJECT, email_in_subject,
        "csr.subject.attribute"},
    {"attack 129: RDN without attribute", SUBJECT, empty_rdn, "csr.structure"},
    {"attack 129: something after the CN", SUBJECT, padded_cn, "csr.structure"},
};

static void
subjects(void **state)
{
    (void)state;
    check_rows(subject_rows, AW_COUNT(subject_rows));
}

/* Names. */

PART(host_and_address, JOIN(dns("www.example.edu"), element(0x87, LITERAL("\xc0\0\x02\x10"))))
PART(address6, element(0x87, LITERAL("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01")))
PART(address5, element(0x87, LITERAL("\xc0\0\x02\x10\x05")))
PART(mapped_address, element(0x87, LITERAL("\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x10")))
PART(address_and_mask, element(0x87, LITERAL("\xc0\0\x02\0\xff\xff\xff\0")))
PART(other_name,
    JOIN(dns("www.example.edu"),
        element(0xa0, JOIN(oid("1.3.6.1.4.1.311.20.2.3"), element(0xa0, element(0x0c, WWW))))))
PART(email, JOIN(dns("www.example.edu"), element(0x81, LITERAL("admin@example.edu"))))
PART(x400, JOIN(dns("www.example.edu"), element(0xa3, NOTHING)))
PART(directory_name, JOIN(dns("www.example.edu"), element(0xa4, subject(0x0c, WWW))))
PART(edi, JOIN(dns("www.example.edu"), element(0xa5, element(0xa1, element(0x0c, WWW)))))
PART(uri, JOIN(dns("www.example.edu"), element(0x86, LITERAL("https://evil.example/"))))
PART(registered_id, JOIN(dns("www.example.edu"), element(0x88, LITERAL("\x2a\x03\x04"))))
PART(unknown_form, JOIN(dns("www.example.edu"), element(0x89, WWW)))
PART(no_names, NOTHING)
PART(same_name_twice, JOIN(dns("a.example.edu"), dns("b.example.edu"), dns("a.example.edu")))
PART(same_address_twice,
    JOIN(element(0x87, LITERAL("\xc0\0\x02\x10")), element(0x87, LITERAL("\xc0\0\x02\x10"))))
PART(constructed_dns, element(0xa2, element(0x16, WWW)))

static octets
many_names(size_t count)
{
    octets names = NOTHING;

    for (size_t i = 0; i < count; i++) {
        char text[48];
        snprintf(text, sizeof(text), "h%zu.example.edu", i);
        names = JOIN(names, dns(text));
    }
    return names;
}

PART(hundred_names, many_names(CSR_NAMES_MAX))
PART(names_over_limit, many_names(CSR_NAMES_MAX + 1))

static const struct row name_rows[] = {
    {"attack 63: iPAddress is told apart", NAMES, host_and_address, ""},
    {"attack 63: IPv6", NAMES, address6, ""},
    {"attack 63: address of 5 octets", NAMES, address5, "csr.san.address"},
    {"attack 131: IPv4-mapped address", NAMES, mapped_address, "csr.san.address"},
    {"attack 63: address with a mask", NAMES, address_and_mask, "csr.san.address"},
    {"attack 62: otherName", NAMES, other_name, "csr.san.other-name"},
    {"attack 62: e-mail address", NAMES, email, "csr.san.email"},
    {"attack 62: x400Address", NAMES, x400, "csr.san.x400-address"},
    {"attack 62: directoryName", NAMES, directory_name, "csr.san.directory-name"},
    {"attack 62: ediPartyName", NAMES, edi, "csr.san.edi-party-name"},
    {"attack 62: URI", NAMES, uri, "csr.san.uri"},
    {"attack 62: registeredID", NAMES, registered_id, "csr.san.registered-id"},
    {"attack 62: a form that does not exist", NAMES, unknown_form, "csr.structure"},
    {"attack 127: dNSName constructed", NAMES, constructed_dns, "csr.not-der"},
    {"attack 130: no name", NAMES, no_names, "csr.san.missing"},
    {"attack 83a: a name twice", NAMES, same_name_twice, "csr.san.twice"},
    {"attack 83a: an address twice", NAMES, same_address_twice, "csr.san.twice"},
    {"as many names as allowed", NAMES, hundred_names, ""},
    {"attack 71: one name more", NAMES, names_over_limit, "csr.names.count"},
};

static void
forms_of_names(void **state)
{
    (void)state;
    check_rows(name_rows, AW_COUNT(name_rows));
}

#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define NAME254                     \
    LABEL63 "." LABEL63 "." LABEL63 \
            ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab.example"

static const struct {
    const char *name;
    const char *text;
    size_t size;
    const char *rule;
} host_rows[] = {
#define HOST(name, text, rule)             \
    {                                      \
        name, text, sizeof(text) - 1, rule \
    }
    HOST("host", "www.example.edu", ""),
    HOST("attack 72: wildcard, which policy decides", "*.a.example.edu", ""),
    HOST("attack 73: asterisk in a label", "f*.example.edu", "csr.san.name"),
    HOST("attack 73: two asterisks", "*.*.example.edu", "csr.san.name"),
    HOST("attack 73: asterisk in the middle", "a.*.example.edu", "csr.san.name"),
    HOST("attack 73: asterisk alone", "*", "csr.san.name"),
    HOST("attack 74: trailing dot", "www.example.edu.", "csr.san.name"),
    HOST("leading dot", ".example.edu", "csr.san.name"),
    HOST("attack 75: upper case", "WWW.example.edu", "csr.san.case"),
    HOST("attack 75: one upper-case letter", "www.example.edU", "csr.san.case"),
    HOST("attack 76: U-label",
        "b\xc3\xbc"
        "cher.example.edu",
        "csr.san.name"),
    HOST("A-label", "xn--bcher-kva.example.edu", ""),
    HOST("attack 77: bad Punycode", "xn--a-ecp.example.edu.xn--999999999", "csr.san.name"),
    HOST("attack 77: hyphens in third and fourth place", "ab--c.example.edu", "csr.san.name"),
    HOST("attack 78: underscore", "_acme-challenge.example.edu", "csr.san.name"),
    HOST("attack 78: empty label", "www..example.edu", "csr.san.name"),
    HOST("empty name", "", "csr.san.name"),
    HOST("attack 79: label of 64 octets", LABEL63 "x.example.edu", "csr.san.name"),
    HOST("label of 63 octets", LABEL63 ".example.edu", ""),
    HOST("attack 79: name of 254 octets", NAME254, "csr.san.name"),
    HOST("attack 82: address as a host name", "192.0.2.16", "csr.san.name"),
    HOST("attack 82: IPv6 address as a host name", "2001:db8::1", "csr.san.name"),
    HOST("attack 82: numeric last label", "www.example.16", "csr.san.name"),
    HOST("single label", "localhost", "csr.san.name"),
    HOST("attack 83: space", "www .example.edu", "csr.san.name"),
    HOST("attack 83: trailing space", "www.example.edu ", "csr.san.name"),
    HOST("attack 83: bidirectional control", "www\xe2\x80\xae.example.edu", "csr.san.name"),
    HOST("attack 100: line break", "www.example.edu\n", "csr.san.name"),
    HOST("attack 54: NUL", "www.example.edu\0.evil.example", "csr.san.nul"),
    HOST("attack 54: NUL at the end", "www.example.edu\0", "csr.san.nul"),
    HOST("attack 54: NUL alone", "\0", "csr.san.nul"),
#undef HOST
};

static void
host_names(void **state)
{
    unsigned failures = 0;

    (void)state;
    assert_int_equal(strlen(NAME254), 254);
    for (size_t i = 0; i < AW_COUNT(host_rows); i++) {
        octets text = octets_of(host_rows[i].text, host_rows[i].size);
        octets der = row_csr(NAMES, JOIN(dns("a.example.edu"), element(0x82, text)));
        failures += !verdict_is(host_rows[i].name, der, host_rows[i].rule);
        builder_reset();
    }
    assert_int_equal(failures, 0);
}

/* Extensions and attributes. */

#define SERVER oid(SERVER_AUTH_OID)
#define CLIENT oid(CLIENT_AUTH_OID)
#define KEY_USAGE(octets) extension(KEY_USAGE_OID, element(0x03, LITERAL(octets)))
#define PURPOSES(...) extension(EXTENDED_KEY_USAGE_OID, SEQUENCE(__VA_ARGS__))
#define FEATURES(...) extension(TLS_FEATURE_OID, SEQUENCE(__VA_ARGS__))
#define CONSTRAINTS(...) extension(BASIC_CONSTRAINTS_OID, SEQUENCE(__VA_ARGS__))
#define TRUE_ELEMENT element(0x01, LITERAL("\xff"))

PART(second_san, san(dns("evil.example")))
PART(same_san_again, san(dns("www.example.edu")))
PART(all_extensions, JOIN(CONSTRAINTS(NOTHING), KEY_USAGE("\x05\xa0"), PURPOSES(SERVER, CLIENT),
                         FEATURES(integer(5))))
PART(no_san, CONSTRAINTS(NOTHING))
PART(no_extension, NOTHING)
PART(ca_true, CONSTRAINTS(TRUE_ELEMENT))
PART(ca_true_odd, CONSTRAINTS(element(0x01, LITERAL("\x01"))))
PART(ca_false_spelt, CONSTRAINTS(element(0x01, LITERAL("\0"))))
PART(path_length, CONSTRAINTS(integer(0)))
PART(ca_and_path_length, CONSTRAINTS(TRUE_ELEMENT, integer(0)))
PART(digital_signature, KEY_USAGE("\x07\x80"))
PART(key_encipherment, KEY_USAGE("\x05\x20"))
PART(key_cert_sign, KEY_USAGE("\x02\x04"))
PART(crl_sign, KEY_USAGE("\x01\x02"))
PART(non_repudiation, KEY_USAGE("\x05\xe0"))
PART(decipher_only, KEY_USAGE("\x07\x80\x80"))
PART(no_usage, KEY_USAGE("\0"))
PART(zero_usage, KEY_USAGE("\0\0"))
PART(padded_usage, KEY_USAGE("\0\xa0"))
PART(code_signing, PURPOSES(SERVER, oid("1.3.6.1.5.5.7.3.3")))
PART(any_purpose, PURPOSES(oid("2.5.29.37.0")))
PART(email_protection, PURPOSES(oid("1.3.6.1.5.5.7.3.4")))
PART(purpose_twice, PURPOSES(SERVER, SERVER))
PART(no_purpose, PURPOSES(NOTHING))
PART(client_first, PURPOSES(CLIENT, SERVER))
PART(feature_17, FEATURES(integer(17)))
PART(features_two, FEATURES(integer(5), integer(17)))
PART(no_feature, FEATURES(NOTHING))
PART(padded_feature, FEATURES(element(0x02, LITERAL("\0\x05"))))
PART(its_key_identifier, key_identifier(KEY_P256))
PART(other_key_identifier, key_identifier(KEY_P256_OTHER))
PART(key_identifier_twice, JOIN(key_identifier(KEY_P256), key_identifier(KEY_P256)))
PART(short_key_identifier, extension(KEY_IDENTIFIER_OID, element(0x04, LITERAL("1234567890"))))
PART(text_key_identifier,
    extension(KEY_IDENTIFIER_OID, element(0x0c, LITERAL("12345678901234567890"))))
PART(name_constraints, extension("2.5.29.30", SEQUENCE(NOTHING)))
PART(issuer_alt_name, extension("2.5.29.18", SEQUENCE(dns("evil.example"))))
PART(unknown_critical, critical_extension("1.2.3.4", LITERAL("\x05\0")))
PART(usage_twice, JOIN(KEY_USAGE("\x07\x80"), KEY_USAGE("\x07\x80")))
PART(critical_san, critical_extension(SAN_OID, SEQUENCE(dns("www.example.edu"))))
PART(spelt_default, SEQUENCE(oid(SAN_OID), element(0x01, LITERAL("\0")),
                        element(0x04, SEQUENCE(dns("www.example.edu")))))
PART(odd_true, SEQUENCE(oid(SAN_OID), element(0x01, LITERAL("\x01")),
                   element(0x04, SEQUENCE(dns("www.example.edu")))))
PART(after_value, SEQUENCE(oid(SAN_OID), element(0x04, SEQUENCE(dns("www.example.edu"))),
                      element(0x04, SEQUENCE(dns("evil.example")))))
PART(inside_value,
    extension(SAN_OID, JOIN(SEQUENCE(dns("www.example.edu")), SEQUENCE(dns("evil.example")))))
PART(constructed_value,
    SEQUENCE(oid(SAN_OID), element(0x24, element(0x04, SEQUENCE(dns("www.example.edu"))))))

static const struct row extension_rows[] = {
    {"every extension there is", MORE_EXTENSIONS, all_extensions, ""},
    {"attack 55: two SAN extensions", MORE_EXTENSIONS, second_san, "csr.extension.twice"},
    {"attack 55: the same SAN again", MORE_EXTENSIONS, same_san_again, "csr.extension.twice"},
    {"attack 130: no SAN", EXTENSIONS, no_san, "csr.san.missing"},
    {"attack 130: no extension", EXTENSIONS, no_extension, "csr.san.missing"},
    {"attack 64: CA:TRUE", MORE_EXTENSIONS, ca_true, "csr.extension.ca"},
    {"attack 64: CA:TRUE as 0x01", MORE_EXTENSIONS, ca_true_odd, "csr.extension.ca"},
    {"attack 64: CA:FALSE spelt out", MORE_EXTENSIONS, ca_false_spelt, "csr.not-der"},
    {"attack 64: pathLenConstraint", MORE_EXTENSIONS, path_length, "csr.extension.ca"},
    {"attack 64: CA:TRUE, pathlen:0", MORE_EXTENSIONS, ca_and_path_length, "csr.extension.ca"},
    {"digitalSignature", MORE_EXTENSIONS, digital_signature, ""},
    {"keyEncipherment", MORE_EXTENSIONS, key_encipherment, ""},
    {"attack 64: keyCertSign", MORE_EXTENSIONS, key_cert_sign, "csr.extension.key-usage"},
    {"attack 64: cRLSign", MORE_EXTENSIONS, crl_sign, "csr.extension.key-usage"},
    {"attack 64: nonRepudiation", MORE_EXTENSIONS, non_repudiation, "csr.extension.key-usage"},
    {"attack 64: decipherOnly", MORE_EXTENSIONS, decipher_only, "csr.extension.key-usage"},
    {"attack 136: empty keyUsage", MORE_EXTENSIONS, no_usage, "csr.extension.key-usage"},
    {"attack 136: zero keyUsage", MORE_EXTENSIONS, zero_usage, "csr.extension.key-usage"},
    {"attack 136: keyUsage with trailing zero bits", MORE_EXTENSIONS, padded_usage, "csr.not-der"},
    {"attack 64: codeSigning", MORE_EXTENSIONS, code_signing, "csr.extension.extended-key-usage"},
    {"attack 64: anyExtendedKeyUsage", MORE_EXTENSIONS, any_purpose,
        "csr.extension.extended-key-usage"},
    {"attack 64: emailProtection", MORE_EXTENSIONS, email_protection,
        "csr.extension.extended-key-usage"},
    {"serverAuth twice", MORE_EXTENSIONS, purpose_twice, "csr.extension.extended-key-usage"},
    {"empty extKeyUsage", MORE_EXTENSIONS, no_purpose, "csr.extension.extended-key-usage"},
    {"clientAuth before serverAuth", MORE_EXTENSIONS, client_first, ""},
    {"TLS feature status_request_v2", MORE_EXTENSIONS, feature_17, "csr.extension.tls-feature"},
    {"two TLS features", MORE_EXTENSIONS, features_two, "csr.extension.tls-feature"},
    {"no TLS feature", MORE_EXTENSIONS, no_feature, "csr.extension.tls-feature"},
    {"attack 127: TLS feature, padded integer", MORE_EXTENSIONS, padded_feature, "csr.not-der"},
    {"subjectKeyIdentifier", MORE_EXTENSIONS, its_key_identifier, ""},
    {"attack 64: subjectKeyIdentifier of another key", MORE_EXTENSIONS, other_key_identifier,
        "csr.extension.key-identifier"},
    {"attack 64: subjectKeyIdentifier of ten octets", MORE_EXTENSIONS, short_key_identifier,
        "csr.extension.key-identifier"},
    {"subjectKeyIdentifier as text", MORE_EXTENSIONS, text_key_identifier, "csr.structure"},
    {"subjectKeyIdentifier twice", MORE_EXTENSIONS, key_identifier_twice, "csr.extension.twice"},
    {"attack 64: nameConstraints", MORE_EXTENSIONS, name_constraints, "csr.extension.unknown"},
    {"attack 64: issuerAltName", MORE_EXTENSIONS, issuer_alt_name, "csr.extension.unknown"},
    {"attack 64: unknown, critical", MORE_EXTENSIONS, unknown_critical, "csr.extension.unknown"},
    {"keyUsage twice", MORE_EXTENSIONS, usage_twice, "csr.extension.twice"},
    {"critical SAN", EXTENSIONS, critical_san, ""},
    {"attack 127: critical FALSE spelt out", EXTENSIONS, spelt_default, "csr.not-der"},
    {"attack 127: critical TRUE as 0x01", EXTENSIONS, odd_true, "csr.not-der"},
    {"attack 137: a second value in an extension", EXTENSIONS, after_value, "csr.structure"},
    {"attack 137: a second SEQUENCE in the value", EXTENSIONS, inside_value, "csr.structure"},
    {"attack 127: constructed OCTET STRING", EXTENSIONS, constructed_value, "csr.not-der"},
};

static void
extensions(void **state)
{
    (void)state;
    check_rows(extension_rows, AW_COUNT(extension_rows));
}

#define REQUEST extension_request(san(dns("www.example.edu")))

PART(two_requests, JOIN(REQUEST, extension_request(san(dns("evil.example")))))
PART(same_request_twice, JOIN(REQUEST, REQUEST))
PART(two_values, attribute(EXTENSION_REQUEST_OID, JOIN(SEQUENCE(san(dns("www.example.edu"))),
                                                      SEQUENCE(san(dns("evil.example"))))))
PART(no_value, attribute(EXTENSION_REQUEST_OID, NOTHING))
PART(no_attribute, NOTHING)
PART(challenge_password,
    JOIN(attribute("1.2.840.113549.1.9.7", element(0x0c, LITERAL("secret"))), REQUEST))
PART(challenge_password_last,
    JOIN(REQUEST, attribute("1.2.840.113549.1.9.7", element(0x0c, LITERAL("secret")))))
PART(unstructured_name,
    JOIN(REQUEST, attribute("1.2.840.113549.1.9.2", element(0x0c, LITERAL("evil")))))
PART(microsoft_request, attribute("1.3.6.1.4.1.311.2.1.14", SEQUENCE(san(dns("www.example.edu")))))
PART(microsoft_too, JOIN(REQUEST, microsoft_request()))
/* What certreq -new adds: the system's version, who asked, the key's provider. */
PART(certreq,
    JOIN(attribute("1.3.6.1.4.1.311.13.2.3", element(0x16, LITERAL("10.0.20348.2"))),
        attribute("1.3.6.1.4.1.311.21.20",
            SEQUENCE(integer(5), element(0x0c, LITERAL("host")), element(0x0c, LITERAL("user")))),
        REQUEST,
        attribute(
            "1.3.6.1.4.1.311.13.2.2", SEQUENCE(integer(1), element(0x1e, LITERAL("\0K\0S\0P")),
                                          element(0x03, LITERAL("\0"))))))
PART(version_2, integer(1))
PART(version_3, integer(2))
PART(version_negative, element(0x02, LITERAL("\xff")))
PART(version_padded, element(0x02, LITERAL("\0\0")))
PART(version_empty, element(0x02, NOTHING))
PART(version_boolean, element(0x01, LITERAL("\0")))
PART(second_attributes, element(0xa0, extension_request(san(dns("evil.example")))))
PART(null_at_end, LITERAL("\x05\0"))

static const struct row attribute_rows[] = {
    {"attack 56: two extensionRequests", ATTRIBUTES, two_requests, "csr.attribute.twice"},
    {"attack 56: the same twice", ATTRIBUTES, same_request_twice, "csr.attribute.twice"},
    {"attack 56: two values", ATTRIBUTES, two_values, "csr.attribute.values"},
    {"attack 56: Microsoft's beside ours", ATTRIBUTES, microsoft_too, "csr.attribute.unknown"},
    {"attack 135: Microsoft's alone", ATTRIBUTES, microsoft_request, "csr.attribute.unknown"},
    {"attack 135: no value", ATTRIBUTES, no_value, "csr.structure"},
    {"no attribute", ATTRIBUTES, no_attribute, "csr.attribute.missing"},
    {"not even [0]", WHOLE_ATTRIBUTES, no_attribute, "csr.attribute.missing"},
    {"attack 65: challengePassword", ATTRIBUTES, challenge_password,
        "csr.attribute.challenge-password"},
    {"attack 65: challengePassword last", ATTRIBUTES, challenge_password_last,
        "csr.attribute.challenge-password"},
    {"attack 135: unstructuredName", ATTRIBUTES, unstructured_name, "csr.attribute.unknown"},
    {"attack 135: as certreq makes it", ATTRIBUTES, certreq, "csr.attribute.unknown"},
    {"attack 66: version 2", VERSION, version_2, "csr.version"},
    {"attack 66: version 3", VERSION, version_3, "csr.version"},
    {"attack 66: negative version", VERSION, version_negative, "csr.version"},
    {"attack 66: empty version", VERSION, version_empty, "csr.version"},
    {"attack 66: padded version", VERSION, version_padded, "csr.not-der"},
    {"attack 66: version as BOOLEAN", VERSION, version_boolean, "csr.structure"},
    {"attack 56: second [0]", MORE_INFO, second_attributes, "csr.structure"},
    {"attack 61: NULL after the attributes", MORE_INFO, null_at_end, "csr.structure"},
};

static void
attributes_and_version(void **state)
{
    (void)state;
    check_rows(attribute_rows, AW_COUNT(attribute_rows));
}

/* The whole. */

static octets
with_long_length(octets der)
{
    octets contents = {der.data + 3, der.size - 3}; /* 30 81 LL */

    assert_int_equal(der.data[1], 0x81);
    return JOIN(LITERAL("\x30\x82\0"), (octets){der.data + 2, 1}, contents);
}

static void
encodings(void **state)
{
    octets good = csr_of(&(struct csr_parts){.key = KEY_P256});
    octets contents = {good.data + 3, good.size - 3};

    (void)state;
    assert_true(verdict_is("a good one", good, ""));
    assert_true(verdict_is("attack 61: a NUL after it", JOIN(good, LITERAL("\0")), "csr.trailing"));
    assert_true(verdict_is("attack 61: itself after it", JOIN(good, good), "csr.trailing"));
    assert_true(
        verdict_is("attack 127: BER: longer length", with_long_length(good), "csr.not-der"));
    assert_true(verdict_is("attack 127: BER: indefinite length",
        JOIN(LITERAL("\x30\x80"), contents, LITERAL("\0\0")), "csr.not-der"));
    assert_true(verdict_is("attack 61: octets inside",
        element(0x30, JOIN(contents, LITERAL("\x05\0"))), "csr.structure"));
    assert_true(verdict_is(
        "a SET", JOIN(LITERAL("\x31"), (octets){good.data + 1, good.size - 1}), "csr.structure"));
    assert_true(verdict_is("nothing", NOTHING, "csr.size"));
    assert_true(
        verdict_is("PEM", LITERAL("-----BEGIN CERTIFICATE REQUEST-----\n"), "csr.structure"));
    for (size_t size = 1; size < good.size; size++)
        assert_true(verdict_is("cut short", (octets){good.data, size}, "csr.structure"));
}

static void
attack_71_over_32_kib(void **state)
{
    octets names = many_names(2200);
    octets large = csr_of(&(struct csr_parts){.key = KEY_P256, .names = names});

    (void)state;
    assert_true(large.size > CSR_SIZE_MAX);
    assert_true(verdict_is("attack 71: over 32 KiB", large, "csr.size"));
    octets edge = {large.data, CSR_SIZE_MAX};
    assert_true(verdict_is("32 KiB of a larger one", edge, "csr.structure"));
}

/* Each signature algorithm that clients use, and the ends of what a PrintableString may hold. */
static void
every_allowed_signature_is_accepted(void **state)
{
    static const enum test_key keys[] = {KEY_P256, KEY_P384, KEY_RSA_2048};
    static const char *const digests[] = {"SHA256", "SHA384", "SHA512"};

    (void)state;
    for (size_t i = 0; i < AW_COUNT(keys) * AW_COUNT(digests); i++) {
        octets der = csr_of(&(struct csr_parts){.key = keys[i / 3],
            .digest = digests[i % 3],
            .subject = subject(0x13, LITERAL("az09.example.edu")),
            .names = dns("az09.example.edu")});

        assert_true(verdict_is(digests[i % 3], der, ""));
    }
}

/* What is accepted holds exactly the CSR's names: neither one fewer, nor one more, nor another. */
static void
attack_71a_names_are_those_of_the_csr(void **state)
{
    static const char *const expected[] = {"*.example.edu", "192.0.2.16", "a.example.edu"};
    octets names =
        JOIN(dns("a.example.edu"), element(0x87, LITERAL("\xc0\0\x02\x10")), dns("*.example.edu"));
    octets der = csr_of(&(struct csr_parts){.key = KEY_P384, .digest = "SHA384", .names = names});
    char rule[CSR_RULE_SIZE];
    uint8_t digest[32];
    struct csr *csr;

    (void)state;
    assert_true(aw_ok(csr_parse(der.data, der.size, NULL, NULL, rule, &csr)));
    assert_int_equal(csr->name_count, AW_COUNT(expected));
    for (size_t i = 0; i < csr->name_count; i++)
        assert_string_equal(csr->names[i].text, expected[i]);
    assert_int_equal(csr->names[0].form, AW_NAME_WILDCARD);
    assert_int_equal(csr->names[1].form, AW_NAME_ADDRESS);
    assert_int_equal(csr->key, CSR_KEY_EC_P384);
    assert_false(csr->must_staple);
    SHA256(der.data, der.size, digest);
    assert_memory_equal(csr->digest, digest, sizeof(digest));
    octets key_info = public_key(KEY_P384);
    SHA256(key_info.data, key_info.size, digest);
    assert_memory_equal(csr->key_digest, digest, sizeof(digest));
    csr_free(&csr);
    assert_null(csr);
    csr_free(&csr);
}

/* A provider that is not there is a failure, never a refusal: no rule is named. */
static void
missing_provider_is_no_refusal(void **state)
{
    octets der = csr_of(&(struct csr_parts){.key = KEY_P256});
    char rule[CSR_RULE_SIZE] = "not set";
    struct csr *csr = NULL;

    (void)state;
    aw_result r = csr_parse(der.data, der.size, NULL, "provider=none-such", rule, &csr);
    assert_int_equal(r.code, AW_CODE_CRYPTO);
    assert_string_equal(rule, "");
    assert_null(csr);
}

static const struct {
    const char *name, *text;
    const char *reason; /* part of the message; NULL: the DER is found */
} texts[] = {
    {"DER", "0\x01\x02", NULL},
    {"PEM", "-----BEGIN CERTIFICATE REQUEST-----\nMAEC\n-----END CERTIFICATE REQUEST-----\n", NULL},
    {"the older label",
        "-----BEGIN NEW CERTIFICATE REQUEST-----\nMAEC\n-----END NEW CERTIFICATE REQUEST-----\n",
        NULL},
    {"a certificate", "-----BEGIN CERTIFICATE-----\nMAEC\n-----END CERTIFICATE-----\n",
        "found a PEM block \"CERTIFICATE\", expected a CERTIFICATE REQUEST"},
    {"neither", "DNS:www.example.edu\n",
        "found neither DER nor a whole PEM block of a CERTIFICATE REQUEST"},
    {"empty", "", "found neither"},
    {"cut off", "-----BEGIN CERTIFICATE REQUEST-----\nMAEC\n", "found neither"},
};

static void
what_files_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(texts); i++) {
        AW_CLEANUP(aw_free) uint8_t *der = NULL;
        size_t size = 0;

        aw_result r = csr_from_text(texts[i].text, strlen(texts[i].text), &der, &size);
        if (texts[i].reason == NULL) {
            assert_true(aw_ok(r));
            assert_int_equal(size, 3);
            assert_memory_equal(der, "0\x01\x02", 3);
        } else if (r.code != AW_CODE_SYNTAX ||
                   strstr(aw_error_last()->message, texts[i].reason) == NULL)
            fail_msg("%s: %s %s", texts[i].name, aw_code_tag(r.code), aw_error_last()->message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(subjects, csr_reset),
        cmocka_unit_test_teardown(forms_of_names, csr_reset),
        cmocka_unit_test_teardown(host_names, csr_reset),
        cmocka_unit_test_teardown(extensions, csr_reset),
        cmocka_unit_test_teardown(attributes_and_version, csr_reset),
        cmocka_unit_test_teardown(encodings, csr_reset),
        cmocka_unit_test_teardown(attack_71_over_32_kib, csr_reset),
        cmocka_unit_test_teardown(every_allowed_signature_is_accepted, csr_reset),
        cmocka_unit_test_teardown(attack_71a_names_are_those_of_the_csr, csr_reset),
        cmocka_unit_test(what_files_hold),
        cmocka_unit_test_teardown(missing_provider_is_no_refusal, csr_reset),
    };

    return cmocka_run_group_tests_name("csr", tests, NULL, csr_end);
}
