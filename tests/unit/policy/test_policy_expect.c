/* Files of expectations: how they come out, and what is no expectation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "policy/expect.h"
#include "policy/system.h"
#include "support.h"

/* 2026-11-24. */
#define NOW 1795478400

static const char policy[] =
    "application: app\nowner: o@example.edu\naccount: main\nprincipals:\n  - user: nobody-here\n"
    "  - group: none-here\nnames:\n  exact: [a.example.edu]\n  subdomains_of: [s.example.edu]\n"
    "  deny: [pay.s.example.edu]\n  addresses: [192.0.2.0/24]\noperations: [order]\n"
    "keys: [ec-p256]\nprofiles: [classic]\nlimits: {names_per_certificate: 2}\n"
    "warn_until: 2026-12-01\nexpires: 2027-01-01\n";

static policy_snapshot *
load_copy(mode_t mode)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    AW_CLEANUP(aw_free) char *path = NULL;
    struct aw_name ceiling = name_of("example.edu");
    struct policy_network network = network_of("192.0.2.0/24");
    struct policy_account account = {.name = "main",
        .ceiling = &ceiling,
        .ceiling_count = 1,
        .networks = &network,
        .network_count = 1};
    policy_snapshot *snapshot = NULL;
    char folder[64];

    folder_make(folder);
    folder_write(folder, "app.yaml", policy, sizeof(policy) - 1);
    assert_true(aw_ok(aw_path_join(folder, "app.yaml", &path)));
    assert_int_equal(chmod(path, mode), 0);
    aw_result r = policy_load_working_copy(
        &(struct policy_source){folder, &account, 1, &policy_anybody_resolver}, &faults, &warnings,
        &snapshot);
    folder_remove(folder);
    aw_faults_print(&faults, stderr);
    assert_true(aw_ok(r));
    assert_int_equal(warnings.total, 0);
    return snapshot;
}

/* Outcomes, one line each. */
struct heard {
    char text[4096];
    size_t used;
};

static void
hear(const struct policy_outcome *o, void *context)
{
    struct heard *heard = context;
    int added = snprintf(heard->text + heard->used, sizeof(heard->text) - heard->used,
        "%u:%u %s %s: %s %s (%s)%s%s\n", o->line, o->column, o->application, o->name,
        o->passed ? "as expected" : o->expected, o->found, o->found_rule,
        o->reason == NULL ? "" : ": ", o->reason == NULL ? "" : "told");

    heard->used += (size_t)added;
    assert_true(heard->used < sizeof(heard->text));
    assert_non_null(strstr(o->file, "rows.yaml"));
}

static aw_result
run_text(const char *text, struct aw_faults *faults, struct heard *heard)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = load_copy(0666);
    AW_CLEANUP(aw_free) char *path = NULL;
    char folder[64];

    folder_make(folder);
    folder_write(folder, "rows.yaml", text, strlen(text));
    assert_true(aw_ok(aw_path_join(folder, "rows.yaml", &path)));
    aw_result r =
        policy_expect(snapshot, path, NOW, faults, &(struct policy_expect_to){hear, heard});
    folder_remove(folder);
    return r;
}

