/*
 * Every function of Cryptoki that the signer uses, with every answer that it may give: what comes
 * of it stands in tests/faults/answers.txt. After each the token is used again, and works.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answers.h"
#include "common/io.h"
#include "mock_world.h"
#include "wrap_support.h"

/* Calls of the function at fault in one operation: first, and as often as the ladder of recovery
 * has rungs; and where a key is made, the ladder of attributes. */
/* libp11 0.4.12 loses its list of slots when the module fails in the middle of it. In this test
 * alone: nothing of ours is suppressed, and a start that fails so ends the process. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
    return "leak:libp11.so";
}

enum { TRIES = 5, LADDER = 700, LIES = 3 };

/* Of the answers of a group, which all come to the same, each row takes some, and others than its
 * neighbours. A sanitizer looks at paths through the code, of which there is one for each group: it
 * sees fewer of them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { FOREIGN_STEP = 40, OTHER_STEP = 4, CENTRAL_STEP = 4 };
#else
enum { FOREIGN_STEP = 10, OTHER_STEP = 2, CENTRAL_STEP = 1 };
#endif

/* The operations. */

static aw_result
run_info(const char *name)
{
    struct token_info info;

    (void)name;
    return token_info_get(world.t, &info);
}

static aw_result
run_find(const char *name)
{
    token_key *key = NULL;
    aw_result r = token_key_find(world.t, "ec", &key);

    if (aw_ok(r) && strcmp(token_key_jwk(key), token_key_jwk(world.keys[USE_EC])) != 0)
        fail_msg("%s: another key was found", name);
    token_key_free(&key);
    return r;
}

static aw_result
run_find_mac(const char *name)
{
    token_mac *mac = NULL;
    aw_result r = token_mac_find(world.t, "eab", TOKEN_HS256, &mac);

    (void)name;
    token_mac_free(&mac);
    return r;
}

static aw_result
run_sign(const char *name)
{
    return mock_world_use(USE_EC, name);
}

static aw_result
run_mac(const char *name)
{
    return mock_world_use(USE_MAC, name);
}

static void
destroy_all(const char *label)
{
    static const CK_OBJECT_CLASS classes[] = {CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY};
    CK_SESSION_HANDLE session = softhsm_session();

    for (size_t i = 0; i < AW_COUNT(classes); i++) {
        CK_OBJECT_HANDLE object = softhsm_find(session, classes[i], label);
        if (object != CK_INVALID_HANDLE)
            assert_int_equal(softhsm_functions()->C_DestroyObject(session, object), CKR_OK);
    }
    assert_int_equal(softhsm_functions()->C_CloseSession(session), CKR_OK);
}

/* What was made works; of what was not made nothing is left. */
static aw_result
run_generate(const char *name)
{
    struct token_key_report report;
    token_key *key = NULL;
    unsigned before = mock_objects();
    aw_result r = token_key_generate(world.t, "new", TOKEN_KEY_EC_P256, &report, &key);

    if (mock_objects() != before + (aw_ok(r) ? 2 : 0))
        fail_msg("%s: %s, and %u objects more", name, aw_code_tag(r.code), mock_objects() - before);
    token_key_free(&key);
    destroy_all("new");
    return r;
}

static aw_result
run_import(const char *name)
{
    struct token_key_report report;
    aw_secret *value = NULL;
    unsigned before = mock_objects();

    assert_ok(aw_secret_new(32, &value));
    assert_ok(aw_secret_append(value, "0123456789abcdef0123456789abcdef", 32));
    aw_result r = token_mac_import(world.t, "new", TOKEN_HS256, value, false, &report);
    aw_secret_free(&value);
    if (mock_objects() != before + (aw_ok(r) ? 1 : 0))
        fail_msg("%s: %s, and %u objects more", name, aw_code_tag(r.code), mock_objects() - before);
    destroy_all("new");
    return r;
}

static aw_result
run_make_mac(const char *name)
{
    struct token_key_report report;
    unsigned before = mock_objects();
    aw_result r = token_mac_generate(world.t, "new", TOKEN_HS256, &report);

    if (mock_objects() != before + (aw_ok(r) ? 1 : 0))
        fail_msg("%s: %s, and %u objects more", name, aw_code_tag(r.code), mock_objects() - before);
    destroy_all("new");
    return r;
}

