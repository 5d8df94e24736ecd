/* Out of memory at every place that allocates in an administrator's call: it says so, changes all
 * or nothing and that on record, and the same call works with memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpsl.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 3000, SEGMENTS_AT_LEAST = 2 };

/* SoftHSM ends the process for want of memory, so the token is asked with enough. */
#define WITH_MEMORY(call) \
    memory_fail_pause();  \
    aw_result r = call;   \
    memory_fail_resume(); \
    return r

aw_result __real_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);
aw_result __real_token_key_find(token *t, const char *label, token_key **out);
aw_result __wrap_token_key_find(token *t, const char *label, token_key **out);
aw_result __real_token_mac_find(
    token *t, const char *label, enum token_mac_algorithm algorithm, token_mac **out);
aw_result __wrap_token_mac_find(
    token *t, const char *label, enum token_mac_algorithm algorithm, token_mac **out);
aw_result __real_token_mac_import(token *t, const char *label, enum token_mac_algorithm algorithm,
    const aw_secret *value, bool force, struct token_key_report *report);
aw_result __wrap_token_mac_import(token *t, const char *label, enum token_mac_algorithm algorithm,
    const aw_secret *value, bool force, struct token_key_report *report);
aw_result __real_token_mac_destroy(token_mac *mac);
aw_result __wrap_token_mac_destroy(token_mac *mac);
aw_result __real_token_mac_compute(
    token_mac *mac, const void *input, size_t size, uint8_t *out, size_t *out_size);
aw_result __wrap_token_mac_compute(
    token_mac *mac, const void *input, size_t size, uint8_t *out, size_t *out_size);
aw_result __real_token_held_read(token *t, struct token_held *out);
aw_result __wrap_token_held_read(token *t, struct token_held *out);

aw_result
__wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    WITH_MEMORY(__real_token_key_sign(key, input, size, signature, signature_size));
}

aw_result
__wrap_token_key_find(token *t, const char *label, token_key **out)
{
    WITH_MEMORY(__real_token_key_find(t, label, out));
}

aw_result
__wrap_token_mac_find(
    token *t, const char *label, enum token_mac_algorithm algorithm, token_mac **out)
{
    WITH_MEMORY(__real_token_mac_find(t, label, algorithm, out));
}

aw_result
__wrap_token_mac_import(token *t, const char *label, enum token_mac_algorithm algorithm,
    const aw_secret *value, bool force, struct token_key_report *report)
{
    WITH_MEMORY(__real_token_mac_import(t, label, algorithm, value, force, report));
}

aw_result
__wrap_token_mac_destroy(token_mac *mac)
{
    WITH_MEMORY(__real_token_mac_destroy(mac));
}

aw_result
__wrap_token_mac_compute(
    token_mac *mac, const void *input, size_t size, uint8_t *out, size_t *out_size)
{
    WITH_MEMORY(__real_token_mac_compute(mac, input, size, out, out_size));
}

aw_result
__wrap_token_held_read(token *t, struct token_held *out)
{
    WITH_MEMORY(__real_token_held_read(t, out));
}

/* The list of public suffixes is thousands of allocations of libpsl's: unit.policy_memory. */
psl_ctx_t *__real_psl_latest(const char *path);
psl_ctx_t *__wrap_psl_latest(const char *path);

psl_ctx_t *
__wrap_psl_latest(const char *path)
{
    memory_fail_pause();
    psl_ctx_t *list = __real_psl_latest(path);
    memory_fail_resume();
    return list;
}

const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
    return "leak:yaml_parser_load\n"; /* as unit.policy_memory says */
}

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define IMPORT \
    "{\"ca\":\"ca1\",\"kid\":\"k\",\"algorithm\":\"HS256\",\"key\":\"" KEY "\",\"force\":false}"
#define DESTROY "{\"ca\":\"ca1\",\"kid\":\"k\"}"
#define FREEZE_ALL "{\"reason\":\"an incident\",\"application\":null}"
#define FREEZE_ONE "{\"reason\":\"an incident\",\"application\":\"app-a\"}"
#define APP_R "{\"application\":\"app-r\"}"
#define ALL "{\"application\":null}"
#define ONE "{\"application\":\"app-a\"}"

struct call {
    const char *method, *parameters;
};

