/* report: from policies and the audit log, without signer or token. */
#include "admin/report.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"

/* A certificate of 200 days is renewed after 133: its names are held by it meanwhile. */
enum { DAY = 24 * 3600, PERIOD_DAYS = 90 };

/* What the command line says. */
struct asked {
    const char *format, *since, *until, *policies, *hook;
    bool json;
};

static aw_result
check_section(const char *section)
{
    static const char *const sections[] = {
        "grants", "clients", "app_eabs", "certificates", "refusals", "unused"};

    for (size_t i = 0; i < AW_COUNT(sections); i++)
        if (section == NULL || strcmp(section, sections[i]) == 0)
            return AW_OK;
    return aw_fail(AW_CODE_USAGE,
        "--section: found \"%s\", expected grants, clients, app_eabs, certificates, refusals or "
        "unused",
        section);
}

static aw_result
read_period(const struct asked *asked, struct report_period *out)
{
    out->now = (int64_t)time(NULL);
    AW_TRY(admin_parse_time("until", asked->until, out->now, &out->until));
    AW_TRY(admin_parse_time(
        "since", asked->since, out->until - (int64_t)PERIOD_DAYS * DAY, &out->since));
    if (out->since > out->until)
        return aw_fail(AW_CODE_USAGE, "--since is after --until");
    return AW_OK;
}

/* A misspelt name would look like an application that may nothing. Of one whose policy is gone the
 * log may still tell. */
static aw_result
check_application(const struct report_data *data)
{
    const char *application = data->period.application;

    if (application == NULL || data->grants.user_count > 0 || data->log.certificate_count > 0 ||
        data->log.refusal_count > 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "neither policies nor log know an application \"%s\"",
                       application),
        "policy show lists them all");
}

static aw_result
collect(const struct admin_options *options, const struct asked *asked, struct admin_audit_log *log,
    struct report_data *data)
{
    AW_TRY(admin_policy_load(options, asked->policies, &data->policy));
    AW_TRY(report_grants_of(data->policy.snapshot, data->period.application, &data->grants));
    AW_TRY(admin_audit_log_find(options, log));
    AW_TRY(report_log_read(log, &data->period, &data->grants, &data->log));
    return check_application(data);
}

aw_result
admin_report(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(report_data_free) struct report_data data = {.section = NULL};
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = NULL};
    struct asked asked = {.json = options->json};
    enum report_format format = REPORT_FORMAT_TEXT;
    const struct admin_option table[] = {
        {.name = "format", .value = &asked.format},
        {.name = "section", .value = &data.section},
        {.name = "application", .value = &data.period.application},
        {.name = "since", .value = &asked.since},
        {.name = "until", .value = &asked.until},
        {.name = "mail-hook", .value = &asked.hook},
        {.name = "policies", .value = &asked.policies},
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "json", .flag = &asked.json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (asked.format != NULL || asked.json)
        AW_TRY(report_format_of(asked.format == NULL ? "json" : asked.format, &format));
    AW_TRY(check_section(data.section));
    AW_TRY(read_period(&asked, &data.period));
    AW_TRY(collect(options, &asked, &log, &data));
    if (asked.hook != NULL)
        return report_mail(&data, asked.hook);
    report_fill(&data, NULL, &page);
    return report_render(&page, format, stdout);
}
