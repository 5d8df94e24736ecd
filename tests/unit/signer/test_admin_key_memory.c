/*
 * Out of memory in an administrator's call that makes, imports or changes a key: it says so, and
 * with memory the same call does it, or finds what it had made. The places are those of our own
 * functions, each failing once, and of the wrapping key one allocation of 499: the token's login
 * and key pairs cost most of this test's time. The token has enough memory, for SoftHSM ends the
 * process for want of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wrapped.h"
#include "signer/admin.h"
#include "signer_world.h"
#include "tests/faults/memory.h"

enum { TRIES_MAX = 200, BEFORE_MAX = 3 };

#define WITH_MEMORY(name, parameters, arguments)  \
    aw_result __real_##name parameters;           \
    aw_result __wrap_##name parameters;           \
                                                  \
    aw_result __wrap_##name parameters            \
    {                                             \
        memory_fail_pause();                      \
        aw_result with = __real_##name arguments; \
        memory_fail_resume();                     \
        return with;                              \
    }

WITH_MEMORY(token_key_sign,
    (token_key * key, const void *input, size_t size, uint8_t *signature, size_t *signature_size),
    (key, input, size, signature, signature_size))
WITH_MEMORY(token_key_find, (token * t, const char *label, token_key **out), (t, label, out))
WITH_MEMORY(token_key_destroy, (token_key * key), (key))
WITH_MEMORY(token_mac_find,
    (token * t, const char *label, enum token_mac_algorithm algorithm, token_mac **out),
    (t, label, algorithm, out))
WITH_MEMORY(token_mac_compute,
    (token_mac * mac, const void *input, size_t size, uint8_t *out, size_t *out_size),
    (mac, input, size, out, out_size))
WITH_MEMORY(token_mac_generate,
    (token * t, const char *label, enum token_mac_algorithm algorithm,
        struct token_key_report *report),
    (t, label, algorithm, report))
WITH_MEMORY(token_mac_unwrap,
    (token * t, const char *wrapping, const struct token_wrapped *wrapped,
        struct token_key_report *report),
    (t, wrapping, wrapped, report))
WITH_MEMORY(token_mac_destroy, (token_mac * mac), (mac))
WITH_MEMORY(token_wrapping_generate,
    (token * t, const char *label, struct token_key_report *report), (t, label, report))
WITH_MEMORY(token_wrapping_read, (token * t, const char *label, struct token_wrapping *out),
    (t, label, out))
WITH_MEMORY(token_wrapping_destroy, (token * t, const char *label), (t, label))
WITH_MEMORY(token_held_read, (token * t, struct token_held *out), (t, out))

/* The next pair is made, and then there is no memory to say so. */
static bool made_in_vain;

aw_result __real_token_key_generate(token *t, const char *label, enum token_key_type type,
    struct token_key_report *report, token_key **out);
aw_result __wrap_token_key_generate(token *t, const char *label, enum token_key_type type,
    struct token_key_report *report, token_key **out);

aw_result
__wrap_token_key_generate(token *t, const char *label, enum token_key_type type,
    struct token_key_report *report, token_key **out)
{
    memory_fail_pause();
    aw_result r = __real_token_key_generate(t, label, type, report, out);
    memory_fail_resume();
    if (!aw_ok(r) || !made_in_vain)
        return r;
    token_key_free(out);
    made_in_vain = false;
    return aw_fail_memory();
}

struct call {
    const char *method, *parameters;
};

#define RAW "{\"account\":\"raw\"}"
#define MAIN "{\"account\":\"main\"}"
#define SIGN "{\"account\":\"main\",\"nonce\":\"nonce-2\"}"
#define CONFIRM "{\"account\":\"main\",\"url\":\"" ACCOUNT_URL "\"}"
#define EAB "{\"ca\":\"ca1\",\"kid\":\"kid-1\"}"
#define IMPORT                                                                                 \
    "{\"ca\":\"ca1\",\"kid\":\"kid-1\",\"algorithm\":\"HS256\",\"bits\":256,\"wrapping_key\":" \
    "\"$F\",\"wrapped\":\"$W\",\"check\":\"$C\",\"force\":false}"

