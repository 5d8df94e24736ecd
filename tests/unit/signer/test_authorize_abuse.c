/* Clients that flood, and a disk and a clock that do not do as they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/application.h"
#include "signer/budget.h"
#include "signer_world.h"

#define ORDER_OF(name) \
    "{\"nonce\":\"$N\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"" name "\"}]}"
#define MINE ORDER_OF("a.example.edu")
#define NOT_MINE ORDER_OF("b.example.edu")

/* Seams: the room of the file system, both clocks. */

static int64_t room_free;
static _Atomic int64_t real_ahead, boot_ahead;

int __wrap_fstatvfs(int fd, struct statvfs *out);
int __real_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int
__wrap_fstatvfs(int fd, struct statvfs *out)
{
    (void)fd;
    if (room_free < 0)
        return -1;
    *out = (struct statvfs){
        .f_frsize = 1, .f_bavail = (fsblkcnt_t)room_free, .f_blocks = (fsblkcnt_t)1 << 40};
    return 0;
}

int
__wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    int status = __real_clock_gettime(id, out);

    out->tv_sec += id == CLOCK_REALTIME ? real_ahead : id == CLOCK_BOOTTIME ? boot_ahead : 0;
    return status;
}

static int
setup(void **state)
{
    room_free = INT64_C(1) << 40;
    real_ahead = boot_ahead = 0;
    return world_setup(state);
}

static void
expect(struct world *w, const char *user, const char *parameters, int outcome, const char *rule)
{
    world_expect(w, &(struct world_row){parameters, user, "NewOrder", parameters, outcome, rule});
}

static void
flood(struct world *w, const char *user, int count)
{
    for (int i = 0; i < count; i++)
        expect(w, user, NOT_MINE, SIGN_OUTCOME_POLICY_REFUSED, "names.held-by-other");
}

/* What is in the log of one kind and rule; rule "" is any. */
struct tally {
    enum audit_kind kind;
    const char *rule;
    int records;
    int64_t count; /* sum of their members "count" */
};

static aw_result
add_record(const struct audit_record *record, void *context)
{
    const struct audit_entry *entry = &record->entry;
    struct tally *tally = context;

    if (entry->kind != tally->kind ||
        (tally->rule[0] != '\0' && (entry->rule == NULL || strcmp(entry->rule, tally->rule) != 0)))
        return AW_OK;
    tally->records++;
    tally->count += entry->count;
    return AW_OK;
}

static struct tally
tally_of(struct world *w, enum audit_kind kind, const char *rule)
{
    struct tally tally = {.kind = kind, .rule = rule};
    char folder[256];

    world_path(w, "state/audit", folder);
    assert_ok(audit_log_wait(w->core->audit, world_position(w)));
    assert_ok(audit_read(folder, 1, add_record, &tally));
    return tally;
}

static int64_t
log_size(struct world *w)
{
    struct stat st;
    char path[256];

    world_path(w, "state/audit/audit.jsonl", path);
    assert_ok(audit_log_wait(w->core->audit, world_position(w)));
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* Floods. */

enum { FLOOD = 3000 };

static void
attack_96b_a_flood_of_refusals_does_not_fill_the_log(void **state)
{
    struct world *w = *state;
    int64_t before = log_size(w);

    flood(w, "daemon", FLOOD);
    /* What a minute of testing may give beside the burst, and the last record. */
    assert_in_range(log_size(w) - before, BUDGET_REFUSALS_BURST / 2,
        BUDGET_REFUSALS_BURST + 4 * BUDGET_REFUSALS_PER_MINUTE);
    int single = tally_of(w, AUDIT_DECISION, "names.held-by-other").records;
    assert_in_range(single, 100, FLOOD / 2);
    assert_int_equal(atomic_load(&w->core->refusals), FLOOD);
    /* Another user's refusal and everybody's permits have records of their own. */
    expect(w, "bin", MINE, SIGN_OUTCOME_POLICY_REFUSED, "names.held-by-other");
    assert_int_equal(tally_of(w, AUDIT_DECISION, "names.held-by-other").records, single + 1);
    for (int i = 0; i < 20; i++)
        expect(w, "daemon", MINE, SIGN_OUTCOME_DONE, NULL);
    assert_int_equal(tally_of(w, AUDIT_DECISION, "names.exact").records, 20);
    /* Nothing is lost: at the latest, the rest is counted at the end. */
    world_restart(w);
    struct tally counted = tally_of(w, AUDIT_REFUSALS, "names.held-by-other");
    assert_in_range(counted.records, 1, 3);
    assert_int_equal(single + counted.count, FLOOD);
}

static void
attack_96b_counts_are_recorded_meanwhile(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    flood(w, "daemon", FLOOD);
    assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_REFUSALS, "").records, 0);
    assert_ok(ledger_record_counts(w->core->ledger, true, core_time(w->core, NULL)));
    world_last(w, &last);
    assert_int_equal(last.entry->kind, AUDIT_REFUSALS);
    assert_true(last.entry->has_uid);
    assert_int_equal(last.entry->uid, world_peer("daemon", NULL).uid);
    assert_string_equal(last.entry->user, "daemon");
    assert_string_equal(last.entry->application, "app-a");
    assert_string_equal(last.entry->verdict, "refuse");
    assert_non_null(strstr(last.entry->message, "names.held-by-other "));
}

