/*
 * Attack 104: each file that the signer writes, on a disk that fails (EIO), is full (ENOSPC) or is
 * up (EDQUOT): no signature, nothing changed, words that name the file; and all is well when the
 * disk is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "signer_world.h"
#include "tests/faults/disk.h"

static const int errors[] = {EIO, ENOSPC, EDQUOT};

#define ORDER "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example.edu\"}]}"

#define ONE_ORDER \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"one.example.edu\"}]}"

/* One order; true if it was signed. */
static bool
is_signed(struct world *w, const char *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);
    int outcome = world_ask(w, &peer, "NewOrder", ORDER, &reply);

    if (outcome != SIGN_OUTCOME_DONE && outcome != WORLD_UNAVAILABLE)
        fail_msg("%s: a fault of the disk is told as a refusal: %s", row, reply.rule);
    if ((reply.jws != NULL) != (outcome == SIGN_OUTCOME_DONE))
        fail_msg("%s: a signature and no success, or the other way round", row);
    return outcome == SIGN_OUTCOME_DONE;
}

static void
check_words(const char *row, const char *message, const char *hint, const char *file, int error)
{
    if (strstr(message, file) == NULL || strstr(message, strerror(error)) == NULL ||
        hint[0] == '\0')
        fail_msg("%s: \"%s\" (%s)", row, message, hint);
}

/* What a decision is written to. */
static const struct {
    const char *call, *suffix;
} of_decisions[] = {
    {"write", "audit.jsonl"},
    {"fdatasync", "audit.jsonl"},
};

static void
attack_104_a_decision_that_cannot_be_written(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(of_decisions) * AW_COUNT(errors); i++) {
        const char *call = of_decisions[i / 3].call, *suffix = of_decisions[i / 3].suffix;
        int error = errors[i % 3];
        char row[96];

        snprintf(row, sizeof(row), "%s of %s: %s", call, suffix, strerror(error));
        disk_fail(call, suffix, error);
        bool was_signed = is_signed(w, row);
        struct aw_error told = *aw_error_last();
        if (disk_fail_end() == 0)
            fail_msg("%s: never called", row);
        if (was_signed)
            fail_msg("%s: signed", row);
        check_words(row, told.message, told.hint, suffix, error);
        /* The process ends and is started anew. */
        if (is_signed(w, row))
            fail_msg("%s: signed by a process whose disk had failed", row);
        assert_false(aw_ok(core_housekeep(w->core)));
        world_restart(w);
        if (!is_signed(w, row))
            fail_msg("%s: and afterwards %s", row, aw_error_last()->message);
    }
}

/* The ledger's transaction is written at times, not for each request: what was signed before is on
 * record. SQLite tells its own words; nothing is forgotten, least of all a quota that is used up.
 */
static const struct {
    int error;
    const char *words;
} of_ledger[] = {
    {EIO, "disk I/O error"},
    {ENOSPC, "database or disk is full"},
    {EDQUOT, "disk I/O error"},
};

static void
check_ledger_words(const char *row, const char *words)
{
    const struct aw_error *told = aw_error_last();

    if (strstr(told->message, "ledger") == NULL || strstr(told->message, words) == NULL ||
        told->hint[0] == '\0')
        fail_msg("%s: \"%s\" (%s)", row, told->message, told->hint);
}

static int
ask_for_the_one(struct world *w)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("irc", NULL);

    return world_ask(w, &peer, "NewOrder", ONE_ORDER, &reply);
}

static void
attack_104_a_ledger_that_cannot_be_written(void **state)
{
    struct world *w = *state;

    assert_int_equal(ask_for_the_one(w), SIGN_OUTCOME_DONE);
    for (size_t i = 0; i < AW_COUNT(of_ledger); i++) {
        const char *row = strerror(of_ledger[i].error);

        disk_fail("pwrite", "ledger.db-wal", of_ledger[i].error);
        if (aw_ok(core_housekeep(w->core)))
            fail_msg("%s: committed", row);
        check_ledger_words(row, of_ledger[i].words);
        if (is_signed(w, row))
            fail_msg("%s: signed", row);
        check_ledger_words(row, of_ledger[i].words);
        assert_int_not_equal(disk_fail_end(), 0);
        if (is_signed(w, row))
            fail_msg("%s: signed by a process whose ledger had failed", row);
        world_restart(w);
        if (!is_signed(w, row))
            fail_msg("%s: and afterwards %s", row, aw_error_last()->message);
        assert_int_equal(ask_for_the_one(w), SIGN_OUTCOME_LEDGER_REFUSED);
    }
}

/* What an administrator changes. */
static const struct {
    const char *suffix, *method, *parameters, *undo, *undo_parameters;
} changes[] = {
    {"frozen.json", "Freeze", "{\"reason\":\"drill\"}", "Unfreeze", "{}"},
    {"frozen-applications.json", "Freeze", "{\"reason\":\"drill\",\"application\":\"app-b\"}",
        "Unfreeze", "{\"application\":\"app-b\"}"},
    {"accounts/main.json", "StartKeyChange", "{\"account\":\"main\"}", "CancelKeyChange",
        "{\"account\":\"main\"}"},
};

