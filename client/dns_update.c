/* Zones, their servers, aliases, and updates (RFC 2136). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netdb.h>
#include <netinet/in.h>

#include "client/dns_internal.h"
#include "common/io.h"

/* Zones. */

aw_result
dns_find_zone(const struct dns_server *server, const struct dns_key *key, const char *name,
    char zone[DNS_NAME_SIZE])
{
    AW_CLEANUP(dns_free_name) ldns_rdf *at = NULL;

    AW_TRY(dns_name(name, &at));
    while (ldns_dname_label_count(at) > 0) {
        AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;
        AW_TRY(dns_ask(server, key, at, LDNS_RR_TYPE_SOA, &answer));
        if (ldns_pkt_aa(answer) && dns_find(answer, at, LDNS_RR_TYPE_SOA) != NULL)
            return dns_name_text(at, zone);
        ldns_rdf *above = ldns_dname_left_chop(at);
        ldns_rdf_deep_free(at);
        at = above;
        if (at == NULL)
            return aw_fail_memory();
    }
    return aw_hint(aw_fail(AW_CODE_NOT_FOUND,
                       "the DNS server %s is authoritative for no zone that %s "
                       "is in",
                       server->text, name),
        "dns_rfc2136_server is the zone's primary server, and must answer SOA questions from here");
}

/* What this host's resolver knows; nothing where it knows nothing. */
static ldns_pkt *
resolve(const ldns_rdf *name, ldns_rr_type type)
{
    const struct timeval limit = {.tv_sec = DNS_SECONDS};
    ldns_resolver *resolver = NULL;

    if (ldns_resolver_new_frm_file(&resolver, NULL) != LDNS_STATUS_OK)
        return NULL;
    ldns_resolver_set_timeout(resolver, limit);
    ldns_resolver_set_retry(resolver, 2);
    ldns_pkt *answer = ldns_resolver_query(resolver, name, type, LDNS_RR_CLASS_IN, LDNS_RD);
    ldns_resolver_deep_free(resolver);
    return answer;
}

/* The target of one alias; NULL: the name is none. */
static aw_result
next_alias(const struct dns_server *server, const struct dns_key *key, const ldns_rdf *name,
    ldns_rdf **target)
{
    AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;

    *target = NULL;
    AW_TRY(dns_ask(server, key, name, LDNS_RR_TYPE_CNAME, &answer));
    if (!ldns_pkt_aa(answer)) {
        dns_free_packet(&answer);
        answer = resolve(name, LDNS_RR_TYPE_CNAME);
    }
    const ldns_rr *alias = answer == NULL ? NULL : dns_find(answer, name, LDNS_RR_TYPE_CNAME);
    if (alias == NULL || ldns_rr_rd_count(alias) != 1)
        return AW_OK;
    *target = ldns_rdf_clone(ldns_rr_rdf(alias, 0));
    return *target == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
dns_follow(const struct dns_server *server, const struct dns_key *key, const char *name,
    char target[DNS_NAME_SIZE])
{
    AW_CLEANUP(dns_free_name) ldns_rdf *at = NULL;

    AW_TRY(dns_name(name, &at));
    for (int i = 0; i <= DNS_ALIASES_MAX; i++) {
        ldns_rdf *next = NULL;
        AW_TRY(next_alias(server, key, at, &next));
        if (next == NULL)
            return dns_name_text(at, target);
        ldns_rdf_deep_free(at);
        at = next;
    }
    return aw_hint(aw_fail(AW_CODE_LIMIT, "%s is an alias of an alias, more than %d times", name,
                       DNS_ALIASES_MAX),
        "its CNAME records may go in a circle");
}

/* Servers. */

struct servers {
    const struct dns_server *primary;
    struct dns_server *list;
    size_t count;
};

static bool
same_host(const struct dns_server *a, const struct dns_server *b)
{
    const struct sockaddr_in *a4 = (const void *)&a->address, *b4 = (const void *)&b->address;
    const struct sockaddr_in6 *a6 = (const void *)&a->address, *b6 = (const void *)&b->address;

    if (a->address.ss_family != b->address.ss_family)
        return false;
    return a->address.ss_family == AF_INET
               ? a4->sin_addr.s_addr == b4->sin_addr.s_addr
               : memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

/* The first address does: a server's others are the same server. */
static void
add_server(struct servers *s, const char *host, const char *name)
{
    struct dns_server *place = &s->list[s->count];

    if (s->count == DNS_SERVERS_MAX || !aw_ok(dns_server_find(host, DNS_PORT, place)))
        return;
    if (same_host(place, s->primary))
        *place = *s->primary;
    snprintf(place->text, sizeof(place->text), "%.120s", name);
    s->count++;
}

/* Its address from the primary, where that knows it, else from this host's resolver. */
static aw_result
find_server(struct servers *s, const struct dns_key *key, const ldns_rdf *name)
{
    static const ldns_rr_type types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA};
    char text[DNS_NAME_SIZE];

    AW_TRY(dns_name_text(name, text));
    for (size_t i = 0; i < AW_COUNT(types); i++) {
        AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;
        AW_TRY(dns_ask(s->primary, key, name, types[i], &answer));
        const ldns_rr *rr = dns_find(answer, name, types[i]);
        AW_CLEANUP(aw_free) char *host = rr == NULL ? NULL : ldns_rdf2str(ldns_rr_rdf(rr, 0));
        if (host != NULL) {
            add_server(s, host, text);
            return AW_OK;
        }
    }
    add_server(s, text, text);
    return AW_OK;
}

aw_result
dns_zone_servers(const struct dns_server *server, const struct dns_key *key, const char *zone,
    struct dns_server *out, size_t *count)
{
    AW_CLEANUP(dns_free_name) ldns_rdf *name = NULL;
    AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;
    struct servers found = {.primary = server, .list = out};

    AW_TRY(dns_name(zone, &name));
    AW_TRY(dns_ask(server, key, name, LDNS_RR_TYPE_NS, &answer));
    const ldns_rr_list *list = ldns_pkt_answer(answer);
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_NS)
            AW_TRY(find_server(&found, key, ldns_rr_rdf(rr, 0)));
    }
    *count = found.count;
    return AW_OK;
}

