/* Forms that other parsers let pass, at the signer: JSON and Varlink as they come from the socket,
 * names, URLs, identifiers of certificates. Numbers from 116 on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "common/io.h"
#include "signer/application.h"
#include "signer_world.h"

#define POLICY SIGN_OUTCOME_POLICY_REFUSED
#define LEDGER SIGN_OUTCOME_LEDGER_REFUSED
#define CSR SIGN_OUTCOME_CSR_REFUSED

#define ORDER_OF(type, value) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"" type "\",\"value\":\"" value "\"}]}"
#define NAMED(value) ORDER_OF("dns", value)
#define ORDER_WITH(more) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]," more "}"
#define POLL(url) "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"" url "\"}"
#define CLAIM(kind, url) "{\"order\":$ORDER,\"urls\":[{\"kind\":\"" kind "\",\"url\":\"" url "\"}]}"
#define REVOKE(reason) "{\"nonce\":\"$N\",\"certificate\":\"$CERT\",\"reason\":" reason "}"

/* Messages as they come from the socket. */

#define METHOD "\"method\":\"org.acmeward.Signer.PostAsGet\""
#define WITH_ORDER(value) \
    "{" METHOD ",\"parameters\":{\"nonce\":\"n\",\"order\":" value ",\"url\":\"" CA "a/order\"}}"
#define WHOAMI(more) "{\"method\":\"org.acmeward.Signer.WhoAmI\"" more "}"
#define CALLED(name) "{\"method\":\"" name "\",\"parameters\":{}}"

static const struct {
    const char *name, *message, *error;
} messages[] = {
    {"a good one", WHOAMI(""), ""},
    {"attack 116: -0", WITH_ORDER("-0"), "InvalidRequest"},
    {"attack 116: 1e0", WITH_ORDER("1e0"), "InvalidRequest"},
    {"attack 116: 1.0", WITH_ORDER("1.0"), "InvalidRequest"},
    {"attack 116: 0x1", WITH_ORDER("0x1"), "InvalidRequest"},
    {"attack 116: +1", WITH_ORDER("+1"), "InvalidRequest"},
    {"attack 116: 1_0", WITH_ORDER("1_0"), "InvalidRequest"},
    {"attack 116: a full-width digit", WITH_ORDER("\xef\xbc\x91"), "InvalidRequest"},
    {"attack 116: a number in quotes", WITH_ORDER("\"1\""), "InvalidRequest"},
    {"attack 117: a comment", WHOAMI("/* x */"), "InvalidRequest"},
    {"attack 117: a comment to the end", WHOAMI("//\n"), "InvalidRequest"},
    {"attack 117: a trailing comma", WHOAMI(","), "InvalidRequest"},
    {"attack 117: single quotes", "{'method':'org.acmeward.Signer.WhoAmI'}", "InvalidRequest"},
    {"attack 117: a bare key", "{method:\"org.acmeward.Signer.WhoAmI\"}", "InvalidRequest"},
    {"attack 117: True", WHOAMI(",\"more\":True"), "InvalidRequest"},
    {"attack 117: NaN", WITH_ORDER("NaN"), "InvalidRequest"},
    {"attack 117: Infinity", WITH_ORDER("-Infinity"), "InvalidRequest"},
    {"attack 117: an escape that JSON has not", WHOAMI(",\"\\x61\":1"), "InvalidRequest"},
    {"attack 117: half an escape", WHOAMI(",\"\\u12\":1"), "InvalidRequest"},
    {"attack 118: a vertical tab", "{\v\"method\":\"org.acmeward.Signer.WhoAmI\"}",
        "InvalidRequest"},
    {"attack 118: a no-break space", WHOAMI("\xc2\xa0"), "InvalidRequest"},
    {"attack 118: a line separator", WHOAMI("\xe2\x80\xa8"), "InvalidRequest"},
    {"attack 118: a BOM inside", WHOAMI("\xef\xbb\xbf"), "InvalidRequest"},
    {"attack 119: oneway", WHOAMI(",\"oneway\":true"), "InvalidRequest"},
    {"attack 119: more", WHOAMI(",\"more\":true"), "InvalidRequest"},
    {"attack 119: upgrade", WHOAMI(",\"upgrade\":true"), "InvalidRequest"},
    {"attack 119: parameters twice", WHOAMI(",\"parameters\":{},\"parameters\":{}"),
        "InvalidRequest"},
    {"attack 119: Parameters", WHOAMI(",\"Parameters\":{}"), "InvalidRequest"},
    {"attack 119: parameters an array", WHOAMI(",\"parameters\":[]"), "InvalidRequest"},
    {"attack 119: capitals", CALLED("org.acmeward.Signer.WHOAMI"), "MethodNotFound"},
    {"attack 119: small letters", CALLED("org.acmeward.Signer.whoami"), "InvalidRequest"},
    {"attack 119: a dot behind", CALLED("org.acmeward.Signer.WhoAmI."), "InvalidRequest"},
    {"attack 119: a space behind", CALLED("org.acmeward.Signer.WhoAmI "), "InvalidRequest"},
    {"attack 119: the administrators' interface", CALLED("org.acmeward.Admin.Freeze"),
        "InterfaceNotFound"},
    {"attack 119: a longer interface", CALLED("org.acmeward.Signer.Admin.Freeze"),
        "MethodNotFound"},
};

