#include "signer/budget.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/lock.h"

enum { MINUTE_MS = 60 * 1000, KINDS = BUDGET_ALARM + 1, SLOTS = 2 * BUDGET_UIDS_MAX };

static const struct {
    int64_t burst, per_minute;
} limits[KINDS] = {
    [BUDGET_REFUSAL] = {BUDGET_REFUSALS_BURST, BUDGET_REFUSALS_PER_MINUTE},
    [BUDGET_ALARM] = {BUDGET_ALARMS_BURST, BUDGET_ALARMS_PER_MINUTE},
};

/* What was not written since `since`. */
struct count {
    int64_t since;
    int64_t total, alarms;
    uint32_t uid;
    char user[64];
    char application[68];
    bool several; /* applications */
    struct {
        char rule[64];
        int64_t count;
    } rules[BUDGET_RULES_MAX];
    int64_t others; /* of further rules */
};

/* What a payer owes: 0 is a full bucket, so that nothing need be kept of who owes nothing. */
struct account {
    bool used;
    budget_payer payer;
    int64_t seen;        /* up to when `owed` was paid back */
    int64_t owed[KINDS]; /* octets times MINUTE_MS, so that no part of a payment is lost */
    struct count *count; /* NULL: none */
};

struct budget {
    pthread_mutex_t lock;
    size_t used;
    size_t counting;       /* accounts with a count */
    struct account shared; /* of uids for which there is no slot */
    struct account slots[SLOTS];
    int64_t counted; /* since the start */
};

/* FNV-1a: equal ones would share a budget. */
static uint32_t
hash(const char *text)
{
    uint32_t value = 2166136261u;

    for (; *text != '\0'; text++)
        value = (value ^ (uint8_t)*text) * 16777619u;
    return value;
}

budget_payer
budget_payer_of(const struct audit_entry *entry)
{
    /* An honest relay can't foresee these: whoever it serves can cause them. */
    static const char *const of_clients[] = {
        "evidence.nonce", "evidence.account", "evidence.binding", "evidence.key"};
    static const budget_payer clients = UINT64_C(1) << 32, application = UINT64_C(1) << 33;

    if (entry->evidence == NULL)
        return entry->uid;
    if (entry->application != NULL)
        return application | hash(entry->application);
    for (size_t i = 0; i < AW_COUNT(of_clients); i++)
        if (entry->rule != NULL && strncmp(entry->rule, of_clients[i], strlen(of_clients[i])) == 0)
            return clients | entry->uid;
    return entry->uid;
}

aw_result
budget_new(budget **out)
{
    *out = calloc(1, sizeof(**out));
    if (*out == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&(*out)->lock, NULL);
    return AW_OK;
}

