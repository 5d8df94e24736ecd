#include "signer/work.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/log.h"
#include "signer/ledger_names.h"
#include "signer/prove.h"
#include "signer/url.h"

bool
work_refused(const struct work *work)
{
    return work->reply->outcome != SIGN_OUTCOME_DONE;
}

static aw_result
set(char **slot, const char *text)
{
    free(*slot);
    *slot = text == NULL ? NULL : strdup(text);
    return text != NULL && *slot == NULL ? aw_fail_memory() : AW_OK;
}

aw_result
work_refuse(struct work *work, enum sign_outcome outcome, const char *rule, const char *format, ...)
{
    va_list ap;

    if (work_refused(work))
        return AW_OK;
    work->reply->outcome = outcome;
    va_start(ap, format);
    int length = vasprintf(&work->reply->message, format, ap);
    va_end(ap);
    if (length < 0) {
        work->reply->message = NULL;
        return aw_fail_memory();
    }
    return set(&work->reply->rule, rule);
}

aw_result
work_take_verdict(struct work *work, const struct policy_request *asked)
{
    const struct policy_verdict *verdict = &work->verdict;
    const struct policy_application *application = verdict->application;
    struct sign_reply *reply = work->reply;
    AW_CLEANUP(aw_free) char *text = NULL;

    if (application != NULL) {
        AW_TRY(set(&reply->application, application->name));
        AW_TRY(set(&reply->account, application->account));
    }
    if (verdict->allowed && application == NULL)
        return aw_fail(AW_CODE_INTERNAL, "the policy allows what is of no application");
    if (verdict->allowed)
        return verdict->warned ? policy_warning_text(verdict, asked, &reply->warning) : AW_OK;
    if (application != NULL) {
        AW_TRY(set(&reply->owner, application->owner));
        AW_TRY(policy_allowed_text(application, &reply->allowed));
    }
    if (verdict->name != NULL)
        AW_TRY(set(&reply->name, verdict->name->text));
    AW_TRY(policy_refusal_text(verdict, asked, &text));
    return work_refuse(
        work, SIGN_OUTCOME_POLICY_REFUSED, policy_rule_tag(verdict->rule), "%s", text);
}

aw_result
work_take_turn(struct work *work)
{
    return turns_take(work->core->turns, work->verdict.application->name, &work->turn);
}

void
work_give_turn(struct work *work)
{
    turns_give(work->core->turns, &work->turn);
}

bool
work_is_frozen(const struct work *work)
{
    struct freeze found = {.since = 0};

    if (core_frozen(work->core, &work->reply->since, NULL))
        return true;
    if (!freezes_find(work->core->freezes, work->verdict.application->name, &found))
        return false;
    work->reply->since = found.since;
    return true;
}

aw_result
work_check_freeze(struct work *work)
{
    const char *application = work->verdict.application->name;
    char reason[CORE_REASON_MAX + 1];
    struct freeze found;

    if (core_frozen(work->core, &work->reply->since, reason))
        return work_refuse(work, SIGN_OUTCOME_FROZEN, "frozen",
            "an administrator has stopped all signing: %s", reason);
    if (!freezes_find(work->core->freezes, application, &found))
        return AW_OK;
    work->reply->since = found.since;
    return work_refuse(work, SIGN_OUTCOME_FROZEN, "frozen",
        "an administrator has stopped signing for %s: %s", application, found.reason);
}

