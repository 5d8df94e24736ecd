/* The catalogue of attacks at the signer: each is refused by its rule, recorded, and not signed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "signer_world.h"

#define POLICY SIGN_OUTCOME_POLICY_REFUSED
#define LEDGER SIGN_OUTCOME_LEDGER_REFUSED
#define CSR SIGN_OUTCOME_CSR_REFUSED

#define ORDER_OF(type, value) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"" type "\",\"value\":\"" value "\"}]}"
#define ORDER_FOR(value) ORDER_OF("dns", value)
#define ORDER_WITH(more) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]," more "}"
#define POLL(url) "{\"nonce\":\"$N\",\"order\":$A,\"url\":\"" url "\"}"
#define CLAIM(kind, url) "{\"order\":$A,\"urls\":[{\"kind\":\"" kind "\",\"url\":\"" url "\"}]}"
#define FINALIZE(order, url, csr) \
    "{\"nonce\":\"$N\",\"order\":" order ",\"url\":\"" url "\",\"csr\":\"" csr "\"}"
#define RECORD(certificate) "{\"order\":$A,\"certificate\":\"" certificate "\",\"chain\":[]}"

/* Key identifiers of issuers (RFC 9773 4.1) before the serial. */
#define AKI "aYhba4dGQEHhs3uEe6CuLN4ByNQ."

