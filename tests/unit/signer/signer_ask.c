/* Requests to the world of signer_world.c: variables, calls, records, signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ecdsa.h>
#include <openssl/x509.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "signer/admin.h"
#include "signer/application.h"

/* Variables. */

static void
set_value(struct world *w, const char *name, char *value)
{
    for (size_t i = 0; i < w->variable_count; i++)
        if (strcmp(w->variables[i].name, name) == 0) {
            free(w->variables[i].value);
            w->variables[i].value = value;
            return;
        }
    assert_true(w->variable_count < AW_COUNT(w->variables));
    struct variable *variable = &w->variables[w->variable_count++];
    snprintf(variable->name, sizeof(variable->name), "%s", name);
    variable->value = value;
}

void
world_set(struct world *w, const char *name, const char *format, ...)
{
    char *value = NULL;
    va_list ap;

    va_start(ap, format);
    assert_true(vasprintf(&value, format, ap) >= 0);
    va_end(ap);
    set_value(w, name, value);
}

void
world_set_octets(struct world *w, const char *name, octets value)
{
    char *text = NULL;

    assert_ok(aw_b64url_encode_new(value.data, value.size, &text));
    set_value(w, name, text);
}

static const char *
value_of(const struct world *w, const char *name, size_t length)
{
    for (size_t i = 0; i < w->variable_count; i++)
        if (strlen(w->variables[i].name) == length &&
            strncmp(w->variables[i].name, name, length) == 0)
            return w->variables[i].value;
    fail_msg("there is no $%.*s", (int)length, name);
    return NULL;
}

const char *
world_value(const struct world *w, const char *name)
{
    return value_of(w, name, strlen(name));
}

char *
world_expand(const struct world *w, const char *text)
{
    char *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);

    assert_non_null(stream);
    for (const char *at = text; *at != '\0';) {
        size_t plain = strcspn(at, "$");
        fwrite(at, 1, plain, stream);
        at += plain;
        if (*at == '\0')
            break;
        size_t length = strspn(++at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        fputs(value_of(w, at, length), stream);
        at += length;
    }
    fclose(stream);
    return out;
}

/* Requests. */

static int
refuse_parse(const char *field, struct sign_reply *reply)
{
    reply->rule = field == NULL ? NULL : strdup(field);
    reply->message = strdup(aw_error_last()->message);
    return WORLD_INVALID;
}

int
world_ask(struct world *w, const struct peer *peer, const char *method, const char *parameters,
    struct sign_reply *reply)
{
    AW_CLEANUP(aw_free) char *text = world_expand(w, parameters);
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    AW_CLEANUP(sign_request_free) struct sign_request request = {0};
    enum sign_operation operation;
    const char *field = NULL;

    *reply = (struct sign_reply){0};
    assert_true(sign_operation_parse(method, &operation));
    if (!aw_ok(aw_json_parse(text, strlen(text), AW_JSON_STRICT, &json)))
        fail_msg("%s: %s", text, aw_error_last()->message);
    if (!aw_ok(sign_request_parse(operation, json, &request, &field)))
        return refuse_parse(field, reply);
    if (!aw_ok(authorize(w->core, peer, &request, reply)))
        return WORLD_UNAVAILABLE;
    return (int)reply->outcome;
}

void
world_call(struct world *w, const struct gate_service *service, const char *user,
    const char *method, const char *parameters, struct world_answer *out)
{
    AW_CLEANUP(aw_free) char *expanded = world_expand(w, parameters);
    AW_CLEANUP(aw_free) char *text = NULL, *reply = NULL;
    AW_CLEANUP(aw_varlink_call_free) struct aw_varlink_call call = {0};
    struct peer peer = world_peer(user, NULL);
    struct gate_answer said = {.reply = NULL};

    assert_ok(aw_format(&text, "{\"method\":\"%s\",\"parameters\":%s}", method, expanded));
    if (!aw_ok(aw_varlink_call_parse(text, strlen(text), &call)))
        fail_msg("%s: %s", text, aw_error_last()->message);
    assert_ok(service->answer(w->core, &peer, &call, &said));
    reply = said.reply;
    leaving_end(&said.leave);
    *out = (struct world_answer){.error = "", .light = said.light};
    if (!aw_ok(aw_json_parse(reply, strlen(reply), AW_JSON_STRICT, &out->json)))
        fail_msg("%s: %s", reply, aw_error_last()->message);
    const cJSON *error = aw_json_member(out->json, "error");
    if (error != NULL)
        out->error = strrchr(error->valuestring, '.') + 1;
    assert_ok(aw_json_object(out->json, "parameters", &out->parameters));
}

