#include "client/dns_lookup.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "client/dns_internal.h"
#include "common/io.h"

static void
free_resolver(ldns_resolver **resolver)
{
    ldns_resolver_deep_free(*resolver);
}

aw_result
dns_resolver_of_system(struct dns_server *out)
{
    AW_CLEANUP(free_resolver) ldns_resolver *resolver = NULL;
    AW_CLEANUP(aw_free) char *host = NULL;

    if (ldns_resolver_new_frm_file(&resolver, NULL) != LDNS_STATUS_OK ||
        ldns_resolver_nameserver_count(resolver) == 0)
        return aw_fail(AW_CODE_NOT_FOUND, "/etc/resolv.conf names no resolver");
    host = ldns_rdf2str(ldns_resolver_nameservers(resolver)[0]);
    return host != NULL ? dns_server_find(host, DNS_PORT, out) : aw_fail_memory();
}

static aw_result
judge(const struct dns_server *resolver, const char *name, const ldns_pkt *answer)
{
    ldns_pkt_rcode code = ldns_pkt_get_rcode(answer);

    if (code == LDNS_RCODE_NOERROR)
        return AW_OK;
    if (code == LDNS_RCODE_NXDOMAIN)
        return aw_fail(AW_CODE_NOT_FOUND, "DNS has no name %s", name);
    AW_CLEANUP(aw_free) char *text = ldns_pkt_rcode2str(code);
    return aw_fail(AW_CODE_IO, "the resolver %s can't tell of %s: %s", resolver->text, name,
        text == NULL ? "?" : text);
}

static aw_result
look_up(const struct dns_server *resolver, const char *name, ldns_rr_type type, ldns_pkt **answer)
{
    AW_CLEANUP(dns_free_name) ldns_rdf *owner = NULL;
    AW_CLEANUP(dns_free_packet) ldns_pkt *question = NULL;

    AW_TRY(dns_name(name, &owner));
    question = ldns_pkt_query_new(owner, type, LDNS_RR_CLASS_IN, LDNS_RD);
    if (question == NULL)
        return aw_fail_memory();
    owner = NULL; /* the message's */
    ldns_pkt_set_random_id(question);
    AW_TRY(dns_exchange(resolver, NULL, question, answer));
    return judge(resolver, name, *answer);
}

/* A text of up to 255 octets is one string; a record of several is their sum. */
static bool
is_text(const ldns_rr *rr, const char *text)
{
    size_t left = strlen(text);

    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *data = ldns_rr_rdf(rr, i);
        size_t size = ldns_rdf_size(data) - 1;
        if (size > left || memcmp(ldns_rdf_data(data) + 1, text, size) != 0)
            return false;
        text += size;
        left -= size;
    }
    return left == 0;
}

aw_result
dns_lookup_text(const struct dns_server *resolver, const char *name, const char *text, bool *found)
{
    AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;

    *found = false;
    AW_TRY(look_up(resolver, name, LDNS_RR_TYPE_TXT, &answer));
    const ldns_rr_list *list = ldns_pkt_answer(answer);
    for (size_t i = 0; i < ldns_rr_list_rr_count(list) && !*found; i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        *found = ldns_rr_get_type(rr) == LDNS_RR_TYPE_TXT && is_text(rr, text);
    }
    return AW_OK;
}

static void
take_address(const ldns_rr *rr, struct sockaddr_storage *out)
{
    const ldns_rdf *data = ldns_rr_rdf(rr, 0);

    memset(out, 0, sizeof(*out));
    if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_AAAA) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        memcpy(&six->sin6_addr, ldns_rdf_data(data), sizeof(six->sin6_addr));
    } else {
        struct sockaddr_in *four = (struct sockaddr_in *)out;
        four->sin_family = AF_INET;
        memcpy(&four->sin_addr, ldns_rdf_data(data), sizeof(four->sin_addr));
    }
}

aw_result
dns_lookup_addresses(const struct dns_server *resolver, const char *name,
    struct sockaddr_storage out[DNS_ADDRESSES_MAX], size_t *count)
{
    static const ldns_rr_type types[] = {LDNS_RR_TYPE_AAAA, LDNS_RR_TYPE_A};

    *count = 0;
    for (size_t i = 0; i < AW_COUNT(types); i++) {
        AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;
        AW_TRY(look_up(resolver, name, types[i], &answer));
        const ldns_rr_list *list = ldns_pkt_answer(answer);
        for (size_t j = 0; j < ldns_rr_list_rr_count(list) && *count < DNS_ADDRESSES_MAX; j++) {
            const ldns_rr *rr = ldns_rr_list_rr(list, j);
            if (ldns_rr_get_type(rr) == types[i])
                take_address(rr, &out[(*count)++]);
        }
    }
    return AW_OK;
}
