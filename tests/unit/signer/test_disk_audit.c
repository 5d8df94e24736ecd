/*
 * Attack 104: what is beside the decisions, on a disk that fails: closing a segment and its mark,
 * the index, checkpoints, a torn tail, pins, the ledger's seal. Each goes on or fails closed, says
 * so, and nothing is lost when the disk is well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "audit/audit.h"
#include "audit/proof.h"
#include "common/io.h"
#include "signer_world.h"
#include "tests/faults/disk.h"

static const int errors[] = {EIO, ENOSPC, EDQUOT};

static void
make_row(char row[128], const char *call, const char *suffix, int error)
{
    snprintf(row, 128, "%s of %s: %s", call, suffix, strerror(error));
}

#define ORDER "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s.example.edu\"}]}"

static int
ask_order(struct world *w, const char *user, const char *name)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer(user, NULL);
    char order[128];

    snprintf(order, sizeof(order), ORDER, name);
    int outcome = world_ask(w, &peer, "NewOrder", order, &reply);
    assert_true((reply.jws != NULL) == (outcome == SIGN_OUTCOME_DONE));
    return outcome;
}

static void
expect_signed(struct world *w, const char *row)
{
    if (ask_order(w, "daemon", "a") != SIGN_OUTCOME_DONE)
        fail_msg("%s: no signature: %s", row, aw_error_last()->message);
}

/* An administrator's call; "" or what is told. */
static const char *
call_admin(struct world *w, const char *method, const char *parameters, char told[1024])
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    if (answer.error[0] == '\0')
        told[0] = '\0';
    else
        snprintf(told, 1024, "%s: %s (%s)", answer.error, world_text(&answer, "message"),
            world_text(&answer, "hint"));
    return told;
}

static void
expect_done(struct world *w, const char *row, const char *method, const char *parameters)
{
    char told[1024];

    if (call_admin(w, method, parameters, told)[0] != '\0')
        fail_msg("%s: %s: %s", row, method, told);
}

static void
expect_told(const char *row, const char *told, const char *file, int error)
{
    if (strstr(told, file) == NULL || strstr(told, strerror(error)) == NULL ||
        strstr(told, "()") != NULL)
        fail_msg("%s: \"%s\"", row, told);
}

static void
expect_fails(struct world *w, const char *row, const char *method, const char *parameters,
    const char *file, int error)
{
    char told[1024];

    call_admin(w, method, parameters, told);
    if (disk_fail_end() == 0)
        fail_msg("%s: never called", row);
    expect_told(row, told, file, error);
}

static size_t
count_files(const struct world *w, const char *pattern)
{
    glob_t found;
    char path[256];

    world_path(w, pattern, path);
    if (glob(path, 0, NULL, &found) != 0)
        return 0;
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

/* All that was on record is, and every closed segment has its mark. */
static void
check_log(struct world *w, const char *row, int64_t least)
{
    struct audit_verdict verdict;
    char folder[256];

    world_path(w, "state/audit", folder);
    if (!aw_ok(audit_verify(folder, &verdict)))
        fail_msg("%s: %s", row, aw_error_last()->message);
    if (verdict.records < least || (size_t)verdict.segments != count_files(w, "state/audit/*.mark"))
        fail_msg("%s: %lld of %lld records, %lld segments", row, (long long)verdict.records,
            (long long)least, (long long)verdict.segments);
    assert_int_equal(count_files(w, "state/audit/*.next"), 0);
}

static const struct rotation {
    const char *call, *suffix, *told;
    bool ends; /* the log takes nothing more until the process is started anew, and says that */
} rotations[] = {
    {"fsync", "audit.jsonl.next", "audit.jsonl.next", false},
    {"fsync", "state/audit", "state/audit", false},
    {"rename", "audit.jsonl", "audit.jsonl", false},
    {"rename done", "audit.jsonl", "was replaced by another file", true},
    {"fsync", "audit.jsonl (deleted)", "audit-", false},
    {"write", ".mark", ".mark", false},
    {"fsync", ".mark", ".mark", false},
    {"rename", ".mark", ".mark", false},
};

static void
attack_104_a_segment_that_cannot_be_closed(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(rotations) * AW_COUNT(errors); i++) {
        const struct rotation *rotation = &rotations[i / 3];
        char row[128], told[1024];

        make_row(row, rotation->call, rotation->suffix, errors[i % 3]);
        disk_fail(rotation->call, rotation->suffix, errors[i % 3]);
        if (!rotation->ends)
            expect_fails(w, row, "RotateLog", "{}", rotation->told, errors[i % 3]);
        else if (strstr(call_admin(w, "RotateLog", "{}", told), rotation->told) == NULL ||
                 disk_fail_end() == 0)
            fail_msg("%s: %s", row, told);
        if (rotation->ends && ask_order(w, "daemon", "a") != WORLD_UNAVAILABLE)
            fail_msg("%s: signed, and the log was replaced", row);
        if (!rotation->ends) {
            expect_signed(w, row);
            expect_done(w, row, "RotateLog", "{}");
        }
        int64_t before = world_position(w);
        world_restart(w);
        check_log(w, row, rotation->ends ? before - 1 : before);
        expect_signed(w, row);
    }
}