/* Wrapped once, unwrapped again and again; its wrapping key is made with the rules away. */
static struct wrap_sample sample;

static void
before_unwrap(void)
{
    struct token_key_report report;
    struct token_wrapping wrapping;

    if (sample.size > 0)
        return;
    assert_ok(token_wrapping_generate(world.t, "wrapping", &report));
    assert_ok(token_wrapping_read(world.t, "wrapping", &wrapping));
    wrap_sample_make(&sample, TOKEN_HS256, &wrapping);
    token_wrapping_free(&wrapping);
}

static aw_result
run_unwrap(const char *name)
{
    struct token_key_report report;
    const struct token_wrapped wrapped = wrap_sample_of(&sample, "new");
    unsigned before = mock_objects();
    aw_result r = token_mac_unwrap(world.t, "wrapping", &wrapped, &report);

    if (mock_objects() != before + (aw_ok(r) ? 1 : 0))
        fail_msg("%s: %s, and %u objects more", name, aw_code_tag(r.code), mock_objects() - before);
    destroy_all("new");
    return r;
}

/* A victim of its own, made with the rules away. */
static token_key *victim;

static void
before_destroy(void)
{
    struct token_key_report report;

    assert_ok(token_key_generate(world.t, "victim", TOKEN_KEY_EC_P256, &report, &victim));
}

static aw_result
run_destroy(const char *name)
{
    unsigned before = mock_objects();
    aw_result r = token_key_destroy(victim);

    if (aw_ok(r) && mock_objects() != before - 2)
        fail_msg("%s: destroyed, and it is still there", name);
    token_key_free(&victim);
    destroy_all("victim");
    return r;
}

static aw_result
run_examine(const char *name)
{
    struct token_examination *e = NULL;
    aw_result r = token_examine(world.t, &e);

    if (aw_ok(r) && e->object_count != mock_objects())
        fail_msg("%s: an object is missing", name);
    token_examination_free(&e);
    return r;
}

static aw_result
run_open(const char *name)
{
    (void)name;
    return mock_world_try_open();
}

static const struct operation {
    const char *name;
    aw_result (*run)(const char *name);
    void (*before)(void);
    const char *prefix; /* rules that lead there */
    bool closed;        /* nothing is open before */
    unsigned calls;     /* of one function, without a fault; 0: few */
    bool makes;         /* an object */
} operations[] = {
    {.name = "open", .run = run_open, .closed = true, .calls = 12},
    {.name = "info", .run = run_info},
    {.name = "find", .run = run_find},
    {.name = "find-mac", .run = run_find_mac},
    {.name = "sign", .run = run_sign},
    {.name = "mac", .run = run_mac},
    {.name = "sign-lost", .run = run_sign, .prefix = "C_SignInit:1:CKR_KEY_HANDLE_INVALID;"},
    {.name = "mac-lost", .run = run_mac, .prefix = "C_SignInit:1:CKR_KEY_HANDLE_INVALID;"},
    {.name = "sign-out", .run = run_sign, .before = mock_world_logout},
    {.name = "generate", .run = run_generate, .calls = 40, .makes = true},
    {.name = "import", .run = run_import, .calls = 40, .makes = true},
    {.name = "make-mac", .run = run_make_mac, .calls = 40, .makes = true},
    {.name = "unwrap", .run = run_unwrap, .before = before_unwrap, .calls = 60, .makes = true},
    {.name = "destroy", .run = run_destroy, .before = before_destroy},
    {.name = "examine", .run = run_examine, .calls = 200},
};

static const struct operation *
operation_of(const struct row *row)
{
    for (size_t i = 0; i < AW_COUNT(operations); i++)
        if (strcmp(operations[i].name, row->operation) == 0)
            return &operations[i];
    fail_msg("there is no operation %s", row->operation);
    return NULL;
}

/* The matrix. */

