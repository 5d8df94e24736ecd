/* GetNonces, FindAccount, GetAccount: what a relay asks; nothing is signed or recorded. */
#include <string.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "jose/jwk.h"
#include "signer/application.h"
#include "signer/evidence.h"
#include "signer/ledger_inner.h"
#include "signer/relay_service.h"
#include "signer/service.h"

static aw_result
get_nonces(struct core *core, const char *base, size_t count, char **reply)
{
    char nonces[SIGN_NONCES_MAX][RELAY_NONCE_SIZE];
    struct aw_json_writer w = {0};

    AW_TRY(relay_nonces_make(core->nonces, base, aw_now_ms(), nonces, count));
    aw_json_begin_object(&w);
    aw_json_name(&w, "nonces");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < count; i++)
        aw_json_write_string(&w, nonces[i]);
    aw_json_end_array(&w);
    aw_json_pair_integer(&w, "lifetime", RELAY_NONCE_LIFETIME);
    return service_finish(&w, NULL, reply);
}

static aw_result
find_account(struct core *core, const char *thumbprint, char **reply)
{
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account found = {0};
    uint8_t octets[JOSE_THUMBPRINT_SIZE];
    char hex[LEDGER_THUMBPRINT_SIZE];
    struct aw_json_writer w = {0};
    size_t size;

    AW_TRY(aw_b64url_decode(thumbprint, strlen(thumbprint), octets, sizeof(octets), &size));
    aw_hex(octets, size, hex);
    AW_TRY(ledger_inner_account_of_key(core->ledger, hex, &found));
    aw_json_begin_object(&w);
    if (found.id != 0) {
        aw_json_pair_integer(&w, "account", found.id);
        aw_json_pair(&w, "application", found.application);
    }
    return service_finish(&w, NULL, reply);
}

/* Of the application's account at the CA, as WhoAmI tells an application. */
static void
write_upstream(
    struct aw_json_writer *w, struct core *core, const struct policy_application *application)
{
    accounts_read(core->accounts);
    const struct account *account = accounts_find(core->accounts, application->account);
    if (account != NULL && account->state == ACCOUNT_REGISTERED && account->ca->pinned_at != 0) {
        application_write_directory(w, "ca", account->ca);
        aw_json_pair(w, "account_url", account->url);
        aw_json_pair(w, "thumbprint", account->thumbprint);
    }
    accounts_read_end(core->accounts);
}

static void
write_account(struct aw_json_writer *w, struct core *core, const struct ledger_inner_account *found,
    const struct policy_application *application)
{
    aw_json_pair(w, "application", found->application);
    aw_json_pair(w, "owner", application->owner);
    aw_json_pair(w, "jwk", found->jwk);
    aw_json_pair_bool(w, "active", found->active);
    aw_json_pair(w, "validation", policy_validation_names[application->relay.validation]);
    write_upstream(w, core, application);
    aw_json_name(w, "profiles");
    aw_json_begin_array(w);
    for (size_t i = 0; i < application->profiles_count; i++)
        aw_json_write_string(w, application->profiles[i]);
    aw_json_end_array(w);
}

static aw_result
refuse(const char *error, const char *rule, const char *message, char **reply)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "rule", rule);
    aw_json_pair(&w, "message", message);
    return service_finish_error(&w, SERVICE_RELAY, error, reply);
}

static aw_result
get_account(struct core *core, int64_t id, char **reply)
{
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account found = {0};
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(core);
    struct aw_json_writer w = {0};

    AW_TRY(ledger_inner_account_find(core->ledger, id, &found));
    if (found.id == 0)
        return refuse("EvidenceRefused", EVIDENCE_ACCOUNT, "there is no such account", reply);
    const struct policy_application *application = policy_find(snapshot, found.application);
    if (application == NULL)
        return refuse("PolicyRefused", policy_rule_tag(POLICY_RULE_APPLICATION_UNKNOWN),
            "no policy has the account's application any more", reply);
    aw_json_begin_object(&w);
    write_account(&w, core, &found, application);
    return service_finish(&w, NULL, reply);
}

static aw_result
ask(struct core *core, const char *base, enum relay_method method,
    const struct sign_request *request, char **reply)
{
    if (method == RELAY_GET_NONCES)
        return get_nonces(core, base, (size_t)request->relayed.count, reply);
    if (method == RELAY_FIND_ACCOUNT)
        return find_account(core, request->relayed.thumbprint, reply);
    return get_account(core, request->relayed.account, reply);
}

aw_result
relay_query(struct core *core, const char *base, enum relay_method method,
    const struct sign_request *request, char **reply)
{
    if (aw_ok(ask(core, base, method, request, reply)))
        return AW_OK;
    teller_failure(&core->teller, AW_LOG_ERROR, "a relay's question");
    return application_unavailable(SERVICE_RELAY, reply);
}
