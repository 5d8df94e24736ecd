#include "policy/expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "policy/words.h"

/* A day that no file can mean. */
#define NO_DAY INT64_MIN

/* Verdicts by the words of the records. */
enum verdict { VERDICT_PERMIT, VERDICT_WARN, VERDICT_REFUSE };

static const char *const verdict_words[] = {"permit", "warn", "refuse", NULL};

static const char *const key_words[] = {
#define KEY_WORD(name, text) text,
    POLICY_KEYS(KEY_WORD)
#undef KEY_WORD
        NULL};

/* A row as it is written. */
struct row {
    char *name;
    char *application;
    struct {
        struct aw_yaml_strings names;
        int key; /* -1: none */
        char *profile;
        bool revoke;
        bool validity;
        int64_t on; /* NO_DAY: none */
    } request;
    int verdict;
    char *rule;
    aw_yaml_node rule_place;
};

#define AT(field) (offsetof(struct row, request.field) - offsetof(struct row, request))
static const struct aw_yaml_field request_fields[] = {
    {.name = "names", .kind = AW_YAML_STRINGS, .offset = AT(names), .min = 1},
    {.name = "key", .kind = AW_YAML_ENUM, .offset = AT(key), .choices = key_words},
    {.name = "profile", .kind = AW_YAML_STRING, .offset = AT(profile)},
    {.name = "revoke", .kind = AW_YAML_BOOL, .offset = AT(revoke)},
    {.name = "validity", .kind = AW_YAML_BOOL, .offset = AT(validity)},
    {.name = "on", .kind = AW_YAML_DATE, .offset = AT(on)},
    {.name = NULL},
};
#undef AT

#define AT(field) offsetof(struct row, field)
static const struct aw_yaml_field row_fields[] = {
    {.name = "name", .kind = AW_YAML_STRING, .offset = AT(name)},
    {.name = "application", .kind = AW_YAML_STRING, .offset = AT(application), .required = true},
    {.name = "request",
        .kind = AW_YAML_MAPPING,
        .offset = AT(request),
        .required = true,
        .fields = request_fields},
    {.name = "verdict",
        .kind = AW_YAML_ENUM,
        .offset = AT(verdict),
        .required = true,
        .choices = verdict_words},
    {.name = "rule", .kind = AW_YAML_STRING, .offset = AT(rule), .place = AT(rule_place)},
    {.name = NULL},
};
#undef AT

struct document {
    struct aw_yaml_items expectations;
};

static const struct aw_yaml_field document_fields[] = {
    {.name = "expectations",
        .kind = AW_YAML_LIST,
        .offset = offsetof(struct document, expectations),
        .required = true,
        .min = 1},
    {.name = NULL},
};

/* A file while it is read and asked. */
struct sheet {
    const policy_snapshot *snapshot;
    int64_t now;
    struct aw_faults *faults;
    const struct policy_expect_to *to;
    struct row *rows;
    const aw_yaml_node *places;
    size_t count;
};

static void
sheet_free(struct sheet *sheet)
{
    for (size_t i = 0; i < sheet->count && sheet->rows != NULL; i++)
        aw_yaml_release(row_fields, &sheet->rows[i]);
    free(sheet->rows);
}

static void
document_free(struct document *document)
{
    aw_yaml_release(document_fields, document);
}

/* Reading. */

static bool
is_rule(const char *tag)
{
    for (int rule = 0; rule < POLICY_RULE_COUNT; rule++)
        if (strcmp(policy_rule_tag((enum policy_rule)rule), tag) == 0)
            return true;
    return false;
}

static aw_result
parse_name(const struct aw_yaml_string *entry, struct aw_name *out)
{
    size_t length = strlen(entry->text);

    if (aw_ok(aw_name_parse_address(entry->text, length, out)))
        return AW_OK;
    return aw_name_parse_file(entry->text, length, out);
}

static void
fault(aw_yaml_node node, struct aw_faults *faults, const char *message)
{
    char path[128];

    aw_yaml_path(node, path, sizeof(path));
    aw_yaml_fault(node, faults, "%s: %s", path, message);
}

static void
check_row(const struct row *row, struct aw_faults *faults)
{
    char message[256];

    for (size_t i = 0; i < row->request.names.count; i++) {
        struct aw_name name;

        if (!aw_ok(parse_name(&row->request.names.items[i], &name)))
            fault(row->request.names.items[i].node, faults, aw_error_last()->message);
    }
    if (row->rule == NULL || is_rule(row->rule))
        return;
    snprintf(message, sizeof(message), "found \"%.64s\", expected a rule, such as %s or %s",
        row->rule, policy_rule_tag(POLICY_RULE_NAMES_EXACT),
        policy_rule_tag(POLICY_RULE_NAMES_NONE));
    fault(row->rule_place, faults, message);
}

static aw_result
read_rows(struct sheet *sheet, const struct aw_yaml_items *items)
{
    sheet->rows = calloc(items->count + 1, sizeof(*sheet->rows));
    if (sheet->rows == NULL)
        return aw_fail_memory();
    sheet->places = items->items;
    sheet->count = items->count;
    for (size_t i = 0; i < items->count; i++) {
        sheet->rows[i].request.key = -1;
        sheet->rows[i].request.on = NO_DAY;
        aw_yaml_read_mapping(items->items[i], row_fields, &sheet->rows[i], sheet->faults);
        check_row(&sheet->rows[i], sheet->faults);
    }
    return AW_OK;
}