static const struct {
    const char *word;
    enum aw_code code;
} outcomes[] = {
    {"ok", AW_CODE_OK},
    {"token", AW_CODE_TOKEN},
    {"gone", AW_CODE_TOKEN_GONE},
    {"pin", AW_CODE_TOKEN_PIN},
    {"busy", AW_CODE_BUSY},
    {"unsupported", AW_CODE_UNSUPPORTED},
    {"absent", AW_CODE_TOKEN_ABSENT},
};

static enum aw_code
code_of(const char *word)
{
    for (size_t i = 0; i < AW_COUNT(outcomes); i++)
        if (strcmp(outcomes[i].word, word) == 0)
            return outcomes[i].code;
    fail_msg("there is no outcome \"%s\"", word);
    return AW_CODE_OK;
}

static const struct cell *
cell_of(const struct row *row, unsigned group, const char *code)
{
    for (unsigned i = 0; i < table.exception_count; i++)
        if (strcmp(table.exceptions[i].function, row->function) == 0 &&
            (strcmp(table.exceptions[i].operation, "*") == 0 ||
                strcmp(table.exceptions[i].operation, row->operation) == 0) &&
            strcmp(table.exceptions[i].code, code) == 0)
            return &table.exceptions[i].cell;
    return &row->cells[group];
}

/* One login for a PIN; nobody is logged out; a fault that stays ends after so many tries, or so
 * many times as many. */
static void
check_counts(
    const char *name, const struct row *row, const struct operation *operation, unsigned times)
{
    unsigned logins = mock_calls(&world.h, "C_Login");
    unsigned calls = mock_calls(&world.h, row->function);
    bool creation = strcmp(row->function, "C_GenerateKeyPair") == 0 ||
                    strcmp(row->function, "C_CreateObject") == 0 ||
                    strcmp(row->function, "C_GenerateKey") == 0 ||
                    strcmp(row->function, "C_UnwrapKey") == 0;
    unsigned most = creation ? LADDER : operation->calls == 0 ? TRIES : operation->calls;

    if (logins > 1 || mock_calls(&world.h, "C_Logout") != 0)
        fail_msg("%s: %u logins, %u logouts", name, logins, mock_calls(&world.h, "C_Logout"));
    if (calls == 0 || calls > most * times)
        fail_msg("%s: the function was called %u times", name, calls);
}

/* The token is well again, and nothing sticks but a marker, which is taken away. */
static void
check_afterwards(const char *name, const struct operation *operation)
{
    mock_rules(&world.h, "%s", "");
    unlink(world.h.latch);
    if (operation->closed) /* a module that was not finalised, or not by us */
        softhsm_functions()->C_Finalize(NULL);
    aw_result r = operation->closed ? mock_world_try_open() : mock_world_use(USE_EC, name);
    if (!aw_ok(r))
        fail_msg("%s: and then %s", name, aw_error_last()->message);
}

static void
check_result(const char *name, aw_result r, const char *expected)
{
    const struct aw_error *error = aw_error_last();

    if (r.code != code_of(expected))
        fail_msg("%s: %s instead of %s (%s)", name, aw_code_tag(r.code), expected,
            aw_ok(r) ? "" : error->message);
    if (!aw_ok(r) && (error->message[0] == '\0' || error->hint[0] == '\0'))
        fail_msg("%s: \"%s\", and no hint", name, error->message);
}

static void
check_case(const struct row *row, const char *when, const char *code, const struct cell *cell)
{
    const struct operation *operation = operation_of(row);
    char name[192];

    snprintf(name, sizeof(name), "%s, %s:%s%s", row->operation, row->function, when, code);
    if (operation->before != NULL)
        operation->before();
    mock_forget_calls(&world.h);
    mock_rules(&world.h, "%s%s:%s%s", operation->prefix == NULL ? "" : operation->prefix,
        row->function, when, code);
    aw_result r = operation->run(name);
    check_result(name, r, when[0] == '*' ? cell->always : cell->once);
    if ((access(world.h.latch, F_OK) == 0) != cell->latched)
        fail_msg("%s: the marker %s", name, cell->latched ? "is gone" : "stays");
    check_counts(name, row, operation, 1);
    check_afterwards(name, operation);
}

/* The token did it, but says that it did not: as if it had not. A refused template makes nothing.
 */
