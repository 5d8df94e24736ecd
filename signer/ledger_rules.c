#include "signer/ledger_rules.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"
#include "signer/ledger_app_eabs.h"
#include "signer/ledger_apply.h"
#include "signer/ledger_claims.h"
#include "signer/ledger_inner.h"
#include "signer/ledger_keys.h"
#include "signer/ledger_names.h"
#include "signer/ledger_quota.h"

static const char *const rule_tags[] = {
#define LEDGER_RULE_TAG(name, tag) tag,
    LEDGER_RULES(LEDGER_RULE_TAG)
#undef LEDGER_RULE_TAG
};

static const char *const operation_names[] = {
#define SIGN_OPERATION_TEXT(name, text, method) text,
    SIGN_OPERATIONS(SIGN_OPERATION_TEXT)
#undef SIGN_OPERATION_TEXT
};

const char *
ledger_rule_tag(enum ledger_rule rule)
{
    return rule_tags[rule];
}

const char *
ledger_operation_name(enum sign_operation operation)
{
    return operation_names[operation];
}

aw_result
ledger_refuse(struct ledger_check *check, enum ledger_rule rule, const char *format, ...)
{
    struct ledger_verdict *verdict = check->verdict;
    va_list ap;

    if (verdict->rule != LEDGER_NONE)
        return AW_OK;
    verdict->rule = rule;
    va_start(ap, format);
    vsnprintf(verdict->message, sizeof(verdict->message), format, ap);
    va_end(ap);
    return AW_OK;
}

void
ledger_alarm(struct ledger_check *check, const char *format, ...)
{
    va_list ap;

    check->verdict->alarm = true;
    va_start(ap, format);
    vsnprintf(check->alarm, sizeof(check->alarm), format, ap);
    va_end(ap);
}

/* Rules. Each refuses, or lets the next one ask. */

/*
 * The CA marks what is replaced (RFC 9773 5), on a shared account whoever asks. Where issuers are
 * pinned, a serial belongs to the application that handed back the certificate that the CA made
 * with it; a forged one neither takes nor gives that right. Where none are, it belongs to whoever
 * handed such a certificate back first.
 */
static aw_result
replaces_own(struct ledger_check *check)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    AW_CLEANUP(aw_free) char *by = NULL;
    const struct ledger_request *request = check->request;

    if (request->replaces == NULL)
        return AW_OK;
    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CERTIFICATE_FIRST,
        AW_DB_VALUES(AW_DB_TEXT(request->account), AW_DB_TEXT(request->replaces),
            AW_DB_INTEGER(request->pinned ? LEDGER_VERIFIED : LEDGER_UNCHECKED)),
        &row));
    if (row != NULL)
        AW_TRY(aw_db_text(row, 0, &by));
    if (by != NULL && strcmp(by, request->application) == 0)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_REPLACES,
        "application %.100s handed back no %scertificate with the serial %.80s: order without "
        "\"replaces\"",
        request->application, request->pinned ? "verified " : "", request->replaces);
}

static aw_result
order_known(struct ledger_check *check)
{
    const struct ledger_request *request = check->request;

    AW_TRY(ledger_order_load(
        check->db, request->order, request->application, request->account, &check->order));
    if (check->order.seq != 0 && check->order.account_id == request->account_id)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_UNKNOWN,
        "application %.100s opened no order %lld on account %.100s", request->application,
        (long long)request->order, request->account);
}

static aw_result
order_young(struct ledger_check *check)
{
    int64_t age = check->time - check->order.time;

    if (age < LEDGER_ORDER_LIFETIME)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_EXPIRED,
        "order %lld is %lld seconds old, requests are signed for %d: open a new one",
        (long long)check->request->order, (long long)age, LEDGER_ORDER_LIFETIME);
}

/* Compares the request's names with the order's; *differ says how, or is empty. */
static aw_result
compare_names(struct ledger_check *check, const char *what, char *differ, size_t capacity)
{
    AW_CLEANUP(aw_free) char *ours = NULL;
    AW_CLEANUP(aw_free) char *found = NULL;

    differ[0] = '\0';
    AW_TRY(ledger_order_names(check->db, check->order.seq, &ours));
    AW_TRY(ledger_names_of(check->request->names, check->request->name_count, &found));
    if (strcmp(ours, found) != 0)
        snprintf(differ, capacity, "order %lld was opened for %.200s; the %s names %.200s",
            (long long)check->order.seq, ours, what, found);
    return AW_OK;
}

