/* WhoAmI, Check, and how what became of a request is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/application.h"
#include "signer/budget.h"
#include "signer/service.h"
#include "signer_world.h"

/* WhoAmI. */

static void
everybody_sees_own_applications_alone(void **state)
{
    static const struct {
        const char *user, *application, *state;
    } rows[] = {
        {"daemon", "app-a", "ready"},
        {"uucp", "app-expired", "expired"},
        {"proxy", "app-inert", "inert"},
        {"man", "app-raw", "account-unregistered"},
        {"backup", "app-unpinned", "ca-unpinned"},
        {"list", "app-keyless", "ready"}, /* the token is not asked */
        {"root", NULL, NULL},
    };

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        const cJSON *list = NULL;

        world_call_signer(*state, rows[i].user, "WhoAmI", "{}", &answer);
        assert_string_equal(answer.error, "");
        assert_string_equal(world_text(&answer, "user"), rows[i].user);
        assert_ok(aw_json_array(answer.parameters, "applications", 0, 100, &list));
        assert_int_equal(cJSON_GetArraySize(list), rows[i].application == NULL ? 0 : 1);
        if (rows[i].application == NULL)
            continue;
        const struct world_answer item = {.parameters = list->child};
        assert_string_equal(world_text(&item, "name"), rows[i].application);
        if (strcmp(world_text(&item, "state"), rows[i].state) != 0)
            fail_msg("%s is %s", rows[i].application, world_text(&item, "state"));
    }
}

static void
whoami_says_what_may_be_asked_for(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    const cJSON *list = NULL, *part = NULL;
    int64_t today = -1;

    world_order(w, "daemon", "a.example.edu", "whoami");
    world_call_signer(w, "daemon", "WhoAmI", "{}", &answer);
    assert_ok(aw_json_array(answer.parameters, "applications", 1, 1, &list));
    const struct world_answer item = {.parameters = list->child};
    assert_string_equal(world_text(&item, "account_url"), ACCOUNT_URL);
    assert_int_equal(strlen(world_text(&item, "thumbprint")), 43);
    assert_ok(aw_json_object(item.parameters, "directory", &part));
    const struct world_answer directory = {.parameters = part};
    assert_string_equal(world_text(&directory, "newOrder"), CA "new-order");
    assert_ok(aw_json_object(item.parameters, "limits", &part));
    assert_ok(aw_json_integer(part, "orders_today", 0, 1000, &today));
    assert_int_equal(today, 1);
    assert_ok(aw_json_object(item.parameters, "names", &part));
    assert_ok(aw_json_array(part, "exact", 2, 2, &list));
    assert_string_equal(list->child->valuestring, "a.example.edu");
}

/* Check. */

#define NAMES(values) "\"identifiers\":[" values "]"
#define DNS(value) "{\"type\":\"dns\",\"value\":\"" value "\"}"

