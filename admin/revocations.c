#include "admin/revocations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

static bool
is(const char *text, const char *wanted)
{
    return text != NULL && strcmp(text, wanted) == 0;
}

static aw_result
visit(const struct audit_record *record, void *context)
{
    const struct audit_entry *entry = &record->entry;
    struct revocations *self = context;

    if (!is(entry->operation, "revoke") || entry->certificate == NULL ||
        (!is(entry->verdict, "permit") && !is(entry->verdict, "warn")))
        return AW_OK;
    AW_TRY(aw_array_grow(&self->items, self->count, &self->room, sizeof(*self->items)));
    struct revocation *added = &self->items[self->count++];
    *added = (struct revocation){.time = entry->time};
    snprintf(added->certificate, sizeof(added->certificate), "%s", entry->certificate);
    return AW_OK;
}

static int
by_certificate(const void *a, const void *b)
{
    const struct revocation *x = a, *y = b;

    return strcmp(x->certificate, y->certificate);
}

static int
by_time(const void *a, const void *b)
{
    const struct revocation *x = a, *y = b;
    int order = by_certificate(a, b);

    return order != 0 ? order : (x->time > y->time) - (x->time < y->time);
}

aw_result
revocations_read(const struct audit_source *source, struct revocations *out)
{
    size_t kept = 0;

    AW_TRY(audit_read_source(source, 1, visit, out));
    if (out->count == 0)
        return AW_OK;
    qsort(out->items, out->count, sizeof(*out->items), by_time);
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || by_certificate(&out->items[kept - 1], &out->items[i]) != 0)
            out->items[kept++] = out->items[i];
    out->count = kept;
    return AW_OK;
}

int64_t
revocations_find(const struct revocations *self, const char *certificate)
{
    struct revocation wanted = {.time = 0};

    if (self->count == 0 || certificate == NULL ||
        strlen(certificate) >= sizeof(wanted.certificate))
        return 0;
    memcpy(wanted.certificate, certificate, strlen(certificate) + 1);
    const struct revocation *found =
        bsearch(&wanted, self->items, self->count, sizeof(wanted), by_certificate);
    return found == NULL ? 0 : found->time;
}

void
revocations_free(struct revocations *self)
{
    free(self->items);
    *self = (struct revocations){.items = NULL};
}