/* Records. */

static bool
is_text(const ldns_rr *rr, const char *text)
{
    const ldns_rdf *data = ldns_rr_rd_count(rr) == 1 ? ldns_rr_rdf(rr, 0) : NULL;
    size_t length = strlen(text);

    return data != NULL && ldns_rr_get_type(rr) == LDNS_RR_TYPE_TXT &&
           ldns_rdf_size(data) == length + 1 && memcmp(ldns_rdf_data(data) + 1, text, length) == 0;
}

bool
dns_has(const struct dns_server *server, const struct dns_record *record)
{
    AW_CLEANUP(dns_free_name) ldns_rdf *name = NULL;
    AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;

    if (!aw_ok(dns_name(record->name, &name)) ||
        !aw_ok(dns_ask(server, NULL, name, LDNS_RR_TYPE_TXT, &answer)))
        return false;
    const ldns_rr_list *list = ldns_pkt_answer(answer);
    for (size_t i = 0; ldns_pkt_aa(answer) && i < ldns_rr_list_rr_count(list); i++)
        if (is_text(ldns_rr_list_rr(list, i), record->text))
            return true;
    return false;
}

/* RFC 2136 2.5.1 and 2.5.4: to remove one record of a set, its class is NONE and its TTL 0. */
static aw_result
make_record(const struct dns_record *record, bool add, ldns_rr **out)
{
    AW_CLEANUP(dns_free_record) ldns_rr *rr = ldns_rr_new();
    AW_CLEANUP(dns_free_name) ldns_rdf *owner = NULL;

    AW_TRY(dns_name(record->name, &owner));
    ldns_rdf *text = ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, record->text);
    if (rr == NULL || text == NULL || !ldns_rr_push_rdf(rr, text)) {
        ldns_rdf_deep_free(text);
        return aw_fail_memory();
    }
    ldns_rr_set_owner(rr, AW_MOVE(owner));
    ldns_rr_set_type(rr, LDNS_RR_TYPE_TXT);
    ldns_rr_set_class(rr, add ? LDNS_RR_CLASS_IN : LDNS_RR_CLASS_NONE);
    ldns_rr_set_ttl(rr, add ? DNS_TTL : 0);
    *out = AW_MOVE(rr);
    return AW_OK;
}

static void
free_list(ldns_rr_list **list)
{
    ldns_rr_list_deep_free(*list);
}

static aw_result
make_update(const struct dns_record *record, bool add, ldns_pkt **out)
{
    AW_CLEANUP(free_list) ldns_rr_list *list = ldns_rr_list_new();
    AW_CLEANUP(dns_free_record) ldns_rr *rr = NULL;
    AW_CLEANUP(dns_free_name) ldns_rdf *zone = NULL;

    AW_TRY(make_record(record, add, &rr));
    AW_TRY(dns_name(record->zone, &zone));
    if (list == NULL || !ldns_rr_list_push_rr(list, rr))
        return aw_fail_memory();
    rr = NULL;
    *out = ldns_update_pkt_new(zone, LDNS_RR_CLASS_IN, NULL, list, NULL);
    if (*out == NULL)
        return aw_fail_memory();
    zone = NULL; /* the message's */
    return AW_OK;
}

static aw_result
judge(const struct dns_server *server, const struct dns_record *record, const ldns_pkt *answer)
{
    ldns_pkt_rcode code = ldns_pkt_get_rcode(answer);
    AW_CLEANUP(aw_free) char *text = ldns_pkt_rcode2str(code);

    if (code == LDNS_RCODE_NOERROR)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_PERMISSION, "the DNS server %s refuses to change %s in the zone %s: %s",
            server->text, record->name, record->zone, text == NULL ? "?" : text),
        "the key must be allowed to change TXT records there: update-policy { grant KEY name %s. "
        "TXT; }; its log says more",
        record->name);
}

aw_result
dns_update(const struct dns_server *server, const struct dns_key *key,
    const struct dns_record *record, bool add)
{
    AW_CLEANUP(dns_free_packet) ldns_pkt *message = NULL;
    AW_CLEANUP(dns_free_packet) ldns_pkt *answer = NULL;

    AW_TRY(make_update(record, add, &message));
    AW_TRY(dns_exchange(server, key, message, &answer));
    return judge(server, record, answer);
}
