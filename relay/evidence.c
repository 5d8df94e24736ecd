#include "relay/evidence.h"

#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "jose/jws.h"

static const char *
or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

struct signer_behalf
relay_behalf(const struct relay_call *call)
{
    return (struct signer_behalf){.protected_header = call->parts.header,
        .payload = call->parts.payload,
        .signature = call->parts.signature,
        .address = or_null(call->request->address),
        .client_certificate = or_null(call->request->client_certificate)};
}

aw_result
relay_evidence_write(const struct relay_call *call, const char *validated, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const struct signer_behalf behalf = relay_behalf(call);

    aw_json_begin_object(&w);
    aw_json_pair(&w, "protected", behalf.protected_header);
    aw_json_pair(&w, "payload", behalf.payload);
    aw_json_pair(&w, "signature", behalf.signature);
    aw_json_pair(&w, "address", behalf.address);
    aw_json_pair(&w, "client_certificate", behalf.client_certificate);
    aw_json_pair(&w, "validated", validated);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

static aw_result
read_members(struct kept_evidence *e)
{
    struct signer_behalf *b = &e->behalf;

    AW_TRY(aw_json_string(e->json, "protected", JOSE_HEADER_MAX, &b->protected_header));
    AW_TRY(aw_json_string(e->json, "payload", JOSE_PAYLOAD_MAX, &b->payload));
    AW_TRY(aw_json_string(e->json, "signature", AW_JSON_MAX_SIZE, &b->signature));
    AW_TRY(aw_json_optional_string(e->json, "address", RELAY_ADDRESS_SIZE, &b->address));
    AW_TRY(aw_json_optional_string(
        e->json, "client_certificate", AW_DIGEST_HEX_SIZE, &b->client_certificate));
    return aw_json_optional_string(e->json, "validated", 32, &b->validated);
}

static aw_result
read_csr(struct kept_evidence *e)
{
    AW_CLEANUP(aw_free) uint8_t *payload = NULL;
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    const char *csr, *text = e->behalf.payload;
    size_t size = 0;

    AW_TRY(aw_b64url_decode_new(text, strlen(text), &payload, &size));
    AW_TRY(aw_json_parse((const char *)payload, size, AW_JSON_TOLERANT, &object));
    AW_TRY(aw_json_string(object, "csr", JOSE_PAYLOAD_MAX, &csr));
    return aw_b64url_decode_new(csr, strlen(csr), &e->csr, &e->csr_size);
}

aw_result
relay_evidence_read(const char *text, struct kept_evidence *out)
{
    AW_CLEANUP(kept_evidence_free) struct kept_evidence e = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &e.json));
    AW_TRY(read_members(&e));
    AW_TRY(read_csr(&e));
    *out = e;
    memset(&e, 0, sizeof(e));
    return AW_OK;
}

void
kept_evidence_free(struct kept_evidence *evidence)
{
    aw_json_free(&evidence->json);
    free(evidence->csr);
    memset(evidence, 0, sizeof(*evidence));
}
