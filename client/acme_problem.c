#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/acme_internal.h"
#include "client/text.h"
#include "common/io.h"
#include "common/json.h"
#include "common/log.h"

static const char prefix[] = "urn:ietf:params:acme:error:";

/* Reading. A problem is read as far as it goes: a fault in it must not hide the failure it tells.*/

static void
read_type(const cJSON *object, char out[ACME_PROBLEM_TYPE_SIZE])
{
    const char *type = cJSON_GetStringValue(aw_json_member(object, "type"));

    if (type == NULL || strcmp(type, "about:blank") == 0)
        return;
    if (strncmp(type, prefix, sizeof(prefix) - 1) == 0)
        type += sizeof(prefix) - 1;
    aw_log_escape(type, strlen(type), out, ACME_PROBLEM_TYPE_SIZE);
}

static aw_result
read_text(const cJSON *object, const char *name, char **out)
{
    const char *text = cJSON_GetStringValue(aw_json_member(object, name));

    return text != NULL ? acme_text(text, ACME_PROBLEM_DETAIL_MAX, out) : AW_OK;
}

static aw_result
read_subproblem(const cJSON *element, struct acme_subproblem *out)
{
    read_type(element, out->type);
    AW_TRY(read_text(element, "detail", &out->detail));
    return read_text(aw_json_member(element, "identifier"), "value", &out->identifier);
}

static aw_result
read_subproblems(const cJSON *object, struct acme_problem *out)
{
    const cJSON *array = aw_json_member(object, "subproblems"), *element;

    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) == 0)
        return AW_OK;
    out->subproblems = calloc(ACME_SUBPROBLEMS_MAX, sizeof(*out->subproblems));
    if (out->subproblems == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(element, array)
    {
        if (out->subproblem_count == ACME_SUBPROBLEMS_MAX)
            break;
        AW_TRY(read_subproblem(element, &out->subproblems[out->subproblem_count++]));
    }
    return AW_OK;
}

/* *out must be zeroed; its status stays when the object tells none. */
static aw_result
problem_read(const cJSON *object, struct acme_problem *out)
{
    const cJSON *status = aw_json_member(object, "status");

    read_type(object, out->type);
    if (out->status == 0 && cJSON_IsNumber(status) && status->valueint >= 100 &&
        status->valueint <= 599)
        out->status = status->valueint;
    AW_TRY(read_text(object, "detail", &out->detail));
    AW_TRY(read_text(object, "instance", &out->instance));
    return read_subproblems(object, out);
}

aw_result
acme_problem_read_member(const cJSON *object, struct acme_problem *out)
{
    const cJSON *error = aw_json_member(object, "error");

    return cJSON_IsObject(error) ? problem_read(error, out) : AW_OK;
}

static bool
may_be_problem(const struct http_response *response)
{
    const char *type = response->content_type;

    return type != NULL && response->size > 0 &&
           (strcmp(type, "application/problem+json") == 0 || strcmp(type, "application/json") == 0);
}

aw_result
acme_problem_parse(const struct http_response *response, struct acme_problem *out)
{
    AW_CLEANUP(acme_problem_free) struct acme_problem problem = {.status = response->status};
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    memset(out, 0, sizeof(*out));
    if (may_be_problem(response)) {
        aw_result r = acme_object_parse(response->body, response->size, &object);
        if (r.code == AW_CODE_MEMORY)
            return r;
        if (aw_ok(r))
            AW_TRY(problem_read(object, &problem));
    }
    *out = problem;
    memset(&problem, 0, sizeof(problem));
    return AW_OK;
}

static aw_result
copy_text(const char *from, char **out)
{
    return from == NULL ? AW_OK : aw_format(out, "%s", from);
}

static aw_result
copy_subproblems(const struct acme_problem *from, struct acme_problem *out)
{
    if (from->subproblem_count == 0)
        return AW_OK;
    out->subproblems = calloc(from->subproblem_count, sizeof(*out->subproblems));
    if (out->subproblems == NULL)
        return aw_fail_memory();
    out->subproblem_count = from->subproblem_count;
    for (size_t i = 0; i < from->subproblem_count; i++) {
        memcpy(out->subproblems[i].type, from->subproblems[i].type, ACME_PROBLEM_TYPE_SIZE);
        AW_TRY(copy_text(from->subproblems[i].detail, &out->subproblems[i].detail));
        AW_TRY(copy_text(from->subproblems[i].identifier, &out->subproblems[i].identifier));
    }
    return AW_OK;
}