static const struct {
    const char *row; /* without its dash */
    const char *outcome;
} rows[] = {
    {"application: app\n    request: {names: [a.example.edu]}\n    verdict: permit",
        "app order a.example.edu: as expected permit (names.exact)"},
    {"application: app\n    request: {names: [A.S.example.edu]}\n    verdict: permit\n"
     "    rule: names.subdomains_of",
        "app order A.S.example.edu: as expected permit (names.subdomains_of)"},
    {"application: app\n    request: {names: [192.0.2.7]}\n    verdict: permit\n"
     "    rule: names.addresses",
        "app order 192.0.2.7: as expected permit (names.addresses)"},
    {"application: app\n    request: {names: [x.pay.s.example.edu]}\n    verdict: permit",
        "app order x.pay.s.example.edu: permit refuse (names.deny): told"},
    {"application: app\n    request: {names: [a.example.edu]}\n    verdict: permit\n"
     "    rule: names.subdomains_of",
        "app order a.example.edu: permit permit (names.exact)"},
    {"application: app\n    request: {names: [b.example.edu]}\n    verdict: warn\n"
     "    rule: names.none",
        "app order b.example.edu: as expected warn (names.none): told"},
    {"application: app\n    request: {names: [b.example.edu], on: 2026-12-01}\n    verdict: warn",
        "app order b.example.edu, on 2026-12-01: warn refuse (names.none): told"},
    {"application: app\n    request: {names: [a.example.edu], on: 2027-01-01}\n"
     "    verdict: refuse\n    rule: application.expired",
        "app order a.example.edu, on 2027-01-01: as expected refuse (application.expired): told"},
    {"application: app\n    request: {names: [a.example.edu], key: rsa-2048, on: 2026-12-01}\n"
     "    verdict: refuse\n    rule: keys",
        "app order a.example.edu, key rsa-2048, on 2026-12-01: as expected refuse (keys): told"},
    {"application: app\n    request: {names: [a.example.edu], profile: classic, key: ec-p256}\n"
     "    verdict: permit",
        "app order a.example.edu, key ec-p256, profile classic: as expected permit (names.exact)"},
    {"application: app\n    request: {names: [a.example.edu], validity: true}\n"
     "    verdict: refuse\n    rule: validity",
        "app order a.example.edu, validity: as expected refuse (validity): told"},
    {"application: app\n    request: {names: [a.example.edu], revoke: true}\n    verdict: refuse\n"
     "    rule: operations\n    name: nobody may revoke",
        "app nobody may revoke: as expected refuse (operations): told"},
    {"application: app\n    request: {}\n    verdict: permit\n    rule: operation",
        "app order: as expected permit (operation)"},
    {"application: ghost\n    request: {names: [a.example.edu]}\n    verdict: refuse\n"
     "    rule: application.unknown",
        "ghost order a.example.edu: as expected refuse (application.unknown): told"},
    {"application: ghost\n    request: {names: [a.example.edu]}\n    verdict: refuse",
        "ghost order a.example.edu: refuse refuse (application.unknown): told"},
    {"application: app\n    request: {names: [0.s.example.edu, 1.s.example.edu, 2.s.example.edu,\n"
     "      3.s.example.edu, 4.s.example.edu, 5.s.example.edu, 6.s.example.edu, 7.s.example.edu,\n"
     "      8.s.example.edu, 9.s.example.edu]}\n    verdict: permit",
        "app order 0.s.example.edu, 1.s.example.edu, 2.s.example.edu, 3.s.example.edu, "
        "4.s.example.edu, 5.s.example.edu, 6.s.example.edu, 7.s.example.edu and 2 more: permit "
        "warn (limits.names_per_certificate): told"},
};

static void
expectations_come_out(void **state)
{
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        AW_CLEANUP(aw_free) char *text = NULL;
        AW_CLEANUP(aw_free) char *expected = NULL;
        struct heard heard = {0};

        assert_true(aw_ok(aw_format(&text, "expectations:\n  - %s\n", rows[i].row)));
        assert_true(aw_ok(aw_format(&expected, "2:5 %s\n", rows[i].outcome)));
        if (aw_ok(run_text(text, &faults, &heard)) && strcmp(heard.text, expected) == 0)
            continue;
        aw_faults_print(&faults, stderr);
        fprintf(stderr, "FAILED: found %s  expected %s", heard.text, expected);
        failed++;
    }
    assert_int_equal(failed, 0);
}

