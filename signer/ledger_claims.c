#include "signer/ledger_claims.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"

enum { KIND_COUNT = SIGN_URL_CERTIFICATE + 1 };

#define USE(operation) (1u << SIGN_##operation)

/*
 * Kinds of URLs. A CA may hand out a pending order again (same names) and does hand out valid
 * authorizations again (RFC 8555 7.1.4), so another order of the *same application* may name the
 * URL too; an order's own URLs only for the same set of names.
 */
static const struct kind {
    const char *name;
    int64_t fixed, per_name; /* at most fixed + per_name * names of an order */
    bool same_names;
    unsigned uses; /* operations that may sign for it */
} kinds[KIND_COUNT] = {
    [SIGN_URL_ORDER] = {"order", 1, 0, true, USE(POST_AS_GET)},
    [SIGN_URL_FINALIZE] = {"finalize", 1, 0, true, USE(FINALIZE)},
    [SIGN_URL_AUTHORIZATION] = {"authorization", 0, 1, false, USE(POST_AS_GET)},
    [SIGN_URL_CHALLENGE] = {"challenge", 0, LEDGER_CHALLENGES_MAX, false,
        USE(POST_AS_GET) | USE(ANSWER_CHALLENGE)},
    [SIGN_URL_CERTIFICATE] = {"certificate", LEDGER_CERTIFICATES_MAX, 0, true, USE(POST_AS_GET)},
};

const char *
ledger_kind_name(enum sign_url_kind kind)
{
    return kinds[kind].name;
}

bool
ledger_kind_parse(const char *name, enum sign_url_kind *out)
{
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *out = (enum sign_url_kind)i;
            return true;
        }
    }
    return false;
}

static bool
kind_is_known(int64_t kind)
{
    return kind >= 0 && kind < KIND_COUNT;
}

/* As what this order holds a URL. */
static aw_result
find_own(struct ledger_check *check, const char *url, bool *found, enum sign_url_kind *kind)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *found = false;
    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CLAIM,
        AW_DB_VALUES(
            AW_DB_TEXT(check->request->account), AW_DB_TEXT(url), AW_DB_INTEGER(check->order.seq)),
        &row));
    if (row == NULL)
        return AW_OK;
    int64_t value = aw_db_integer(row, 0);
    if (!kind_is_known(value))
        return aw_fail(AW_CODE_CORRUPT, "the ledger holds a URL of kind %lld", (long long)value);
    *found = true;
    *kind = (enum sign_url_kind)value;
    return AW_OK;
}

aw_result
ledger_claims_held(struct ledger_check *check)
{
    const struct ledger_request *request = check->request;
    enum sign_url_kind kind = SIGN_URL_ORDER;
    bool found;

    AW_TRY(find_own(check, request->url, &found, &kind));
    if (!found)
        return ledger_refuse(check, LEDGER_URL_UNCLAIMED,
            "%.200s was not claimed for order %lld: name the order's URLs first", request->url,
            (long long)request->order);
    if ((kinds[kind].uses & 1u << request->operation) == 0)
        return ledger_refuse(check, LEDGER_URL_UNCLAIMED,
            "%.200s was claimed for order %lld as its %s URL, which %s is not signed for",
            request->url, (long long)request->order, kinds[kind].name,
            ledger_operation_name(request->operation));
    return AW_OK;
}

/* Who named a URL first. All who hold it are of one application, and of one kind. */
struct holder {
    enum sign_url_kind kind;
    int64_t order; /* 0: nobody */
    char *application;
};

static void
holder_free(struct holder *holder)
{
    free(holder->application);
}

static aw_result
find_holder(struct ledger_check *check, const char *url, struct holder *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CLAIM_FIRST,
        AW_DB_VALUES(AW_DB_TEXT(check->request->account), AW_DB_TEXT(url)), &row));
    if (row == NULL)
        return AW_OK;
    int64_t kind = aw_db_integer(row, 0);
    if (!kind_is_known(kind))
        return aw_fail(AW_CODE_CORRUPT, "the ledger holds a URL of kind %lld", (long long)kind);
    out->kind = (enum sign_url_kind)kind;
    out->order = aw_db_integer(row, 1);
    return aw_db_text(row, 2, &out->application);
}

/* Whether this order may hold what another one holds. */
static aw_result
may_share(struct ledger_check *check, const struct sign_claim *claim, const struct holder *holder,
    bool *out)
{
    AW_CLEANUP(aw_free) char *ours = NULL;
    AW_CLEANUP(aw_free) char *theirs = NULL;

    *out = strcmp(holder->application, check->request->application) == 0 &&
           holder->kind == claim->kind;
    if (!*out || !kinds[claim->kind].same_names)
        return AW_OK;
    AW_TRY(ledger_order_names(check->db, check->order.seq, &ours));
    AW_TRY(ledger_order_names(check->db, holder->order, &theirs));
    *out = strcmp(ours, theirs) == 0;
    return AW_OK;
}

