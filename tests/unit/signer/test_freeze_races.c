/* Freezes beside signatures, and beside each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/ledger_freezes.h"
#include "signer_world.h"

#define POLL "{\"nonce\":\"n\",\"order\":$ORDER,\"url\":\"$BASE/order\"}"
#define ALL "{\"reason\":\"r\"}"
#define ONE "{\"reason\":\"r\",\"application\":\"app-a\"}"

enum { PATIENCE_MS = 5 * 1000 };

static void
sleep_ms(int ms)
{
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

    nanosleep(&pause, NULL);
}

static void
say(struct world *w, const char *user, const char *method, const char *parameters)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, user, method, parameters, &answer);
    if (answer.error[0] != '\0')
        fail_msg("%s %s: %s %s", method, parameters, answer.error, world_text(&answer, "message"));
}

/* A freeze, in a thread of its own. */
struct freezing {
    pthread_t thread;
    struct world *w;
    const char *parameters;
    atomic_bool answered;
};

static void *
freeze(void *context)
{
    struct freezing *freezing = context;

    say(freezing->w, OPERATOR, "Freeze", freezing->parameters);
    atomic_store(&freezing->answered, true);
    return NULL;
}

static void
begin(struct freezing *freezing, struct world *w, const char *parameters)
{
    *freezing = (struct freezing){.w = w, .parameters = parameters};
    assert_int_equal(pthread_create(&freezing->thread, NULL, freeze, freezing), 0);
}

/* Of an order, so that nobody's quota of them ends it. */
static int
ask(struct world *w, struct sign_reply *reply)
{
    const struct peer peer = world_peer("daemon", NULL);

    return world_ask(w, &peer, "PostAsGet", POLL, reply);
}

/* What it was asked before is signed and not sent yet: its thread has all the time of the world. */
static void
a_freeze_is_answered_when_nothing_leaves_any_more(void **state)
{
    static const struct {
        const char *name, *freeze, *lift;
    } rows[] = {
        {"all", ALL, "{}"},
        {"one application", ONE, "{\"application\":\"app-a\"}"},
    };
    struct world *w = *state;

    world_order(w, "daemon", "a.example.edu", "o/1");
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(sign_reply_free) struct sign_reply before = {0}, after = {0}, other = {0};
        const struct peer another = world_peer("bin", NULL);
        struct freezing freezing;

        assert_int_equal(ask(w, &before), SIGN_OUTCOME_DONE);
        int64_t position = world_position(w);
        begin(&freezing, w, rows[i].freeze);
        for (int left = PATIENCE_MS; world_position(w) == position && left > 0; left--)
            sleep_ms(1);
        assert_int_equal(ask(w, &after), SIGN_OUTCOME_FROZEN); /* it is in force already */
        if (i == 1) /* and who is not frozen goes on; nobody waits for that */
            assert_int_equal(world_ask(w, &another, "NewOrder",
                                 "{\"nonce\":\"n\",\"identifiers\":[{\"type\":\"dns\",\"value\":"
                                 "\"b.example.edu\"}]}",
                                 &other),
                SIGN_OUTCOME_DONE);
        sleep_ms(50);
        if (atomic_load(&freezing.answered))
            fail_msg("%s: answered while a signature was still to leave", rows[i].name);
        sign_reply_free(&before);
        pthread_join(freezing.thread, NULL);
        say(w, OFFICER, "Unfreeze", rows[i].lift);
    }
}

/* One who asks without end, and counts what he is given. */
struct asker {
    pthread_t thread;
    struct world *w;
    atomic_bool *stop;
    atomic_int *signatures;
};

static void *
keep_asking(void *context)
{
    struct asker *asker = context;

    while (!atomic_load(asker->stop)) {
        AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};

        ask(asker->w, &reply);
        if (reply.jws != NULL)
            atomic_fetch_add(asker->signatures, 1);
    }
    return NULL;
}