static const struct {
    const char *name, *user, *parameters;
    const char *error; /* or the rules found, separated by spaces */
    const char *rules;
} checks[] = {
    {"allowed", "daemon", "{" NAMES(DNS("a.example.edu") "," DNS("x.sub.a.example.edu")) "}", "",
        ""},
    {"allowed with a key and a profile", "daemon",
        "{" NAMES(DNS("a.example.edu")) ",\"key\":\"rsa-2048\",\"profile\":\"classic\"}", "", ""},
    {"each name by itself", "daemon",
        "{" NAMES(DNS("a.example.edu") "," DNS("b.example.edu") "," DNS("c.example.org") "," DNS(
            "deny.sub.a.example.edu")) "}",
        "", "names.held-by-other account.ceiling names.deny"},
    {"key, profile and name at once", "daemon",
        "{" NAMES(DNS("z.example.edu")) ",\"key\":\"ec-p384\",\"profile\":\"x\"}", "",
        "keys profiles names.none"},
    {"one fault is told once", "daemon", "{" NAMES(DNS("a.example.edu")) ",\"key\":\"ec-p384\"}",
        "", "keys"},
    {"too many names", "daemon",
        "{" NAMES(DNS("1.sub.a.example.edu") "," DNS("2.sub.a.example.edu") "," DNS(
            "3.sub.a.example.edu") "," DNS("4.sub.a.example.edu") "," DNS("5.sub.a.example."
                                                                          "edu")) "}",
        "", "limits.names_per_certificate"},
    {"expired: once, whatever the names are", "uucp",
        "{" NAMES(DNS("e.example.edu") "," DNS("b.example.edu")) "}", "", "application.expired"},
    {"in roll-out: let through, and told", "news", "{" NAMES(DNS("other.example.edu")) "}", "",
        "warn:names.none"},
    {"in roll-out: each name once", "news",
        "{" NAMES(DNS("warn.example.edu") "," DNS("x.example.edu") "," DNS("y.example.edu")) "}",
        "", "warn:names.none warn:names.none"},
    {"none of the subject's", "root", "{" NAMES(DNS("a.example.edu")) "}", "", "application.none"},
    {"two, and none named", "mail", "{" NAMES(DNS("m1.example.edu")) "}", "",
        "application.ambiguous"},
    {"an unknown key type", "daemon", "{" NAMES(DNS("a.example.edu")) ",\"key\":\"ec-p521\"}",
        "InvalidRequest", "key"},
    {"a name that is none", "daemon", "{" NAMES(DNS("a")) "}", "InvalidRequest", "identifiers"},
    {"an unknown member", "daemon", "{" NAMES(DNS("a.example.edu")) ",\"sign\":true}",
        "InvalidRequest", ""},
};

static void
collect_rules(const cJSON *findings, char *out, size_t size)
{
    const cJSON *item = NULL;

    out[0] = '\0';
    cJSON_ArrayForEach(item, findings)
    {
        const struct world_answer finding = {.parameters = item};

        assert_true(world_text(&finding, "message")[0] != '\0');
        snprintf(out + strlen(out), size - strlen(out), "%s%s%s", out[0] == '\0' ? "" : " ",
            cJSON_IsTrue(aw_json_member(item, "warning")) ? "warn:" : "",
            world_text(&finding, "rule"));
    }
}

static void
check_tells_every_fault_and_changes_nothing(void **state)
{
    struct world *w = *state;
    int64_t before = world_position(w);

    for (size_t i = 0; i < AW_COUNT(checks); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        const cJSON *findings = NULL;
        char rules[512];

        world_call_signer(w, checks[i].user, "Check", checks[i].parameters, &answer);
        if (strcmp(answer.error, checks[i].error) != 0)
            fail_msg("%s: error %s", checks[i].name, answer.error);
        if (checks[i].error[0] != '\0') {
            assert_string_equal(world_text(&answer, "field"), checks[i].rules);
            continue;
        }
        assert_ok(aw_json_array(answer.parameters, "findings", 0, 100, &findings));
        collect_rules(findings, rules, sizeof(rules));
        if (strcmp(rules, checks[i].rules) != 0)
            fail_msg("%s: %s", checks[i].name, rules);
        assert_int_equal(cJSON_IsTrue(aw_json_member(answer.parameters, "allowed")),
            rules[0] == '\0' || strncmp(rules, "warn:", 5) == 0);
    }
    assert_int_equal(world_position(w), before);
    assert_int_equal(atomic_load(&w->core->permits), 0);
    assert_int_equal(atomic_load(&w->core->refusals), 0);
}

/* How outcomes are told. */

