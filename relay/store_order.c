/* Orders of the store, with their authorizations and chains. */
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "relay/store_internal.h"

/* Names and steps. */

static const char *const order_states[ORDER_STATES] = {
    [ORDER_PENDING] = "pending",
    [ORDER_READY] = "ready",
    [ORDER_PROCESSING] = "processing",
    [ORDER_VALID] = "valid",
    [ORDER_INVALID] = "invalid",
};

static const char *const authorization_states[AUTHORIZATION_STATES] = {
    [AUTHORIZATION_PENDING] = "pending",
    [AUTHORIZATION_VALID] = "valid",
    [AUTHORIZATION_INVALID] = "invalid",
    [AUTHORIZATION_DEACTIVATED] = "deactivated",
};

static const char *const challenge_states[CHALLENGE_STATES] = {
    [CHALLENGE_PENDING] = "pending",
    [CHALLENGE_PROCESSING] = "processing",
    [CHALLENGE_VALID] = "valid",
    [CHALLENGE_INVALID] = "invalid",
};

#define TO(state) (1u << ORDER_##state)

/* By the state that is left. */
static const unsigned order_moves[ORDER_STATES] = {
    [ORDER_PENDING] = TO(READY) | TO(INVALID),
    [ORDER_READY] = TO(PROCESSING) | TO(INVALID),
    [ORDER_PROCESSING] = TO(READY) | TO(VALID) | TO(INVALID),
    [ORDER_VALID] = 0,
    [ORDER_INVALID] = 0,
};

const char *
order_state_name(enum order_state state)
{
    return order_states[state];
}

const char *
authorization_state_name(enum authorization_state state)
{
    return authorization_states[state];
}

const char *
challenge_state_name(enum challenge_state state)
{
    return challenge_states[state];
}

bool
order_may_move(enum order_state from, enum order_state to)
{
    return (order_moves[from] & (1u << to)) != 0;
}

void
stored_order_free(struct stored_order *order)
{
    for (size_t i = 0; i < order->authorization_count; i++)
        free(order->authorizations[i].problem);
    free(order->authorizations);
    free(order->application);
    free(order->identifiers);
    free(order->not_before);
    free(order->not_after);
    free(order->profile);
    free(order->replaces);
    free(order->url);
    free(order->new_order);
    free(order->document);
    free(order->evidence);
    free(order->problem);
    memset(order, 0, sizeof(*order));
}

/* Adding. */

static aw_result
add_authorization(aw_db *db, const struct stored_order *order, size_t index)
{
    const struct stored_authorization *a = &order->authorizations[index];

    return aw_db_run(db, STORE_SQL_AUTHORIZATION_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(order->ticket), AW_DB_INTEGER((int64_t)index + 1),
            AW_DB_TEXT(a->name.text), AW_DB_INTEGER(a->state), AW_DB_TEXT(a->type),
            AW_DB_TEXT(a->token), AW_DB_INTEGER(a->challenge), AW_DB_INTEGER(a->validated)),
        NULL);
}

static aw_result
add(aw_db *db, const void *context)
{
    const struct stored_order *o = context;

    AW_TRY(aw_db_run(db, STORE_SQL_ORDER_ADD,
        AW_DB_VALUES(AW_DB_INTEGER(o->ticket), AW_DB_INTEGER(o->account),
            AW_DB_TEXT(o->application), AW_DB_INTEGER(o->state), AW_DB_TEXT(o->identifiers),
            AW_DB_TEXT(o->not_before), AW_DB_TEXT(o->not_after), AW_DB_TEXT(o->profile),
            AW_DB_TEXT(o->replaces), AW_DB_TEXT(o->url), AW_DB_TEXT(o->new_order),
            AW_DB_TEXT(o->document), AW_DB_INTEGER(o->opened), AW_DB_INTEGER(o->expires)),
        NULL));
    for (size_t i = 0; i < o->authorization_count; i++)
        AW_TRY(add_authorization(db, o, i));
    return AW_OK;
}

