/* An officer has a certificate fetched: from what an application named as its certificate's URL, on
 * the origin that is pinned, and from nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "signer_world.h"

static void
fetch(struct world *w, const char *row, const char *url, const char *error)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {.json = NULL};
    AW_CLEANUP(aw_free) char *parameters = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    assert_true(aw_ok(
        aw_format(&parameters, "{\"account\":\"main\",\"nonce\":\"n\",\"url\":\"%s\"}", url)));
    text = world_expand(w, parameters);
    world_call_admin(w, OFFICER, "FetchCertificate", text, &answer);
    if (strcmp(answer.error, error) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", row, answer.error, error);
    assert_int_equal(error[0] == '\0', aw_json_member(answer.parameters, "jws") != NULL);
    if (error[0] != '\0')
        assert_string_equal(world_text(&answer, "tag"), "refused");
}

static void
only_certificates_of_orders(void **state)
{
    static const struct {
        const char *name, *url, *error;
    } rows[] = {
        {"what an application named as its certificate's", "$BASE/cert", ""},
        {"its order", "$BASE/order", "Failed"},
        {"its authorization", "$BASE/authz", "Failed"},
        {"what nobody named", CA "cert/404", "Failed"},
        {"the account", ACCOUNT_URL, "Failed"},
        {"another origin", "https://other.example.net/cert/1", "Failed"},
    };
    struct world *w = *state;

    world_order(w, "daemon", "a.example.edu", "order/7");
    for (size_t i = 0; i < AW_COUNT(rows); i++)
        fetch(w, rows[i].name, rows[i].url, rows[i].error);
}

/* What was named while the CA was elsewhere is on record for ever. */
static void
not_from_where_the_ca_was(void **state)
{
    struct world *w = *state;

    world_order(w, "daemon", "a.example.edu", "order/8");
    fetch(w, "before it moves", "$BASE/cert", "");
    struct ca *ca = accounts_find(w->core->accounts, "main")->ca;
    char *before = ca->directory, moved[] = "https://moved.example.net/acme/directory";
    ca->directory = moved;
    fetch(w, "after it moved", "$BASE/cert", "Failed");
    ca->directory = before;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_certificates_of_orders, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(not_from_where_the_ca_was, world_setup, world_teardown),
    };

    return cmocka_run_group_tests_name("admin_fetch", tests, NULL, NULL);
}
