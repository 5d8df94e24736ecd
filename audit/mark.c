#include "audit/mark.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/base64.h"
#include "common/hex.h"
#include "common/io.h"

/* Largest integer of JSON that every reader takes exactly. */
#define INTEGER_MAX ((INT64_C(1) << 53) - 1)

enum { MARK_MODE = 0440 };

/* Writing. */

/* The complete subtrees, from the largest down, as the bits of the size name them. */
static aw_result
write_tree(struct aw_json_writer *w, const struct audit_tree *tree)
{
    aw_json_name(w, "tree");
    aw_json_begin_array(w);
    for (int level = AUDIT_TREE_LEVELS - 1; level >= 0; level--) {
        AW_CLEANUP(aw_free) char *text = NULL;

        if ((tree->size >> level & 1) == 0)
            continue;
        AW_TRY(
            audit_base64_encode(tree->peaks[level].bytes, sizeof(tree->peaks[level].bytes), &text));
        aw_json_write_string(w, text);
    }
    aw_json_end_array(w);
    return AW_OK;
}

aw_result
audit_mark_write(const struct audit_mark *mark, char **out)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {.failed = false};
    AW_CLEANUP(aw_free) char *line = NULL;
    char time[32];

    aw_time_text(mark->time, time);
    aw_json_begin_object(&w);
    aw_json_pair_integer(&w, "segment", mark->segment);
    aw_json_pair_integer(&w, "first", mark->first);
    aw_json_pair_integer(&w, "last", mark->tree.size);
    aw_json_pair_integer(&w, "octets", mark->octets);
    aw_json_pair(&w, "time", time);
    aw_json_pair(&w, "head", mark->head);
    AW_TRY(write_tree(&w, &mark->tree));
    aw_json_end_object(&w);
    AW_TRY(aw_json_writer_finish(&w, &line));
    return aw_format(out, "%s\n", line);
}

aw_result
audit_mark_path(const char *folder, int64_t segment, char **out)
{
    return aw_format(out, "%s/audit-%06lld.mark", folder, (long long)segment);
}

aw_result
audit_mark_store(const char *folder, const struct audit_mark *mark)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(audit_mark_path(folder, mark->segment, &path));
    AW_TRY(audit_mark_write(mark, &text));
    return aw_file_replace(path, text, strlen(text), MARK_MODE);
}

/* Reading. */

static aw_result
read_tree(const cJSON *json, struct audit_tree *tree)
{
    size_t count = (size_t)__builtin_popcountll((unsigned long long)tree->size);
    const cJSON *array = NULL;

    AW_TRY(aw_json_array(json, "tree", count, count, &array));
    const cJSON *item = array->child;
    for (int level = AUDIT_TREE_LEVELS - 1; level >= 0; level--) {
        if ((tree->size >> level & 1) == 0)
            continue;
        AW_TRY(audit_hash_read(item, "tree", &tree->peaks[level]));
        item = item->next;
    }
    return AW_OK;
}

static aw_result
read_head(const cJSON *json, char out[AW_DIGEST_HEX_SIZE])
{
    const char *text = NULL;

    AW_TRY(aw_json_string(json, "head", AW_DIGEST_HEX_SIZE - 1, &text));
    if (strspn(text, "0123456789abcdef") != AW_DIGEST_HEX_SIZE - 1)
        return aw_fail(
            AW_CODE_SYNTAX, "head: expected %d lower-case hex digits", AW_DIGEST_HEX_SIZE - 1);
    memcpy(out, text, AW_DIGEST_HEX_SIZE);
    return AW_OK;
}

static aw_result
read_members(const cJSON *json, struct audit_mark *out)
{
    static const char *const names[] = {
        "segment", "first", "last", "octets", "time", "head", "tree"};
    const char *time = NULL;

    AW_TRY(aw_json_only(json, names, AW_COUNT(names)));
    AW_TRY(aw_json_integer(json, "segment", 1, AUDIT_SEGMENTS_MAX, &out->segment));
    AW_TRY(aw_json_integer(json, "first", 1, INTEGER_MAX, &out->first));
    AW_TRY(aw_json_integer(json, "last", out->first, INTEGER_MAX, &out->tree.size));
    AW_TRY(aw_json_integer(json, "octets", 1, INTEGER_MAX, &out->octets));
    AW_TRY(aw_json_string(json, "time", 32, &time));
    AW_TRY(aw_time_parse(time, &out->time));
    AW_TRY(read_head(json, out->head));
    return read_tree(json, &out->tree);
}

aw_result
audit_mark_parse(const char *text, size_t length, struct audit_mark *out)
{
    AW_CLEANUP(aw_json_free) cJSON *json = NULL;

    *out = (struct audit_mark){.segment = 0};
    if (length == 0 || text[length - 1] != '\n')
        return aw_fail(AW_CODE_SYNTAX, "expected one line of JSON with its newline");
    AW_TRY(aw_json_parse(text, length - 1, AW_JSON_STRICT, &json));
    return read_members(json, out);
}

static aw_result
no_mark(const char *path)
{
    struct aw_error error;

    aw_error_save(&error);
    if (error.code == AW_CODE_MEMORY)
        return aw_error_restore(&error);
    return aw_fail(AW_CODE_CORRUPT, "%s is no mark: %.700s", path, error.message);
}

aw_result
audit_mark_load(const char *folder, int64_t segment, struct audit_mark *out)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    *out = (struct audit_mark){.segment = 0};
    AW_TRY(audit_mark_path(folder, segment, &path));
    aw_result r = aw_file_read(path, AUDIT_MARK_MAX, &text, &size);
    if (r.code == AW_CODE_LIMIT)
        return no_mark(path);
    AW_TRY(r);
    if (!aw_ok(audit_mark_parse(text, size, out)))
        return no_mark(path);
    if (out->segment != segment)
        return aw_fail(
            AW_CODE_CORRUPT, "%s is the mark of segment %lld", path, (long long)out->segment);
    return AW_OK;
}

bool
audit_mark_equal(const struct audit_mark *a, const struct audit_mark *b)
{
    bool same = a->segment == b->segment && a->first == b->first && a->octets == b->octets &&
                a->time == b->time && a->tree.size == b->tree.size && strcmp(a->head, b->head) == 0;

    for (int level = 0; level < AUDIT_TREE_LEVELS && same; level++)
        if ((a->tree.size >> level & 1) != 0)
            same = audit_hash_equal(&a->tree.peaks[level], &b->tree.peaks[level]);
    return same;
}
