/* The section "relay": what counts, on which conditions, and that absent means no. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "policy/words.h"
#include "support.h"

#define HEAD                                                                                 \
    "application: a\nowner: a@example.edu\naccount: main\nnames: {exact: [a.example.edu]}\n" \
    "principals: [{user: alice}]\n"
#define CERT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static policy_snapshot *
load_text(const char *text)
{
    return load_files((const char *const[][2]){{"a.yaml", text}, {NULL, NULL}});
}

/* Decisions. */

static const struct row {
    const char *name, *section;
    struct policy_relayed seen;
    bool counts;
    enum policy_rule rule;
} rows[] = {
    {"no section", "", {0}, false, POLICY_RULE_RELAY},
    {"no section, whatever the relay says", "",
        {.address = "192.0.2.1", .client_certificate = CERT, .validated = "http-01"}, false,
        POLICY_RULE_RELAY},
    {"an empty section allows", "relay: {}\n", {0}, true, POLICY_RULE_RELAY},
    {"in a network", "relay: {networks: [192.0.2.0/25, \"2001:db8::/32\"]}\n",
        {.address = "192.0.2.127"}, true, POLICY_RULE_RELAY},
    {"in the second network", "relay: {networks: [192.0.2.0/25, \"2001:db8::/33\"]}\n",
        {.address = "2001:db8:7fff::1"}, true, POLICY_RULE_RELAY},
    {"the network's one address", "relay: {networks: [192.0.2.7]}\n", {.address = "192.0.2.7"},
        true, POLICY_RULE_RELAY},
    {"outside by one bit", "relay: {networks: [192.0.2.0/25, \"2001:db8::/33\"]}\n",
        {.address = "192.0.2.128"}, false, POLICY_RULE_RELAY_NETWORKS},
    {"outside by one bit, IPv6", "relay: {networks: [\"2001:db8::/33\"]}\n",
        {.address = "2001:db8:8000::1"}, false, POLICY_RULE_RELAY_NETWORKS},
    {"the relay does not say from where", "relay: {networks: [192.0.2.0/25]}\n", {0}, false,
        POLICY_RULE_RELAY_NETWORKS},
    {"an IPv4-mapped address", "relay: {networks: [192.0.2.0/25]}\n",
        {.address = "::ffff:192.0.2.1"}, false, POLICY_RULE_RELAY_NETWORKS},
    {"no address", "relay: {networks: [192.0.2.0/25]}\n", {.address = "myhost"}, false,
        POLICY_RULE_RELAY_NETWORKS},
    {"a network that claims to be an address", "relay: {networks: [192.0.2.0/25]}\n",
        {.address = "192.0.2.0/25"}, false, POLICY_RULE_RELAY_NETWORKS},
    {"an address with a zone", "relay: {networks: [\"fe80::/16\"]}\n", {.address = "fe80::1%eth0"},
        false, POLICY_RULE_RELAY_NETWORKS},
    {"an address in another form", "relay: {networks: [\"2001:db8::/32\"]}\n",
        {.address = "2001:0db8::1"}, false, POLICY_RULE_RELAY_NETWORKS},
    {"a certificate", "relay: {client_certificates: [" OTHER ", " CERT "]}\n",
        {.client_certificate = CERT}, true, POLICY_RULE_RELAY},
    {"another certificate", "relay: {client_certificates: [" CERT "]}\n",
        {.client_certificate = OTHER}, false, POLICY_RULE_RELAY_CERTIFICATES},
    {"the begin of a certificate's digest", "relay: {client_certificates: [" CERT "]}\n",
        {.client_certificate = "00112233"}, false, POLICY_RULE_RELAY_CERTIFICATES},
    {"no certificate", "relay: {client_certificates: [" CERT "]}\n", {.address = "192.0.2.1"},
        false, POLICY_RULE_RELAY_CERTIFICATES},
    {"network and certificate: both count",
        "relay: {networks: [192.0.2.0/25], client_certificates: [" CERT "]}\n",
        {.address = "192.0.2.1", .client_certificate = OTHER}, false,
        POLICY_RULE_RELAY_CERTIFICATES},
    {"network and certificate: the network first",
        "relay: {networks: [192.0.2.0/25], client_certificates: [" CERT "]}\n",
        {.address = "198.51.100.1", .client_certificate = CERT}, false, POLICY_RULE_RELAY_NETWORKS},
    {"validation does not count before finalize", "relay: {validation: http-01}\n", {0}, true,
        POLICY_RULE_RELAY},
    {"validated", "relay: {validation: http-01}\n", {.finalizing = true, .validated = "http-01"},
        true, POLICY_RULE_RELAY},
    {"validated otherwise", "relay: {validation: dns-01}\n",
        {.finalizing = true, .validated = "http-01"}, false, POLICY_RULE_RELAY_VALIDATION},
    {"not validated", "relay: {validation: tls-alpn-01}\n", {.finalizing = true}, false,
        POLICY_RULE_RELAY_VALIDATION},
    {"validated by none", "relay: {validation: dns-01}\n",
        {.finalizing = true, .validated = "none"}, false, POLICY_RULE_RELAY_VALIDATION},
    {"no validation asked for", "relay: {validation: none}\n", {.finalizing = true}, true,
        POLICY_RULE_RELAY},
    {"warn_until lets nothing through",
        "relay: {networks: [192.0.2.0/25]}\nwarn_until: 2099-01-01\n", {.address = "198.51.100.1"},
        false, POLICY_RULE_RELAY_NETWORKS},
};

