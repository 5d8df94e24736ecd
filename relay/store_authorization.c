/* Steps of authorizations, and what they make of their order. */
#include <string.h>

#include "relay/store_internal.h"

struct work {
    const struct authorization_step *step;
    bool *moved;
};

static aw_result
count_valid(aw_db *db, int64_t ticket, bool *all)
{
    AW_CLEANUP(aw_db_row_end) aw_db_row *row = NULL;

    *all = true;
    AW_TRY(aw_db_find(db, STORE_SQL_AUTHORIZATIONS, AW_DB_VALUES(AW_DB_INTEGER(ticket)), &row));
    while (row != NULL) {
        if (aw_db_integer(row, 1) != AUTHORIZATION_VALID)
            *all = false;
        AW_TRY(aw_db_next(db, &row));
    }
    return AW_OK;
}

/* RFC 8555 7.1.6: all are valid, the order is ready; one is not any more, it is invalid. */
static aw_result
move_order(aw_db *db, const struct authorization_step *step)
{
    static const enum order_state open[] = {ORDER_PENDING, ORDER_READY};
    struct order_step next = {.ticket = step->ticket, .problem = step->order_problem};
    bool all = false, moved = false;

    AW_TRY(count_valid(db, step->ticket, &all));
    if (step->to == AUTHORIZATION_VALID && !all)
        return AW_OK;
    next.to = all ? ORDER_READY : ORDER_INVALID;
    for (size_t i = 0; i < AW_COUNT(open) && !moved; i++) {
        next.from = open[i];
        if (next.from != next.to)
            AW_TRY(store_move(db, &next, &moved));
    }
    return AW_OK;
}

static aw_result
move(aw_db *db, const void *context)
{
    const struct work *work = context;
    const struct authorization_step *s = work->step;
    int64_t changes = 0;

    AW_TRY(aw_db_run(db, STORE_SQL_AUTHORIZATION_SET,
        AW_DB_VALUES(AW_DB_INTEGER(s->ticket), AW_DB_INTEGER((int64_t)s->number),
            AW_DB_INTEGER(s->to), AW_DB_INTEGER(s->challenge_to), AW_DB_INTEGER(s->validated),
            AW_DB_TEXT(s->problem), AW_DB_INTEGER(s->from), AW_DB_INTEGER(s->challenge_from)),
        &changes));
    *work->moved = changes > 0;
    return changes > 0 && s->to != s->from ? move_order(db, s) : AW_OK;
}

aw_result
relay_store_authorization_move(
    struct relay_store *store, const struct authorization_step *step, bool *moved)
{
    const struct work work = {step, moved};

    *moved = false;
    return store_write(store, move, &work);
}
