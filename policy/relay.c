/* The section "relay": whether what inner clients signed counts for an application, and on which
 * further conditions. Those rest on the relay's word, so they only ever take away. */
#include <string.h>

#include "policy/decide.h"
#include "policy/index.h"
#include "policy/overlap.h"
#include "policy/words.h"

const char *const policy_validation_names[] = {"none", "http-01", "dns-01", "tls-alpn-01", NULL};

static bool
holds(const struct policy_network *network, const struct policy_network *address)
{
    if (network->size != address->size)
        return false;
    const struct policy_network cut = policy_network_shorten(address, network->prefix);
    return memcmp(cut.address, network->address, sizeof(cut.address)) == 0;
}

static bool
in_networks(const struct policy_relay *relay, const struct policy_relayed *seen)
{
    struct policy_network address;

    if (relay->network_count == 0)
        return true;
    if (seen->address == NULL || strchr(seen->address, '/') != NULL ||
        !aw_ok(policy_network_parse(seen->address, strlen(seen->address), &address)))
        return false;
    for (size_t i = 0; i < relay->network_count; i++) {
        const struct policy_network network = policy_index_network_of(relay->networks[i]);

        if (holds(&network, &address))
            return true;
    }
    return false;
}

static bool
is_listed(const char *const *list, size_t count, const char *text)
{
    for (size_t i = 0; text != NULL && i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

static bool
has_certificate(const struct policy_relay *relay, const struct policy_relayed *seen)
{
    return relay->certificate_count == 0 || is_listed(relay->client_certificates,
                                                relay->certificate_count, seen->client_certificate);
}

static bool
is_validated(const struct policy_relay *relay, const struct policy_relayed *seen)
{
    return relay->validation == POLICY_VALIDATION_NONE || !seen->finalizing ||
           (seen->validated != NULL &&
               strcmp(seen->validated, policy_validation_names[relay->validation]) == 0);
}

bool
policy_decide_relay(const struct policy_application *application, const struct policy_relayed *seen,
    enum policy_rule *rule)
{
    const struct policy_relay *relay = &application->relay;

    *rule = POLICY_RULE_RELAY;
    if (!relay->allowed || seen == NULL)
        return relay->allowed;
    *rule = POLICY_RULE_RELAY_NETWORKS;
    if (!in_networks(relay, seen))
        return false;
    *rule = POLICY_RULE_RELAY_CERTIFICATES;
    if (!has_certificate(relay, seen))
        return false;
    *rule = POLICY_RULE_RELAY_VALIDATION;
    if (!is_validated(relay, seen))
        return false;
    *rule = POLICY_RULE_RELAY;
    return true;
}

/* Comparison of two sides. */

/* An empty list is no condition: wider than any other. */
static bool
list_covers(const char *const *wide, size_t wide_count, const char *const *list, size_t count)
{
    if (wide_count == 0)
        return true;
    for (size_t i = 0; i < count; i++)
        if (!is_listed(wide, wide_count, list[i]))
            return false;
    return count > 0;
}

bool
policy_relay_covers(const struct policy_relay *wide, const struct policy_relay *relay)
{
    if (!relay->allowed || !wide->allowed)
        return wide->allowed || !relay->allowed;
    return list_covers(
               wide->networks, wide->network_count, relay->networks, relay->network_count) &&
           list_covers(wide->client_certificates, wide->certificate_count,
               relay->client_certificates, relay->certificate_count) &&
           (wide->validation == POLICY_VALIDATION_NONE || wide->validation == relay->validation);
}

/* What can't be proved. */

static bool
proves(enum policy_validation validation, enum claim_kind kind)
{
    if (kind == CLAIM_WILDCARDS) /* RFC 8555 8.3, RFC 8737 3: of a host, which a wildcard is not */
        return validation == POLICY_VALIDATION_DNS_01;
    return kind != CLAIM_ADDRESSES || validation != POLICY_VALIDATION_DNS_01; /* RFC 8738 7 */
}

void
policy_warn_relay(struct draft *draft, const struct application *application)
{
    const struct policy_relay *relay = &application->shown.relay;
    uint32_t claim = application->first;

    if (!relay->allowed || relay->validation == POLICY_VALIDATION_NONE)
        return;
    for (unsigned kind = 0; kind < CLAIM_NAMES; kind++)
        for (uint32_t i = 0; i < application->list_count[kind]; i++, claim++) {
            const struct entry entry = {
                application, claim, (enum claim_kind)kind, draft->snapshot->index.texts[claim]};

            if (kind != CLAIM_DENY && !proves(relay->validation, entry.kind))
                policy_warn_entry(draft, &entry,
                    "\"%s%s\" can never be had through a relay (relay.validation): %s does not "
                    "prove %s",
                    kind == CLAIM_WILDCARDS ? "*." : "", entry.text,
                    policy_validation_names[relay->validation],
                    kind == CLAIM_WILDCARDS ? "a wildcard" : "an address");
        }
}

/* Words. */

static void
write_list(FILE *out, const char *lead, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i == 0 ? lead : ", ", list[i]);
}

void
policy_words_relay(FILE *out, const struct policy_relay *relay)
{
    if (!relay->allowed) {
        fputs("no", out);
        return;
    }
    fputs("yes", out);
    write_list(out, "; from ", relay->networks, relay->network_count);
    write_list(out, "; client certificate ", relay->client_certificates, relay->certificate_count);
    if (relay->validation != POLICY_VALIDATION_NONE)
        fprintf(out, "; validated by %s", policy_validation_names[relay->validation]);
}

aw_result
policy_relay_text(const struct policy_relay *relay, char **out)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};

    AW_TRY(policy_words_open(&words));
    policy_words_relay(words.stream, relay);
    return policy_words_finish(&words, out);
}