aw_result
acme_problem_copy(const struct acme_problem *from, struct acme_problem *out)
{
    AW_CLEANUP(acme_problem_free) struct acme_problem copy = {.status = from->status};

    memcpy(copy.type, from->type, sizeof(copy.type));
    AW_TRY(copy_text(from->detail, &copy.detail));
    AW_TRY(copy_text(from->instance, &copy.instance));
    AW_TRY(copy_subproblems(from, &copy));
    *out = copy;
    memset(&copy, 0, sizeof(copy));
    return AW_OK;
}

void
acme_problem_free(struct acme_problem *problem)
{
    for (size_t i = 0; i < problem->subproblem_count; i++) {
        free(problem->subproblems[i].detail);
        free(problem->subproblems[i].identifier);
    }
    free(problem->subproblems);
    free(problem->detail);
    free(problem->instance);
    memset(problem, 0, sizeof(*problem));
}

/* Telling. */

static const char fault_of_ours[] =
    "this may be a fault of acmeward: report it with the CA's name and this message";
static const char later[] = "the CA is in trouble: try again later";
static const char reach[] = "the CA must be able to reach the name from the Internet for this "
                            "challenge: check DNS, firewall and the web server";
static const char account[] = "ask an administrator: acmeward-admin account show tells the "
                              "account's state, and the CA's own pages whether it is still good";
/* Sectigo answers so for an order of another account, where RFC 8555 10.5 would have 403. */
static const char not_ours[] =
    "to the CA what was asked for may belong to another account, or the account may be no good any "
    "more: try again, with a new order; if that is refused too, ask an administrator "
    "(acmeward-admin "
    "account show)";
static const char names[] = "is the name delegated to this account at the CA, and spelled right?";

/* RFC 8555 6.7, RFC 9773 5, draft-ietf-acme-profiles. */
static const struct kind {
    const char *type;
    enum aw_code code;
    const char *hint;
} kinds[] = {
    {"accountDoesNotExist", AW_CODE_CA_REFUSED, account},
    {"alreadyReplaced", AW_CODE_CA_REFUSED, "another order replaced that certificate already"},
    {"alreadyRevoked", AW_CODE_CA_REFUSED, "nothing is left to do"},
    {"badCSR", AW_CODE_CA_REFUSED, "try another key type; some CAs refuse some"},
    {"badNonce", AW_CODE_CA_UNAVAILABLE, "the CA refuses its own nonces: try again later"},
    {"badPublicKey", AW_CODE_CA_REFUSED, "the CA does not take keys of that type: try another"},
    {"badRevocationReason", AW_CODE_CA_REFUSED, "name another reason, or none"},
    {"badSignatureAlgorithm", AW_CODE_CA_REFUSED,
        "the CA does not take the account key's algorithm: an administrator makes another key"},
    {"caa", AW_CODE_CA_REFUSED,
        "a CAA record forbids this CA to issue for the name: change it in "
        "DNS, or use the CA that it names"},
    {"compound", AW_CODE_CA_REFUSED, names},
    {"connection", AW_CODE_CA_REFUSED, reach},
    {"dns", AW_CODE_CA_REFUSED, "the CA can't resolve the name: check it in DNS"},
    {"externalAccountRequired", AW_CODE_CA_REFUSED,
        "the CA wants an EAB credential: an administrator imports it and registers the account"},
    {"incorrectResponse", AW_CODE_CA_REFUSED,
        "something else answered the challenge: is the web server for the name this one?"},
    {"invalidContact", AW_CODE_CA_REFUSED, "check the contact: mailto:USER@HOST"},
    {"invalidProfile", AW_CODE_CA_REFUSED, "the CA has no such profile: its directory lists them"},
    {"malformed", AW_CODE_CA_REFUSED, fault_of_ours},
    {"orderNotReady", AW_CODE_CA_REFUSED, "try again: a new order is made"},
    {"rateLimited", AW_CODE_CA_UNAVAILABLE, "the CA wants fewer requests: wait, then try again"},
    {"rejectedIdentifier", AW_CODE_CA_REFUSED, names},
    {"serverInternal", AW_CODE_CA_UNAVAILABLE, later},
    {"tls", AW_CODE_CA_REFUSED, "the CA met a TLS error when it validated: check the web server"},
    {"unauthorized", AW_CODE_CA_REFUSED, names},
    {"unsupportedContact", AW_CODE_CA_REFUSED, "use a mailto: contact"},
    {"unsupportedIdentifier", AW_CODE_CA_REFUSED, "this CA does not issue for such names"},
    {"userActionRequired", AW_CODE_CA_REFUSED,
        "an administrator must act at the CA, for example agree to new terms"},
};