aw_result
work_bind_account(struct work *work)
{
    struct core *core = work->core;
    const char *name = work->verdict.application->account;

    accounts_read(core->accounts);
    work->locked = true;
    work->account = accounts_find(core->accounts, name);
    if (work->account == NULL)
        return work_refuse(work, SIGN_OUTCOME_NOT_READY, "account",
            "the signer has no account %s: an administrator must reload or restart it", name);
    if (work->account->ca->pinned_at == 0)
        return work_refuse(work, SIGN_OUTCOME_NOT_READY, "ca",
            "the CA %s is not pinned: an administrator runs acmeward-admin ca pin %s",
            work->account->ca->name, work->account->ca->name);
    if (work->request->operation == SIGN_REVOKE && work->account->ca->pin.revoke_cert == NULL)
        return work_refuse(work, SIGN_OUTCOME_NOT_READY, "ca",
            "the directory of the CA %s has no revokeCert: ask the CA to revoke it",
            work->account->ca->name);
    if (work->account->state != ACCOUNT_REGISTERED)
        return work_refuse(work, SIGN_OUTCOME_NOT_READY, "account",
            "the account %s is not registered: an administrator runs acmeward-admin account "
            "register %s",
            name, name);
    work->issuers = core_issuers(core, work->account->ca->name);
    aw_result r = accounts_key(core->accounts, work->account, &work->key);
    core_note_failure(core, r.code);
    return r;
}

/* Servers may read a URL with a slash behind it, or without its query, as the same resource. */
static bool
is_same_resource(const char *fixed, const char *url)
{
    size_t length = strcspn(fixed, "?");

    while (length > 0 && fixed[length - 1] == '/')
        length--;
    return strncmp(fixed, url, length) == 0 && url[length + strspn(url + length, "/")] == '\0';
}

static bool
is_fixed_url(const struct account *account, const char *url)
{
    const struct ca_pin *pin = &account->ca->pin;
    const char *const fixed[] = {account->ca->directory, pin->new_nonce, pin->new_account,
        pin->new_order, pin->revoke_cert, pin->key_change, pin->renewal_info, account->url,
        account->orders};

    for (size_t i = 0; i < AW_COUNT(fixed); i++)
        if (fixed[i] != NULL && is_same_resource(fixed[i], url))
            return true;
    return false;
}

/* RFC 8555 7.1.2.1: the orders list lies where the CA says, most often below the account. The
 * account's URL may end in a slash itself. */
static bool
is_below_account(const struct account *account, const char *url)
{
    size_t length = strlen(account->url);

    while (length > 0 && account->url[length - 1] == '/')
        length--;
    return strncmp(url, account->url, length) == 0 && url[length] == '/';
}

aw_result
work_check_url(struct work *work, const char *url)
{
    if (!aw_ok(url_check_form(url)))
        return work_refuse(
            work, SIGN_OUTCOME_LEDGER_REFUSED, "url.form", "%s", aw_error_last()->message);
    if (!url_same_origin(url, work->account->ca->directory))
        return work_refuse(work, SIGN_OUTCOME_LEDGER_REFUSED, "url.origin",
            "%s is not on the pinned origin of the CA %s", url, work->account->ca->name);
    if (is_fixed_url(work->account, url) || is_below_account(work->account, url))
        return work_refuse(work, SIGN_OUTCOME_LEDGER_REFUSED, "url.fixed",
            "%s is the account's or a fixed resource of the CA, not an order's", url);
    return AW_OK;
}

aw_result
work_verify(struct work *work)
{
    const struct sign_request *request = work->request;
    struct issuers_chain chain = {.leaf = request->certificate.data,
        .leaf_size = request->certificate.size,
        .above_count = request->chain_count};

    if (request->operation != SIGN_RECORD_CERTIFICATE || work->issuers == NULL)
        return AW_OK;
    for (size_t i = 0; i < request->chain_count; i++) {
        chain.above[i] = request->chain[i].data;
        chain.above_sizes[i] = request->chain[i].size;
    }
    return issuers_verify(
        work->issuers, &chain, work->core->libctx, work->now, &work->verified, work->doubt);
}

/* Texts of a record that have to outlive the call that made them. */
struct record_texts {
    const char *names[SIGN_NAMES_MAX];
    char input[AW_DIGEST_HEX_SIZE];
    char csr[AW_DIGEST_HEX_SIZE];
    char key[AW_DIGEST_HEX_SIZE];
    char certificate[AW_DIGEST_HEX_SIZE];
    char replaces[2 * SIGN_TEXT_MAX + 1]; /* serial number, empty where it is none */
    char alarm[ISSUERS_REASON_SIZE + 128];
};