static const struct {
    const char *name;
    const char *text;
    const char *fault; /* part of the first one */
} no_expectations[] = {
    {"an empty file", "", "found nothing"},
    {"no rows", "expectations: []\n", "expectations"},
    {"an unknown rule",
        "expectations:\n  - {application: a, request: {}, verdict: permit, rule: names.exakt}\n",
        "2:58: expectations[0].rule: found \"names.exakt\", expected a rule"},
    {"an unknown verdict", "expectations:\n  - {application: a, request: {}, verdict: allow}\n",
        "allow"},
    {"no verdict", "expectations:\n  - {application: a, request: {}}\n", "verdict"},
    {"no application", "expectations:\n  - {request: {}, verdict: permit}\n", "application"},
    {"no request", "expectations:\n  - {application: a, verdict: permit}\n", "request"},
    {"an unknown key of a row",
        "expectations:\n  - {application: a, request: {}, verdict: permit, rules: x}\n", "rules"},
    {"an unknown key of a request",
        "expectations:\n  - {application: a, request: {nmaes: [x]}, verdict: permit}\n", "nmaes"},
    {"no name",
        "expectations:\n  - {application: a, request: {names: [a_b.example.edu]}, verdict: "
        "permit}\n",
        "2:40: expectations[0].request.names[0]: "},
    {"an empty list of names",
        "expectations:\n  - {application: a, request: {names: []}, verdict: permit}\n",
        "expectations[0].request.names: found"},
    {"an unknown key type",
        "expectations:\n  - {application: a, request: {key: dsa}, verdict: permit}\n", "dsa"},
    {"no date", "expectations:\n  - {application: a, request: {on: soon}, verdict: permit}\n",
        "soon"},
    {"a fault in the second row, so that the first is not asked either",
        "expectations:\n  - {application: app, request: {}, verdict: permit}\n  - {verdict: "
        "permit}\n",
        "application"},
    {"no YAML", "expectations: [\n", "YAML"},
};

static void
tells_what_is_no_expectation(void **state)
{
    (void)state;
    for (size_t i = 0; i < AW_COUNT(no_expectations); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        AW_CLEANUP(aw_free) char *text = NULL;
        struct heard heard = {0};
        aw_result r = run_text(no_expectations[i].text, &faults, &heard);

        if (r.code != AW_CODE_CONFIG || faults.count == 0 || heard.used != 0)
            fail_msg("%s is taken", no_expectations[i].name);
        assert_true(aw_ok(aw_format(&text, "%u:%u: %s", faults.items[0].line,
            faults.items[0].column, faults.items[0].message)));
        if (strstr(text, no_expectations[i].fault) == NULL)
            fail_msg("%s: found \"%s\", expected \"%s\"", no_expectations[i].name, text,
                no_expectations[i].fault);
    }
}

static void
a_file_that_is_not_there_is_a_fault(void **state)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = load_copy(0600);
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    struct heard heard = {0};
    aw_result r = policy_expect(
        snapshot, "/nonexistent/rows.yaml", NOW, &faults, &(struct policy_expect_to){hear, &heard});

    (void)state;
    assert_int_equal(r.code, AW_CODE_CONFIG);
    assert_int_equal(faults.count, 1);
}

/* Whoever it is that a policy names: but for those that none may name, and nobody can be them. */
static void
anybody_exists_but_nobody(void **state)
{
    const struct policy_resolver *any = &policy_anybody_resolver;
    bool found[2];
    uid_t uid = 0;
    gid_t gid = 0;

    (void)state;
    found[0] = found[1] = false;
    assert_true(aw_ok(any->user("whoever", &found[0], &uid, NULL)) &&
                aw_ok(any->group("whoever", &found[1], &gid, NULL)));
    assert_true(found[0] && found[1]);
    assert_true(uid == UINT32_MAX && gid == UINT32_MAX);
    found[0] = found[1] = false;
    assert_true(aw_ok(any->user("nobody", &found[0], &uid, NULL)) &&
                aw_ok(any->group("nogroup", &found[1], &gid, NULL)));
    assert_true(found[0] && found[1]);
    assert_true(uid == 65534 && gid == 65534);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expectations_come_out),
        cmocka_unit_test(tells_what_is_no_expectation),
        cmocka_unit_test(a_file_that_is_not_there_is_a_fault),
        cmocka_unit_test(anybody_exists_but_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