static aw_result
names_same(struct ledger_check *check)
{
    char differ[512];

    AW_TRY(compare_names(check, "CSR", differ, sizeof(differ)));
    if (differ[0] == '\0')
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_NAMES, "%s", differ);
}

static aw_result
triple_same(struct ledger_check *check)
{
    const struct ledger_order *order = &check->order;
    const struct ledger_request *request = check->request;

    if (order->csr == NULL)
        return AW_OK;
    if (strcmp(order->finalize_url, request->url) == 0 && strcmp(order->csr, request->csr) == 0 &&
        strcmp(order->key, request->key) == 0)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_BOUND,
        "order %lld was finalized with CSR %s before: only that may be sent again, to the same URL",
        (long long)order->seq, order->csr);
}

static aw_result
finalizes_left(struct ledger_check *check)
{
    if (check->order.finalizes < LEDGER_FINALIZES_MAX)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_SPENT,
        "finalize of order %lld was signed %lld times, which is the limit: open a new order",
        (long long)check->order.seq, (long long)check->order.finalizes);
}

static aw_result
polls_left(struct ledger_check *check)
{
    if (check->order.polls < LEDGER_POLLS_MAX)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_SPENT,
        "%lld requests were signed for order %lld, which is the limit: open a new order",
        (long long)check->order.polls, (long long)check->order.seq);
}

/* Whether the key was finalized by this application; *by is NULL when nobody did. */
static aw_result
find_key(struct ledger_check *check, bool *own, char **by)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(
        aw_db_find(check->db, LEDGER_SQL_KEY, AW_DB_VALUES(AW_DB_TEXT(check->request->key)), &row));
    *by = NULL;
    if (row != NULL)
        AW_TRY(aw_db_text(row, 0, by));
    *own = *by != NULL && strcmp(*by, check->request->application) == 0;
    return AW_OK;
}

/* A key of two applications would let one revoke the other's certificates. */
static aw_result
key_free(struct ledger_check *check)
{
    AW_CLEANUP(aw_free) char *by = NULL;
    bool own;

    AW_TRY(find_key(check, &own, &by));
    if (own || by == NULL)
        return AW_OK;
    return ledger_refuse(check, LEDGER_KEY_USED,
        "the CSR's key %s was used by another application before: make a fresh key",
        check->request->key);
}

static aw_result
key_own(struct ledger_check *check)
{
    AW_CLEANUP(aw_free) char *by = NULL;
    bool own;

    AW_TRY(find_key(check, &own, &by));
    if (own)
        return AW_OK;
    return ledger_refuse(check, LEDGER_KEY_FOREIGN,
        "application %.100s never finalized an order with the certificate's key %s",
        check->request->application, check->request->key);
}

/*
 * A certificate that an application made up may hold its own key and another's serial number, by
 * which a careless CA could look for what to revoke (RFC 8555 7.6 wants the certificate compared).
 * Only what the CA made counts: nobody can forge a serial number away from its owner.
 */
static aw_result
serial_own(struct ledger_check *check)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    AW_CLEANUP(aw_free) char *by = NULL;
    const struct ledger_request *request = check->request;

    if (check->entry->serial == NULL)
        return AW_OK;
    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CERTIFICATE_FIRST,
        AW_DB_VALUES(AW_DB_TEXT(request->account), AW_DB_TEXT(check->entry->serial),
            AW_DB_INTEGER(LEDGER_VERIFIED)),
        &row));
    if (row != NULL)
        AW_TRY(aw_db_text(row, 0, &by));
    if (by == NULL || strcmp(by, request->application) == 0)
        return AW_OK;
    return ledger_refuse(check, LEDGER_SERIAL_FOREIGN,
        "the certificate with the serial %.80s was issued to another application",
        check->entry->serial);
}

/* Whether the CA went wrong or the client lies; the client is not told. */
static const char *
issued_by(const struct ledger_check *check)
{
    switch (ledger_standing_of(check->entry)) {
    case LEDGER_VERIFIED:
        return "; the CA did issue it: ask the CA";
    case LEDGER_UNVERIFIED:
        return "; it does not chain to the CA's pinned issuers";
    case LEDGER_UNCHECKED:
        break;
    }
    return "; no issuers are pinned to tell who issued it";
}

static aw_result
certificate_names(struct ledger_check *check)
{
    char differ[512];

    AW_TRY(compare_names(check, "certificate", differ, sizeof(differ)));
    if (differ[0] == '\0')
        return AW_OK;
    ledger_alarm(check, "%s%s", differ, issued_by(check));
    return ledger_refuse(check, LEDGER_CERTIFICATE_NAMES, "%s", differ);
}