static void
names_of_work(const struct work *work, const struct aw_name **names, size_t *count)
{
    *names = work->request->names;
    *count = work->request->name_count;
    if (work->csr != NULL) {
        *names = work->csr->names;
        *count = work->csr->name_count;
    } else if (work->certificate != NULL) {
        *names = work->certificate->names;
        *count = work->certificate->name_count;
    }
}

static enum audit_kind
kind_of(const struct work *work)
{
    if (work->request->operation == SIGN_CLAIM)
        return AUDIT_CLAIM;
    if (work->request->operation == SIGN_RECORD_CERTIFICATE)
        return AUDIT_CERTIFICATE;
    return AUDIT_DECISION;
}

static const char *
verdict_text(const struct work *work)
{
    if (work_refused(work))
        return "refuse";
    return work->verdict.warned ? "warn" : "permit";
}

static void
fill_digests(const struct work *work, struct audit_entry *entry, struct record_texts *texts)
{
    const uint8_t *key = work->csr != NULL           ? work->csr->key_digest
                         : work->certificate != NULL ? work->certificate->key_digest
                                                     : NULL;

    if (work->jws.input != NULL) {
        aw_hex(work->jws.digest, sizeof(work->jws.digest), texts->input);
        entry->input = texts->input;
    }
    if (work->csr != NULL) {
        aw_hex(work->csr->digest, sizeof(work->csr->digest), texts->csr);
        entry->csr = texts->csr;
    }
    if (key != NULL) {
        aw_hex(key, AW_DIGEST_SIZE, texts->key);
        entry->key = texts->key;
    }
}

static void
fill_certificate(const struct work *work, struct audit_entry *entry, struct record_texts *texts)
{
    const struct certificate *certificate = work->certificate;

    if (certificate == NULL)
        return;
    aw_hex(certificate->digest, sizeof(certificate->digest), texts->certificate);
    entry->certificate = texts->certificate;
    entry->serial = certificate->serial;
    entry->not_after = certificate->not_after;
    entry->issuer = certificate->issuer;
    entry->has_verified =
        work->request->operation == SIGN_RECORD_CERTIFICATE && work->issuers != NULL;
    entry->verified = entry->has_verified && work->verified;
}

/* RFC 9773 4.1: behind the "." stands the serial number as in DER, where it is positive and in the
 * shortest form; what is not that is the serial of no certificate. */
static void
fill_replaces(const struct work *work, struct audit_entry *entry, struct record_texts *texts)
{
    const char *dot = strchr(work->request->replaces, '.');
    uint8_t octets[SIGN_TEXT_MAX];
    size_t size = 0;

    texts->replaces[0] = '\0';
    if (dot == NULL ||
        !aw_ok(aw_b64url_decode(dot + 1, strlen(dot + 1), octets, sizeof(octets), &size)) ||
        size == 0 || (octets[0] & 0x80) != 0)
        return;
    size_t sign = octets[0] == 0 && size > 1 ? 1 : 0;
    if (sign == 1 && (octets[1] & 0x80) == 0)
        return;
    aw_hex(octets + sign, size - sign, texts->replaces);
    entry->serial = texts->replaces;
}

/* Refusals say too who asked, and by what. */
static void
fill_proof(const struct work *work, struct audit_entry *entry)
{
    const struct proof *proof = &work->proof;

    entry->account_id = proof->account.id;
    if (proof->evidence[0] != '\0')
        entry->evidence = proof->evidence;
    if (proof->key != NULL)
        entry->jwk = proof->key->text;
    entry->kid = proof->kid;
    if (!work_refused(work) && proof->by_certificate && work->request->reason == 1)
        entry->rule = LEDGER_RULE_COMPROMISED;
}

