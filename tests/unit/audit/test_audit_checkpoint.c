/* Checkpoints: what is sealed, what is stored beside the log, and logs that do not continue what
 * was signed of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "audit/checkpoint.h"
#include "audit/proof.h"
#include "audit/stored.h"
#include "common/io.h"
#include "support.h"

#define DASH "\xe2\x80\x94 "
#define ORIGIN "acmeward.dept.example.edu/audit"

/* Two notes in form. */
#define ROOT "f+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0="
#define NOTE(size) ORIGIN "\n" size "\n" ROOT "\n\n" DASH ORIGIN " AAAAAQID\n"

/* A key made here, which signs as the token does: r || s. */

static EVP_PKEY *own;
static audit_verifier *verifier;

static int
make_key(void **state)
{
    unsigned char *der = NULL;

    (void)state;
    own = EVP_EC_gen("P-256");
    int size = i2d_PUBKEY(own, &der);
    aw_result r = audit_verifier_of_spki(ORIGIN, der, (size_t)size, &verifier);
    OPENSSL_free(der);
    return aw_ok(r) ? 0 : -1;
}

static int
free_key(void **state)
{
    (void)state;
    EVP_PKEY_free(own);
    audit_verifier_free(&verifier);
    return 0;
}

static void
sign_raw(const char *text, uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char der[128];
    size_t size = sizeof(der);
    const unsigned char *at = der;

    assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, own), 1);
    assert_int_equal(
        EVP_DigestSign(context, der, &size, (const unsigned char *)text, strlen(text)), 1);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(signature), raw, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(signature), raw + 32, 32), 32);
    ECDSA_SIG_free(signature);
    EVP_MD_CTX_free(context);
}

static char *
note_of(const struct audit_head *head)
{
    struct audit_checkpoint checkpoint = {.origin = ORIGIN, .head = *head};
    AW_CLEANUP(aw_free) char *body = NULL;
    uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE];
    char *note = NULL;

    expect_ok("body", audit_checkpoint_body(&checkpoint, &body));
    sign_raw(body, raw);
    expect_ok("seal", audit_checkpoint_seal(&checkpoint, verifier, raw, &note));
    return note;
}

static void
what_is_sealed_verifies(void **state)
{
    const audit_verifier *const items[] = {verifier};
    const struct audit_keys keys = {items, 1};
    struct audit_checkpoint checkpoint;

    (void)state;
    for (int64_t size = 0; size < 200; size++) { /* r and s with and without leading zeros */
        struct audit_head head = {.size = size * size, .root.bytes = {(uint8_t)size}};
        AW_CLEANUP(aw_free) char *note = note_of(&head);
        expect_ok("verify", audit_checkpoint_verify(note, strlen(note), &keys, &checkpoint));
        assert_string_equal(checkpoint.origin, ORIGIN);
        assert_int_equal(checkpoint.head.size, head.size);
        assert_true(audit_hash_equal(&checkpoint.head.root, &head.root));
    }
}

static void
a_wrong_signature_is_not_sealed(void **state)
{
    struct audit_checkpoint checkpoint = {.origin = ORIGIN, .head = {.size = 3}};
    uint8_t raw[AUDIT_RAW_SIGNATURE_SIZE];
    char *note = NULL;

    (void)state;
    sign_raw(ORIGIN "\n4\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", raw);
    expect_failure("another size", audit_checkpoint_seal(&checkpoint, verifier, raw, &note),
        AW_CODE_MISMATCH, "not one of this key");
    assert_null(note);
    memset(raw, 0, sizeof(raw));
    expect_failure("zeros", audit_checkpoint_seal(&checkpoint, verifier, raw, &note),
        AW_CODE_MISMATCH, "not one of this key");
    snprintf(checkpoint.origin, sizeof(checkpoint.origin), "two words");
    expect_failure("origin", audit_checkpoint_seal(&checkpoint, verifier, raw, &note),
        AW_CODE_INTERNAL, "origin");
}

/* Stored. */

static struct audit_head
head_of(const struct scene *scene)
{
    struct audit_verdict verdict;

    expect_ok("verify", audit_verify(scene->folder, &verdict));
    return (struct audit_head){.size = verdict.records, .root = verdict.root};
}

static void
store(struct scene *scene, struct audit_stored *stored)
{
    struct audit_head head = head_of(scene);
    AW_CLEANUP(aw_free) char *note = note_of(&head);

    expect_ok("store", audit_stored_append(scene->folder, note, stored));
}

static void
add_records(struct scene *scene, int count)
{
    int64_t seq;

    scene_open(scene);
    for (int i = 0; i < count; i++)
        expect_ok("append", scene_append(scene, &seq));
    scene_close(scene);
}

static char *
stored_path(const struct scene *scene)
{
    char *path = NULL;

    expect_ok("path", aw_path_join(scene->folder, AUDIT_STORED_NAME, &path));
    return path;
}