/* The start that has to make a missing mark. */
static void
expect_no_start(struct world *w, const char *row, const char *file, int error)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = core_open(w->config, NULL, &faults, &w->core);
    struct aw_error told = *aw_error_last();

    if (disk_fail_end() == 0 || aw_ok(r))
        fail_msg("%s: opened, or never called", row);
    expect_told(row, told.message, file, error);
    if (told.hint[0] == '\0')
        fail_msg("%s: no hint: %s", row, told.message);
}

static void
attack_104_a_mark_that_cannot_be_made_anew(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    struct world *w = *state;
    char path[256];

    expect_done(w, "", "RotateLog", "{}");
    world_path(w, "state/audit/audit-000001.mark", path);
    for (size_t i = 0; i < AW_COUNT(calls) * AW_COUNT(errors); i++) {
        char row[128];
        int64_t before = world_position(w);

        core_close(&w->core);
        assert_int_equal(unlink(path), 0);
        make_row(row, calls[i / 3], "audit-000001.mark", errors[i % 3]);
        disk_fail(calls[i / 3], "audit-000001.mark", errors[i % 3]);
        expect_no_start(w, row, "audit-000001.mark", errors[i % 3]);
        world_open(w);
        check_log(w, row, before);
    }
    expect_signed(w, "afterwards");
}

static void
append(const struct world *w, const char *name, const char *text)
{
    char path[256];

    world_path(w, name, path);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Of a tail that stays in the log no copy is left, however often the signer is started. */
static void
attack_104_a_torn_tail_that_cannot_be_cut(void **state)
{
    static const struct {
        const char *call, *suffix;
    } rows[] = {
        {"write", "audit.jsonl.torn-*"},
        {"fsync", "audit.jsonl.torn-*"},
        {"ftruncate", "audit.jsonl"},
    };
    struct world *w = *state;
    size_t copies = 0;

    for (size_t i = 0; i < AW_COUNT(rows) * AW_COUNT(errors); i++) {
        char row[128];
        int64_t before = world_position(w);

        core_close(&w->core);
        append(w, "state/audit/audit.jsonl", "{\"seq\":");
        make_row(row, rows[i / 3].call, rows[i / 3].suffix, errors[i % 3]);
        disk_fail(rows[i / 3].call, rows[i / 3].suffix, errors[i % 3]);
        expect_no_start(w, row, "audit.jsonl", errors[i % 3]);
        if (count_files(w, "state/audit/audit.jsonl.torn-*") != copies)
            fail_msg("%s: a copy is left of a tail that is in the log", row);
        world_open(w);
        assert_int_equal(count_files(w, "state/audit/audit.jsonl.torn-*"), ++copies);
        check_log(w, row, before);
        expect_signed(w, row);
    }
}

/* Nothing is believed of the index: what is a hole in it is made up for from the log. */
static void
attack_104_an_index_that_cannot_be_written(void **state)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    struct world *w = *state;
    struct audit_entry entry = {
        .kind = AUDIT_ADMIN, .user = OFFICER, .operation = "drill", .verdict = "permit"};
    struct audit_source source = {.folder = NULL};
    struct audit_proof proof;
    struct audit_head head;
    char folder[256];

    disk_fail("pwrite", "audit.tree", EIO);
    for (int64_t end = world_position(w) + 600; world_position(w) < end;) {
        assert_ok(core_record(w->core, &entry));
        if (world_position(w) == end - 300)
            assert_int_not_equal(disk_fail_end(), 0);
    }
    assert_ok(audit_log_head(w->core->audit, &head));
    world_path(w, "state/audit", folder);
    source.folder = folder;
    assert_ok(audit_prove_record(&source, 3, &head, &proof, &line));
    assert_ok(audit_proof_inclusion(&proof, 3, line, strlen(line), &head));
    expect_signed(w, "no index");
}