static void
check_lost_answer(const struct row *row, unsigned group, const char *code)
{
    static const char *const functions[] = {"C_Login", "C_SignInit", "C_Sign", "C_GenerateKeyPair",
        "C_CreateObject", "C_UnwrapKey", "C_DestroyObject", "C_OpenSession", "C_FindObjectsInit"};

    if (strcmp(table.groups[group].name, "attribute") == 0)
        return;
    for (size_t i = 0; i < AW_COUNT(functions); i++)
        if (strcmp(functions[i], row->function) == 0)
            check_case(row, "1:after ", code, cell_of(row, group, code));
}

/* Which answers are left out; none where a login or a signature is at stake, but for a sanitizer.
 */
static bool
is_skipped(const struct row *row, unsigned group, unsigned code)
{
    unsigned turn = (unsigned)(row - table.rows);
    bool foreign = strcmp(table.groups[group].name, "foreign") == 0;
    bool central = strcmp(row->function, "C_Login") == 0 ||
                   (strcmp(row->function, "C_Sign") == 0 && strcmp(row->operation, "sign") == 0);

    unsigned step = central ? CENTRAL_STEP : foreign ? FOREIGN_STEP : OTHER_STEP;

    return code != 0 && (code + turn) % step != 0;
}

/* Which functions can tell which lie. What libp11 asks while it opens, it believes. */
static bool
is_told(const struct row *row, const char *lie)
{
    static const char *const believed[] = {
        "C_GetFunctionList", "C_GetInfo", "C_GetSlotList", "C_GetSlotInfo"};
    const char *function = row->function;
    static const char *const givers[] = {"C_OpenSession", "C_FindObjects", "C_CreateObject",
        "C_GenerateKey", "C_GenerateKeyPair", "C_UnwrapKey"};

    for (size_t i = 0; i < AW_COUNT(believed); i++)
        if (strcmp(function, believed[i]) == 0)
            return false;
    for (size_t i = 0; i < AW_COUNT(givers); i++)
        if (strncmp(lie, "handle", 6) == 0 && strcmp(function, givers[i]) == 0)
            return true;
    if (strcmp(lie, "twice") == 0)
        return strcmp(function, "C_FindObjects") == 0;
    return strcmp(lie, "CKR_OK") == 0;
}

/* It says that it did it, and did nothing, or gives what is not there. That every operation tells
 * the truth of what came of it, the operations see to; that nothing sticks, check_afterwards. */
static void
check_lies(const struct row *row)
{
    static const char *const lies[] = {"CKR_OK", "handle 0", "handle 0x7fffffff", "twice"};
    static const char *const whens[] = {"1:", "2:", "*:"};
    const struct operation *operation = operation_of(row);
    char name[192];

    for (size_t i = 0; i < AW_COUNT(lies) * AW_COUNT(whens); i++) {
        const char *lie = lies[i / AW_COUNT(whens)], *when = whens[i % AW_COUNT(whens)];

        snprintf(name, sizeof(name), "%s, %s:%s%s", row->operation, row->function, when, lie);
        /* Of a token that hides what it made nothing can be taken away. */
        bool finds = strcmp(row->function, "C_FindObjects") == 0;
        bool hides = finds && when[0] == '*' && operation->makes;
        if (!is_told(row, lie) || hides || (when[0] == '2' && !finds))
            continue;
        if (operation->before != NULL)
            operation->before();
        mock_forget_calls(&world.h);
        mock_rules(&world.h, "%s%s:%s%s", operation->prefix == NULL ? "" : operation->prefix,
            row->function, when, lie);
        aw_result r = operation->run(name);
        if (!aw_ok(r) && aw_error_last()->hint[0] == '\0')
            fail_msg("%s: no hint: %s", name, aw_error_last()->message);
        check_counts(name, row, operation, LIES);
        check_afterwards(name, operation);
    }
}

