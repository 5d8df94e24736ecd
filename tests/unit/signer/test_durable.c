/*
 * What is told is durable: when a call has been answered, nothing that it changed would be lost
 * with the power: content was made durable before its name, and the name before the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "signer_world.h"
#include "tests/faults/durable.h"

#define ORDER "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}"
#define REFUSED \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.org\"}]}"
#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void
expect_durable(const char *row)
{
    const char *missing = durable_missing();

    if (missing != NULL)
        fail_msg("%s: not durable: %s", row, missing);
}

/* A start makes a checkpoint, in its own time. */
static void
expect_durable_soon(const char *row)
{
    for (int i = 0; i < 2000 && durable_missing() != NULL; i++)
        usleep(1000);
    expect_durable(row);
}

static const struct {
    const char *method, *parameters;
} calls[] = {
    {"Freeze", "{\"reason\":\"drill\"}"},
    {"Unfreeze", "{}"},
    {"Freeze", "{\"reason\":\"drill\",\"application\":\"app-b\"}"},
    {"Unfreeze", "{\"application\":\"app-b\"}"},
    {"ImportEab", "{\"ca\":\"ca1\",\"kid\":\"k\",\"algorithm\":\"HS256\",\"key\":\"" KEY
                  "\",\"force\":false}"},
    {"DestroyEab", "{\"ca\":\"ca1\",\"kid\":\"k\"}"},
    {"PinCa", "{\"ca\":\"ca1\",\"replace\":true,\"pin\":{\"newNonce\":\"" CA
              "n\",\"newAccount\":\"" CA "new-account\",\"newOrder\":\"" CA
              "new-order\",\"keyChange\":\"" CA "key-change\",\"externalAccountRequired\":true}}"},
    {"CreateAccount", "{\"account\":\"raw\"}"},
    {"StartKeyChange", "{\"account\":\"main\"}"},
    {"SignKeyChange", "{\"account\":\"main\",\"nonce\":\"n-1\"}"},
    {"ConfirmKeyChange", "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "\"}"},
    {"DestroyOldKey", "{\"account\":\"main\"}"},
    {"StartKeyChange", "{\"account\":\"main\"}"},
    {"CancelKeyChange", "{\"account\":\"main\"}"},
    {"CreateRelayKey", "{}"},
    {"CreateAppEab", "{\"application\":\"app-r\"}"},
    {"CreateAuditKey", "{}"},
    {"MakeCheckpoint", "{}"},
    {"RotateAuditKey", "{}"},
    {"MakeCheckpoint", "{}"},
    {"RotateLog", "{}"},
    {"RotateLog", "{}"},
    {"DestroyRelayKey", "{}"},
};

static void
an_administrators_change_is_durable_when_it_is_answered(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(calls); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

        durable_watch();
        world_call_admin(w, OFFICER, calls[i].method, calls[i].parameters, &answer);
        if (answer.error[0] != '\0')
            fail_msg("%s: %s: %s", calls[i].method, answer.error, world_text(&answer, "message"));
        expect_durable(calls[i].method);
    }
}

static void
ask_for(struct world *w, const char *order, int expected, const char *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);

    int64_t appended, durable;

    durable_watch();
    if (world_ask(w, &peer, "NewOrder", order, &reply) != expected)
        fail_msg("%s: %s %s", row, reply.rule, aw_error_last()->message);
    /* What nobody waits for may not even be written yet, and then nothing is missing. */
    audit_log_position(w->core->audit, &appended, &durable);
    if (durable != appended)
        fail_msg("%s: answered before record %lld was durable", row, (long long)appended);
    expect_durable(row);
}

static void
ask(struct world *w, int expected, const char *row)
{
    ask_for(w, ORDER, expected, row);
}

/* Attack 92: also where a record waits for others. */
static void
attack_92_an_answer_leaves_when_its_record_is_durable(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 20; i++) {
        ask_for(w, ORDER, SIGN_OUTCOME_DONE, "an order");
        ask_for(w, REFUSED, SIGN_OUTCOME_POLICY_REFUSED, "a refusal");
    }
}

static void
append(const struct world *w, const char *name, const char *text)
{
    char path[256];

    world_path(w, name, path);
    AW_CLEANUP(aw_close) int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
nothing(const struct world *w)
{
    (void)w;
}

static void
tear_log(const struct world *w)
{
    append(w, "state/audit/audit.jsonl", "{\"seq\":");
}

static void
tear_checkpoints(const struct world *w)
{
    append(w, "state/audit/checkpoints", "half a line");
}

static void
spoil_ledger(const struct world *w)
{
    char path[256];

    world_path(w, "state/ledger.db", path);
    assert_int_equal(truncate(path, 5000), 0);
}

static void
lose_mark(const struct world *w)
{
    char path[256];

    world_path(w, "state/audit/audit-000001.mark", path);
    assert_int_equal(unlink(path), 0);
}

/* A rotation that was cut off. */
static void
double_name(const struct world *w)
{
    char from[256], to[256];

    world_path(w, "state/audit/audit.jsonl", from);
    world_path(w, "state/audit/audit-000003.jsonl", to);
    assert_int_equal(link(from, to), 0);
}

static const struct {
    const char *name;
    void (*before)(const struct world *w);
} starts[] = {
    {"a start", nothing},
    {"a torn tail", tear_log},
    {"torn checkpoints", tear_checkpoints},
    {"a ledger that is set aside", spoil_ledger},
    {"a mark that is missing", lose_mark},
    {"a rotation that was cut off", double_name},
};

static void
what_a_start_mends_is_durable(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(starts); i++) {
        core_close(&w->core);
        starts[i].before(w);
        durable_watch();
        world_open(w);
        expect_durable_soon(starts[i].name);
        durable_watch();
        core_close(&w->core);
        expect_durable("the end");
        world_open(w);
        ask(w, SIGN_OUTCOME_DONE, starts[i].name);
    }
}

static int
setup(void **state)
{
    AW_CLEANUP(aw_free) char *old = NULL;
    AW_CLEANUP(aw_free) char *new = NULL;
    char folder[256];
    size_t size;

    (void)world_setup(state);
    struct world *w = *state;
    core_close(&w->core);
    world_path(w, "export", folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_ok(aw_file_read(w->config, 65536, &old, &size));
    assert_ok(aw_format(&new,
        "%saudit: {key: audit-1, origin: acmeward.example.edu/audit, every_records: 100000,"
        " every_minutes: 1440, export: %s}\n",
        old, folder));
    world_write(w, "signer.yaml", new);
    world_write(w, "policy.d/app-r.yaml",
        "application: app-r\nowner: o\naccount: main\nnames: {exact: [r.example.edu]}\n"
        "relay: {}\n");
    world_open(w);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_administrators_change_is_durable_when_it_is_answered),
        cmocka_unit_test(attack_92_an_answer_leaves_when_its_record_is_durable),
        cmocka_unit_test(what_a_start_mends_is_durable),
    };

    return cmocka_run_group_tests(tests, setup, world_teardown);
}