aw_result
relay_store_order_add(struct relay_store *store, const struct stored_order *order)
{
    return aw_context(store_write(store, add, order), "order %lld", (long long)order->ticket);
}

/* Reading. */

/* Columns of STORE_SQL_ORDER that are texts. */
static const struct {
    int column;
    size_t offset;
} texts[] = {
    {1, offsetof(struct stored_order, application)},
    {3, offsetof(struct stored_order, identifiers)},
    {4, offsetof(struct stored_order, not_before)},
    {5, offsetof(struct stored_order, not_after)},
    {6, offsetof(struct stored_order, profile)},
    {7, offsetof(struct stored_order, replaces)},
    {8, offsetof(struct stored_order, url)},
    {9, offsetof(struct stored_order, new_order)},
    {10, offsetof(struct stored_order, document)},
    {13, offsetof(struct stored_order, evidence)},
    {14, offsetof(struct stored_order, problem)},
};

/* A database of ours that somebody changed is no reason to read beyond a table. */
static aw_result
read_state(aw_db_row *row, int column, int count, int *out)
{
    int64_t state = aw_db_integer(row, column);

    if (state < 0 || state >= count)
        return aw_fail(AW_CODE_CORRUPT, "the relay's database holds the state %lld, which is none",
            (long long)state);
    *out = (int)state;
    return AW_OK;
}

static aw_result
read_columns(aw_db_row *row, struct stored_order *out)
{
    int state = 0;

    AW_TRY(read_state(row, 2, ORDER_STATES, &state));
    out->state = (enum order_state)state;
    out->account = aw_db_integer(row, 0);
    out->opened = aw_db_integer(row, 11);
    out->expires = aw_db_integer(row, 12);
    for (size_t i = 0; i < AW_COUNT(texts); i++)
        AW_TRY(aw_db_text(row, texts[i].column, (char **)((char *)out + texts[i].offset)));
    return AW_OK;
}

static aw_result
read_name(aw_db_row *row, struct aw_name *out)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_db_text(row, 0, &text));
    if (text == NULL)
        return aw_fail(AW_CODE_CORRUPT, "the relay's database has an authorization without name");
    aw_result r = aw_name_parse_address(text, strlen(text), out);
    return aw_ok(r) ? r : aw_name_parse(text, strlen(text), out);
}

static void
read_short(aw_db_row *row, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(row, column);

    sqlite3_snprintf((int)size, out, "%s", text != NULL ? (const char *)text : "");
}

static aw_result
read_authorization(aw_db_row *row, struct stored_authorization *out)
{
    int state = 0, challenge = 0;

    AW_TRY(read_name(row, &out->name));
    AW_TRY(read_state(row, 1, AUTHORIZATION_STATES, &state));
    AW_TRY(read_state(row, 4, CHALLENGE_STATES, &challenge));
    out->state = (enum authorization_state)state;
    out->challenge = (enum challenge_state)challenge;
    read_short(row, 2, out->type, sizeof(out->type));
    read_short(row, 3, out->token, sizeof(out->token));
    out->validated = aw_db_integer(row, 5);
    return aw_db_text(row, 6, &out->problem);
}

static aw_result
read_authorizations(aw_db *db, struct stored_order *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(
        aw_db_find(db, STORE_SQL_AUTHORIZATIONS, AW_DB_VALUES(AW_DB_INTEGER(out->ticket)), &row));
    while (row != NULL) {
        struct stored_authorization *grown = reallocarray(
            out->authorizations, out->authorization_count + 1, sizeof(*out->authorizations));
        if (grown == NULL)
            return aw_fail_memory();
        out->authorizations = grown;
        memset(&grown[out->authorization_count], 0, sizeof(*grown));
        AW_TRY(read_authorization(row, &grown[out->authorization_count++]));
        AW_TRY(aw_db_next(db, &row));
    }
    return AW_OK;
}

