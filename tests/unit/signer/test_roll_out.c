/* warn_until at the signer, with its clock as an input: it ends by itself, and says so before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer/application.h"
#include "signer_world.h"

/* 2099-01-01, the day on which the roll-out of app-warn ends. */
#define THE_DAY INT64_C(4070908800)

static int64_t now; /* 0: the real one */

int64_t __real_core_now(void);
int64_t __wrap_core_now(void);

int64_t
__wrap_core_now(void)
{
    return now == 0 ? __real_core_now() : now;
}

static int
setup(void **state)
{
    now = 0;
    return world_setup(state);
}

#define OTHER "{\"type\":\"dns\",\"value\":\"other.example.edu\"}"
#define ORDER "{\"nonce\":\"$N\",\"identifiers\":[" OTHER "]}"
#define FINALIZE                                                             \
    "{\"nonce\":\"$N\",\"order\":$ORDER,\"url\":\"$BASE/finalize\",\"csr\":" \
    "\"$CSR\"}"

static const struct row {
    const char *name;
    int64_t now;
    const char *method, *parameters;
    int outcome;
    const char *verdict;
} rows[] = {
    {"an order, the second before", THE_DAY - 1, "NewOrder", ORDER, SIGN_OUTCOME_DONE, "warn"},
    {"its finalize, the second before", THE_DAY - 1, "Finalize", FINALIZE, SIGN_OUTCOME_DONE,
        "warn"},
    {"an order, on the day", THE_DAY, "NewOrder", ORDER, SIGN_OUTCOME_POLICY_REFUSED, "refuse"},
    {"the finalize of an order that was let through, on the day", THE_DAY, "Finalize", FINALIZE,
        SIGN_OUTCOME_POLICY_REFUSED, "refuse"},
    {"an order, later", THE_DAY + 1, "NewOrder", ORDER, SIGN_OUTCOME_POLICY_REFUSED, "refuse"},
};

static void
check_row(struct world *w, const struct row *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    struct peer peer = world_peer("news", NULL);

    now = row->now;
    int outcome = world_ask(w, &peer, row->method, row->parameters, &reply);
    world_last(w, &last);
    if (outcome != row->outcome || strcmp(last.entry->verdict, row->verdict) != 0 ||
        strcmp(last.entry->rule, "names.none") != 0)
        fail_msg("%s: outcome %d, record %s by %s", row->name, outcome, last.entry->verdict,
            last.entry->rule);
    if (outcome == SIGN_OUTCOME_DONE) {
        assert_non_null(strstr(reply.warning, "will be refused from 2099-01-01 on: other.example"));
        assert_string_equal(last.entry->message, reply.warning);
        assert_non_null(reply.jws);
    } else {
        assert_null(reply.warning);
        assert_null(reply.jws);
        assert_string_equal(last.entry->message, reply.message);
    }
}

static void
a_roll_out_ends_by_itself(void **state)
{
    struct world *w = *state;

    now = THE_DAY - 2;
    world_set_octets(w, "CSR", world_csr(KEY_P256, "other.example.edu"));
    world_order(w, "news", "other.example.edu", "o/1");
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        check_row(w, &rows[i]);
}

/* Who may be refused one day can know it at any time, and administrators see them all. */
static void
a_roll_out_is_seen_before_and_after(void **state)
{
    static const struct {
        int64_t now;
        const char *roll_out, *active, *ended;
    } days[] = {
        {THE_DAY - 1,
            "[{\"application\":\"app-warn\",\"owner\":\"team@example.edu\",\"until\":4070908800,"
            "\"ended\":false}]",
            "\"roll_outs_active\":1,", "\"roll_outs_ended\":0,"},
        {THE_DAY,
            "[{\"application\":\"app-warn\",\"owner\":\"team@example.edu\",\"until\":4070908800,"
            "\"ended\":true}]",
            "\"roll_outs_active\":0,", "\"roll_outs_ended\":1,"},
    };
    struct world *w = *state;

    for (size_t i = 0; i < AW_COUNT(days); i++) {
        AW_CLEANUP(world_answer_free) struct world_answer me = {0}, status = {0};

        now = days[i].now;
        world_call(w, &application_service, "news", "org.acmeward.Signer.WhoAmI", "{}", &me);
        AW_CLEANUP(aw_free) char *mine = cJSON_PrintUnformatted(me.parameters);
        assert_non_null(strstr(mine, "\"warn_until\":4070908800"));
        world_call(w, &admin_service, "games", "org.acmeward.Admin.GetStatus", "{}", &status);
        AW_CLEANUP(aw_free) char *all = cJSON_PrintUnformatted(status.parameters);
        if (strstr(all, days[i].roll_out) == NULL || strstr(all, days[i].active) == NULL ||
            strstr(all, days[i].ended) == NULL)
            fail_msg("%s", all);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_roll_out_ends_by_itself),
        TEST(a_roll_out_is_seen_before_and_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
