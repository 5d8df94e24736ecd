#include "signer/request.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "signer/request_fields.h"
#include "signer/url.h"

/* What characters a text may have. */
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
#define LOWER_LABEL "abcdefghijklmnopqrstuvwxyz0123456789_.-"
#define LABEL "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER_LABEL

/* Largest integer that JSON carries exactly (RFC 8259 6). */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

static const struct {
    const char *name;
    const char *method;
} operations[] = {
#define OPERATION_ROW(name, text, method) {text, method},
    SIGN_OPERATIONS(OPERATION_ROW)
#undef OPERATION_ROW
};

const char *
sign_operation_name(enum sign_operation operation)
{
    return operations[operation].name;
}

bool
sign_operation_parse(const char *method, enum sign_operation *out)
{
    for (unsigned i = 0; i < AW_COUNT(operations); i++)
        if (*method != '\0' && strcmp(operations[i].method, method) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static const char *const url_kinds[] = {
    [SIGN_URL_ORDER] = "order",
    [SIGN_URL_FINALIZE] = "finalize",
    [SIGN_URL_AUTHORIZATION] = "authorization",
    [SIGN_URL_CHALLENGE] = "challenge",
    [SIGN_URL_CERTIFICATE] = "certificate",
};

bool
sign_url_kind_parse(const char *name, enum sign_url_kind *out)
{
    for (unsigned i = 0; i < AW_COUNT(url_kinds); i++)
        if (strcmp(url_kinds[i], name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static aw_result
copy(const char *text, char **out)
{
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

/* Copies a text that is there and consists of `allowed` characters alone. */
static aw_result
read_text(const struct request_place *p, size_t max, const char *allowed, char **out)
{
    const char *text;

    AW_TRY(aw_json_optional_string(p->parameters, p->name, max, &text));
    if (text == NULL)
        return AW_OK;
    if (*text == '\0')
        return aw_fail(AW_CODE_SYNTAX, "\"%s\" is empty", p->name);
    size_t good = strspn(text, allowed);
    if (text[good] != '\0')
        return aw_fail(AW_CODE_SYNTAX, "\"%s\": character %zu (0x%02x) is not allowed there",
            p->name, good + 1, (unsigned)(uint8_t)text[good]);
    return copy(text, out);
}

static aw_result
read_application(const struct request_place *p)
{
    return read_text(p, SIGN_TEXT_MAX, LOWER_LABEL, &p->out->application);
}

static aw_result
read_nonce(const struct request_place *p)
{
    return read_text(p, SIGN_NONCE_MAX, BASE64URL, &p->out->nonce);
}

static aw_result
read_profile(const struct request_place *p)
{
    return read_text(p, SIGN_TEXT_MAX, LABEL, &p->out->profile);
}

static aw_result
read_key(const struct request_place *p)
{
    return read_text(p, SIGN_TEXT_MAX, LOWER_LABEL, &p->out->key);
}

static aw_result
read_time(const struct request_place *p, char **out)
{
    int64_t seconds;

    AW_TRY(read_text(p, SIGN_TEXT_MAX, "0123456789-:TZ", out));
    if (*out == NULL)
        return AW_OK;
    return aw_hint(aw_context(aw_time_parse(*out, &seconds), "\"%s\"", p->name),
        "write it as 2026-11-24T02:34:25Z");
}

static aw_result
read_not_before(const struct request_place *p)
{
    return read_time(p, &p->out->not_before);
}

/* Both are of one form and zone, so their order is that of their texts. */
static aw_result
read_not_after(const struct request_place *p)
{
    AW_TRY(read_time(p, &p->out->not_after));
    if (p->out->not_before != NULL && p->out->not_after != NULL &&
        strcmp(p->out->not_before, p->out->not_after) >= 0)
        return aw_fail(AW_CODE_SYNTAX, "\"notAfter\" is not after \"notBefore\"");
    return AW_OK;
}

static aw_result
check_base64url(const char *text, size_t length)
{
    uint8_t octets[SIGN_TEXT_MAX];
    size_t size;

    if (length == 0)
        return aw_fail(AW_CODE_SYNTAX, "an empty part");
    return aw_b64url_decode(text, length, octets, sizeof(octets), &size);
}

/* RFC 9773 4.1: the key identifier of the issuer, ".", the serial number */
static aw_result
read_replaces(const struct request_place *p)
{
    AW_TRY(read_text(p, SIGN_TEXT_MAX, BASE64URL ".", &p->out->replaces));
    const char *text = p->out->replaces;
    if (text == NULL)
        return AW_OK;
    size_t issuer = strcspn(text, ".");
    if (text[issuer] == '\0')
        return aw_fail(AW_CODE_SYNTAX, "\"replaces\" has no \".\"");
    const char *serial = text + issuer + 1;
    AW_TRY(aw_context(check_base64url(text, issuer), "\"replaces\""));
    return aw_context(check_base64url(serial, strlen(serial)), "\"replaces\"");
}

static aw_result
read_order(const struct request_place *p)
{
    return aw_json_integer(p->parameters, p->name, 1, INTEGER_MAX, &p->out->order);
}

static aw_result
read_url(const struct request_place *p)
{
    const char *url;

    AW_TRY(aw_json_string(p->parameters, p->name, SIGN_URL_MAX, &url));
    AW_TRY(url_check_form(url));
    return copy(url, &p->out->url);
}

/* RFC 5280 5.3.1, without those a subscriber has no use for: 2, 6, 7, 8, 10. */
static aw_result
read_reason(const struct request_place *p)
{
    static const int allowed[] = {0, 1, 3, 4, 5, 9};
    int64_t reason = -1;

    AW_TRY(aw_json_optional_integer(p->parameters, p->name, 0, 10, &reason));
    if (reason < 0)
        return AW_OK;
    for (size_t i = 0; i < AW_COUNT(allowed); i++)
        if (allowed[i] == reason) {
            p->out->has_reason = true;
            p->out->reason = allowed[i];
            return AW_OK;
        }
    return aw_fail(AW_CODE_SYNTAX, "\"reason\" is %d, expected 0, 1, 3, 4, 5 or 9 (RFC 5280 5.3.1)",
        (int)reason);
}

static aw_result
decode(const char *text, const char *name, size_t max, struct sign_bytes *out)
{
    aw_result r = aw_b64url_decode_new(text, strlen(text), &out->data, &out->size);

    if (aw_ok(r) && out->size == 0)
        r = aw_fail(AW_CODE_SYNTAX, "it is empty");
    if (aw_ok(r) && out->size > max)
        r = aw_fail(AW_CODE_LIMIT, "%zu octets, at most %zu expected", out->size, max);
    return aw_context(r, "\"%s\"", name);
}

static aw_result
read_bytes(const struct request_place *p, size_t max, struct sign_bytes *out)
{
    const char *text;

    AW_TRY(aw_json_string(p->parameters, p->name, AW_B64URL_LENGTH(max), &text));
    return decode(text, p->name, max, out);
}

static aw_result
read_csr(const struct request_place *p)
{
    return read_bytes(p, CSR_SIZE_MAX, &p->out->csr);
}

static aw_result
read_certificate(const struct request_place *p)
{
    return read_bytes(p, CSR_CERTIFICATE_MAX, &p->out->certificate);
}

static aw_result
read_chain(const struct request_place *p)
{
    const cJSON *array;

    AW_TRY(aw_json_array(p->parameters, p->name, 0, SIGN_CHAIN_MAX, &array));
    for (const cJSON *e = array->child; e != NULL; e = e->next) {
        if (!cJSON_IsString(e))
            return aw_fail(AW_CODE_SYNTAX, "\"%s\" holds something other than strings", p->name);
        struct sign_bytes *next = &p->out->chain[p->out->chain_count++];
        AW_TRY(decode(e->valuestring, p->name, CSR_CERTIFICATE_MAX, next));
    }
    return AW_OK;
}

/* Identifier (RFC 8555 7.1.4, RFC 8738 3) */
static aw_result
read_identifier(const cJSON *element, struct aw_name *out)
{
    static const char *const members[] = {"type", "value"};
    const char *type, *value;

    AW_TRY(aw_json_only(element, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(element, "type", SIGN_TEXT_MAX, &type));
    AW_TRY(aw_json_string(element, "value", SIGN_URL_MAX, &value));
    if (strcmp(type, "dns") == 0)
        return aw_name_parse(value, strlen(value), out);
    if (strcmp(type, "ip") == 0)
        return aw_name_parse_address(value, strlen(value), out);
    return aw_fail(AW_CODE_SYNTAX, "an identifier's type is \"dns\" or \"ip\"");
}

static aw_result
read_identifiers(const struct request_place *p)
{
    struct sign_request *out = p->out;
    const cJSON *array;

    AW_TRY(aw_json_array(p->parameters, p->name, 1, SIGN_NAMES_MAX, &array));
    out->names = calloc((size_t)cJSON_GetArraySize(array), sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    for (const cJSON *e = array->child; e != NULL; e = e->next)
        AW_TRY(aw_context(read_identifier(e, &out->names[out->name_count++]), "\"identifiers\""));
    if (!aw_names_sort(out->names, out->name_count))
        return aw_hint(aw_fail(AW_CODE_SYNTAX, "\"identifiers\" holds a name twice"),
            "name each once; upper and lower case are the same");
    return AW_OK;
}

static aw_result
read_claim(const cJSON *element, struct sign_claim *out)
{
    static const char *const members[] = {"kind", "url"};
    const char *kind, *url;

    AW_TRY(aw_json_only(element, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(element, "kind", SIGN_TEXT_MAX, &kind));
    AW_TRY(aw_json_string(element, "url", SIGN_URL_MAX, &url));
    if (!sign_url_kind_parse(kind, &out->kind))
        return aw_fail(AW_CODE_SYNTAX,
            "a URL's kind is order, finalize, authorization, challenge or certificate");
    AW_TRY(url_check_form(url));
    return copy(url, &out->url);
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No URL is two things, nor one thing twice. */
static aw_result
check_claims_differ(const struct sign_request *request)
{
    AW_CLEANUP(aw_free) const char **urls = calloc(request->claim_count, sizeof(*urls));

    if (urls == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < request->claim_count; i++)
        urls[i] = request->claims[i].url;
    qsort(urls, request->claim_count, sizeof(*urls), compare_texts);
    for (size_t i = 1; i < request->claim_count; i++)
        if (strcmp(urls[i - 1], urls[i]) == 0)
            return aw_fail(AW_CODE_SYNTAX, "\"urls\" holds %s twice", urls[i]);
    return AW_OK;
}

static aw_result
read_claims(const struct request_place *p)
{
    struct sign_request *out = p->out;
    const cJSON *array;

    AW_TRY(aw_json_array(p->parameters, p->name, 1, SIGN_CLAIMS_MAX, &array));
    out->claims = calloc((size_t)cJSON_GetArraySize(array), sizeof(*out->claims));
    if (out->claims == NULL)
        return aw_fail_memory();
    for (const cJSON *e = array->child; e != NULL; e = e->next)
        AW_TRY(aw_context(read_claim(e, &out->claims[out->claim_count++]), "\"urls\""));
    return check_claims_differ(out);
}

static const struct {
    const char *name;
    aw_result (*read)(const struct request_place *p);
} fields[REQUEST_FIELDS_END] = {
#define FIELD_ROW(id, name, read) {name, read},
    REQUEST_FIELDS(FIELD_ROW)
#undef FIELD_ROW
};

/* The operations' parameters, as org.acmeward.Signer.varlink has them. */
#define BIT(id) REQUEST_BIT(id)
static const struct request_form forms[SIGN_OPERATION_COUNT] = {
    [SIGN_NEW_ORDER] = {BIT(NONCE) | BIT(IDENTIFIERS),
        BIT(APPLICATION) | BIT(PROFILE) | BIT(NOT_BEFORE) | BIT(NOT_AFTER) | BIT(REPLACES)},
    [SIGN_CLAIM] = {BIT(ORDER) | BIT(URLS), BIT(APPLICATION)},
    [SIGN_FINALIZE] = {BIT(NONCE) | BIT(ORDER) | BIT(URL) | BIT(CSR), BIT(APPLICATION)},
    [SIGN_POST_AS_GET] = {BIT(NONCE) | BIT(ORDER) | BIT(URL), BIT(APPLICATION)},
    [SIGN_ANSWER_CHALLENGE] = {BIT(NONCE) | BIT(ORDER) | BIT(URL), BIT(APPLICATION)},
    [SIGN_REVOKE] = {BIT(NONCE) | BIT(CERTIFICATE), BIT(APPLICATION) | BIT(REASON)},
    [SIGN_RECORD_CERTIFICATE] = {BIT(ORDER) | BIT(CERTIFICATE) | BIT(CHAIN), BIT(APPLICATION)},
    [SIGN_CHECK] = {BIT(IDENTIFIERS), BIT(APPLICATION) | BIT(KEY) | BIT(PROFILE)},
    [SIGN_WHOAMI] = {0, 0},
};

static aw_result
check_members(const struct request_form *form, const cJSON *parameters)
{
    unsigned known = form->required | form->optional;
    const char *names[REQUEST_FIELDS_END];
    size_t count = 0;

    if (form->foreign)
        return AW_OK;
    for (unsigned i = 0; i < REQUEST_FIELDS_END; i++)
        if ((known & 1u << i) != 0)
            names[count++] = fields[i].name;
    return aw_json_only(parameters, names, count);
}

static aw_result
read_field(const struct request_form *form, const struct request_place *p, enum request_field field)
{
    const cJSON *member = aw_json_member(p->parameters, p->name);
    bool required = (form->required & 1u << field) != 0;

    if (member != NULL && !cJSON_IsNull(member))
        return fields[field].read(p);
    return required ? aw_fail(AW_CODE_SYNTAX, "\"%s\" is missing", p->name) : AW_OK;
}

static aw_result
read_fields(const struct request_form *form, const cJSON *parameters, struct sign_request *out,
    const char **field)
{
    unsigned known = form->required | form->optional;

    for (unsigned i = 0; i < REQUEST_FIELDS_END; i++) {
        if ((known & 1u << i) == 0)
            continue;
        *field = fields[i].name;
        AW_TRY(read_field(form, &(struct request_place){parameters, *field, out}, i));
    }
    *field = NULL;
    return AW_OK;
}

aw_result
request_read(const struct request_form *form, const cJSON *parameters, struct sign_request *out,
    const char **field)
{
    AW_CLEANUP(sign_request_free) struct sign_request request = {.operation = out->operation};
    const char *at = NULL;

    if (field == NULL)
        field = &at;
    *field = NULL;
    AW_TRY(check_members(form, parameters));
    AW_TRY(read_fields(form, parameters, &request, field));
    *out = request;
    request = (struct sign_request){0};
    return AW_OK;
}

aw_result
sign_request_parse(enum sign_operation operation, const cJSON *parameters, struct sign_request *out,
    const char **field)
{
    *out = (struct sign_request){.operation = operation};
    return request_read(&forms[operation], parameters, out, field);
}

static void
free_relayed(struct sign_relayed *relayed)
{
    free(relayed->evidence.header);
    free(relayed->evidence.payload);
    free(relayed->evidence.signature);
    free(relayed->address);
    free(relayed->client_certificate);
    free(relayed->validated);
    free(relayed->thumbprint);
}

void
sign_request_free(struct sign_request *request)
{
    free(request->application);
    free(request->nonce);
    free(request->names);
    free(request->profile);
    free(request->not_before);
    free(request->not_after);
    free(request->replaces);
    free(request->key);
    free(request->url);
    for (size_t i = 0; i < request->claim_count; i++)
        free(request->claims[i].url);
    free(request->claims);
    free(request->csr.data);
    free(request->certificate.data);
    for (size_t i = 0; i < request->chain_count; i++)
        free(request->chain[i].data);
    free_relayed(&request->relayed);
    *request = (struct sign_request){0};
}
