/* Requests as they arrive: attacks A (JSON), C 30 and F (names), from the octets to the struct. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/result.h"
#include "signer/request.h"

/* What the gate does with the parameters of a call. */
static aw_result
parse(enum sign_operation operation, const char *text, size_t size, struct sign_request *out,
    const char **field)
{
    cJSON *json = NULL;

    memset(out, 0, sizeof(*out));
    *field = "json";
    aw_result r = aw_json_parse(text, size, AW_JSON_STRICT, &json);
    if (aw_ok(r))
        r = sign_request_parse(operation, json, out, field);
    aw_json_free(&json);
    return r;
}

/* A request that failed half-way holds nothing. */
static bool
is_empty(const struct sign_request *request)
{
    struct sign_request zero = {.operation = request->operation};

    return memcmp(&zero, request, sizeof(zero)) == 0;
}

/*
 * `field` is the member at fault, "json" when the JSON itself is refused, "" when no single member
 * is; NULL: parses. `reason` is a part of the message.
 */
struct row {
    const char *name;
    enum sign_operation operation;
    const char *text;
    size_t size;
    const char *field, *reason;
};

#define ROW(name, operation, text, field, reason)                     \
    {                                                                 \
        name, SIGN_##operation, text, sizeof(text) - 1, field, reason \
    }

static bool
check_row(const struct row *row)
{
    struct sign_request request;
    const char *field;
    aw_result r = parse(row->operation, row->text, row->size, &request, &field);
    const char *message = aw_ok(r) ? "parsed" : aw_error_last()->message;
    bool good = aw_ok(r) == (row->field == NULL);

    if (good && !aw_ok(r))
        good = strcmp(field != NULL ? field : "", row->field) == 0 &&
               strstr(message, row->reason) != NULL && is_empty(&request) &&
               (r.code == AW_CODE_SYNTAX || r.code == AW_CODE_LIMIT);
    if (!good)
        print_error("row \"%s\": field \"%s\", %s; expected \"%s\", %s\n", row->name,
            field != NULL ? field : "", message, row->field != NULL ? row->field : "none",
            row->reason != NULL ? row->reason : "parsed");
    sign_request_free(&request);
    return good;
}

static void
check_rows(const struct row *rows, size_t count)
{
    unsigned failures = 0;

    for (size_t i = 0; i < count; i++)
        failures += !check_row(&rows[i]);
    assert_int_equal(failures, 0);
}

#define DNS(value) "{\"type\":\"dns\",\"value\":\"" value "\"}"
#define IDENTIFIERS(list) "\"identifiers\":[" list "]"
#define ORDER(rest) "{\"nonce\":\"abc\"," rest "}"
#define WWW IDENTIFIERS(DNS("www.example.edu"))

