#include "client/renew_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "client/store.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/json.h"

enum { FILE_MAX = 16 * 1024, SHOWN = 16 };

/* The members of a state; the file has them all, and no other. */
static const struct member {
    const char *name;
    size_t offset;
} members[] = {
    {"version", offsetof(struct renew_state, version)},
    {"settings", offsetof(struct renew_state, settings)},
    {"settings_ns", offsetof(struct renew_state, settings_ns)},
    {"settings_size", offsetof(struct renew_state, settings_size)},
    {"looked", offsetof(struct renew_state, looked)},
    {"next", offsetof(struct renew_state, next)},
    {"window_start", offsetof(struct renew_state, window_start)},
    {"window_end", offsetof(struct renew_state, window_end)},
    {"chosen", offsetof(struct renew_state, chosen)},
    {"ask", offsetof(struct renew_state, ask)},
    {"deployed", offsetof(struct renew_state, deployed)},
};

static int64_t *
slot_of(struct renew_state *state, const struct member *member)
{
    return (int64_t *)(void *)((char *)state + member->offset);
}

static aw_result
state_path(const char *root, const char *name, char **out)
{
    return aw_format(out, "%s/archive/.renewal-%s.json", root, name);
}

/* The file's object; AW_CODE_NOT_FOUND for one that is not there or of no use. */
static aw_result
read_object(const char *path, cJSON **out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    if (path == NULL)
        return aw_fail(AW_CODE_INTERNAL, "no path");
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return aw_fail(AW_CODE_NOT_FOUND, "there is no %s", path);
    AW_TRY(aw_file_read(path, FILE_MAX, &text, &size));
    aw_result r = aw_json_parse(text, size, AW_JSON_STRICT, out);
    return aw_ok(r) || r.code == AW_CODE_MEMORY ? r
                                                : aw_fail(AW_CODE_NOT_FOUND, "%s is damaged", path);
}

aw_result
renew_state_read(const char *root, const char *name, struct renew_state *out, bool *found)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    memset(out, 0, sizeof(*out));
    *found = false;
    AW_TRY(state_path(root, name, &path));
    aw_result r = read_object(path, &object);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    AW_TRY(r);
    *found = cJSON_GetArraySize(object) == AW_COUNT(members);
    for (size_t i = 0; i < AW_COUNT(members) && *found; i++)
        *found = aw_ok(aw_json_integer(
            object, members[i].name, 0, INT64_C(1) << 52, slot_of(out, &members[i])));
    if (!*found)
        memset(out, 0, sizeof(*out));
    return AW_OK;
}

static aw_result
write_object(const char *path, struct aw_json_writer *w)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_json_writer_finish(w, &text));
    return aw_file_replace(path, text, strlen(text), 0600);
}

static aw_result
state_text(const struct renew_state *state, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    struct renew_state copy = *state;

    aw_json_begin_object(&w);
    for (size_t i = 0; i < AW_COUNT(members); i++)
        aw_json_pair_integer(&w, members[i].name, *slot_of(&copy, &members[i]));
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
renew_state_write(const char *root, const char *name, const struct renew_state *state)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(state_path(root, name, &path));
    AW_TRY(state_text(state, &text));
    return aw_file_replace(path, text, strlen(text), 0600);
}

aw_result
renew_state_note(const char *root, const char *name, const struct renew_state *state)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *fresh = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_close) int fd = -1;

    AW_TRY(state_path(root, name, &path));
    AW_TRY(aw_format(&fresh, "%s.new", path));
    AW_TRY(state_text(state, &text));
    if (unlink(fresh) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "can't remove %s", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make %s", fresh);
    AW_TRY(aw_fd_write(fd, text, strlen(text)));
    return rename(fresh, path) == 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't replace %s", path);
}

static aw_result
remove_file(const char *path)
{
    return path == NULL || unlink(path) == 0 || errno == ENOENT
               ? AW_OK
               : aw_fail_errno(AW_CODE_IO, "can't remove %s", path);
}

aw_result
renew_state_remove(const char *root, const char *name)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(state_path(root, name, &path));
    return remove_file(path);
}

/* Failures. */