static aw_result
certificate_key(struct ledger_check *check)
{
    const struct ledger_order *order = &check->order;
    char differ[512];

    if (order->key != NULL && strcmp(order->key, check->request->key) == 0)
        return AW_OK;
    snprintf(differ, sizeof(differ),
        "a certificate with key %s was handed back for order %lld, which was %s%s",
        check->request->key, (long long)order->seq,
        order->key == NULL ? "never finalized" : "finalized with key ",
        order->key == NULL ? "" : order->key);
    ledger_alarm(check, "%s%s", differ, issued_by(check));
    return ledger_refuse(check, LEDGER_CERTIFICATE_KEY, "%s", differ);
}

/* A client that did not hear the answer hands it back again. */
static aw_result
certificate_known(struct ledger_check *check)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CERTIFICATE_KNOWN,
        AW_DB_VALUES(AW_DB_INTEGER(check->order.seq), AW_DB_TEXT(check->request->certificate),
            AW_DB_INTEGER(ledger_standing_of(check->entry))),
        &row));
    check->repeated = row != NULL;
    return AW_OK;
}

static aw_result
certificate_odd(struct ledger_check *check)
{
    if (!check->repeated && check->request->alarm != NULL)
        ledger_alarm(check, "%s", check->request->alarm);
    return AW_OK;
}

static aw_result
certificates_left(struct ledger_check *check)
{
    if (check->repeated || check->order.certificates < LEDGER_RECORDED_MAX)
        return AW_OK;
    return ledger_refuse(check, LEDGER_ORDER_SPENT,
        "%lld certificates were handed back for order %lld, which is the limit",
        (long long)check->order.certificates, (long long)check->order.seq);
}

/* A new-order, or the same once more for the order that it opened: that replaces and costs nothing
 * anew. */
static aw_result
order_opened(struct ledger_check *check)
{
    if (!check->request->again) {
        AW_TRY(replaces_own(check));
        return check->verdict->rule == LEDGER_NONE ? ledger_quota_orders(check) : AW_OK;
    }
    AW_TRY(order_known(check));
    if (check->verdict->rule == LEDGER_NONE)
        AW_TRY(order_young(check));
    return check->verdict->rule == LEDGER_NONE ? ledger_inner_order_again(check) : AW_OK;
}

static aw_result
revocation_counted(struct ledger_check *check)
{
    return check->request->again ? ledger_inner_revoke_again(check)
                                 : ledger_quota_revocations(check);
}

/* Which members an operation needs. */
enum {
    NEEDS_ORDER = 1,
    NEEDS_URL = 2,
    NEEDS_CSR = 4,
    NEEDS_KEY = 8,
    NEEDS_NAMES = 16,
    NEEDS_CLAIMS = 32,
    NEEDS_ENTRY_NAMES = 64, /* the order's names, which are in the record only */
    NEEDS_JWK = 128,
    NEEDS_ACCOUNT_ID = 256,
    NEEDS_EVIDENCE = 512,
    NEEDS_KID = 1024,
};

typedef aw_result (*rule_function)(struct ledger_check *check);

enum { RULES_MAX = 9 };

