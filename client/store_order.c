#include "client/store_order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/chain.h"
#include "client/http.h"
#include "client/store_steps.h"
#include "common/b64url.h"
#include "common/io.h"
#include "common/json.h"
#include "hostkey/host_key.h"

enum { CSR_TEXT_MAX = 128 * 1024, WORD_MAX = 256 };

static const char *const members[] = {"application", "order", "url", "newOrder", "profile", "names",
    "opened", "mustStaple", "csr", "keyUri"};

void
store_order_free(struct store_order *order)
{
    free(order->application);
    free(order->url);
    free(order->new_order);
    free(order->profile);
    free(order->names);
    free(order->csr);
    free(order->key_uri);
    chain_key_free(&order->key);
    aw_secret_free(&order->key_pem);
    memset(order, 0, sizeof(*order));
}

static aw_result
path_of(const store *s, const char *ending, char **out)
{
    return aw_format(out, "%s/archive/.order-%s.%s", s->root, s->name, ending);
}

/* Writing. */

static aw_result
write_text(const struct store_order *order, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    AW_CLEANUP(aw_free) char *csr = NULL;

    AW_TRY(aw_b64url_encode_new(order->csr, order->csr_size, &csr));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "application", order->application);
    aw_json_pair_integer(&w, "order", order->ticket);
    aw_json_pair(&w, "url", order->url);
    aw_json_pair(&w, "newOrder", order->new_order);
    aw_json_pair(&w, "profile", order->profile);
    aw_json_name(&w, "names");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < order->name_count; i++)
        aw_json_write_string(&w, order->names[i].text);
    aw_json_end_array(&w);
    aw_json_pair_integer(&w, "opened", order->opened);
    aw_json_pair_bool(&w, "mustStaple", order->must_staple);
    aw_json_pair(&w, "csr", csr);
    aw_json_pair(&w, "keyUri", order->key_uri);
    aw_json_end_object(&w);
    return aw_json_writer_finish(&w, out);
}

aw_result
store_order_key_path(const store *s, char **out)
{
    return path_of(s, "key", out);
}

/* One of its files; what has no text is not written. */
struct part {
    const char *ending;
    const void *bytes;
    size_t size;
    mode_t mode;
    char *path;
};

static void free_paths(struct part (*parts)[2])
{
    for (size_t i = 0; i < AW_COUNT(*parts); i++)
        free((*parts)[i].path);
}

/* In its place at once, which store_order_forget has made free: under a name of its own, what a
 * killed run leaves of a key would lie there for ever. */
static aw_result
write_part(const struct part *part)
{
    AW_CLEANUP(aw_close)
    int fd = open(part->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 || fchmod(fd, part->mode) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make %s", part->path);
    AW_TRY(aw_context(aw_fd_write(fd, part->bytes, part->size), "can't write %s", part->path));
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* the disk begins; only a hint */
    return AW_OK;
}

/* What counts is named when all the rest is on the disk: a host that fails leaves no order whose
 * key is half there. */
static aw_result
write_parts(const store *s, const aw_secret *key, const char *settings, const char *text)
{
    AW_CLEANUP(free_paths)
    struct part parts[2] = {
        {"key", key == NULL ? NULL : key->data, key == NULL ? 0 : key->size, 0600, NULL},
        {"conf", settings, settings == NULL ? 0 : strlen(settings), 0644, NULL},
    };
    AW_CLEANUP(aw_free) char *path = NULL;

    for (size_t i = 0; i < AW_COUNT(parts); i++) {
        const struct part *part = &parts[i];

        AW_TRY(path_of(s, part->ending, &parts[i].path));
        if (part->bytes != NULL)
            AW_TRY(write_part(part));
    }
    for (size_t i = 0; i < AW_COUNT(parts); i++)
        if (parts[i].bytes != NULL)
            AW_TRY(aw_file_sync(parts[i].path));
    AW_TRY(path_of(s, "json", &path));
    return aw_file_replace(path, text, strlen(text), 0600);
}

aw_result
store_order_save(const store *s, struct store_order *order, const char *settings)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(write_text(order, &text));
    if (order->key_uri == NULL && order->key_pem == NULL)
        AW_TRY(chain_key_pem(order->key, &order->key_pem));
    AW_TRY(store_order_forget(s)); /* never the new key beside the old order */
    return write_parts(s, order->key_pem, settings, text);
}

/* Reading. */

static aw_result
copy(const cJSON *object, const char *name, size_t max, char **out)
{
    const char *text;

    AW_TRY(aw_json_string(object, name, max, &text));
    return aw_format(out, "%s", text);
}

static aw_result
read_name(const char *text, struct aw_name *out)
{
    size_t length = strlen(text);

    return aw_ok(aw_name_parse_address(text, length, out)) ? AW_OK
                                                           : aw_name_parse(text, length, out);
}