void
world_call_signer(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *out)
{
    char full[64];

    snprintf(full, sizeof(full), "org.acmeward.Signer.%s", method);
    world_call(w, &application_service, user, full, parameters, out);
}

void
world_call_admin(struct world *w, const char *user, const char *method, const char *parameters,
    struct world_answer *out)
{
    char full[64];

    snprintf(full, sizeof(full), "org.acmeward.Admin.%s", method);
    world_call(w, &admin_service, user, full, parameters, out);
}

void
world_answer_free(struct world_answer *answer)
{
    aw_json_free(&answer->json);
}

const char *
world_text(const struct world_answer *answer, const char *name)
{
    const cJSON *member = aw_json_member(answer->parameters, name);

    return cJSON_IsString(member) ? member->valuestring : "";
}

/* Records. */

int64_t
world_position(struct world *w)
{
    int64_t appended = 0, durable = 0;

    audit_log_position(w->core->audit, &appended, &durable);
    return appended;
}

static aw_result
keep(const struct audit_record *record, void *context)
{
    char **line = context;

    free(*line);
    *line = cJSON_PrintUnformatted(record->json);
    return *line == NULL ? aw_fail_memory() : AW_OK;
}

void
world_last(struct world *w, struct world_record *out)
{
    AW_CLEANUP(aw_free) char *line = NULL;
    char folder[256];
    int64_t last = world_position(w);

    world_path(w, "state/audit", folder);
    assert_ok(audit_log_wait(w->core->audit, last));
    assert_ok(audit_read(folder, last, keep, &line));
    assert_non_null(line);
    assert_ok(audit_record_parse(line, strlen(line), &out->record));
    out->entry = &out->record.entry;
}

void
world_record_free(struct world_record *record)
{
    audit_record_free(&record->record);
}

/* Refusals. */

static bool
record_is(struct world *w, const struct world_row *row, const struct peer *peer)
{
    AW_CLEANUP(world_record_free) struct world_record last = {0};
    enum sign_operation operation;

    world_last(w, &last);
    const struct audit_entry *entry = last.entry;
    assert_true(sign_operation_parse(row->method, &operation));
    if (entry->verdict != NULL && strcmp(entry->verdict, "refuse") == 0 && entry->rule != NULL &&
        strcmp(entry->rule, row->rule) == 0 && entry->message != NULL && entry->uid == peer->uid &&
        strcmp(entry->operation, sign_operation_name(operation)) == 0)
        return true;
    print_error("%s: recorded as %s %s\n", row->name, entry->verdict ? entry->verdict : "",
        entry->rule ? entry->rule : "");
    return false;
}

bool
world_refuses(struct world *w, const struct world_row *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer(row->user, NULL);
    int64_t before = world_position(w);
    int outcome = world_ask(w, &peer, row->method, row->parameters, &reply);
    /* What does not parse is no decision. */
    bool decided = row->outcome != WORLD_INVALID;

    if (outcome != row->outcome || (row->rule == NULL) != (reply.rule == NULL) ||
        (row->rule != NULL && strcmp(row->rule, reply.rule) != 0) || reply.jws != NULL ||
        reply.message == NULL || world_position(w) - before != (decided ? 1 : 0)) {
        print_error("%s: outcome %d, rule %s: %s\n", row->name, outcome,
            reply.rule ? reply.rule : "", reply.message ? reply.message : "");
        return false;
    }
    return !decided || record_is(w, row, &peer);
}

