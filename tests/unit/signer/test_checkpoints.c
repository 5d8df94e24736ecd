/* The audit key and its checkpoints: who may, what is signed, when, and what stops it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "audit/proof.h"
#include "audit/stored.h"
#include "common/io.h"
#include "signer/admin.h"
#include "signer/application.h"
#include "signer/held_keys.h"
#include "signer_world.h"

#define ORIGIN "acmeward.example.edu/audit"
#define SECTION                             \
    "audit: {key: audit-1, origin: " ORIGIN \
    ", every_records: 5, every_minutes: 1440, export: journal}\n"

/* Every signature in the token passes here. */

static char account_thumbprint[64]; /* of the one other key that signs here */
static struct {
    int by_audit_key;
    char last[512];
    atomic_bool corrupt; /* read by the thread that makes checkpoints */
} seen;

aw_result __real_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);

aw_result __wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size);

aw_result
__wrap_token_key_sign(
    token_key *key, const void *input, size_t size, uint8_t *signature, size_t *signature_size)
{
    bool audit = strcmp(token_key_thumbprint(key), account_thumbprint) != 0;
    aw_result r = __real_token_key_sign(key, input, size, signature, signature_size);

    if (audit && size < sizeof(seen.last)) {
        memcpy(seen.last, input, size);
        seen.last[size] = '\0';
    }
    seen.by_audit_key += audit;
    if (audit && seen.corrupt)
        signature[40] ^= 1;
    return r;
}

static void
expect(struct world *w, const char *user, const char *method, const char *error, const char *tag)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, user, method, "{}", &answer);
    if (strcmp(answer.error, error) != 0 || strcmp(world_text(&answer, "tag"), tag) != 0)
        fail_msg("%s by %s: %s %s: %s", method, user, answer.error, world_text(&answer, "tag"),
            world_text(&answer, "message"));
}

static int
setup(void **state)
{
    memset(&seen, 0, sizeof(seen));
    (void)world_setup(state);
    struct world *w = *state;
    token_key *key = NULL;
    assert_ok(token_key_find(w->core->token, "acmeward-account:main", &key));
    snprintf(account_thumbprint, sizeof(account_thumbprint), "%s", token_key_thumbprint(key));
    token_key_free(&key);
    core_close(&w->core);
    world_configure_audit(w, SECTION);
    world_open(w);
    return 0;
}

static void
make_key(struct world *w)
{
    expect(w, OFFICER, "CreateAuditKey", "", "");
}

static audit_verifier *
verifier_of(struct world *w)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    audit_verifier *key = NULL;

    world_call_admin(w, OPERATOR, "GetAuditKey", "{}", &answer);
    const char *line = world_text(&answer, "verifier");
    assert_ok(audit_verifier_parse(line, strlen(line), &key));
    return key;
}

/* Makes a checkpoint, verifies it by the key alone, and that the log continues it. */
static struct audit_checkpoint
checkpoint(struct world *w, char **note)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    AW_CLEANUP(audit_verifier_free) audit_verifier *key = verifier_of(w);
    const audit_verifier *const items[] = {key};
    const struct audit_keys keys = {items, 1};
    struct audit_checkpoint out;
    struct audit_verdict verdict;
    char folder[256];

    world_call_admin(w, OPERATOR, "MakeCheckpoint", "{}", &answer);
    *note = strdup(world_text(&answer, "checkpoint"));
    assert_ok(audit_checkpoint_verify(*note, strlen(*note), &keys, &out));
    assert_string_equal(out.origin, ORIGIN);
    world_path(w, "state/audit", folder);
    const struct audit_expected expected = {.head = out.head, .source = "the reply"};
    assert_ok(audit_verify_heads(folder, &expected, 1, &verdict));
    return out;
}

static struct audit_stored
stored(struct world *w)
{
    struct audit_stored out;
    char folder[256];

    world_path(w, "state/audit", folder);
    assert_ok(audit_stored_read(folder, NULL, NULL, &out));
    return out;
}