static const struct world_row rows[] = {
    /* B. URLs. */
    {"attack 16: the revoke URL", "daemon", "PostAsGet", POLL(CA "revoke-cert"), LEDGER,
        "url.fixed"},
    {"attack 16: the revoke URL, finalized", "daemon", "Finalize",
        FINALIZE("$A", CA "revoke-cert", "$CSR"), LEDGER, "url.fixed"},
    {"attack 16: the key-change URL as a challenge", "daemon", "AnswerChallenge",
        POLL(CA "key-change"), LEDGER, "url.fixed"},
    {"attack 16: the new-order URL claimed", "daemon", "ClaimUrls",
        CLAIM("certificate", CA "new-order"), LEDGER, "url.fixed"},
    {"attack 16: with a slash behind it", "daemon", "ClaimUrls",
        CLAIM("certificate", CA "new-order/"), LEDGER, "url.fixed"},
    {"attack 16: the directory", "daemon", "ClaimUrls", CLAIM("certificate", CA "directory"),
        LEDGER, "url.fixed"},
    {"attack 16: new-account", "daemon", "ClaimUrls", CLAIM("certificate", CA "new-account"),
        LEDGER, "url.fixed"},
    {"attack 17: the account, to be deactivated", "daemon", "AnswerChallenge", POLL(ACCOUNT_URL),
        LEDGER, "url.fixed"},
    {"attack 17: an authorization, as a challenge", "daemon", "AnswerChallenge", POLL(CA "a/authz"),
        LEDGER, "url.unclaimed"},
    {"attack 18: userinfo", "daemon", "PostAsGet",
        POLL("https://ca.example.net@evil.example.org/x"), WORLD_INVALID, "url"},
    {"attack 21: dots", "daemon", "PostAsGet", POLL("https://ca.example.net/a/../b"), WORLD_INVALID,
        "url"},
    {"attack 22: the default port", "daemon", "PostAsGet",
        POLL("https://ca.example.net:443/acme/a/order"), WORLD_INVALID, "url"},
    {"attack 22: a port with a zero", "daemon", "PostAsGet",
        POLL("https://ca.example.net:0443/acme/a/order"), WORLD_INVALID, "url"},
    {"attack 22: another port", "daemon", "PostAsGet",
        POLL("https://ca.example.net:8443/acme/a/order"), LEDGER, "url.origin"},
    {"attack 22: upper case", "daemon", "PostAsGet", POLL("https://CA.example.net/acme/a/order"),
        WORLD_INVALID, "url"},
    {"attack 22: a trailing dot", "daemon", "PostAsGet",
        POLL("https://ca.example.net./acme/a/order"), WORLD_INVALID, "url"},
    {"attack 22: an address in hex", "daemon", "PostAsGet", POLL("https://0x7f.1/acme/a/order"),
        WORLD_INVALID, "url"},
    {"attack 22: an IPv6 address", "daemon", "PostAsGet", POLL("https://[::1]/acme/a/order"),
        LEDGER, "url.origin"},
    {"attack 23: a query", "daemon", "PostAsGet", POLL(CA "a/order?x=1"), WORLD_INVALID, "url"},
    {"attack 23: a fragment", "daemon", "ClaimUrls", CLAIM("order", CA "a/order#x"), WORLD_INVALID,
        "urls"},
    {"attack 24: the staging CA", "daemon", "PostAsGet",
        POLL("https://staging.ca.example.net/acme/a/order"), LEDGER, "url.origin"},
    {"attack 24: another CA claimed", "daemon", "ClaimUrls",
        CLAIM("certificate", "https://ca.example.org/order/1"), LEDGER, "url.origin"},
    {"attack 24: http", "daemon", "PostAsGet", POLL("http://ca.example.net/acme/a/order"),
        WORLD_INVALID, "url"},
    {"attack 25: the account", "daemon", "PostAsGet", POLL(ACCOUNT_URL), LEDGER, "url.fixed"},
    {"attack 25: the orders list", "daemon", "PostAsGet", POLL(ACCOUNT_URL "/orders"), LEDGER,
        "url.fixed"},
    {"attack 25: below the account", "daemon", "ClaimUrls", CLAIM("order", ACCOUNT_URL "/orders/2"),
        LEDGER, "url.fixed"},
    {"attack 25: a URL that nobody named", "daemon", "PostAsGet", POLL(CA "orders/7"), LEDGER,
        "url.unclaimed"},
    {"attack 120: a percent sign", "daemon", "PostAsGet", POLL(CA "a%2forder"), WORLD_INVALID,
        "url"},

    /* C. JWS. */
    {"attack 27: jwk", "daemon", "NewOrder", ORDER_WITH("\"jwk\":{}"), WORLD_INVALID, NULL},
    {"attack 28: kid", "daemon", "NewOrder", ORDER_WITH("\"kid\":\"" ACCOUNT_URL "\""),
        WORLD_INVALID, NULL},
    {"attack 29: alg", "daemon", "NewOrder", ORDER_WITH("\"alg\":\"none\""), WORLD_INVALID, NULL},
    {"attack 30: a quote in the nonce", "daemon", "PostAsGet",
        "{\"nonce\":\"a\\\",\\\"url\\\":\\\"x\",\"order\":$A,\"url\":\"" CA "a/order\"}",
        WORLD_INVALID, "nonce"},
    {"attack 30: CR LF in the nonce", "daemon", "PostAsGet",
        "{\"nonce\":\"a\\r\\nX: y\",\"order\":$A,\"url\":\"" CA "a/order\"}", WORLD_INVALID,
        "nonce"},
    {"attack 30: 10,000 characters", "daemon", "PostAsGet",
        "{\"nonce\":\"$LONG\",\"order\":$A,\"url\":\"" CA "a/order\"}", WORLD_INVALID, "nonce"},
    {"attack 31: crit", "daemon", "NewOrder", ORDER_WITH("\"crit\":[\"b64\"]"), WORLD_INVALID,
        NULL},
    {"attack 32: b64", "daemon", "NewOrder", ORDER_WITH("\"b64\":false"), WORLD_INVALID, NULL},
    {"attack 33: a payload", "daemon", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":$A,\"url\":\"" CA "a/order\",\"payload\":\"e30\"}",
        WORLD_INVALID, NULL},
    {"attack 34: a protected header", "daemon", "NewOrder", ORDER_WITH("\"protected\":\"e30\""),
        WORLD_INVALID, NULL},

    /* D. One application against another. */
    {"attack 35: another's name on the shared account", "daemon", "NewOrder",
        ORDER_FOR("b.example.edu"), POLICY, "names.held-by-other"},
    {"attack 36: another's order", "daemon", "Finalize", FINALIZE("$B", CA "b/finalize", "$CSR"),
        LEDGER, "order.unknown"},
    {"attack 36: another's finalize URL", "daemon", "Finalize",
        FINALIZE("$A", CA "b/finalize", "$CSR"), LEDGER, "url.unclaimed"},
    {"attack 36: a CSR for another's name", "daemon", "Finalize",
        FINALIZE("$B", CA "b/finalize", "$CSR_B"), POLICY, "names.held-by-other"},
    {"attack 37: another's challenge", "daemon", "AnswerChallenge", POLL(CA "b/chall"), LEDGER,
        "url.unclaimed"},
    {"attack 37: another's challenge and order", "daemon", "AnswerChallenge",
        "{\"nonce\":\"$N\",\"order\":$B,\"url\":\"" CA "b/chall\"}", LEDGER, "order.unknown"},
    {"attack 37: another's certificate", "daemon", "PostAsGet", POLL(CA "b/cert"), LEDGER,
        "url.unclaimed"},
    {"attack 40: another's certificate revoked", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT_B\"}", LEDGER, "revoke.key"},
    {"attack 40: revocation by who may not", "bin", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT_B\"}", POLICY, "operations"},
    {"attack 41: keyCompromise", "daemon", "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT\",\"reason\":1}", LEDGER, "revoke.reason"},
    {"attack 46: another's certificate replaced", "daemon", "NewOrder",
        ORDER_WITH("\"replaces\":\"" AKI "C7s\""), LEDGER, "order.replaces"},
    {"attack 46: one that nobody handed back", "daemon", "NewOrder",
        ORDER_WITH("\"replaces\":\"" AKI "AavN\""), LEDGER, "order.replaces"},
    {"attack 46: a serial with needless zeros", "bin", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.example.edu\"}],"
        "\"replaces\":\"" AKI "AAu7\"}",
        LEDGER, "order.replaces"},
    {"attack 46: a negative serial", "bin", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.example.edu\"}],"
        "\"replaces\":\"" AKI "_w\"}",
        LEDGER, "order.replaces"},
    {"attack 47: a profile", "daemon", "NewOrder", ORDER_WITH("\"profile\":\"shortlived\""), POLICY,
        "profiles"},
    {"attack 47: notAfter", "daemon", "NewOrder",
        ORDER_WITH("\"notAfter\":\"2027-01-01T00:00:00Z\""), POLICY, "validity"},
    {"attack 47: notBefore alone", "daemon", "NewOrder",
        ORDER_WITH("\"notBefore\":\"2027-01-01T00:00:00Z\""), POLICY, "validity"},
    {"attack 48: one order more than its share", "irc", "NewOrder", ORDER_FOR("one.example.edu"),
        LEDGER, "quota.orders_per_day"},
    {"attack 90: what was signed and never used has counted", "irc", "NewOrder",
        ORDER_FOR("one.example.edu"), LEDGER, "quota.orders_per_day"},
    {"attack 50: a name of another application, by its group", "mail", "NewOrder",
        "{\"nonce\":\"$N\",\"application\":\"app-m1\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
        "\"m2.example.edu\"}]}",
        POLICY, "names.held-by-other"},

    /* E. CSR; the whole grammar has tests of its own. */
    {"attack 51: a CN that is no SAN", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_CN"), CSR, "csr.subject.cn-not-in-san"},
    {"attack 61: trailing octets", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_TRAILING"), CSR, "csr.trailing"},
    {"attack 63: an address", "daemon", "Finalize", FINALIZE("$A", CA "a/finalize", "$CSR_IP"),
        POLICY, "names.none"},
    {"attack 67: RSA 1024", "daemon", "Finalize", FINALIZE("$A", CA "a/finalize", "$CSR_1024"), CSR,
        "csr.key.rsa-bits"},
    {"attack 70: another's signature", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_FORGED"), CSR, "csr.signature"},
    {"attack 71a: one name fewer", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_FEWER"), LEDGER, "order.names"},
    {"attack 71a: one name more", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_MORE"), LEDGER, "order.names"},
    {"attack 71a: another name", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_OTHER"), LEDGER, "order.names"},
    {"a key type that the policy has not", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_384"), POLICY, "keys"},
    {"attack 110: an account's key as a certificate's", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_ACCOUNT"), CSR, "csr.key.account"},
    {"attack 111: a key that is in the token as a certificate's", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_TOKEN"), CSR, "csr.key.token"},
    {"a key of another application", "daemon", "Finalize",
        FINALIZE("$A", CA "a/finalize", "$CSR_KEY_B"), LEDGER, "finalize.key"},
    {"a certificate without names", "daemon", "RecordCertificate", RECORD("$CERT_NAMELESS"), CSR,
        "certificate.san.missing"},

    /* F. Names. */
    {"attack 72: a wildcard where subdomains are", "daemon", "NewOrder",
        ORDER_FOR("*.x.sub.a.example.edu"), POLICY, "names.none"},
    {"attack 73: a part of a label", "daemon", "NewOrder", ORDER_FOR("f*.w.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 73: two asterisks", "daemon", "NewOrder", ORDER_FOR("*.*.w.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 73: in the middle", "daemon", "NewOrder", ORDER_FOR("x.*.w.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 74: a trailing dot", "daemon", "NewOrder", ORDER_FOR("a.example.edu."), WORLD_INVALID,
        "identifiers"},
    {"attack 76: a U-label", "daemon", "NewOrder", ORDER_FOR("b\xc3\xbc.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 77: bad punycode", "daemon", "NewOrder", ORDER_FOR("xn--a.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 77: ab--c", "daemon", "NewOrder", ORDER_FOR("ab--c.sub.a.example.edu"), WORLD_INVALID,
        "identifiers"},
    {"attack 78: an underscore", "daemon", "NewOrder", ORDER_FOR("_x.sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 78: an empty label", "daemon", "NewOrder", ORDER_FOR("x..sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 79: a label of 64 octets", "daemon", "NewOrder",
        ORDER_FOR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  ".sub.a.example.edu"),
        WORLD_INVALID, "identifiers"},
    {"attack 80: no dot between", "daemon", "NewOrder", ORDER_FOR("evil-sub.a.example.edu"), POLICY,
        "names.none"},
    {"attack 80: outside the ceiling", "daemon", "NewOrder", ORDER_FOR("evil-example.edu"), POLICY,
        "account.ceiling"},
    {"attack 82: an address as a name", "daemon", "NewOrder", ORDER_FOR("192.0.2.17"),
        WORLD_INVALID, "identifiers"},
    {"attack 82: a numeric last label", "daemon", "NewOrder", ORDER_FOR("a.example.1"),
        WORLD_INVALID, "identifiers"},
    {"an address outside the policy's network", "daemon", "NewOrder", ORDER_OF("ip", "192.0.2.1"),
        POLICY, "names.none"},
    {"an address outside the ceiling", "daemon", "NewOrder", ORDER_OF("ip", "198.51.100.1"), POLICY,
        "account.ceiling"},
    {"attack 83: a space", "daemon", "NewOrder", ORDER_FOR("a b.example.edu"), WORLD_INVALID,
        "identifiers"},
    {"attack 83a: a name twice", "daemon", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"A.example.edu\"}]}",
        WORLD_INVALID, "identifiers"},
    {"attack 83b: denied below what is allowed", "daemon", "NewOrder",
        ORDER_FOR("x.deny.sub.a.example.edu"), POLICY, "names.deny"},
    {"attack 83c: a wildcard over a denied name", "daemon", "NewOrder",
        ORDER_FOR("*.v.a.example.edu"), POLICY, "names.wildcard-covers-denied"},
    {"too many names", "daemon", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"1.sub.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"2.sub.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"3.sub.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"4.sub.a.example.edu\"},"
        "{\"type\":\"dns\",\"value\":\"5.sub.a.example.edu\"}]}",
        POLICY, "limits.names_per_certificate"},

    /* G2. Order memory. */
    {"attack 88c: outside the ceiling under warn_until", "news", "NewOrder",
        ORDER_FOR("x.example.org"), POLICY, "account.ceiling"},
    {"another's name under warn_until", "news", "NewOrder", ORDER_FOR("b.example.edu"), POLICY,
        "names.held-by-other"},
    {"attack 89: an order that was never opened", "daemon", "PostAsGet",
        "{\"nonce\":\"$N\",\"order\":999999,\"url\":\"" CA "a/order\"}", LEDGER, "order.unknown"},
};

static octets
forged_csr(void)
{
    octets other = public_key(KEY_P256_OTHER);

    return csr_of(&(struct csr_parts){.key = KEY_P256,
        .names = JOIN(dns("a.example.edu"), dns("www.a.example.edu")),
        .key_info = other});
}

static void
set_csrs(struct world *w)
{
    octets two = JOIN(dns("a.example.edu"), dns("www.a.example.edu"));
    octets good = world_csr(KEY_P256, "a.example.edu www.a.example.edu");

    world_set_octets(w, "CSR", good);
    world_set_octets(w, "CSR_B", world_csr(KEY_P256, "b.example.edu"));
    world_set_octets(w, "CSR_CN",
        csr_of(
            &(struct csr_parts){.names = two, .subject = subject(0x0c, LITERAL("b.example.edu"))}));
    world_set_octets(w, "CSR_TRAILING", JOIN(good, LITERAL("x")));
    world_set_octets(w, "CSR_IP",
        csr_of(&(struct csr_parts){
            .names = JOIN(dns("a.example.edu"), element(0x87, LITERAL("\xc0\x00\x02\x01")))}));
    world_set_octets(w, "CSR_1024", world_csr(KEY_RSA_1024, "a.example.edu www.a.example.edu"));
    world_set_octets(w, "CSR_FORGED", forged_csr());
    world_set_octets(w, "CSR_FEWER", world_csr(KEY_P256, "a.example.edu"));
    world_set_octets(
        w, "CSR_MORE", world_csr(KEY_P256, "a.example.edu www.a.example.edu x.sub.a.example.edu"));
    world_set_octets(w, "CSR_OTHER", world_csr(KEY_P256, "a.example.edu x.sub.a.example.edu"));
    world_set_octets(w, "CSR_384", world_csr(KEY_P384, "a.example.edu www.a.example.edu"));
    world_set_octets(
        w, "CSR_ACCOUNT", world_csr(KEY_P256_OTHER, "a.example.edu www.a.example.edu"));
    world_set_octets(w, "CSR_TOKEN", world_csr(KEY_P256_TOKEN, "a.example.edu www.a.example.edu"));
    world_set_octets(w, "CSR_KEY_B", world_csr(KEY_RSA_2048, "a.example.edu www.a.example.edu"));
}

static void
must(struct world *w, const char *user, const char *method, const char *parameters)
{
    world_expect(
        w, &(struct world_row){parameters, user, method, parameters, SIGN_OUTCOME_DONE, NULL});
}

/* app-b has issued; app-a has an order of two names. */
static int
setup(void **state)
{
    char longest[10001];

    (void)world_setup(state);
    struct world *w = *state;
    memset(longest, 'n', 10000);
    longest[10000] = '\0';
    world_set(w, "LONG", "%s", longest);
    octets held = public_key(KEY_P256_TOKEN);
    softhsm_put_public_key(softhsm_session(), held.data, held.size, false);
    world_reload(w);
    world_set(w, "B", "%lld", (long long)world_order(w, "bin", "b.example.edu", "b"));
    world_set_octets(w, "CSR", world_csr(KEY_RSA_2048, "b.example.edu"));
    must(w, "bin", "Finalize", FINALIZE("$B", CA "b/finalize", "$CSR"));
    world_set_octets(
        w, "CERT_B", world_certificate(KEY_RSA_2048, "b.example.edu", LITERAL("\x0b\xbb")));
    must(w, "bin", "RecordCertificate", "{\"order\":$B,\"certificate\":\"$CERT_B\",\"chain\":[]}");
    must(w, "irc", "NewOrder", ORDER_FOR("one.example.edu"));
    world_set(w, "A", "%lld",
        (long long)world_order(w, "daemon", "a.example.edu www.a.example.edu", "a"));
    set_csrs(w);
    world_set_octets(w, "CERT",
        world_certificate(KEY_P256, "a.example.edu www.a.example.edu", LITERAL("\x01\x02")));
    world_set_octets(w, "CERT_NAMELESS", world_certificate(KEY_P256, "", LITERAL("\x01\x03")));
    return 0;
}

static void
every_attack_is_refused_and_recorded(void **state)
{
    struct world *w = *state;
    size_t bad = 0;

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        bad += !world_refuses(w, &rows[i]);
    assert_int_equal(bad, 0);
    assert_int_equal(atomic_load(&w->core->failures), 0);
}

/* What is not in the table of operations cannot be said: neither as a method nor as a parameter. */
static void
attacks_38_and_42_to_45_have_no_operation(void **state)
{
    static const char *const methods[] = {"DeactivateAuthorization", "DeactivateAccount",
        "KeyChange", "UpdateAccount", "NewAccount", "Freeze", "Sign", "neworder", "new-order", ""};
    static const char *const members[] = {"\"status\":\"deactivated\"",
        "\"payload\":{\"status\":\"deactivated\"}", "\"contact\":[\"mailto:a@example.edu\"]",
        "\"oldKey\":{}", "\"newKey\":{}", "\"termsOfServiceAgreed\":true",
        "\"externalAccountBinding\":{}", "\"onlyReturnExisting\":true"};
    static const struct {
        const char *method, *parameters; /* that would be signed, but for one more member */
    } calls[] = {{"NewOrder", "\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\","
                              "\"value\":\"a.example.edu\"}]"},
        {"PostAsGet", "\"nonce\":\"$N\",\"order\":$A,\"url\":\"" CA "a/authz\""},
        {"AnswerChallenge", "\"nonce\":\"$N\",\"order\":$A,\"url\":\"" CA "a/chall\""},
        {"Finalize", "\"nonce\":\"$N\",\"order\":$A,\"url\":\"" CA "a/finalize\",\"csr\":\"$CSR\""},
        {"Revoke", "\"nonce\":\"$N\",\"certificate\":\"$CERT\""}};
    enum sign_operation operation;
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(methods); i++)
        if (sign_operation_parse(methods[i], &operation))
            fail_msg("%s is an operation", methods[i]);
    for (size_t i = 0; i < AW_COUNT(calls); i++)
        for (size_t j = 0; j < AW_COUNT(members); j++) {
            AW_CLEANUP(aw_free) char *text = NULL;
            assert_ok(aw_format(&text, "{%s,%s}", calls[i].parameters, members[j]));
            const struct world_row row = {
                members[j], "daemon", calls[i].method, text, WORLD_INVALID, NULL};
            assert_true(world_refuses(w, &row));
        }
}

/* The first to name a URL keeps it, and the second is told on. */
static void
attack_88b_a_url_claimed_by_two(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct peer peer = world_peer("daemon", NULL);

    assert_int_equal(
        world_ask(w, &peer, "ClaimUrls", CLAIM("certificate", CA "b/cert"), &reply), LEDGER);
    assert_string_equal(reply.rule, "url.taken");
    assert_null(strstr(reply.message, "app-b"));
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_ALARM);
    assert_non_null(strstr(last.entry->message, "app-b"));
}

static void
expect(struct world *w, const char *row, const char *method, const char *parameters, int outcome,
    const char *rule)
{
    world_expect(w, &(struct world_row){row, "daemon", method, parameters, outcome, rule});
}

static void
attack_88a_finalize_again(void **state)
{
    struct world *w = *state;
    const char *same = FINALIZE("$ORDER", "$BASE/finalize", "$C1");

    world_order(w, "daemon", "a.example.edu", "again");
    world_set_octets(w, "C1", world_csr(KEY_P256, "a.example.edu"));
    world_set_octets(w, "C2", world_csr(KEY_P256, "a.example.edu"));
    for (int i = 0; i < LEDGER_FINALIZES_MAX; i++) {
        expect(w, "the same", "Finalize", same, SIGN_OUTCOME_DONE, NULL);
        expect(w, "another CSR", "Finalize", FINALIZE("$ORDER", "$BASE/finalize", "$C2"), LEDGER,
            "order.bound");
        expect(w, "another URL", "Finalize", FINALIZE("$ORDER", "$BASE/order", "$C1"), LEDGER,
            "order.bound");
    }
    expect(w, "the ninth time", "Finalize", same, LEDGER, "order.spent");
}

static void
attack_88d_a_forged_certificate(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    const char *record = "{\"order\":$ORDER,\"certificate\":\"$FORGED\",\"chain\":[]}";

    world_order(w, "daemon", "a.example.edu", "forged");
    world_set_octets(w, "C1", world_csr(KEY_P256, "a.example.edu"));
    expect(w, "finalize", "Finalize", FINALIZE("$ORDER", "$BASE/finalize", "$C1"),
        SIGN_OUTCOME_DONE, NULL);
    world_set_octets(
        w, "FORGED", world_certificate(KEY_P384, "a.example.edu", LITERAL("\x0b\xbb")));
    expect(w, "another key", "RecordCertificate", record, LEDGER, "certificate.key");
    world_set_octets(
        w, "FORGED", world_certificate(KEY_P256, "b.example.edu", LITERAL("\x0b\xbb")));
    expect(w, "another's name", "RecordCertificate", record, LEDGER, "certificate.names");
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_ALARM);
}

/* A forged certificate with another's serial number is recorded, but gives no right to it. */
static void
attack_46_a_forged_serial(void **state)
{
    struct world *w = *state;

    world_order(w, "daemon", "a.example.edu", "serial");
    world_set_octets(w, "C1", world_csr(KEY_P256, "a.example.edu"));
    expect(w, "finalize", "Finalize", FINALIZE("$ORDER", "$BASE/finalize", "$C1"),
        SIGN_OUTCOME_DONE, NULL);
    world_set_octets(
        w, "FORGED", world_certificate(KEY_P256, "a.example.edu", LITERAL("\x0b\xbb")));
    expect(w, "record", "RecordCertificate",
        "{\"order\":$ORDER,\"certificate\":\"$FORGED\",\"chain\":[]}", SIGN_OUTCOME_DONE, NULL);
    expect(w, "replaces", "NewOrder", ORDER_WITH("\"replaces\":\"" AKI "C7s\""), LEDGER,
        "order.replaces");
    /* The one whose it is still may. */
    must(w, "bin", "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"b.example.edu\"}],"
        "\"replaces\":\"" AKI "C7s\"}");
}

static void
a_quota_says_when_to_come_back(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("irc", NULL);

    assert_int_equal(world_ask(w, &peer, "NewOrder", ORDER_FOR("one.example.edu"), &reply), LEDGER);
    assert_in_range(reply.retry_after, 1, LEDGER_DAY);
    /* Attack 92: nor does a restart give it back. */
    world_restart(w);
    sign_reply_free(&reply);
    assert_int_equal(world_ask(w, &peer, "NewOrder", ORDER_FOR("one.example.edu"), &reply), LEDGER);
    assert_string_equal(reply.rule, "quota.orders_per_day");
}

/* CAs differ in whether their URLs end in a slash. */
static void
attack_151_below_an_account_with_a_slash(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *before = NULL;
    AW_CLEANUP(aw_free) char *after = NULL;
    char path[256];
    size_t size;

    world_path(w, "state/accounts/main.json", path);
    assert_true(aw_ok(aw_file_read(path, 4096, &before, &size)));
    char *end = strstr(before, ACCOUNT_URL "\"");
    assert_non_null(end);
    end += strlen(ACCOUNT_URL);
    assert_true(aw_ok(aw_format(&after, "%.*s/%s", (int)(end - before), before, end)));
    world_write(w, "state/accounts/main.json", after);
    world_restart(w);
    expect(w, "the account", "PostAsGet", POLL(ACCOUNT_URL "/"), LEDGER, "url.fixed");
    expect(w, "without the slash", "ClaimUrls", CLAIM("order", ACCOUNT_URL), LEDGER, "url.fixed");
    expect(
        w, "below it", "ClaimUrls", CLAIM("order", ACCOUNT_URL "/orders/2"), LEDGER, "url.fixed");
    world_write(w, "state/accounts/main.json", before);
    world_restart(w);
}

static void
no_revocation_where_the_ca_has_none(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *before = NULL;
    AW_CLEANUP(aw_free) char *after = NULL;
    static const char member[] = "\"revokeCert\":\"" CA "revoke-cert\",";
    char path[256];
    size_t size;

    world_path(w, "state/cas/ca1.json", path);
    assert_true(aw_ok(aw_file_read(path, 4096, &before, &size)));
    char *found = strstr(before, member);
    assert_non_null(found);
    assert_true(aw_ok(
        aw_format(&after, "%.*s%s", (int)(found - before), before, found + sizeof(member) - 1)));
    world_write(w, "state/cas/ca1.json", after);
    world_restart(w);
    expect(w, "revoke", "Revoke", "{\"nonce\":\"$N\",\"certificate\":\"$CERT\"}",
        SIGN_OUTCOME_NOT_READY, "ca");
    world_write(w, "state/cas/ca1.json", before);
    world_restart(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attack_is_refused_and_recorded),
        cmocka_unit_test(attacks_38_and_42_to_45_have_no_operation),
        cmocka_unit_test(attack_88b_a_url_claimed_by_two),
        cmocka_unit_test(attack_88a_finalize_again),
        cmocka_unit_test(attack_88d_a_forged_certificate),
        cmocka_unit_test(attack_46_a_forged_serial),
        cmocka_unit_test(a_quota_says_when_to_come_back),
        cmocka_unit_test(attack_151_below_an_account_with_a_slash),
        cmocka_unit_test(no_revocation_where_the_ca_has_none),
    };

    return cmocka_run_group_tests(tests, setup, world_teardown);
}
