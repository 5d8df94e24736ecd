/* Wrapped import as administrators call it: what is on record, what is refused, what is left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/wrapped.h"
#include "signer/admin.h"
#include "signer_world.h"

#define IMPORT(ca, kid, algorithm, bits, wrapping, force)                                   \
    "{\"ca\":\"" ca "\",\"kid\":\"" kid "\",\"algorithm\":\"" algorithm "\",\"bits\":" bits \
    ",\"wrapping_key\":\"" wrapping "\",\"wrapped\":\"$W\",\"check\":\"$C\",\"force\":" force "}"
#define GOOD IMPORT("ca1", "kid-1", "HS256", "256", "$F", "false")
#define OTHER "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
expect(struct world *w, const char *row, const char *method, const char *parameters,
    const char *error, const char *detail)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OFFICER, method, parameters, &answer);
    const char *found = strcmp(answer.error, "InvalidRequest") == 0 ? world_text(&answer, "field")
                                                                    : world_text(&answer, "tag");
    if (strcmp(answer.error, error) != 0 || strcmp(found, detail) != 0)
        fail_msg("%s: %s %s: %s", row, answer.error, found, world_text(&answer, "message"));
}

static void
expect_eabs(struct world *w, const char *row, const char *part, bool there)
{
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};

    world_call_admin(w, OPERATOR, "ListEabs", "{}", &answer);
    AW_CLEANUP(aw_free) char *text = cJSON_PrintUnformatted(answer.parameters);
    if ((strstr(text, part) != NULL) != there)
        fail_msg("%s: %s", row, text);
}

/* The workstation: wraps a key of so many octets for ca1, kid-1, to what the signer shows. */
static void
wrap(struct world *w, size_t size)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(aw_free) char *file = NULL;
    AW_CLEANUP(aw_wrapped_free) struct aw_wrapped read = {.json = NULL};
    AW_CLEANUP(token_wrapping_free) struct token_wrapping wrapping = {.spki = NULL};
    const struct aw_wrapped_terms terms = {.ca = "ca1", .kid = "kid-1", .algorithm = "HS256"};

    assert_ok(aw_secret_new(64, &key));
    memset(key->data, 'k', size);
    key->size = size;
    assert_ok(token_wrapping_read(w->core->token, ADMIN_WRAPPING_LABEL, &wrapping));
    assert_ok(aw_wrapped_make(&terms, key, wrapping.spki, wrapping.spki_size, true, &file));
    assert_ok(aw_wrapped_parse(file, strlen(file), &read));
    world_set(w, "W", "%s", read.wrapped);
    world_set(w, "C", "%s", read.check);
    world_set(w, "F", "%s", read.terms.wrapping_key);
}

static void
without_a_wrapping_key_nothing_is_unwrapped(void **state)
{
    struct world *w = *state;

    world_set(w, "W", "%s", "AAAA");
    world_set(w, "C", "%s", "AAAA");
    expect(w, "show", "GetWrappingKey", "{}", "Failed", "token-key-missing");
    expect(w, "destroy", "DestroyWrappingKey", "{}", "Failed", "token-key-missing");
    expect(w, "import", "ImportWrappedEab", IMPORT("ca1", "kid-1", "HS256", "256", OTHER, "false"),
        "Failed", "token-key-missing");
    expect_eabs(w, "import", "kid-1", false);
}

/* Each fault: nothing is left, and the right file can be imported after it. */
static const struct {
    const char *name, *parameters, *error, *detail;
} faults[] = {
    {"no CA", "{}", "InvalidRequest", "ca"},
    {"unknown member", "{\"key\":\"x\"}", "InvalidRequest", ""},
    {"no bits", IMPORT("ca1", "kid-1", "HS256", "0", "$F", "false"), "InvalidRequest", "bits"},
    {"bits of another kind", IMPORT("ca1", "kid-1", "HS256", "\"256\"", "$F", "false"),
        "InvalidRequest", "bits"},
    {"unknown algorithm", IMPORT("ca1", "kid-1", "none", "256", "$F", "false"), "InvalidRequest",
        "algorithm"},
    {"short", IMPORT("ca1", "kid-1", "HS256", "128", "$F", "false"), "Failed", "limit"},
    {"unknown CA", IMPORT("ca9", "kid-1", "HS256", "256", "$F", "false"), "Failed", "not-found"},
    {"for another wrapping key", IMPORT("ca1", "kid-1", "HS256", "256", OTHER, "false"), "Failed",
        "mismatch"},
    {"attack 162: for another CA", IMPORT("ca2", "kid-1", "HS256", "256", "$F", "false"), "Failed",
        "mismatch"},
    {"attack 162: for another kid", IMPORT("ca1", "kid-2", "HS256", "256", "$F", "false"), "Failed",
        "mismatch"},
    {"attack 162: for another algorithm", IMPORT("ca1", "kid-1", "HS384", "384", "$F", "false"),
        "Failed", "mismatch"},
    {"attack 162: of another length", IMPORT("ca1", "kid-1", "HS256", "264", "$F", "false"),
        "Failed", "mismatch"},
};

static void
what_was_wrapped_for_something_else_is_refused(void **state)
{
    struct world *w = *state;

    expect(w, "create", "CreateWrappingKey", "{}", "", "");
    expect(w, "again", "CreateWrappingKey", "{}", "Failed", "exists");
    wrap(w, 32);
    for (size_t i = 0; i < AW_COUNT(faults); i++) {
        expect(w, faults[i].name, "ImportWrappedEab", faults[i].parameters, faults[i].error,
            faults[i].detail);
        expect_eabs(w, faults[i].name, "kid-", false);
    }
    expect(w, "good", "ImportWrappedEab", GOOD, "", "");
    expect_eabs(w, "good", "\"kid\":\"kid-1\",\"algorithm\":\"HS256\",\"present\":true", true);
    expect(w, "once more", "ImportWrappedEab", GOOD, "Failed", "exists");
    expect(w, "destroyed", "DestroyWrappingKey", "{}", "", "");
    expect_eabs(w, "what was imported stays", "\"present\":true", true);
}

static void
it_is_on_record_without_the_key(void **state)
{
    struct world *w = *state;
    AW_CLEANUP(world_record_free) struct world_record made = {0}, last = {0};

    expect(w, "create", "CreateWrappingKey", "{}", "", "");
    world_last(w, &made);
    assert_string_equal(made.entry->operation, "wrapping-key-create");
    wrap(w, 16);
    expect(w, "short", "ImportWrappedEab", IMPORT("ca1", "kid-1", "HS256", "128", "$F", "false"),
        "Failed", "limit");
    expect(w, "forced", "ImportWrappedEab", IMPORT("ca1", "kid-1", "HS256", "128", "$F", "true"),
        "", "");
    world_last(w, &last);
    assert_string_equal(last.entry->operation, "eab-import");
    assert_string_equal(last.entry->message, "ca1: kid kid-1, 128 bits, wrapped");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup_bare, world_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_wrapping_key_nothing_is_unwrapped),
        TEST(what_was_wrapped_for_something_else_is_refused),
        TEST(it_is_on_record_without_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
