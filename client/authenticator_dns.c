/* --dns-rfc2136: TXT records by dynamic update, and waiting until the zone's servers have them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/authenticator_internal.h"
#include "client/dns_credentials.h"
#include "client/interrupt.h"
#include "common/io.h"

enum {
    WAIT_SECONDS = 60, /* certbot's */
    WAIT_STEP_MS = 500,
};

/* A record that was added. */
struct record {
    struct record *next;
    char *token;
    char *text;
    char zone[DNS_NAME_SIZE];
    char name[DNS_NAME_SIZE];
};

struct dns_run {
    struct dns_credentials credentials;
    struct dns_server server;
    int64_t seconds;
    struct record *records;
};

static void
free_record(struct record **slot)
{
    if (*slot == NULL)
        return;
    free((*slot)->token);
    free((*slot)->text);
    free(*slot);
    *slot = NULL;
}

static void
run_free(struct dns_run **slot)
{
    struct dns_run *run = *slot;

    if (run == NULL)
        return;
    while (run->records != NULL) {
        struct record *record = run->records;
        run->records = record->next;
        free_record(&record);
    }
    dns_credentials_free(&run->credentials);
    free(run);
    *slot = NULL;
}

void
dns_free(struct authenticator *a)
{
    run_free(&a->dns);
}

static const struct dns_key *
query_key(const struct dns_run *run)
{
    return run->credentials.sign_query ? &run->credentials.key : NULL;
}

static struct dns_record
record_of(const struct record *record)
{
    return (struct dns_record){record->zone, record->name, record->text};
}

/* Begins before anything is ordered: a file that can't be read must not cost an order. */
aw_result
dns_begin(struct authenticator *a)
{
    const struct options *o = a->options;
    AW_CLEANUP(run_free) struct dns_run *run = calloc(1, sizeof(*run));

    if (run == NULL)
        return aw_fail_memory();
    AW_TRY(dns_credentials_load(o->dns_rfc2136_credentials, &run->credentials));
    run->seconds = WAIT_SECONDS;
    if (o->dns_rfc2136_seconds != NULL)
        run->seconds = strtol(o->dns_rfc2136_seconds, NULL, 10); /* digits: options.c looked */
    a->dns = AW_MOVE(run);
    return AW_OK;
}

static aw_result
find_place(struct dns_run *run, const char *name, struct record *record)
{
    AW_CLEANUP(aw_free) char *label = NULL;

    if (run->server.size == 0)
        AW_TRY(dns_server_find(run->credentials.server, run->credentials.port, &run->server));
    AW_TRY(aw_format(&label, "_acme-challenge.%s", name)); /* RFC 8555 8.4 */
    AW_TRY(dns_follow(&run->server, query_key(run), label, record->name));
    return dns_find_zone(&run->server, query_key(run), record->name, record->zone);
}

/* It is remembered before it is sent: an update whose answer was lost may have been made. */
aw_result
dns_deploy(struct authenticator *a, const struct issue_challenge *challenge)
{
    struct dns_run *run = a->dns;
    AW_CLEANUP(free_record) struct record *record = calloc(1, sizeof(*record));

    if (record == NULL)
        return aw_fail_memory();
    AW_TRY(aw_format(&record->token, "%s", challenge->token));
    AW_TRY(authenticator_validation(challenge, &record->text));
    AW_TRY(aw_context(
        find_place(run, challenge->name->text, record), "validating %s", challenge->name->text));
    const struct dns_record added = record_of(record);
    record->next = run->records;
    run->records = AW_MOVE(record);
    aw_result r = dns_update(&run->server, &run->credentials.key, &added, true);
    if (!aw_ok(r)) {
        struct aw_error error;
        aw_error_save(&error);
        if (r.code != AW_CODE_PERMISSION)
            dns_remove(a, challenge);
        return aw_context(aw_error_restore(&error), "validating %s", challenge->name->text);
    }
    return AW_OK;
}

void
dns_remove(struct authenticator *a, const struct issue_challenge *challenge)
{
    struct dns_run *run = a->dns;

    for (const struct record *record = run->records; record != NULL; record = record->next) {
        if (strcmp(record->token, challenge->token) != 0)
            continue;
        const struct dns_record removed = record_of(record);
        if (!aw_ok(dns_update(&run->server, &run->credentials.key, &removed, false)))
            output_note(a->out, "the record %s TXT %s is still there: %s", record->name,
                record->text, aw_error_last()->message);
    }
}

/* Waiting. */

/* One that dns_credentials_load has seen to be ADDRESS or ADDRESS@PORT. */
static aw_result
take_server(const char *text, size_t length, struct dns_server *out)
{
    char host[DNS_SERVER_TEXT_SIZE];

    snprintf(host, sizeof(host), "%.*s", (int)length, text);
    char *at = strchr(host, '@');
    unsigned long port = at == NULL ? DNS_PORT : strtoul(at + 1, NULL, 10);
    if (at != NULL)
        *at = '\0';
    return dns_server_find(host, (unsigned)port, out);
}

static aw_result
list_servers(const struct dns_run *run, const char *zone, struct dns_server *out, size_t *count)
{
    const char *list = run->credentials.propagation_servers;

    *count = 0;
    if (list == NULL)
        return dns_zone_servers(&run->server, query_key(run), zone, out, count);
    while (*list != '\0' && *count < DNS_SERVERS_MAX) {
        list += strspn(list, ", \t");
        size_t length = strcspn(list, ", \t");
        if (length > 0)
            AW_TRY(take_server(list, length, &out[(*count)++]));
        list += length;
    }
    return AW_OK;
}

/* Takes away the servers that have the record. */
static void
ask_all(const struct record *record, struct dns_server *servers, size_t *count)
{
    const struct dns_record asked = record_of(record);
    size_t left = 0;

    for (size_t i = 0; i < *count && !interrupt_came(); i++)
        if (!dns_has(&servers[i], &asked))
            servers[left++] = servers[i];
    *count = left;
}

/* A server that can't be asked from here, or is slow, is the CA's matter then: it may see it. */
static aw_result
wait_for(struct authenticator *a, const struct record *record, int64_t end_ms)
{
    struct dns_server servers[DNS_SERVERS_MAX];
    size_t count = 0;

    AW_TRY(list_servers(a->dns, record->zone, servers, &count));
    output_step(a->out, "waiting for the zone's servers", record->name, NULL);
    for (ask_all(record, servers, &count); count > 0 && aw_now_ms() < end_ms;
         ask_all(record, servers, &count))
        AW_TRY(interrupt_wait(WAIT_STEP_MS));
    AW_TRY(interrupt_check());
    if (count > 0)
        output_note(a->out,
            "after %lld s the name server %s (of %zu that lack it) does not tell the record %s; "
            "the CA "
            "is asked all the same (--dns-rfc2136-propagation-seconds)",
            (long long)a->dns->seconds, servers[0].text, count, record->name);
    return AW_OK;
}

aw_result
dns_wait(struct authenticator *a)
{
    int64_t end_ms = aw_now_ms() + a->dns->seconds * 1000;

    for (const struct record *record = a->dns->records; record != NULL; record = record->next)
        AW_TRY(wait_for(a, record, end_ms));
    return AW_OK;
}