static bool
signs(const char *method)
{
    return strcmp(method, "ClaimUrls") != 0 && strcmp(method, "RecordCertificate") != 0;
}

void
world_expect(struct world *w, const struct world_row *row)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0};
    struct peer peer = world_peer(row->user, NULL);
    int outcome = world_ask(w, &peer, row->method, row->parameters, &reply);

    if (outcome != row->outcome ||
        (row->rule != NULL && (reply.rule == NULL || strcmp(reply.rule, row->rule) != 0)))
        fail_msg("%s: %s of %s: outcome %d %s %s", row->name, row->method, row->user, outcome,
            reply.rule ? reply.rule : "", reply.message ? reply.message : aw_error_last()->message);
    if ((outcome == SIGN_OUTCOME_DONE && signs(row->method)) != (reply.jws != NULL))
        fail_msg("%s: %s of %s: signed?", row->name, row->method, row->user);
}

/* Signatures. */

static EVP_PKEY *
account_key(struct world *w)
{
    const uint8_t *spki = NULL;
    token_key *key = NULL;
    size_t size = 0;

    accounts_read(w->core->accounts);
    assert_ok(accounts_key(w->core->accounts, accounts_find(w->core->accounts, "main"), &key));
    token_key_spki(key, &spki, &size);
    EVP_PKEY *out = d2i_PUBKEY(NULL, &spki, (long)size);
    accounts_read_end(w->core->accounts);
    assert_non_null(out);
    return out;
}

/* RFC 7518 3.4: r and s, 32 octets each. */
static bool
verify(EVP_PKEY *key, const char *input, const uint8_t *signature, size_t size)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char *der = NULL;

    assert_int_equal(size, 64);
    ECDSA_SIG_set0(pair, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL));
    int length = i2d_ECDSA_SIG(pair, &der);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), 1);
    bool good = EVP_DigestVerify(
                    context, der, (size_t)length, (const unsigned char *)input, strlen(input)) == 1;
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(context);
    return good;
}

char *
world_decode(const cJSON *object, const char *name)
{
    const char *text = NULL;
    uint8_t *raw = NULL;
    char *out = NULL;
    size_t size = 0;

    assert_ok(aw_json_string(object, name, 65536, &text));
    assert_ok(aw_b64url_decode_new(text, strlen(text), &raw, &size));
    assert_ok(aw_format(&out, "%.*s", (int)size, (const char *)raw));
    free(raw);
    return out;
}

void
world_check_jws(struct world *w, const char *row, const struct sign_reply *reply, const char *nonce,
    const char *payload, const struct audit_entry *record)
{
    AW_CLEANUP(aw_json_free) cJSON *jws = NULL;
    AW_CLEANUP(aw_free) char *input = NULL, *header = NULL, *wanted = NULL, *body = NULL;
    const char *protected, *text, *signature;
    uint8_t raw[512], digest[32];
    char hex[AW_DIGEST_HEX_SIZE];
    size_t size = 0;

    if (reply->jws == NULL)
        fail_msg("%s: no JWS", row);
    assert_ok(aw_json_parse(reply->jws, strlen(reply->jws), AW_JSON_STRICT, &jws));
    assert_ok(aw_json_string(jws, "protected", 8192, &protected));
    assert_ok(aw_json_string(jws, "payload", 65536, &text));
    assert_ok(aw_json_string(jws, "signature", 1024, &signature));
    header = world_decode(jws, "protected");
    assert_ok(aw_format(&wanted,
        "{\"alg\":\"ES256\",\"kid\":\"" ACCOUNT_URL "\",\"nonce\":\"%s\",\"url\":\"%s\"}", nonce,
        reply->url));
    assert_string_equal(header, wanted);
    body = world_decode(jws, "payload");
    if (payload != NULL && strcmp(body, payload) != 0)
        fail_msg("%s: the payload is %s, expected %s", row, body, payload);
    assert_ok(aw_format(&input, "%s.%s", protected, text));
    assert_ok(aw_b64url_decode(signature, strlen(signature), raw, sizeof(raw), &size));
    EVP_PKEY *key = account_key(w);
    if (!verify(key, input, raw, size))
        fail_msg("%s: the signature is not the account's", row);
    EVP_PKEY_free(key);
    assert_int_equal(EVP_Digest(input, strlen(input), digest, NULL, EVP_sha256(), NULL), 1);
    aw_hex(digest, sizeof(digest), hex);
    if (record->input == NULL || strcmp(record->input, hex) != 0)
        fail_msg("%s: the record is not of what was signed", row);
}