static void
each_outcome_has_its_error(void **state)
{
    static const struct {
        const char *name, *user, *method, *parameters, *error, *member, *value;
    } rows[] = {
        {"done", "daemon", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("a.example.edu")) "}", "",
            "url", CA "new-order"},
        {"policy", "daemon", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("z.example.edu")) "}",
            "PolicyRefused", "owner", "team@example.edu"},
        {"policy: the name", "daemon", "NewOrder",
            "{\"nonce\":\"$N\"," NAMES(DNS("a.example.edu") "," DNS("z.example.edu")) "}",
            "PolicyRefused", "name", "z.example.edu"},
        {"ledger", "daemon", "PostAsGet", "{\"nonce\":\"$N\",\"order\":900000,\"url\":\"" CA "x\"}",
            "LedgerRefused", "rule", "order.unknown"},
        {"CSR", "daemon", "Finalize",
            "{\"nonce\":\"$N\",\"order\":900000,\"url\":\"" CA "x\",\"csr\":\"AAAA\"}",
            "CsrRefused", "rule", "csr.structure"},
        {"not ready", "backup", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("u.example.edu")) "}",
            "NotReady", "what", "ca"},
        {"unavailable", "list", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("k.example.edu")) "}",
            "Unavailable", "tag", "token-key-missing"},
        {"invalid", "daemon", "NewOrder", "{\"nonce\":\"=\"," NAMES(DNS("a.example.edu")) "}",
            "InvalidRequest", "field", "nonce"},
        {"no such method", "daemon", "Sign", "{}", "MethodNotFound", "method", "Sign"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_signer(w, rows[i].user, rows[i].method, rows[i].parameters, &answer);
        if (strcmp(answer.error, rows[i].error) != 0 ||
            strcmp(world_text(&answer, rows[i].member), rows[i].value) != 0)
            fail_msg("%s: %s, %s %s", rows[i].name, answer.error, rows[i].member,
                world_text(&answer, rows[i].member));
    }
}

/* Administrators' methods do not exist on this socket, even for an officer. */
static void
no_administrators_method_on_this_socket(void **state)
{
    static const char *const methods[] = {"GetStatus", "Freeze", "NewAccount", "ImportEab"};
    AW_CLEANUP(world_answer_free) struct world_answer foreign = {0};

    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call_signer(*state, "sys", methods[i], "{}", &answer);
        assert_string_equal(answer.error, "MethodNotFound");
    }
    world_call(*state, &application_service, "sys", "org.acmeward.Admin.GetStatus", "{}", &foreign);
    assert_string_equal(foreign.error, "InterfaceNotFound");
}

static void
a_freeze_says_since_when(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0}, who = {0};
    int64_t since = 0;

    assert_ok(core_freeze(w->core, "drill"));
    world_call_signer(
        w, "daemon", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("a.example.edu")) "}", &answer);
    assert_string_equal(answer.error, "Frozen");
    assert_ok(aw_json_integer(answer.parameters, "since", 1, INT64_MAX >> 11, &since));
    world_call_signer(w, "daemon", "WhoAmI", "{}", &who);
    assert_true(cJSON_IsTrue(aw_json_member(who.parameters, "frozen")));
    assert_ok(core_unfreeze(w->core));
}

static void
the_gate_admits_whom_a_policy_names(void **state)
{
    static const struct {
        const char *user, *group;
        bool admitted, by_group, no_application;
    } rows[] = {{"daemon", NULL, true, false, false}, {"lp", "www-data", true, true, false},
        {"lp", NULL, false, false, false}, {"root", NULL, false, false, false},
        {"sys", NULL, false, false, false}, {"uucp", NULL, true, false, false},
        {RELAY, NULL, true, false, true}};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct peer peer = world_peer(rows[i].user, rows[i].group);

        struct grounds grounds = {.count = 0};

        application_service.grounds(w->core, &peer, &grounds);
        if ((grounds.count > 0) != rows[i].admitted ||
            (rows[i].admitted &&
                (grounds.items[0].by_group != rows[i].by_group ||
                    grounds_have_group(&grounds, peer.groups[1]) != rows[i].by_group ||
                    (grounds.items[0].application == 0) != rows[i].no_application)))
            fail_msg("%s", rows[i].user);
    }
}