static const struct row {
    const char *name;
    struct call before; /* each try begins with it, whatever its answer */
    struct call call;
    const char *again;   /* with memory, where the call was done and only its answer is missing */
    const char *between; /* what is seen of a call that was done in part and may be made again */
    bool at_once;        /* takes effect before it is on record, for it stops signing */
} rows[] = {
    {"status", {NULL, NULL}, {"GetStatus", "{}"}, "", NULL, false},
    {"freeze all", {"Unfreeze", ALL}, {"Freeze", FREEZE_ALL}, "", NULL, true},
    {"unfreeze all", {"Freeze", FREEZE_ALL}, {"Unfreeze", ALL}, "", NULL, false},
    {"freeze one", {"Unfreeze", ONE}, {"Freeze", FREEZE_ONE}, "", NULL, true},
    {"unfreeze one", {"Freeze", FREEZE_ONE}, {"Unfreeze", ONE}, "Failed", NULL, false},
    {"import", {"DestroyEab", DESTROY}, {"ImportEab", IMPORT}, "Failed", NULL, false},
    {"destroy", {"ImportEab", IMPORT}, {"DestroyEab", DESTROY}, "Failed", "\"present\":false",
        false},
    {"list", {NULL, NULL}, {"ListEabs", "{}"}, "", NULL, false},
    /* Each try that is on record makes another one, which is of no use without its answer. */
    {"make an app-eab", {"CreateRelayKey", "{}"}, {"CreateAppEab", APP_R}, "", NULL, false},
    {"list app-eabs", {NULL, NULL}, {"ListAppEabs", "{}"}, "", NULL, false},
    {"checkpoint", {NULL, NULL}, {"MakeCheckpoint", "{}"}, "", NULL, false},
    {"rotate the log", {NULL, NULL}, {"RotateLog", "{}"}, "", NULL, false},
    {"reload", {NULL, NULL}, {"Reload", "{}"}, "", NULL, false},
};

static void
ask(struct world *w, const struct call *call, struct world_answer *out)
{
    world_call_admin(w, OFFICER, call->method, call->parameters, out);
}

/* What is frozen, which EAB keys there are and the policy: all that these calls change. */
static char *
see(struct world *w)
{
    AW_CLEANUP(world_answer_free) struct world_answer eabs = {0};
    AW_CLEANUP(aw_free) char *list = NULL;
    struct freeze freeze;
    char reason[CORE_REASON_MAX + 1] = "", *text = NULL;
    policy_snapshot *snapshot = core_snapshot(w->core);
    bool all = core_frozen(w->core, NULL, reason);

    world_call_admin(w, OFFICER, "ListEabs", "{}", &eabs);
    list = cJSON_PrintUnformatted(eabs.parameters);
    assert_ok(aw_format(&text, "%s %s %s\n%s\n%s\n", all ? "frozen" : "not frozen",
        all ? reason : "", freezes_find(w->core->freezes, "app-a", &freeze) ? freeze.reason : "-",
        list, policy_digest(snapshot)));
    policy_release(&snapshot);
    return text;
}

/* One call as the gate makes it; what is answered is parsed when there is memory again. */
static bool
ask_without(struct world *w, const struct row *row, enum memory_failure failure,
    struct world_answer *out, aw_result *result)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL;
    struct peer peer = world_peer(OFFICER, NULL);
    struct gate_answer said = {.reply = NULL};

    assert_ok(aw_format(&text, "{\"method\":\"org.acmeward.Admin.%s\",\"parameters\":%s}",
        row->call.method, row->call.parameters));
    memory_fail_at_new_place(
        failure == MEMORY_FAILS_ONCE ? MEMORY_PLACE_EXACT : MEMORY_PLACE_OURS, failure);
    *result = aw_varlink_call_parse(text, strlen(text), &call);
    if (aw_ok(*result))
        *result = admin_service.answer(w->core, &peer, &call, &said);
    reply = said.reply;
    bool failed = memory_fail_end();
    *out = (struct world_answer){.error = "none"};
    if (!aw_ok(*result))
        return failed;
    assert_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &out->json));
    const cJSON *error = aw_json_member(out->json, "error");
    out->error = error == NULL ? "" : strrchr(error->valuestring, '.') + 1;
    assert_ok(aw_json_object(out->json, "parameters", &out->parameters));
    return failed;
}

/* What is told of want of memory. A file that was read half is a fault of that file's. */
static void
check_told(const struct row *row, long n, aw_result result, const struct world_answer *answer)
{
    static const char *const tags[] = {"memory", "crypto", "io", "config"};

    if (!aw_ok(result)) {
        assert_int_equal(result.code, AW_CODE_MEMORY);
        return;
    }
    for (size_t i = 0; i < AW_COUNT(tags); i++)
        if (strcmp(answer->error, "Failed") == 0 && strcmp(world_text(answer, "tag"), tags[i]) == 0)
            return;
    fail_msg("%s, try %ld: %s %s: %s", row->name, n, answer->error, world_text(answer, "tag"),
        world_text(answer, "message"));
}

