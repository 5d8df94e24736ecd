#include <stdlib.h>
#include <string.h>

#include "client/acme_internal.h"
#include "common/io.h"
#include "common/json.h"

/* RFC 8555 7.1.1: host names that the CA takes for itself in CAA records (RFC 8659 4.2). A
 * directory with what is no such name is refused: they are shown as part of a DNS record. */
static aw_result
read_caa(const cJSON *meta, char **out)
{
    const cJSON *list = aw_json_member(meta, "caaIdentities"), *item = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    cJSON_ArrayForEach(item, list)
    {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(text);
        const char *name = cJSON_GetStringValue(item);
        struct aw_name parsed;

        if (name == NULL || !aw_ok(aw_name_parse(name, strlen(name), &parsed)))
            return aw_fail(AW_CODE_SYNTAX, "caaIdentities: expected host names (RFC 8555 7.1.1)");
        AW_TRY(aw_format(
            &text, "%s%s%s", before == NULL ? "" : before, before == NULL ? "" : " ", parsed.text));
    }
    *out = AW_MOVE(text);
    return AW_OK;
}

/* Names are the members; what they mean is for people, and not used. */
static aw_result
read_profiles(cJSON *meta, cJSON **out)
{
    const cJSON *profiles = aw_json_member(meta, "profiles");

    if (profiles == NULL || cJSON_IsNull(profiles))
        return AW_OK;
    if (!cJSON_IsObject(profiles))
        return aw_fail(AW_CODE_SYNTAX, "profiles: expected an object");
    *out = cJSON_DetachItemFromObjectCaseSensitive(meta, "profiles");
    return AW_OK;
}

bool
acme_directory_has_profile(const struct acme_directory *directory, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(directory->profiles, name) != NULL;
}

aw_result
acme_directory_profiles(const struct acme_directory *directory, char **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    const cJSON *item;

    AW_TRY(aw_format(&text, "%s", ""));
    cJSON_ArrayForEach(item, directory->profiles)
    {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(text);
        AW_CLEANUP(aw_free) char *name = NULL;
        AW_TRY(acme_text(item->string, ACME_PROFILE_MAX, &name));
        AW_TRY(aw_format(&text, "%s%s%s", before, before[0] == '\0' ? "" : ", ", name));
    }
    *out = AW_MOVE(text);
    return AW_OK;
}

static aw_result
read_meta(const cJSON *object, struct acme_directory *out)
{
    cJSON *meta = cJSON_GetObjectItemCaseSensitive(object, "meta");

    if (meta == NULL || cJSON_IsNull(meta))
        return AW_OK;
    if (!cJSON_IsObject(meta))
        return aw_fail(AW_CODE_SYNTAX, "meta: expected an object");
    const char *terms, *website;
    AW_TRY(aw_json_optional_string(meta, "termsOfService", HTTP_URL_MAX, &terms));
    AW_TRY(aw_json_optional_string(meta, "website", HTTP_URL_MAX, &website));
    /* Shown to people, never fetched: any URL, escaped. */
    if (terms != NULL)
        AW_TRY(acme_text(terms, HTTP_URL_MAX, &out->terms_of_service));
    if (website != NULL)
        AW_TRY(acme_text(website, HTTP_URL_MAX, &out->website));
    AW_TRY(read_caa(meta, &out->caa_identities));
    AW_TRY(read_profiles(meta, &out->profiles));
    return aw_json_optional_bool(meta, "externalAccountRequired", &out->external_account_required);
}

static aw_result
read_directory(const char *text, size_t size, struct acme_directory *out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    AW_TRY(acme_object_parse(text, size, &object));
    AW_TRY(acme_read_url(object, "newNonce", &out->new_nonce));
    AW_TRY(acme_read_url(object, "newAccount", &out->new_account));
    AW_TRY(acme_read_url(object, "newOrder", &out->new_order));
    /* RFC 8555 7.1.1 has both; CAs without one of them are in the field. */
    AW_TRY(acme_read_optional_url(object, "revokeCert", &out->revoke_cert));
    AW_TRY(acme_read_optional_url(object, "keyChange", &out->key_change));
    AW_TRY(acme_read_optional_url(object, "renewalInfo", &out->renewal_info));
    return read_meta(object, out);
}

aw_result
acme_directory_parse(const char *text, size_t size, struct acme_directory *out)
{
    AW_CLEANUP(acme_directory_free) struct acme_directory directory = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_hint(aw_context(read_directory(text, size, &directory), "the CA's directory"),
        "the URL must be that of an ACME directory (RFC 8555 7.1.1)"));
    *out = directory;
    memset(&directory, 0, sizeof(directory));
    return AW_OK;
}

aw_result
acme_directory_fetch(http *h, const char *url, struct acme_directory *out)
{
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    AW_CLEANUP(acme_problem_free) struct acme_problem problem = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(http_request(h, HTTP_GET, url, NULL, &response));
    if (response.status != 200) {
        AW_TRY(acme_problem_parse(&response, &problem));
        return acme_problem_fail(&problem, response.retry_after, "fetching the directory");
    }
    AW_TRY(acme_expect_type(&response, "application/json", "fetching the directory"));
    return aw_context(acme_directory_parse(response.body, response.size, out), "%s", url);
}

void
acme_directory_free(struct acme_directory *directory)
{
    free(directory->new_nonce);
    free(directory->new_account);
    free(directory->new_order);
    free(directory->revoke_cert);
    free(directory->key_change);
    free(directory->renewal_info);
    free(directory->terms_of_service);
    free(directory->website);
    free(directory->caa_identities);
    cJSON_Delete(directory->profiles);
    memset(directory, 0, sizeof(*directory));
}