static const struct row json_rows[] = {
    ROW("usual", NEW_ORDER, ORDER(WWW), NULL, NULL),
    ROW("attack 1: identifiers twice", NEW_ORDER, ORDER(WWW "," IDENTIFIERS(DNS("evil.example"))),
        "json", "duplicate"),
    ROW("attack 1: value twice", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"dns\",\"value\":\"a.edu\",\"value\":\"b.edu\"}")), "json",
        "duplicate"),
    ROW("attack 2: IDENTIFIERS", NEW_ORDER, ORDER("\"IDENTIFIERS\":[" DNS("www.example.edu") "]"),
        "", "IDENTIFIERS"),
    ROW("attack 2: both", NEW_ORDER, ORDER(WWW ",\"IDENTIFIERS\":[" DNS("evil.example") "]"), "",
        "IDENTIFIERS"),
    ROW("attack 2: Type", NEW_ORDER, ORDER(IDENTIFIERS("{\"Type\":\"dns\",\"value\":\"a.edu\"}")),
        "identifiers", "Type"),
    ROW("attack 3: an array in the array", NEW_ORDER,
        ORDER("\"identifiers\":[[" DNS("a.edu") "],[" DNS("b.edu") "]]"), "identifiers", "array"),
    ROW("attack 5: \\u0000 in a value", NEW_ORDER,
        ORDER(IDENTIFIERS(DNS("www.example.edu\\u0000.evil.example"))), "json", "NUL"),
    ROW("attack 5: \\u0000 in a key", NEW_ORDER, ORDER(WWW ",\"profile\\u0000x\":\"a\""), "json",
        "NUL"),
    ROW("attack 7: raw NUL", NEW_ORDER, ORDER(IDENTIFIERS(DNS("www.example.edu\0x"))), "json",
        "NUL"),
    ROW("attack 8: {} trailing", NEW_ORDER, ORDER(WWW) "{}", "json", "after"),
    ROW("attack 9: invalid UTF-8", NEW_ORDER, ORDER(IDENTIFIERS(DNS("www\xff.example.edu"))),
        "json", "UTF-8"),
    ROW("attack 9: overlong UTF-8", NEW_ORDER,
        ORDER(IDENTIFIERS(DNS("www\xc0\xae"
                              "edu"))),
        "json", "UTF-8"),
    ROW("attack 9: raw control character", NEW_ORDER, ORDER(IDENTIFIERS(DNS("www\nexample.edu"))),
        "json", "control"),
    ROW("attack 10: 007", POST_AS_GET, "{\"order\":007}", "json", ""),
    ROW("attack 10: 1.", POST_AS_GET, "{\"order\":1.}", "json", ""),
    ROW("attack 10: 1.0", POST_AS_GET, "{\"order\":1.0}", "json", ""),
    ROW("attack 10: 1e400", POST_AS_GET, "{\"order\":1e400}", "json", ""),
    ROW("attack 10: 2^53+1", POST_AS_GET, "{\"order\":9007199254740993}", "json", ""),
    ROW("attack 11: depth", NEW_ORDER, ORDER("\"profile\":[[[[[[[[[]]]]]]]]]"), "json", "deep"),
    ROW("attack 13: an escaped key is that key", NEW_ORDER,
        ORDER("\"identifier\\u0073\":[" DNS("www.example.edu") "]"), NULL, NULL),
    ROW("attack 13: an escaped key twice", NEW_ORDER,
        ORDER(WWW ",\"identifier\\u0073\":[" DNS("evil.example") "]"), "json", "duplicate"),
    ROW("attack 14: identifiers null", NEW_ORDER, ORDER("\"identifiers\":null"), "identifiers",
        "missing"),
    ROW("attack 14: identifiers an object", NEW_ORDER, ORDER("\"identifiers\":{}"), "identifiers",
        "an object"),
    ROW("attack 14: identifiers a string", NEW_ORDER, ORDER("\"identifiers\":\"www.example.edu\""),
        "identifiers", "a string"),
    ROW("attack 14: an identifier null", NEW_ORDER, ORDER("\"identifiers\":[null]"), "identifiers",
        "null"),
    ROW("attack 14: value a number", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"dns\",\"value\":1}")), "identifiers", "a number"),
    ROW("attack 14: nonce null", NEW_ORDER, "{\"nonce\":null," WWW "}", "nonce", "missing"),
    ROW("attack 14: nonce a number", NEW_ORDER, "{\"nonce\":1," WWW "}", "nonce", "a number"),
    ROW("attack 14: an array for the object", NEW_ORDER, "[]", "", "array"),
    ROW("attack 14: a string for the object", NEW_ORDER, "\"a\"", "", "string"),
    ROW("attack 14: null for the object", WHOAMI, "null", "", "null"),
    ROW("attack 15: BOM", NEW_ORDER, "\xef\xbb\xbf" ORDER(WWW), "json", ""),
    ROW("unknown member", NEW_ORDER, ORDER(WWW ",\"status\":\"deactivated\""), "", "status"),
    ROW("attack 31: crit", NEW_ORDER, ORDER(WWW ",\"crit\":[\"b64\"]"), "", "crit"),
    ROW("attack 32: b64", NEW_ORDER, ORDER(WWW ",\"b64\":false"), "", "b64"),
    ROW("attack 29: alg", NEW_ORDER, ORDER(WWW ",\"alg\":\"none\""), "", "alg"),
    ROW("attack 27: jwk", NEW_ORDER, ORDER(WWW ",\"jwk\":{}"), "", "jwk"),
    ROW("attack 16: url in a new-order", NEW_ORDER,
        ORDER(WWW ",\"url\":\"https://ca.example/revoke\""), "", "url"),
    ROW("attack 16: payload", POST_AS_GET, ORDER("\"payload\":\"{}\""), "", "payload"),
    ROW("unknown member in an identifier", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"dns\",\"value\":\"a.edu\",\"x\":1}")), "identifiers", "x"),
    ROW("no parameters for whoami", WHOAMI, "{}", NULL, NULL),
    ROW("whoami takes none", WHOAMI, "{\"application\":\"a\"}", "", "application"),
    ROW("empty object for an order", NEW_ORDER, "{}", "nonce", "missing"),
};