/* Stored ones. What half was written is cut off by the next attempt, or the one after a restart. */
static void
attack_104_a_checkpoint_that_cannot_be_stored(void **state)
{
    static const char *const calls[] = {"write", "fdatasync", "ftruncate"};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(calls) * AW_COUNT(errors) * 2; i++) {
        const char *call = calls[i / 6];
        int error = errors[i % 3];
        char row[128];

        make_row(row, call, "checkpoints", error);
        expect_done(w, row, "MakeCheckpoint", "{}");
        if (strcmp(call, "ftruncate") == 0) {
            core_close(&w->core);
            append(w, "state/audit/checkpoints", "half a line");
            disk_fail(call, "checkpoints", error); /* the start makes one, in its own time */
            world_open(w);
        }
        disk_fail(call, "checkpoints", error);
        expect_signed(w, row);
        expect_fails(w, row, "MakeCheckpoint", "{}", "checkpoints", error);
        expect_signed(w, row);
        if (i / 3 % 2 == 1)
            world_restart(w);
        expect_done(w, row, "MakeCheckpoint", "{}");
        check_log(w, row, world_position(w));
    }
}

/* Exported ones: the next call makes up for it, though the log has not grown. */
static void
attack_104_a_checkpoint_that_cannot_be_exported(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(calls) * AW_COUNT(errors); i++) {
        char row[128];
        size_t before = count_files(w, "export/checkpoint-*");

        make_row(row, calls[i / 3], "export/checkpoint-*", errors[i % 3]);
        expect_signed(w, row);
        disk_fail(calls[i / 3], "export/checkpoint-*", errors[i % 3]);
        expect_fails(w, row, "MakeCheckpoint", "{}", "export/checkpoint-", errors[i % 3]);
        assert_int_equal(count_files(w, "export/checkpoint-*"), before);
        expect_done(w, row, "MakeCheckpoint", "{}");
        if (count_files(w, "export/checkpoint-*") != before + 1)
            fail_msg("%s: the checkpoint was never exported", row);
    }
}

static void
expect_export(struct world *w, const char *said)
{
    AW_CLEANUP(world_answer_free) struct world_answer status = {0};

    world_call_admin(w, OPERATOR, "GetStatus", "{}", &status);
    if (strstr(world_text(&status, "export_message"), said) == NULL ||
        (said[0] == '\0') != (world_text(&status, "export_message")[0] == '\0'))
        fail_msg("status: \"%s\"", world_text(&status, "export_message"));
}

static void
wait_for_files(struct world *w, size_t count)
{
    for (int i = 0; i < 10000 && count_files(w, "export/checkpoint-*") != count; i++)
        usleep(1000);
    assert_int_equal(count_files(w, "export/checkpoint-*"), count);
}

/* A share whose server is away: nobody waits for it but, for a while, who asked for a checkpoint;
 * not the end either. When it answers, what was made meanwhile is there. */
static void
attack_104_a_folder_for_checkpoints_that_hangs(void **state)
{
    struct world *w = *state;
    size_t before = count_files(w, "export/checkpoint-*");
    char told[1024];

    disk_fail("fsync", "export/checkpoint-*", DISK_HANGS);
    expect_signed(w, "hangs");
    int64_t began = aw_now_ms();
    call_admin(w, "MakeCheckpoint", "{}", told);
    if (strstr(told, "has not answered for") == NULL || strstr(told, "share") == NULL)
        fail_msg("MakeCheckpoint: %s", told);
    assert_true(aw_now_ms() - began < 30000);
    expect_signed(w, "hangs");
    expect_done(w, "hangs", "GetAuditKey", "{}");
    expect_export(w, "has not answered for");
    core_close(&w->core); /* a last one is made, and has to wait */
    assert_true(disk_fail_end() > 0);
    wait_for_files(w, before + 2);
    world_open(w);
    expect_done(w, "answers", "MakeCheckpoint", "{}");
    expect_export(w, "");
}

#define PIN(order)                                                                            \
    "{\"ca\":\"ca1\",\"replace\":true,\"pin\":{\"newNonce\":\"" CA "n\",\"newAccount\":\"" CA \
    "new-account\",\"newOrder\":\"" CA order "\",\"externalAccountRequired\":true}}"

static char *
see_cas(struct world *w)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, "ListCas", "{}", &answer);
    return cJSON_PrintUnformatted(answer.parameters);
}

static void
attack_104_a_pin_that_cannot_be_written(void **state)
{
    static const char *const calls[] = {"write", "fsync", "rename"};
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(calls) * AW_COUNT(errors); i++) {
        AW_CLEANUP(aw_free) char *before = NULL, *failed = NULL, *restarted = NULL;
        char row[128];

        make_row(row, calls[i / 3], "cas/ca1.json", errors[i % 3]);
        expect_done(w, row, "PinCa", PIN("new-order"));
        before = see_cas(w);
        disk_fail(calls[i / 3], "cas/ca1.json", errors[i % 3]);
        expect_fails(w, row, "PinCa", PIN("order-2"), "cas/ca1.json", errors[i % 3]);
        failed = see_cas(w);
        assert_string_equal(failed, before);
        expect_signed(w, row);
        world_restart(w);
        restarted = see_cas(w);
        assert_string_equal(restarted, before);
        expect_done(w, row, "PinCa", PIN("order-2"));
    }
}