static aw_result
sum_sizes(const char *note, const struct audit_checkpoint *checkpoint, void *context)
{
    assert_int_equal(strncmp(note, ORIGIN "\n", sizeof(ORIGIN)), 0);
    *(int64_t *)context += checkpoint->head.size;
    return AW_OK;
}

static void
stored_checkpoints_are_read_back(void **state)
{
    struct scene scene;
    struct audit_stored stored, again;
    int64_t sum = 0;
    struct stat st;

    (void)state;
    scene_fill(&scene, 2);
    expect_ok("none", audit_stored_read(scene.folder, sum_sizes, &sum, &stored));
    assert_int_equal(stored.count, 0);
    store(&scene, &stored);
    add_records(&scene, 3);
    store(&scene, &stored);
    expect_ok("two", audit_stored_read(scene.folder, sum_sizes, &sum, &again));
    assert_int_equal(again.count, 2);
    assert_int_equal(sum, 2 + 5);
    assert_memory_equal(&again, &stored, sizeof(stored));
    AW_CLEANUP(aw_free) char *path = stored_path(&scene);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0137, 0);
    scene_end(&scene);
}

static void
a_torn_checkpoint_is_cut_off_by_the_next(void **state)
{
    struct scene scene;
    struct audit_stored stored, torn;
    int64_t sum = 0;

    (void)state;
    scene_fill(&scene, 2);
    expect_ok("none", audit_stored_read(scene.folder, NULL, NULL, &stored));
    store(&scene, &stored);
    add_records(&scene, 1);
    store(&scene, &stored);
    AW_CLEANUP(aw_free) char *path = stored_path(&scene);
    for (int64_t cut = 1; cut < 150; cut++) {
        assert_int_equal(truncate(path, stored.size - cut), 0);
        expect_ok("read", audit_stored_read(scene.folder, NULL, NULL, &torn));
        assert_int_equal(torn.count, 1);
        assert_int_equal(torn.size + (int64_t)torn.torn, stored.size - cut);
        store(&scene, &torn);
        expect_ok("read", audit_stored_read(scene.folder, sum_sizes, &sum, &stored));
        assert_int_equal(stored.count, 2);
        assert_int_equal(stored.torn, 0);
    }
    scene_end(&scene);
}

