#include "signer/freezes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/json.h"

enum { FILE_MAX = 2 * 1024 * 1024, FILE_MODE = 0640 };

struct freezes {
    pthread_mutex_t change; /* one change of the file at a time; before `lock` */
    pthread_mutex_t lock;   /* for moments only */
    char *path;
    struct freeze *items; /* FREEZES_MAX */
    size_t count;
};

/* The file. */

static aw_result
read_item(const cJSON *json, struct freeze *out)
{
    static const char *const members[] = {"application", "reason", "since"};
    const char *application = NULL, *reason = NULL;

    AW_TRY(aw_json_only(json, members, AW_COUNT(members)));
    AW_TRY(aw_json_string(json, "application", AW_CONFIG_LABEL_MAX, &application));
    if (application[0] == '\0')
        return aw_fail(AW_CODE_SYNTAX, "application: it is empty");
    AW_TRY(aw_json_string(json, "reason", FREEZES_REASON_SIZE - 1, &reason));
    AW_TRY(aw_json_integer(json, "since", 0, INT64_MAX >> 11, &out->since));
    memcpy(out->application, application, strlen(application) + 1);
    memcpy(out->reason, reason, strlen(reason) + 1);
    return AW_OK;
}

static aw_result
parse(freezes *self, const char *text, size_t size)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const cJSON *list = NULL, *item = NULL;

    AW_TRY(aw_json_parse(text, size, AW_JSON_STRICT, &json));
    AW_TRY(aw_json_array(json, "applications", 0, FREEZES_MAX, &list));
    cJSON_ArrayForEach(item, list) AW_TRY(read_item(item, &self->items[self->count++]));
    return AW_OK;
}

static aw_result
load(freezes *self)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;
    aw_result r = aw_file_read(self->path, FILE_MAX, &text, &size);

    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    return aw_hint(aw_context(parse(self, text, size), "%s", self->path),
        "which applications are frozen is not known: restore the file, or remove it: the start "
        "then "
        "freezes those that are frozen by the audit log");
}

static aw_result
save(const freezes *self, const struct freeze *items, size_t count)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_name(&w, "applications");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        aw_json_begin_object(&w);
        aw_json_pair(&w, "application", items[i].application);
        aw_json_pair(&w, "reason", items[i].reason);
        aw_json_pair_integer(&w, "since", items[i].since);
        aw_json_end_object(&w);
    }
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    return aw_file_replace(self->path, text, strlen(text), FILE_MODE);
}

aw_result
freezes_open(const char *state, freezes **out)
{
    AW_CLEANUP(freezes_free) freezes *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return aw_fail_memory();
    pthread_mutex_init(&self->change, NULL);
    pthread_mutex_init(&self->lock, NULL);
    self->items = calloc(FREEZES_MAX, sizeof(*self->items));
    if (self->items == NULL)
        return aw_fail_memory();
    AW_TRY(aw_path_join(state, "frozen-applications.json", &self->path));
    AW_TRY(load(self));
    *out = AW_MOVE(self);
    return AW_OK;
}

void
freezes_free(freezes **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    freezes *self = *slot;

    pthread_mutex_destroy(&self->lock);
    pthread_mutex_destroy(&self->change);
    free(self->items);
    free(self->path);
    free(self);
    *slot = NULL;
}

/* With the lock. */
static struct freeze *
look_up(const freezes *self, const char *application)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->items[i].application, application) == 0)
            return &self->items[i];
    return NULL;
}

bool
freezes_find(freezes *self, const char *application, struct freeze *out)
{
    pthread_mutex_lock(&self->lock);
    const struct freeze *found = look_up(self, application);
    if (found != NULL && out != NULL)
        *out = *found;
    pthread_mutex_unlock(&self->lock);
    return found != NULL;
}

bool
freezes_get(freezes *self, size_t index, struct freeze *out)
{
    pthread_mutex_lock(&self->lock);
    bool found = index < self->count;
    if (found)
        *out = self->items[index];
    pthread_mutex_unlock(&self->lock);
    return found;
}

static aw_result
put(freezes *self, const char *application, const char *reason, int64_t now)
{
    struct freeze *item = look_up(self, application);

    if (item == NULL && self->count == FREEZES_MAX)
        return aw_hint(aw_fail(AW_CODE_LIMIT, "%d applications are frozen already", FREEZES_MAX),
            "stop all signing: acmeward-admin freeze without --application");
    if (item == NULL) {
        item = &self->items[self->count++];
        snprintf(item->application, sizeof(item->application), "%s", application);
        item->since = now;
    }
    snprintf(item->reason, sizeof(item->reason), "%s", reason);
    return AW_OK;
}

aw_result
freezes_add(freezes *self, const char *application, const char *reason, int64_t now)
{
    pthread_mutex_lock(&self->change);
    pthread_mutex_lock(&self->lock);
    aw_result r = put(self, application, reason, now);
    pthread_mutex_unlock(&self->lock);
    /* Only changes write the items, and this is the one. */
    if (aw_ok(r))
        r = save(self, self->items, self->count);
    pthread_mutex_unlock(&self->change);
    return r;
}

static aw_result
put_lost(freezes *self, const struct freeze *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        AW_TRY(aw_hint(put(self, items[i].application, items[i].reason, items[i].since),
            "remove frozen-applications.json: the start then freezes those that are frozen by the "
            "audit log"));
    return AW_OK;
}

aw_result
freezes_restore(freezes *self, const struct freeze *items, size_t count)
{
    pthread_mutex_lock(&self->change);
    pthread_mutex_lock(&self->lock);
    aw_result r = put_lost(self, items, count);
    pthread_mutex_unlock(&self->lock);
    if (aw_ok(r))
        r = save(self, self->items, self->count);
    pthread_mutex_unlock(&self->change);
    return r;
}

static aw_result
save_without(freezes *self, const struct freeze *gone)
{
    AW_CLEANUP(aw_free) struct freeze *rest = calloc(FREEZES_MAX, sizeof(*rest));
    size_t count = 0;

    if (rest == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < self->count; i++)
        if (&self->items[i] != gone)
            rest[count++] = self->items[i];
    AW_TRY(save(self, rest, count));
    pthread_mutex_lock(&self->lock);
    memcpy(self->items, rest, count * sizeof(*rest));
    self->count = count;
    pthread_mutex_unlock(&self->lock);
    return AW_OK;
}

aw_result
freezes_remove(freezes *self, const char *application)
{
    pthread_mutex_lock(&self->change);
    const struct freeze *gone = look_up(self, application);
    aw_result r = gone == NULL
                      ? aw_fail(AW_CODE_NOT_FOUND, "%s is not frozen by itself", application)
                      : save_without(self, gone);
    pthread_mutex_unlock(&self->change);
    return r;
}
