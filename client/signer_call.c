/* The typed calls of an order, as signer/org.acmeward.Signer.varlink says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "client/signer_link.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"

/* Octets of the names in a reply, and of a warning. */
enum { NAME_TEXT_MAX = 255, WARNING_MAX = 4096 };

void
signer_order_free(struct signer_order *order)
{
    free(order->application);
    memset(order, 0, sizeof(*order));
}

void
signer_signed_free(struct signer_signed *signed_request)
{
    free(signed_request->url);
    free(signed_request->jws);
    free(signed_request->warning);
    memset(signed_request, 0, sizeof(*signed_request));
}

/* Calls with the writer's text. */
static aw_result
call(signer_link *link, const char *method, struct aw_json_writer *w, cJSON **reply)
{
    AW_CLEANUP(aw_free) char *parameters = NULL;

    AW_TRY(aw_json_writer_finish(w, &parameters));
    return signer_link_call(link, method, parameters, reply);
}

static aw_result
copy(const char *text, char **out)
{
    *out = strdup(text);
    return *out != NULL ? AW_OK : aw_fail_memory();
}

/* RFC 7515 7.2.2: the three members are all that is posted. */
static aw_result
read_jws(const cJSON *reply, char **out)
{
    static const char *const members[] = {"protected", "payload", "signature"};
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const cJSON *jws;

    AW_TRY(aw_json_object(reply, "jws", &jws));
    aw_json_begin_object(&w);
    for (size_t i = 0; i < AW_COUNT(members); i++) {
        const char *value;
        AW_TRY(aw_context(aw_json_string(jws, members[i], AW_JSON_MAX_SIZE, &value), "jws"));
        aw_json_pair(&w, members[i], value);
    }
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

/* `target`: the URL that must come back; NULL: the signer's choice. */
static aw_result
read_signed(const cJSON *reply, const char *target, struct signer_signed *out)
{
    const char *url, *warning;

    AW_TRY(aw_json_string(reply, "url", HTTP_URL_MAX, &url));
    AW_TRY(aw_json_optional_string(reply, "warning", WARNING_MAX, &warning));
    if (target != NULL && strcmp(url, target) != 0)
        return aw_fail(AW_CODE_MISMATCH, "signed for %s, asked for %s", url, target);
    AW_TRY(read_jws(reply, &out->jws));
    AW_TRY(copy(url, &out->url));
    return warning != NULL ? copy(warning, &out->warning) : AW_OK;
}

/* *out is whole or zero. */
static aw_result
take_signed(const cJSON *reply, const char *target, struct signer_signed *out)
{
    AW_CLEANUP(signer_signed_free) struct signer_signed s = {0};

    AW_TRY(aw_context(read_signed(reply, target, &s), "the signer's reply"));
    *out = s;
    memset(&s, 0, sizeof(s));
    return AW_OK;
}

static void
write_identifiers(struct aw_json_writer *w, const struct signer_new_order *asked)
{
    aw_json_name(w, "identifiers");
    aw_json_begin_array(w);
    for (size_t i = 0; i < asked->name_count; i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "type", aw_name_type(&asked->names[i]));
        aw_json_pair(w, "value", asked->names[i].text);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

static aw_result
take_order(const cJSON *reply, struct signer_order *out)
{
    const char *application;
    int64_t ticket;

    AW_TRY(aw_context(
        aw_json_string(reply, "application", NAME_TEXT_MAX, &application), "the signer's reply"));
    AW_TRY(aw_context(
        aw_json_integer(reply, "order", 1, INT64_C(1) << 52, &ticket), "the signer's reply"));
    out->ticket = ticket;
    return copy(application, &out->application);
}

/* A relay's client: what it signed says the rest. */
static void
write_behalf(struct aw_json_writer *w, const struct signer_behalf *behalf, const char *nonce)
{
    if (nonce != NULL)
        aw_json_pair(w, "nonce", nonce);
    aw_json_name(w, "evidence");
    aw_json_begin_object(w);
    aw_json_pair(w, "protected", behalf->protected_header);
    aw_json_pair(w, "payload", behalf->payload);
    aw_json_pair(w, "signature", behalf->signature);
    aw_json_end_object(w);
    aw_json_name(w, "seen");
    aw_json_begin_object(w);
    aw_json_pair(w, "address", behalf->address);
    aw_json_pair(w, "client_certificate", behalf->client_certificate);
    aw_json_pair(w, "validated", behalf->validated);
    aw_json_end_object(w);
}

static void
write_asked(struct aw_json_writer *w, const struct signer_new_order *asked, const char *nonce)
{
    if (asked->application != NULL)
        aw_json_pair(w, "application", asked->application);
    aw_json_pair(w, "nonce", nonce);
    write_identifiers(w, asked);
    if (asked->profile != NULL)
        aw_json_pair(w, "profile", asked->profile);
    if (asked->replaces != NULL)
        aw_json_pair(w, "replaces", asked->replaces);
}

/* Only a relay's link has somebody to act for. */
static aw_result
find_behalf(const signer_link *link, const struct signer_behalf **out)
{
    *out = signer_link_behalf(link);
    if (signer_link_is_relay(link) && *out == NULL)
        return aw_fail(AW_CODE_INTERNAL, "a relay asks for a signature on nobody's behalf");
    return AW_OK;
}

aw_result
signer_new_order(signer_link *link, const struct signer_new_order *asked, const char *nonce,
    struct signer_order *order, struct signer_signed *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(signer_order_free) struct signer_order opened = {0};
    const struct signer_behalf *behalf;

    memset(order, 0, sizeof(*order));
    memset(out, 0, sizeof(*out));
    AW_TRY(find_behalf(link, &behalf));
    aw_json_begin_object(&w);
    if (behalf == NULL)
        write_asked(&w, asked, nonce);
    else
        write_behalf(&w, behalf, nonce);
    if (signer_link_signed(link) > 0)
        aw_json_pair_integer(&w, "again", signer_link_signed(link));
    aw_json_end_object(&w);
    AW_TRY(call(link, "NewOrder", &w, &reply));
    AW_TRY(take_order(reply, &opened));
    AW_TRY(take_signed(reply, NULL, out));
    if (behalf != NULL)
        signer_link_set_signed(link, opened.ticket);
    *order = opened;
    memset(&opened, 0, sizeof(opened));
    return AW_OK;
}

/* To a relay the ticket says whose it is. */
static void
write_order(struct aw_json_writer *w, const signer_link *link, const struct signer_order *order)
{
    if (!signer_link_is_relay(link))
        aw_json_pair(w, "application", order->application);
    aw_json_pair_integer(w, "order", order->ticket);
}

aw_result
signer_claim_urls(signer_link *link, const struct signer_order *order,
    const struct signer_claim *claims, size_t count)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    aw_json_begin_object(&w);
    write_order(&w, link, order);
    aw_json_name(&w, "urls");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        aw_json_begin_object(&w);
        aw_json_pair(&w, "kind", claims[i].kind);
        aw_json_pair(&w, "url", claims[i].url);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return call(link, "ClaimUrls", &w, &reply);
}

static void
write_target(struct aw_json_writer *w, const signer_link *link, const struct signer_target *target)
{
    write_order(w, link, target->order);
    aw_json_pair(w, "nonce", target->nonce);
    aw_json_pair(w, "url", target->url);
}

static aw_result
write_bytes(struct aw_json_writer *w, const char *name, const uint8_t *bytes, size_t size)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_b64url_encode_new(bytes, size, &text));
    if (name != NULL)
        aw_json_name(w, name);
    aw_json_write_string(w, text);
    return AW_OK;
}

