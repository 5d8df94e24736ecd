/* Verdicts in words: tags, the line a user reads, the explanation an administrator reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "support.h"

static const char one[] =
    "application: one\nowner: one@example.edu\naccount: main\nprincipals:\n  - user: alice\n"
    "names:\n  exact: [a.example.edu, 'bücher.example.edu']\n  subdomains_of: [s.example.edu]\n"
    "  wildcards_of: [w.example.edu]\n  deny: [d.s.example.edu]\n  addresses: [192.0.2.1]\n"
    "profiles: [classic]\nkeys: [ec-p256, rsa-4096]\noperations: [order, revoke]\n"
    "limits:\n  names_per_certificate: 3\n  orders_per_day: 7\nexpires: 2030-01-02\n"
    "warn_until: 2026-01-01\n";
static const char two[] =
    "application: two\nowner: two@example.edu\naccount: main\nprincipals:\n  - user: bob\n"
    "  - user: ghost\nnames:\n  exact: [b.example.edu]\n";

static void
words_are_stable(void **state)
{
    (void)state;
    assert_string_equal(policy_rule_tag(POLICY_RULE_NAMES_EXACT), "names.exact");
    assert_string_equal(policy_rule_tag(POLICY_RULE_WARN_UNTIL), "warn_until");
    assert_string_equal(policy_key_name(POLICY_KEY_RSA_4096), "rsa-4096");
    assert_string_equal(policy_operation_name(POLICY_REVOKE), "revoke");
    for (int i = 0; i < POLICY_RULE_COUNT; i++) {
        assert_true(strlen(policy_rule_meaning((enum policy_rule)i)) > 10);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(
                policy_rule_tag((enum policy_rule)i), policy_rule_tag((enum policy_rule)j));
    }
}

/* A request and the line that its refusal is told in. */
struct line {
    const char *name;
    struct policy_request request;
    int64_t now;
    const char *text;
};

#define ALLOWED                                                                  \
    "; allowed: a.example.edu, xn--bcher-kva.example.edu, below s.example.edu, " \
    "*.w.example.edu, 192.0.2.1; ask one@example.edu"

static void
tells_a_refusal_in_a_line(void **state)
{
    static const struct line lines[] = {
        {"x.example.edu", {0}, 0,
            "x.example.edu is not among the names of one (rule names.none)" ALLOWED},
        {"d.s.example.edu", {0}, 0,
            "d.s.example.edu is denied to one by \"d.s.example.edu\" (rule names.deny)" ALLOWED},
        {"b.example.edu", {0}, 0,
            "b.example.edu belongs to two, which one does not share (rule "
            "names.held-by-other)" ALLOWED},
        {"*.example.edu", {0}, 0,
            "*.example.edu would stand for names of two, which one does not share (rule "
            "names.wildcard-covers-other)" ALLOWED},
        {"*.s.example.edu", {0}, 0,
            "*.s.example.edu would stand for d.s.example.edu, which is denied to one (rule "
            "names.wildcard-covers-denied)" ALLOWED},
        {"www.example.net", {0}, 0,
            "www.example.net is outside of what the account main may ever order (rule "
            "account.ceiling)" ALLOWED},
        {NULL, {.profile = "tls"}, 0,
            "the profile tls is not among those of one (rule profiles); allowed: classic; ask "
            "one@example.edu"},
        {NULL, {.has_key = true, .key = POLICY_KEY_RSA_2048}, 0,
            "the key type is not among those of one (rule keys); allowed: ec-p256, rsa-4096; ask "
            "one@example.edu"},
        {NULL, {.has_validity = true}, 0,
            "notBefore and notAfter may not be asked for (rule validity); ask one@example.edu"},
        {NULL, {0}, 1893542400,
            "the policy of one ended on 2030-01-02 (rule application.expired); ask "
            "one@example.edu"},
    };
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    const struct policy_application *a = policy_find(snapshot, "one");

    (void)state;
    for (size_t i = 0; i < AW_COUNT(lines); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        struct policy_request request = lines[i].request;
        struct policy_verdict v;
        struct aw_name name;

        if (lines[i].name != NULL) {
            name = name_of(lines[i].name);
            request.names = &name;
            request.name_count = 1;
        }
        policy_decide_application(
            snapshot, a, &request, lines[i].now == 0 ? 1767225600 : lines[i].now, &v);
        assert_true(aw_ok(policy_refusal_text(&v, &request, &text)));
        assert_string_equal(text, lines[i].text);
    }
    policy_release(&snapshot);
}