static void
add_record(struct world *w)
{
    struct audit_entry entry = {.kind = AUDIT_ALARM, .message = "test"};

    assert_ok(core_record(w->core, &entry));
}

static void
nothing_without_configuration(void **state)
{
    struct world *w = *state;

    core_close(&w->core);
    world_configure_audit(w, "");
    world_open(w);
    expect(w, OFFICER, "CreateAuditKey", "Failed", "config");
    expect(w, OFFICER, "GetAuditKey", "Failed", "config");
    expect(w, OFFICER, "MakeCheckpoint", "Failed", "config");
    assert_int_equal(stored(w).count, 0);
}

static void
nothing_without_a_key(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    expect(w, OPERATOR, "MakeCheckpoint", "Failed", "token-key-missing");
    expect(w, OPERATOR, "GetAuditKey", "Failed", "token-key-missing");
    world_call_admin(w, OPERATOR, "GetStatus", "{}", &answer);
    assert_non_null(strstr(world_text(&answer, "checkpoint_message"), "no audit key"));
    assert_int_equal(stored(w).count, 0);
}

static void
the_key_is_an_officers_to_make(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    AW_CLEANUP(audit_verifier_free) audit_verifier *key = NULL;

    expect(w, OPERATOR, "CreateAuditKey", "NotPermitted", "");
    world_last(w, &last);
    assert_string_equal(last.entry->operation, "audit-key-create");
    assert_string_equal(last.entry->verdict, "refuse");
    expect(w, OPERATOR, "GetAuditKey", "Failed", "token-key-missing");
    make_key(w);
    expect(w, OFFICER, "CreateAuditKey", "Failed", "exists");
    key = verifier_of(w);
    assert_string_equal(audit_verifier_name(key), ORIGIN);
}

/* Nobody gets a certificate for it: it is among the token's keys from the first moment on. */
static void
the_audit_key_is_one_of_the_tokens_keys(void **state)
{
    struct world *w = *state;
    token_key *key = NULL;
    const uint8_t *der;
    size_t size;
    uint8_t digest[32];

    make_key(w);
    assert_ok(token_key_find(w->core->token, "acmeward-audit:audit-1", &key));
    token_key_spki(key, &der, &size);
    assert_int_equal(EVP_Digest(der, size, digest, NULL, EVP_sha256(), NULL), 1);
    assert_true(held_keys_has(w->core, digest));
    token_key_free(&key);
}

static void
a_checkpoint_covers_all_that_is_on_record(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *first = NULL, *same = NULL, *second = NULL;
    AW_CLEANUP(aw_free) char *path = NULL;
    struct audit_proof proof;
    char folder[256];

    make_key(w);
    struct audit_checkpoint old = checkpoint(w, &first);
    assert_int_equal(old.head.size, world_position(w));
    checkpoint(w, &same);
    assert_string_equal(first, same); /* nothing new: not signed again, not on record */
    add_record(w);
    struct audit_checkpoint new = checkpoint(w, &second);
    assert_int_equal(new.head.size, old.head.size + 1);
    world_path(w, "state/audit", folder);
    assert_ok(
        audit_prove_heads(&(struct audit_source){.folder = folder}, &old.head, &new.head, &proof));
    assert_ok(audit_proof_consistency(&proof, &old.head, &new.head));
}