/* An operation without a row is never submitted. */
static const struct operation {
    bool known;
    enum audit_kind kind;
    unsigned needs;
    rule_function rules[RULES_MAX]; /* in this order; ended by NULL */
} operations[SIGN_OPERATION_COUNT] = {
    [SIGN_NEW_ORDER] = {true, AUDIT_DECISION, NEEDS_ENTRY_NAMES,
        {ledger_inner_active, order_opened}},
    [SIGN_CLAIM] = {true, AUDIT_CLAIM, NEEDS_ORDER | NEEDS_CLAIMS,
        {ledger_inner_active, order_known, order_young, ledger_claims_free}},
    [SIGN_FINALIZE] = {true, AUDIT_DECISION,
        NEEDS_ORDER | NEEDS_URL | NEEDS_CSR | NEEDS_KEY | NEEDS_NAMES,
        {ledger_inner_active, order_known, order_young, ledger_keys_refused, names_same,
            triple_same, ledger_claims_held, finalizes_left, key_free}},
    [SIGN_POST_AS_GET] = {true, AUDIT_DECISION, NEEDS_ORDER | NEEDS_URL,
        {ledger_inner_active, order_known, order_young, ledger_claims_held, polls_left}},
    [SIGN_ANSWER_CHALLENGE] = {true, AUDIT_DECISION, NEEDS_ORDER | NEEDS_URL,
        {ledger_inner_active, order_known, order_young, ledger_claims_held, polls_left}},
    [SIGN_REVOKE] = {true, AUDIT_DECISION, NEEDS_KEY,
        {ledger_inner_active, key_own, serial_own, revocation_counted}},
    [SIGN_RECORD_CERTIFICATE] = {true, AUDIT_CERTIFICATE, NEEDS_ORDER | NEEDS_KEY | NEEDS_NAMES,
        {order_known, certificate_names, certificate_key, certificate_known, certificates_left,
            certificate_odd}},
    [SIGN_INNER_ACCOUNT] = {true, AUDIT_DECISION, NEEDS_JWK | NEEDS_EVIDENCE | NEEDS_KID,
        {ledger_app_eab_usable, ledger_inner_key_free}},
    [SIGN_INNER_KEY_CHANGE] = {true, AUDIT_DECISION, NEEDS_ACCOUNT_ID | NEEDS_JWK | NEEDS_EVIDENCE,
        {ledger_inner_active, ledger_inner_key_free}},
    [SIGN_INNER_DEACTIVATE] = {true, AUDIT_DECISION, NEEDS_ACCOUNT_ID | NEEDS_EVIDENCE,
        {ledger_inner_active}},
};

/* The first member that is needed and missing, or NULL. */
static const char *
missing_member(
    unsigned needs, const struct ledger_request *request, const struct audit_entry *entry)
{
    const struct {
        unsigned flag;
        bool there;
        const char *name;
    } members[] = {
        {NEEDS_ORDER, request->order > 0, "order"},
        {NEEDS_URL, request->url != NULL, "url"},
        {NEEDS_CSR, request->csr != NULL, "csr"},
        {NEEDS_KEY, request->key != NULL, "key"},
        {NEEDS_NAMES, request->name_count > 0, "names"},
        {NEEDS_CLAIMS, request->claim_count > 0 && request->claim_count <= SIGN_CLAIMS_MAX,
            "1 to 1000 claims"},
        {NEEDS_ENTRY_NAMES, entry->name_count > 0, "names in the record"},
        {NEEDS_JWK, request->jwk != NULL, "jwk"},
        {NEEDS_ACCOUNT_ID, request->account_id > 0, "account_id"},
        {NEEDS_EVIDENCE, request->evidence != NULL, "evidence"},
        {NEEDS_KID, request->kid != NULL, "kid"},
    };

    if (request->application == NULL || request->account == NULL)
        return "application and account";
    for (size_t i = 0; i < AW_COUNT(members); i++) {
        if ((needs & members[i].flag) != 0 && !members[i].there)
            return members[i].name;
    }
    return NULL;
}

aw_result
ledger_rules_enter(const struct ledger_request *request, struct audit_entry *entry)
{
    const struct operation *operation = &operations[request->operation];

    if (!operation->known)
        return aw_fail(AW_CODE_INTERNAL, "%s is no operation of the ledger",
            ledger_operation_name(request->operation));
    const char *missing = missing_member(operation->needs, request, entry);
    if (missing != NULL)
        return aw_fail(AW_CODE_INTERNAL, "a %s request to the ledger needs %s",
            ledger_operation_name(request->operation), missing);
    entry->kind = operation->kind;
    entry->operation = ledger_operation_name(request->operation);
    entry->application = request->application;
    entry->account = request->account;
    /* a new-order is its own, but for one that is signed again */
    entry->order = request->operation == SIGN_NEW_ORDER && !request->again ? 0 : request->order;
    if (request->url != NULL)
        entry->url = request->url;
    if (request->csr != NULL)
        entry->csr = request->csr;
    if (request->key != NULL)
        entry->key = request->key;
    if (request->certificate != NULL)
        entry->certificate = request->certificate;
    entry->account_id = request->account_id;
    entry->jwk = request->jwk;
    entry->kid = request->kid;
    entry->evidence = request->evidence;
    return AW_OK;
}

aw_result
ledger_rules_ask(struct ledger_check *check)
{
    const rule_function *rules = operations[check->request->operation].rules;

    for (size_t i = 0; i < RULES_MAX && rules[i] != NULL; i++) {
        AW_TRY(rules[i](check));
        if (check->verdict->rule != LEDGER_NONE)
            return AW_OK;
    }
    return AW_OK;
}
