/* report p4: collects the evidence. */
#include "admin/report_p4.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"

enum { PROBE_SIZE_MAX = 256 * 1024, KEY_SIZE = 300 };

/* When something was last used. */
struct use {
    char key[KEY_SIZE]; /* "account NAME", "eab kid KID" */
    int64_t last;
};

static int
by_key(const void *left, const void *right)
{
    const struct use *a = left, *b = right;

    return strcmp(a->key, b->key);
}

void
p4_free(struct p4 *p4)
{
    admin_policy_free(&p4->policy);
    aw_json_free(&p4->status);
    aw_json_free(&p4->token);
    aw_json_free(&p4->accounts);
    aw_json_free(&p4->probe);
    tdestroy(p4->uses, free);
    p4->uses = NULL;
}

/* Last uses. */

static aw_result
note_use(struct p4 *p4, const char *what, const char *name, int64_t time)
{
    struct use *use = calloc(1, sizeof(*use));

    if (use == NULL)
        return aw_fail_memory();
    snprintf(use->key, sizeof(use->key), "%s %s", what, name);
    use->last = time;
    struct use *const *found = tsearch(use, &p4->uses, by_key);
    if (found == NULL || *found != use)
        free(use);
    if (found == NULL)
        return aw_fail_memory();
    if ((*found)->last < time)
        (*found)->last = time;
    return AW_OK;
}

static int64_t
find_use(const struct p4 *p4, const char *what, const char *name)
{
    struct use wanted = {.last = 0};

    snprintf(wanted.key, sizeof(wanted.key), "%s %s", what, name);
    const void *found = tfind(&wanted, &p4->uses, by_key);
    return found == NULL ? 0 : (*(const struct use *const *)found)->last;
}

static aw_result
take_record(const struct audit_record *record, void *context)
{
    const struct audit_entry *entry = &record->entry;
    struct p4 *p4 = context;

    if (entry->verdict == NULL || strcmp(entry->verdict, "refuse") == 0)
        return AW_OK;
    /* Its message is "kid KID" where a binding was made (signer/admin_account.c). */
    if (entry->kind == AUDIT_ADMIN && entry->operation != NULL &&
        strcmp(entry->operation, "new-account") == 0 && entry->message != NULL)
        AW_TRY(note_use(p4, "eab", entry->message, entry->time));
    if (entry->account != NULL && entry->input != NULL)
        return note_use(p4, "account", entry->account, entry->time);
    return AW_OK;
}

/* Labels are those of signer/accounts.h, checkpoints.c and admin.h: "acmeward-account:NAME" and
 * ":NUMBER" after a key change, "acmeward-eab:CA:KID", "acmeward-audit:NAME", "acmeward-wrapping".
 */
int64_t
p4_last_use(const struct p4 *p4, const char *label)
{
    char name[KEY_SIZE];
    const char *rest = strchr(label, ':');

    if (rest == NULL)
        return 0;
    rest++;
    if (strncmp(label, "acmeward-account:", strlen("acmeward-account:")) == 0) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(rest, ":"), rest);
        return find_use(p4, "account", name);
    }
    if (strncmp(label, "acmeward-audit:", strlen("acmeward-audit:")) == 0)
        return admin_number(p4->status, "checkpoint_at");
    if (strncmp(label, "acmeward-eab:", strlen("acmeward-eab:")) != 0 || strchr(rest, ':') == NULL)
        return 0;
    snprintf(name, sizeof(name), "kid %.200s", strchr(rest, ':') + 1);
    return find_use(p4, "eab", name);
}

/* Files. */

static aw_result
read_probe(struct p4 *p4)
{
    AW_CLEANUP(aw_free) char *path = NULL, *text = NULL;
    size_t size = 0;

    AW_TRY(aw_path_join(p4->policy.config->paths.state, P4_PROBE_NAME, &path));
    aw_result r = aw_file_read(path, PROBE_SIZE_MAX, &text, &size);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    return aw_context(aw_json_parse(text, size, AW_JSON_STRICT, &p4->probe), "%s", path);
}

static aw_result
take_checkpoint(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    struct p4 *p4 = context;

    (void)note;
    p4->checkpoint = *checkpoint;
    p4->checkpoints++;
    return AW_OK;
}

static aw_result
verify_log(struct admin_audit_log *log, struct p4 *p4)
{
    AW_CLEANUP(aw_free) struct audit_expected *expected = NULL;
    struct audit_stored stored;
    size_t count = 0;

    AW_TRY(audit_stored_read(log->folder, take_checkpoint, p4, &stored));
    AW_TRY(audit_stored_heads(log->folder, &expected, &count));
    AW_TRY(audit_verify_source(&log->source, expected, count, &p4->verdict));
    return audit_read_source(&log->source, 1, take_record, p4);
}

/* A damaged log is evidence too. */
static aw_result
read_log(const struct admin_options *options, struct admin_audit_log *log, struct p4 *p4)
{
    AW_TRY(admin_audit_log_find(options, log));
    aw_result r = verify_log(log, p4);
    if (r.code != AW_CODE_CORRUPT && r.code != AW_CODE_MISMATCH)
        return r;
    snprintf(p4->damage, sizeof(p4->damage), "%s", aw_error_last()->message);
    return AW_OK;
}

aw_result
p4_collect(const struct admin_options *options, struct admin_audit_log *log, struct p4 *out)
{
    out->now = (int64_t)time(NULL);
    AW_TRY(admin_policy_load(options, NULL, &out->policy));
    AW_TRY(admin_call_plain(options, "GetStatus", &out->status));
    AW_TRY(admin_call_plain(options, "ExamineToken", &out->token));
    AW_TRY(admin_call_plain(options, "ListAccounts", &out->accounts));
    AW_TRY(read_probe(out));
    return read_log(options, log, out);
}

aw_result
admin_report_p4(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(report_page_free) struct report_page page = {.title = NULL};
    AW_CLEANUP(p4_free) struct p4 p4 = {.status = NULL};
    enum report_format format = REPORT_FORMAT_TEXT;
    const char *name = NULL;
    bool json = options->json;
    const struct admin_option table[] = {
        {.name = "format", .value = &name},
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "json", .flag = &json},
    };

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    if (name != NULL || json)
        AW_TRY(report_format_of(name == NULL ? "json" : name, &format));
    AW_TRY(p4_collect(options, &log, &p4));
    p4_fill(&p4, &page);
    return report_render(&page, format, stdout);
}