/* Whatever is asked of the signer: what the audit key signs is the body of a checkpoint. */
static void
the_audit_key_signs_nothing_but_checkpoints(void **state)
{
    static const char *const methods[] = {"GetStatus", "ListAccounts", "ListCas", "ListEabs",
        "ExamineToken", "GetAuditKey", "MakeCheckpoint", "Reload"};
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *note = NULL, *body = NULL;

    make_key(w);
    struct audit_checkpoint expected = checkpoint(w, &note);
    int before = seen.by_audit_key;
    assert_true(before >= 1);
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        world_call_admin(w, OFFICER, methods[i], "{}", &answer);
        assert_string_equal(answer.error, "");
    }
    world_order(w, "daemon", "a.example.edu", "o1");
    free(note);
    expected = checkpoint(w, &note);
    assert_ok(audit_checkpoint_body(&expected, &body));
    assert_string_equal(seen.last, body);
    assert_int_equal(strncmp(note, body, strlen(body)), 0);
    assert_in_range(seen.by_audit_key - before, 1, 5);
    assert_int_equal(seen.by_audit_key, stored(w).count);
}

static void
applications_have_no_way_to_the_audit_key(void **state)
{
    static const char *const methods[] = {"org.acmeward.Admin.MakeCheckpoint",
        "org.acmeward.Signer.MakeCheckpoint", "org.acmeward.Admin.CreateAuditKey"};
    struct world *w = *state;

    make_key(w);
    for (size_t i = 0; i < AW_COUNT(methods); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        world_call(w, &application_service, "daemon", methods[i], "{}", &answer);
        assert_string_not_equal(answer.error, "");
        assert_string_equal(world_text(&answer, "checkpoint"), "");
    }
}

static void
parameters_are_refused(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    make_key(w);
    world_call(w, &admin_service, OFFICER, "org.acmeward.Admin.MakeCheckpoint",
        "{\"root\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", &answer);
    assert_string_equal(answer.error, "InvalidRequest");
}

static void
wait_for_count(struct world *w, int64_t count)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    for (int i = 0; i < 1500 && stored(w).count < count; i++)
        nanosleep(&pause, NULL);
    if (stored(w).count < count)
        fail_msg("%lld checkpoints, expected %lld", (long long)stored(w).count, (long long)count);
}

static void
the_schedule_counts_records(void **state)
{
    struct world *w = *state;

    make_key(w);
    wait_for_count(w, 1); /* the key is new: at once */
    int64_t before = stored(w).count;
    for (int i = 0; i < 6; i++)
        add_record(w);
    wait_for_count(w, before + 1);
}

static void
start_and_end_have_their_checkpoints(void **state)
{
    struct world *w = *state;
    struct audit_expected *heads = NULL;
    size_t count = 0;
    struct audit_verdict verdict;
    char folder[256];

    make_key(w);
    wait_for_count(w, 1);
    int64_t before = stored(w).count;
    add_record(w);
    core_close(&w->core);
    assert_int_equal(stored(w).count, before + 1);
    world_path(w, "state/audit", folder);
    assert_ok(audit_stored_heads(folder, &heads, &count));
    assert_ok(audit_verify_heads(folder, heads, count, &verdict));
    assert_int_equal(heads[count - 1].head.size, verdict.records); /* the stop record too */
    free(heads);
    world_open(w);
    wait_for_count(w, before + 2);
}

static void
expect_start(struct world *w, const char *row, enum aw_code code, const char *text)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = core_open(w->config, NULL, &faults, &w->core);

    if (r.code != code || strstr(aw_error_last()->message, text) == NULL)
        fail_msg("%s: %s %s", row, aw_code_tag(r.code), aw_error_last()->message);
}

static void
attack_101_no_start_on_a_log_cut_back_behind_a_checkpoint(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;
    char path[256];

    make_key(w);
    core_close(&w->core);
    world_path(w, "state/audit/audit.jsonl", path);
    assert_ok(aw_file_read(path, 1 << 20, &text, &size));
    text[size - 1] = '\0';
    size_t shorter = (size_t)(strrchr(text, '\n') + 1 - text);
    assert_int_equal(truncate(path, (off_t)shorter), 0);
    expect_start(w, "cut", AW_CODE_CORRUPT, "cut back");
}

static void
the_origin_of_a_log_stays(void **state)
{
    struct world *w = *state;

    make_key(w);
    core_close(&w->core);
    world_configure_audit(w, "audit: {key: audit-1, origin: other.example/log, export: none}\n");
    expect_start(w, "origin", AW_CODE_CONFIG, "the stored checkpoints of this log are of");
}

