/* Freezes and their files: lost, emptied, older, another host's. What is on record stays frozen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"

#define ALL_FILE "state/frozen.json"
#define FILE_NAME "state/frozen-applications.json"
#define ONE(application) \
    "{\"applications\":[{\"application\":\"" application "\",\"reason\":\"r\",\"since\":1}]}"

static void
say(struct world *w, const char *user, const char *method, const char *parameters,
    const char *error)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, user, method, parameters, &answer);
    if (strcmp(answer.error, error) != 0)
        fail_msg(
            "%s %s: \"%s\" %s", method, parameters, answer.error, world_text(&answer, "message"));
}

static void
lose(const struct world *w, const char *name)
{
    char path[256];

    world_path(w, name, path);
    assert_int_equal(unlink(path), 0);
}

/* What is frozen now, as text: "all:drill app-a:stolen". */
static void
see(struct world *w, char out[512])
{
    struct freeze item = {.application = "all"};
    size_t used = 0;

    out[0] = '\0';
    if (core_frozen(w->core, NULL, item.reason))
        used += (size_t)snprintf(out, 512, "all:%s ", item.reason);
    for (size_t i = 0; freezes_get(w->core->freezes, i, &item); i++)
        used += (size_t)snprintf(out + used, 512 - used, "%s:%s ", item.application, item.reason);
    if (used > 0)
        out[used - 1] = '\0';
}

/* What the signer itself put on record after a record: "freeze.restored app-a", "freeze all". */
struct notes {
    int64_t after;
    char text[512];
};

static aw_result
take_note(const struct audit_record *record, void *context)
{
    const struct audit_entry *entry = &record->entry;
    const char *what = entry->kind == AUDIT_ADMIN ? entry->operation : entry->rule;
    struct notes *notes = context;
    size_t used = strlen(notes->text);

    if (record->seq <= notes->after || entry->has_uid || what == NULL ||
        strncmp(what, "freeze", 6) != 0)
        return AW_OK;
    snprintf(notes->text + used, sizeof(notes->text) - used, "%s%s %s", used == 0 ? "" : ", ", what,
        entry->application == NULL ? "all" : entry->application);
    return AW_OK;
}

/* What is frozen now, and what was recorded of it since. */
static void
check(struct world *w, const char *row, int64_t since, const char *frozen, const char *recorded)
{
    struct notes notes = {.after = since};
    char folder[256], now[512];

    see(w, now);
    if (strcmp(now, frozen) != 0)
        fail_msg("%s: frozen is \"%s\", not \"%s\"", row, now, frozen);
    world_path(w, "state/audit", folder);
    assert_ok(audit_read(folder, 1, take_note, &notes));
    if (strcmp(notes.text, recorded) != 0)
        fail_msg("%s: recorded is \"%s\", not \"%s\"", row, notes.text, recorded);
}

static void
restart(struct world *w, const char *row, const char *frozen, const char *recorded)
{
    int64_t since = world_position(w);

    world_restart(w);
    check(w, row, since, frozen, recorded);
}

static void
lose_list(struct world *w)
{
    lose(w, FILE_NAME);
}

static void
empty_list(struct world *w)
{
    world_write(w, FILE_NAME, "{\"applications\":[]}");
}

static void
older_list(struct world *w)
{
    world_write(w, FILE_NAME, ONE("app-b"));
}

static void
lose_all(struct world *w)
{
    lose(w, ALL_FILE);
}

static void
lose_ledger(struct world *w)
{
    core_close(&w->core);
    lose(w, "state/ledger.db");
    world_open(w);
}

static void
lose_everything(struct world *w)
{
    core_close(&w->core);
    lose(w, "state/ledger.db");
    lose(w, ALL_FILE);
    lose(w, FILE_NAME);
    world_open(w);
}

/* Neither who is no officer, nor what failed, lifts anything. */
static void
refuse_and_lose(struct world *w)
{
    say(w, OPERATOR, "Unfreeze", "{}", "NotPermitted");
    say(w, OPERATOR, "Unfreeze", "{\"application\":\"app-a\"}", "NotPermitted");
    say(w, OFFICER, "Unfreeze", "{\"application\":\"\"}", "Failed");
    say(w, OFFICER, "Unfreeze", "{\"application\":\"app-g\"}", "Failed");
    lose(w, ALL_FILE);
    lose(w, FILE_NAME);
}

static void
leave_the_policies(struct world *w)
{
    lose(w, "policy.d/app-a.yaml");
    lose(w, FILE_NAME);
}

#define FROZEN "all:drill app-b:old app-a:stolen"
#define LISTED "freeze.restored app-b, freeze.restored app-a"

