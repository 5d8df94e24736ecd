/* Out of memory at every allocation of verifying a chain: it is a failure, never a verdict about
 * who issued a certificate, which would be an alarm about the CA. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include "common/io.h"
#include "csr/csr.h"
#include "csr/issuers.h"
#include "tests/faults/memory.h"
#include "tests/unit/client/authority.h"

enum { TRIES_MAX = 5000 };

/* A chain of two, with its DER, and what it is held to. */
struct scene {
    OSSL_LIB_CTX *libctx;
    struct party root, intermediate, leaf;
    struct issuers_chain chain;
    issuers *pinned, *forged; /* its own root, and another of that name */
};

static const struct row {
    const char *name;
    bool forged;
    enum memory_failure failure;
    enum memory_place place;
} rows[] = {
    {"a good chain, once", false, MEMORY_FAILS_ONCE, MEMORY_PLACE_EXACT},
    {"a good chain, for good", false, MEMORY_FAILS_FOR_GOOD, MEMORY_PLACE_OURS},
    {"a forged chain, once", true, MEMORY_FAILS_ONCE, MEMORY_PLACE_OURS},
    {"a forged chain, for good", true, MEMORY_FAILS_FOR_GOOD, MEMORY_PLACE_OURS},
};

static void
encode(const struct party *party, const uint8_t **der, size_t *size)
{
    unsigned char *out = NULL;
    int length = i2d_X509(party->certificate, &out);

    assert_true(length > 0);
    *der = out;
    *size = (size_t)length;
}

static void
make(struct scene *scene)
{
    const struct wish root = {.subject = "Root", .ca = true};
    const struct wish intermediate = {.subject = "Intermediate", .ca = true};
    const struct wish leaf = {.subject = "leaf", .san = "DNS:www.example.edu"};
    char root_file[] = "/tmp/acmeward-issuers-XXXXXX";
    int fd = mkstemp(root_file);
    char *pem;

    assert_true(fd >= 0);
    close(fd);
    *scene = (struct scene){.libctx = OSSL_LIB_CTX_new()};
    assert_true(aw_ok(csr_prepare(scene->libctx, NULL)));
    scene->root = authority_make(NULL, &root);
    scene->intermediate = authority_make(&scene->root, &intermediate);
    scene->leaf = authority_make(&scene->intermediate, &leaf);
    encode(&scene->leaf, &scene->chain.leaf, &scene->chain.leaf_size);
    encode(&scene->intermediate, &scene->chain.above[0], &scene->chain.above_sizes[0]);
    scene->chain.above_count = 1;
    pem = authority_pem(scene->root.certificate);
    assert_true(aw_ok(aw_file_replace(root_file, pem, strlen(pem), 0600)));
    assert_true(aw_ok(issuers_load(root_file, &scene->pinned)));
    unlink(root_file);
    free(pem);
}

static void
release(struct scene *scene)
{
    issuers_release(&scene->pinned);
    OPENSSL_free((void *)(uintptr_t)scene->chain.leaf);
    OPENSSL_free((void *)(uintptr_t)scene->chain.above[0]);
    authority_free(&scene->root);
    authority_free(&scene->intermediate);
    authority_free(&scene->leaf);
    OSSL_LIB_CTX_free(scene->libctx);
}

/* In a library context that has not verified anything yet: what it lacked memory to find it would
 * lack for good. */
static void
begin_anew(struct scene *scene)
{
    OSSL_LIB_CTX_free(scene->libctx);
    scene->libctx = OSSL_LIB_CTX_new();
    assert_true(aw_ok(csr_prepare(scene->libctx, NULL)));
}

static aw_result
verify(const struct scene *scene, const issuers *pinned, bool *verified)
{
    char reason[ISSUERS_REASON_SIZE];

    *verified = pinned != scene->pinned;
    return issuers_verify(
        pinned, &scene->chain, scene->libctx, (int64_t)time(NULL), verified, reason);
}

/* True when no allocation failed any more. */
static bool
try_verify(struct scene *scene, const struct row *row, long n)
{
    const issuers *pinned = row->forged ? scene->forged : scene->pinned;
    bool good = !row->forged, verified;

    begin_anew(scene);
    memory_fail_at_new_place(row->place, row->failure);
    aw_result r = verify(scene, pinned, &verified);
    bool failed = memory_fail_end();
    if (!aw_ok(r) ? !failed || r.code != AW_CODE_MEMORY : verified != good)
        fail_msg("%s, try %ld: %s", row->name, n,
            aw_ok(r) ? "a wrong verdict" : aw_error_last()->message);
    if (!aw_ok(verify(scene, pinned, &verified)) || verified != good)
        fail_msg("%s, try %ld: a wrong verdict afterwards", row->name, n);
    return !failed;
}

static void
want_of_memory_is_no_verdict_about_a_ca(void **state)
{
    struct scene scene, other;

    (void)state;
    make(&scene);
    make(&other);
    scene.forged = other.pinned;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        long n = 0;

        memory_places_forget();
        do
            assert_true(++n < TRIES_MAX);
        while (!try_verify(&scene, &rows[i], n));
        assert_true(n > 10);
    }
    release(&other);
    release(&scene);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(want_of_memory_is_no_verdict_about_a_ca)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
