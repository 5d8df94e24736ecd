/* account show: one account, when its key was used last, and the CAA records that bind its domains
 * to it (RFC 8657). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/account.h"
#include "admin/account_use.h"
#include "common/io.h"
#include "common/log.h"

struct showing {
    const char *name;
    const cJSON *account;
    char issuer[256]; /* the CA's name in CAA records; empty: it told none */
    struct aw_config *config;
    struct admin_account_use use;
    bool use_known;                        /* the log could be read */
    char use_fault[AW_ERROR_MESSAGE_SIZE]; /* else why not */
};

/* The first of the names that the CA pinned told (RFC 8555 7.1.1). */
static aw_result
find_issuer(const struct admin_options *options, struct showing *showing)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *wanted = cJSON_GetStringValue(aw_json_member(showing->account, "ca"));
    const cJSON *ca = NULL;

    AW_TRY(admin_call_plain(options, "ListCas", &reply));
    cJSON_ArrayForEach(ca, aw_json_member(reply, "cas"))
    {
        const char *name = cJSON_GetStringValue(aw_json_member(ca, "name"));
        const char *told =
            cJSON_GetStringValue(aw_json_member(aw_json_member(ca, "pin"), "caaIdentities"));

        if (name != NULL && wanted != NULL && strcmp(name, wanted) == 0 && told != NULL)
            snprintf(
                showing->issuer, sizeof(showing->issuer), "%.*s", (int)strcspn(told, " "), told);
    }
    return AW_OK;
}

/* RFC 8657 3: accounturi is the account URL. Quotes and backslashes are in no URL that was checked.
 */
static aw_result
record_of(const struct showing *showing, const char *domain, char **out)
{
    const char *url = cJSON_GetStringValue(aw_json_member(showing->account, "url"));

    return aw_format(out, "%s. CAA 0 issue \"%s; accounturi=%s\"", domain, showing->issuer, url);
}

static bool
has_records(const struct showing *showing)
{
    const char *state = cJSON_GetStringValue(aw_json_member(showing->account, "state"));

    return showing->issuer[0] != '\0' && state != NULL && strcmp(state, "registered") == 0;
}

/* Calls back for each domain of the ceiling; addresses have no CAA records. */
static aw_result
each_record(const struct showing *showing, aw_result (*visit)(const char *record, void *context),
    void *context)
{
    const struct aw_config_account *configured =
        aw_config_find_account(showing->config, showing->name);

    for (size_t i = 0; has_records(showing) && configured != NULL && i < configured->ceiling_count;
         i++) {
        AW_CLEANUP(aw_free) char *record = NULL;

        if (strcmp(aw_name_type(&configured->ceiling[i]), "dns") != 0)
            continue;
        AW_TRY(record_of(showing, configured->ceiling[i].text, &record));
        AW_TRY(visit(record, context));
    }
    return AW_OK;
}

/* An administrator who may not read the log is shown the rest. */
static aw_result
find_use(struct showing *showing)
{
    AW_CLEANUP(aw_free) char *folder = NULL;

    AW_TRY(aw_path_join(showing->config->paths.state, "audit", &folder));
    showing->use_known = aw_ok(admin_account_use_find(folder, showing->name, &showing->use));
    if (!showing->use_known)
        snprintf(showing->use_fault, sizeof(showing->use_fault), "%s", aw_error_last()->message);
    return AW_OK;
}

/* What the log's files hold may be anybody's. */
static void
print_use(const struct showing *showing)
{
    const struct admin_account_use *use = &showing->use;
    char operation[256], application[256], time[32];

    if (!showing->use_known) {
        printf("  last use     unknown: %s\n", showing->use_fault);
    } else if (use->seq == 0) {
        printf("  last use     none on record%s\n",
            use->partial ? " in the segments that are here" : "");
    } else {
        aw_time_text(use->time, time);
        aw_log_escape(use->operation, strlen(use->operation), operation, sizeof(operation));
        aw_log_escape(use->application, strlen(use->application), application, sizeof(application));
        printf("  last use     %s, %s for %s, record %lld\n", time, operation,
            application[0] == '\0' ? "an administrator" : application, (long long)use->seq);
    }
}

static aw_result
add_use(const struct showing *showing, cJSON *object)
{
    const struct admin_account_use *use = &showing->use;

    if (!showing->use_known || use->seq == 0)
        return cJSON_AddNullToObject(object, "last_use") != NULL ? AW_OK : aw_fail_memory();
    cJSON *member = cJSON_AddObjectToObject(object, "last_use");
    if (member == NULL || !cJSON_AddNumberToObject(member, "time", (double)use->time) ||
        !cJSON_AddStringToObject(member, "operation", use->operation) ||
        !cJSON_AddNumberToObject(member, "record", (double)use->seq) ||
        (use->application[0] != '\0' &&
            !cJSON_AddStringToObject(member, "application", use->application)))
        return aw_fail_memory();
    return AW_OK;
}

static aw_result
print_record(const char *record, void *context)
{
    unsigned *count = context;

    if ((*count)++ == 0)
        puts("  CAA records that let no other account issue (RFC 8657; where the CA supports it):");
    printf("    %s\n", record);
    return AW_OK;
}

static aw_result
print(const struct showing *showing)
{
    unsigned count = 0;

    admin_account_print(showing->account);
    print_use(showing);
    AW_TRY(each_record(showing, print_record, &count));
    if (count == 0 && showing->issuer[0] == '\0')
        puts("  no CAA record: the CA's directory did not tell its name for them (caaIdentities) "
             "when it "
             "was pinned; ask the CA, and add \"accounturi=ACCOUNT-URL\" to its issue record; "
             "after a "
             "change of its directory: ca pin --replace");
    if (count > 0)
        puts("    they hold for names below too, where those have no CAA records; other CAs in use "
             "need "
             "issue records of their own; a new account needs new ones");
    return AW_OK;
}

static aw_result
add_record(const char *record, void *context)
{
    cJSON *item = cJSON_CreateString(record);

    return item != NULL && cJSON_AddItemToArray(context, item) ? AW_OK : aw_fail_memory();
}

static aw_result
print_json(const struct showing *showing)
{
    AW_CLEANUP(aw_json_free) cJSON *object = cJSON_Duplicate(showing->account, true);
    cJSON *list = object == NULL ? NULL : cJSON_AddArrayToObject(object, "caa");

    if (list == NULL)
        return aw_fail_memory();
    AW_TRY(each_record(showing, add_record, list));
    AW_TRY(add_use(showing, object));
    return admin_print_json(object);
}

aw_result
admin_account_show(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(aw_config_free) struct aw_config *config = NULL;
    struct showing showing = {.name = NULL};

    AW_TRY(admin_parse(argc, argv, NULL, 0, &showing.name, 1));
    AW_TRY(admin_account_find(options, showing.name, &reply, &showing.account));
    AW_TRY(find_issuer(options, &showing));
    AW_TRY(admin_config(options, &config));
    showing.config = config;
    AW_TRY(find_use(&showing));
    return options->json ? print_json(&showing) : print(&showing);
}