/* What goes on no record has no other price: its answer is held back for who crowds. */
static void
attack_106_what_is_not_recorded_is_light(void **state)
{
    static const struct {
        const char *user, *method, *parameters;
        bool light;
    } rows[] = {
        {"daemon", "org.varlink.service.GetInfo", "{}", true},
        {"daemon", SERVICE_SIGNER ".Whoami", "{}", true},
        {"daemon", SERVICE_SIGNER ".Check", "{" NAMES(DNS("a.example.edu")) "}", true},
        {"daemon", SERVICE_SIGNER ".Unknown", "{}", true},
        {"daemon", SERVICE_ADMIN ".Freeze", "{\"reason\":\"r\"}", true},
        {"daemon", SERVICE_SIGNER ".NewOrder", "{}", true},
        {"daemon", SERVICE_RELAY ".GetNonces", "{\"count\":1}", true},
        {"backup", SERVICE_SIGNER ".NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("u.example.edu")) "}",
            true},
        {"list", SERVICE_SIGNER ".NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("k.example.edu")) "}",
            true},
        {"daemon", SERVICE_SIGNER ".NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("a.example.edu")) "}",
            false},
        {"daemon", SERVICE_SIGNER ".NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("z.example.edu")) "}",
            false},
        {"daemon", SERVICE_SIGNER ".ClaimUrls",
            "{\"order\":$ORDER,\"urls\":[{\"kind\":\"certificate\",\"url\":\"$BASE/c\"}]}", false},
        {"daemon", SERVICE_SIGNER ".ClaimUrls",
            "{\"order\":$ORDER,\"urls\":[{\"kind\":\"certificate\",\"url\":\"$BASE/c\"}]}", true},
        {RELAY, SERVICE_RELAY ".GetNonces", "{\"count\":1}", false},
        {RELAY, SERVICE_RELAY ".GetNonces", "{}", true},
    };
    struct world *w = *state;

    world_order(w, "daemon", "a.example.edu", "light");
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        world_call(
            w, &application_service, rows[i].user, rows[i].method, rows[i].parameters, &answer);
        if (answer.light != rows[i].light)
            fail_msg("row %zu: %s by %s: %s", i, rows[i].method, rows[i].user, answer.error);
    }
}

/* Whoever stops signing must not stand in a line behind calls that wait for the token. */
static void
administrators_wait_for_no_turn(void **state)
{
    const struct gate_limits *limits = &admin_service.limits;

    (void)state;
    assert_true(limits->calls_per_uid >= limits->connections_per_uid);
}

/* Refusals beyond the budget are only counted, so whatever such a uid asks for is answered late. */
static void
attack_106_who_is_refused_beyond_the_budget_is_paced(void **state)
{
    struct world *w = *state;
    struct peer peer = world_peer("uucp", NULL), other = world_peer("lp", "www-data");
    struct audit_entry entry = {.kind = AUDIT_DECISION,
        .has_uid = true,
        .uid = peer.uid,
        .verdict = "refuse",
        .rule = "test",
        .message = "refused"};
    struct ledger_verdict said = {.rule = LEDGER_NONE};
    int64_t seq = 0;

    assert_false(application_service.is_paced(w->core, &peer));
    for (int i = 0; i < BUDGET_REFUSALS_BURST / 100; i++)
        assert_ok(ledger_submit(w->core->ledger, NULL, &entry, 0, &said, &seq));
    assert_true(application_service.is_paced(w->core, &peer));
    assert_false(application_service.is_paced(w->core, &other));
}

/* A broken log or ledger is no refusal; last, for it stays broken. */
static void
a_broken_log_is_unavailable(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    char path[256];

    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(unlink(path), 0);
    world_call_signer(
        w, "daemon", "NewOrder", "{\"nonce\":\"$N\"," NAMES(DNS("a.example.edu")) "}", &answer);
    assert_string_equal(answer.error, "Unavailable");
    assert_null(aw_json_member(answer.parameters, "jws"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_every_fault_and_changes_nothing),
        cmocka_unit_test(everybody_sees_own_applications_alone),
        cmocka_unit_test(whoami_says_what_may_be_asked_for),
        cmocka_unit_test(each_outcome_has_its_error),
        cmocka_unit_test(no_administrators_method_on_this_socket),
        cmocka_unit_test(a_freeze_says_since_when),
        cmocka_unit_test(the_gate_admits_whom_a_policy_names),
        cmocka_unit_test(attack_106_what_is_not_recorded_is_light),
        cmocka_unit_test(administrators_wait_for_no_turn),
        cmocka_unit_test(attack_106_who_is_refused_beyond_the_budget_is_paced),
        cmocka_unit_test(a_broken_log_is_unavailable),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
