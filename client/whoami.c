#include "client/whoami.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/output.h"
#include "common/io.h"

enum {
    USER_BUFFER = 16 * 1024,
    GROUPS_SHOWN = 16, /* of this process, in the text for a user whom no policy names */
};

static const char *
user_name(uid_t uid, char *buffer, size_t size)
{
    struct passwd entry, *result = NULL;

    return getpwuid_r(uid, &entry, buffer, size, &result) == 0 && result != NULL ? entry.pw_name
                                                                                 : "?";
}

static const char *
group_name(gid_t gid, char *buffer, size_t size)
{
    struct group entry, *result = NULL;

    return getgrgid_r(gid, &entry, buffer, size, &result) == 0 && result != NULL ? entry.gr_name
                                                                                 : "?";
}

/* Puts ", text" behind what *list holds. */
static aw_result
append(char **list, const char *text)
{
    AW_CLEANUP(aw_free) char *before = AW_MOVE(*list);

    return aw_format(list, "%s%s%s", before, before[0] == '\0' ? "" : ", ", text);
}

static aw_result
groups_text(char **out)
{
    AW_CLEANUP(aw_free) char *buffer = malloc(USER_BUFFER);
    int most = getgroups(0, NULL); /* with room for fewer it tells none */
    AW_CLEANUP(aw_free) gid_t *groups = calloc(most > 0 ? (size_t)most : 1, sizeof(*groups));

    if (buffer == NULL || groups == NULL)
        return aw_fail_memory();
    int count = most > 0 ? getgroups(most, groups) : 0;
    AW_TRY(aw_format(out, "%s", group_name(getegid(), buffer, USER_BUFFER)));
    for (int i = 0; i < count && i < GROUPS_SHOWN; i++)
        if (groups[i] != getegid())
            AW_TRY(append(out, group_name(groups[i], buffer, USER_BUFFER)));
    return count > GROUPS_SHOWN ? append(out, "...") : AW_OK;
}

/* No refusal: a signer that is full or about to stop closes connections too. */
static aw_result
unknown_user(enum aw_code code, const char *what)
{
    AW_CLEANUP(aw_free) char *buffer = malloc(USER_BUFFER);
    AW_CLEANUP(aw_free) char *groups = NULL;

    if (buffer == NULL)
        return aw_fail_memory();
    AW_TRY(groups_text(&groups));
    const char *user = user_name(geteuid(), buffer, USER_BUFFER);
    aw_result r = aw_fail(code, "%s: no policy names user %s (uid %u) or one of its groups (%s)",
        what, user, (unsigned)geteuid(), groups);
    return aw_hint(r,
        "ask an administrator of the signer to put \"user: %s\", or one of these groups, under "
        "principals in a file of policy.d; if one of them is there already, the signer may be "
        "restarting, or too many connections of this user be open: try again",
        user);
}

static aw_result
read_directory(struct whoami_application *a)
{
    const cJSON *directory = aw_json_member(a->json, "directory");

    if (directory == NULL || cJSON_IsNull(directory))
        return AW_OK;
    AW_TRY(aw_json_string(directory, "ca", WHOAMI_TEXT_MAX, &a->ca));
    AW_TRY(aw_json_string(directory, "directory", WHOAMI_TEXT_MAX, &a->directory));
    AW_TRY(aw_json_string(directory, "newNonce", WHOAMI_TEXT_MAX, &a->new_nonce));
    return aw_json_optional_string(directory, "revokeCert", WHOAMI_TEXT_MAX, &a->revoke_cert);
}

static aw_result
read_limits(struct whoami_application *a)
{
    const int64_t max = INT64_C(1) << 53;
    const cJSON *limits;

    AW_TRY(aw_json_object(a->json, "limits", &limits));
    AW_TRY(aw_json_integer(limits, "names_per_certificate", 0, max - 1, &a->names_per_certificate));
    AW_TRY(aw_json_integer(limits, "orders_per_day", 0, max - 1, &a->orders_per_day));
    AW_TRY(aw_json_integer(limits, "orders_today", 0, max - 1, &a->orders_today));
    AW_TRY(aw_json_integer(limits, "revocations_per_day", 0, max - 1, &a->revocations_per_day));
    AW_TRY(aw_json_integer(limits, "revocations_today", 0, max - 1, &a->revocations_today));
    AW_TRY(aw_json_optional_integer(a->json, "expires", 0, max - 1, &a->expires));
    return aw_json_optional_integer(a->json, "warn_until", 0, max - 1, &a->warn_until);
}

