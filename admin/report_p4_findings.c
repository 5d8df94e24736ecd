/* What a reviewer looks at first: what does not hold, and what could not be shown. */
#include <string.h>

#include "admin/report_p4.h"
#include "common/io.h"

enum { DAY = 24 * 3600, PROBE_DAYS_MAX = 366 };

static const struct report_column columns[] = {
    {"about", "about", REPORT_TEXT},
    {"finding", "finding", REPORT_TEXT},
};

static const struct report_section section = {.key = "findings",
    .title = "What does not hold, or was not shown",
    .columns = columns,
    .column_count = AW_COUNT(columns)};

static const char *
text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));

    return text == NULL ? "" : text;
}

static void
find(struct report_page *page, const char *about, const char *finding)
{
    report_text(page, about);
    report_text(page, finding);
}

static void
find_if(struct report_page *page, bool wrong, const char *about, const char *finding)
{
    if (wrong)
        find(page, about, finding);
}

static void
check_keys(const struct p4 *p4, struct report_page *page)
{
    const cJSON *object = NULL;

    cJSON_ArrayForEach(object, aw_json_member(p4->token, "objects"))
    {
        const char *label = text_of(object, "label");

        find_if(page, admin_true(object, "value_readable"), label,
            "the token gives out this key's value");
        if (text_of(object, "faults")[0] != '\0')
            find(page, label, text_of(object, "faults"));
    }
}

static void
check_token(const struct p4 *p4, struct report_page *page)
{
    const cJSON *token = aw_json_member(p4->token, "token");

    if (!admin_true(p4->status, "token_healthy"))
        find(page, "token", text_of(p4->status, "token_message"));
    if (text_of(token, "pin_faults")[0] != '\0')
        find(page, "PIN", text_of(token, "pin_faults"));
}

static void
check_probe(const struct p4 *p4, struct report_page *page)
{
    const cJSON *token = aw_json_member(p4->token, "token");

    if (p4->probe == NULL) {
        find(page, "probe", "never made: acmeward-signer --probe-token, with the signer stopped");
        return;
    }
    find_if(page, strcmp(text_of(p4->probe, "serial"), text_of(token, "serial")) != 0, "probe",
        "was of a token with another serial number");
    find_if(page, p4->now - admin_number(p4->probe, "probed_at") > (int64_t)PROBE_DAYS_MAX * DAY,
        "probe", "is older than a year");
    find_if(page, !admin_true(p4->probe, "holds"), "probe",
        "the token did not enforce all that must hold");
    find_if(page, text_of(p4->probe, "left_behind")[0] != '\0', "probe",
        "the token did not destroy its throw-away keys");
}

static void
check_log(const struct p4 *p4, struct report_page *page)
{
    find_if(page, p4->damage[0] != '\0', "audit log", p4->damage);
    find_if(page, !admin_true(p4->status, "audit_healthy"), "audit log",
        "can't be written to: nothing is signed");
    find_if(page, p4->damage[0] == '\0' && p4->verdict.absent > 0, "audit log",
        "not verified in full: segments are not at hand");
    find_if(page, p4->checkpoints == 0, "audit log",
        "has no checkpoint: nothing signed tells of its head (acmeward-admin audit key create)");
    if (text_of(p4->status, "checkpoint_message")[0] != '\0')
        find(page, "checkpoints", text_of(p4->status, "checkpoint_message"));
    if (text_of(p4->status, "export_message")[0] != '\0')
        find(page, "checkpoints", text_of(p4->status, "export_message"));
    if (text_of(p4->status, "forward_message")[0] != '\0')
        find(page, "forwarding", text_of(p4->status, "forward_message"));
}

static void
check_rest(const struct p4 *p4, struct report_page *page)
{
    const cJSON *sandbox = aw_json_member(p4->status, "sandbox"), *ca = NULL;

    find_if(page, !admin_true(sandbox, "seccomp"), "sandbox", "system calls are not limited");
    find_if(page, admin_number(sandbox, "landlock") == 0, "sandbox", "files are not limited");
    cJSON_ArrayForEach(ca, aw_json_member(p4->status, "unverified_cas")) find(
        page, cJSON_GetStringValue(ca), "no issuers are pinned: certificates are not verified");
}

void
p4_fill_findings(const struct p4 *p4, struct report_page *page)
{
    report_begin(page, &section);
    check_token(p4, page);
    check_keys(p4, page);
    check_probe(p4, page);
    check_log(p4, page);
    check_rest(p4, page);
}
