/* What failures of others become: refusals of the signer, problems of a CA, errors of our own. */
#include <string.h>

#include "common/log.h"
#include "relay/problem.h"

/* A refusal of the signer by its error and the beginning of its rule; the first row that fits. */
static const struct refused {
    const char *error;
    const char *rule; /* "" fits all */
    enum relay_problem_type type;
    int status; /* 0: the type's */
} refusals[] = {
    {"PolicyRefused", "names.", RELAY_REJECTED_IDENTIFIER, 0},
    {"PolicyRefused", "account.ceiling", RELAY_REJECTED_IDENTIFIER, 0},
    {"PolicyRefused", "profiles", RELAY_INVALID_PROFILE, 0},
    {"PolicyRefused", "keys", RELAY_BAD_CSR, 0},
    {"PolicyRefused", "", RELAY_UNAUTHORIZED, 0},
    {"LedgerRefused", "quota.", RELAY_RATE_LIMITED, 0},
    {"LedgerRefused", "order.spent", RELAY_RATE_LIMITED, 0},
    {"LedgerRefused", "order.unknown", RELAY_MALFORMED, 404},
    {"LedgerRefused", "order.names", RELAY_BAD_CSR, 0},
    {"LedgerRefused", "order.bound", RELAY_ORDER_NOT_READY, 0},
    {"LedgerRefused", "finalize.key", RELAY_BAD_CSR, 0},
    {"LedgerRefused", "key.refused", RELAY_BAD_CSR, 0},
    {"LedgerRefused", "order.replaces", RELAY_MALFORMED, 0},
    {"LedgerRefused", "", RELAY_UNAUTHORIZED, 0},
    {"CsrRefused", "", RELAY_BAD_CSR, 0},
    {"InvalidRequest", "", RELAY_MALFORMED, 0},
    {"EvidenceRefused", "evidence.nonce", RELAY_BAD_NONCE, 0},
    {"EvidenceRefused", "evidence.algorithm", RELAY_BAD_SIGNATURE_ALGORITHM, 0},
    {"EvidenceRefused", "evidence.key", RELAY_BAD_PUBLIC_KEY, 0},
    {"EvidenceRefused", "evidence.signature", RELAY_MALFORMED, 0},
    {"EvidenceRefused", "evidence.form", RELAY_MALFORMED, 0},
    {"EvidenceRefused", "evidence.identifiers", RELAY_MALFORMED, 0},
    {"EvidenceRefused", "", RELAY_UNAUTHORIZED, 0},
    {"NotReady", "", RELAY_SERVER_INTERNAL, 503},
    {"Frozen", "", RELAY_SERVER_INTERNAL, 503},
    {"Unavailable", "", RELAY_SERVER_INTERNAL, 503},
};

static const struct refused *
find_refusal(const struct signer_refusal *refusal)
{
    const char *rule = refusal->rule != NULL ? refusal->rule : "";

    for (size_t i = 0; i < AW_COUNT(refusals); i++)
        if (strcmp(refusals[i].error, refusal->error) == 0 &&
            strncmp(rule, refusals[i].rule, strlen(refusals[i].rule)) == 0)
            return &refusals[i];
    return NULL;
}

/* Without a subproblem's place the detail names the identifier all the same. */
static void
add_refused_name(const struct signer_refusal *refusal, struct relay_problem *out)
{
    struct aw_name name;

    if (refusal->name == NULL)
        return;
    if (!aw_ok(aw_name_parse(refusal->name, strlen(refusal->name), &name)) &&
        !aw_ok(aw_name_parse_address(refusal->name, strlen(refusal->name), &name)))
        return;
    aw_ignore(relay_problem_add(out, out->type, &name, out->detail), "the detail says it too");
}

static const char *
words_of(const struct signer_refusal *refusal)
{
    return refusal->message != NULL ? refusal->message : refusal->error;
}

static void
map_refusal(
    const struct refused *row, const struct signer_refusal *refusal, struct relay_problem *out)
{
    char detail[RELAY_DETAIL_SIZE / 2];
    int64_t retry_after = refusal->retry_after;

    aw_log_escape(words_of(refusal), strlen(words_of(refusal)), detail, sizeof(detail));
    aw_ignore(relay_problem_fail(out, row->type, "%s%s%.100s%s", detail,
                  refusal->rule != NULL ? " (" : "", refusal->rule != NULL ? refusal->rule : "",
                  refusal->rule != NULL ? ")" : ""),
        "that is what is wanted");
    if (row->status != 0)
        out->status = row->status;
    if (row->type == RELAY_REJECTED_IDENTIFIER)
        add_refused_name(refusal, out);
    if (retry_after <= 0 && (out->status == 503 || row->type == RELAY_RATE_LIMITED))
        retry_after = RELAY_RETRY_SECONDS;
    out->retry_after = retry_after > 0 ? retry_after : 0;
}

