/* The Merkle tree and its proofs, against a reference written from the RFC's recursive definitions,
 * and against the leaves and roots that implementations of RFC 6962 publish for their tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "audit/proof.h"
#include "common/hex.h"
#include "common/io.h"
#include "support.h"

enum { LEAVES_MAX = 34, LINE_SIZE = 16 };

static audit_hasher *hasher;

static int
make_hasher(void **state)
{
    (void)state;
    return aw_ok(audit_hasher_new(&hasher)) ? 0 : -1;
}

static int
free_hasher(void **state)
{
    (void)state;
    audit_hasher_free(&hasher);
    return 0;
}

static void
expect_hex(const char *row, const struct audit_hash *hash, const char *hex)
{
    char text[AW_DIGEST_HEX_SIZE];

    aw_hex(hash->bytes, sizeof(hash->bytes), text);
    if (strcmp(text, hex) != 0)
        fail_msg("%s: %s, expected %s", row, text, hex);
}

/* The eight leaves that implementations of RFC 6962 are tested with, and the root after each. */
static const struct {
    const char *name, *octets;
    size_t size;
    const char *leaf, *root;
} published[] = {
    {"1", "", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"2", "\x00", 1, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"3", "\x10", 1, "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"4", "\x20\x21", 2, "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"5", "\x30\x31", 2, "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"6", "\x40\x41\x42\x43", 4, "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"7", "\x50\x51\x52\x53\x54\x55\x56\x57", 8,
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"8", "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
        "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void
published_roots_come_out(void **state)
{
    struct audit_tree tree = {0};
    struct audit_hash root;

    (void)state;
    expect_ok("empty", audit_tree_root(&tree, hasher, &root));
    expect_hex("empty", &root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < AW_COUNT(published); i++) {
        const struct audit_part parts[] = {{"\x00", 1}, {published[i].octets, published[i].size}};
        struct audit_hash leaf;
        expect_ok("leaf", audit_hasher_parts(hasher, parts, 2, leaf.bytes));
        expect_hex(published[i].name, &leaf, published[i].leaf);
        expect_ok("add", audit_tree_add(&tree, hasher, &leaf));
        expect_ok("root", audit_tree_root(&tree, hasher, &root));
        expect_hex(published[i].name, &root, published[i].root);
    }
}

/* The reference: RFC 9162 2.1.1, 2.1.3.1 and 2.1.4.1 as they are written, on lines in memory, with
 * OpenSSL's one-shot digest. */

static char lines[LEAVES_MAX][LINE_SIZE]; /* without newlines */

static void
make_lines(void)
{
    for (int i = 0; i < LEAVES_MAX; i++)
        snprintf(lines[i], LINE_SIZE, "line %d", i);
}

static struct audit_hash
digest(const void *octets, size_t size)
{
    struct audit_hash out;

    assert_int_equal(EVP_Digest(octets, size, out.bytes, NULL, EVP_sha256(), NULL), 1);
    return out;
}

static struct audit_hash
node(struct audit_hash left, struct audit_hash right)
{
    uint8_t octets[1 + 2 * AW_DIGEST_SIZE] = {1};

    memcpy(octets + 1, left.bytes, AW_DIGEST_SIZE);
    memcpy(octets + 1 + AW_DIGEST_SIZE, right.bytes, AW_DIGEST_SIZE);
    return digest(octets, sizeof(octets));
}

static int
power_below(int n)
{
    int k = 1;

    while (2 * k < n)
        k *= 2;
    return k;
}

/* MTH(D[from:from + n]) */
static struct audit_hash
mth(int from, int n)
{
    char octets[LINE_SIZE + 2] = {0};

    if (n == 0)
        return digest("", 0);
    if (n == 1) {
        int size = snprintf(octets + 1, LINE_SIZE, "%s\n", lines[from]);
        return digest(octets, (size_t)size + 1);
    }
    int k = power_below(n);
    return node(mth(from, k), mth(from + k, n - k));
}

static void
put(struct audit_proof *proof, struct audit_hash hash)
{
    proof->hashes[proof->count++] = hash;
}

/* PATH(m, D[from:from + n]) */
static void
path(int m, int from, int n, struct audit_proof *out)
{
    if (n == 1)
        return;
    int k = power_below(n);
    if (m < k) {
        path(m, from, k, out);
        put(out, mth(from + k, n - k));
    } else {
        path(m - k, from + k, n - k, out);
        put(out, mth(from, k));
    }
}

/* SUBPROOF(m, D[from:from + n], b) */
static void
subproof(int m, int from, int n, bool b, struct audit_proof *out)
{
    if (m == n) {
        if (!b)
            put(out, mth(from, m));
        return;
    }
    int k = power_below(n);
    if (m <= k) {
        subproof(m, from, k, b, out);
        put(out, mth(from + k, n - k));
    } else {
        subproof(m - k, from + k, n - k, false, out);
        put(out, mth(from, k));
    }
}

static struct audit_head
head_of(int n)
{
    return (struct audit_head){.size = n, .root = mth(0, n)};
}

static void
roots_are_those_of_the_definition(void **state)
{
    struct audit_tree tree = {0};
    struct audit_hash leaf, root;

    (void)state;
    make_lines();
    for (int n = 0; n < LEAVES_MAX; n++) {
        struct audit_hash expected = mth(0, n);
        expect_ok("root", audit_tree_root(&tree, hasher, &root));
        if (!audit_hash_equal(&root, &expected))
            fail_msg("the root of %d leaves is another one", n);
        expect_ok("leaf", audit_tree_leaf(hasher, lines[n], strlen(lines[n]), &leaf));
        expect_ok("add", audit_tree_add(&tree, hasher, &leaf));
    }
}

/* The proof that the ranges make, with the reference's roots. */
static struct audit_proof
proof_of(const struct audit_range *ranges, size_t count)
{
    struct audit_proof proof = {.count = count};

    for (size_t i = 0; i < count; i++)
        proof.hashes[i] = mth((int)ranges[i].begin, (int)(ranges[i].end - ranges[i].begin));
    return proof;
}

static void
expect_proof(const char *what, int m, int n, const struct audit_proof *found,
    const struct audit_proof *expected)
{
    if (found->count != expected->count ||
        memcmp(found->hashes, expected->hashes, found->count * sizeof(found->hashes[0])) != 0)
        fail_msg("%s %d of %d: another proof than the definition's", what, m, n);
}

/* One bit anywhere, one hash more or fewer, another size or record: nothing of it is accepted. */

typedef aw_result (*verifier)(const struct audit_proof *proof, int m, int n);

static aw_result
verify_inclusion(const struct audit_proof *proof, int m, int n)
{
    struct audit_head head = head_of(n);

    return audit_proof_inclusion(proof, m + 1, lines[m], strlen(lines[m]), &head);
}

static aw_result
verify_consistency(const struct audit_proof *proof, int m, int n)
{
    struct audit_head old = head_of(m), head = head_of(n);

    return audit_proof_consistency(proof, &old, &head);
}

static void
refuse(verifier verify, const struct audit_proof *proof, int m, int n, const char *what)
{
    aw_result r = verify(proof, m, n);

    if (r.code != AW_CODE_MISMATCH)
        fail_msg("%s: accepted for %d of %d", what, m, n);
}

static void
refuse_changed(verifier verify, const struct audit_proof *proof, int m, int n)
{
    for (size_t i = 0; i < proof->count; i++) {
        struct audit_proof changed = *proof;

        changed.hashes[i].bytes[(size_t)(m + n) % AW_DIGEST_SIZE] ^= 1;
        refuse(verify, &changed, m, n, "a bit of the proof changed");
        changed = *proof;
        changed.count--;
        memmove(changed.hashes + i, changed.hashes + i + 1,
            (changed.count - i) * sizeof(changed.hashes[0]));
        refuse(verify, &changed, m, n, "a hash left out");
    }
    struct audit_proof longer = *proof;
    put(&longer, mth(0, 1));
    refuse(verify, &longer, m, n, "a hash more");
}

static void
inclusion_is_proved_for_every_leaf_and_size(void **state)
{
    struct audit_range ranges[AUDIT_PROOF_MAX];

    (void)state;
    make_lines();
    for (int n = 1; n <= LEAVES_MAX; n++)
        for (int m = 0; m < n; m++) {
            struct audit_proof expected = {0};
            struct audit_proof proof = proof_of(ranges, audit_ranges_inclusion(m, n, ranges));
            path(m, 0, n, &expected);
            expect_proof("leaf", m, n, &proof, &expected);
            expect_ok("inclusion", verify_inclusion(&proof, m, n));
            refuse_changed(verify_inclusion, &proof, m, n);
            if (m > 0)
                refuse(verify_inclusion, &proof, m - 1, n, "another leaf");
        }
}

static void
consistency_is_proved_for_every_pair_of_sizes(void **state)
{
    struct audit_range ranges[AUDIT_PROOF_MAX];

    (void)state;
    make_lines();
    for (int n = 0; n <= LEAVES_MAX; n++)
        for (int m = 0; m <= n; m++) {
            struct audit_proof expected = {0};
            struct audit_proof proof = proof_of(ranges, audit_ranges_consistency(m, n, ranges));
            if (m > 0)
                subproof(m, 0, n, true, &expected);
            expect_proof("size", m, n, &proof, &expected);
            expect_ok("consistency", verify_consistency(&proof, m, n));
            refuse_changed(verify_consistency, &proof, m, n);
        }
}

/* A rewritten log: the old head is not that of its beginning. */
static void
attack_101_another_beginning_is_not_consistent(void **state)
{
    struct audit_range ranges[AUDIT_PROOF_MAX];

    (void)state;
    make_lines();
    for (int n = 2; n <= LEAVES_MAX; n++)
        for (int m = 1; m <= n; m++) {
            struct audit_proof proof = proof_of(ranges, audit_ranges_consistency(m, n, ranges));
            struct audit_head old = head_of(m), head = head_of(n);
            old.root.bytes[m % AW_DIGEST_SIZE] ^= 0x80;
            if (audit_proof_consistency(&proof, &old, &head).code != AW_CODE_MISMATCH)
                fail_msg("another root of %d is consistent with %d", m, n);
            /* Cut back: the older head is given as the newer one. */
            if (m < n) {
                old = head_of(m);
                if (audit_proof_consistency(&proof, &head, &old).code != AW_CODE_MISMATCH)
                    fail_msg("a log of %d, cut to %d, is consistent", n, m);
            }
        }
}

static void
impossible_numbers_prove_nothing(void **state)
{
    const struct audit_proof none = {0};
    struct audit_head head = {.size = 0};

    (void)state;
    for (int64_t seq = -1; seq <= 1; seq++)
        expect_failure("empty tree", audit_proof_inclusion(&none, seq, "", 0, &head),
            AW_CODE_MISMATCH, "does not show record");
    head.size = 5;
    expect_failure("behind the end", audit_proof_inclusion(&none, 6, "", 0, &head),
        AW_CODE_MISMATCH, "does not show record");
    /* The hash of a tree's only record is its root: without a number in it, it proves nothing. */
    const struct audit_head one = head_of(1);
    static const int64_t others[] = {-1, 0, 2};
    for (size_t i = 0; i < AW_COUNT(others); i++)
        expect_failure("the only record, under another number",
            audit_proof_inclusion(&none, others[i], lines[0], strlen(lines[0]), &one),
            AW_CODE_MISMATCH, "does not show record");
    struct audit_head negative = {.size = -1};
    expect_failure("negative", audit_proof_consistency(&none, &negative, &head), AW_CODE_MISMATCH,
        "continues");
    struct audit_head huge = {.size = INT64_MAX};
    expect_failure(
        "huge", audit_proof_consistency(&none, &head, &huge), AW_CODE_MISMATCH, "continues");
}

/* From a file. */

static struct audit_head
head_of_file(const struct scene *scene, int64_t size)
{
    struct audit_head head = {.size = size};
    struct audit_tree tree = {0};
    size_t length;
    AW_CLEANUP(aw_free) char *text = scene_load(scene, &length);
    const char *line = text;

    for (int64_t i = 0; i < size; i++) {
        struct audit_hash leaf;
        size_t n = strcspn(line, "\n");
        expect_ok("leaf", audit_tree_leaf(hasher, line, n, &leaf));
        expect_ok("add", audit_tree_add(&tree, hasher, &leaf));
        line += n + 1;
    }
    expect_ok("root", audit_tree_root(&tree, hasher, &head.root));
    return head;
}

/* The running log keeps it over records, batches and restarts. */
static void
the_log_keeps_the_head_of_its_file(void **state)
{
    struct scene scene;
    struct audit_head found, expected;
    struct audit_verdict verdict;
    int64_t seq;

    (void)state;
    scene_begin(&scene);
    for (int64_t n = 0; n <= 9; n++) {
        if (n % 3 == 0) {
            scene_close(&scene);
            scene_open(&scene);
        }
        expect_ok("head", audit_log_head(scene.log, &found));
        expected = head_of_file(&scene, n);
        assert_int_equal(found.size, n);
        assert_true(audit_hash_equal(&found.root, &expected.root));
        expect_ok("verify", audit_verify(scene.folder, &verdict));
        assert_true(audit_hash_equal(&verdict.root, &expected.root));
        expect_ok("append", scene_append(&scene, &seq));
    }
    scene_end(&scene);
}

static void
no_head_of_a_broken_log(void **state)
{
    struct scene scene;
    struct audit_head head;

    (void)state;
    scene_fill(&scene, 2);
    scene_open(&scene);
    assert_int_equal(unlink(scene.path), 0);
    expect_failure("healthy", audit_log_healthy(scene.log), AW_CODE_CORRUPT, "was removed");
    expect_failure("head", audit_log_head(scene.log, &head), AW_CODE_CORRUPT, "was removed");
    scene_end(&scene);
}

static void
proofs_are_made_from_the_file(void **state)
{
    enum { RECORDS = 11 };
    struct scene scene;
    struct audit_proof proof;

    (void)state;
    scene_fill(&scene, RECORDS);
    const struct audit_source source = {.folder = scene.folder};
    for (int64_t n = 1; n <= RECORDS; n++) {
        struct audit_head head = head_of_file(&scene, n);
        for (int64_t m = 1; m <= n; m++) {
            AW_CLEANUP(aw_free) char *line = NULL;
            struct audit_head old = head_of_file(&scene, m);
            expect_ok("prove", audit_prove_record(&source, m, &head, &proof, &line));
            expect_ok("inclusion", audit_proof_inclusion(&proof, m, line, strlen(line), &head));
            expect_ok("prove", audit_prove_heads(&source, &old, &head, &proof));
            expect_ok("consistency", audit_proof_consistency(&proof, &old, &head));
        }
    }
    scene_end(&scene);
}

static void
proofs_need_a_whole_log_that_is_long_enough(void **state)
{
    struct scene scene;
    struct audit_proof proof;
    char *line = NULL;
    size_t size;

    (void)state;
    scene_fill(&scene, 4);
    const struct audit_source source = {.folder = scene.folder};
    const struct audit_head two = head_of_file(&scene, 2), four = head_of_file(&scene, 4);
    const struct audit_head five = {.size = 5};
    expect_failure("record 0", audit_prove_record(&source, 0, &four, &proof, &line),
        AW_CODE_NOT_FOUND, "not among the records 1 to 4");
    expect_failure("behind", audit_prove_record(&source, 5, &four, &proof, &line),
        AW_CODE_NOT_FOUND, "not among");
    expect_failure("too few", audit_prove_record(&source, 1, &five, &proof, &line),
        AW_CODE_NOT_FOUND, "has 4 records, 5 are needed");
    expect_failure("too few", audit_prove_heads(&source, &two, &five, &proof), AW_CODE_NOT_FOUND,
        "has 4 records, 5 are needed");
    expect_failure("backwards", audit_prove_heads(&source, &four, &two, &proof), AW_CODE_MISMATCH,
        "do not begin with");
    AW_CLEANUP(aw_free) char *text = scene_load(&scene, &size);
    text[size / 2] ^= 1;
    scene_store(&scene, text, size);
    expect_failure("damaged", audit_prove_record(&source, 1, &four, &proof, &line), AW_CODE_CORRUPT,
        "is changed");
    assert_null(line);
    scene_end(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_roots_come_out),
        cmocka_unit_test(roots_are_those_of_the_definition),
        cmocka_unit_test(inclusion_is_proved_for_every_leaf_and_size),
        cmocka_unit_test(consistency_is_proved_for_every_pair_of_sizes),
        cmocka_unit_test(attack_101_another_beginning_is_not_consistent),
        cmocka_unit_test(impossible_numbers_prove_nothing),
        cmocka_unit_test(the_log_keeps_the_head_of_its_file),
        cmocka_unit_test(no_head_of_a_broken_log),
        cmocka_unit_test(proofs_are_made_from_the_file),
        cmocka_unit_test(proofs_need_a_whole_log_that_is_long_enough),
    };

    return cmocka_run_group_tests(tests, make_hasher, free_hasher);
}
