/* newAccount: who may have an account with a relay, and of which application it is. */
#include "common/hex.h"
#include "signer/app_eab.h"
#include "signer/evidence.h"
#include "signer/ledger_app_eabs.h"
#include "signer/ledger_inner.h"
#include "signer/prove_parts.h"

static aw_result
refuse_binding(struct work *work, enum ledger_rule rule, const char *message)
{
    return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, ledger_rule_tag(rule), "%s", message);
}

/* The key is derived in the token, where applications take turns. */
static aw_result
derive_key(struct work *work, const struct ledger_app_eab *eab, aw_secret *out)
{
    struct turn turn;

    AW_TRY(turns_take(work->core->turns, eab->application, &turn));
    aw_result r = app_eab_key(work->core, eab->kid, eab->application, out);
    turns_give(work->core->turns, &turn);
    core_note_failure(work->core, r.code);
    return r;
}

static aw_result
verify_binding(struct proving *p, const struct ledger_app_eab *eab, struct jose_jws *binding)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    struct work *work = p->work;
    enum jose_fault fault;
    const char *rule = NULL;

    AW_TRY(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    AW_TRY(derive_key(work, eab, key));
    aw_result r = jose_jws_verify_mac(binding, key, &p->openssl, &fault);
    rule = fault == JOSE_NO_FAULT ? NULL : EVIDENCE_BINDING;
    AW_TRY(proving_refuse_if(work, r, &rule));
    if (work_refused(work))
        return AW_OK;
    return proving_refuse_if(
        work, evidence_check_binding(binding, p->key, &p->openssl, &rule), &rule);
}

/* The ledger asks the same once more when it takes the account in: two could use one at once. */
static aw_result
check_eab(struct work *work, const struct ledger_app_eab *eab)
{
    if (eab->kid == NULL)
        return refuse_binding(work, LEDGER_INNER_BINDING,
            "there is no such key id: an administrator makes one with acmeward-admin app-eab "
            "create");
    enum ledger_rule rule = ledger_app_eab_rule(eab, core_time(work->core, NULL));
    if (rule == LEDGER_NONE)
        return AW_OK;
    return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, ledger_rule_tag(rule),
        "the app-eab %.64s %s; ask for another one", eab->kid, ledger_app_eab_fate(rule));
}

static aw_result
bind_account(struct proving *p, struct jose_jws *binding)
{
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab eab = {0};
    struct work *work = p->work;
    struct proof *proof = &work->proof;

    AW_TRY(ledger_app_eab_find(work->core->ledger, binding->kid, &eab));
    AW_TRY(check_eab(work, &eab));
    if (!work_refused(work))
        AW_TRY(verify_binding(p, &eab, binding));
    if (work_refused(work))
        return AW_OK;
    proof->key = AW_MOVE(p->jws->jwk);
    proof->kid = AW_MOVE(eab.kid);
    proof->account.application = AW_MOVE(eab.application);
    return proving_copy(proof->account.application, &work->reply->application);
}

/* RFC 8555 7.3.1: a key that has an account gets that one. */
static aw_result
settle_existing(struct work *work, const struct ledger_inner_account *found)
{
    if (!found->active)
        return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_ACCOUNT,
            "the account of that key was deactivated: register with a new key");
    work->proof.settled = true;
    work->reply->known = true;
    work->reply->inner = found->id;
    return proving_copy(found->application, &work->reply->application);
}

aw_result
proving_read_account(struct proving *p)
{
    AW_CLEANUP(evidence_account_free) struct evidence_account asked = {0};
    AW_CLEANUP(ledger_inner_account_free) struct ledger_inner_account found = {0};
    struct work *work = p->work;
    char thumbprint[LEDGER_THUMBPRINT_SIZE];
    const char *rule = NULL;

    AW_TRY(
        proving_refuse_if(work, evidence_read_account(p->jws, &p->openssl, &asked, &rule), &rule));
    if (work_refused(work))
        return AW_OK;
    aw_hex(p->key->thumbprint, sizeof(p->key->thumbprint), thumbprint);
    AW_TRY(ledger_inner_account_of_key(work->core->ledger, thumbprint, &found));
    if (found.id != 0)
        return settle_existing(work, &found);
    if (asked.only_existing)
        return work_refuse(work, SIGN_OUTCOME_EVIDENCE_REFUSED, EVIDENCE_ACCOUNT,
            "there is no account with that key");
    if (asked.binding == NULL)
        return refuse_binding(work, LEDGER_INNER_BINDING,
            "an account needs an external account binding: an administrator makes one with "
            "acmeward-admin app-eab create");
    return bind_account(p, asked.binding);
}