static const char *
ask_admin(struct world *w, const char *method, const char *parameters, char message[512])
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    snprintf(message, 512, "%s: %s", world_text(&answer, "message"), world_text(&answer, "hint"));
    return answer.error[0] == '\0' ? "" : strcmp(answer.error, "Failed") == 0 ? "Failed" : "other";
}

static void
attack_104_a_change_that_cannot_be_written(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(changes) * AW_COUNT(calls) * AW_COUNT(errors); i++) {
        const char *call = calls[i / 3 % 3], *suffix = changes[i / 9].suffix;
        int error = errors[i % 3];
        char row[128], message[512];

        snprintf(row, sizeof(row), "%s of %s: %s", call, suffix, strerror(error));
        disk_fail(call, suffix, error);
        const char *answer =
            ask_admin(w, changes[i / 9].method, changes[i / 9].parameters, message);
        if (disk_fail_end() == 0 || strcmp(answer, "Failed") != 0)
            fail_msg("%s: \"%s\" %s", row, answer, message);
        check_words(row, message, message, suffix, error);
        if (strcmp(ask_admin(w, changes[i / 9].method, changes[i / 9].parameters, message), "") !=
            0)
            fail_msg("%s: and then %s", row, message);
        if (strcmp(ask_admin(w, changes[i / 9].undo, changes[i / 9].undo_parameters, message),
                "") != 0)
            fail_msg("%s: undone: %s", row, message);
        if (!is_signed(w, row))
            fail_msg("%s: and then %s", row, aw_error_last()->message);
    }
}

/* A signature on its way out, which takes its time. */
struct leaver {
    pthread_t thread;
    struct leave leave;
    atomic_bool gone;
};

static void *
leave_late(void *context)
{
    struct leaver *leaver = context;

    nanosleep(&(struct timespec){.tv_nsec = 50 * 1000000L}, NULL);
    atomic_store(&leaver->gone, true);
    leaving_end(&leaver->leave);
    return NULL;
}

/* What could not be written to its file holds all the same: the record has it. And as any freeze it
 * is answered when nothing leaves any more. */
static void
attack_104_a_freeze_that_cannot_be_written_outlives_the_signer(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < 2; i++) {
        bool all = i == 0;
        struct leaver leaver = {.gone = false};
        char message[512];

        leaving_begin(&w->core->leaving, &leaver.leave);
        assert_int_equal(pthread_create(&leaver.thread, NULL, leave_late, &leaver), 0);
        disk_fail("rename", changes[i].suffix, ENOSPC);
        assert_string_equal(
            ask_admin(w, changes[i].method, changes[i].parameters, message), "Failed");
        assert_true(atomic_load(&leaver.gone));
        pthread_join(leaver.thread, NULL);
        assert_int_not_equal(disk_fail_end(), 0);
        assert_non_null(strstr(message, "it is on record"));
        world_restart(w);
        assert_int_equal(core_frozen(w->core, NULL, NULL), all);
        assert_int_equal(freezes_find(w->core->freezes, "app-b", NULL), !all);
        assert_string_equal(ask_admin(w, changes[i].undo, changes[i].undo_parameters, message), "");
    }
}

/* The process tells at its end why it ends. */
static void
what_fails_in_closing_is_not_told_as_the_reason(void **state)
{
    struct world *w = *state;

    disk_fail("write", "audit.jsonl", ENOSPC);
    aw_ignore(aw_fail(AW_CODE_INTERNAL, "the reason"), "it is looked at below");
    core_close(&w->core);
    assert_int_not_equal(disk_fail_end(), 0);
    assert_string_equal(aw_error_last()->message, "the reason");
    world_open(w);
}

/* No login without its marker: the PIN would be tried again and again. */
static void
attack_96c_a_marker_that_cannot_be_written(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(calls) * AW_COUNT(errors); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        int error = errors[i % 3];

        core_close(&w->core);
        disk_fail(calls[i / 3], "pin.latch", error);
        aw_result r = core_open(w->config, NULL, &faults, &w->core);
        struct aw_error told = *aw_error_last();
        unsigned failed = disk_fail_end();
        if (aw_ok(r) || failed == 0)
            fail_msg("%s: %s: opened, %u failed", calls[i / 3], strerror(error), failed);
        check_words(calls[i / 3], told.message, told.hint, "latch", error);
        world_open(w);
        if (!is_signed(w, calls[i / 3]))
            fail_msg("%s: and then %s", calls[i / 3], aw_error_last()->message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_104_a_decision_that_cannot_be_written),
        cmocka_unit_test(attack_104_a_ledger_that_cannot_be_written),
        cmocka_unit_test(attack_104_a_change_that_cannot_be_written),
        cmocka_unit_test(attack_104_a_freeze_that_cannot_be_written_outlives_the_signer),
        cmocka_unit_test(what_fails_in_closing_is_not_told_as_the_reason),
        cmocka_unit_test(attack_96c_a_marker_that_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
