#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/acme_internal.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"

/* RFC 8555 7.1.6, figures for authorizations and challenges. */
static const unsigned authorization_states =
    ACME_STATUS_BIT(ACME_PENDING) | ACME_STATUS_BIT(ACME_VALID) | ACME_STATUS_BIT(ACME_INVALID) |
    ACME_STATUS_BIT(ACME_DEACTIVATED) | ACME_STATUS_BIT(ACME_EXPIRED) |
    ACME_STATUS_BIT(ACME_REVOKED);
static const unsigned challenge_states =
    ACME_STATUS_BIT(ACME_PENDING) | ACME_STATUS_BIT(ACME_PROCESSING) | ACME_STATUS_BIT(ACME_VALID) |
    ACME_STATUS_BIT(ACME_INVALID);

/* RFC 8555 8.3 and 8.4, RFC 8737. */
static const char *const known_types[] = {"http-01", "dns-01", "tls-alpn-01"};

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

enum { TYPE_MAX = 255 };

/* Becomes a file's name, a part of a URL and of a DNS record: nothing but its alphabet
 * (attack 109). */
static aw_result
read_token(const cJSON *element, char out[ACME_TOKEN_MAX + 1])
{
    const char *token;
    char shown[64];

    AW_TRY(aw_json_string(element, "token", ACME_TOKEN_MAX, &token));
    if (*token != '\0' && token[strspn(token, base64url)] == '\0') {
        snprintf(out, ACME_TOKEN_MAX + 1, "%s", token);
        return AW_OK;
    }
    aw_log_escape(token, strlen(token), shown, sizeof(shown));
    return aw_fail(AW_CODE_SYNTAX,
        "token: found \"%s\", expected base64url characters only (RFC 8555 8.1)", shown);
}

static aw_result
read_challenge(const cJSON *element, const char *type, struct acme_challenge *out)
{
    snprintf(out->type, sizeof(out->type), "%s", type);
    AW_TRY(acme_read_status(element, challenge_states, &out->status));
    AW_TRY(acme_read_url(element, "url", &out->url));
    AW_TRY(read_token(element, out->token));
    return acme_problem_read_member(element, &out->problem);
}

static bool
is_known(const char *type)
{
    for (size_t i = 0; i < AW_COUNT(known_types); i++)
        if (strcmp(type, known_types[i]) == 0)
            return true;
    return false;
}

static void
ignore_challenge(const char *type, struct acme_authorization *out)
{
    char shown[64];
    size_t used = strlen(out->ignored_types);

    out->ignored_challenges++;
    aw_log_escape(type, strlen(type), shown, sizeof(shown));
    if (used + strlen(shown) + 3 <= sizeof(out->ignored_types))
        snprintf(out->ignored_types + used, sizeof(out->ignored_types) - used, "%s%s",
            used == 0 ? "" : ", ", shown);
}

static aw_result
take_challenge(const cJSON *element, struct acme_authorization *out)
{
    const char *type;

    AW_TRY(aw_json_string(element, "type", TYPE_MAX, &type));
    if (!is_known(type)) {
        ignore_challenge(type, out);
        return AW_OK;
    }
    return aw_context(read_challenge(element, type, &out->challenges[out->challenge_count++]),
        "its %s challenge", type);
}

/* What was valid before we asked needs no challenge, so its challenges may be anything. */
static aw_result
read_challenges(const cJSON *object, struct acme_authorization *out)
{
    const cJSON *array, *element;
    size_t index = 0;

    if (out->status != ACME_PENDING && out->status != ACME_INVALID)
        return AW_OK;
    AW_TRY(aw_json_array(object, "challenges", 0, AW_JSON_MAX_NODES, &array));
    out->challenges = calloc(ACME_CHALLENGES_MAX, sizeof(*out->challenges));
    if (out->challenges == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(element, array)
    {
        if (index++ == ACME_CHALLENGES_MAX)
            break;
        AW_TRY(take_challenge(element, out));
    }
    return AW_OK;
}

/* RFC 8555 7.1.4: the identifier of a wildcard's authorization is the name without "*.". */
static aw_result
read_name(const cJSON *object, struct acme_authorization *out)
{
    const cJSON *identifier;

    AW_TRY(aw_json_object(object, "identifier", &identifier));
    AW_TRY(aw_context(acme_read_identifier(identifier, &out->name), "identifier"));
    AW_TRY(aw_json_optional_bool(object, "wildcard", &out->wildcard));
    if (out->name.form == AW_NAME_WILDCARD)
        return aw_fail(AW_CODE_SYNTAX,
            "identifier: found %s, expected a name without \"*.\" and wildcard true",
            out->name.text);
    return AW_OK;
}

static aw_result
read_authorization(const char *text, size_t size, struct acme_authorization *out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    AW_TRY(acme_object_parse(text, size, &object));
    AW_TRY(read_name(object, out));
    AW_TRY(aw_context(
        acme_read_status(object, authorization_states, &out->status), "%s", out->name.text));
    return aw_context(read_challenges(object, out), "%s", out->name.text);
}

aw_result
acme_authorization_parse(const char *text, size_t size, struct acme_authorization *out)
{
    AW_CLEANUP(acme_authorization_free) struct acme_authorization authorization = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_hint(
        aw_context(read_authorization(text, size, &authorization), "the CA's authorization"),
        "the CA's answer is not as RFC 8555 7.1.4 says: report it to the CA"));
    *out = authorization;
    memset(&authorization, 0, sizeof(authorization));
    return AW_OK;
}

void
acme_authorization_free(struct acme_authorization *authorization)
{
    for (size_t i = 0; i < authorization->challenge_count; i++) {
        free(authorization->challenges[i].url);
        acme_problem_free(&authorization->challenges[i].problem);
    }
    free(authorization->challenges);
    memset(authorization, 0, sizeof(*authorization));
}