static void
fill_entry(const struct work *work, struct audit_entry *entry, struct record_texts *texts)
{
    const struct aw_name *names = NULL;
    size_t count = 0;

    names_of_work(work, &names, &count);
    for (size_t i = 0; i < count && i < SIGN_NAMES_MAX; i++)
        texts->names[i] = names[i].text;
    *entry = (struct audit_entry){
        .kind = kind_of(work),
        .time = core_time(work->core, NULL),
        .has_uid = true,
        .uid = work->peer->uid,
        .user = work->peer->user,
        .application = work->reply->application,
        .account = work->reply->account,
        .operation = sign_operation_name(work->request->operation),
        .verdict = verdict_text(work),
        .rule = work_refused(work) ? work->reply->rule : policy_rule_tag(work->verdict.rule),
        .names = texts->names,
        .name_count = count < SIGN_NAMES_MAX ? count : SIGN_NAMES_MAX,
        .policy = policy_digest(work->snapshot),
        .order = work->request->order,
        .url = work->request->operation == SIGN_CLAIM ? NULL : work->reply->url,
        .message = work_refused(work) ? work->reply->message : work->reply->warning,
    };
    if (entry->url == NULL)
        entry->url = work->request->url;
    fill_proof(work, entry);
    fill_digests(work, entry, texts);
    fill_certificate(work, entry, texts);
    if (work->request->replaces != NULL)
        fill_replaces(work, entry, texts);
}

/*
 * What a CA issued that nobody asked for, and what it did not issue. A certificate that is not
 * verified says nothing about the CA.
 */
static void
fill_alarm(const struct work *work, struct audit_entry *entry, struct record_texts *texts,
    struct ledger_request *asked)
{
    const char *odd = work->certificate == NULL ? "" : work->certificate->odd;

    if (!entry->has_verified)
        return;
    if (!entry->verified) {
        snprintf(texts->alarm, sizeof(texts->alarm),
            "a certificate was handed back that does not chain to the CA's pinned issuers: %s",
            work->doubt);
        asked->alarm_rule = "certificate.unverified";
        entry->message = texts->alarm;
    } else if (odd[0] != '\0') {
        snprintf(texts->alarm, sizeof(texts->alarm),
            "the CA issued a certificate that was not asked for: %s", odd);
        asked->alarm_rule = "certificate.properties";
    } else {
        return;
    }
    asked->alarm = texts->alarm;
}

static struct ledger_request
ledger_request_of(
    const struct work *work, const struct audit_entry *entry, const struct record_texts *texts)
{
    const struct sign_request *request = work->request;
    struct ledger_request asked = {
        .operation = request->operation,
        .application = entry->application,
        .account = entry->account,
        .orders_per_day = work->verdict.application->orders_per_day,
        .revocations_per_day = work->verdict.application->revocations_per_day,
        .order = request->order,
        .url = request->url,
        .csr = entry->csr,
        .key = entry->key,
        .replaces = request->replaces == NULL ? NULL : texts->replaces,
        .pinned = work->issuers != NULL,
        .certificate = entry->certificate,
        .claims = request->claims,
        .claim_count = request->claim_count,
        .account_id = entry->account_id,
        .jwk = entry->jwk,
        .kid = entry->kid,
        .evidence = entry->evidence,
        .signed_by = entry->evidence != NULL ? work->proof.account.jwk : NULL,
        .again = request->relayed.repeated || request->relayed.again != 0,
    };

    names_of_work(work, &asked.names, &asked.name_count);
    return asked;
}

static void
count(const struct work *work, const struct audit_entry *entry)
{
    metrics *figures = work->core->metrics;
    bool refused = work_refused(work);
    AW_CLEANUP(aw_free) char *names = NULL;

    metrics_decision(figures, work->request->operation,
        refused                ? METRICS_REFUSE
        : work->verdict.warned ? METRICS_WARN
                               : METRICS_PERMIT,
        refused ? work->reply->rule : entry->rule);
    if (refused || entry->kind != AUDIT_CERTIFICATE || (entry->has_verified && !entry->verified))
        return;
    if (aw_ok(ledger_names_text(entry->names, entry->name_count, &names)))
        metrics_certificate(figures, entry->application, names, entry->not_after);
}

