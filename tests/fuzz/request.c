/*
 * A Varlink message to struct sign_request. Its parameters are tried as those of every operation,
 * and of every method that a relay may call; what one accepts is in canonical form, and says the
 * same when it is written anew.
 */
#include "signer/request.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "common/varlink.h"
#include "csr/csr.h"
#include "fuzz.h"
#include "signer/relay_request.h"
#include "signer/url.h"

static void
check_empty(const struct sign_request *r)
{
    FUZZ_CHECK(r->application == NULL && r->nonce == NULL && r->names == NULL);
    FUZZ_CHECK(r->profile == NULL && r->not_before == NULL && r->not_after == NULL);
    FUZZ_CHECK(r->replaces == NULL && r->key == NULL && r->url == NULL && r->claims == NULL);
    FUZZ_CHECK(r->csr.data == NULL && r->certificate.data == NULL && r->chain_count == 0);
    FUZZ_CHECK(r->name_count == 0 && r->claim_count == 0 && r->order == 0 && !r->has_reason);
    FUZZ_CHECK(!r->relayed.is && r->relayed.evidence.header == NULL && r->relayed.address == NULL);
    FUZZ_CHECK(r->relayed.thumbprint == NULL && r->relayed.account == 0 && r->relayed.again == 0);
}

/* What rests on the relay's word is of the forms that a policy compares with. */
static void
check_relayed(const struct sign_relayed *r)
{
    unsigned char octets[sizeof(struct in6_addr)];

    FUZZ_CHECK(r->address == NULL || inet_pton(AF_INET, r->address, octets) == 1 ||
               inet_pton(AF_INET6, r->address, octets) == 1);
    FUZZ_CHECK(r->client_certificate == NULL || strlen(r->client_certificate) == 64);
    FUZZ_CHECK(r->again >= 0 && r->account >= 0 && r->count >= 0 && r->count <= SIGN_NONCES_MAX);
    FUZZ_CHECK((r->evidence.header == NULL) == (r->evidence.signature == NULL));
    FUZZ_CHECK((r->evidence.header == NULL) == (r->evidence.payload == NULL));
}

static void
check_values(const struct sign_request *r)
{
    fuzz_check_names(r->names, r->name_count);
    FUZZ_CHECK(r->name_count <= SIGN_NAMES_MAX && r->claim_count <= SIGN_CLAIMS_MAX);
    FUZZ_CHECK(r->url == NULL || aw_ok(url_check_form(r->url)));
    for (size_t i = 0; i < r->claim_count; i++)
        FUZZ_CHECK(aw_ok(url_check_form(r->claims[i].url)));
    FUZZ_CHECK(r->csr.size <= CSR_SIZE_MAX && r->certificate.size <= CSR_CERTIFICATE_MAX);
    FUZZ_CHECK(r->order >= 0 && r->chain_count <= SIGN_CHAIN_MAX);
    FUZZ_CHECK(r->nonce == NULL || (*r->nonce != '\0' && strlen(r->nonce) <= SIGN_NONCE_MAX));
    check_relayed(&r->relayed);
}

static void
write_text(struct aw_json_writer *w, const char *name, const char *text)
{
    if (text != NULL)
        aw_json_pair(w, name, text);
}

static void
write_octets(struct aw_json_writer *w, const struct sign_bytes *octets)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    FUZZ_CHECK(aw_ok(aw_b64url_encode_new(octets->data, octets->size, &text)));
    aw_json_write_string(w, text);
}

static void
write_bytes(struct aw_json_writer *w, const char *name, const struct sign_bytes *octets)
{
    if (octets->data == NULL)
        return;
    aw_json_name(w, name);
    write_octets(w, octets);
}

static void
write_pair(struct aw_json_writer *w, const char *name, const char *value, const char *other,
    const char *other_value)
{
    aw_json_begin_object(w);
    aw_json_pair(w, name, value);
    aw_json_pair(w, other, other_value);
    aw_json_end_object(w);
}

static const char *const kinds[] = {
    "order", "finalize", "authorization", "challenge", "certificate"};

static void
write_lists(struct aw_json_writer *w, const struct sign_request *r)
{
    if (r->name_count > 0) {
        aw_json_name(w, "identifiers");
        aw_json_begin_array(w);
        for (size_t i = 0; i < r->name_count; i++)
            write_pair(w, "type", aw_name_type(&r->names[i]), "value", r->names[i].text);
        aw_json_end_array(w);
    }
    if (r->claim_count > 0) {
        aw_json_name(w, "urls");
        aw_json_begin_array(w);
        for (size_t i = 0; i < r->claim_count; i++)
            write_pair(w, "kind", kinds[r->claims[i].kind], "url", r->claims[i].url);
        aw_json_end_array(w);
    }
    if (r->operation == SIGN_RECORD_CERTIFICATE) {
        aw_json_name(w, "chain");
        aw_json_begin_array(w);
        for (size_t i = 0; i < r->chain_count; i++)
            write_octets(w, &r->chain[i]);
        aw_json_end_array(w);
    }
}

static void
write_number(struct aw_json_writer *w, const char *name, int64_t number)
{
    if (number != 0)
        aw_json_pair_integer(w, name, number);
}