/* Types that we do not know go by HTTP status; never by detail, which is for people. */
static const struct status_kind {
    long from, to;
    struct kind kind;
} status_kinds[] = {
    {401, 401, {"", AW_CODE_CA_REFUSED, not_ours}},
    {402, 403, {"", AW_CODE_CA_REFUSED, account}},
    {404, 404,
        {"", AW_CODE_CA_REFUSED,
            "the CA does not know the URL: has it moved? An "
            "administrator looks at its directory"}},
    {429, 429, {"", AW_CODE_CA_UNAVAILABLE, "the CA wants fewer requests: wait, then try again"}},
    {500, 599, {"", AW_CODE_CA_UNAVAILABLE, later}},
};

static const struct kind *
find_kind(const struct acme_problem *problem)
{
    static const struct kind other = {"", AW_CODE_CA_REFUSED, "the CA's support can tell more"};
    static const struct kind unauthorized = {"unauthorized", AW_CODE_CA_REFUSED, not_ours};

    if (problem->status == 401 && strcmp(problem->type, unauthorized.type) == 0)
        return &unauthorized;
    for (size_t i = 0; i < AW_COUNT(kinds); i++)
        if (strcmp(kinds[i].type, problem->type) == 0)
            return &kinds[i];
    for (size_t i = 0; i < AW_COUNT(status_kinds); i++)
        if (problem->status >= status_kinds[i].from && problem->status <= status_kinds[i].to)
            return &status_kinds[i].kind;
    return &other;
}

static void
describe(const struct acme_problem *problem, struct client_text *t)
{
    client_text_add(t, "%s", problem->type[0] != '\0' ? problem->type : "no problem type told");
    if (problem->status != 0)
        client_text_add(t, " (HTTP %ld)", problem->status);
    if (problem->detail != NULL)
        client_text_add(t, ": %.600s", problem->detail);
    for (size_t i = 0; i < problem->subproblem_count; i++) {
        const struct acme_subproblem *sub = &problem->subproblems[i];
        client_text_add(t, "; %s: %s%s%s", sub->identifier != NULL ? sub->identifier : "also",
            sub->type, sub->detail != NULL ? ": " : "", sub->detail != NULL ? sub->detail : "");
    }
}

static void
describe_hint(const struct acme_problem *problem, const struct kind *kind, int64_t retry_after,
    struct client_text *t)
{
    client_text_add(t, "%s", kind->hint);
    if (problem->instance != NULL)
        client_text_add(t, "; see %.200s", problem->instance);
    if (retry_after >= 0) {
        char when[32];
        aw_time_text((int64_t)time(NULL) + retry_after, when);
        client_text_add(
            t, "; the CA says: not before %lld seconds from now, %s", (long long)retry_after, when);
    }
}

aw_result
acme_problem_fail(const struct acme_problem *problem, int64_t retry_after, const char *what)
{
    const struct kind *kind = find_kind(problem);
    struct client_text message = {.used = 0}, hint = {.used = 0};

    describe(problem, &message);
    describe_hint(problem, kind, retry_after, &hint);
    return aw_hint(aw_fail_cause(kind->code, AW_CAUSE_HTTP, (unsigned long)problem->status,
                       "%s: the CA says %s", what, message.bytes),
        "%s", hint.bytes);
}