static void
a_key_of_another_type_is_not_taken(void **state)
{
    struct world *w = *state;
    struct token_key_report report;
    token_key *key = NULL;

    assert_ok(token_key_generate(
        w->core->token, "acmeward-audit:audit-2", TOKEN_KEY_EC_P384, &report, &key));
    token_key_free(&key);
    core_close(&w->core);
    world_configure_audit(w, "audit: {key: audit-2, origin: " ORIGIN ", export: none}\n");
    expect_start(w, "P-384", AW_CODE_CONFIG, "not ec-p256");
}

static void
restart(struct world *w)
{
    core_close(&w->core);
    world_open(w);
}

/* The old key signs over the record of the new one, and is gone; the new one goes on. */
static void
a_key_hands_over_to_the_next(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *note = NULL;
    token_key *gone = NULL;

    expect(w, OFFICER, "RotateAuditKey", "Failed", "token-key-missing");
    make_key(w);
    expect(w, OPERATOR, "RotateAuditKey", "NotPermitted", "");
    for (int i = 0; i < 3; i++) { /* from one label to the other, and back */
        AW_CLEANUP(aw_free) char *first = NULL, *closing = NULL;
        AW_CLEANUP(audit_verifier_free) audit_verifier *old = verifier_of(w), *new = NULL;
        static const char *const labels[] = {"acmeward-audit:audit-1", "acmeward-audit:audit-1:2"};

        checkpoint(w, &first);
        expect(w, OFFICER, "RotateAuditKey", "", "");
        new = verifier_of(w);
        assert_memory_not_equal(audit_verifier_id(old), audit_verifier_id(new), AUDIT_KEY_ID_SIZE);
        assert_int_equal(
            token_key_find(w->core->token, labels[i % 2], &gone).code, AW_CODE_TOKEN_KEY_MISSING);
        if (i == 1)
            restart(w);
        add_record(w);
        free(note);
        checkpoint(w, &note);
    }
}

/* Whatever fails before the old key is gone: it stays in use, and the next try succeeds. */
static void
a_rotation_that_is_cut_off_changes_nothing(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *first = NULL, *note = NULL;
    AW_CLEANUP(audit_verifier_free) audit_verifier *old = NULL, *still = NULL, *new = NULL;
    struct token_key_report report = {.padded = false};
    token_key *rest = NULL;

    make_key(w);
    expect(w, OFFICER, "RotateAuditKey", "", "");
    checkpoint(w, &first);
    old = verifier_of(w);
    /* A rest at the first label, as of a process that was killed, or of a token's backup. */
    assert_ok(token_key_generate(
        w->core->token, "acmeward-audit:audit-1", TOKEN_KEY_EC_P256, &report, &rest));
    token_key_free(&rest);
    restart(w);
    still = verifier_of(w);
    assert_memory_equal(audit_verifier_id(old), audit_verifier_id(still), AUDIT_KEY_ID_SIZE);
    seen.corrupt = true;
    expect(w, OFFICER, "RotateAuditKey", "Failed", "mismatch");
    seen.corrupt = false;
    audit_verifier_free(&still);
    still = verifier_of(w);
    assert_memory_equal(audit_verifier_id(old), audit_verifier_id(still), AUDIT_KEY_ID_SIZE);
    expect(w, OFFICER, "RotateAuditKey", "", "");
    new = verifier_of(w);
    assert_memory_not_equal(audit_verifier_id(old), audit_verifier_id(new), AUDIT_KEY_ID_SIZE);
    checkpoint(w, &note);
}