static const struct row {
    struct call before[BEFORE_MAX]; /* each try begins with them, whatever they answer */
    const char *forget;             /* or with a token without that key, and its state file */
    struct call call;
    const char *done;  /* tag of the same call where it was done and only its answer lost */
    struct call see;   /* shows that it was done, */
    const char *shows; /* by this */
    bool pairs;        /* it makes a key pair by token_key_generate */
    int step; /* not each place but each allocation of so many: an RSA key takes its time */
} rows[] = {
    {{{NULL, NULL}}, "acmeward-audit:audit-1", {"CreateAuditKey", "{}"}, "exists",
        {"GetAuditKey", "{}"}, "\"verifier\"", true, 0},
    {{{NULL, NULL}}, NULL, {"RotateAuditKey", "{}"}, "", {"GetAuditKey", "{}"}, "\"verifier\"",
        true, 0},
    {{{NULL, NULL}}, "acmeward-account:raw", {"CreateAccount", RAW}, "exists",
        {"ListAccounts", "{}"}, "\"raw\",\"ca\":\"ca1\",\"state\":\"unregistered\"", true, 0},
    {{{"CancelKeyChange", MAIN}}, NULL, {"StartKeyChange", MAIN}, "exists", {"SignKeyChange", SIGN},
        "\"jws\"", true, 0},
    {{{NULL, NULL}}, NULL, {"SignKeyChange", SIGN}, "", {"ListAccounts", "{}"}, ":\"attempted\"",
        false, 0},
    {{{"DestroyOldKey", MAIN}, {"StartKeyChange", MAIN}, {"SignKeyChange", SIGN}}, NULL,
        {"ConfirmKeyChange", CONFIRM}, "not-found", {"ListAccounts", "{}"}, "\"old_thumbprint\":\"",
        false, 0},
    {{{"DestroyWrappingKey", "{}"}}, NULL, {"CreateWrappingKey", "{}"}, "exists",
        {"GetWrappingKey", "{}"}, "\"pem\"", false, 97},
    {{{"DestroyEab", EAB}}, NULL, {"ImportWrappedEab", IMPORT}, "exists", {"ListEabs", "{}"},
        "\"kid-1\",\"algorithm\":\"HS256\",\"present\":true", false, 0},
    {{{"DestroyRelayKey", "{}"}}, NULL, {"CreateRelayKey", "{}"}, "exists", {"GetRelayKey", "{}"},
        "\"present\":true", false, 0},
};

static void
ask(struct world *w, const struct call *call, struct world_answer *out)
{
    AW_CLEANUP(aw_free) char *parameters = world_expand(w, call->parameters);

    world_call_admin(w, OFFICER, call->method, parameters, out);
}

/* The token is restored from before the key was made. */
static void
forget(struct world *w, const char *label)
{
    AW_CLEANUP(token_key_free) token_key *key = NULL;
    char path[256];

    if (aw_ok(token_key_find(w->core->token, label, &key)))
        assert_ok(token_key_destroy(key));
    world_path(w, "state/accounts/raw.json", path);
    (void)remove(path);
    world_restart(w);
}

static void
prepare(struct world *w, const struct row *row)
{
    if (row->forget != NULL)
        forget(w, row->forget);
    for (size_t i = 0; i < BEFORE_MAX && row->before[i].method != NULL; i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        ask(w, &row->before[i], &answer);
    }
}

/* One call as the gate makes it; true if it was answered with success. */
static bool
ask_without(struct world *w, const struct row *row, long n, bool *failed)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL;
    AW_CLEANUP(aw_free) char *parameters = world_expand(w, row->call.parameters);
    struct peer peer = world_peer(OFFICER, NULL);
    struct gate_answer said = {.reply = NULL};

    assert_ok(aw_format(&text, "{\"method\":\"org.acmeward.Admin.%s\",\"parameters\":%s}",
        row->call.method, parameters));
    if (row->step > 0)
        memory_fail_at(n * row->step, MEMORY_FAILS_ONCE);
    else if (!made_in_vain)
        memory_fail_at_new_place(MEMORY_PLACE_OURS, MEMORY_FAILS_ONCE);
    aw_result r = aw_varlink_call_parse(text, strlen(text), &call);
    if (aw_ok(r))
        r = admin_service.answer(w->core, &peer, &call, &said);
    reply = said.reply;
    *failed = memory_fail_end();
    if (!aw_ok(r))
        assert_int_equal(r.code, AW_CODE_MEMORY);
    if (aw_ok(r) && strstr(reply, "\"error\"") != NULL && strstr(reply, ".Failed\"") == NULL)
        fail_msg("%s: %s", row->call.method, reply);
    return aw_ok(r) && strstr(reply, "\"error\"") == NULL;
}