/* The last part of the error's name; "" for success. */
static void
answer_to(struct world *w, const char *message, char error[64])
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    struct peer peer = world_peer("daemon", NULL);
    struct gate_answer said = {.reply = NULL};
    aw_result r = aw_varlink_call_parse(message, strlen(message), &call);

    if (aw_ok(r))
        assert_ok(application_service.answer(w->core, &peer, &call, &said));
    else
        assert_ok(application_service.answer_garbage(w->core, &peer, &said.reply));
    AW_CLEANUP(aw_free) char *reply = said.reply;
    assert_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &json));
    const cJSON *name = aw_json_member(json, "error");
    snprintf(error, 64, "%s", name == NULL ? "" : strrchr(name->valuestring, '.') + 1);
}

static void
messages_that_only_lenient_readers_take(void **state)
{
    struct world *w = *state;
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(messages); i++) {
        char error[64];

        answer_to(w, messages[i].message, error);
        if (strcmp(error, messages[i].error) == 0)
            continue;
        print_error("%s: \"%s\"\n", messages[i].name, error);
        bad++;
    }
    assert_int_equal(bad, 0);
}

/* Requests. */

#define L60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"
/* 253 octets. */
#define NAME253 L60 "." L60 "." L60 "." L60 ".sub.a.xyz"

/* Key identifiers of issuers (RFC 9773 4.1) before the serial. */
#define AKI "aYhba4dGQEHhs3uEe6CuLN4ByNQ."