static void
claim_anothers(struct world *w, int count)
{
    struct peer peer = world_peer("daemon", NULL);

    for (int i = 0; i < count; i++) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        assert_int_equal(
            world_ask(w, &peer, "ClaimUrls",
                "{\"order\":$MINE,\"urls\":[{\"kind\":\"order\",\"url\":\"$THEIRS/order\"}]}",
                &reply),
            SIGN_OUTCOME_LEDGER_REFUSED);
        assert_string_equal(reply.rule, "url.taken");
    }
}

/* Refusals must not hide an alarm, and alarms must not fill the log. */
static void
attack_96b_alarms_have_a_budget_of_their_own(void **state)
{
    struct world *w = *state;

    world_order(w, "bin", "b.example.edu", "theirs");
    world_set(w, "THEIRS", CA "theirs");
    world_set(w, "MINE", "%lld", (long long)world_order(w, "daemon", "a.example.edu", "mine"));
    flood(w, "daemon", FLOOD);
    claim_anothers(w, 1);
    assert_int_equal(tally_of(w, AUDIT_ALARM, "url.taken").records, 1);
    claim_anothers(w, 1000);
    int alarms = tally_of(w, AUDIT_ALARM, "url.taken").records;
    assert_in_range(alarms, 10, 500);
    world_restart(w);
    assert_true(tally_of(w, AUDIT_REFUSALS, "").count >= 1000);
}

/* Messages that are no request have no record of their own at all. */
static void
attack_96b_garbage_is_counted(void **state)
{
    struct world *w = *state;
    struct peer peer = world_peer("daemon", NULL);
    int64_t before = world_position(w);

    for (int i = 0; i < 1000; i++) {
        AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
        AW_CLEANUP(aw_free) char *reply = NULL;

        world_call(w, &application_service, "daemon", "org.acmeward.Signer.NewOrder", "{\"x\":1}",
            &answer);
        assert_string_equal(answer.error, "InvalidRequest");
        aw_ignore(aw_fail(AW_CODE_SYNTAX, "no JSON"), "becomes the answer");
        assert_ok(application_service.answer_garbage(w->core, &peer, &reply));
        assert_non_null(strstr(reply, "InvalidRequest"));
    }
    assert_int_equal(world_position(w), before);
    world_restart(w);
    assert_int_equal(tally_of(w, AUDIT_REFUSALS, "request.invalid").records, 1);
    assert_int_equal(tally_of(w, AUDIT_REFUSALS, "request.invalid").count, 2000);
}

/* The policy of a user who is connected goes away: the next call is refused, the next connection
 * dropped. */
static void
a_user_whose_policy_goes_away(void **state)
{
    struct world *w = *state;
    struct peer peer = world_peer("daemon", NULL);
    struct grounds before = {.count = 0}, after = {.count = 0};
    char path[256];

    application_service.grounds(w->core, &peer, &before);
    assert_true(before.count > 0);
    expect(w, "daemon", MINE, SIGN_OUTCOME_DONE, NULL);
    world_path(w, "policy.d/app-a.yaml", path);
    assert_int_equal(unlink(path), 0);
    world_reload(w);
    expect(w, "daemon", MINE, SIGN_OUTCOME_POLICY_REFUSED, "application.none");
    application_service.grounds(w->core, &peer, &after);
    assert_int_equal(after.count, 0);
}

/* Attack 104: the room that is kept for permits. */