/* Failures that may be over soon; all else is a fault here, whose text is for our log. */
static bool
passes(enum aw_code code)
{
    static const enum aw_code soon[] = {AW_CODE_LIMIT, AW_CODE_MEMORY, AW_CODE_CA_UNAVAILABLE,
        AW_CODE_TIMEOUT, AW_CODE_CLOSED, AW_CODE_BUSY, AW_CODE_UNAVAILABLE, AW_CODE_FROZEN,
        AW_CODE_INTERRUPTED};

    for (size_t i = 0; i < AW_COUNT(soon); i++)
        if (soon[i] == code)
            return true;
    return false;
}

void
relay_problem_map(
    const struct aw_error *error, const struct signer_refusal *refusal, struct relay_problem *out)
{
    const struct refused *row = refusal->error != NULL ? find_refusal(refusal) : NULL;

    if (row != NULL) {
        map_refusal(row, refusal, out);
    } else if (passes(error->code)) {
        aw_ignore(relay_problem_fail(out, RELAY_SERVER_INTERNAL,
                      "the request can't be answered now; try again later"),
            "that is what is wanted");
        out->status = 503;
        out->retry_after = RELAY_RETRY_SECONDS;
    } else {
        aw_ignore(relay_problem_fail(out, RELAY_SERVER_INTERNAL,
                      "the request failed here; the relay's log says why"),
            "that is what is wanted");
    }
}

/* Types that are about our account at the CA, or about how we speak to it: nothing that the client
 * could mend (RFC 8555 6.7). */
static bool
is_ours(enum relay_problem_type type)
{
    static const enum relay_problem_type ours[] = {RELAY_ACCOUNT_DOES_NOT_EXIST, RELAY_BAD_NONCE,
        RELAY_BAD_PUBLIC_KEY, RELAY_BAD_SIGNATURE_ALGORITHM, RELAY_EXTERNAL_ACCOUNT_REQUIRED,
        RELAY_INVALID_CONTACT, RELAY_MALFORMED, RELAY_SERVER_INTERNAL, RELAY_UNSUPPORTED_CONTACT,
        RELAY_USER_ACTION_REQUIRED};

    for (size_t i = 0; i < AW_COUNT(ours); i++)
        if (ours[i] == type)
            return true;
    return false;
}

static aw_result
add_upstream(const struct acme_problem *upstream, struct relay_problem *out)
{
    for (size_t i = 0; i < upstream->subproblem_count; i++) {
        char detail[RELAY_DETAIL_SIZE / 2];
        const char *words = upstream->subproblems[i].detail;
        const char *identifier = upstream->subproblems[i].identifier;
        struct aw_name name;

        if (identifier == NULL ||
            (!aw_ok(aw_name_parse(identifier, strlen(identifier), &name)) &&
                !aw_ok(aw_name_parse_address(identifier, strlen(identifier), &name))))
            continue;
        if (words == NULL)
            words = "";
        aw_log_escape(words, strlen(words), detail, sizeof(detail));
        AW_TRY(relay_problem_add(
            out, relay_problem_find(upstream->subproblems[i].type), &name, detail));
    }
    return AW_OK;
}

aw_result
relay_problem_upstream(
    const struct acme_problem *upstream, int64_t retry_after, struct relay_problem *out)
{
    enum relay_problem_type type = relay_problem_find(upstream->type);
    const char *words = upstream->detail != NULL ? upstream->detail : "no reason was given";
    char detail[RELAY_DETAIL_SIZE / 2];

    aw_log_escape(words, strlen(words), detail, sizeof(detail));
    aw_ignore(relay_problem_fail(out, is_ours(type) ? RELAY_SERVER_INTERNAL : type,
                  "the CA said: %s%s%.64s%s", detail, is_ours(type) ? " (" : "",
                  is_ours(type) ? upstream->type : "", is_ours(type) ? ")" : ""),
        "that is what is wanted");
    if (upstream->status >= 500 || (type == RELAY_RATE_LIMITED && retry_after <= 0)) {
        out->status = type == RELAY_RATE_LIMITED ? out->status : 503;
        out->retry_after = RELAY_RETRY_SECONDS;
    }
    if (retry_after > 0)
        out->retry_after = retry_after;
    return add_upstream(upstream, out);
}