static void
what_is_on_record_stays_frozen(void **state)
{
    static const struct {
        const char *name;
        void (*damage)(struct world *w);
        const char *frozen, *recorded;
    } rows[] = {
        {"the ledger is lost", lose_ledger, FROZEN, ""},
        {"the list is lost", lose_list, FROZEN, LISTED},
        {"the list is empty", empty_list, FROZEN, LISTED},
        {"the list is an older one", older_list, "all:drill app-b:r app-a:stolen",
            "freeze.restored app-a"},
        {"the freeze of all is lost", lose_all, "all:drill app-b:r app-a:stolen",
            "freeze.restored all"},
        {"all three are lost", lose_everything, FROZEN, "freeze.restored all, " LISTED},
        {"refused before", refuse_and_lose, FROZEN, "freeze.restored all, " LISTED},
        {"it left the policies", leave_the_policies, FROZEN, LISTED},
    };
    struct world *w = *state;

    say(w, OPERATOR, "Freeze", "{\"reason\":\"drill\"}", "");
    say(w, OPERATOR, "Freeze", "{\"reason\":\"old\",\"application\":\"app-b\"}", "");
    say(w, OPERATOR, "Freeze", "{\"reason\":\"new\",\"application\":\"app-a\"}", "");
    say(w, OPERATOR, "Freeze", "{\"reason\":\"stolen\",\"application\":\"app-a\"}", "");
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        int64_t since = world_position(w);

        rows[i].damage(w);
        world_restart(w);
        check(w, rows[i].name, since, rows[i].frozen, rows[i].recorded);
        restart(w, rows[i].name, rows[i].frozen, ""); /* mended once */
    }
}

static void
what_was_lifted_stays_lifted(void **state)
{
    struct world *w = *state;

    say(w, OPERATOR, "Freeze", "{\"reason\":\"drill\"}", "");
    say(w, OPERATOR, "Freeze", "{\"reason\":\"old\",\"application\":\"app-b\"}", "");
    say(w, OFFICER, "Unfreeze", "{}", "");
    restart(w, "one of two", "app-b:old", "");
    say(w, OFFICER, "Unfreeze", "{\"application\":\"app-b\"}", "");
    restart(w, "both", "", "");
    lose_ledger(w);
    restart(w, "the ledger is lost", "", "");
}

/* What a file alone has counts, and is known from then on. */
static void
what_a_file_has_stays_frozen(void **state)
{
    struct audit_entry lifted = {
        .kind = AUDIT_ADMIN, .operation = "unfreeze", .verdict = "permit", .message = NULL};
    struct world *w = *state;

    assert_ok(core_freeze(w->core, "killed before its record"));
    world_write(w, FILE_NAME, ONE("elsewhere"));
    restart(
        w, "no record", "all:killed before its record elsewhere:r", "freeze all, freeze elsewhere");
    lose(w, ALL_FILE);
    lose(w, FILE_NAME);
    restart(w, "and then lost", "all:killed before its record elsewhere:r",
        "freeze.restored all, freeze.restored elsewhere");
    assert_ok(core_record(w->core, &lifted));
    restart(
        w, "killed before it was lifted", "all:killed before its record elsewhere:r", "freeze all");
    say(w, OFFICER, "Unfreeze", "{\"application\":\"elsewhere\"}", "");
    say(w, OFFICER, "Unfreeze", "{}", "");
    restart(w, "lifted", "", "");
}

static void *
freeze_all(void *context)
{
    say(context, OPERATOR, "Freeze", "{\"reason\":\"at once\"}", "");
    return NULL;
}

/* Another officer's change may hang at the disk. */
static void
a_freeze_waits_for_nobody(void **state)
{
    static const struct timespec pause = {.tv_nsec = 1000 * 1000};
    struct world *w = *state;
    pthread_t thread;

    assert_ok(core_unfreeze(w->core));
    pthread_mutex_lock(&w->core->freeze_lock);
    assert_int_equal(pthread_create(&thread, NULL, freeze_all, w), 0);
    int patience = 20 * 1000;
    while (!core_frozen(w->core, NULL, NULL) && patience-- > 0)
        nanosleep(&pause, NULL);
    pthread_mutex_unlock(&w->core->freeze_lock);
    pthread_join(thread, NULL);
    assert_true(patience > 0);
    assert_true(core_frozen(w->core, NULL, NULL));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_on_record_stays_frozen),
        TEST(what_was_lifted_stays_lifted),
        TEST(what_a_file_has_stays_frozen),
        TEST(a_freeze_waits_for_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