static aw_result
read_names(const cJSON *object, struct store_order *out)
{
    const cJSON *array, *element;

    AW_TRY(aw_json_array(object, "names", 1, STORE_ORDER_NAMES_MAX, &array));
    out->names = calloc((size_t)cJSON_GetArraySize(array), sizeof(*out->names));
    if (out->names == NULL)
        return aw_fail_memory();
    cJSON_ArrayForEach(element, array)
    {
        const char *text = cJSON_GetStringValue(element);
        if (text == NULL)
            return aw_fail(AW_CODE_SYNTAX, "names: expected strings");
        AW_TRY(read_name(text, &out->names[out->name_count++]));
    }
    return aw_names_sort(out->names, out->name_count)
               ? AW_OK
               : aw_fail(AW_CODE_SYNTAX, "names: one is there twice");
}

static aw_result
read_csr(const cJSON *object, struct store_order *out)
{
    const char *text;

    AW_TRY(aw_json_string(object, "csr", CSR_TEXT_MAX, &text));
    return aw_b64url_decode_new(text, strlen(text), &out->csr, &out->csr_size);
}

static aw_result
read_key_uri(const cJSON *object, struct store_order *out)
{
    const char *text;

    AW_TRY(aw_json_optional_string(object, "keyUri", HOST_KEY_URI_MAX, &text));
    return text == NULL ? AW_OK : host_key_uri_check(text, &out->key_uri);
}

static aw_result
read_text(const char *text, size_t size, struct store_order *out)
{
    AW_CLEANUP(aw_json_free) cJSON *object = NULL;
    const char *profile;

    AW_TRY(aw_json_parse(text, size, AW_JSON_STRICT, &object));
    AW_TRY(aw_json_only(object, members, AW_COUNT(members)));
    AW_TRY(copy(object, "application", WORD_MAX, &out->application));
    AW_TRY(aw_json_integer(object, "order", 0, INT64_C(1) << 53, &out->ticket));
    AW_TRY(copy(object, "url", HTTP_URL_MAX, &out->url));
    AW_TRY(copy(object, "newOrder", HTTP_URL_MAX, &out->new_order));
    AW_TRY(aw_json_optional_string(object, "profile", WORD_MAX, &profile));
    if (profile != NULL)
        AW_TRY(aw_format(&out->profile, "%s", profile));
    AW_TRY(read_key_uri(object, out));
    AW_TRY(aw_json_integer(object, "opened", 0, INT64_C(1) << 53, &out->opened));
    AW_TRY(aw_json_optional_bool(object, "mustStaple", &out->must_staple));
    AW_TRY(read_names(object, out));
    return read_csr(object, out);
}

static aw_result
read_both(const char *path, const char *key_path, struct store_order *out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size;

    AW_TRY(aw_path_check(path, geteuid(), 0077));
    AW_TRY(aw_file_read(path, AW_JSON_MAX_SIZE, &text, &size));
    AW_TRY(read_text(text, size, out));
    if (out->key_uri != NULL)
        return chain_csr_key(out->csr, out->csr_size, &out->key);
    AW_TRY(aw_path_check(key_path, geteuid(), 0077));
    return chain_key_read(key_path, key_path, &out->key);
}

aw_result
store_order_read(const store *s, struct store_order *out)
{
    AW_CLEANUP(store_order_free) struct store_order order = {0};
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *key_path = NULL;

    memset(out, 0, sizeof(*out));
    AW_TRY(path_of(s, "json", &path));
    AW_TRY(path_of(s, "key", &key_path));
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return aw_fail(AW_CODE_NOT_FOUND, "no order of %s is under way", s->name);
    aw_result r = read_both(path, key_path, &order);
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (!aw_ok(r))
        return aw_fail(AW_CODE_CORRUPT, "%s: %.300s", path, aw_error_last()->message);
    *out = order;
    memset(&order, 0, sizeof(order));
    return AW_OK;
}

/* Removing: first what counts. */

static aw_result
remove_one(const store *s, const char *ending, bool *removed)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(path_of(s, ending, &path));
    *removed = unlink(path) == 0;
    return *removed || errno == ENOENT ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't remove %s", path);
}

static aw_result
forget(const store *s, bool durably)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    bool counted, key;

    AW_TRY(path_of(s, "json", &path));
    AW_TRY(remove_one(s, "json", &counted));
    if (counted && durably)
        AW_TRY(aw_folder_sync_of(path));
    AW_TRY(remove_one(s, "conf", &key));
    return remove_one(s, "key", &key);
}

aw_result
store_order_forget(const store *s)
{
    return forget(s, true);
}

aw_result
store_order_done(const store *s)
{
    return forget(s, false);
}
