/* audit verify: chain, tree and checkpoints, from the files alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/audit_files.h"
#include "admin/audit_succession.h"
#include "audit/stored.h"
#include "common/hex.h"
#include "common/io.h"

enum { HELD_START = 64 };

/* What is verified together. */
struct verification {
    struct admin_audit_keys keys; /* given, and learned from the log */
    struct admin_audit_succession succession;
    struct admin_audit_note notes[ADMIN_AUDIT_FILES_MAX]; /* of --checkpoint */
    size_t note_count;
    char origin[AUDIT_NAME_MAX + 1]; /* of all checkpoints; empty: none seen */
    struct audit_stored stored;
    int64_t last_stored;             /* records that the last stored one covers */
    struct audit_expected *expected; /* the stored ones, then those of --checkpoint */
    struct admin_audit_held *held;   /* of each of them */
    size_t expected_count, capacity;
    struct audit_absent *absent; /* segments that are not at hand */
    size_t absent_count;
    bool failed; /* for want of memory */
};

static void
verification_free(struct verification *v)
{
    for (size_t i = 0; i < v->note_count; i++)
        admin_audit_note_free(&v->notes[i]);
    admin_audit_keys_free(&v->keys);
    free(v->expected);
    free(v->held);
    free(v->absent);
}

static void
note_absent(const struct audit_absent *absent, void *context)
{
    struct verification *v = context;
    struct audit_absent *larger = realloc(v->absent, (v->absent_count + 1) * sizeof(*larger));

    v->failed = v->failed || larger == NULL;
    if (larger == NULL)
        return;
    v->absent = larger;
    v->absent[v->absent_count++] = *absent;
}

static aw_result
check_origin(struct verification *v, const struct audit_checkpoint *checkpoint)
{
    if (v->origin[0] == '\0')
        memcpy(v->origin, checkpoint->origin, sizeof(v->origin));
    if (strcmp(v->origin, checkpoint->origin) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH, "found checkpoints of two logs: %s and %s", v->origin,
                       checkpoint->origin),
        "give the checkpoints of this log only");
}

static aw_result
make_room(struct verification *v)
{
    size_t capacity = v->capacity == 0 ? HELD_START : 2 * v->capacity;

    if (v->expected_count < v->capacity)
        return AW_OK;
    struct audit_expected *expected = realloc(v->expected, capacity * sizeof(*expected));
    if (expected == NULL)
        return aw_fail_memory();
    v->expected = expected;
    struct admin_audit_held *held = realloc(v->held, capacity * sizeof(*held));
    if (held == NULL)
        return aw_fail_memory();
    v->held = held;
    v->capacity = capacity;
    return AW_OK;
}

/* A checkpoint that the log is to be held against. */
static aw_result
take_checkpoint(struct verification *v, const char *note, const char *source)
{
    struct audit_checkpoint checkpoint;

    AW_TRY(make_room(v));
    AW_TRY(admin_audit_succession_check(&v->succession, note, &checkpoint));
    AW_TRY(check_origin(v, &checkpoint));
    v->held[v->expected_count] = (struct admin_audit_held){
        .size = checkpoint.head.size, .learned = v->succession.learned_count};
    v->expected[v->expected_count++] =
        (struct audit_expected){.head = checkpoint.head, .source = source};
    return AW_OK;
}

static aw_result
take_stored(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    struct verification *v = context;

    v->last_stored = checkpoint->head.size;
    return take_checkpoint(v, note, AUDIT_STORED_SOURCE);
}

/* The stored ones are read before the log: what they cover is in it by then. */
static aw_result
gather(struct verification *v, const char *folder, const char *const *files, size_t count)
{
    const struct admin_audit_keys none = {.count = 0};

    AW_TRY(audit_stored_read(folder, take_stored, v, &v->stored));
    for (size_t i = 0; i < count; i++) {
        struct admin_audit_note *note = &v->notes[v->note_count++];

        AW_TRY(admin_audit_note_read(files[i], &none, note));
        AW_TRY(aw_context(take_checkpoint(v, note->text, files[i]), "%s", files[i]));
    }
    for (size_t i = 0; i < v->expected_count; i++)
        v->expected[i].compared = &v->held[i].compared;
    return AW_OK;
}