aw_result
renew_failure_key(const struct aw_name *names, size_t count, char **out)
{
    *out = strdup("");
    for (size_t i = 0; i < count && *out != NULL; i++) {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(*out);
        AW_TRY(aw_format(out, "%s%s\n", before, names[i].text));
    }
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
failure_path(const char *root, const char *key, char **out)
{
    unsigned char digest[AW_DIGEST_SIZE];
    char text[2 * SHOWN + 1];
    size_t size = 0;

    if (EVP_Q_digest(NULL, "SHA256", NULL, key, strlen(key), digest, &size) != 1)
        return aw_fail_openssl("can't make a digest");
    aw_hex(digest, SHOWN, text);
    return aw_format(out, "%s/archive/.failed-%s.json", root, text);
}

static aw_result
read_failure(const cJSON *object, struct renew_failure *out)
{
    static const char *const names[] = {"count", "first", "last", "next", "error"};
    const int64_t max = INT64_C(1) << 52;
    const char *error;

    AW_TRY(aw_json_only(object, names, AW_COUNT(names)));
    AW_TRY(aw_json_integer(object, "count", 1, max, &out->count));
    AW_TRY(aw_json_integer(object, "first", 0, max, &out->first));
    AW_TRY(aw_json_integer(object, "last", 0, max, &out->last));
    AW_TRY(aw_json_integer(object, "next", 0, max, &out->next));
    AW_TRY(aw_json_string(object, "error", 2 * RENEW_ERROR_MAX, &error));
    return aw_format(&out->error, "%s", error);
}

aw_result
renew_failure_read(const char *root, const char *key, struct renew_failure *out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;

    memset(out, 0, sizeof(*out));
    AW_TRY(failure_path(root, key, &path));
    aw_result r = read_object(path, &object);
    if (aw_ok(r))
        r = read_failure(object, out);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r))
        renew_failure_free(out);
    return AW_OK;
}

bool
renew_failure_holds(const struct renew_failure *failure, int64_t now)
{
    return failure->last <= now && now < failure->next;
}

/* An hour, two, four ... a day; sooner where little is left, never before the CA's own time. A
 * tenth more or less, so that what failed together is not tried together. */
static int64_t
delay(int64_t count, const struct renew_failed *failed)
{
    int64_t seconds = RENEW_BACKOFF_FIRST;
    unsigned random = 0;

    for (int64_t i = 1; i < count && seconds < RENEW_BACKOFF_MAX; i++)
        seconds *= 2;
    if (seconds > RENEW_BACKOFF_MAX)
        seconds = RENEW_BACKOFF_MAX;
    if (seconds > failed->left / 8)
        seconds = failed->left / 8;
    if (seconds < RENEW_BACKOFF_MIN)
        seconds = RENEW_BACKOFF_MIN;
    if (getrandom(&random, sizeof(random), 0) == (ssize_t)sizeof(random))
        seconds += seconds / 10 - (int64_t)random % (seconds / 5);
    return seconds > failed->least ? seconds : failed->least;
}

static aw_result
write_failure(const char *root, const char *key, const struct renew_failure *failure)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    struct aw_json_writer w = {0};

    AW_TRY(failure_path(root, key, &path));
    aw_json_begin_object(&w);
    aw_json_pair_integer(&w, "count", failure->count);
    aw_json_pair_integer(&w, "first", failure->first);
    aw_json_pair_integer(&w, "last", failure->last);
    aw_json_pair_integer(&w, "next", failure->next);
    aw_json_pair(&w, "error", failure->error);
    aw_json_end_object(&w);
    return write_object(path, &w);
}

aw_result
renew_failure_add(const char *root, const char *key, const struct renew_failed *failed,
    struct renew_failure *failure)
{
    int64_t now = (int64_t)time(NULL);

    if (failure->count == 0)
        failure->first = now;
    failure->count++;
    failure->last = now;
    failure->next = now + delay(failure->count, failed);
    aw_free(&failure->error);
    AW_TRY(aw_format(&failure->error, "%.*s", RENEW_ERROR_MAX, failed->error));
    return write_failure(root, key, failure);
}

aw_result
renew_failure_forget(const char *root, const char *key)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(failure_path(root, key, &path));
    return remove_file(path);
}

void
renew_failure_free(struct renew_failure *failure)
{
    free(failure->error);
    memset(failure, 0, sizeof(*failure));
}
