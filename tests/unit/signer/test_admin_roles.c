/* The administrators' methods: who may call which, and until when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"

static const struct {
    const char *method, *operation; /* NULL: not recorded */
    enum peer_role role;
} methods[] = {
    {"GetStatus", NULL, PEER_OPERATOR},
    {"Reload", NULL, PEER_OPERATOR},
    {"Freeze", "freeze", PEER_OPERATOR},
    {"ListCas", NULL, PEER_OPERATOR},
    {"ListEabs", NULL, PEER_OPERATOR},
    {"ListAccounts", NULL, PEER_OPERATOR},
    {"ExamineToken", NULL, PEER_OPERATOR},
    {"GetAuditKey", NULL, PEER_OPERATOR},
    {"RotateLog", "audit-rotate", PEER_OPERATOR},
    {"MakeCheckpoint", NULL, PEER_OPERATOR},
    {"Unfreeze", "unfreeze", PEER_OFFICER},
    {"PinCa", "ca-pin", PEER_OFFICER},
    {"ImportEab", "eab-import", PEER_OFFICER},
    {"ImportWrappedEab", "eab-import", PEER_OFFICER},
    {"CreateWrappingKey", "wrapping-key-create", PEER_OFFICER},
    {"GetWrappingKey", NULL, PEER_OPERATOR},
    {"DestroyWrappingKey", "wrapping-key-destroy", PEER_OFFICER},
    {"DestroyEab", "eab-destroy", PEER_OFFICER},
    {"CreateRelayKey", "relay-key-create", PEER_OFFICER},
    {"GetRelayKey", NULL, PEER_OPERATOR},
    {"DestroyRelayKey", "relay-key-destroy", PEER_OFFICER},
    {"CreateAppEab", "app-eab-create", PEER_OFFICER},
    {"ListAppEabs", NULL, PEER_OPERATOR},
    {"RevokeAppEab", "app-eab-revoke", PEER_OFFICER},
    {"CreateAuditKey", "audit-key-create", PEER_OFFICER},
    {"RotateAuditKey", "audit-key-rotate", PEER_OFFICER},
    {"CreateAccount", "account-create", PEER_OFFICER},
    {"NewAccount", "new-account", PEER_OFFICER},
    {"ForgetAttempt", "forget-attempt", PEER_OFFICER},
    {"RegisterAccount", "account-register", PEER_OFFICER},
    {"FetchCertificate", "fetch-certificate", PEER_OFFICER},
    {"RevokeCertificate", "revoke", PEER_OFFICER},
    {"AdoptAccount", "account-adopt", PEER_OFFICER},
    {"UpdateAccount", "account-update", PEER_OFFICER},
    {"DeactivateAccount", "account-deactivate", PEER_OFFICER},
    {"NoteDeactivated", "account-deactivated", PEER_OFFICER},
    {"RetireAccount", "account-retire", PEER_OFFICER},
    {"StartKeyChange", "key-change-start", PEER_OFFICER},
    {"SignKeyChange", "key-change", PEER_OFFICER},
    {"LookUpAccount", "account-lookup", PEER_OFFICER},
    {"QueryAccount", "account-query", PEER_OFFICER},
    {"ConfirmKeyChange", "key-change-confirm", PEER_OFFICER},
    {"DestroyOldKey", "old-key-destroy", PEER_OFFICER},
    {"CancelKeyChange", "key-change-cancel", PEER_OFFICER},
};

/* Those look at other members after the account. */
static bool
is_late(const char *method)
{
    static const char *const late[] = {"NewAccount", "LookUpAccount", "QueryAccount"};

    for (size_t i = 0; i < AW_COUNT(late); i++)
        if (strcmp(method, late[i]) == 0)
            return true;
    return false;
}

static void
check_role(struct world *w, size_t i, const char *user, enum peer_role role)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    bool refused = role < methods[i].role;
    int64_t before = world_position(w);

    /* No method has this member: who may call it is told so, and nothing is done. */
    world_call_admin(w, user, methods[i].method, "{\"x\":1}", &answer);
    if (strcmp(answer.error, refused ? "NotPermitted" : "InvalidRequest") != 0)
        fail_msg("%s by %s: %s", methods[i].method, user, answer.error);
    /* The member itself is refused, and not the lack of another one. */
    if (!refused && !is_late(methods[i].method) &&
        strstr(world_text(&answer, "message"), "\"x\"") == NULL)
        fail_msg("%s: %s", methods[i].method, world_text(&answer, "message"));
    if (refused)
        assert_string_equal(world_text(&answer, "role"), peer_role_name(methods[i].role));
    assert_int_equal(world_position(w) - before, methods[i].operation == NULL ? 0 : 1);
    if (methods[i].operation != NULL)
        world_expect_admin(w, methods[i].method, methods[i].operation, "refuse");
}

