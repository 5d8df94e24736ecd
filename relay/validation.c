#include "relay/validation.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/challenge.h"
#include "client/dns_lookup.h"
#include "client/http_plain.h"
#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/log.h"
#include "relay/networks.h"
#include "relay/payload.h"

/* Addresses. */

static void
take_numeric(const struct aw_name *name, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    out->ss_family = name->address_size == 4 ? AF_INET : AF_INET6;
    if (name->address_size == 4)
        memcpy(&((struct sockaddr_in *)out)->sin_addr, name->address, 4);
    else
        memcpy(&((struct sockaddr_in6 *)out)->sin6_addr, name->address, 16);
}

static void
free_list(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(*list);
}

static aw_result
ask_system(const char *host, struct sockaddr_storage *out, size_t *count)
{
    AW_CLEANUP(free_list) struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(host, NULL, &hints, &list);

    *count = 0;
    if (error != 0)
        return aw_fail(AW_CODE_NOT_FOUND, "%s: %s", host, gai_strerror(error));
    for (const struct addrinfo *a = list; a != NULL && *count < VALIDATION_ADDRESSES_MAX;
         a = a->ai_next) {
        memset(&out[*count], 0, sizeof(*out));
        memcpy(&out[(*count)++], a->ai_addr, a->ai_addrlen);
    }
    return AW_OK;
}

static aw_result
ask_resolver(const struct relay_config *config, const char *host, struct sockaddr_storage *out,
    size_t *count)
{
    struct dns_server resolver;

    AW_TRY(dns_server_find(
        config->validation.resolver, (unsigned)config->validation.resolver_port, &resolver));
    return dns_lookup_addresses(&resolver, host, out, count);
}

static aw_result
find_all(const struct validation *v, struct sockaddr_storage *out, size_t *count)
{
    if (v->name->form == AW_NAME_ADDRESS) {
        take_numeric(v->name, out);
        *count = 1;
        return AW_OK;
    }
    return v->config->validation.resolver != NULL
               ? ask_resolver(v->config, v->name->text, out, count)
               : ask_system(v->name->text, out, count);
}

/* Addresses outside the networks are left out, before anything is sent to them. */
static size_t
keep_allowed(const struct relay_config *config, struct sockaddr_storage *list, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++)
        if (relay_networks_hold(&config->validation.networks, (const struct sockaddr *)&list[i]))
            list[kept++] = list[i];
    return kept;
}

aw_result
validation_addresses(struct validation *v, struct sockaddr_storage *out, size_t *count)
{
    char why[AW_ERROR_MESSAGE_SIZE];
    size_t found = 0;

    aw_result r = find_all(v, out, &found);
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    if (!aw_ok(r))
        return relay_problem_fail(v->problem, RELAY_DNS, "%s", why);
    if (found == 0)
        return relay_problem_fail(v->problem, RELAY_DNS, "%s has no address", v->name->text);
    *count = keep_allowed(v->config, out, found);
    if (*count > 0)
        return AW_OK;
    v->final = true;
    return relay_problem_fail(v->problem, RELAY_CONNECTION,
        "no address of %s is within the networks that this relay validates (validation.networks)",
        v->name->text);
}

/* http-01 (RFC 8555 8.3). */

static long
port_of(const struct sockaddr *address)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)address;

    return ntohs(address->sa_family == AF_INET ? four->sin_port : six->sin6_port);
}

/* A redirect leads where another web server would be, not to whatever else listens there. */
static bool
may_connect(void *context, const struct sockaddr *address)
{
    const struct validation *v = context;
    long port = port_of(address);

    return (port == v->config->validation.http_port || port == 80 || port == 443) &&
           relay_networks_hold(&v->config->validation.networks, address);
}

/* White space after the key authorization is borne (8.3). */
static bool
is_answer(const char *body, size_t size, const char *key_authorization)
{
    size_t length = strlen(key_authorization);

    while (size > 0 && strchr(" \t\r\n", body[size - 1]) != NULL && body[size - 1] != '\0')
        size--;
    return size == length && memcmp(body, key_authorization, size) == 0;
}

aw_result
validation_http(struct validation *v)
{
    struct sockaddr_storage addresses[VALIDATION_ADDRESSES_MAX];
    char path[sizeof("/" CHALLENGE_PATH "/") + CHALLENGE_TOKEN_MAX];
    char body[HTTP_PLAIN_BODY_MAX + 1], why[AW_ERROR_MESSAGE_SIZE];
    struct http_plain asked = {.host = v->name->text,
        .port = (unsigned)v->config->validation.http_port,
        .path = path,
        .addresses = addresses,
        .may_connect = may_connect,
        .context = v};
    size_t size = 0;
    long status = 0;

    AW_TRY(validation_addresses(v, addresses, &asked.count));
    snprintf(path, sizeof(path), "/" CHALLENGE_PATH "/%s", v->token);
    aw_result r = http_plain_get(&asked, &status, body, &size);
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    if (!aw_ok(r))
        return relay_problem_fail(v->problem, RELAY_CONNECTION, "%s", why);
    if (status != 200)
        return relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
            "http://%s%s answers with the status %ld", v->name->text, path, status);
    if (is_answer(body, size, v->key_authorization))
        return AW_OK;
    return relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
        "http://%s%s does not hold the key authorization", v->name->text, path);
}