/* For a person. */

/* How many of the stored ones the log was held against. */
static int64_t
count_compared(const struct verification *v)
{
    int64_t compared = 0;

    for (int64_t i = 0; i < v->stored.count; i++)
        compared += v->held[i].compared ? 1 : 0;
    return compared;
}

static void
print_stored(const struct verification *v, const char *how)
{
    int64_t compared = count_compared(v);

    if (v->stored.count > 0)
        printf("%lld stored checkpoints of %s, the last of %lld records: ",
            (long long)v->stored.count, v->origin, (long long)v->last_stored);
    if (v->stored.count > 0 && compared == v->stored.count)
        printf("the log continues all, %s\n", how);
    else if (v->stored.count > 0)
        printf("the log continues %lld of them, the others are NOT COMPARED, %s\n",
            (long long)compared, how);
    if (v->stored.torn > 0)
        printf("%zu octets behind the last stored checkpoint: half a one, cut off while it was "
               "written, or changed since; the signer's next one takes their place\n",
            v->stored.torn);
}

static void
print_checkpoints(const struct verification *v, const char *const *files)
{
    const char *how = v->keys.count > 0 ? "signed" : "signatures not checked (no --public-key)";

    print_stored(v, how);
    for (size_t i = 0; i < v->note_count; i++) {
        const struct admin_audit_held *held = &v->held[(size_t)v->stored.count + i];

        printf("checkpoint %s of %lld records: %s, %s\n", files[i], (long long)held->size,
            held->compared ? "the log continues it" : "NOT COMPARED, its segment is absent", how);
    }
}

static aw_result
print_succession(const struct verification *v)
{
    for (size_t i = 0; i < v->succession.learned_count; i++) {
        AW_CLEANUP(aw_free) char *line = NULL;

        AW_TRY(audit_verifier_line(v->succession.learned[i].key, &line));
        printf("the audit key changed: record %lld names %s\n",
            (long long)v->succession.learned[i].seq, line);
    }
    return AW_OK;
}

/* What was not verified comes first. */
static void
print_absent(const struct verification *v, const struct audit_verdict *found)
{
    for (size_t i = 0; i < v->absent_count; i++)
        printf("NOT VERIFIED: segment %lld, records %lld to %lld: archived or removed\n",
            (long long)v->absent[i].segment, (long long)v->absent[i].first,
            (long long)v->absent[i].last);
    if (found->unchecked > 0)
        printf("NOT COMPARED: %lld checkpoints of the time of these segments\n",
            (long long)found->unchecked);
}

static void
print_verdict(const struct verification *v, const struct audit_verdict *found)
{
    char first[32], last[32];

    aw_time_text(found->first_time, first);
    aw_time_text(found->last_time, last);
    print_absent(v, found);
    if (found->absent == found->records)
        printf("no record is at hand: nothing was verified\n");
    else if (found->absent > 0)
        printf("the other %lld of %lld records, from %s to %s, in %lld closed segments and the "
               "present one: the chain is whole\nhead %s\n",
            (long long)(found->records - found->absent), (long long)found->records, first, last,
            (long long)found->segments - (long long)v->absent_count, found->head);
    else
        printf("%lld records, from %s to %s: the chain is whole\nhead %s\n",
            (long long)found->records, first, last, found->head);
    if (found->torn > 0)
        printf("%zu octets behind the last record: one is being written, or the signer was cut "
               "off; its next start sets them aside\n",
            found->torn);
}

/* As JSON. */