/* Without a seal the next start looks at all of the ledger, whose quotas hold. */
static void
attack_104_a_ledger_that_cannot_be_sealed(void **state)
{
    static const struct {
        const char *call, *suffix;
    } rows[] = {
        {"write", "ledger.db.seal"}, {"fsync", "ledger.db.seal"}, {"rename", "ledger.db.seal"},
        {"pwrite", "ledger.db"}, /* what the write-ahead log holds */
    };
    struct world *w = *state;

    (void)ask_order(w, "irc", "one");
    for (size_t i = 0; i < AW_COUNT(rows) * AW_COUNT(errors); i++) {
        char row[128];

        make_row(row, rows[i / 3].call, rows[i / 3].suffix, errors[i % 3]);
        expect_signed(w, row);
        disk_fail(rows[i / 3].call, rows[i / 3].suffix, errors[i % 3]);
        core_close(&w->core);
        if (disk_fail_end() == 0)
            fail_msg("%s: never called", row);
        assert_int_equal(count_files(w, "state/ledger.db.seal*"), i / 3 < 3 ? 0 : 1);
        world_open(w);
        assert_int_equal(count_files(w, "state/ledger.db.bad-*"), 0);
        expect_signed(w, row);
        if (ask_order(w, "irc", "one") != SIGN_OUTCOME_LEDGER_REFUSED)
            fail_msg("%s: a quota that was used up is forgotten", row);
    }
}

/* In a child: has the ledger until the pipe is closed. */
static void
hold(const char *path, const char *sql, int ready, int end)
{
    sqlite3 *sqlite = NULL;
    char octet = '+';

    if (sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_exec(sqlite, sql, NULL, NULL, NULL) != SQLITE_OK)
        octet = '-';
    (void)!write(ready, &octet, 1);
    (void)!read(end, &octet, 1);
    sqlite3_close(sqlite);
    _exit(0);
}

static void
a_ledger_that_another_process_holds(void **state)
{
    static const char *const holds[] = {
        "BEGIN EXCLUSIVE", "BEGIN; SELECT count(*) FROM orders", "SELECT count(*) FROM orders"};
    struct world *w = *state;
    char path[256], octet = 0;

    world_path(w, "state/ledger.db", path);
    for (size_t i = 0; i < AW_COUNT(holds); i++) {
        AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
        int ready[2], end[2];

        core_close(&w->core);
        assert_int_equal(pipe(ready), 0);
        assert_int_equal(pipe(end), 0);
        pid_t child = fork();
        if (child == 0) {
            close(end[1]);
            hold(path, holds[i], ready[1], end[0]);
        }
        assert_int_equal(read(ready[0], &octet, 1), 1);
        assert_int_equal(octet, '+');
        aw_result r = core_open(w->config, NULL, &faults, &w->core);
        struct aw_error told = *aw_error_last();
        close(end[1]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(end[0]);
        close(ready[0]);
        close(ready[1]);
        if (r.code != AW_CODE_BUSY || strstr(told.message, path) == NULL ||
            strstr(told.hint, "another process") == NULL)
            fail_msg("%s: %s (%s)", holds[i], aw_ok(r) ? "opened" : told.message, told.hint);
        world_open(w);
        assert_int_equal(count_files(w, "state/ledger.db.bad-*"), 0);
        expect_signed(w, holds[i]);
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
    world_open(w);
    expect_done(w, "", "CreateAuditKey", "{}");
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_104_a_mark_that_cannot_be_made_anew),
        cmocka_unit_test(attack_104_a_segment_that_cannot_be_closed),
        cmocka_unit_test(attack_104_a_torn_tail_that_cannot_be_cut),
        cmocka_unit_test(attack_104_an_index_that_cannot_be_written),
        cmocka_unit_test(attack_104_a_checkpoint_that_cannot_be_stored),
        cmocka_unit_test(attack_104_a_checkpoint_that_cannot_be_exported),
        cmocka_unit_test(attack_104_a_folder_for_checkpoints_that_hangs),
        cmocka_unit_test(attack_104_a_pin_that_cannot_be_written),
        cmocka_unit_test(attack_104_a_ledger_that_cannot_be_sealed),
        cmocka_unit_test(a_ledger_that_another_process_holds),
    };

    return cmocka_run_group_tests(tests, setup, world_teardown);
}