aw_result
signer_finalize(signer_link *link, const struct signer_target *target, const uint8_t *csr,
    size_t csr_size, struct signer_signed *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    const struct signer_behalf *behalf;

    memset(out, 0, sizeof(*out));
    AW_TRY(find_behalf(link, &behalf));
    aw_json_begin_object(&w);
    write_target(&w, link, target);
    if (behalf == NULL)
        AW_TRY(write_bytes(&w, "csr", csr, csr_size));
    else
        write_behalf(&w, behalf, NULL);
    aw_json_end_object(&w);
    AW_TRY(call(link, "Finalize", &w, &reply));
    return take_signed(reply, target->url, out);
}

aw_result
signer_post_url(signer_link *link, const char *method, const struct signer_target *target,
    struct signer_signed *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    memset(out, 0, sizeof(*out));
    aw_json_begin_object(&w);
    write_target(&w, link, target);
    aw_json_end_object(&w);
    AW_TRY(call(link, method, &w, &reply));
    return take_signed(reply, target->url, out);
}

static aw_result
write_certificate(struct aw_json_writer *w, const struct signer_revoke *asked, const char *nonce)
{
    aw_json_pair(w, "application", asked->application);
    aw_json_pair(w, "nonce", nonce);
    AW_TRY(write_bytes(w, "certificate", asked->certificate, asked->size));
    if (asked->reason >= 0)
        aw_json_pair_integer(w, "reason", asked->reason);
    return AW_OK;
}

aw_result
signer_revoke(signer_link *link, const struct signer_revoke *asked, const char *nonce,
    struct signer_signed *out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    const struct signer_behalf *behalf;

    memset(out, 0, sizeof(*out));
    AW_TRY(find_behalf(link, &behalf));
    aw_json_begin_object(&w);
    if (behalf == NULL) {
        AW_TRY(write_certificate(&w, asked, nonce));
    } else {
        write_behalf(&w, behalf, nonce);
        aw_json_pair_bool(&w, "again", signer_link_signed(link) > 0);
    }
    aw_json_end_object(&w);
    AW_TRY(call(link, "Revoke", &w, &reply));
    if (behalf != NULL)
        signer_link_set_signed(link, 1);
    return take_signed(reply, NULL, out);
}

aw_result
signer_record_certificate(signer_link *link, const struct signer_order *order,
    const uint8_t *const *certificates, const size_t *sizes, size_t count)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    if (count == 0)
        return aw_fail(AW_CODE_INTERNAL, "no certificate to hand back");
    aw_json_begin_object(&w);
    write_order(&w, link, order);
    AW_TRY(write_bytes(&w, "certificate", certificates[0], sizes[0]));
    aw_json_name(&w, "chain");
    aw_json_begin_array(&w);
    for (size_t i = 1; i < count; i++)
        AW_TRY(write_bytes(&w, NULL, certificates[i], sizes[i]));
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return call(link, "RecordCertificate", &w, &reply);
}
