/* Applications that can do nothing: who is alarmed of them, when, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/alarm.h"
#include "signer_world.h"

/* Alarms from a record on: how many, the last one's application and message. */
struct alarms {
    int64_t after;
    size_t count;
    char application[80];
    char message[400];
};

static aw_result
take_alarm(const struct audit_record *record, void *context)
{
    struct alarms *alarms = context;
    const struct audit_entry *entry = &record->entry;

    if (entry->kind != AUDIT_ALARM || record->seq <= alarms->after)
        return AW_OK;
    alarms->count++;
    assert_string_equal(entry->rule, "application.inert");
    assert_non_null(entry->policy);
    snprintf(alarms->application, sizeof(alarms->application), "%s",
        entry->application == NULL ? "" : entry->application);
    snprintf(alarms->message, sizeof(alarms->message), "%s", entry->message);
    return AW_OK;
}

static struct alarms
alarms_after(struct world *w, int64_t after)
{
    struct alarms alarms = {.after = after};
    char folder[256];

    world_path(w, "state/audit", folder);
    assert_ok(audit_read(folder, 1, take_alarm, &alarms));
    return alarms;
}

static void
write_policy(struct world *w, const char *name, const char *user)
{
    char file[80], text[400];

    snprintf(file, sizeof(file), "policy.d/%s.yaml", name);
    snprintf(text, sizeof(text),
        "application: %s\nowner: team@example.edu\naccount: main\nprincipals: [{user: %s}]\n"
        "names: {exact: [%s.example.edu]}\nlimits: {orders_per_day: 1}\n",
        name, user, name);
    world_write(w, file, text);
}

static void
an_inert_application_is_alarmed_of_at_the_start(void **state)
{
    struct world *w = *state;
    struct alarms alarms = alarms_after(w, 0);

    assert_int_equal(alarms.count, 1);
    assert_string_equal(alarms.application, "app-inert");
    assert_non_null(strstr(alarms.message, "there is no user no-such-user: app-inert is refused"));
    assert_non_null(strstr(alarms.message, "ask team@example.edu"));
    world_restart(w);
    assert_int_equal(alarms_after(w, 0).count, 2);
}

static void
a_reload_alarms_of_what_is_new(void **state)
{
    struct world *w = *state;
    int64_t before = world_position(w);

    world_reload(w);
    assert_int_equal(alarms_after(w, before).count, 0);
    write_policy(w, "app-new", "no-such-user-2");
    write_policy(w, "app-a", "no-such-user-3");
    world_reload(w);
    struct alarms alarms = alarms_after(w, before);
    assert_int_equal(alarms.count, 2);
    assert_string_equal(alarms.application, "app-new");
    before = world_position(w);
    write_policy(w, "app-new", "daemon");
    world_reload(w);
    assert_int_equal(alarms_after(w, before).count, 0);
    write_policy(w, "app-new", "no-such-user-2");
    world_reload(w);
    assert_int_equal(alarms_after(w, before).count, 1);
}

/* A reload that is refused changes nothing, so there is nothing to be alarmed of. */
static void
a_refused_reload_raises_no_alarm(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0}, warnings = {0};
    int64_t before = world_position(w);

    write_policy(w, "app-new", "no-such-user");
    world_write(w, "policy.d/bad.yaml", "application: [\n");
    assert_int_equal(core_reload(w->core, NULL, &faults, &warnings).code, AW_CODE_CONFIG);
    assert_int_equal(alarms_after(w, before).count, 0);
}

/* A directory service that is down makes them all inert: the log is not filled with it. */
static void
more_than_a_hundred_are_counted(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer status = {0};
    const cJSON *listed = NULL;
    int64_t before = world_position(w);

    for (int i = 0; i < ALARM_INERT_MAX + 7; i++) {
        char name[32];

        snprintf(name, sizeof(name), "many-%03d", i);
        write_policy(w, name, "no-such-user");
    }
    world_reload(w);
    struct alarms alarms = alarms_after(w, before);
    assert_int_equal(alarms.count, ALARM_INERT_MAX + 1);
    assert_string_equal(alarms.application, "");
    assert_non_null(strstr(alarms.message, "7 more applications"));
    world_call(w, &admin_service, "games", "org.acmeward.Admin.GetStatus", "{}", &status);
    assert_ok(aw_json_array(status.parameters, "inert_applications", 0, 1000, &listed));
    assert_int_equal(cJSON_GetArraySize(listed), 100);
    AW_CLEANUP(aw_free) char *first = cJSON_PrintUnformatted(listed->child);
    assert_string_equal(first, "{\"application\":\"app-inert\",\"owner\":\"team@example.edu\","
                               "\"missing\":\"user no-such-user\"}");
    assert_int_equal(
        cJSON_GetNumberValue(aw_json_member(status.parameters, "inert")), ALARM_INERT_MAX + 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_bare, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_inert_application_is_alarmed_of_at_the_start),
        TEST(a_reload_alarms_of_what_is_new),
        TEST(a_refused_reload_raises_no_alarm),
        TEST(more_than_a_hundred_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