static void
write_absent(struct aw_json_writer *w, const struct verification *v)
{
    aw_json_name(w, "absent");
    aw_json_begin_array(w);
    for (size_t i = 0; i < v->absent_count; i++) {
        aw_json_begin_object(w);
        aw_json_pair_integer(w, "segment", v->absent[i].segment);
        aw_json_pair_integer(w, "first", v->absent[i].first);
        aw_json_pair_integer(w, "last", v->absent[i].last);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

static void
write_checkpoints(struct aw_json_writer *w, const struct verification *v, const char *const *files)
{
    aw_json_pair(w, "origin", v->origin[0] == '\0' ? NULL : v->origin);
    aw_json_pair_bool(w, "signatures_checked", v->keys.count > 0);
    aw_json_pair_integer(w, "key_changes", (int64_t)v->succession.learned_count);
    aw_json_pair_integer(w, "stored_checkpoints", v->stored.count);
    aw_json_pair_integer(w, "last_stored", v->last_stored);
    aw_json_pair_integer(w, "torn_stored", (int64_t)v->stored.torn);
    aw_json_name(w, "checkpoints");
    aw_json_begin_array(w);
    for (size_t i = 0; i < v->note_count; i++) {
        aw_json_begin_object(w);
        aw_json_pair(w, "file", files[i]);
        aw_json_pair_integer(w, "size", v->held[(size_t)v->stored.count + i].size);
        aw_json_pair_bool(w, "compared", v->held[(size_t)v->stored.count + i].compared);
        aw_json_end_object(w);
    }
    aw_json_end_array(w);
}

static aw_result
print_as_json(
    const struct verification *v, const struct audit_verdict *found, const char *const *files)
{
    struct aw_json_writer w = {0};
    char root[AW_DIGEST_HEX_SIZE];

    aw_hex(found->root.bytes, sizeof(found->root.bytes), root);
    aw_json_begin_object(&w);
    aw_json_pair_bool(&w, "complete", found->absent == 0);
    aw_json_pair_integer(&w, "records", found->records);
    aw_json_pair_integer(&w, "verified", found->records - found->absent);
    aw_json_pair_integer(&w, "segments", found->segments);
    write_absent(&w, v);
    aw_json_pair_integer(&w, "unchecked_checkpoints", found->unchecked);
    aw_json_pair(&w, "head", found->head);
    aw_json_pair(&w, "root", root);
    aw_json_pair_integer(&w, "first_time", found->first_time);
    aw_json_pair_integer(&w, "last_time", found->last_time);
    aw_json_pair_integer(&w, "torn", (int64_t)found->torn);
    write_checkpoints(&w, v, files);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

static aw_result
verify(struct verification *v, struct admin_audit_log *log, struct audit_verdict *found)
{
    log->source.absent = note_absent;
    log->source.context = v;
    AW_TRY(audit_verify_source(&log->source, v->expected, v->expected_count, found));
    if (v->failed)
        return aw_fail_memory();
    return admin_audit_succession_end(&v->succession, v->held, v->expected_count);
}

aw_result
admin_audit_verify(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_audit_log_free) struct admin_audit_log log = {.given = NULL};
    AW_CLEANUP(verification_free) struct verification v = {.note_count = 0};
    const char *files[ADMIN_AUDIT_FILES_MAX], *keys[ADMIN_AUDIT_FILES_MAX];
    size_t file_count = 0, key_count = 0;
    bool json = options->json;
    const struct admin_option table[] = {
        ADMIN_AUDIT_LOG_OPTIONS(log),
        {.name = "checkpoint",
            .list = files,
            .list_count = &file_count,
            .list_max = ADMIN_AUDIT_FILES_MAX},
        {.name = "public-key",
            .list = keys,
            .list_count = &key_count,
            .list_max = ADMIN_AUDIT_FILES_MAX},
        {.name = "json", .flag = &json},
    };
    struct audit_verdict found;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(admin_audit_log_find(options, &log));
    AW_TRY(admin_audit_keys_read(keys, key_count, &v.keys));
    v.succession = (struct admin_audit_succession){.source = &log.source, .keys = &v.keys};
    AW_TRY(gather(&v, log.folder, files, file_count));
    AW_TRY(verify(&v, &log, &found));
    if (json)
        return print_as_json(&v, &found, files);
    print_verdict(&v, &found);
    print_checkpoints(&v, files);
    return print_succession(&v);
}
