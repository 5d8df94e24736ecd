/* policy check, show, explain: on the files, without signer or token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/policy_files.h"
#include "common/io.h"
#include "common/log.h"
#include "csr/csr.h"

/* What the calendar does to a policy that is in order. */
static bool
print_dates(const struct policy_application *application, void *context)
{
    const int64_t *now = context;
    char expires[32], until[32];

    aw_time_text(application->expires, expires);
    aw_time_text(application->warn_until, until);
    if (application->expires != 0 && application->expires <= *now)
        printf("%s: expired on %.10s: everything is refused\n", application->name, expires);
    else if (application->warn_until > *now)
        printf(
            "%s: refusals that may be are only recorded until %.10s\n", application->name, until);
    else if (application->warn_until != 0)
        printf("%s: warn_until ended on %.10s: refusals count\n", application->name, until);
    return true;
}

aw_result
admin_policy_check(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    struct policy_counts counts;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_policy_load(options, &loaded));
    policy_count(loaded.snapshot, &counts);
    printf("%zu applications (%zu inert), %zu names: in order\ndigest %s\n", counts.applications,
        counts.inert, counts.names, policy_digest(loaded.snapshot));
    policy_visit_all(loaded.snapshot, print_dates, &(int64_t){(int64_t)time(NULL)});
    return AW_OK;
}

static void
print_list(const char *title, const char *const *items, size_t count)
{
    if (count == 0)
        return;
    printf("  %-14s", title);
    for (size_t i = 0; i < count; i++)
        printf(" %s", items[i]);
    putchar('\n');
}

static void
print_day(const char *title, int64_t time)
{
    char text[32];

    if (time == 0)
        return;
    aw_time_text(time, text);
    printf("  %-14s %.10s\n", title, text);
}

/* One a line in the application, one after the other here. */
static void
print_principals(const char *principals)
{
    printf("  principals    ");
    for (const char *at = principals; *at != '\0'; at = strchr(at, '\n') + 1)
        printf(" %.*s%s", (int)strcspn(at, "\n"), at, strchr(at, '\n')[1] == '\0' ? "" : ",");
    putchar('\n');
}

static bool
print_application(const struct policy_application *application, void *context)
{
    (void)context;
    printf("%s%s  (%s)\n  owner          %s\n  account        %s\n", application->name,
        application->inert ? "  INERT: a user or group does not exist" : "", application->file,
        application->owner, application->account);
    print_principals(application->principals);
    print_list("exact", application->exact, application->exact_count);
    print_list("subdomains_of", application->subdomains_of, application->subdomains_count);
    print_list("wildcards_of", application->wildcards_of, application->wildcards_count);
    print_list("deny", application->deny, application->deny_count);
    print_list("addresses", application->addresses, application->addresses_count);
    print_list("profiles", application->profiles, application->profiles_count);
    printf("  operations    %s%s\n  keys          ", application->can_order ? " order" : "",
        application->can_revoke ? " revoke" : "");
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if ((application->keys >> i & 1) != 0)
            printf(" %s", policy_key_name((enum policy_key)i));
    printf("\n  limits         %lld names a certificate, %lld orders a day\n",
        (long long)application->names_per_certificate, (long long)application->orders_per_day);
    print_day("expires", application->expires);
    print_day("warn_until", application->warn_until);
    return true;
}

static aw_result
find_application(
    const struct admin_policy *loaded, const char *name, const struct policy_application **out)
{
    *out = policy_find(loaded->snapshot, name);
    if (*out == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no application \"%s\"", name),
            "policy show lists the applications of %s", loaded->config->paths.policies);
    return AW_OK;
}

aw_result
admin_policy_show(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    const struct policy_application *application = NULL;
    const char *name = NULL;
    const struct admin_option table[] = {{.name = "application", .value = &name}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(admin_policy_load(options, &loaded));
    if (name == NULL) {
        policy_visit_all(loaded.snapshot, print_application, NULL);
        return AW_OK;
    }
    AW_TRY(find_application(&loaded, name, &application));
    print_application(application, NULL);
    return AW_OK;
}

/* explain. */

struct explain_options {
    const char *application;
    const char *texts[POLICY_REQUEST_NAMES_MAX];
    size_t count;
    const char *csr;
    bool revoke;
};

static aw_result
parse_names(const struct explain_options *asked, struct aw_name *names)
{
    for (size_t i = 0; i < asked->count; i++) {
        const char *text = asked->texts[i];

        if (!aw_ok(aw_name_parse_address(text, strlen(text), &names[i])))
            AW_TRY(aw_context(aw_name_parse_file(text, strlen(text), &names[i]), "--name"));
    }
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
print_explanation(const struct admin_policy *loaded, const struct policy_application *application,
    const struct policy_request *request)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct policy_verdict verdict;
    int64_t now = (int64_t)time(NULL);

    AW_TRY(policy_explain(loaded->snapshot, application, request, now, &text));
    fputs(text, stdout);
    policy_decide_application(loaded->snapshot, application, request, now, &verdict);
    if (verdict.allowed)
        return AW_OK;
    aw_free(&text);
    AW_TRY(policy_refusal_text(&verdict, request, &text));
    return aw_fail(AW_CODE_REFUSED, "refused: %s", text);
}

static aw_result
explain(const struct admin_options *options, const struct explain_options *asked)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    AW_CLEANUP(aw_free) struct aw_name *names = calloc(POLICY_REQUEST_NAMES_MAX, sizeof(*names));
    AW_CLEANUP(csr_free) struct csr *csr = NULL;
    const struct policy_application *application = NULL;
    struct policy_request request = {.names = names,
        .name_count = asked->count,
        .operation = asked->revoke ? POLICY_REVOKE : POLICY_ORDER};

    if (names == NULL)
        return aw_fail_memory();
    AW_TRY(admin_policy_load(options, &loaded));
    AW_TRY(find_application(&loaded, asked->application, &application));
    AW_TRY(parse_names(asked, names));
    if (asked->csr != NULL) {
        AW_TRY(read_csr(asked->csr, &csr));
        request.names = csr->names;
        request.name_count = csr->name_count;
        request.has_key = true;
        request.key = (enum policy_key)csr->key;
    }
    return print_explanation(&loaded, application, &request);
}

aw_result
admin_policy_explain(const struct admin_options *options, int argc, char **argv)
{
    struct explain_options asked = {0};
    const struct admin_option table[] = {
        {.name = "application", .value = &asked.application},
        {.name = "name",
            .list = asked.texts,
            .list_count = &asked.count,
            .list_max = POLICY_REQUEST_NAMES_MAX},
        {.name = "csr", .value = &asked.csr},
        {.name = "revoke", .flag = &asked.revoke},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (asked.application == NULL)
        return aw_fail(AW_CODE_USAGE, "--application is needed; policy show lists them");
    if (asked.count == 0 && asked.csr == NULL && !asked.revoke)
        return aw_fail(AW_CODE_USAGE, "say what would be asked for: --name N or --csr FILE");
    if (asked.count > 0 && asked.csr != NULL)
        return aw_fail(AW_CODE_USAGE, "--name and --csr exclude each other: a CSR has its names");
    return explain(options, &asked);
}
