/* Parameters that only a relay's requests have. */
#include <arpa/inet.h>
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/json.h"
#include "jose/jws.h"
#include "signer/request_fields.h"

/* Largest integer that JSON carries exactly (RFC 8259 6). */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

static aw_result
copy(const char *text, char **out)
{
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

/* Only taken apart here: what is in it is read by who verifies it (evidence.h). */
aw_result
request_read_evidence(const struct request_place *p)
{
    struct sign_evidence *out = &p->out->relayed.evidence;
    struct jose_parts parts;

    AW_TRY(jose_parts_of(aw_json_member(p->parameters, p->name), &parts));
    AW_TRY(copy(parts.header, &out->header));
    AW_TRY(copy(parts.payload, &out->payload));
    return copy(parts.signature, &out->signature);
}

static aw_result
read_address(const cJSON *seen, char **out)
{
    unsigned char octets[sizeof(struct in6_addr)];
    const char *text;

    AW_TRY(aw_json_optional_string(seen, "address", INET6_ADDRSTRLEN, &text));
    if (text == NULL)
        return AW_OK;
    if (inet_pton(AF_INET, text, octets) != 1 && inet_pton(AF_INET6, text, octets) != 1)
        return aw_fail(AW_CODE_SYNTAX, "\"address\" is no IP address");
    return copy(text, out);
}

static aw_result
read_client_certificate(const cJSON *seen, char **out)
{
    const char *text;

    AW_TRY(aw_json_optional_string(seen, "client_certificate", 2 * AW_DIGEST_SIZE, &text));
    if (text == NULL)
        return AW_OK;
    if (strspn(text, "0123456789abcdef") != (size_t)2 * AW_DIGEST_SIZE)
        return aw_fail(
            AW_CODE_SYNTAX, "\"client_certificate\" is no SHA-256 of 64 lower-case hex digits");
    return copy(text, out);
}

static aw_result
read_validated(const cJSON *seen, char **out)
{
    static const char *const types[] = {"http-01", "dns-01", "tls-alpn-01"};
    const char *text;

    AW_TRY(aw_json_optional_string(seen, "validated", SIGN_TEXT_MAX, &text));
    if (text == NULL)
        return AW_OK;
    for (size_t i = 0; i < AW_COUNT(types); i++)
        if (strcmp(types[i], text) == 0)
            return copy(text, out);
    return aw_fail(AW_CODE_SYNTAX, "\"validated\" is http-01, dns-01 or tls-alpn-01");
}

aw_result
request_read_seen(const struct request_place *p)
{
    static const char *const members[] = {"address", "client_certificate", "validated"};
    const cJSON *seen = aw_json_member(p->parameters, p->name);
    struct sign_relayed *out = &p->out->relayed;

    AW_TRY(aw_context(aw_json_only(seen, members, AW_COUNT(members)), "\"%s\"", p->name));
    AW_TRY(read_address(seen, &out->address));
    AW_TRY(read_client_certificate(seen, &out->client_certificate));
    return read_validated(seen, &out->validated);
}

aw_result
request_read_again(const struct request_place *p)
{
    return aw_json_integer(p->parameters, p->name, 1, INTEGER_MAX, &p->out->relayed.again);
}

aw_result
request_read_repeated(const struct request_place *p)
{
    return aw_json_optional_bool(p->parameters, p->name, &p->out->relayed.repeated);
}

aw_result
request_read_count(const struct request_place *p)
{
    return aw_json_integer(p->parameters, p->name, 1, SIGN_NONCES_MAX, &p->out->relayed.count);
}

aw_result
request_read_account(const struct request_place *p)
{
    return aw_json_integer(p->parameters, p->name, 1, INTEGER_MAX, &p->out->relayed.account);
}

aw_result
request_read_thumbprint(const struct request_place *p)
{
    uint8_t octets[JOSE_THUMBPRINT_SIZE];
    const char *text;
    size_t size;

    AW_TRY(aw_json_string(p->parameters, p->name, JOSE_THUMBPRINT_TEXT - 1, &text));
    AW_TRY(aw_b64url_decode(text, strlen(text), octets, sizeof(octets), &size));
    if (size != sizeof(octets))
        return aw_fail(AW_CODE_SYNTAX, "\"%s\" is no SHA-256 in base64url", p->name);
    return copy(text, &p->out->relayed.thumbprint);
}
