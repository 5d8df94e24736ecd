/* policy explain: the path to a verdict, for what a request would ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/policy_files.h"
#include "common/io.h"
#include "csr/csr.h"

/* What is asked, as it was typed. */
struct explain_options {
    const char *application;
    const char *policies;
    const char *texts[POLICY_REQUEST_NAMES_MAX];
    size_t count;
    const char *csr;
    const char *key;
    const char *profile;
    const char *on;
    bool revoke;
    bool json;
};

/* What is asked, as a request. */
struct asked {
    struct aw_name *names;
    struct csr *csr;
    struct policy_request request;
    int64_t now;
};

static void
asked_free(struct asked *asked)
{
    free(asked->names);
    csr_free(&asked->csr);
}

static aw_result
parse_names(const struct explain_options *options, struct asked *out)
{
    out->names = calloc(POLICY_REQUEST_NAMES_MAX, sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < options->count; i++)
        AW_TRY(admin_parse_name("name", options->texts[i], &out->names[i]));
    out->request.names = out->names;
    out->request.name_count = options->count;
    return AW_OK;
}

static aw_result
parse_key(const char *text, struct policy_request *out)
{
    unsigned key = 0;

    while (key < POLICY_KEY_COUNT && strcmp(policy_key_name((enum policy_key)key), text) != 0)
        key++;
    if (key == POLICY_KEY_COUNT)
        return aw_fail(
            AW_CODE_USAGE, "--key-type: found \"%s\", expected a key type such as ec-p256", text);
    out->has_key = true;
    out->key = (enum policy_key)key;
    return AW_OK;
}

/* A CSR in PEM or DER; the grammar's own refusal is part of the explanation. */
static aw_result
read_csr(const char *path, struct csr **out)
{
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    char rule[CSR_RULE_SIZE] = "";
    size_t size = 0, der_size = 0;

    AW_TRY(aw_file_read(path, 2 * CSR_SIZE_MAX, &text, &size));
    AW_TRY(aw_context(csr_from_text(text, size, &der, &der_size), "%s", path));
    aw_result r = csr_parse(der, der_size, NULL, NULL, rule, out);
    if (r.code == AW_CODE_SYNTAX)
        return aw_fail(AW_CODE_REFUSED, "refused: %s (rule %s)", aw_error_last()->message, rule);
    return r;
}

static aw_result
make_request(const struct explain_options *options, struct asked *out)
{
    out->request.operation = options->revoke ? POLICY_REVOKE : POLICY_ORDER;
    out->request.profile = options->profile;
    AW_TRY(admin_parse_time("on", options->on, (int64_t)time(NULL), &out->now));
    AW_TRY(parse_names(options, out));
    if (options->key != NULL)
        AW_TRY(parse_key(options->key, &out->request));
    if (options->csr == NULL)
        return AW_OK;
    AW_TRY(read_csr(options->csr, &out->csr));
    out->request.names = out->csr->names;
    out->request.name_count = out->csr->name_count;
    out->request.has_key = true;
    out->request.key = (enum policy_key)out->csr->key;
    return AW_OK;
}

/* The path line by line, as it is printed for people. */
static void
write_path(struct aw_json_writer *w, char *text)
{
    char *rest = NULL;

    aw_json_name(w, "path");
    aw_json_begin_array(w);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        aw_json_write_string(w, line);
    aw_json_end_array(w);
}

/* The members of an expectation, and what explains them. `text` is taken to pieces. */
static aw_result
print_json(const struct policy_verdict *verdict, const char *reason, char *text)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "application", verdict->application->name);
    aw_json_pair(&w, "verdict", !verdict->allowed ? "refuse" : verdict->warned ? "warn" : "permit");
    aw_json_pair(&w, "rule", policy_rule_tag(verdict->rule));
    aw_json_pair(&w, "name", verdict->name == NULL ? NULL : verdict->name->text);
    aw_json_pair(&w, "matched", verdict->matched);
    aw_json_pair(&w, "other", verdict->other);
    aw_json_pair(&w, "reason", reason);
    write_path(&w, text);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

static aw_result
print_explanation(const struct admin_policy *loaded, const struct policy_application *application,
    const struct asked *asked, bool json)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) char *reason = NULL;
    struct policy_verdict verdict;

    AW_TRY(policy_explain(loaded->snapshot, application, &asked->request, asked->now, &text));
    policy_decide_application(loaded->snapshot, application, &asked->request, asked->now, &verdict);
    if (verdict.warned)
        AW_TRY(policy_warning_text(&verdict, &asked->request, &reason));
    if (!verdict.allowed)
        AW_TRY(policy_refusal_text(&verdict, &asked->request, &reason));
    if (json)
        AW_TRY(print_json(&verdict, reason, text));
    else
        fputs(text, stdout);
    return verdict.allowed ? AW_OK : aw_fail(AW_CODE_REFUSED, "refused: %s", reason);
}

static aw_result
check_options(const struct explain_options *options)
{
    if (options->application == NULL)
        return aw_fail(AW_CODE_USAGE, "--application is needed; policy show lists them");
    if (options->count == 0 && options->csr == NULL && !options->revoke)
        return aw_fail(AW_CODE_USAGE, "say what would be asked for: --name N or --csr FILE");
    if (options->csr != NULL && (options->count > 0 || options->key != NULL))
        return aw_fail(
            AW_CODE_USAGE, "--csr excludes --name and --key-type: a CSR has its names and its key");
    return AW_OK;
}

aw_result
admin_policy_explain(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    AW_CLEANUP(asked_free) struct asked asked = {0};
    const struct policy_application *application = NULL;
    struct explain_options typed = {.json = options->json};
    const struct admin_option table[] = {
        {.name = "application", .value = &typed.application},
        {.name = "policies", .value = &typed.policies},
        {.name = "name",
            .list = typed.texts,
            .list_count = &typed.count,
            .list_max = POLICY_REQUEST_NAMES_MAX},
        {.name = "csr", .value = &typed.csr},
        {.name = "key-type", .value = &typed.key},
        {.name = "profile", .value = &typed.profile},
        {.name = "on", .value = &typed.on},
        {.name = "revoke", .flag = &typed.revoke},
        {.name = "json", .flag = &typed.json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(check_options(&typed));
    AW_TRY(make_request(&typed, &asked));
    AW_TRY(admin_policy_load(options, typed.policies, &loaded));
    AW_TRY(admin_policy_find(&loaded, typed.application, &application));
    return print_explanation(&loaded, application, &asked, typed.json);
}