static void
each_condition_counts(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        enum policy_rule rule = POLICY_RULE_COUNT;

        assert_true(aw_ok(aw_format(&text, HEAD "%s", rows[i].section)));
        AW_CLEANUP(policy_release) policy_snapshot *snapshot = load_text(text);
        bool counts = policy_decide_relay(policy_find(snapshot, "a"), &rows[i].seen, &rule);
        if (counts == rows[i].counts && rule == rows[i].rule)
            continue;
        print_error(
            "%s: %s by %s\n", rows[i].name, counts ? "counts" : "refused", policy_rule_tag(rule));
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* Which of two sections has more. */

static void
a_condition_more_is_a_client_less(void **state)
{
    static const struct {
        const char *name, *wide, *narrow;
        bool covers, covered;
    } pairs[] = {
        {"nothing and nothing", "", "", true, true},
        {"a section and none", "relay: {}\n", "", true, false},
        {"a network", "relay: {}\n", "relay: {networks: [192.0.2.0/24]}\n", true, false},
        {"a network more", "relay: {networks: [192.0.2.0/24, 198.51.100.0/24]}\n",
            "relay: {networks: [198.51.100.0/24]}\n", true, false},
        {"other networks", "relay: {networks: [192.0.2.0/24]}\n",
            "relay: {networks: [198.51.100.0/24]}\n", false, false},
        {"a certificate", "relay: {}\n", "relay: {client_certificates: [" CERT "]}\n", true, false},
        {"a validation", "relay: {}\n", "relay: {validation: dns-01}\n", true, false},
        {"another validation", "relay: {validation: http-01}\n", "relay: {validation: dns-01}\n",
            false, false},
        {"a validation for a network", "relay: {validation: http-01}\n",
            "relay: {networks: [192.0.2.0/24]}\n", false, false},
        {"validation none is no condition", "relay: {}\n", "relay: {validation: none}\n", true,
            true},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(pairs); i++) {
        AW_CLEANUP(aw_free) char *first = NULL;
        AW_CLEANUP(aw_free) char *second = NULL;

        assert_true(aw_ok(aw_format(&first, HEAD "%s", pairs[i].wide)));
        assert_true(aw_ok(aw_format(&second, HEAD "%s", pairs[i].narrow)));
        AW_CLEANUP(policy_release) policy_snapshot *wide = load_text(first);
        AW_CLEANUP(policy_release) policy_snapshot *narrow = load_text(second);
        const struct policy_relay *a = &policy_find(wide, "a")->relay;
        const struct policy_relay *b = &policy_find(narrow, "a")->relay;
        if (policy_relay_covers(a, b) != pairs[i].covers ||
            policy_relay_covers(b, a) != pairs[i].covered)
            fail_msg("%s", pairs[i].name);
        bool same = strcmp(policy_digest(wide), policy_digest(narrow)) == 0;
        if (same != (pairs[i].covers && pairs[i].covered))
            fail_msg("%s: the digest says otherwise", pairs[i].name);
    }
}

/* An application for relays alone. */

static void
nobody_on_the_host_uses_what_is_a_relays(void **state)
{
    static const char text[] =
        "application: a\nowner: a@example.edu\naccount: main\nnames: {exact: [a.example.edu]}\n"
        "relay:\n  networks: [192.0.2.0/24]\n  validation: http-01\n";
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = load_text(text);
    AW_CLEANUP(aw_free) char *shown = NULL;
    AW_CLEANUP(aw_free) char *refusal = NULL;
    AW_CLEANUP(aw_free) char *explained = NULL;
    const struct aw_name name = name_of("a.example.edu");
    const struct policy_request request = {
        .operation = POLICY_ORDER, .names = &name, .name_count = 1};
    const struct policy_application *a = policy_find(snapshot, "a");
    struct policy_verdict verdict;

    (void)state;
    assert_non_null(a);
    assert_string_equal(a->principals, "");
    enum policy_rule rule;
    assert_true(policy_decide_relay(a, NULL, &rule)); /* without conditions asked */
    assert_false(a->inert);
    for (uid_t uid = 0; uid < 3; uid++) {
        const gid_t group = uid;
        const struct policy_subject subject = {.uid = uid, .groups = &group, .group_count = 1};

        policy_decide(snapshot, &subject, &request, 0, &verdict);
        assert_false(verdict.allowed);
        assert_int_equal(verdict.rule, POLICY_RULE_APPLICATION_NONE);
    }
    policy_decide_application(snapshot, a, &request, 0, &verdict);
    assert_true(verdict.allowed);
    assert_true(aw_ok(policy_relay_text(&a->relay, &shown)));
    assert_string_equal(shown, "yes; from 192.0.2.0/24; validated by http-01");
    verdict = (struct policy_verdict){.rule = POLICY_RULE_RELAY_VALIDATION, .application = a};
    assert_true(aw_ok(policy_refusal_text(&verdict, &request, &refusal)));
    assert_string_equal(refusal, "the relay has not validated the names by http-01, as a asks for "
                                 "(rule relay.validation); ask a@example.edu");
    assert_true(aw_ok(policy_explain(snapshot, a, &request, 0, &explained)));
    assert_non_null(strstr(explained, "\n  principals: none\n  relay: yes; from 192.0.2.0/24; "
                                      "validated by http-01\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_counts),
        cmocka_unit_test(a_condition_more_is_a_client_less),
        cmocka_unit_test(nobody_on_the_host_uses_what_is_a_relays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