static void
write_relayed(struct aw_json_writer *w, const struct sign_request *r)
{
    const struct sign_relayed *relayed = &r->relayed;

    if (relayed->evidence.header != NULL) {
        aw_json_name(w, "evidence");
        aw_json_begin_object(w);
        aw_json_pair(w, "protected", relayed->evidence.header);
        aw_json_pair(w, "payload", relayed->evidence.payload);
        aw_json_pair(w, "signature", relayed->evidence.signature);
        aw_json_end_object(w);
        aw_json_name(w, "seen");
        aw_json_begin_object(w);
        write_text(w, "address", relayed->address);
        write_text(w, "client_certificate", relayed->client_certificate);
        write_text(w, "validated", relayed->validated);
        aw_json_end_object(w);
    }
    if (r->operation == SIGN_REVOKE)
        aw_json_pair_bool(w, "again", relayed->repeated);
    write_number(w, "again", relayed->again);
    write_number(w, "count", relayed->count);
    write_number(w, "account", relayed->account);
    write_text(w, "thumbprint", relayed->thumbprint);
}

static char *
write_request(const struct sign_request *r)
{
    struct aw_json_writer w = {0};
    char *text = NULL;

    aw_json_begin_object(&w);
    write_text(&w, "application", r->application);
    write_text(&w, "nonce", r->nonce);
    write_text(&w, "profile", r->profile);
    write_text(&w, "notBefore", r->not_before);
    write_text(&w, "notAfter", r->not_after);
    write_text(&w, "replaces", r->replaces);
    write_text(&w, "key", r->key);
    write_text(&w, "url", r->url);
    write_bytes(&w, "csr", &r->csr);
    write_bytes(&w, "certificate", &r->certificate);
    write_lists(&w, r);
    if (r->order != r->relayed.again)
        aw_json_pair_integer(&w, "order", r->order);
    if (r->relayed.is)
        write_relayed(&w, r);
    if (r->has_reason)
        aw_json_pair_integer(&w, "reason", r->reason);
    aw_json_end_object(&w);
    FUZZ_CHECK(aw_ok(aw_json_writer_finish(&w, &text)));
    return text;
}

static void
check_same(const struct sign_request *a, const struct sign_request *b)
{
    AW_CLEANUP(aw_free) char *text_a = write_request(a);
    AW_CLEANUP(aw_free) char *text_b = write_request(b);

    FUZZ_CHECK(strcmp(text_a, text_b) == 0);
    FUZZ_CHECK(a->has_reason == b->has_reason && a->reason == b->reason);
}

static void
check_written(const struct sign_request *request)
{
    AW_CLEANUP(aw_free) char *text = write_request(request);
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    AW_CLEANUP(sign_request_free) struct sign_request again = {0};
    aw_result r = aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json);

    FUZZ_CHECK(aw_ok(r));
    FUZZ_CHECK(aw_ok(sign_request_parse(request->operation, json, &again, NULL)));
    check_same(request, &again);
}

/* True when the parameters are a request of that operation. */
static bool
check_operation(enum sign_operation operation, const cJSON *parameters)
{
    AW_CLEANUP(sign_request_free) struct sign_request request;
    const char *field = "";
    aw_result r = sign_request_parse(operation, parameters, &request, &field);

    FUZZ_CHECK(request.operation == operation);
    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(field == NULL || *field != '\0');
        check_empty(&request);
        return false;
    }
    check_values(&request);
    check_written(&request);
    return true;
}

/* The same for a relay's method. */
static bool
check_relay_method(enum relay_method method, const cJSON *parameters)
{
    AW_CLEANUP(sign_request_free) struct sign_request request;
    AW_CLEANUP(sign_request_free) struct sign_request again = {0};
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *field = "";
    aw_result r = relay_request_parse(method, parameters, &request, &field);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(field == NULL || *field != '\0');
        check_empty(&request);
        return false;
    }
    FUZZ_CHECK(request.relayed.is && request.application == NULL && request.name_count == 0);
    FUZZ_CHECK(request.csr.data == NULL && !request.has_reason); /* of the evidence alone */
    check_values(&request);
    AW_CLEANUP(aw_free) char *text = write_request(&request);
    FUZZ_CHECK(aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json)));
    FUZZ_CHECK(aw_ok(relay_request_parse(method, json, &again, NULL)));
    check_same(&request, &again);
    return true;
}

static void
check_relay_methods(const struct aw_varlink_call *call)
{
    static const char interface[] = "org.acmeward.Relay.";
    enum relay_method named;

    if (strncmp(call->method, interface, strlen(interface)) != 0 ||
        !relay_method_parse(call->method + strlen(interface), &named))
        named = RELAY_METHOD_COUNT;
    for (unsigned i = 0; i < RELAY_METHOD_COUNT; i++)
        if (check_relay_method((enum relay_method)i, call->parameters) && i == named)
            fuzz_accept();
}

static void
check_method(const struct aw_varlink_call *call, unsigned accepted)
{
    char interface[AW_VARLINK_MAX_METHOD + 1], method[AW_VARLINK_MAX_METHOD + 1];
    enum sign_operation operation;

    FUZZ_CHECK(aw_varlink_name_valid(call->method));
    FUZZ_CHECK(aw_varlink_split(call->method, interface, method));
    if (strcmp(interface, "org.acmeward.Signer") == 0 && sign_operation_parse(method, &operation) &&
        (accepted >> operation & 1) != 0)
        fuzz_accept();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call;
    aw_result r = aw_varlink_call_parse((const char *)data, size, &call);
    unsigned accepted = 0;

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        FUZZ_CHECK(call.message == NULL);
        return 0;
    }
    for (unsigned i = 0; i < SIGN_OPERATION_COUNT; i++)
        if (check_operation((enum sign_operation)i, call.parameters))
            accepted |= 1u << i;
    check_method(&call, accepted);
    check_relay_methods(&call);
    return 0;
}