static void
remove_it(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void
empty_it(const char *path)
{
    assert_int_equal(truncate(path, 0), 0);
}

static void
add_to_it(const char *path)
{
    FILE *file = fopen(path, "a");

    assert_non_null(file);
    assert_true(fputs("x", file) >= 0 && fclose(file) == 0);
}

static void
link_it(const char *path)
{
    remove_it(path);
    assert_int_equal(symlink("/dev/null", path), 0);
}

/* Somebody else changed the file under the running signer: nothing is appended. */
static void
attack_101_meddling_with_stored_checkpoints_is_found(void **state)
{
    static const struct {
        const char *name;
        void (*meddle)(const char *path);
        enum aw_code code;
        const char *reason;
    } rows[] = {
        {"removed", remove_it, AW_CODE_NOT_FOUND, "cannot open"},
        {"emptied", empty_it, AW_CODE_CORRUPT, "it had"},
        {"appended to", add_to_it, AW_CODE_CORRUPT, "it had"},
        {"a link", link_it, AW_CODE_IO, "cannot open"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct scene scene;
        struct audit_stored stored;
        scene_fill(&scene, 2);
        expect_ok("none", audit_stored_read(scene.folder, NULL, NULL, &stored));
        store(&scene, &stored);
        AW_CLEANUP(aw_free) char *path = stored_path(&scene);
        rows[i].meddle(path);
        struct audit_head head = head_of(&scene);
        AW_CLEANUP(aw_free) char *note = note_of(&head);
        expect_failure(rows[i].name, audit_stored_append(scene.folder, note, &stored), rows[i].code,
            rows[i].reason);
        scene_end(&scene);
    }
}

static void
what_is_no_checkpoint_is_damage(void **state)
{
    static const struct {
        const char *name, *text, *reason;
    } rows[] = {
        {"no note", "one\n\ntwo\n\n", "line 4: checkpoint: line 2"},
        {"sizes go back", NOTE("798034") "\n" NOTE("10") "\n", "covers 10 records, the one before"},
        {"an empty line first", "\n" NOTE("1") "\n", "checkpoint: line 1"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct scene scene;
        struct audit_stored stored;
        size_t repaired;
        scene_fill(&scene, 1);
        AW_CLEANUP(aw_free) char *path = stored_path(&scene);
        expect_ok("write", aw_file_replace(path, rows[i].text, strlen(rows[i].text), 0640));
        expect_failure(rows[i].name, audit_stored_read(scene.folder, NULL, NULL, &stored),
            AW_CODE_CORRUPT, rows[i].reason);
        expect_failure(rows[i].name, audit_log_open(scene.folder, &scene.log, &repaired),
            AW_CODE_CORRUPT, rows[i].reason);
        scene_end(&scene);
    }
}

/* The log against what was signed of it. */

/* The log as it would be, written anew from record `from` on, with a whole chain. */
static void
rewrite_from(struct scene *scene, int from, int count)
{
    size_t size;
    AW_CLEANUP(aw_free) char *text = scene_load(scene, &size);
    const char *end = text;
    AW_CLEANUP(aw_free) char *path = stored_path(scene);
    AW_CLEANUP(aw_free) char *aside = NULL;
    int64_t seq;

    for (int i = 1; i < from; i++)
        end = strchr(end, '\n') + 1;
    scene_store(scene, text, (size_t)(end - text));
    expect_ok("aside", aw_format(&aside, "%s.aside", path));
    rename(path, aside); /* where there is one */
    scene_open(scene);
    for (int i = from; i <= count; i++) {
        struct audit_entry entry = {.kind = AUDIT_DECISION, .time = 1795487665, .user = "mallory"};
        expect_ok("append", audit_log_append(scene->log, &entry, &seq));
    }
    scene_close(scene);
    rename(aside, path);
}

static void
attack_101_a_log_cut_back_or_rewritten_does_not_continue_its_checkpoint(void **state)
{
    static const struct {
        const char *name;
        int from, count; /* records from `from` to `count` are other ones; fewer than from: cut */
        const char *reason;
    } rows[] = {
        {"as it was", 7, 6, NULL},
        {"continued", 7, 9, NULL},
        {"the last one cut off", 6, 5, "ends at record 5, the checkpoint in "},
        {"all cut off", 1, 0, "ends at record 0, the checkpoint in "},
        {"the last one rewritten", 6, 6, "records 1 to 6 are not those of the checkpoint in "},
        {"the first one rewritten", 1, 6, "records 1 to 6 are not those of the checkpoint in "},
        {"rewritten and longer", 4, 20, "records 1 to 6 are not those of the checkpoint in "},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct scene scene;
        struct audit_verdict verdict;
        struct audit_stored stored;
        size_t repaired;
        scene_fill(&scene, 6);
        struct audit_expected kept = {.head = head_of(&scene), .source = "elsewhere"};
        expect_ok("none", audit_stored_read(scene.folder, NULL, NULL, &stored));
        store(&scene, &stored);
        rewrite_from(&scene, rows[i].from, rows[i].count);
        expect_ok("the chain alone", audit_verify(scene.folder, &verdict));
        aw_result r = audit_verify_heads(scene.folder, &kept, 1, &verdict);
        if (rows[i].reason == NULL) {
            expect_ok(rows[i].name, r);
            scene_open(&scene);
        } else {
            expect_failure(rows[i].name, r, AW_CODE_CORRUPT, rows[i].reason);
            assert_non_null(strstr(aw_error_last()->message, "elsewhere"));
            expect_failure("a signer's start", audit_log_open(scene.folder, &scene.log, &repaired),
                AW_CODE_CORRUPT, rows[i].reason);
        }
        scene_end(&scene);
    }
}

static void
every_checkpoint_counts(void **state)
{
    struct scene scene;
    struct audit_verdict verdict;
    struct audit_expected kept[4];

    (void)state;
    scene_begin(&scene);
    for (int i = 3; i >= 0; i--) { /* not in order of size */
        kept[i] = (struct audit_expected){.source = "elsewhere"};
        add_records(&scene, 2);
        kept[i].head = head_of(&scene);
    }
    expect_ok("all", audit_verify_heads(scene.folder, kept, AW_COUNT(kept), &verdict));
    for (size_t i = 0; i < AW_COUNT(kept); i++) {
        kept[i].head.root.bytes[0] ^= 1;
        expect_failure("one of them", audit_verify_heads(scene.folder, kept, 4, &verdict),
            AW_CODE_CORRUPT, "rewritten");
        kept[i].head.root.bytes[0] ^= 1;
    }
    kept[0].head = (struct audit_head){.size = 0}; /* the empty tree has one root too */
    expect_failure("empty", audit_verify_heads(scene.folder, kept, 4, &verdict), AW_CODE_CORRUPT,
        "records 1 to 0");
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_verifies),
        cmocka_unit_test(a_wrong_signature_is_not_sealed),
        cmocka_unit_test(stored_checkpoints_are_read_back),
        cmocka_unit_test(a_torn_checkpoint_is_cut_off_by_the_next),
        cmocka_unit_test(attack_101_meddling_with_stored_checkpoints_is_found),
        cmocka_unit_test(what_is_no_checkpoint_is_damage),
        cmocka_unit_test(attack_101_a_log_cut_back_or_rewritten_does_not_continue_its_checkpoint),
        cmocka_unit_test(every_checkpoint_counts),
    };

    return cmocka_run_group_tests(tests, make_key, free_key);
}
