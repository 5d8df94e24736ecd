#include "signer/core_freeze.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "common/json.h"
#include "common/log.h"
#include "signer/ledger_freezes.h"

enum { FREEZE_FILE_MAX = 4096 };

/* The freeze of all. */

bool
core_frozen(struct core *core, int64_t *since, char reason[CORE_REASON_MAX + 1])
{
    pthread_mutex_lock(&core->lock);
    bool frozen = core->frozen;
    if (since != NULL)
        *since = core->frozen_since;
    if (reason != NULL)
        memcpy(reason, core->frozen_reason, sizeof(core->frozen_reason));
    pthread_mutex_unlock(&core->lock);
    return frozen;
}

static void
set_frozen(struct core *core, bool frozen, int64_t since, const char *reason)
{
    pthread_mutex_lock(&core->lock);
    core->frozen = frozen;
    core->frozen_since = since;
    memcpy(core->frozen_reason, reason, strlen(reason) + 1);
    pthread_mutex_unlock(&core->lock);
}

static aw_result
write_freeze(const struct core *core, int64_t since, const char *reason)
{
    struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *text = NULL;

    aw_json_begin_object(&w);
    aw_json_pair_integer(&w, "since", since);
    aw_json_pair(&w, "reason", reason);
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &text));
    return aw_file_replace(core->freeze_path, text, strlen(text), 0640);
}

void
core_freeze_now(struct core *core, const char *reason)
{
    set_frozen(core, true, core_now(), strlen(reason) > CORE_REASON_MAX ? "" : reason);
}

/* Signing stops before the file is written: a full disk must not keep it going. */
aw_result
core_freeze(struct core *core, const char *reason)
{
    int64_t now = core_now();

    if (strlen(reason) > CORE_REASON_MAX)
        return aw_fail(AW_CODE_LIMIT, "the reason is longer than %d characters", CORE_REASON_MAX);
    set_frozen(core, true, now, reason);
    return write_freeze(core, now, reason);
}

aw_result
core_unfreeze(struct core *core)
{
    if (unlink(core->freeze_path) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "%s", core->freeze_path);
    AW_TRY(aw_folder_sync_of(core->freeze_path));
    set_frozen(core, false, 0, "");
    return AW_OK;
}

/* The file's presence is the freeze, its content says since when. */
static aw_result
read_freeze(struct core *core)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;
    const char *reason = NULL;
    size_t size = 0;

    AW_TRY(aw_path_join(core->config->paths.state, "frozen.json", &core->freeze_path));
    aw_result r = aw_file_read(core->freeze_path, FREEZE_FILE_MAX, &text, &size);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    core->frozen = true;
    r = aw_json_parse(text, size, AW_JSON_STRICT, &json);
    if (aw_ok(r))
        r = aw_json_integer(json, "since", 0, INT64_MAX >> 11, &core->frozen_since);
    if (aw_ok(r))
        r = aw_json_string(json, "reason", CORE_REASON_MAX, &reason);
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_WARNING, "frozen, but frozen.json does not say why");
    else
        memcpy(core->frozen_reason, reason, strlen(reason) + 1);
    return AW_OK;
}

aw_result
core_freeze_read(struct core *core)
{
    AW_TRY(read_freeze(core));
    return freezes_open(core->config->paths.state, &core->freezes);
}

/* Files and records. */

static bool
is_of_all(const struct freeze *item)
{
    return item->application[0] == '\0';
}

static bool
counts(struct core *core, const struct freeze *item)
{
    return is_of_all(item) ? core_frozen(core, NULL, NULL)
                           : freezes_find(core->freezes, item->application, NULL);
}

static bool
has(const struct ledger_freezes *recorded, const char *application)
{
    for (size_t i = 0; i < recorded->count; i++)
        if (strcmp(recorded->items[i].application, application) == 0)
            return true;
    return false;
}

static aw_result
alarm_lost(struct core *core, const struct freeze *item)
{
    AW_CLEANUP(aw_free) char *message = NULL;

    AW_TRY(aw_format(&message,
        "the audit log has %s as frozen (%s), and %s does not: the file was lost, emptied or is of "
        "another time or host; the freeze stays in force",
        is_of_all(item) ? "all signing" : item->application, item->reason,
        is_of_all(item) ? "frozen.json" : "frozen-applications.json"));
    aw_log(AW_LOG_WARNING, "freeze.restored: %s", message);
    return core_record(core, &(struct audit_entry){.kind = AUDIT_ALARM,
                                 .application = is_of_all(item) ? NULL : item->application,
                                 .rule = "freeze.restored",
                                 .message = message});
}

/* On record first: a file that is whole again tells of nothing. */
static aw_result
restore(struct core *core, struct ledger_freezes *recorded)
{
    size_t lost = 0;

    for (size_t i = 0; i < recorded->count; i++) {
        const struct freeze item = recorded->items[i];

        if (counts(core, &item))
            continue;
        AW_TRY(alarm_lost(core, &item));
        if (!is_of_all(&item)) {
            recorded->items[lost++] = item;
            continue;
        }
        set_frozen(core, true, item.since, item.reason);
        AW_TRY(write_freeze(core, item.since, item.reason));
    }
    return lost == 0 ? AW_OK : freezes_restore(core->freezes, recorded->items, lost);
}

/* Made by a signer that ended before its record, by hand, or brought from elsewhere. */
static aw_result
adopt(struct core *core, const struct freeze *item)
{
    aw_log(AW_LOG_NOTICE,
        "%s is frozen by its file and not by a record: it stays so, and is recorded now",
        is_of_all(item) ? "all signing" : item->application);
    return core_record(core, &(struct audit_entry){.kind = AUDIT_ADMIN,
                                 .application = is_of_all(item) ? NULL : item->application,
                                 .operation = "freeze",
                                 .verdict = "permit",
                                 .message = item->reason[0] == '\0' ? NULL : item->reason});
}

static aw_result
adopt_all(struct core *core, const struct ledger_freezes *recorded)
{
    struct freeze item = {.application = ""};

    if (core_frozen(core, &item.since, item.reason) && !has(recorded, item.application))
        AW_TRY(adopt(core, &item));
    for (size_t i = 0; freezes_get(core->freezes, i, &item); i++)
        if (!has(recorded, item.application))
            AW_TRY(adopt(core, &item));
    return AW_OK;
}

aw_result
core_freeze_compare(struct core *core)
{
    AW_CLEANUP(ledger_freezes_free) struct ledger_freezes recorded = {0};

    AW_TRY(ledger_freezes_list(core->ledger, &recorded));
    AW_TRY(adopt_all(core, &recorded));
    return restore(core, &recorded); /* last: it takes the list apart */
}
