#include <stdlib.h>
#include <string.h>

#include "client/acme_internal.h"
#include "common/io.h"
#include "common/json.h"

/* RFC 8555 7.1.6, figure "State Transitions for Order Objects". */
static const unsigned order_states = ACME_STATUS_BIT(ACME_PENDING) | ACME_STATUS_BIT(ACME_READY) |
                                     ACME_STATUS_BIT(ACME_PROCESSING) |
                                     ACME_STATUS_BIT(ACME_VALID) | ACME_STATUS_BIT(ACME_INVALID);

static aw_result
read_names(const cJSON *object, struct acme_order *out)
{
    const cJSON *array, *element;

    AW_TRY(aw_json_array(object, "identifiers", 1, ACME_NAMES_MAX, &array));
    out->names = calloc((size_t)cJSON_GetArraySize(array), sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(element, array)
    {
        AW_TRY(aw_context(acme_read_identifier(element, &out->names[out->name_count]),
            "identifiers[%zu]", out->name_count));
        out->name_count++;
    }
    if (!aw_names_sort(out->names, out->name_count))
        return aw_fail(AW_CODE_SYNTAX, "identifiers: found one name twice");
    return AW_OK;
}

static aw_result
take_authorization(const cJSON *element, char **out)
{
    const char *url = cJSON_GetStringValue(element);

    if (url == NULL)
        return aw_fail(AW_CODE_SYNTAX, "expected a URL");
    AW_TRY(http_url_check(url));
    *out = strdup(url);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: two lists are compared as sets, for CAs do not keep their order. */
static aw_result
read_authorizations(const cJSON *object, struct acme_order *out)
{
    const cJSON *array, *element;

    AW_TRY(aw_json_array(object, "authorizations", 1, ACME_NAMES_MAX, &array));
    out->authorizations = calloc((size_t)cJSON_GetArraySize(array), sizeof(char *));
    if (out->authorizations == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(element, array)
    {
        AW_TRY(
            aw_context(take_authorization(element, &out->authorizations[out->authorization_count]),
                "authorizations[%zu]", out->authorization_count));
        out->authorization_count++;
    }
    qsort(out->authorizations, out->authorization_count, sizeof(char *), compare_texts);
    for (size_t i = 1; i < out->authorization_count; i++)
        if (strcmp(out->authorizations[i - 1], out->authorizations[i]) == 0)
            return aw_fail(
                AW_CODE_SYNTAX, "authorizations: found %.300s twice", out->authorizations[i]);
    return AW_OK;
}

static aw_result
read_profile(const cJSON *object, char **out)
{
    const char *profile;

    AW_TRY(aw_json_optional_string(object, "profile", ACME_PROFILE_MAX, &profile));
    return profile != NULL ? acme_text(profile, ACME_PROFILE_MAX, out) : AW_OK;
}

static aw_result
read_order(const char *text, size_t size, struct acme_order *out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    AW_TRY(acme_object_parse(text, size, &object));
    AW_TRY(acme_read_status(object, order_states, &out->status));
    AW_TRY(read_names(object, out));
    AW_TRY(read_authorizations(object, out));
    AW_TRY(acme_read_url(object, "finalize", &out->finalize));
    AW_TRY(acme_read_optional_url(object, "certificate", &out->certificate));
    AW_TRY(read_profile(object, &out->profile));
    return acme_problem_read_member(object, &out->problem);
}

aw_result
acme_order_parse(const char *text, size_t size, struct acme_order *out)
{
    AW_CLEANUP(acme_order_free) struct acme_order order = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_hint(aw_context(read_order(text, size, &order), "the CA's order"),
        "the CA's answer is not as RFC 8555 7.1.3 says: report it to the CA"));
    *out = order;
    memset(&order, 0, sizeof(order));
    return AW_OK;
}

static bool
same_names(const struct acme_order *a, const struct acme_order *b)
{
    if (a->name_count != b->name_count)
        return false;
    for (size_t i = 0; i < a->name_count; i++)
        if (aw_name_compare(&a->names[i], &b->names[i]) != 0)
            return false;
    return true;
}

static bool
same_authorizations(const struct acme_order *a, const struct acme_order *b)
{
    if (a->authorization_count != b->authorization_count)
        return false;
    for (size_t i = 0; i < a->authorization_count; i++)
        if (strcmp(a->authorizations[i], b->authorizations[i]) != 0)
            return false;
    return true;
}

aw_result
acme_order_check_same(const struct acme_order *first, const struct acme_order *later)
{
    const char *changed = !same_names(first, later)                       ? "identifiers"
                          : !same_authorizations(first, later)            ? "authorizations"
                          : strcmp(first->finalize, later->finalize) != 0 ? "finalize URL"
                                                                          : NULL;

    if (changed == NULL)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_MISMATCH, "the CA changed the order's %s after it was made", changed),
        "RFC 8555 7.1.3 calls such an order invalid; report it to the CA");
}

void
acme_order_free(struct acme_order *order)
{
    for (size_t i = 0; i < order->authorization_count; i++)
        free(order->authorizations[i]);
    free(order->authorizations);
    free(order->names);
    free(order->finalize);
    free(order->certificate);
    free(order->profile);
    acme_problem_free(&order->problem);
    memset(order, 0, sizeof(*order));
}