static aw_result
read_order(aw_db *db, int64_t ticket, struct stored_order *out)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(db, STORE_SQL_ORDER, AW_DB_VALUES(AW_DB_INTEGER(ticket)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "no order %lld", (long long)ticket);
    out->ticket = ticket;
    AW_TRY(read_columns(row, out));
    return read_authorizations(db, out);
}

aw_result
relay_store_order(struct relay_store *store, int64_t ticket, struct stored_order *out)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->reader);
    AW_CLEANUP(stored_order_free) struct stored_order order = {0};

    memset(out, 0, sizeof(*out));
    AW_TRY(read_order(side->db, ticket, &order));
    *out = order;
    memset(&order, 0, sizeof(order));
    return AW_OK;
}

static aw_result
list(struct relay_store *store, enum store_statement which, struct aw_db_values values,
    struct authorization_place *places, size_t *count)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->reader);
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    bool numbered = which == STORE_SQL_AUTHORIZATIONS_IN;
    size_t found = 0, room = *count;

    *count = 0;
    AW_TRY(aw_db_find(side->db, which, values, &row));
    for (; row != NULL && found < room; found++) {
        places[found] = (struct authorization_place){
            aw_db_integer(row, 0), numbered ? (size_t)aw_db_integer(row, 1) : 0};
        AW_TRY(aw_db_next(side->db, &row));
    }
    *count = found;
    return AW_OK;
}

static aw_result
list_tickets(struct relay_store *store, enum store_statement which, struct aw_db_values values,
    int64_t *tickets, size_t *count)
{
    AW_CLEANUP(aw_free) struct authorization_place *places = calloc(*count, sizeof(*places));

    if (places == NULL)
        return aw_fail_memory();
    AW_TRY(list(store, which, values, places, count));
    for (size_t i = 0; i < *count; i++)
        tickets[i] = places[i].ticket;
    return AW_OK;
}

aw_result
relay_store_orders_of(
    struct relay_store *store, int64_t account, int64_t after, int64_t *tickets, size_t *count)
{
    return list_tickets(store, STORE_SQL_ORDERS_OF,
        AW_DB_VALUES(AW_DB_INTEGER(account), AW_DB_INTEGER(after), AW_DB_INTEGER((int64_t)*count),
            AW_DB_INTEGER(ORDER_INVALID)),
        tickets, count);
}

aw_result
relay_store_orders_in(struct relay_store *store, enum order_state state, int64_t after,
    int64_t *tickets, size_t *count)
{
    return list_tickets(store, STORE_SQL_ORDERS_IN,
        AW_DB_VALUES(AW_DB_INTEGER(state), AW_DB_INTEGER(after), AW_DB_INTEGER((int64_t)*count)),
        tickets, count);
}

aw_result
relay_store_unrecorded(struct relay_store *store, int64_t after, int64_t *tickets, size_t *count)
{
    return list_tickets(store, STORE_SQL_ORDERS_UNRECORDED,
        AW_DB_VALUES(AW_DB_INTEGER(after), AW_DB_INTEGER((int64_t)*count)), tickets, count);
}

aw_result
relay_store_validating(struct relay_store *store, const struct authorization_place *after,
    struct authorization_place *places, size_t *count)
{
    return list(store, STORE_SQL_AUTHORIZATIONS_IN,
        AW_DB_VALUES(AW_DB_INTEGER(CHALLENGE_PROCESSING), AW_DB_INTEGER(AUTHORIZATION_PENDING),
            AW_DB_INTEGER((int64_t)*count), AW_DB_INTEGER(after->ticket),
            AW_DB_INTEGER((int64_t)after->number)),
        places, count);
}