static void
shortens_what_is_allowed(void **state)
{
    const char *const files[][2] = {
        {"a.yaml", "application: a\nowner: o@example.edu\naccount: main\nprincipals:\n  - uid: 1\n"
                   "names:\n  exact: [h1.example.edu, h2.example.edu, h3.example.edu,\n"
                   "    h4.example.edu, h5.example.edu, h6.example.edu, h7.example.edu]\n"
                   "  subdomains_of: [s1.example.edu, s2.example.edu, s3.example.edu]\n"},
        {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    AW_CLEANUP(aw_free) char *text = NULL;

    (void)state;
    assert_true(aw_ok(policy_allowed_text(policy_find(snapshot, "a"), &text)));
    assert_string_equal(text,
        "h1.example.edu, h2.example.edu, h3.example.edu, h4.example.edu, h5.example.edu, "
        "h6.example.edu, h7.example.edu, below s1.example.edu and 2 more");
    policy_release(&snapshot);
}

static void
explains_every_name_and_the_nearest_rule(void **state)
{
    static const char *const expected[] = {"application one: owner one@example.edu, account main",
        "expires on 2030-01-02", "operation order, 5 names",
        "  a.example.edu: allowed by names.exact \"a.example.edu\"",
        "  s.example.edu: refused by names.none",
        "    nearest: subdomains_of \"s.example.edu\", which covers host names below it only: "
        "s.example.edu would have to be in exact",
        "  *.a.w.example.edu: refused by names.none",
        "    nearest: wildcards_of \"w.example.edu\"; a wildcard is allowed by wildcards_of "
        "\"a.w.example.edu\" only",
        "  b.example.edu: refused by names.held-by-other \"b.example.edu\" of two",
        "verdict: refused by names.none", "ask: one@example.edu"};
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    struct aw_name names[] = {name_of("a.example.edu"), name_of("s.example.edu"),
        name_of("*.a.w.example.edu"), name_of("b.example.edu"), name_of("192.0.2.1")};
    struct policy_request request = {.names = names, .name_count = AW_COUNT(names)};
    policy_snapshot *snapshot = load_files(files);
    AW_CLEANUP(aw_free) char *text = NULL;

    (void)state;
    /* Three are the most of a certificate: warn_until lets that through, and the name as well. */
    assert_true(
        aw_ok(policy_explain(snapshot, policy_find(snapshot, "one"), &request, 1767225600, &text)));
    assert_non_null(strstr(text, "verdict: refused by limits.names_per_certificate"));
    request.name_count = 3;
    free(AW_MOVE(text));
    assert_true(
        aw_ok(policy_explain(snapshot, policy_find(snapshot, "one"), &request, 1000, &text)));
    assert_non_null(strstr(text, "verdict: let through with a warning by names.none"));
    request.name_count = 5;
    for (size_t i = 0; i < AW_COUNT(expected); i++) {
        free(AW_MOVE(text));
        request.name_count = i < 9 ? 5 : 3;
        assert_true(aw_ok(
            policy_explain(snapshot, policy_find(snapshot, "one"), &request, 1767225600, &text)));
        if (strstr(text, expected[i]) == NULL)
            fail_msg("found \"%s\", expected \"%s\"", text, expected[i]);
    }
    policy_release(&snapshot);
}

/* One request, and every line of its path. */
struct path {
    const char *name;
    struct policy_request request;
    int64_t now;
    const char *text; /* behind the lines about the application */
};

#define PASSED                                                       \
    "  passed: application.inert, application.expired, operations, " \
    "limits.names_per_certificate, profiles, validity, keys\n"
#define INSIDE "    passed: account.ceiling (inside of \"example.edu\")"
#define WILDCARD ", names.deny, names.wildcard-covers-denied, names.wildcard-covers-other"

static const struct path paths[] = {
    {"a.example.edu", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  a.example.edu: allowed by names.exact \"a.example.edu\": the name itself is "
        "listed\n" INSIDE ", names.deny, names.held-by-other\n"
        "verdict: allowed by names.exact: the name itself is listed\n"},
    {"*.w.example.edu", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  *.w.example.edu: allowed by names.wildcards_of \"w.example.edu\": the wildcard "
        "directly below a listed name\n" INSIDE WILDCARD "\n"
        "verdict: allowed by names.wildcards_of: the wildcard directly below a listed name\n"},
    {"192.0.2.1", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  192.0.2.1: allowed by names.addresses \"192.0.2.1\": the address is in a listed "
        "network\n"
        "    passed: account.ceiling (inside of \"192.0.2.1\"), names.held-by-other\n"
        "verdict: allowed by names.addresses: the address is in a listed network\n"},
    {"x.d.s.example.edu", {0}, 0,
        "operation order, 1 name\n" PASSED "  x.d.s.example.edu: refused by names.deny "
        "\"d.s.example.edu\": the name is denied, or "
        "below a denied one\n" INSIDE "\n"
        "    nearest: subdomains_of \"s.example.edu\", which covers it; names.deny goes before "
        "it\n"
        "verdict: refused by names.deny: the name is denied, or below a denied one\n"
        "ask: one@example.edu\n"},
    {"*.x.example.edu", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  *.x.example.edu: refused by names.none: no rule of the application covers the "
        "name\n" INSIDE WILDCARD ", names.held-by-other\n"
        "    nearest: subdomains_of \"s.example.edu\"; a wildcard is allowed by wildcards_of "
        "\"x.example.edu\" only\n"
        "verdict: refused by names.none: no rule of the application covers the name\n"
        "ask: one@example.edu\n"},
    {"*.example.edu", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  *.example.edu: refused by names.wildcard-covers-other \"b.example.edu\" of two: the "
        "wildcard would stand for a name of an application that is not in shares_with\n" INSIDE
        ", names.deny, names.wildcard-covers-denied\n"
        "    nearest: subdomains_of \"s.example.edu\"; a wildcard is allowed by wildcards_of "
        "\"example.edu\" only\n"
        "verdict: refused by names.wildcard-covers-other: the wildcard would stand for a name "
        "of "
        "an application that is not in shares_with\n"
        "ask: one@example.edu\n"},
    {"www.test.edu", {0}, 0,
        "operation order, 1 name\n" PASSED
        "  www.test.edu: refused by account.ceiling: the name is outside what the account may "
        "ever order\n"
        "verdict: refused by account.ceiling: the name is outside what the account may ever "
        "order\n"
        "ask: one@example.edu\n"},
    {"a.example.edu", {.has_key = true, .key = POLICY_KEY_EC_P384}, 1000,
        "operation order, 1 name\n"
        "  passed: application.inert, application.expired, operations, "
        "limits.names_per_certificate, profiles, validity\n"
        "  keys: would be refused, let through by warn_until: the key type is not among the "
        "application's; allowed: ec-p256, rsa-4096\n"
        "  a.example.edu: allowed by names.exact \"a.example.edu\": the name itself is "
        "listed\n" INSIDE ", names.deny, names.held-by-other\n"
        "verdict: let through with a warning by keys: the key type is not among the "
        "application's\n"
        "refused from 2026-01-01 on\n"},
    {"new.example.edu", {0}, 1000,
        "operation order, 1 name\n" PASSED
        "  new.example.edu: let through by warn_until, would be refused by names.none: no "
        "rule of the application covers the name\n" INSIDE ", names.deny, "
        "names.held-by-other\n"
        "    nearest: subdomains_of \"s.example.edu\"\n"
        "verdict: let through with a warning by names.none: no rule of the application covers "
        "the name\n"
        "refused from 2026-01-01 on\n"},
    {NULL, {.operation = POLICY_REVOKE, .profile = "tls"}, 0,
        "operation revoke, 0 names\n"
        "  passed: application.inert, application.expired, operations, "
        "limits.names_per_certificate, validity, keys\n"
        "  profiles: refused: the ACME profile is not among the application's; allowed: "
        "classic\n"
        "verdict: refused by profiles: the ACME profile is not among the application's\n"
        "ask: one@example.edu\n"},
};

static void
explains_the_path_of_allow_and_deny(void **state)
{
    const char *const files[][2] = {{"x.yaml", one}, {"y.yaml", two}, {NULL, NULL}};
    policy_snapshot *snapshot = load_files(files);
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(paths); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        struct policy_request request = paths[i].request;
        struct aw_name name;

        if (paths[i].name != NULL) {
            name = name_of(paths[i].name);
            request.names = &name;
            request.name_count = 1;
        }
        assert_true(aw_ok(policy_explain(snapshot, policy_find(snapshot, "one"), &request,
            paths[i].now == 0 ? 1767225600 : paths[i].now, &text)));
        const char *found = strstr(text, "operation ");
        if (found != NULL && strcmp(found, paths[i].text) == 0)
            continue;
        fprintf(stderr, "FAILED: found\n%sexpected\n%s", text, paths[i].text);
        failed++;
    }
    policy_release(&snapshot);
    assert_int_equal(failed, 0);
}

/* The nearest entry of a ceiling and of addresses, and the roll-out as it stands. */
static void
explains_what_is_near(void **state)
{
    static const struct {
        const char *name;
        const char *text;
    } rows[] = {
        {"www.lab.example.org", "    nearest: ceiling \"sub.example.org\" of account main\n"},
        {"192.0.2.20", "    nearest: addresses \"192.0.2.16/30\"\n"},
        {"192.0.2.77", "    nearest: addresses \"192.0.2.72/30\"\n"},
        {"198.51.100.1", NULL},
        {"2001:db8::1", NULL},
        {"www.x.lab.example.edu",
            "    nearest: subdomains_of \"x.lab.example.edu\", which covers it; names.deny goes"},
        {"b.example.edu", "    nearest: exact \"b.example.edu\", which covers it; names.deny goes"},
        {"*.x.lab.example.edu", "    nearest: wildcards_of \"x.lab.example.edu\", which covers it"},
    };
    static const char file[] =
        "application: a\nowner: o@example.edu\naccount: main\nprincipals: [{user: alice}, "
        "{group: web}]\nnames:\n  exact: [b.example.edu]\n  subdomains_of: [lab.example.edu, "
        "x.lab.example.edu]\n  wildcards_of: [x.lab.example.edu]\n  deny: [edu]\n"
        "  addresses: [192.0.2.16/30, 192.0.2.64/29, 192.0.2.72/30]\nwarn_until: 2026-01-01\n";
    struct aw_name ceiling[] = {name_of("example.edu"), name_of("sub.example.org")};
    struct policy_network network = network_of("192.0.2.0/24");
    struct policy_account account = {.name = "main",
        .ceiling = ceiling,
        .ceiling_count = 2,
        .networks = &network,
        .network_count = 1};
    char folder[64];

    (void)state;
    folder_make(folder);
    folder_write(folder, "a.yaml", file, sizeof(file) - 1);
    policy_snapshot *snapshot = load_folder(folder, &account, 1);
    folder_remove(folder);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_free) char *text = NULL;
        struct aw_name name = name_of(rows[i].name);
        struct policy_request request = {.names = &name, .name_count = 1};

        assert_true(aw_ok(
            policy_explain(snapshot, policy_find(snapshot, "a"), &request, 1767225600, &text)));
        assert_non_null(strstr(text, "  principals: user alice, group web\n"));
        assert_non_null(strstr(text, "  roll-out over: refusals count since 2026-01-01\n"));
        const char *found = strstr(text, "    nearest: ");
        if (rows[i].text == NULL ? found != NULL
                                 : found == NULL || strstr(found, rows[i].text) == NULL)
            fail_msg("%s: found \"%s\", expected \"%s\"", rows[i].name, text,
                rows[i].text == NULL ? "nothing near" : rows[i].text);
    }
    policy_release(&snapshot);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_stable),
        cmocka_unit_test(tells_a_refusal_in_a_line),
        cmocka_unit_test(shortens_what_is_allowed),
        cmocka_unit_test(explains_every_name_and_the_nearest_rule),
        cmocka_unit_test(explains_the_path_of_allow_and_deny),
        cmocka_unit_test(explains_what_is_near),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
