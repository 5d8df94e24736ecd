/* Messages: to a server and back. */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/dns_internal.h"
#include "common/io.h"

enum {
    TSIG_FUDGE = 300, /* seconds that clocks may differ (RFC 8945 10) */
    TSIG_MAC = 3,     /* places in a TSIG record's data (RFC 8945 4.2) */
    TSIG_ERROR = 5,
    BAD_SIGNATURE = 16, /* its errors (RFC 8945 3) */
    BAD_KEY = 17,
    BAD_TIME = 18,
};

void
dns_free_packet(ldns_pkt **packet)
{
    ldns_pkt_free(*packet);
    *packet = NULL;
}

void
dns_free_name(ldns_rdf **name)
{
    ldns_rdf_deep_free(*name);
    *name = NULL;
}

void
dns_free_record(ldns_rr **record)
{
    ldns_rr_free(*record);
    *record = NULL;
}

static void
free_buffer(ldns_buffer **buffer)
{
    ldns_buffer_free(*buffer);
}

static void
free_addresses(struct addrinfo **list)
{
    if (*list != NULL)
        freeaddrinfo(*list);
}

aw_result
dns_server_find(const char *host, unsigned port, struct dns_server *out)
{
    AW_CLEANUP(free_addresses) struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[16];

    snprintf(service, sizeof(service), "%u", port);
    int error = getaddrinfo(host, service, &hints, &list);
    if (error != 0)
        return aw_fail(AW_CODE_NOT_FOUND, "no address of the DNS server %.100s: %s", host,
            gai_strerror(error));
    memset(out, 0, sizeof(*out));
    memcpy(&out->address, list->ai_addr, list->ai_addrlen);
    out->size = list->ai_addrlen;
    snprintf(
        out->text, sizeof(out->text), port == DNS_PORT ? "%.100s" : "%.100s port %u", host, port);
    return AW_OK;
}

aw_result
dns_name(const char *text, ldns_rdf **out)
{
    *out = ldns_dname_new_frm_str(text);
    return *out != NULL ? AW_OK : aw_fail(AW_CODE_SYNTAX, "\"%.100s\" is no DNS name", text);
}

aw_result
dns_name_text(const ldns_rdf *name, char out[DNS_NAME_SIZE])
{
    AW_CLEANUP(aw_free) char *text = ldns_rdf2str(name);
    size_t length = text == NULL ? 0 : strlen(text);

    if (text == NULL)
        return aw_fail_memory();
    if (length > 1 && text[length - 1] == '.')
        text[--length] = '\0';
    if (length >= DNS_NAME_SIZE)
        return aw_fail(AW_CODE_LIMIT, "a DNS name of %zu characters", length);
    memcpy(out, text, length + 1);
    return AW_OK;
}

const ldns_rr *
dns_find(const ldns_pkt *answer, const ldns_rdf *owner, ldns_rr_type type)
{
    const ldns_rr_list *list = ldns_pkt_answer(answer);

    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) == type && ldns_dname_compare(ldns_rr_owner(rr), owner) == 0)
            return rr;
    }
    return NULL;
}

/* What the server says of our signature; its answer to a bad one is not signed itself. */
static aw_result
signature_failed(const struct dns_server *server, const struct dns_key *key, const ldns_pkt *answer)
{
    const ldns_rr *tsig = ldns_pkt_tsig(answer);
    unsigned error = tsig == NULL || ldns_rr_rd_count(tsig) <= TSIG_ERROR
                         ? 0
                         : ldns_rdf2native_int16(ldns_rr_rdf(tsig, TSIG_ERROR));

    if (error == BAD_KEY)
        return aw_hint(
            aw_fail(AW_CODE_PERMISSION, "the DNS server %s does not know the key %s of %s",
                server->text, key->name, key->algorithm),
            "name and algorithm must be as in the server's key statement; certbot's default "
            "algorithm "
            "is HMAC-MD5, ours HMAC-SHA256");
    if (error == BAD_SIGNATURE)
        return aw_hint(
            aw_fail(AW_CODE_PERMISSION, "the DNS server %s has another secret for the key %s",
                server->text, key->name),
            "compare dns_rfc2136_secret with the server's key statement");
    if (error == BAD_TIME)
        return aw_hint(aw_fail(AW_CODE_PERMISSION,
                           "the clock of the DNS server %s and of this host differ", server->text),
            "both must be right within five minutes (RFC 8945 5.2.3)");
    return aw_hint(
        aw_fail(AW_CODE_MISMATCH, "the answer of the DNS server %s is not signed by the key %s",
            server->text, key->name),
        "it is not used: who answered may be somebody else");
}