aw_result
relay_store_chain(
    struct relay_store *store, int64_t ticket, size_t number, char **pem, size_t *count)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->reader);
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;
    AW_CLEANUP(aw_db_row_end) aw_db_row *counted = NULL;

    *pem = NULL;
    AW_TRY(aw_db_find(side->db, STORE_SQL_CHAINS, AW_DB_VALUES(AW_DB_INTEGER(ticket)), &counted));
    *count = counted != NULL ? (size_t)aw_db_integer(counted, 0) : 0;
    AW_TRY(aw_db_find(side->db, STORE_SQL_CHAIN,
        AW_DB_VALUES(AW_DB_INTEGER(ticket), AW_DB_INTEGER((int64_t)number)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "no chain %zu of order %lld", number, (long long)ticket);
    return aw_db_text(row, 0, pem);
}

/* Steps. */

aw_result
store_move(aw_db *db, const struct order_step *step, bool *moved)
{
    int64_t changes = 0;

    *moved = false;
    if (!order_may_move(step->from, step->to))
        return aw_fail(AW_CODE_INTERNAL, "an order does not go from %s to %s",
            order_state_name(step->from), order_state_name(step->to));
    AW_TRY(aw_db_run(db, STORE_SQL_ORDER_MOVE,
        AW_DB_VALUES(AW_DB_INTEGER(step->ticket), AW_DB_INTEGER(step->from),
            AW_DB_INTEGER(step->to), AW_DB_TEXT(step->problem), AW_DB_TEXT(step->evidence)),
        &changes));
    *moved = changes > 0;
    return AW_OK;
}

aw_result
relay_store_order_move(struct relay_store *store, const struct order_step *step, bool *moved)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->writer);

    return store_move(side->db, step, moved);
}

struct finish {
    int64_t ticket;
    const struct stored_certificate *certificate;
};

static aw_result
finish(aw_db *db, const void *context)
{
    const struct finish *f = context;
    const struct stored_certificate *c = f->certificate;
    const struct order_step step = {
        .ticket = f->ticket, .from = ORDER_PROCESSING, .to = ORDER_VALID};
    bool moved;

    AW_TRY(store_move(db, &step, &moved));
    if (!moved)
        return aw_fail(AW_CODE_MISMATCH, "order %lld is not processing", (long long)f->ticket);
    for (size_t i = 0; i < c->count; i++)
        AW_TRY(aw_db_run(db, STORE_SQL_CHAIN_ADD,
            AW_DB_VALUES(
                AW_DB_INTEGER(f->ticket), AW_DB_INTEGER((int64_t)i), AW_DB_TEXT(c->chains[i])),
            NULL));
    return aw_db_run(db, STORE_SQL_ORDER_CERTIFICATE,
        AW_DB_VALUES(AW_DB_INTEGER(f->ticket), AW_DB_TEXT(c->leaf), AW_DB_TEXT(c->renewal),
            AW_DB_INTEGER(c->recorded), AW_DB_INTEGER(c->not_after)),
        NULL);
}

aw_result
relay_store_finish(
    struct relay_store *store, int64_t ticket, const struct stored_certificate *certificate)
{
    const struct finish f = {ticket, certificate};

    return store_write(store, finish, &f);
}

aw_result
relay_store_recorded(struct relay_store *store, int64_t ticket)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->writer);

    return aw_db_run(side->db, STORE_SQL_ORDER_RECORDED, AW_DB_VALUES(AW_DB_INTEGER(ticket)), NULL);
}

static aw_result
find_ticket(struct relay_store *store, enum store_statement which, const char *text, int64_t *out)
{
    AW_CLEANUP(store_leave) struct store_side *side = store_enter(&store->reader);
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    AW_TRY(aw_db_find(side->db, which, AW_DB_VALUES(AW_DB_TEXT(text)), &row));
    if (row == NULL)
        return aw_fail(AW_CODE_NOT_FOUND, "no certificate that was issued here");
    *out = aw_db_integer(row, 0);
    return AW_OK;
}

aw_result
relay_store_by_leaf(struct relay_store *store, const char *leaf, int64_t *ticket)
{
    return find_ticket(store, STORE_SQL_ORDER_BY_LEAF, leaf, ticket);
}

aw_result
relay_store_by_renewal(struct relay_store *store, const char *renewal, int64_t *ticket)
{
    return find_ticket(store, STORE_SQL_ORDER_BY_RENEWAL, renewal, ticket);
}