/* With memory. */
static void
check_again(struct world *w, const struct row *row, long n)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    ask(w, &row->call, &answer);
    if (answer.error[0] != '\0' && strcmp(world_text(&answer, "tag"), row->done) != 0)
        fail_msg("%s, try %ld, again: %s %s: %s", row->call.method, n, answer.error,
            world_text(&answer, "tag"), world_text(&answer, "message"));
}

static void
check_done(struct world *w, const struct row *row, long n)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    ask(w, &row->see, &answer);
    text = cJSON_PrintUnformatted(answer.parameters);
    if (answer.error[0] != '\0' || strstr(text, row->shows) == NULL)
        fail_msg("%s, try %ld: %s %s", row->call.method, n, answer.error, text);
}

/* True when no allocation failed any more. */
static bool
try_call(struct world *w, const struct row *row, long n)
{
    bool failed = false;

    prepare(w, row);
    bool told = ask_without(w, row, n, &failed);
    if (!told && !failed && n > 0)
        fail_msg("%s, try %ld: failed with memory", row->call.method, n);
    if (!aw_ok(core_housekeep(w->core)))
        world_restart(w);
    if (!told)
        check_again(w, row, n);
    check_done(w, row, n);
    return !failed;
}

/* The key account "main" signs. */
static void
check_signature(struct world *w, const char *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);
    int outcome = world_ask(w, &peer, "NewOrder",
        "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}",
        &reply);

    if (outcome != SIGN_OUTCOME_DONE)
        fail_msg("%s: no signature: %s", row, aw_error_last()->message);
}

/* The workstation. */
static void
wrap(struct world *w)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(aw_free) char *file = NULL;
    AW_CLEANUP(aw_wrapped_free) struct aw_wrapped read = {.json = NULL};
    AW_CLEANUP(token_wrapping_free) struct token_wrapping wrapping = {.spki = NULL};
    const struct aw_wrapped_terms terms = {.ca = "ca1", .kid = "kid-1", .algorithm = "HS256"};

    assert_ok(aw_secret_new(64, &key));
    memset(key->data, 'k', 32);
    key->size = 32;
    assert_ok(token_wrapping_read(w->core->token, ADMIN_WRAPPING_LABEL, &wrapping));
    assert_ok(aw_wrapped_make(&terms, key, wrapping.spki, wrapping.spki_size, false, &file));
    assert_ok(aw_wrapped_parse(file, strlen(file), &read));
    world_set(w, "W", "%s", read.wrapped);
    world_set(w, "C", "%s", read.check);
    world_set(w, "F", "%s", read.terms.wrapping_key);
}

static void
a_key_call_without_memory_is_done_or_can_be_repeated(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        const struct row *row = &rows[i];
        long n = 0;

        if (strcmp(row->call.method, "ImportWrappedEab") == 0)
            wrap(w);
        memory_places_forget();
        do
            assert_true(++n < TRIES_MAX);
        while (!try_call(w, row, n));
        assert_true(n > 2);
        if (row->pairs) {
            made_in_vain = true;
            (void)try_call(w, row, 0);
            assert_false(made_in_vain);
        }
        world_restart(w);
        check_done(w, row, n);
        check_signature(w, row->call.method);
    }
}

static int
setup(void **state)
{
    AW_CLEANUP(aw_free) char *old = NULL;
    AW_CLEANUP(aw_free) char *new = NULL;
    size_t size;

    (void)world_setup(state);
    struct world *w = *state;
    core_close(&w->core);
    assert_ok(aw_file_read(w->config, 65536, &old, &size));
    assert_ok(aw_format(&new,
        "%saudit: {key: audit-1, origin: acmeward.example.edu/audit, every_records: 100000,"
        " every_minutes: 1440, export: journal}\n",
        old));
    world_write(w, "signer.yaml", new);
    world_open(w);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_key_call_without_memory_is_done_or_can_be_repeated, setup, world_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