static aw_result
read_application(struct whoami_application *a)
{
    const cJSON *ignored;

    AW_TRY(aw_json_string(a->json, "name", WHOAMI_TEXT_MAX, &a->name));
    AW_TRY(aw_json_string(a->json, "owner", WHOAMI_TEXT_MAX, &a->owner));
    AW_TRY(aw_json_string(a->json, "account", WHOAMI_TEXT_MAX, &a->account));
    AW_TRY(aw_json_string(a->json, "state", WHOAMI_TEXT_MAX, &a->state));
    AW_TRY(aw_json_optional_string(a->json, "account_url", WHOAMI_TEXT_MAX, &a->account_url));
    AW_TRY(aw_json_optional_string(a->json, "thumbprint", WHOAMI_TEXT_MAX, &a->thumbprint));
    AW_TRY(aw_json_object(a->json, "names", &ignored));
    AW_TRY(aw_json_array(a->json, "keys", 0, AW_JSON_MAX_NODES, &ignored));
    AW_TRY(aw_json_array(a->json, "operations", 0, AW_JSON_MAX_NODES, &ignored));
    AW_TRY(read_limits(a));
    return read_directory(a);
}

static aw_result
read_all(struct whoami *w)
{
    const cJSON *list;

    AW_TRY(aw_json_integer(w->reply, "uid", 0, UINT32_MAX, &w->uid));
    AW_TRY(aw_json_string(w->reply, "user", WHOAMI_TEXT_MAX, &w->user));
    AW_TRY(aw_json_optional_bool(w->reply, "frozen", &w->frozen));
    AW_TRY(aw_json_array(w->reply, "applications", 0, AW_JSON_MAX_NODES, &list));
    w->applications = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*w->applications));
    if (w->applications == NULL)
        return aw_fail_memory();
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        w->applications[w->count].json = item;
        AW_TRY(read_application(&w->applications[w->count]));
        w->count++;
    }
    return AW_OK;
}

aw_result
whoami_read(cJSON *reply, struct whoami *out)
{
    AW_CLEANUP(whoami_free) struct whoami w = {.reply = reply};

    AW_TRY(aw_context(read_all(&w), "the signer's answer to WhoAmI"));
    *out = w;
    memset(&w, 0, sizeof(w));
    return AW_OK;
}

/* The signer drops uids that no policy names when they connect, without a word. */
static bool
was_turned_away(const signer_link *link)
{
    const struct aw_error *error = aw_error_last();

    return signer_link_refusal(link)->error == NULL && error->code == AW_CODE_UNAVAILABLE &&
           strstr(error->hint, "no policy names") != NULL;
}

aw_result
whoami_ask(signer_link *link, struct whoami *out)
{
    cJSON *reply = NULL;
    aw_result r = signer_link_call(link, "WhoAmI", "{}", &reply);

    if (!aw_ok(r) && was_turned_away(link))
        return unknown_user(AW_CODE_UNAVAILABLE, "the signer closed the connection");
    AW_TRY(r);
    return whoami_read(reply, out);
}

void
whoami_free(struct whoami *whoami)
{
    aw_json_free(&whoami->reply);
    free(whoami->applications);
    memset(whoami, 0, sizeof(*whoami));
}

/* "a, b" of the names of all applications. */
static aw_result
names_text(const struct whoami *whoami, char **out)
{
    AW_TRY(aw_format(out, "%s", ""));
    for (size_t i = 0; i < whoami->count; i++)
        AW_TRY(append(out, whoami->applications[i].name));
    return AW_OK;
}

aw_result
whoami_find(const struct whoami *whoami, const char *name, const struct whoami_application **out)
{
    AW_CLEANUP(aw_free) char *all = NULL;

    for (size_t i = 0; i < whoami->count; i++)
        if (name != NULL ? strcmp(whoami->applications[i].name, name) == 0 : whoami->count == 1) {
            *out = &whoami->applications[i];
            return AW_OK;
        }
    if (whoami->count == 0)
        return unknown_user(AW_CODE_REFUSED, "refused");
    AW_TRY(names_text(whoami, &all));
    if (name == NULL)
        return aw_hint(
            aw_fail(AW_CODE_USAGE, "user %s is several applications: %s", whoami->user, all),
            "choose one with --application");
    return aw_hint(
        aw_fail(AW_CODE_REFUSED, "refused: user %s is not application %.100s", whoami->user, name),
        "it is: %s", all);
}