/* The interface has no method that the table lacks. */
static void
check_table(void)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    char wanted[64];
    size_t size = 0, count = 0;

    assert_true(aw_ok(aw_file_read(
        PROJECT_SOURCE_DIR "/signer/org.acmeward.Admin.varlink", 1U << 20U, &text, &size)));
    for (const char *at = text; (at = strstr(at, "\nmethod ")) != NULL; at++)
        count++;
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        snprintf(wanted, sizeof(wanted), "\nmethod %s(", methods[i].method);
        if (strstr(text, wanted) == NULL)
            fail_msg("the interface has no %s", methods[i].method);
    }
    assert_int_equal(count, AW_COUNT(methods));
}

static void
each_method_asks_for_its_role(void **state)
{
    check_table();
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        check_role(*state, i, OFFICER, PEER_OFFICER);
        check_role(*state, i, OPERATOR, PEER_OPERATOR);
        check_role(*state, i, "daemon", PEER_NOBODY); /* whose role was taken away meanwhile */
        if (geteuid() != 0)
            check_role(*state, i, "root", PEER_NOBODY);
    }
}

/* Who may send it SIGHUP may ask for the same and be told what came of it; nothing else. */
static void
the_signers_own_user_reloads_and_does_nothing_else(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    const struct passwd *own = getpwuid(geteuid());

    assert_non_null(own);
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        bool reload = strcmp(methods[i].method, "Reload") == 0;

        world_call_admin(w, own->pw_name, methods[i].method, "{}", &answer);
        if (strcmp(answer.error, reload ? "" : "NotPermitted") != 0)
            fail_msg("%s: \"%s\"", methods[i].method, answer.error);
        if (!reload)
            continue;
        world_last(w, &last);
        assert_int_equal(last.entry->kind, AUDIT_RELOAD);
        assert_string_equal(last.entry->user, own->pw_name);
        world_record_free(&last);
    }
}

static void
the_gate_admits_administrators_alone(void **state)
{
    const struct {
        const char *user;
        bool admitted;
    } rows[] = {{OFFICER, true}, {OPERATOR, true}, {"daemon", false}, {"bin", false},
        {"root", geteuid() == 0}}; /* the signer's own user */
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct peer peer = world_peer(rows[i].user, NULL);
        struct grounds grounds = {.count = 0};

        admin_service.grounds(w->core, &peer, &grounds);
        assert_int_equal(grounds.count > 0, rows[i].admitted);
    }
}

static void
operators_stop_and_officers_go_on(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer stop = {0}, on = {0}, go = {0};

    world_call_admin(w, OPERATOR, "Freeze", "{\"reason\":\"line\\nbreak\\u001b[2J\"}", &stop);
    assert_string_equal(stop.error, "");
    world_expect_admin(w, "freeze", "freeze", "permit");
    assert_true(core_frozen(w->core, NULL, NULL));
    world_call_admin(w, OPERATOR, "Unfreeze", "{}", &on);
    assert_string_equal(on.error, "NotPermitted");
    assert_true(core_frozen(w->core, NULL, NULL));
    world_call_admin(w, OFFICER, "Unfreeze", "{}", &go);
    assert_string_equal(go.error, "");
    assert_false(core_frozen(w->core, NULL, NULL));
}

/* A role that the configuration takes away is gone with the reload, for open connections too. */
static void
a_role_ends_with_a_reload(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    assert_ok(aw_file_read(w->config, 65536, &text, &size));
    char *at = strstr(text, "user: sys");
    assert_non_null(at);
    memcpy(at, "user: lp ", 9);
    world_write(w, "signer.yaml", text);
    world_reload(w);
    world_call_admin(w, OFFICER, "Unfreeze", "{}", &answer);
    assert_string_equal(answer.error, "NotPermitted");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_bare, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_method_asks_for_its_role),
        TEST(the_signers_own_user_reloads_and_does_nothing_else),
        TEST(the_gate_admits_administrators_alone),
        TEST(operators_stop_and_officers_go_on),
        TEST(a_role_ends_with_a_reload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
