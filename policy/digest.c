/* The digest of a policy: what it says, in one canonical form, whatever the files look like. */
#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>

#include "common/hex.h"
#include "common/openssl.h"
#include "policy/draft.h"

/* Values hold no NUL, so each is ended by one. */
static bool
put(EVP_MD_CTX *context, const char *text)
{
    return EVP_DigestUpdate(context, text, strlen(text) + 1) == 1;
}

static bool
put_number(EVP_MD_CTX *context, const char *name, int64_t value)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    return put(context, name) && put(context, text);
}

static bool
put_lists(EVP_MD_CTX *context, const policy_snapshot *snapshot, const struct application *from)
{
    uint32_t at = from->first;

    for (unsigned kind = 0; kind < CLAIM_LISTS; kind++) {
        if (kind == CLAIM_RELAY_NETWORKS && !from->shown.relay.allowed)
            return true;
        if (!put_number(context, "list", from->list_count[kind]))
            return false;
        for (uint32_t end = at + from->list_count[kind]; at < end; at++)
            if (!put(context, snapshot->index.texts[at]))
                return false;
    }
    return true;
}

static bool
put_application(EVP_MD_CTX *context, const struct policy_application *shown)
{
    return put(context, shown->name) && put(context, shown->owner) &&
           put(context, shown->account) && put_number(context, "expires", shown->expires) &&
           put_number(context, "warn_until", shown->warn_until) &&
           put_number(context, "names_per_certificate", shown->names_per_certificate) &&
           put_number(context, "orders_per_day", shown->orders_per_day) &&
           put_number(context, "revocations_per_day", shown->revocations_per_day) &&
           put_number(context, "order", shown->can_order) &&
           put_number(context, "revoke", shown->can_revoke) &&
           put_number(context, "keys", shown->keys);
}

/* A policy without this section has the digest that it had before there was one. */
static bool
put_relay(EVP_MD_CTX *context, const struct policy_relay *relay)
{
    return !relay->allowed || put_number(context, "relay", relay->validation);
}

aw_result
policy_digest_application(const policy_snapshot *snapshot, const struct application *application,
    const char *principals, uint8_t out[AW_DIGEST_SIZE])
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        !put_application(context, &application->shown) || !put(context, principals) ||
        !put_relay(context, &application->shown.relay) ||
        !put_lists(context, snapshot, application) || EVP_DigestFinal_ex(context, out, NULL) != 1)
        return aw_fail_openssl("can't digest the policy of %s", application->shown.name);
    return AW_OK;
}

/* Claims of accounts come first in the index, in the order of the accounts. */
static bool
put_accounts(EVP_MD_CTX *context, const policy_snapshot *snapshot, uint32_t end)
{
    for (size_t i = 0; i < snapshot->account_count; i++)
        if (!put_number(context, snapshot->accounts[i].name, snapshot->accounts[i].orders_per_day))
            return false;
    for (uint32_t i = 0; i < end; i++)
        if (!put_number(context, snapshot->index.texts[i], snapshot->index.owners[i]))
            return false;
    return true;
}

static bool
put_applications(EVP_MD_CTX *context, const struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++)
        if (EVP_DigestUpdate(context, draft->applications[i].digest, AW_DIGEST_SIZE) != 1)
            return false;
    return true;
}

aw_result
policy_digest_all(struct draft *draft)
{
    AW_CLEANUP(aw_digest_context_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
    policy_snapshot *snapshot = draft->snapshot;
    uint8_t digest[AW_DIGEST_SIZE];

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1 ||
        !put_number(context, "acmeward policy", 1) ||
        !put_accounts(context, snapshot, draft->account_claims) ||
        !put_applications(context, draft) || EVP_DigestFinal_ex(context, digest, NULL) != 1)
        return aw_fail_openssl("can't digest the policy");
    aw_hex(digest, sizeof(digest), snapshot->digest);
    return AW_OK;
}