/* What evidence is worth is the ledger's to say where two could use it at once. */
static enum sign_outcome
outcome_of(enum ledger_rule rule)
{
    static const char tag[] = "evidence.";

    return strncmp(ledger_rule_tag(rule), tag, sizeof(tag) - 1) == 0 ? SIGN_OUTCOME_EVIDENCE_REFUSED
                                                                     : SIGN_OUTCOME_LEDGER_REFUSED;
}

/* Tickets and accounts are the numbers of their records. */
static void
fill_reply(struct work *work)
{
    struct sign_reply *reply = work->reply;
    const struct sign_request *request = work->request;

    if (request->operation == SIGN_NEW_ORDER)
        reply->order = request->relayed.again != 0 ? request->relayed.again : work->seq;
    reply->created = request->operation == SIGN_INNER_ACCOUNT && !work_refused(work);
    reply->inner = reply->created ? work->seq : work->proof.account.id;
}

aw_result
work_record(struct work *work)
{
    struct audit_entry entry;
    struct record_texts texts;
    struct ledger_request asked;
    struct ledger_verdict said = {.rule = LEDGER_NONE};
    bool refused = work_refused(work);

    fill_entry(work, &entry, &texts);
    if (!refused) {
        asked = ledger_request_of(work, &entry, &texts);
        fill_alarm(work, &entry, &texts, &asked);
    }
    AW_TRY(ledger_submit(
        work->core->ledger, refused ? NULL : &asked, &entry, entry.time, &said, &work->seq));
    if (said.rule != LEDGER_NONE) {
        work->reply->retry_after = said.retry_after;
        work->reply->holder = said.account_id;
        AW_TRY(work_refuse(
            work, outcome_of(said.rule), ledger_rule_tag(said.rule), "%s", said.message));
    }
    work->reply->known = said.known;
    fill_reply(work);
    atomic_fetch_add(work_refused(work) ? &work->core->refusals : &work->core->permits, 1);
    count(work, &entry);
    return AW_OK;
}

aw_result
work_sign(struct work *work, uint8_t signature[TOKEN_SIGNATURE_MAX], size_t *size)
{
    struct timespec begun, ended;

    clock_gettime(CLOCK_MONOTONIC, &begun);
    aw_result r = token_key_sign(work->key, work->jws.input, work->jws.input_size, signature, size);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    metrics_token(work->core->metrics,
        (int64_t)(ended.tv_sec - begun.tv_sec) * 1000000 + (ended.tv_nsec - begun.tv_nsec) / 1000,
        !aw_ok(r));
    return r;
}

void
work_record_failure(struct work *work)
{
    struct aw_error error;
    int64_t seq = 0;

    aw_error_save(&error);
    atomic_fetch_add(&work->core->failures, 1);
    core_note_failure(work->core, error.code);
    struct audit_entry entry = {
        .kind = AUDIT_OUTCOME,
        .time = core_time(work->core, NULL),
        .has_uid = true,
        .uid = work->peer->uid,
        .user = work->peer->user,
        .application = work->reply->application,
        .account = work->reply->account,
        .operation = sign_operation_name(work->request->operation),
        .order = work->seq,
        .message = error.message,
    };
    if (!aw_ok(audit_log_append(work->core->audit, &entry, &seq)))
        teller_failure(&work->core->teller, AW_LOG_ERROR, "a failed signing could not be recorded");
    aw_ignore(aw_error_restore(&error), "the caller returns the first failure");
}

void
work_end(struct work *work)
{
    work_give_turn(work);
    work_end_proof(work);
    if (work->locked)
        accounts_read_end(work->core->accounts);
    aw_jws_free(&work->jws);
    csr_free(&work->csr);
    certificate_free(&work->certificate);
    issuers_release(&work->issuers);
    policy_release(&work->snapshot);
}

void
sign_reply_free(struct sign_reply *reply)
{
    char *strings[] = {reply->application, reply->account, reply->jws, reply->url, reply->warning,
        reply->rule, reply->name, reply->allowed, reply->owner, reply->message};

    for (size_t i = 0; i < AW_COUNT(strings); i++)
        free(strings[i]);
    free(reply->names);
    leaving_end(&reply->leave);
    memset(reply, 0, sizeof(*reply));
}