static void
attack_104_room_is_kept_for_permits(void **state)
{
    struct world *w = *state;

    room_free = AUDIT_RESERVE;
    for (int i = 0; i < 3; i++)
        assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "audit.space").records, 1);
    int64_t before = log_size(w);
    flood(w, "daemon", 20);
    assert_ok(ledger_record_counts(w->core->ledger, true, core_time(w->core, NULL)));
    assert_int_equal(log_size(w), before);
    for (int i = 0; i < 10; i++)
        expect(w, "daemon", MINE, SIGN_OUTCOME_DONE, NULL);
    assert_true(log_size(w) > before);
    /* Where the room is not known there is none for refusals. */
    room_free = -1;
    expect(w, "daemon", MINE, SIGN_OUTCOME_DONE, NULL);
    before = log_size(w);
    flood(w, "daemon", 1);
    assert_int_equal(log_size(w), before);
    /* There is room again: the count is recorded, and so is the next refusal. */
    room_free = 3 * (int64_t)AUDIT_RESERVE;
    assert_ok(core_housekeep(w->core));
    flood(w, "daemon", 1);
    assert_ok(ledger_record_counts(w->core->ledger, true, core_time(w->core, NULL)));
    assert_int_equal(tally_of(w, AUDIT_REFUSALS, "").count, 21);
    assert_int_equal(tally_of(w, AUDIT_DECISION, "names.held-by-other").records, 1);
    room_free = AUDIT_RESERVE - 1;
    assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "audit.space").records, 2);
}

/* Attack 92: the clock. */

static void
attack_92_a_step_ahead_resets_no_quota(void **state)
{
    struct world *w = *state;

    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
    real_ahead = 30 * 86400;
    expect(
        w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
    for (int i = 0; i < 3; i++)
        assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 1);
    /* It was a mistake, and is mended: nothing is used up for longer than it was. */
    real_ahead = 0;
    assert_ok(core_housekeep(w->core));
    real_ahead = boot_ahead = 86400 - 300;
    expect(
        w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
    real_ahead = boot_ahead = 86400 + 300;
    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 1);
}

static void
attack_92_a_step_back_neither_resets_nor_holds(void **state)
{
    struct world *w = *state;

    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
    real_ahead = -300 * 86400;
    expect(
        w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
    assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 1);
    /* A day really passes, on a clock that stays behind. */
    real_ahead += 2 * 86400;
    boot_ahead += 2 * 86400;
    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
}

/* The clock was wrong at a start, and the log is in the future since: quotas go on all the same. */
static void
attack_92_a_log_from_the_future(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer status = {0};
    int64_t ahead = 0;

    real_ahead = INT64_C(10) * 365 * 86400;
    world_restart(w);
    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
    real_ahead = 0;
    world_restart(w);
    expect(
        w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
    assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 1);
    world_call(w, &admin_service, "games", "org.acmeward.Admin.GetStatus", "{}", &status);
    assert_ok(aw_json_integer(status.parameters, "clock_ahead", -(INT64_C(1) << 40), 0, &ahead));
    assert_in_range(-ahead, INT64_C(10) * 365 * 86400 - 120, INT64_C(10) * 365 * 86400);
    real_ahead = boot_ahead = 2 * 86400;
    expect(w, "irc", ORDER_OF("one.example.edu"), SIGN_OUTCOME_DONE, NULL);
}

/* Clocks change their second at different moments: at the edge it is off and is not, by turns. */
static void
attack_92_a_clock_at_the_edge_is_told_once(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 6; i++) {
        real_ahead = i % 2 == 0 ? 3600 : 0;
        assert_ok(core_housekeep(w->core));
    }
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 1);
    /* When it has agreed for a while, a step is another one. */
    w->core->watch.clock_off_ms -= 60 * 1000;
    assert_ok(core_housekeep(w->core));
    real_ahead = 3600;
    assert_ok(core_housekeep(w->core));
    assert_int_equal(tally_of(w, AUDIT_ALARM, "clock.step").records, 2);
}

/* Corrections and drift are followed, so that the records' times are those of the clock. */
static void
small_steps_are_followed(void **state)
{
    static const struct {
        const char *name;
        int64_t passed, real, ahead;
    } rows[] = {
        {"as it runs", 1000, 1000, 0},
        {"a minute ahead", 0, 60, 0},
        {"a minute behind", 0, -60, 0},
        {"more than a minute ahead", 0, 61, 1},
        {"more than a minute behind", 0, -61, -1},
        {"drift of an hour", 3600, 3600 + 60 + 56, 0},
        {"more than that", 3600, 3600 + 60 + 57, 1},
        {"an hour ahead, caught up with in 63", 63 * 3600, 64 * 3600, 0},
    };
    struct timespec now;
    struct clock clock;
    int64_t ahead;

    (void)state;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        real_ahead = boot_ahead = 0;
        clock_begin(&clock, 0);
        /* Seconds of two clocks tick at two moments. */
        for (int tries = 0;; tries++) {
            int64_t begin = clock.begin;

            boot_ahead = rows[i].passed;
            real_ahead = rows[i].real;
            int64_t time = clock_now(&clock, &ahead);
            if (time - begin == rows[i].real - rows[i].ahead && ahead == rows[i].ahead)
                break;
            if (tries == 5)
                fail_msg("%s: %lld, ahead %lld", rows[i].name, (long long)(time - begin),
                    (long long)ahead);
            real_ahead = boot_ahead = 0;
            clock_begin(&clock, 0);
        }
    }
}