void
budget_free(budget **slot)
{
    if (*slot == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        free((*slot)->slots[i].count);
    free((*slot)->shared.count);
    pthread_mutex_destroy(&(*slot)->lock);
    free(*slot);
    *slot = NULL;
}

static void
pay_back(struct account *account, int64_t now)
{
    int64_t passed = now - account->seen;

    if (passed <= 0)
        return;
    account->seen = now;
    for (int kind = 0; kind < KINDS; kind++) {
        int64_t paid = passed * limits[kind].per_minute;

        account->owed[kind] = account->owed[kind] > paid ? account->owed[kind] - paid : 0;
    }
}

static bool
owes_nothing(const struct account *account)
{
    for (int kind = 0; kind < KINDS; kind++)
        if (account->owed[kind] > 0)
            return false;
    return account->count == NULL;
}

/* Linear probing, at most half full; slots are freed by forget alone. */
static struct account *
find(budget *self, budget_payer payer)
{
    size_t at = (size_t)(payer * 2654435761u % SLOTS);

    while (self->slots[at].used && self->slots[at].payer != payer)
        at = (at + 1) % SLOTS;
    return &self->slots[at];
}

/* Makes the table anew without those who owe nothing. */
static void
forget(budget *self, int64_t now)
{
    struct account *kept = calloc(BUDGET_UIDS_MAX, sizeof(*kept));
    size_t count = 0;

    if (kept == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        if (!self->slots[i].used)
            continue;
        pay_back(&self->slots[i], now);
        if (!owes_nothing(&self->slots[i]))
            kept[count++] = self->slots[i];
    }
    memset(self->slots, 0, sizeof(self->slots));
    for (size_t i = 0; i < count; i++)
        *find(self, kept[i].payer) = kept[i];
    self->used = count;
    free(kept);
}

static struct account *
account_of(budget *self, budget_payer payer, int64_t now)
{
    struct account *account = find(self, payer);

    if (!account->used && self->used == BUDGET_UIDS_MAX) {
        forget(self, now);
        account = find(self, payer);
        if (self->used == BUDGET_UIDS_MAX)
            account = &self->shared;
    }
    if (!account->used && account != &self->shared) {
        *account = (struct account){.used = true, .payer = payer, .seen = now};
        self->used++;
    }
    pay_back(account, now);
    return account;
}

bool
budget_left(budget *self, budget_payer payer, enum budget_kind kind, int64_t now)
{
    AW_HOLD(&self->lock);
    return account_of(self, payer, now)->owed[kind] < limits[kind].burst * MINUTE_MS;
}

void
budget_spend(budget *self, budget_payer payer, enum budget_kind kind, size_t octets, int64_t now)
{
    AW_HOLD(&self->lock);
    account_of(self, payer, now)->owed[kind] += (int64_t)octets * MINUTE_MS;
}

static void
count_rule(struct count *count, const char *rule)
{
    for (size_t i = 0; i < BUDGET_RULES_MAX; i++) {
        if (count->rules[i].count == 0)
            snprintf(count->rules[i].rule, sizeof(count->rules[i].rule), "%s", rule);
        if (strncmp(count->rules[i].rule, rule, sizeof(count->rules[i].rule) - 1) == 0) {
            count->rules[i].count++;
            return;
        }
    }
    count->others++;
}

static void
count_application(struct count *count, const char *application)
{
    if (count->total == 0)
        snprintf(count->application, sizeof(count->application), "%s", application);
    else if (strncmp(count->application, application, sizeof(count->application) - 1) != 0)
        count->several = true;
}

void
budget_count(budget *self, const struct audit_entry *entry, enum budget_kind kind, int64_t now)
{
    AW_HOLD(&self->lock);
    struct account *account = account_of(self, budget_payer_of(entry), now);

    self->counted++;
    if (account->count == NULL) {
        account->count = calloc(1, sizeof(*account->count));
        if (account->count == NULL)
            return; /* nothing was permitted, so nothing depends on it */
        self->counting++;
        account->count->since = now;
        account->count->uid = entry->uid;
        snprintf(account->count->user, sizeof(account->count->user), "%s",
            entry->user == NULL ? "" : entry->user);
    }
    if (kind == BUDGET_ALARM) {
        account->count->alarms++;
        return;
    }
    count_application(account->count, entry->application == NULL ? "" : entry->application);
    count_rule(account->count, entry->rule == NULL ? "" : entry->rule);
    account->count->total++;
}

int64_t
budget_counted(budget *self)
{
    AW_HOLD(&self->lock);
    return self->counted;
}

AW_PRINTF(3, 4)
static void
append(char *text, size_t capacity, const char *format, ...)
{
    size_t length = strlen(text);
    va_list ap;

    va_start(ap, format);
    vsnprintf(text + length, capacity - length, format, ap);
    va_end(ap);
}

static void
describe(const struct count *count, int64_t now, char *text, size_t capacity)
{
    text[0] = '\0';
    append(text, capacity,
        "within %lld s, beyond the budget of this user:", (long long)(now - count->since) / 1000);
    for (size_t i = 0; i < BUDGET_RULES_MAX && count->rules[i].count > 0; i++)
        append(text, capacity, "%s %s %lld", i == 0 ? "" : ",", count->rules[i].rule,
            (long long)count->rules[i].count);
    if (count->others > 0)
        append(text, capacity, ", others %lld", (long long)count->others);
    if (count->alarms > 0)
        append(text, capacity, "; alarms %lld", (long long)count->alarms);
}

static void
take(struct account *account, bool has_uid, int64_t now, struct budget_sum *out)
{
    const struct count *count = account->count;

    *out = (struct budget_sum){.has_uid = has_uid, .uid = count->uid, .count = count->total};
    if (has_uid)
        memcpy(out->user, count->user, sizeof(out->user));
    if (!count->several)
        memcpy(out->application, count->application, sizeof(out->application));
    memcpy(out->rule, count->rules[0].rule, sizeof(out->rule));
    if (count->total == 0) { /* alarms alone: the refusals beside them were recorded */
        out->count = count->alarms;
        snprintf(out->rule, sizeof(out->rule), "alarm");
    }
    describe(count, now, out->message, sizeof(out->message));
    free(account->count);
    account->count = NULL;
}

static bool
is_due(const struct account *account, bool all, int64_t now)
{
    return account->count != NULL && (all || now - account->count->since >= BUDGET_INTERVAL_MS);
}

bool
budget_take(budget *self, bool all, int64_t now, struct budget_sum *out)
{
    AW_HOLD(&self->lock);
    if (self->counting == 0)
        return false;
    struct account *due = is_due(&self->shared, all, now) ? &self->shared : NULL;
    for (size_t i = 0; i < SLOTS && due == NULL; i++)
        if (is_due(&self->slots[i], all, now))
            due = &self->slots[i];
    if (due == NULL)
        return false;
    take(due, due != &self->shared, now, out);
    self->counting--;
    return true;
}