static void
no_signature_comes_after_the_answer(void **state)
{
    struct world *w = *state;
    atomic_bool stop = false;
    atomic_int signatures = 0;
    struct asker askers[3];

    world_order(w, "daemon", "a.example.edu", "o/1");
    for (size_t i = 0; i < AW_COUNT(askers); i++) {
        askers[i] = (struct asker){.w = w, .stop = &stop, .signatures = &signatures};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, keep_asking, &askers[i]), 0);
    }
    for (int round = 0; round < 20; round++) {
        bool one = round % 2 == 0;
        int before = atomic_load(&signatures);

        for (int left = PATIENCE_MS; atomic_load(&signatures) == before && left > 0; left--)
            sleep_ms(1);
        assert_int_not_equal(atomic_load(&signatures), before);
        say(w, OPERATOR, "Freeze", one ? ONE : ALL);
        int given = atomic_load(&signatures);
        sleep_ms(3);
        assert_int_equal(atomic_load(&signatures), given);
        say(w, OFFICER, "Unfreeze", one ? "{\"application\":\"app-a\"}" : "{}");
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < AW_COUNT(askers); i++)
        pthread_join(askers[i].thread, NULL);
}

/* One change of each round, begun when all are ready. */
struct changer {
    pthread_t thread;
    struct world *w;
    pthread_barrier_t *ready;
    const char *user, *method, *parameters;
};

static void *
change(void *context)
{
    const struct changer *changer = context;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    pthread_barrier_wait(changer->ready);
    world_call_admin(changer->w, changer->user, changer->method, changer->parameters, &answer);
    /* To lift what is not in force is the only failure. */
    if (answer.error[0] != '\0' && strcmp(world_text(&answer, "tag"), "not-found") != 0)
        fail_msg("%s: %s", changer->method, world_text(&answer, "message"));
    return NULL;
}

static bool
is_recorded(struct world *w, const char *application)
{
    AW_CLEANUP(ledger_freezes_free) struct ledger_freezes list = {.items = NULL};
    bool found = false;

    assert_ok(ledger_freezes_list(w->core->ledger, &list));
    for (size_t i = 0; i < list.count; i++)
        found = found || strcmp(list.items[i].application, application) == 0;
    return found;
}

static void
change_all_at_once(struct changer *changers, size_t count)
{
    pthread_barrier_t ready;

    pthread_barrier_init(&ready, NULL, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        changers[i].ready = &ready;
        assert_int_equal(pthread_create(&changers[i].thread, NULL, change, &changers[i]), 0);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(changers[i].thread, NULL);
    pthread_barrier_destroy(&ready);
}

/* What the signer itself put on record of freezes: a start that found files and records at odds. */
static aw_result
look_for_doubt(const struct audit_record *record, void *context)
{
    const struct audit_entry *entry = &record->entry;
    int *found = context;

    *found += !entry->has_uid &&
              ((entry->rule != NULL && strncmp(entry->rule, "freeze", 6) == 0) ||
                  (entry->operation != NULL && strcmp(entry->operation, "freeze") == 0));
    return AW_OK;
}

static void
files_and_records_are_in_one_order(void **state)
{
    struct world *w = *state;
    struct changer changers[] = {
        {.w = w, .user = OFFICER, .method = "Freeze", .parameters = ALL},
        {.w = w, .user = OFFICER, .method = "Unfreeze", .parameters = "{}"},
        {.w = w, .user = OFFICER, .method = "Freeze", .parameters = ONE},
        {.w = w,
            .user = OFFICER,
            .method = "Unfreeze",
            .parameters = "{\"application\":\"app-a\"}"},
    };
    char folder[256];
    int doubts = 0;

    for (int round = 0; round < 40; round++) {
        change_all_at_once(changers, AW_COUNT(changers));
        assert_int_equal(is_recorded(w, ""), core_frozen(w->core, NULL, NULL));
        assert_int_equal(is_recorded(w, "app-a"), freezes_find(w->core->freezes, "app-a", NULL));
    }
    bool all = core_frozen(w->core, NULL, NULL);
    bool one = freezes_find(w->core->freezes, "app-a", NULL);
    world_restart(w);
    assert_int_equal(core_frozen(w->core, NULL, NULL), all);
    assert_int_equal(freezes_find(w->core->freezes, "app-a", NULL), one);
    world_path(w, "state/audit", folder);
    assert_ok(audit_read(folder, 1, look_for_doubt, &doubts));
    assert_int_equal(doubts, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_freeze_is_answered_when_nothing_leaves_any_more),
        TEST(no_signature_comes_after_the_answer),
        TEST(files_and_records_are_in_one_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
