/* What a revocation is about: certificates of the inventory, with the URLs they can be had from. */
#include "admin/revoke.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"

/* Hex without colons, in lower case, without leading zeros. */
static void
normal_serial(const char *text, char out[REVOKE_SERIAL_SIZE])
{
    size_t length = 0;

    for (; *text != '\0' && length + 1 < REVOKE_SERIAL_SIZE; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        if (c != ':' && !(c == '0' && length == 0))
            out[length++] = c;
    }
    out[length] = '\0';
}

static bool
same_serial(const char *a, const char *b)
{
    char x[REVOKE_SERIAL_SIZE], y[REVOKE_SERIAL_SIZE];

    normal_serial(a, x);
    normal_serial(b, y);
    return strcmp(x, y) == 0;
}

static bool
same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool
is_known(const struct revoke_list *list, const char *digest)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].digest, digest) == 0)
            return true;
    return false;
}

static aw_result
copy(const char *text, char **out)
{
    *out = strdup(text == NULL ? "" : text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
copy_names(const struct audit_entry *entry, char **out)
{
    AW_TRY(copy(entry->name_count == 0 ? "" : entry->names[0], out));
    if (entry->name_count < 2)
        return AW_OK;
    AW_CLEANUP(aw_free) char *first = *out;
    *out = NULL;
    return aw_format(out, "%s and %zu more", first, entry->name_count - 1);
}

static aw_result
add(struct revoke_list *list, const struct audit_entry *entry)
{
    if (list->count == REVOKE_MAX)
        return aw_fail(AW_CODE_LIMIT, "more than %d certificates", REVOKE_MAX);
    if (list->count % 64 == 0) {
        struct revoke_item *more = realloc(list->items, (list->count + 64) * sizeof(*list->items));
        if (more == NULL)
            return aw_fail_memory();
        list->items = more;
    }
    struct revoke_item *item = &list->items[list->count++];
    memset(item, 0, sizeof(*item));
    item->order = entry->order;
    item->not_after = entry->not_after;
    AW_TRY(copy(entry->application, &item->application));
    AW_TRY(copy(entry->account, &item->account));
    AW_TRY(copy(entry->serial, &item->serial));
    AW_TRY(copy(entry->certificate, &item->digest));
    return copy_names(entry, &item->names);
}

/* Carried through both walks over the log. */
struct search {
    const struct revoke_wanted *wanted;
    struct revoke_list *list;
    int64_t now;
};

static bool
is_wanted(const struct search *search, const struct audit_entry *entry)
{
    const struct revoke_wanted *wanted = search->wanted;

    if (entry->certificate == NULL || entry->serial == NULL || entry->not_after < search->now)
        return false;
    if (wanted->digest != NULL)
        return strcmp(wanted->digest, entry->certificate) == 0;
    if (wanted->serial != NULL)
        return same_serial(wanted->serial, entry->serial);
    return same(wanted->application, entry->application);
}

static aw_result
visit_certificate(const struct audit_record *record, void *context)
{
    const struct search *search = context;
    const struct audit_entry *entry = &record->entry;

    if (entry->kind != AUDIT_CERTIFICATE || same(entry->verdict, "refuse") ||
        !is_wanted(search, entry) || is_known(search->list, entry->certificate))
        return AW_OK;
    return add(search->list, entry);
}

static int
by_order(const void *a, const void *b)
{
    const struct revoke_item *x = a, *y = b;

    return x->order < y->order ? -1 : x->order > y->order;
}

static aw_result
add_url(struct revoke_item *item, const char *url)
{
    if (item->url_count == REVOKE_URLS_MAX)
        return AW_OK;
    AW_TRY(copy(url, &item->urls[item->url_count]));
    item->url_count++;
    return AW_OK;
}

/* CAs that no more have a revoked certificate at its URL are known by this. */
static void
note_revocation(const struct revoke_list *list, const struct audit_record *record)
{
    for (size_t i = 0; i < list->count; i++)
        if (same(record->entry.certificate, list->items[i].digest))
            list->items[i].signed_for = record->seq;
}

/* Several certificates of one order stand together, and each may be behind any of its URLs. */
static aw_result
visit_rest(const struct audit_record *record, void *context)
{
    const struct search *search = context;
    const struct audit_entry *entry = &record->entry;
    const struct revoke_list *list = search->list;
    const struct revoke_item key = {.order = entry->order};

    if (same(entry->operation, "revoke") && !same(entry->verdict, "refuse"))
        note_revocation(list, record);
    if (entry->kind != AUDIT_CLAIM || same(entry->verdict, "refuse") || entry->url == NULL ||
        !same(entry->url_kind, "certificate"))
        return AW_OK;
    struct revoke_item *item =
        bsearch(&key, list->items, list->count, sizeof(*list->items), by_order);
    while (item != NULL && item > list->items && item[-1].order == entry->order)
        item--;
    for (; item != NULL && item < list->items + list->count && item->order == entry->order; item++)
        AW_TRY(add_url(item, entry->url));
    return AW_OK;
}

aw_result
revoke_find(
    const struct audit_source *source, const struct revoke_wanted *wanted, struct revoke_list *out)
{
    struct audit_source again = *source;
    struct search search = {.wanted = wanted, .list = out, .now = (int64_t)time(NULL)};

    AW_TRY(audit_read_source(source, 1, visit_certificate, &search));
    if (out->count == 0)
        return AW_OK;
    qsort(out->items, out->count, sizeof(*out->items), by_order);
    again.absent = NULL;
    return audit_read_source(&again, 1, visit_rest, &search);
}

void
revoke_list_free(struct revoke_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct revoke_item *item = &list->items[i];
        char *texts[] = {item->application, item->account, item->serial, item->digest, item->names};

        for (size_t j = 0; j < AW_COUNT(texts); j++)
            free(texts[j]);
        for (size_t j = 0; j < item->url_count; j++)
            free(item->urls[j]);
        free(item->der);
    }
    free(list->items);
    memset(list, 0, sizeof(*list));
}