static const struct {
    const char *state;
    enum aw_code code;
    const char *text;
    const char *hint;
} states[] = {
    {"expired", AW_CODE_REFUSED, "its policy has expired", "ask its owner, %s, to have it renewed"},
    {"inert", AW_CODE_REFUSED, "its policy names a user or group that does not exist",
        "ask its owner, %s, to have that mended"},
    {"account-missing", AW_CODE_UNAVAILABLE, "its account has no key in the token",
        "an administrator runs acmeward-admin account create; owner: %s"},
    {"account-unregistered", AW_CODE_UNAVAILABLE, "its account is not registered with the CA",
        "an administrator runs acmeward-admin account register; owner: %s"},
    {"ca-unpinned", AW_CODE_UNAVAILABLE, "the directory of its CA is not pinned",
        "an administrator runs acmeward-admin ca pin; owner: %s"},
};

aw_result
whoami_ready(const struct whoami *whoami, const struct whoami_application *application)
{
    char hint[256];

    if (whoami->frozen)
        return aw_hint(aw_fail(AW_CODE_FROZEN, "signing was stopped by an administrator"),
            "try again when the signer is unfrozen");
    for (size_t i = 0; i < AW_COUNT(states); i++) {
        if (strcmp(states[i].state, application->state) != 0)
            continue;
        const char *at = strstr(states[i].hint, "%s");
        snprintf(hint, sizeof(hint), "%.*s%.120s%s", (int)(at - states[i].hint), states[i].hint,
            application->owner, at + 2);
        return aw_hint(aw_fail(states[i].code, "%sapplication %s is not ready: %s",
                           states[i].code == AW_CODE_REFUSED ? "refused: " : "", application->name,
                           states[i].text),
            "%s", hint);
    }
    if (strcmp(application->state, "ready") != 0 || application->new_nonce == NULL ||
        application->thumbprint == NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "application %s is not ready: state \"%s\"",
            application->name, application->state);
    return AW_OK;
}

bool
whoami_has(const struct whoami_application *application, const char *member, const char *value)
{
    const cJSON *list = aw_json_member(application->json, member);

    for (const cJSON *item = list == NULL ? NULL : list->child; item != NULL; item = item->next)
        if (cJSON_IsString(item) && strcmp(item->valuestring, value) == 0)
            return true;
    return false;
}

aw_result
whoami_list_text(const cJSON *object, const char *member, char **out)
{
    const cJSON *list = aw_json_member(object, member);

    AW_TRY(aw_format(out, "%s", ""));
    for (const cJSON *item = list == NULL ? NULL : list->child; item != NULL; item = item->next) {
        AW_CLEANUP(aw_free)
        char *safe = output_safe(cJSON_IsString(item) ? item->valuestring : "?");

        if (safe == NULL)
            return aw_fail_memory();
        AW_TRY(append(out, safe));
    }
    return AW_OK;
}

/* cJSON's own printer rounds numbers; integers are exact here (json.h). */
static void
write_leaf(struct aw_json_writer *w, const cJSON *item)
{
    if (cJSON_IsString(item))
        aw_json_write_string(w, item->valuestring);
    else if (cJSON_IsNumber(item))
        aw_json_write_integer(w, (int64_t)item->valuedouble);
    else if (cJSON_IsBool(item))
        aw_json_write_bool(w, cJSON_IsTrue(item));
    else
        aw_json_write_string(w, NULL);
}

/* Depth is bounded by the parser (AW_JSON_MAX_DEPTH). */
void
whoami_write(struct aw_json_writer *w, const cJSON *reply)
{
    bool object = cJSON_IsObject(reply);

    if (!object && !cJSON_IsArray(reply)) {
        write_leaf(w, reply);
        return;
    }
    if (object)
        aw_json_begin_object(w);
    else
        aw_json_begin_array(w);
    for (const cJSON *item = reply->child; item != NULL; item = item->next) {
        if (object)
            aw_json_name(w, item->string);
        whoami_write(w, item);
    }
    if (object)
        aw_json_end_object(w);
    else
        aw_json_end_array(w);
}