/* dns-01 (RFC 8555 8.4). */

static aw_result
find_resolver(const struct validation *v, struct dns_server *out)
{
    return v->config->validation.resolver != NULL
               ? dns_server_find(v->config->validation.resolver,
                     (unsigned)v->config->validation.resolver_port, out)
               : dns_resolver_of_system(out);
}

static aw_result
has_record(const struct validation *v, const char *name, const char *text, bool *found)
{
    struct dns_server resolver;

    AW_TRY(find_resolver(v, &resolver));
    return dns_lookup_text(&resolver, name, text, found);
}

aw_result
validation_dns(struct validation *v)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    uint8_t digest[AW_DIGEST_SIZE];
    char name[AW_NAME_MAX + 32], why[AW_ERROR_MESSAGE_SIZE];
    bool found = false;

    AW_TRY(challenge_digest(v->key_authorization, digest));
    AW_TRY(aw_b64url_encode_new(digest, sizeof(digest), &text));
    snprintf(name, sizeof(name), "_acme-challenge.%s",
        v->name->text + (v->name->form == AW_NAME_WILDCARD ? strlen("*.") : 0));
    aw_result r = has_record(v, name, text, &found);
    snprintf(why, sizeof(why), "%s", aw_error_last()->message);
    if (!aw_ok(r))
        return relay_problem_fail(v->problem, RELAY_DNS, "%s", why);
    if (found)
        return AW_OK;
    return relay_problem_fail(v->problem, RELAY_UNAUTHORIZED,
        "%s has no TXT record with the digest of the key authorization", name);
}

/* One challenge. */

static const struct {
    const char *type;
    aw_result (*validate)(struct validation *v);
} ways[] = {
    {"http-01", validation_http},
    {"dns-01", validation_dns},
    {"tls-alpn-01", validation_tls_alpn},
};

static aw_result
validate(const char *type, struct validation *v)
{
    for (size_t i = 0; i < AW_COUNT(ways); i++)
        if (strcmp(ways[i].type, type) == 0)
            return ways[i].validate(v);
    return aw_fail(AW_CODE_INTERNAL, "no way to validate %s", type);
}

static aw_result
key_authorization(struct relay *relay, int64_t account_id, const char *token, char **out)
{
    struct relay_account *account = NULL;
    char thumbprint[JOSE_THUMBPRINT_TEXT];

    AW_TRY(relay_accounts_get(relay->accounts, relay->signer, account_id, &account));
    jose_thumbprint_text(account->jwk->thumbprint, thumbprint);
    aw_result r = aw_format(out, "%s.%s", token, thumbprint);
    relay_account_release(relay->accounts, &account);
    return r;
}

static aw_result
store_valid(struct relay *relay, struct authorization_step *step)
{
    bool moved;

    step->to = AUTHORIZATION_VALID;
    step->challenge_to = CHALLENGE_VALID;
    step->validated = relay_now();
    return relay_store_authorization_move(relay->store, step, &moved);
}

static aw_result
store_invalid(struct relay *relay, struct authorization_step *step, struct relay_problem *problem)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    bool moved;

    AW_TRY(relay_problem_text(problem, &text));
    step->to = AUTHORIZATION_INVALID;
    step->challenge_to = CHALLENGE_INVALID;
    step->problem = step->order_problem = text;
    return relay_store_authorization_move(relay->store, step, &moved);
}

aw_result
relay_validation_run(
    struct relay *relay, int64_t ticket, size_t number, unsigned tries, bool *again)
{
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};
    AW_CLEANUP(relay_problem_free) struct relay_problem problem = {0};
    AW_CLEANUP(aw_free) char *text = NULL;
    struct authorization_step step = {.ticket = ticket,
        .number = number,
        .from = AUTHORIZATION_PENDING,
        .challenge_from = CHALLENGE_PROCESSING};

    *again = false;
    AW_TRY(relay_store_order(relay->store, ticket, &order));
    const struct stored_authorization *a = &order.authorizations[number - 1];
    if (number > order.authorization_count || a->challenge != CHALLENGE_PROCESSING)
        return AW_OK;
    *again = true;
    AW_TRY(key_authorization(relay, order.account, a->token, &text));
    struct validation v = {
        relay->config, &a->name, a->token, text, &problem, false, VALIDATION_SECONDS};
    aw_result r = validate(a->type, &v);
    if (aw_ok(r) || (problem.status != 0 && (v.final || tries + 1 >= VALIDATION_TRIES)))
        *again = false;
    else
        return problem.status != 0 ? AW_OK : r;
    return aw_ok(r) ? store_valid(relay, &step) : store_invalid(relay, &step, &problem);
}