/* Orders, CSRs, certificates. */

static void
must(struct world *w, const struct peer *peer, const char *method, const char *parameters,
    struct sign_reply *reply)
{
    int outcome = world_ask(w, peer, method, parameters, reply);

    if (outcome != SIGN_OUTCOME_DONE)
        fail_msg("%s %s: %d %s %s", method, parameters, outcome,
            reply->rule == NULL ? "" : reply->rule,
            reply->message == NULL ? aw_error_last()->message : reply->message);
}

int64_t
world_order(struct world *w, const char *user, const char *names, const char *base)
{
    AW_CLEANUP(sign_reply_free) struct sign_reply reply = {0}, claimed = {0};
    struct peer peer = world_peer(user, NULL);
    char list[1024] = "", copy[512];
    char *save = NULL;

    snprintf(copy, sizeof(copy), "%s", names);
    for (const char *name = strtok_r(copy, " ", &save); name != NULL;
         name = strtok_r(NULL, " ", &save))
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
            "%s{\"type\":\"dns\",\"value\":\"%s\"}", list[0] == '\0' ? "" : ",", name);
    world_set(w, "NAMES", "%s", list);
    must(w, &peer, "NewOrder", "{\"nonce\":\"$N\",\"identifiers\":[$NAMES]}", &reply);
    world_set(w, "ORDER", "%lld", (long long)reply.order);
    world_set(w, "BASE", CA "%s", base);
    must(w, &peer, "ClaimUrls",
        "{\"order\":$ORDER,\"urls\":[{\"kind\":\"order\",\"url\":\"$BASE/order\"},"
        "{\"kind\":\"finalize\",\"url\":\"$BASE/finalize\"},"
        "{\"kind\":\"authorization\",\"url\":\"$BASE/authz\"},"
        "{\"kind\":\"challenge\",\"url\":\"$BASE/chall\"},"
        "{\"kind\":\"certificate\",\"url\":\"$BASE/cert\"}]}",
        &claimed);
    return reply.order;
}

static octets
names_of(const char *names)
{
    octets parts[16];
    char copy[512];
    char *save = NULL;
    size_t count = 0;

    snprintf(copy, sizeof(copy), "%s", names);
    for (const char *name = strtok_r(copy, " ", &save); name != NULL && count < AW_COUNT(parts);
         name = strtok_r(NULL, " ", &save))
        parts[count++] = dns(name);
    return octets_join(parts, count);
}

octets
world_csr(enum test_key key, const char *names)
{
    return csr_of(&(struct csr_parts){.key = key, .names = names_of(names)});
}

/* The signature is not looked at: the signer knows no CA's key. */
octets
world_certificate(enum test_key key, const char *names, octets serial)
{
    octets algorithm = SEQUENCE(oid("1.2.840.10045.4.3.2"));
    octets times =
        SEQUENCE(element(0x17, LITERAL("260101000000Z")), element(0x17, LITERAL("260401235959Z")));
    octets extensions = names[0] == '\0' ? NOTHING : element(0xa3, SEQUENCE(san(names_of(names))));
    octets to_be_signed = SEQUENCE(element(0xa0, integer(2)), element(0x02, serial), algorithm,
        SEQUENCE(rdn("2.5.4.10", 0x0c, LITERAL("CA"))), times, SEQUENCE(NOTHING), public_key(key),
        extensions);

    return SEQUENCE(to_be_signed, algorithm, bits(LITERAL("no signature")));
}