/* Attack 48: shares. */

/* One application uses up its share, and asks on; another's is whole. */
static void
attack_48_a_share_is_guaranteed(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 200; i++)
        expect(w, "daemon", MINE, SIGN_OUTCOME_DONE, NULL);
    for (int i = 0; i < 50; i++) {
        expect(w, "daemon", MINE, SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
        expect(w, "bin", ORDER_OF("b.example.edu"), SIGN_OUTCOME_DONE, NULL);
    }
    expect(
        w, "bin", ORDER_OF("b.example.edu"), SIGN_OUTCOME_LEDGER_REFUSED, "quota.orders_per_day");
}

/* An application whose certificate is there to be revoked, three times a day. */
static void
prepare_revocations(struct world *w)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer("daemon", NULL);

    world_write(w, "policy.d/app-a.yaml",
        "application: app-a\nowner: x\naccount: main\nprincipals: [{user: daemon}]\n"
        "names: {exact: [a.example.edu]}\noperations: [order, revoke]\n"
        "limits: {revocations_per_day: 3}\n");
    world_reload(w);
    world_order(w, "daemon", "a.example.edu", "mine");
    world_set_octets(w, "CSR", world_csr(KEY_P256, "a.example.edu"));
    world_set_octets(w, "CERT", world_certificate(KEY_P256, "a.example.edu", LITERAL("\x01\x02")));
    assert_int_equal(
        world_ask(w, &peer, "Finalize",
            "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":\"$CSR\"}",
            &reply),
        SIGN_OUTCOME_DONE);
}

struct revoker {
    pthread_t thread;
    struct world *world;
    struct peer peer;
    int outcome;
    char rule[64];
};

static void *
revoke_main(void *argument)
{
    struct revoker *revoker = argument;
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

    revoker->outcome = world_ask(revoker->world, &revoker->peer, "Revoke",
        "{\"nonce\":\"$N\",\"certificate\":\"$CERT\"}", &reply);
    snprintf(revoker->rule, sizeof(revoker->rule), "%s", reply.rule == NULL ? "" : reply.rule);
    return NULL;
}

/* Attack 91 too: twelve race for three. */
static void
attacks_48_91_revocations_end(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer whoami = {0};
    struct revoker revokers[12];
    int done = 0;

    prepare_revocations(w);
    for (size_t i = 0; i < AW_COUNT(revokers); i++) {
        revokers[i] = (struct revoker){.world = w, .peer = world_peer("daemon", NULL)};
        assert_int_equal(pthread_create(&revokers[i].thread, NULL, revoke_main, &revokers[i]), 0);
    }
    for (size_t i = 0; i < AW_COUNT(revokers); i++) {
        pthread_join(revokers[i].thread, NULL);
        if (revokers[i].outcome == SIGN_OUTCOME_DONE)
            done++;
        else
            assert_string_equal(revokers[i].rule, "quota.revocations_per_day");
    }
    assert_int_equal(done, 3);
    world_call(w, &application_service, "daemon", "org.acmeward.Signer.WhoAmI", "{}", &whoami);
    AW_CLEANUP(aw_free) char *text = cJSON_PrintUnformatted(whoami.json);
    assert_non_null(strstr(text, "\"revocations_per_day\":3,\"revocations_today\":3"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(attack_96b_a_flood_of_refusals_does_not_fill_the_log),
        TEST(attack_96b_counts_are_recorded_meanwhile),
        TEST(attack_96b_alarms_have_a_budget_of_their_own),
        TEST(attack_96b_garbage_is_counted),
        TEST(a_user_whose_policy_goes_away),
        TEST(attack_104_room_is_kept_for_permits),
        TEST(attack_92_a_step_ahead_resets_no_quota),
        TEST(attack_92_a_step_back_neither_resets_nor_holds),
        TEST(attack_92_a_log_from_the_future),
        TEST(attack_92_a_clock_at_the_edge_is_told_once),
        TEST(small_steps_are_followed),
        TEST(attack_48_a_share_is_guaranteed),
        TEST(attacks_48_91_revocations_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