static void
attacks_a_json(void **state)
{
    (void)state;
    check_rows(json_rows, AW_COUNT(json_rows));
}

/* Attack 12: a million members; they do not even fit a message, and twenty thousand are too many.
 */
static void
attack_12_many_members(void **state)
{
    enum { MEMBERS = 21000 };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    fputc('{', out);
    for (unsigned i = 0; i < MEMBERS; i++)
        fprintf(out, "%s\"a%u\":1", i > 0 ? "," : "", i);
    fputc('}', out);
    fclose(out);
    assert_true(check_row(
        &(struct row){"attack 12: many members", SIGN_NEW_ORDER, text, size, "json", "20000"}));
    free(text);
}

#define NAMED(value) ORDER(IDENTIFIERS(DNS(value)))
#define LABEL63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static const struct row name_rows[] = {
    ROW("attack 72: wildcard, which policy decides", NEW_ORDER, NAMED("*.a.example.edu"), NULL,
        NULL),
    ROW("attack 73: f*", NEW_ORDER, NAMED("f*.example.edu"), "identifiers", "asterisk"),
    ROW("attack 73: *.*", NEW_ORDER, NAMED("*.*.example.edu"), "identifiers", "asterisk"),
    ROW("attack 73: a.*.b", NEW_ORDER, NAMED("a.*.example.edu"), "identifiers", "asterisk"),
    ROW("attack 74: trailing dot", NEW_ORDER, NAMED("www.example.edu."), "identifiers", "dot"),
    ROW("attack 76: U-label", NEW_ORDER,
        NAMED("b\xc3\xbc"
              "cher.example.edu"),
        "identifiers", "A-label"),
    ROW("attack 76: U-label, escaped", NEW_ORDER, NAMED("b\\u00fccher.example.edu"), "identifiers",
        "A-label"),
    ROW("attack 77: bad Punycode", NEW_ORDER, NAMED("xn--999999999.example.edu"), "identifiers",
        "A-label"),
    ROW("attack 77: ab--c", NEW_ORDER, NAMED("ab--c.example.edu"), "identifiers", "--"),
    ROW("attack 78: underscore", NEW_ORDER, NAMED("_acme.example.edu"), "identifiers",
        "underscore"),
    ROW("attack 78: empty label", NEW_ORDER, NAMED("www..example.edu"), "identifiers",
        "empty label"),
    ROW("attack 78: empty name", NEW_ORDER, NAMED(""), "identifiers", "empty"),
    ROW("attack 79: label of 64", NEW_ORDER, NAMED(LABEL63 "x.example.edu"), "identifiers", "63"),
    ROW("attack 79: name of 254", NEW_ORDER,
        NAMED(LABEL63 "." LABEL63 "." LABEL63
                      ".abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab.example"),
        "identifiers", "253"),
    ROW("attack 82: IP as a DNS name", NEW_ORDER, NAMED("192.0.2.16"), "identifiers", "address"),
    ROW("attack 82: IPv6 as a DNS name", NEW_ORDER, NAMED("2001:db8::1"), "identifiers", "address"),
    ROW("attack 82: numeric last label", NEW_ORDER, NAMED("www.16"), "identifiers", "numeric"),
    ROW("attack 83: space", NEW_ORDER, NAMED("www example.edu"), "identifiers", "characters"),
    ROW("attack 83: bidirectional control", NEW_ORDER, NAMED("www\xe2\x80\xae.example.edu"),
        "identifiers", "characters"),
    ROW("attack 83a: a name twice", NEW_ORDER,
        ORDER(IDENTIFIERS(DNS("a.example.edu") "," DNS("a.example.edu"))), "identifiers", "twice"),
    ROW("attack 83a: a name twice, in two cases", NEW_ORDER,
        ORDER(IDENTIFIERS(DNS("a.example.edu") "," DNS("A.Example.Edu"))), "identifiers", "twice"),
    ROW("single label", NEW_ORDER, NAMED("localhost"), "identifiers", "single label"),
    ROW("address", NEW_ORDER, ORDER(IDENTIFIERS("{\"type\":\"ip\",\"value\":\"192.0.2.16\"}")),
        NULL, NULL),
    ROW("address with zeros", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"ip\",\"value\":\"192.0.2.016\"}")), "identifiers",
        "address"),
    ROW("IPv6, not canonical", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"ip\",\"value\":\"2001:DB8::1\"}")), "identifiers",
        "canonical"),
    ROW("host name as an address", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"ip\",\"value\":\"www.example.edu\"}")), "identifiers",
        "address"),
    ROW("type DNS", NEW_ORDER,
        ORDER(IDENTIFIERS("{\"type\":\"DNS\",\"value\":\"www.example.edu\"}")), "identifiers",
        "type"),
    ROW("no type", NEW_ORDER, ORDER(IDENTIFIERS("{\"value\":\"www.example.edu\"}")), "identifiers",
        "type"),
    ROW("no identifiers", NEW_ORDER, ORDER("\"identifiers\":[]"), "identifiers", "identifiers"),
};