static const struct world_row rows[] = {
    /* B. URLs. */
    {"attack 120: an octet encoded", "daemon", "PostAsGet", POLL(CA "%61/order"), WORLD_INVALID,
        "url"},
    {"attack 120: encoded dots", "daemon", "PostAsGet", POLL(CA "a/%2e%2e/b"), WORLD_INVALID,
        "url"},
    {"attack 120: an encoded NUL", "daemon", "ClaimUrls", CLAIM("order", CA "a%00"), WORLD_INVALID,
        "urls"},
    {"attack 121: a tab, which curl would not send", "daemon", "PostAsGet", POLL(CA "a\\tb"),
        WORLD_INVALID, "url"},
    {"attack 121: a line feed", "daemon", "PostAsGet", POLL(CA "a\\nb"), WORLD_INVALID, "url"},
    {"attack 121: a space before", "daemon", "PostAsGet", POLL(" " CA "a/order"), WORLD_INVALID,
        "url"},
    {"attack 121: a backslash", "daemon", "PostAsGet", POLL("https:\\\\\\\\ca.example.net/a"),
        WORLD_INVALID, "url"},
    {"attack 121: path parameters", "daemon", "PostAsGet", POLL(CA "a/order;v=1"), WORLD_INVALID,
        "url"},
    {"attack 121: an octet beyond ASCII in the host", "daemon", "PostAsGet",
        POLL("https://ca.ex\xc3\xa4mple.net/acme/a"), WORLD_INVALID, "url"},
    {"attack 122: the finalize URL as a certificate", "daemon", "ClaimUrls",
        CLAIM("certificate", "$BASE/finalize"), LEDGER, "url.taken"},
    {"attack 122: the order URL as a challenge", "daemon", "ClaimUrls",
        CLAIM("challenge", "$BASE/order"), LEDGER, "url.taken"},
    {"attack 122: a second finalize URL", "daemon", "ClaimUrls",
        CLAIM("finalize", "$BASE/finalize2"), LEDGER, "url.too-many"},
    {"attack 123: the finalize URL polled", "daemon", "PostAsGet", POLL("$BASE/finalize"), LEDGER,
        "url.unclaimed"},
    {"attack 123: the order answered as a challenge", "daemon", "AnswerChallenge",
        POLL("$BASE/order"), LEDGER, "url.unclaimed"},
    {"attack 123: the certificate finalized", "daemon", "Finalize",
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/cert\",\"csr\":\"$C\"}", LEDGER,
        "url.unclaimed"},

    /* D, G. Certificates named. */
    {"attack 144: bits behind the serial's last octet", "daemon", "NewOrder",
        ORDER_WITH("\"replaces\":\"" AKI "C7t\""), WORLD_INVALID, "replaces"},
    {"attack 144: a padded serial", "daemon", "NewOrder",
        ORDER_WITH("\"replaces\":\"" AKI "C7s=\""), WORLD_INVALID, "replaces"},
    {"attack 146: cACompromise", "daemon", "Revoke", REVOKE("2"), WORLD_INVALID, "reason"},
    {"attack 146: certificateHold", "daemon", "Revoke", REVOKE("6"), WORLD_INVALID, "reason"},
    {"attack 146: 7, which is none", "daemon", "Revoke", REVOKE("7"), WORLD_INVALID, "reason"},
    {"attack 146: removeFromCRL", "daemon", "Revoke", REVOKE("8"), WORLD_INVALID, "reason"},
    {"attack 146: aACompromise", "daemon", "Revoke", REVOKE("10"), WORLD_INVALID, "reason"},
    {"attack 146: below and above", "daemon", "Revoke", REVOKE("-1"), WORLD_INVALID, "reason"},
    {"attack 147: a certificate and an octet", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT_TRAILING\"}", CSR, "certificate.trailing"},
    {"attack 147: a certificate with a longer length", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT_BER\"}", CSR, "certificate.not-der"},
    {"attack 147: a certificate without names", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT_NAMELESS\"}", CSR, "certificate.san.missing"},
    {"attack 147: a CSR for a certificate", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$C\"}", CSR, "certificate.structure"},
    {"attack 148: a leap second", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"2027-06-30T23:59:60Z\""), WORLD_INVALID, "notAfter"},
    {"attack 148: 30 February", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"2027-02-30T00:00:00Z\""), WORLD_INVALID, "notAfter"},
    {"attack 148: a fraction", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"2027-01-01T00:00:00.5Z\""), WORLD_INVALID, "notAfter"},
    {"attack 148: small letters", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"2027-01-01t00:00:00z\""), WORLD_INVALID, "notAfter"},
    {"attack 148: five digits of a year", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"12027-01-01T00:00:00Z\""), WORLD_INVALID, "notAfter"},

    /* F. Names. Their Punycode was made with Python's codec. */
    {"attack 138: an A-label of ASCII alone", "daemon", "NewOrder",
        NAMED("xn--abc-.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a capital inside", "daemon", "NewOrder", NAMED("xn--bcher-2pa.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 138: left to right, then right to left", "daemon", "NewOrder",
        NAMED("xn--a-0hc.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: right to left, then left to right", "daemon", "NewOrder",
        NAMED("xn--1a-uld.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a joiner without its context", "daemon", "NewOrder",
        NAMED("xn--ab-m1t.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a non-joiner without its context", "daemon", "NewOrder",
        NAMED("xn--ab-j1t.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a middle dot without its context", "daemon", "NewOrder",
        NAMED("xn--ab-0ea.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a code point that is none", "daemon", "NewOrder",
        NAMED("xn--a-qib.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a combining mark first", "daemon", "NewOrder",
        NAMED("xn--a-wbb.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a full-width letter", "daemon", "NewOrder", NAMED("xn--b-yq0i.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 138: not composed", "daemon", "NewOrder", NAMED("xn--ux-uub.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 138: an emoji", "daemon", "NewOrder", NAMED("xn--e28h.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 138: an override of direction", "daemon", "NewOrder",
        NAMED("xn--ab-g4t.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 138: a soft hyphen", "daemon", "NewOrder", NAMED("xn--ab-5da.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 138: an ideographic full stop", "daemon", "NewOrder",
        NAMED("xn--ab-r13a.sub.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 139: a wildcard over the longest name", "daemon", "NewOrder", NAMED("*." NAME253),
        WORLD_INVALID, "identifiers"},
    {"attack 139: the longest name, outside", "daemon", "NewOrder", NAMED(NAME253), POLICY,
        "account.ceiling"},
    {"attack 140: a bad A-label below a wildcard", "daemon", "NewOrder",
        NAMED("*.xn--a-qib.w.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 140: an A-label for an asterisk", "daemon", "NewOrder",
        NAMED("xn--*-.w.a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 131: an IPv4 address as IPv6", "daemon", "NewOrder",
        ORDER_OF("ip", "::ffff:192.0.2.17"), WORLD_INVALID, "identifiers"},
    {"attack 132: a network", "daemon", "NewOrder", ORDER_OF("ip", "192.0.2.16/28"), WORLD_INVALID,
        "identifiers"},
    {"attack 132: brackets", "daemon", "NewOrder", ORDER_OF("ip", "[2001:db8::1]"), WORLD_INVALID,
        "identifiers"},
    {"attack 132: a zone", "daemon", "NewOrder", ORDER_OF("ip", "fe80::1%eth0"), WORLD_INVALID,
        "identifiers"},
    {"attack 132: an octal part", "daemon", "NewOrder", ORDER_OF("ip", "192.0.2.021"),
        WORLD_INVALID, "identifiers"},
    {"attack 132: three parts", "daemon", "NewOrder", ORDER_OF("ip", "192.0.529"), WORLD_INVALID,
        "identifiers"},
    {"attack 141: an address by its reverse name", "daemon", "NewOrder",
        NAMED("17.2.0.192.in-addr.arpa"), POLICY, "account.ceiling"},
    {"attack 142: the type in capitals", "daemon", "NewOrder", ORDER_OF("DNS", "a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 142: a type that is none", "daemon", "NewOrder",
        ORDER_OF("permanent-identifier", "a.example.edu"), WORLD_INVALID, "identifiers"},
    {"attack 142: an address of the type dns", "daemon", "NewOrder", ORDER_OF("dns", "2001:db8::1"),
        WORLD_INVALID, "identifiers"},
};

static int
setup(void **state)
{
    (void)world_setup(state);
    struct world *w = *state;
    world_order(w, "daemon", "a.example.edu", "a");
    octets certificate = world_certificate(KEY_P256, "a.example.edu", LITERAL("\x01\x02"));
    assert_int_equal(certificate.data[1], 0x81);
    world_set_octets(w, "C", world_csr(KEY_P256, "a.example.edu"));
    world_set_octets(w, "CERT", certificate);
    world_set_octets(w, "CERT_TRAILING", JOIN(certificate, LITERAL("x")));
    world_set_octets(w, "CERT_BER",
        JOIN(LITERAL("\x30\x82\0"), (octets){certificate.data + 2, certificate.size - 2}));
    world_set_octets(w, "CERT_NAMELESS", world_certificate(KEY_P256, "", LITERAL("\x01\x03")));
    return 0;
}

/* url.taken is alarmed where another order holds the URL; here the order is the same. */
static void
requests_that_only_lenient_readers_take(void **state)
{
    struct world *w = *state;
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        bad += !world_refuses(w, &rows[i]);
    assert_int_equal(bad, 0);
}

/* The signature of a CSR with n - s for s: as good, in other octets. */
static octets
other_signature(octets der)
{
    const unsigned char *at = der.data;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.size);
    const ASN1_BIT_STRING *value = NULL;
    unsigned char *again = NULL;
    BIGNUM *n = NULL;

    assert_non_null(request);
    X509_REQ_get0_signature(request, &value, NULL);
    at = ASN1_STRING_get0_data(value);
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, ASN1_STRING_length(value));
    assert_int_equal(
        BN_hex2bn(&n, "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"), 64);
    assert_int_equal(BN_sub(n, n, ECDSA_SIG_get0_s(pair)), 1);
    assert_int_equal(ECDSA_SIG_set0(pair, BN_dup(ECDSA_SIG_get0_r(pair)), n), 1);
    int size = i2d_ECDSA_SIG(pair, &again);
    assert_true(size > 0);
    octets out = JOIN(LITERAL("\0"), octets_of(again, (size_t)size));
    OPENSSL_free(again);
    ECDSA_SIG_free(pair);
    X509_REQ_free(request);
    return out;
}

/* An order is bound to the CSR's octets, not to what it means. */
static void
attack_150_the_same_csr_signed_otherwise(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);
    const char *parameters =
        "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$C1\"}";
    octets first = world_csr(KEY_P256, "a.example.edu");
    octets second = csr_of(
        &(struct csr_parts){.names = dns("a.example.edu"), .signature = other_signature(first)});

    world_order(w, "daemon", "a.example.edu", "twice");
    world_set_octets(w, "C1", first);
    assert_int_equal(world_ask(w, &peer, "Finalize", parameters, &reply), SIGN_OUTCOME_DONE);
    world_set_octets(w, "C1", second);
    const struct world_row row = {
        "attack 150: n - s", "daemon", "Finalize", parameters, LEDGER, "order.bound"};
    assert_true(world_refuses(w, &row));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_only_lenient_readers_take),
        cmocka_unit_test(requests_that_only_lenient_readers_take),
        cmocka_unit_test(attack_150_the_same_csr_signed_otherwise),
    };

    return cmocka_run_group_tests_name("authorize_forms", tests, setup, world_teardown);
}