static void
each_is_exported_whole(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_free) char *section = NULL, *note = NULL, *path = NULL, *text = NULL;
    char folder[256];
    size_t size;
    struct stat st;

    core_close(&w->core);
    world_path(w, "export", folder);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_ok(
        aw_format(&section, "audit: {key: audit-1, origin: " ORIGIN ", export: %s}\n", folder));
    world_configure_audit(w, section);
    world_open(w);
    make_key(w);
    struct audit_checkpoint made = checkpoint(w, &note);
    assert_ok(aw_format(&path, "%s/checkpoint-%019lld", folder, (long long)made.head.size));
    assert_ok(aw_file_read(path, AUDIT_NOTE_MAX, &text, &size));
    assert_string_equal(text, note);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644);
    /* The folder goes away: the checkpoint is stored, the failure told, and signing goes on. */
    char gone[256];
    world_path(w, "gone", gone);
    assert_int_equal(rename(folder, gone), 0);
    add_record(w);
    int64_t before = stored(w).count;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0}, status = {0};
    world_call_admin(w, OPERATOR, "MakeCheckpoint", "{}", &answer);
    assert_string_equal(answer.error, "Failed");
    assert_int_equal(stored(w).count, before + 1);
    world_call_admin(w, OPERATOR, "GetStatus", "{}", &status);
    assert_non_null(strstr(world_text(&status, "export_message"), "export"));
    world_order(w, "daemon", "a.example.edu", "o2");
}

/* What the token gives is verified before it is stored: a wrong one leaves no trace. */
static void
a_wrong_signature_is_not_stored(void **state)
{
    struct world *w = *state;

    make_key(w);
    wait_for_count(w, 1);
    add_record(w);
    int64_t before = stored(w).count;
    seen.corrupt = true;
    expect(w, OPERATOR, "MakeCheckpoint", "Failed", "mismatch");
    assert_int_equal(stored(w).count, before);
    seen.corrupt = false;
    AW_CLEANUP(aw_free) char *note = NULL;
    checkpoint(w, &note);
    assert_int_equal(stored(w).count, before + 1);
}

/* The log's file is gone: nothing is known to be durable, so no head of it is signed. */
static void
no_checkpoint_of_a_broken_log(void **state)
{
    struct world *w = *state;
    char path[256];

    make_key(w);
    wait_for_count(w, 1);
    add_record(w);
    int before = seen.by_audit_key;
    world_path(w, "state/audit/audit.jsonl", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(core_housekeep(w->core).code, AW_CODE_CORRUPT);
    expect(w, OPERATOR, "MakeCheckpoint", "Failed", "corrupt");
    assert_int_equal(seen.by_audit_key, before);
}

static void
stored_checkpoints_are_not_written_over(void **state)
{
    struct world *w = *state;
    char path[256];

    make_key(w);
    wait_for_count(w, 1);
    add_record(w);
    world_path(w, "state/audit/checkpoints", path);
    assert_int_equal(unlink(path), 0);
    expect(w, OPERATOR, "MakeCheckpoint", "Failed", "not-found");
    assert_int_equal(stored(w).count, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_without_configuration),
        TEST(nothing_without_a_key),
        TEST(the_key_is_an_officers_to_make),
        TEST(the_audit_key_is_one_of_the_tokens_keys),
        TEST(a_checkpoint_covers_all_that_is_on_record),
        TEST(the_audit_key_signs_nothing_but_checkpoints),
        TEST(applications_have_no_way_to_the_audit_key),
        TEST(parameters_are_refused),
        TEST(the_schedule_counts_records),
        TEST(start_and_end_have_their_checkpoints),
        TEST(attack_101_no_start_on_a_log_cut_back_behind_a_checkpoint),
        TEST(the_origin_of_a_log_stays),
        TEST(a_key_of_another_type_is_not_taken),
        TEST(a_key_hands_over_to_the_next),
        TEST(a_rotation_that_is_cut_off_changes_nothing),
        TEST(each_is_exported_whole),
        TEST(a_wrong_signature_is_not_stored),
        TEST(no_checkpoint_of_a_broken_log),
        TEST(stored_checkpoints_are_not_written_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