static aw_result
refuse_taken(
    struct ledger_check *check, const struct sign_claim *claim, const struct holder *holder)
{
    check->refused = claim;
    ledger_alarm(check,
        "application %.100s named for its order %lld a URL that application %.100s"
        " named for order %lld before",
        check->request->application, (long long)check->request->order, holder->application,
        (long long)holder->order);
    return ledger_refuse(check, LEDGER_URL_TAKEN,
        "%.200s was named for another order before; this was recorded as an alarm", claim->url);
}

static aw_result
refuse_other_kind(
    struct ledger_check *check, const struct sign_claim *claim, enum sign_url_kind held)
{
    check->refused = claim;
    return ledger_refuse(check, LEDGER_URL_TAKEN,
        "%.200s is this order's %s URL already, it cannot be its %s URL too", claim->url,
        kinds[held].name, kinds[claim->kind].name);
}

/* One URL, alone. */
static aw_result
examine(struct ledger_check *check, const struct sign_claim *claim, bool *fresh)
{
    AW_CLEANUP(holder_free) struct holder holder = {0};
    enum sign_url_kind kind = claim->kind;
    bool found;
    bool share = false;

    *fresh = false;
    AW_TRY(find_own(check, claim->url, &found, &kind));
    if (found)
        return kind == claim->kind ? AW_OK : refuse_other_kind(check, claim, kind);
    AW_TRY(find_holder(check, claim->url, &holder));
    if (holder.order != 0)
        AW_TRY(may_share(check, claim, &holder, &share));
    if (holder.order != 0 && !share)
        return refuse_taken(check, claim, &holder);
    *fresh = true;
    return AW_OK;
}

static aw_result
count_held(struct ledger_check *check, enum sign_url_kind kind, int64_t *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(check->db, LEDGER_SQL_CLAIM_COUNT,
        AW_DB_VALUES(AW_DB_INTEGER(check->order.seq), AW_DB_INTEGER(kind)), &row));
    *out = row == NULL ? 0 : aw_db_integer(row, 0);
    return AW_OK;
}

/* The new ones must fit beside those held. */
static aw_result
check_numbers(struct ledger_check *check)
{
    int64_t totals[KIND_COUNT];

    for (int i = 0; i < KIND_COUNT; i++)
        AW_TRY(count_held(check, (enum sign_url_kind)i, &totals[i]));
    for (size_t i = 0; i < check->request->claim_count; i++) {
        const struct sign_claim *claim = &check->request->claims[i];
        const struct kind *kind = &kinds[claim->kind];
        int64_t most = kind->fixed + kind->per_name * check->order.name_count;
        if (!check->fresh[i] || ++totals[claim->kind] <= most)
            continue;
        check->refused = claim;
        return ledger_refuse(check, LEDGER_URL_TOO_MANY,
            "an order of %lld names can have %lld %s URLs, %.200s would be one more",
            (long long)check->order.name_count, (long long)most, kind->name, claim->url);
    }
    return AW_OK;
}

static int
compare_urls(const void *a, const void *b)
{
    return strcmp(
        (*(const struct sign_claim *const *)a)->url, (*(const struct sign_claim *const *)b)->url);
}

/* Claims by URL, so that what is named twice in one request stands together. */
static aw_result
sort_claims(const struct ledger_request *request, const struct sign_claim ***out)
{
    const struct sign_claim **sorted = calloc(request->claim_count + 1, sizeof(*sorted));

    if (sorted == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < request->claim_count; i++)
        sorted[i] = &request->claims[i];
    qsort(sorted, request->claim_count, sizeof(*sorted), compare_urls);
    *out = sorted;
    return AW_OK;
}

aw_result
ledger_claims_free(struct ledger_check *check)
{
    const struct ledger_request *request = check->request;
    AW_CLEANUP(aw_free) const struct sign_claim **sorted = NULL;
    const struct sign_claim *last = NULL;

    AW_TRY(sort_claims(request, &sorted));
    for (size_t i = 0; i < request->claim_count; i++) {
        const struct sign_claim *claim = sorted[i];
        bool again = last != NULL && strcmp(last->url, claim->url) == 0;
        last = claim;
        if (again && sorted[i - 1]->kind != claim->kind)
            return refuse_other_kind(check, claim, sorted[i - 1]->kind);
        if (!again)
            AW_TRY(examine(check, claim, &check->fresh[claim - request->claims]));
        if (check->verdict->rule != LEDGER_NONE)
            return AW_OK;
    }
    return check_numbers(check);
}