/* Asking. */

/* "revoke a.example.edu, b.example.edu, key ec-p256" for a row without a name. */
static aw_result
describe(const struct row *row, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};
    size_t count = row->request.names.count;

    AW_TRY(policy_words_open(&words));
    fputs(policy_operation_name(row->request.revoke ? POLICY_REVOKE : POLICY_ORDER), words.stream);
    for (size_t i = 0; i < count && i < POLICY_ALLOWED_SHOWN; i++)
        fprintf(words.stream, "%s %s", i > 0 ? "," : "", row->request.names.items[i].text);
    if (count > POLICY_ALLOWED_SHOWN)
        fprintf(words.stream, " and %zu more", count - POLICY_ALLOWED_SHOWN);
    if (row->request.key >= 0)
        fprintf(words.stream, ", key %s", key_words[row->request.key]);
    if (row->request.profile != NULL)
        fprintf(words.stream, ", profile %s", row->request.profile);
    if (row->request.validity)
        fputs(", validity", words.stream);
    if (row->request.on != NO_DAY) {
        fputs(", on ", words.stream);
        policy_words_day(words.stream, row->request.on);
    }
    return policy_words_finish(&words, out);
}

static enum verdict
verdict_of(const struct policy_verdict *verdict)
{
    if (!verdict->allowed)
        return VERDICT_REFUSE;
    return verdict->warned ? VERDICT_WARN : VERDICT_PERMIT;
}

/* A name that is misspelt is refused everything: that is expected only where the row says so. */
static bool
is_met(const struct row *row, const struct policy_verdict *verdict)
{
    const char *tag = policy_rule_tag(verdict->rule);

    if ((int)verdict_of(verdict) != row->verdict)
        return false;
    if (row->rule == NULL)
        return verdict->rule != POLICY_RULE_APPLICATION_UNKNOWN;
    return strcmp(row->rule, tag) == 0;
}

static aw_result
explain(const struct row *row, const struct policy_request *request,
    const struct policy_verdict *verdict, char **out)
{
    if (verdict->rule == POLICY_RULE_APPLICATION_UNKNOWN)
        return aw_format(out,
            "there is no application %s; if that is what is meant, expect the rule %s",
            row->application, policy_rule_tag(verdict->rule));
    if (verdict->warned)
        return policy_warning_text(verdict, request, out);
    return verdict->allowed ? AW_OK : policy_refusal_text(verdict, request, out);
}

static aw_result
tell(const struct sheet *sheet, size_t number, const struct policy_request *request,
    const struct policy_verdict *verdict)
{
    const struct row *row = &sheet->rows[number];
    AW_CLEANUP(aw_free) char *asked = NULL;
    AW_CLEANUP(aw_free) char *reason = NULL;
    struct policy_outcome outcome = {.file = aw_yaml_name(sheet->places[number].yaml),
        .line = sheet->places[number].line,
        .column = sheet->places[number].column,
        .application = row->application,
        .expected = verdict_words[row->verdict],
        .expected_rule = row->rule,
        .found = verdict_words[verdict_of(verdict)],
        .found_rule = policy_rule_tag(verdict->rule),
        .passed = is_met(row, verdict)};

    AW_TRY(describe(row, &asked));
    AW_TRY(explain(row, request, verdict, &reason));
    outcome.name = row->name == NULL ? asked : row->name;
    outcome.reason = reason;
    sheet->to->visit(&outcome, sheet->to->context);
    return AW_OK;
}

static aw_result
ask(const struct sheet *sheet, size_t number)
{
    const struct row *row = &sheet->rows[number];
    AW_CLEANUP(aw_free)
    struct aw_name *names = calloc(row->request.names.count + 1, sizeof(*names));
    struct policy_request request = {
        .operation = row->request.revoke ? POLICY_REVOKE : POLICY_ORDER,
        .application = row->application,
        .names = names,
        .name_count = row->request.names.count,
        .has_key = row->request.key >= 0,
        .key = (enum policy_key)row->request.key,
        .profile = row->request.profile,
        .has_validity = row->request.validity,
    };
    struct policy_verdict verdict;

    if (names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < row->request.names.count; i++)
        AW_TRY(parse_name(&row->request.names.items[i], &names[i]));
    policy_decide_application(sheet->snapshot, policy_find(sheet->snapshot, row->application),
        &request, row->request.on == NO_DAY ? sheet->now : row->request.on, &verdict);
    return tell(sheet, number, &request, &verdict);
}

aw_result
policy_expect(const policy_snapshot *snapshot, const char *path, int64_t now,
    struct aw_faults *faults, const struct policy_expect_to *to)
{
    AW_CLEANUP(aw_yaml_free) aw_yaml *yaml = NULL;
    AW_CLEANUP(document_free) struct document document = {0};
    AW_CLEANUP(sheet_free)
    struct sheet sheet = {.snapshot = snapshot, .now = now, .faults = faults, .to = to};
    size_t before = faults->total;

    AW_TRY(aw_yaml_load(path, faults, &yaml));
    aw_yaml_read_mapping(aw_yaml_root(yaml), document_fields, &document, faults);
    AW_TRY(read_rows(&sheet, &document.expectations));
    if (faults->total > before)
        return aw_faults_result(faults);
    for (size_t i = 0; i < sheet.count; i++)
        AW_TRY(ask(&sheet, i));
    return AW_OK;
}
