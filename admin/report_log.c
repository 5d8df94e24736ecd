#include "admin/report_log.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

/* A refusal's place in the tree. Items move when the array grows, so nodes have copies of keys. */
struct kind {
    const char *texts[5];
    size_t index;
};

void
report_log_free(struct report_log *log)
{
    for (size_t i = 0; i < log->certificate_count; i++) {
        struct report_certificate *c = &log->certificates[i];

        free(c->application);
        free(c->serial);
        free(c->issuer);
        free(c->names);
    }
    for (size_t i = 0; i < log->refusal_count; i++) {
        struct report_refusal *r = &log->refusals[i];

        free(r->application);
        free(r->user);
        free(r->operation);
        free(r->verdict);
        free(r->rule);
        free(r->names);
        free(r->message);
    }
    for (size_t i = 0; i < log->revoked_count; i++)
        free(log->revoked[i]);
    free(log->certificates);
    free(log->refusals);
    free(log->revoked);
    tdestroy(log->by_kind, free);
    report_clients_free(&log->clients);
    *log = (struct report_log){.records = 0};
}

static aw_result
keep(const char *text, char **out)
{
    if (text == NULL)
        return AW_OK;
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static int
by_text(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;

    return strcmp(*a, *b);
}

/* Sorted, one a line, so that sets compare as texts; lines are broken by nothing in a name. */
static aw_result
keep_names(const struct audit_entry *entry, char **out)
{
    size_t size = 1;

    for (size_t i = 0; i < entry->name_count; i++)
        size += strlen(entry->names[i]) + 1;
    AW_CLEANUP(aw_free) const char **names = calloc(entry->name_count + 1, sizeof(*names));
    char *text = malloc(size), *at = text;
    if (names == NULL || text == NULL) {
        free(text);
        return aw_fail_memory();
    }
    for (size_t i = 0; i < entry->name_count; i++)
        names[i] = entry->names[i];
    qsort(names, entry->name_count, sizeof(*names), by_text);
    for (size_t i = 0; i < entry->name_count; i++) {
        size_t length = strlen(names[i]);

        memcpy(at, names[i], length);
        at += length;
        *at++ = '\n';
    }
    *(at == text ? at : at - 1) = '\0';
    *out = text;
    return AW_OK;
}

/* Certificates. */

static aw_result
take_certificate(struct report_log *log, const struct audit_entry *entry)
{
    for (size_t i = 0; entry->not_after > log->period->now && i < entry->name_count; i++)
        report_grants_hold(log->grants, entry->application, entry->names[i]);
    if (entry->not_after < log->period->since || entry->certificate == NULL)
        return AW_OK;
    AW_TRY(aw_array_grow(&log->certificates, log->certificate_count, &log->certificate_room,
        sizeof(*log->certificates)));
    struct report_certificate *added = &log->certificates[log->certificate_count++];
    *added = (struct report_certificate){.not_after = entry->not_after,
        .has_verified = entry->has_verified,
        .verified = entry->verified};
    snprintf(added->digest, sizeof(added->digest), "%s", entry->certificate);
    AW_TRY(keep(entry->application, &added->application));
    AW_TRY(keep(entry->serial, &added->serial));
    AW_TRY(keep(entry->issuer, &added->issuer));
    return keep_names(entry, &added->names);
}

static aw_result
take_revocation(struct report_log *log, const struct audit_entry *entry)
{
    if (entry->certificate == NULL)
        return AW_OK;
    AW_TRY(aw_array_grow(
        &log->revoked, log->revoked_count, &log->revoked_room, sizeof(*log->revoked)));
    AW_TRY(keep(entry->certificate, &log->revoked[log->revoked_count]));
    log->revoked_count++;
    return AW_OK;
}

static int
compare_texts(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int
by_digest(const void *left, const void *right)
{
    const struct report_certificate *a = left, *b = right;

    return strcmp(a->digest, b->digest);
}

/* Those with the same names together, the one that ends last first. */
static int
by_set(const void *left, const void *right)
{
    const struct report_certificate *a = left, *b = right;
    int order = compare_texts(a->application, b->application);

    if (order == 0)
        order = strcmp(a->names, b->names);
    return order == 0 ? (a->not_after < b->not_after) - (a->not_after > b->not_after) : order;
}

static int
by_end(const void *left, const void *right)
{
    const struct report_certificate *a = left, *b = right;
    int order = (a->not_after > b->not_after) - (a->not_after < b->not_after);

    return order == 0 ? by_set(a, b) : order;
}

static void
free_texts(struct report_certificate *c)
{
    free(c->application);
    free(c->serial);
    free(c->issuer);
    free(c->names);
}

/* Handing one back twice makes two records. */
static void
drop_doubles(struct report_log *log)
{
    size_t kept = 0;

    qsort(log->certificates, log->certificate_count, sizeof(*log->certificates), by_digest);
    for (size_t i = 0; i < log->certificate_count; i++) {
        struct report_certificate *c = &log->certificates[i];

        if (kept > 0 && by_digest(&log->certificates[kept - 1], c) == 0)
            free_texts(c);
        else
            log->certificates[kept++] = *c;
    }
    log->certificate_count = kept;
}

static void
finish_certificates(struct report_log *log)
{
    if (log->certificate_count == 0)
        return;
    drop_doubles(log);
    for (size_t i = 0; i < log->revoked_count; i++) {
        struct report_certificate wanted = {.not_after = 0};

        snprintf(wanted.digest, sizeof(wanted.digest), "%s", log->revoked[i]);
        struct report_certificate *found =
            bsearch(&wanted, log->certificates, log->certificate_count, sizeof(wanted), by_digest);
        if (found != NULL)
            found->revoked = true;
    }
    qsort(log->certificates, log->certificate_count, sizeof(*log->certificates), by_set);
    for (size_t i = 1; i < log->certificate_count; i++) {
        const struct report_certificate *before = &log->certificates[i - 1];
        struct report_certificate *c = &log->certificates[i];

        c->replaced = compare_texts(before->application, c->application) == 0 &&
                      strcmp(before->names, c->names) == 0;
    }
    qsort(log->certificates, log->certificate_count, sizeof(*log->certificates), by_end);
}

/* Refusals. */

static int
by_kind(const void *left, const void *right)
{
    const struct kind *a = left, *b = right;
    int order = 0;

    for (size_t i = 0; order == 0 && i < AW_COUNT(a->texts); i++)
        order = compare_texts(a->texts[i], b->texts[i]);
    return order;
}

static aw_result
keep_kind(struct report_refusal *refusal, const struct kind *kind)
{
    char **const texts[] = {&refusal->application, &refusal->user, &refusal->operation,
        &refusal->verdict, &refusal->rule};

    for (size_t i = 0; i < AW_COUNT(texts); i++)
        AW_TRY(keep(kind->texts[i], texts[i]));
    return AW_OK;
}

static aw_result
add_refusal(struct report_log *log, const struct kind *wanted)
{
    AW_TRY(aw_array_grow(
        &log->refusals, log->refusal_count, &log->refusal_room, sizeof(*log->refusals)));
    struct report_refusal *refusal = &log->refusals[log->refusal_count++];
    *refusal = (struct report_refusal){.count = 0};
    AW_TRY(keep_kind(refusal, wanted));
    struct kind *node = malloc(sizeof(*node));
    if (node == NULL)
        return aw_fail_memory();
    /* The texts stay where they are when the array moves. */
    *node = (struct kind){
        {refusal->application, refusal->user, refusal->operation, refusal->verdict, refusal->rule},
        log->refusal_count - 1};
    if (tsearch(node, &log->by_kind, by_kind) != NULL)
        return AW_OK;
    free(node);
    return aw_fail_memory();
}

static aw_result
take_refusal(struct report_log *log, const struct audit_entry *entry)
{
    /* What went beyond a user's budget is counted in one record. */
    bool many = entry->kind == AUDIT_REFUSALS;
    const struct kind wanted = {
        {entry->application, entry->user, many ? "(beyond the budget)" : entry->operation,
            many ? "refuse" : entry->verdict, entry->rule},
        0};
    const void *found = tfind(&wanted, &log->by_kind, by_kind);
    size_t index = log->refusal_count;

    if (found == NULL)
        AW_TRY(add_refusal(log, &wanted));
    else
        index = (*(const struct kind *const *)found)->index;
    struct report_refusal *refusal = &log->refusals[index];
    if (refusal->count == 0)
        refusal->first = entry->time;
    refusal->count += many && entry->count > 0 ? entry->count : 1;
    refusal->last = entry->time;
    aw_free(&refusal->names);
    aw_free(&refusal->message);
    AW_TRY(keep(entry->message, &refusal->message));
    return entry->name_count == 0 ? AW_OK : keep_names(entry, &refusal->names);
}

static int
by_count(const void *left, const void *right)
{
    const struct report_refusal *a = left, *b = right;
    int order = (a->count < b->count) - (a->count > b->count);

    return order == 0 ? (a->last < b->last) - (a->last > b->last) : order;
}

/* The walk. */

static bool
is(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

static bool
is_refusal(const struct audit_entry *entry)
{
    return entry->kind == AUDIT_REFUSALS || is(entry->verdict, "refuse") ||
           (entry->kind == AUDIT_DECISION && is(entry->verdict, "warn"));
}

static void
take_order(struct report_log *log, const struct audit_entry *entry)
{
    struct report_user *user = report_grants_user(log->grants, entry->application);

    if (user == NULL)
        return;
    user->last_used = entry->time;
    user->orders += entry->time >= log->period->since && entry->time <= log->period->until;
    for (size_t i = 0; i < entry->name_count; i++)
        report_grants_use(log->grants, entry->application, entry->names[i], entry->time);
}

static aw_result
take(const struct audit_record *record, void *context)
{
    struct report_log *log = context;
    const struct audit_entry *entry = &record->entry;
    const struct report_period *period = log->period;

    log->records++;
    if (log->first_time == 0)
        log->first_time = entry->time;
    log->last_time = entry->time;
    if (is(entry->operation, "relay-key-destroy")) /* of no application, and of all */
        return is(entry->verdict, "refuse") ? AW_OK : report_clients_take(&log->clients, record);
    if (period->application != NULL && !is(entry->application, period->application))
        return AW_OK;
    if (is_refusal(entry) && entry->time >= period->since && entry->time <= period->until)
        AW_TRY(take_refusal(log, entry));
    if (is(entry->verdict, "refuse"))
        return AW_OK;
    AW_TRY(report_clients_take(&log->clients, record));
    if (entry->kind == AUDIT_CERTIFICATE)
        return take_certificate(log, entry);
    if (is(entry->operation, "revoke"))
        return take_revocation(log, entry);
    /* one with `order` was signed again for that one */
    if (entry->kind == AUDIT_DECISION && is(entry->operation, "new-order") && entry->order == 0)
        take_order(log, entry);
    return AW_OK;
}

static void
count_absent(const struct audit_absent *absent, void *context)
{
    struct report_log *log = context;

    log->absent += absent->last - absent->first + 1;
}

aw_result
report_log_read(const struct admin_audit_log *log, const struct report_period *period,
    struct report_grants *grants, struct report_log *out)
{
    struct audit_source source = log->source;

    source.absent = count_absent;
    source.context = out;
    out->period = period;
    out->grants = grants;
    AW_TRY(audit_read_source(&source, 1, take, out));
    finish_certificates(out);
    if (out->refusal_count > 0)
        qsort(out->refusals, out->refusal_count, sizeof(*out->refusals), by_count);
    return AW_OK;
}