static void
check_row(const struct row *row)
{
    check_lies(row);
    for (unsigned g = 0; g < table.group_count; g++) {
        for (unsigned c = 0; c < table.groups[g].count; c++) {
            const char *code = table.groups[g].codes[c];
            if (is_skipped(row, g, c))
                continue;
            const struct cell *cell = cell_of(row, g, code);
            check_case(row, "1:", code, cell);
            /* Where nothing is tried again, more of the same answer changes nothing. */
            if (c == 0 || strcmp(cell->once, cell->always) != 0)
                check_case(row, "*:", code, cell);
        }
        check_lost_answer(row, g, table.groups[g].codes[table.groups[g].count - 1]);
    }
}

/* A token for each row: SoftHSM goes on looking for the files of all objects that were ever
 * destroyed, so that the last rows on one token took fifty times as long as the first. */
static void
test_open_token(void **state)
{
    for (unsigned i = 0; i < table.row_count; i++) {
        if (operation_of(&table.rows[i])->closed)
            continue;
        check_row(&table.rows[i]);
        mock_world_teardown(state);
        mock_world_setup_ec(state);
        sample.size = 0;
    }
}

static void
test_opening(void **state)
{
    (void)state;
    for (unsigned i = 0; i < table.row_count; i++)
        if (operation_of(&table.rows[i])->closed)
            check_row(&table.rows[i]);
}

/* Completeness. */

static bool
has_row(const char *function)
{
    for (unsigned i = 0; i < table.row_count; i++)
        if (strcmp(table.rows[i].function, function) == 0)
            return true;
    return false;
}

static bool
is_of_probe(const char *function)
{
    for (unsigned i = 0; i < table.probe_count; i++)
        if (strcmp(table.probe[i], function) == 0)
            return true;
    return false;
}

static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Every name C_X in a source has its rows. Returns how many there are. */
static unsigned
check_source(const char *path, bool probe)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    unsigned found = 0;

    assert_ok(aw_file_read(path, 1 << 20, &text, &size));
    for (const char *at = strstr(text, "C_"); at != NULL; at = strstr(at + 2, "C_")) {
        char name[TEXT_MAX] = "";
        size_t length = 2;
        while (is_word(at[length]) && length < sizeof(name) - 1)
            length++;
        if (length == 2 || (at > text && is_word(at[-1])) || at[2] < 'A' || at[2] > 'Z')
            continue;
        memcpy(name, at, length);
        if (!has_row(name) && !(probe && is_of_probe(name)))
            fail_msg("%s calls %s, and tests/faults/answers.txt has no row for it", path, name);
        found++;
    }
    return found;
}

static void
test_every_function_has_its_rows(void **state)
{
    DIR *folder = opendir(PROJECT_SOURCE_DIR "/pkcs11");
    struct dirent *entry;
    char path[512];
    unsigned found = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        size_t length = strlen(entry->d_name);
        if (length < 3 || strcmp(entry->d_name + length - 2, ".c") != 0)
            continue;
        snprintf(path, sizeof(path), "%s/pkcs11/%s", PROJECT_SOURCE_DIR, entry->d_name);
        found += check_source(path, strncmp(entry->d_name, "probe", 5) == 0);
    }
    closedir(folder);
    assert_in_range(found, 40, 1000);
}

static unsigned
groups_with(const char *code)
{
    unsigned found = 0;

    for (unsigned g = 0; g < table.group_count; g++)
        for (unsigned c = 0; c < table.groups[g].count; c++)
            found += strcmp(table.groups[g].codes[c], code) == 0;
    return found;
}

static void
test_every_answer_is_in_one_group(void **state)
{
    unsigned known = 0;

    (void)state;
    for (unsigned long rv = 1; rv < 0x1000; rv++) {
        const char *name = token_ckr_name(rv);
        if (strncmp(name, "CKR_", 4) != 0)
            continue;
        if (groups_with(name) != 1)
            fail_msg("%s is in %u groups", name, groups_with(name));
        known++;
    }
    assert_in_range(known, 93, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_function_has_its_rows),
        cmocka_unit_test(test_every_answer_is_in_one_group),
        cmocka_unit_test_setup_teardown(test_open_token, mock_world_setup_ec, mock_world_teardown),
        cmocka_unit_test_setup_teardown(test_opening, mock_world_setup_closed, mock_world_teardown),
    };

    return cmocka_run_group_tests_name("token_answers", tests, answers_read, NULL);
}