static void
attacks_f_names(void **state)
{
    (void)state;
    check_rows(name_rows, AW_COUNT(name_rows));
}

#define WITH_URL(more) "{\"nonce\":\"abc\",\"order\":1,\"url\":\"https://ca.example/o/1\"" more "}"
#define ORDERED(more) ORDER(WWW "," more)
#define TIMES(from, to) ORDERED("\"notBefore\":\"" from "\",\"notAfter\":\"" to "\"")
#define CLAIMS(list) "{\"order\":1,\"urls\":[" list "]}"
#define CLAIM(kind, url) "{\"kind\":\"" kind "\",\"url\":\"" url "\"}"

static const struct row field_rows[] = {
    ROW("attack 30: quotes in the nonce", NEW_ORDER, "{\"nonce\":\"a\\\",\\\"x\"," WWW "}", "nonce",
        "0x22"),
    ROW("attack 30: CRLF in the nonce", NEW_ORDER, "{\"nonce\":\"a\\r\\nb\"," WWW "}", "nonce",
        "0x0d"),
    ROW("attack 30: base64 in the nonce", NEW_ORDER, "{\"nonce\":\"a+/=\"," WWW "}", "nonce",
        "0x2b"),
    ROW("attack 30: empty nonce", NEW_ORDER, "{\"nonce\":\"\"," WWW "}", "nonce", "empty"),
    ROW("application", NEW_ORDER, ORDERED("\"application\":\"dept_myapp1\""), NULL, NULL),
    ROW("application null", NEW_ORDER, ORDERED("\"application\":null"), NULL, NULL),
    ROW("empty application", NEW_ORDER, ORDERED("\"application\":\"\""), "application", "empty"),
    ROW("application with a path", NEW_ORDER, ORDERED("\"application\":\"../a\""), "application",
        "0x2f"),
    ROW("attack 100: ESC in the application", NEW_ORDER, ORDERED("\"application\":\"a\\u001b\""),
        "application", "0x1b"),
    ROW("application in upper case", NEW_ORDER, ORDERED("\"application\":\"Dept\""), "application",
        "0x44"),
    ROW("profile", NEW_ORDER, ORDERED("\"profile\":\"tlsServer-2.0_x\""), NULL, NULL),
    ROW("attack 47: quotes in the profile", NEW_ORDER, ORDERED("\"profile\":\"a\\\"\""), "profile",
        "0x22"),
    ROW("times", NEW_ORDER, TIMES("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"), NULL, NULL),
    ROW("attack 47: another zone", NEW_ORDER, ORDERED("\"notAfter\":\"2026-01-01T00:00:00+01:00\""),
        "notAfter", "notAfter"),
    ROW("attack 47: month 13", NEW_ORDER, ORDERED("\"notBefore\":\"2026-13-01T00:00:00Z\""),
        "notBefore", "notBefore"),
    ROW("attack 47: date alone", NEW_ORDER, ORDERED("\"notBefore\":\"2026-01-01\""), "notBefore",
        "notBefore"),
    ROW("attack 47: notAfter is notBefore", NEW_ORDER,
        TIMES("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "notAfter", "not after"),
    ROW("attack 47: notAfter before notBefore", NEW_ORDER,
        TIMES("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), "notAfter", "not after"),
    ROW("replaces (RFC 9773 4.1)", NEW_ORDER,
        ORDERED("\"replaces\":\"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE\""), NULL, NULL),
    ROW("attack 46: replaces without a dot", NEW_ORDER, ORDERED("\"replaces\":\"aYhba4dG\""),
        "replaces", "."),
    ROW("attack 46: replaces with two dots", NEW_ORDER, ORDERED("\"replaces\":\"aYhb.a4dG.a4dG\""),
        "replaces", "replaces"),
    ROW("attack 46: replaces, empty serial", NEW_ORDER, ORDERED("\"replaces\":\"aYhb.\""),
        "replaces", "empty"),
    ROW("attack 46: replaces, empty issuer", NEW_ORDER, ORDERED("\"replaces\":\".aYhb\""),
        "replaces", "empty"),
    ROW("attack 46: replaces that does not decode", NEW_ORDER, ORDERED("\"replaces\":\"a.aYhb\""),
        "replaces", "replaces"),
    ROW("post-as-get", POST_AS_GET, WITH_URL(""), NULL, NULL),
    ROW("answer-challenge", ANSWER_CHALLENGE, WITH_URL(""), NULL, NULL),
    ROW("post-as-get takes no CSR", POST_AS_GET, WITH_URL(",\"csr\":\"MPv_\""), "", "csr"),
    ROW("order 0", POST_AS_GET, "{\"nonce\":\"a\",\"order\":0,\"url\":\"https://ca.example/o\"}",
        "order", "order"),
    ROW("order -1", POST_AS_GET, "{\"nonce\":\"a\",\"order\":-1,\"url\":\"https://ca.example/o\"}",
        "order", "order"),
    ROW("order a string", POST_AS_GET,
        "{\"nonce\":\"a\",\"order\":\"1\",\"url\":\"https://ca.example/o\"}", "order", "string"),
    ROW("no order", POST_AS_GET, "{\"nonce\":\"a\",\"url\":\"https://ca.example/o\"}", "order",
        "missing"),
    ROW("attack 21: ..", POST_AS_GET,
        "{\"nonce\":\"a\",\"order\":1,\"url\":\"https://ca.example/o/../acct\"}", "url", ".."),
    ROW("attack 22: :443", POST_AS_GET,
        "{\"nonce\":\"a\",\"order\":1,\"url\":\"https://ca.example:443/o\"}", "url", "443"),
    ROW("attack 23: query", POST_AS_GET,
        "{\"nonce\":\"a\",\"order\":1,\"url\":\"https://ca.example/o?x\"}", "url", "query"),
    ROW("finalize", FINALIZE, WITH_URL(",\"csr\":\"MPv_\""), NULL, NULL),
    ROW("finalize without CSR", FINALIZE, WITH_URL(""), "csr", "missing"),
    ROW("finalize with an empty CSR", FINALIZE, WITH_URL(",\"csr\":\"\""), "csr", "empty"),
    ROW("CSR in base64", FINALIZE, WITH_URL(",\"csr\":\"MPv/\""), "csr", "base64url"),
    ROW("CSR padded", FINALIZE, WITH_URL(",\"csr\":\"MPs=\""), "csr", "base64url"),
    ROW("CSR with unused bits", FINALIZE, WITH_URL(",\"csr\":\"MPt\""), "csr", "unused"),
    ROW("revoke", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\"}", NULL, NULL),
    ROW("revoke, reason", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":4}", NULL,
        NULL),
    ROW("revoke, reason null", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":null}",
        NULL, NULL),
    ROW("revoke, reason 2", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":2}",
        "reason", "RFC 5280"),
    ROW("revoke, reason 7", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":7}",
        "reason", "RFC 5280"),
    ROW("revoke, reason 11", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":11}",
        "reason", "reason"),
    ROW("revoke, reason -1", REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":-1}",
        "reason", "reason"),
    ROW("attack 16: revoke takes no url", REVOKE,
        "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"url\":\"https://ca.example/o\"}", "", "url"),
    ROW("claim", CLAIM, CLAIMS(CLAIM("order", "https://ca.example/o/1")), NULL, NULL),
    ROW("claim of nothing", CLAIM, CLAIMS(""), "urls", "urls"),
    ROW("claim of another kind", CLAIM, CLAIMS(CLAIM("account", "https://ca.example/a/1")), "urls",
        "kind"),
    ROW("claim without kind", CLAIM, CLAIMS("{\"url\":\"https://ca.example/o/1\"}"), "urls",
        "kind"),
    ROW("claim with a member more", CLAIM,
        CLAIMS("{\"kind\":\"order\",\"url\":\"https://ca.example/o/1\",\"x\":1}"), "urls", "x"),
    ROW("claim with a query", CLAIM, CLAIMS(CLAIM("order", "https://ca.example/o?1")), "urls",
        "query"),
    ROW("a URL twice", CLAIM,
        CLAIMS(CLAIM("order", "https://ca.example/o/1") "," CLAIM(
            "finalize", "https://ca.example/o/1")),
        "urls", "twice"),
    ROW("a URL twice, another between", CLAIM,
        CLAIMS(CLAIM("order", "https://ca.example/o/1") "," CLAIM("authorization",
            "https://ca.example/a/1") "," CLAIM("finalize", "https://ca.example/o/1")),
        "urls", "twice"),
    ROW("claim takes no nonce", CLAIM, "{\"nonce\":\"a\",\"order\":1,\"urls\":[]}", "", "nonce"),
    ROW("record-certificate", RECORD_CERTIFICATE,
        "{\"order\":1,\"certificate\":\"MPv_\",\"chain\":[]}", NULL, NULL),
    ROW("record-certificate, number in the chain", RECORD_CERTIFICATE,
        "{\"order\":1,\"certificate\":\"MPv_\",\"chain\":[\"MPv_\",1]}", "chain", "string"),
    ROW("record-certificate, no base64url in the chain", RECORD_CERTIFICATE,
        "{\"order\":1,\"certificate\":\"MPv_\",\"chain\":[\"MPv_\",\"=\"]}", "chain", "chain"),
    ROW("record-certificate, chain of nine", RECORD_CERTIFICATE,
        "{\"order\":1,\"certificate\":\"MPv_\",\"chain\":[\"MA\",\"MA\",\"MA\",\"MA\",\"MA\","
        "\"MA\",\"MA\",\"MA\",\"MA\"]}",
        "chain", "chain"),
    ROW("record-certificate, no chain", RECORD_CERTIFICATE,
        "{\"order\":1,\"certificate\":\"MPv_\"}", "chain", "missing"),
    ROW("check", CHECK, "{" WWW ",\"key\":\"ec-p256\"}", NULL, NULL),
    ROW("check, key with a space", CHECK, "{" WWW ",\"key\":\"ec p256\"}", "key", "0x20"),
    ROW("check takes no nonce", CHECK, "{\"nonce\":\"a\"," WWW "}", "", "nonce"),
};

static void
fields(void **state)
{
    (void)state;
    check_rows(field_rows, AW_COUNT(field_rows));
}

/* `count` times `unit`, after `before` and before `after`. */
static char *
repeated(const char *before, const char *unit, size_t count, const char *after)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs(before, out);
    for (size_t i = 0; i < count; i++)
        fputs(unit, out);
    fputs(after, out);
    fclose(out);
    return text;
}

static void
limits(void **state)
{
    static const struct {
        const char *name;
        enum sign_operation operation;
        const char *before, *unit;
        size_t most; /* so many are allowed */
        size_t step; /* so many more are not, by one as a rule */
        const char *after, *field;
    } rows[] = {
        {"attack 30: long nonce", SIGN_NEW_ORDER, "{\"nonce\":\"", "a", SIGN_NONCE_MAX, 1,
            "\"," WWW "}", "nonce"},
        {"attack 30: nonce of 10,000", SIGN_NEW_ORDER, "{\"nonce\":\"", "a", SIGN_NONCE_MAX,
            10000 - SIGN_NONCE_MAX, "\"," WWW "}", "nonce"},
        {"application", SIGN_CHECK, "{" WWW ",\"application\":\"", "a", SIGN_TEXT_MAX, 1, "\"}",
            "application"},
        {"profile", SIGN_CHECK, "{" WWW ",\"profile\":\"", "a", SIGN_TEXT_MAX, 1, "\"}", "profile"},
        {"URL", SIGN_POST_AS_GET, "{\"nonce\":\"a\",\"order\":1,\"url\":\"https://ca.example/", "a",
            SIGN_URL_MAX - 19, 1, "\"}", "url"},
        {"attack 71: CSR over 32 KiB", SIGN_FINALIZE,
            "{\"nonce\":\"a\",\"order\":1,\"url\":\"https://ca.example/o\",\"csr\":\"MA", "AAAA",
            CSR_SIZE_MAX / 3 - 1, 1, "AA\"}", "csr"},
        {"certificate over 64 KiB", SIGN_REVOKE, "{\"nonce\":\"a\",\"certificate\":\"MA", "AAAA",
            CSR_CERTIFICATE_MAX / 3 - 1, 1, "AA\"}", "certificate"},
    };
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char *good = repeated(rows[i].before, rows[i].unit, rows[i].most, rows[i].after);
        char *bad =
            repeated(rows[i].before, rows[i].unit, rows[i].most + rows[i].step, rows[i].after);
        failures += !check_row(
            &(struct row){rows[i].name, rows[i].operation, good, strlen(good), NULL, NULL});
        failures += !check_row(
            &(struct row){rows[i].name, rows[i].operation, bad, strlen(bad), rows[i].field, ""});
        free(good);
        free(bad);
    }
    assert_int_equal(failures, 0);
}

/* `count` elements, each with its number, in the array that `before` opens. */
static char *
numbered(const char *before, const char *prefix, const char *suffix, unsigned count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    fputs(before, out);
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "%s%s%u%s", i > 0 ? "," : "", prefix, i, suffix);
    fputs("]}", out);
    fclose(out);
    return text;
}

static void
counts(void **state)
{
    static const struct {
        const char *name;
        enum sign_operation operation;
        const char *before, *prefix, *suffix;
        unsigned most;
        const char *field;
    } rows[] = {
        {"attack 71: names", SIGN_CHECK, "{\"identifiers\":[", "{\"type\":\"dns\",\"value\":\"h",
            ".example.edu\"}", SIGN_NAMES_MAX, "identifiers"},
        {"URLs", SIGN_CLAIM, "{\"order\":1,\"urls\":[",
            "{\"kind\":\"challenge\",\"url\":\"https://ca.example/c/", "\"}", SIGN_CLAIMS_MAX,
            "urls"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        char *good = numbered(rows[i].before, rows[i].prefix, rows[i].suffix, rows[i].most);
        char *bad = numbered(rows[i].before, rows[i].prefix, rows[i].suffix, rows[i].most + 1);
        assert_true(check_row(
            &(struct row){rows[i].name, rows[i].operation, good, strlen(good), NULL, NULL}));
        assert_true(check_row(
            &(struct row){rows[i].name, rows[i].operation, bad, strlen(bad), rows[i].field, ""}));
        free(good);
        free(bad);
    }
}

/* All that a request can hold, read back. */
static void
new_order_is_read_whole(void **state)
{
    static const char text[] =
        "{\"application\":\"dept_myapp1\",\"nonce\":\"aB-_9\",\"profile\":\"shortlived\","
        "\"notBefore\":\"2026-01-01T00:00:00Z\",\"notAfter\":\"2026-01-02T00:00:00Z\","
        "\"replaces\":\"aYhb.AIdl\"," IDENTIFIERS(
            DNS("WWW.Example.edu") "," DNS("*.example.edu") ",{\"type\":\"ip\",\"value\":"
                                                            "\"2001:db8::1\"}") "}";
    struct sign_request request;
    const char *field;

    (void)state;
    assert_true(aw_ok(parse(SIGN_NEW_ORDER, text, strlen(text), &request, &field)));
    assert_null(field);
    assert_int_equal(request.operation, SIGN_NEW_ORDER);
    assert_string_equal(request.application, "dept_myapp1");
    assert_string_equal(request.nonce, "aB-_9");
    assert_string_equal(request.profile, "shortlived");
    assert_string_equal(request.not_before, "2026-01-01T00:00:00Z");
    assert_string_equal(request.not_after, "2026-01-02T00:00:00Z");
    assert_string_equal(request.replaces, "aYhb.AIdl");
    assert_int_equal(request.name_count, 3);
    assert_string_equal(request.names[0].text, "*.example.edu");
    assert_string_equal(request.names[1].text, "2001:db8::1");
    /* Attack 75: upper case is lowered before anything is compared. */
    assert_string_equal(request.names[2].text, "www.example.edu");
    sign_request_free(&request);
    assert_true(is_empty(&request));
}

static void
the_others_are_read_whole(void **state)
{
    static const char finalize[] = WITH_URL(",\"csr\":\"MPv_\"");
    static const char claim[] = CLAIMS(CLAIM("certificate", "https://ca.example/c/1") "," CLAIM(
        "authorization", "https://ca.example/z/1"));
    static const char record[] =
        "{\"order\":9007199254740991,\"certificate\":\"MPv_\",\"chain\":[\"MA\",\"MQ\"]}";
    static const char revoke[] = "{\"nonce\":\"a\",\"certificate\":\"MPv_\",\"reason\":0}";
    struct sign_request request;
    const char *field;

    (void)state;
    assert_true(aw_ok(parse(SIGN_FINALIZE, finalize, strlen(finalize), &request, &field)));
    assert_int_equal(request.order, 1);
    assert_string_equal(request.url, "https://ca.example/o/1");
    assert_int_equal(request.csr.size, 3);
    assert_memory_equal(request.csr.data, "\x30\xfb\xff", 3);
    assert_null(request.application);
    sign_request_free(&request);
    assert_true(aw_ok(parse(SIGN_CLAIM, claim, strlen(claim), &request, &field)));
    assert_int_equal(request.claim_count, 2);
    assert_int_equal(request.claims[0].kind, SIGN_URL_CERTIFICATE);
    assert_string_equal(request.claims[0].url, "https://ca.example/c/1");
    assert_int_equal(request.claims[1].kind, SIGN_URL_AUTHORIZATION);
    sign_request_free(&request);
    assert_true(aw_ok(parse(SIGN_RECORD_CERTIFICATE, record, strlen(record), &request, &field)));
    assert_true(request.order == 9007199254740991);
    assert_int_equal(request.chain_count, 2);
    assert_memory_equal(request.chain[1].data, "1", 1);
    sign_request_free(&request);
    assert_true(aw_ok(parse(SIGN_REVOKE, revoke, strlen(revoke), &request, &field)));
    assert_true(request.has_reason);
    assert_int_equal(request.reason, 0);
    sign_request_free(&request);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacks_a_json),
        cmocka_unit_test(attack_12_many_members),
        cmocka_unit_test(attacks_f_names),
        cmocka_unit_test(fields),
        cmocka_unit_test(limits),
        cmocka_unit_test(counts),
        cmocka_unit_test(new_order_is_read_whole),
        cmocka_unit_test(the_others_are_read_whole),
    };

    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