/* A database or a log that has failed decides nothing more: the process ends and is started anew.
 */
static void
begin_anew(struct world *w)
{
    if (!aw_ok(core_housekeep(w->core)))
        world_restart(w);
}

/* With memory the same call does it, or has been done. */
static void
ask_again(struct world *w, const struct row *row, long n, const char *done)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_free) char *before = see(w);

    ask(w, &row->call, &answer);
    const char *expected = strcmp(before, done) == 0 ? row->again : "";
    if (strcmp(answer.error, expected) != 0)
        fail_msg("%s, try %ld, again: %s %s: %s", row->name, n, answer.error,
            world_text(&answer, "tag"), world_text(&answer, "message"));
    AW_CLEANUP(aw_free) char *after = see(w);
    assert_string_equal(after, done);
}

static void
prepare(struct world *w, const struct row *row)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    if (row->before.method != NULL)
        ask(w, &row->before, &answer);
}

/* True when no allocation failed any more. */
static bool
try_call(struct world *w, const struct row *row, long n, enum memory_failure failure,
    const char *undone, const char *done)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    aw_result result;

    prepare(w, row);
    int64_t position = world_position(w);
    bool failed = ask_without(w, row, failure, &answer, &result);
    bool told = aw_ok(result) && answer.error[0] == '\0';
    if (!told && !failed)
        fail_msg("%s: %s", row->name, world_text(&answer, "message"));
    if (!told)
        check_told(row, n, result, &answer);
    begin_anew(w);
    AW_CLEANUP(aw_free) char *after = see(w);
    bool part = row->between != NULL && strstr(after, row->between) != NULL;
    if (strcmp(after, done) != 0 && (told || (!part && strcmp(after, undone) != 0)))
        fail_msg("%s, try %ld: was %s, is %s", row->name, n, undone, after);
    if (strcmp(after, undone) != 0 && (told || !row->at_once))
        assert_true(world_position(w) > position);
    if (!told)
        ask_again(w, row, n, done);
    return !failed;
}

/* What a call does, seen once; and that a restart sees the same. */
static void
see_row(struct world *w, const struct row *row, char **undone, char **done)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    prepare(w, row);
    *undone = see(w);
    ask(w, &row->call, &answer);
    if (answer.error[0] != '\0')
        fail_msg("%s: %s", row->name, world_text(&answer, "message"));
    *done = see(w);
}

static void
check_log(struct world *w)
{
    struct audit_verdict verdict;
    char folder[256];

    world_path(w, "state/audit", folder);
    if (!aw_ok(audit_verify(folder, &verdict)))
        fail_msg("%s", aw_error_last()->message);
    assert_true(verdict.segments >= SEGMENTS_AT_LEAST);
}

static void
a_call_without_memory_is_done_or_not_done(void **state)
{
    static const enum memory_failure failures[] = {MEMORY_FAILS_ONCE, MEMORY_FAILS_FOR_GOOD};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows) * AW_COUNT(failures); i++) {
        const struct row *row = &rows[i / 2];
        AW_CLEANUP(aw_free) char *undone = NULL, *done = NULL, *restarted = NULL;
        long n = 0;

        see_row(w, row, &undone, &done);
        memory_places_forget();
        do
            assert_true(++n < TRIES_MAX);
        while (!try_call(w, row, n, failures[i % 2], undone, done));
        assert_true(n > 5);
        world_restart(w);
        restarted = see(w);
        assert_string_equal(restarted, done);
    }
    check_log(w);
}

static int
setup(void **state)
{
    static const char section[] = "audit: {key: audit-1, origin: acmeward.example.edu/audit,"
                                  " every_records: 100000, every_minutes: 1440, export: journal}\n";
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_free) char *old = NULL;
    AW_CLEANUP(aw_free) char *new = NULL;
    size_t size;

    (void)world_setup(state);
    struct world *w = *state;
    core_close(&w->core);
    assert_ok(aw_file_read(w->config, 65536, &old, &size));
    assert_ok(aw_format(&new, "%s%s", old, section));
    world_write(w, "signer.yaml", new);
    world_write(w, "policy.d/app-r.yaml",
        "application: app-r\nowner: o\naccount: main\nnames: {exact: [r.example.edu]}\nrelay: "
        "{}\n");
    world_open(w);
    world_call_admin(w, OFFICER, "CreateAuditKey", "{}", &answer);
    assert_string_equal(answer.error, "");
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_call_without_memory_is_done_or_not_done, setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