static aw_result
sign(ldns_pkt *message, const struct dns_key *key)
{
    ldns_status status =
        ldns_pkt_tsig_sign(message, key->name, key->secret, TSIG_FUDGE, key->algorithm, NULL);

    return status == LDNS_STATUS_OK
               ? AW_OK
               : aw_hint(aw_fail(AW_CODE_CONFIG, "can't sign with the key %s: %s", key->name,
                             ldns_get_errorstr_by_id(status)),
                     "dns_rfc2136_secret is base64, as tsig-keygen writes it");
}

static aw_result
transfer(const struct dns_server *server, ldns_buffer *wire, uint8_t **answer, size_t *size)
{
    const struct timeval limit = {.tv_sec = DNS_SECONDS};
    ldns_status status = ldns_tcp_send(answer, wire, &server->address, server->size, limit, size);

    if (status == LDNS_STATUS_OK)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_TIMEOUT, "the DNS server %s can't be asked by TCP: %s",
                       server->text, ldns_get_errorstr_by_id(status)),
        "is it up, and may this host reach it?");
}

/* RFC 8945 5.4: a response to a signed request is signed, with the request's MAC in it. */
static aw_result
check(const struct dns_server *server, const struct dns_key *key, const ldns_pkt *message,
    ldns_pkt *answer, const uint8_t *wire, size_t size)
{
    if (!ldns_pkt_qr(answer) || ldns_pkt_id(answer) != ldns_pkt_id(message))
        return aw_fail(AW_CODE_SYNTAX, "the DNS server %s answers something else", server->text);
    if (key != NULL && (ldns_pkt_tsig(answer) == NULL ||
                           !ldns_pkt_tsig_verify(answer, wire, size, key->name, key->secret,
                               ldns_rr_rdf(ldns_pkt_tsig(message), TSIG_MAC))))
        return signature_failed(server, key, answer);
    return AW_OK;
}

aw_result
dns_exchange(const struct dns_server *server, const struct dns_key *key, ldns_pkt *message,
    ldns_pkt **answer)
{
    AW_CLEANUP(free_buffer) ldns_buffer *buffer = ldns_buffer_new(LDNS_MIN_BUFLEN);
    AW_CLEANUP(aw_free) uint8_t *wire = NULL;
    AW_CLEANUP(dns_free_packet) ldns_pkt *read = NULL;
    size_t size = 0;

    if (key != NULL)
        AW_TRY(sign(message, key));
    if (buffer == NULL || ldns_pkt2buffer_wire(buffer, message) != LDNS_STATUS_OK)
        return aw_fail_memory();
    AW_TRY(transfer(server, buffer, &wire, &size));
    ldns_status status = ldns_wire2pkt(&read, wire, size);
    if (status != LDNS_STATUS_OK)
        return aw_fail(AW_CODE_SYNTAX, "the DNS server %s answers no DNS message: %s", server->text,
            ldns_get_errorstr_by_id(status));
    AW_TRY(check(server, key, message, read, wire, size));
    *answer = AW_MOVE(read);
    return AW_OK;
}

aw_result
dns_ask(const struct dns_server *server, const struct dns_key *key, const ldns_rdf *name,
    ldns_rr_type type, ldns_pkt **answer)
{
    ldns_rdf *copy = ldns_rdf_clone(name); /* the message's */
    AW_CLEANUP(dns_free_packet)
    ldns_pkt *message = copy == NULL ? NULL : ldns_pkt_query_new(copy, type, LDNS_RR_CLASS_IN, 0);

    if (message == NULL) {
        ldns_rdf_deep_free(copy);
        return aw_fail_memory();
    }
    ldns_pkt_set_random_id(message);
    return dns_exchange(server, key, message, answer);
}
