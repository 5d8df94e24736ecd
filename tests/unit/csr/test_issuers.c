/* Attack 88d: what chains to the issuers that are pinned for a CA, and what only says so. */
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

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "common/io.h"
#include "csr/csr.h"
#include "csr/issuers.h"
#include "tests/unit/client/authority.h"

enum { DAY = 24 * 3600 };

#define SAN "DNS:www.example.edu"

/* The CA, and what an attacker makes with the same names. */
static struct parties {
    struct party root, intermediate, leaf;
    struct party old, of_old;             /* an issuer that has ended, and a leaf of its time */
    struct party weak, of_weak;           /* RSA of 1024 bits */
    struct party narrow, of_narrow;       /* only for example.org */
    struct party no_ca, of_no_ca;         /* signed by a leaf */
    struct party sha1, ended, soon, late; /* leaves */
    struct party forged_root, forged_intermediate, forged_leaf, self_signed, same_name;
} p;

static struct party
ca(const struct party *issuer, const char *name)
{
    return authority_make(issuer, &(struct wish){.subject = name, .ca = true});
}

static struct party
leaf(const struct party *issuer, int64_t from, int64_t until)
{
    return authority_make(
        issuer, &(struct wish){.subject = "leaf", .san = SAN, .from = from, .until = until});
}

static int
make_parties(void **state)
{
    EVP_PKEY *small = EVP_RSA_gen(1024);

    (void)state;
    p.root = ca(NULL, "Root");
    p.intermediate = ca(&p.root, "Intermediate");
    p.leaf = leaf(&p.intermediate, 0, 0);
    p.ended = leaf(&p.intermediate, -3000, -1800);
    p.soon = leaf(&p.intermediate, 1800, DAY);
    p.late = leaf(&p.intermediate, 3 * 3600, DAY);
    p.old = authority_make(
        &p.root, &(struct wish){.subject = "Old", .ca = true, .from = -3 * DAY, .until = -2 * DAY});
    p.of_old = leaf(&p.old, 0, 0);
    p.weak = authority_make(&p.root, &(struct wish){.subject = "Weak", .ca = true, .key = small});
    p.of_weak = leaf(&p.weak, 0, 0);
    p.narrow = authority_make(
        &p.root, &(struct wish){
                     .subject = "Narrow", .ca = true, .constraints = "permitted;DNS:example.org"});
    p.of_narrow = leaf(&p.narrow, 0, 0);
    p.no_ca = authority_make(&p.intermediate, &(struct wish){.subject = "No CA", .san = SAN});
    p.of_no_ca = leaf(&p.no_ca, 0, 0);
    p.sha1 = authority_make(
        &p.intermediate, &(struct wish){.subject = "leaf", .san = SAN, .digest = "SHA1"});
    p.forged_root = ca(NULL, "Root");
    p.forged_intermediate = ca(&p.forged_root, "Intermediate");
    p.forged_leaf = leaf(&p.forged_intermediate, 0, 0);
    p.same_name = ca(&p.root, "Intermediate"); /* the root's own, with another key */
    p.self_signed = leaf(NULL, 0, 0);
    EVP_PKEY_free(small);
    return 0;
}

static int
free_parties(void **state)
{
    struct party *all = (struct party *)&p;

    (void)state;
    for (size_t i = 0; i < sizeof(p) / sizeof(*all); i++)
        authority_free(&all[i]);
    return 0;
}

/* A file of certificates, ended by NULL. */
static void
write_pem(char path[64], const struct party *const *parties)
{
    FILE *file;

    snprintf(path, 64, "/tmp/acmeward-issuers-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    for (size_t i = 0; parties[i] != NULL; i++) {
        char *pem = authority_pem(parties[i]->certificate);
        fputs(pem, file);
        free(pem);
    }
    assert_int_equal(fclose(file), 0);
}

static issuers *
pin(const struct party *const *parties)
{
    char path[64];
    issuers *list = NULL;

    write_pem(path, parties);
    aw_result r = issuers_load(path, &list);
    unlink(path);
    if (!aw_ok(r))
        fail_msg("%s", aw_error_last()->message);
    return list;
}

enum { PARTS = 6 };

static const struct {
    const char *name;
    const struct party *pinned[PARTS], *chain[PARTS];
    const struct party *leaf;
    const char *reason; /* part of it; NULL: verified */
} rows[] = {
    {"the root is pinned, the chain is whole", {&p.root}, {&p.intermediate}, &p.leaf, NULL},
    {"the root is in the chain too", {&p.root}, {&p.intermediate, &p.root}, &p.leaf, NULL},
    {"the intermediate is pinned: no chain is needed", {&p.intermediate}, {NULL}, &p.leaf, NULL},
    {"the intermediate is pinned, and in the chain", {&p.intermediate}, {&p.intermediate}, &p.leaf,
        NULL},
    {"others in the chain do not matter", {&p.root},
        {&p.self_signed, &p.narrow, &p.old, &p.intermediate}, &p.leaf, NULL},
    {"several are pinned", {&p.old, &p.narrow, &p.root}, {&p.intermediate}, &p.leaf, NULL},
    {"it has ended since: who issued it stays the same", {&p.root}, {&p.intermediate}, &p.ended,
        NULL},
    {"it begins in half an hour, by our clock", {&p.root}, {&p.intermediate}, &p.soon, NULL},

    {"attack 88d: a self-made CA of the same names, chain whole", {&p.root},
        {&p.forged_intermediate, &p.forged_root}, &p.forged_leaf, "signature"},
    {"attack 88d: the forged root left out", {&p.root}, {&p.forged_intermediate}, &p.forged_leaf,
        "signature"},
    {"attack 88d: below the real intermediate's name", {&p.intermediate}, {&p.intermediate},
        &p.forged_leaf, "signature"},
    {"attack 88d: self-signed", {&p.root}, {NULL}, &p.self_signed, "self-signed"},
    {"attack 88d: self-signed, and in the chain", {&p.root}, {&p.self_signed}, &p.self_signed,
        "self-signed"},
    {"attack 88d: signed with the key of a certificate that is no CA's", {&p.root},
        {&p.no_ca, &p.intermediate}, &p.of_no_ca, "CA"},
    {"attack 88d: another issuer is pinned", {&p.narrow}, {&p.intermediate, &p.root}, &p.leaf,
        "certificate"},
    {"the chain lacks the intermediate", {&p.root}, {NULL}, &p.leaf, "unable to get"},
    {"an intermediate of that name with another key", {&p.root}, {&p.same_name}, &p.leaf,
        "signature"},
    {"its issuer has ended", {&p.root}, {&p.old}, &p.of_old, "expired"},
    {"its pinned issuer has ended", {&p.old}, {NULL}, &p.of_old, "expired"},
    {"it begins in three hours", {&p.root}, {&p.intermediate}, &p.late, "not yet valid"},
    {"signed with SHA-1", {&p.root}, {&p.intermediate}, &p.sha1, "too weak"},
    {"attack 67: its issuer's key has 1024 bits", {&p.root}, {&p.weak}, &p.of_weak, "too weak"},
    {"outside of its issuer's name constraints", {&p.root}, {&p.narrow}, &p.of_narrow,
        "permitted subtree"},
};

static void
fill(struct issuers_chain *chain, const struct party *leaf_of, const struct party *const *above)
{
    *chain = (struct issuers_chain){0};
    chain->leaf = authority_der(leaf_of->certificate, &chain->leaf_size);
    for (; above[chain->above_count] != NULL; chain->above_count++)
        chain->above[chain->above_count] = authority_der(
            above[chain->above_count]->certificate, &chain->above_sizes[chain->above_count]);
}

static void
release(struct issuers_chain *chain)
{
    free((void *)(uintptr_t)chain->leaf);
    for (size_t i = 0; i < chain->above_count; i++)
        free((void *)(uintptr_t)chain->above[i]);
}

static void
attack_88d_only_the_pinned_issuers_count(void **state)
{
    OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();
    unsigned failures = 0;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        issuers *list = pin(rows[i].pinned);
        struct issuers_chain chain;
        char reason[ISSUERS_REASON_SIZE] = "not set";
        bool verified = true;

        fill(&chain, rows[i].leaf, rows[i].chain);
        assert_true(
            aw_ok(issuers_verify(list, &chain, libctx, (int64_t)time(NULL), &verified, reason)));
        if (verified != (rows[i].reason == NULL) || (verified && reason[0] != '\0') ||
            (!verified && rows[i].reason != NULL && strstr(reason, rows[i].reason) == NULL)) {
            print_error("row \"%s\": %s \"%s\"\n", rows[i].name,
                verified ? "verified" : "not verified", reason);
            failures++;
        }
        release(&chain);
        issuers_release(&list);
    }
    OSSL_LIB_CTX_free(libctx);
    assert_int_equal(failures, 0);
}

/* What a client sends may be anything; that is no failure of ours. */
static void
garbage_is_not_verified(void **state)
{
    static const uint8_t garbage[] = {0x30, 0x82, 0xff, 0xff, 0x00};
    issuers *list = pin((const struct party *const[]){&p.root, NULL});
    struct issuers_chain chain;
    char reason[ISSUERS_REASON_SIZE];
    bool verified = true;

    (void)state;
    fill(&chain, &p.leaf, (const struct party *const[]){&p.intermediate, NULL});
    struct issuers_chain torn = chain;
    torn.above_sizes[0]--;
    assert_true(aw_ok(issuers_verify(list, &torn, NULL, 0, &verified, reason)));
    assert_false(verified);
    assert_non_null(strstr(reason, "can't be read"));
    /* Nor may anything follow: what was verified is what is kept. */
    uint8_t *longer = calloc(1, chain.leaf_size + 1);
    assert_non_null(longer);
    memcpy(longer, chain.leaf, chain.leaf_size);
    torn = chain;
    torn.leaf = longer;
    torn.leaf_size = chain.leaf_size + 1;
    assert_true(aw_ok(issuers_verify(list, &torn, NULL, 0, &verified, reason)));
    assert_false(verified);
    assert_non_null(strstr(reason, "can't be read"));
    free(longer);
    torn = chain;
    torn.leaf = garbage;
    torn.leaf_size = sizeof(garbage);
    assert_true(aw_ok(issuers_verify(list, &torn, NULL, 0, &verified, reason)));
    assert_false(verified);
    torn.leaf_size = 0;
    assert_true(aw_ok(issuers_verify(list, &torn, NULL, 0, &verified, reason)));
    assert_false(verified);
    release(&chain);
    issuers_release(&list);
}

/* Files. */

#define HEAD "# roots of the CA\n"

static char *
text_of(const char *what)
{
    char *root = authority_pem(p.root.certificate);
    char *key = authority_key_pem(p.root.key);
    char *own = authority_pem(p.leaf.certificate);
    char *longer = authority_block(p.root.certificate, "CERTIFICATE", 1);
    char *other = authority_block(p.root.certificate, "TRUSTED CERTIFICATE", 0);
    char *text = NULL;

    if (strcmp(what, "good") == 0)
        text = authority_join(HEAD, root, NULL);
    else if (strcmp(what, "key") == 0)
        text = authority_join(root, key, NULL);
    else if (strcmp(what, "leaf") == 0)
        text = authority_join(root, own, NULL);
    else if (strcmp(what, "twice") == 0)
        text = authority_join(root, HEAD, root, NULL);
    else if (strcmp(what, "longer") == 0)
        text = authority_join(longer, NULL);
    else if (strcmp(what, "other") == 0)
        text = authority_join(other, NULL);
    else if (strcmp(what, "torn") == 0)
        text = strndup(root, strlen(root) / 2);
    else
        text = strdup(what);
    free(root);
    free(key);
    free(own);
    free(longer);
    free(other);
    return text;
}

static void
files_are_read_strictly(void **state)
{
    static const struct {
        const char *name, *text, *message; /* NULL: good */
    } files[] = {
        {"text before a certificate", "good", NULL},
        {"a private key", "key", "PRIVATE KEY"},
        {"a certificate that is no CA's", "leaf", "certificate 2: it is no CA's"},
        {"the same twice", "twice", "the same"},
        {"octets behind the DER", "longer", "can't be read"},
        {"OpenSSL's own form, with trust settings", "other", "TRUSTED CERTIFICATE"},
        {"cut off", "torn", "no PEM"},
        {"empty", "", "no certificate"},
        {"no PEM at all", "these are not the certificates\n", "no certificate"},
    };

    (void)state;
    for (size_t i = 0; i < AW_COUNT(files); i++) {
        char path[] = "/tmp/acmeward-issuers-XXXXXX";
        char *text = text_of(files[i].text);
        issuers *list = NULL;
        int fd = mkstemp(path);

        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        close(fd);
        aw_result r = issuers_load(path, &list);
        if (files[i].message == NULL ? !aw_ok(r)
                                     : r.code != AW_CODE_CONFIG || strstr(aw_error_last()->message,
                                                                       files[i].message) == NULL)
            fail_msg("%s: %s", files[i].name, aw_ok(r) ? "taken" : aw_error_last()->message);
        assert_true((list != NULL) == aw_ok(r));
        issuers_release(&list);
        unlink(path);
        free(text);
    }
    issuers *none = NULL;
    assert_int_equal(issuers_load("/nonexistent/issuers.pem", &none).code, AW_CODE_CONFIG);
    assert_null(none);
}

static void
too_many_are_refused(void **state)
{
    struct party made[ISSUERS_MAX + 1];
    const struct party *all[ISSUERS_MAX + 2] = {NULL};
    issuers *list = NULL;
    char path[64];

    (void)state;
    for (size_t i = 0; i <= ISSUERS_MAX; i++) {
        made[i] = ca(NULL, "One of many");
        all[i] = &made[i];
    }
    write_pem(path, all);
    assert_int_equal(issuers_load(path, &list).code, AW_CODE_CONFIG);
    assert_non_null(strstr(aw_error_last()->message, "more than 32"));
    unlink(path);
    all[ISSUERS_MAX] = NULL;
    list = pin(all);
    assert_int_equal(issuers_count(list), ISSUERS_MAX);
    issuers_release(&list);
    for (size_t i = 0; i <= ISSUERS_MAX; i++)
        authority_free(&made[i]);
}

static void
they_say_who_they_are(void **state)
{
    issuers *list = pin((const struct party *const[]){&p.root, &p.intermediate, NULL});
    issuers *again = issuers_retain(list);

    (void)state;
    issuers_release(&list);
    assert_null(list);
    assert_int_equal(issuers_count(again), 2);
    assert_string_equal(issuers_item(again, 1).subject, "CN=Intermediate");
    assert_int_equal(strlen(issuers_item(again, 0).digest), 64);
    assert_true(issuers_item(again, 0).not_after > (int64_t)time(NULL));
    issuers_release(&again);
    issuers_release(&again);
    assert_int_equal(issuers_count(NULL), 0);
    assert_null(issuers_retain(NULL));
}

/* What a configuration's issuers are told as. */
static void
a_configuration_is_told_what_is_lost(void **state)
{
    char good[64], ended[64], nowhere[] = "/nonexistent", file[] = "signer.yaml";
    char names[4][8] = {"good", "none", "ended", "bad"};
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    struct issuers_set set;

    (void)state;
    write_pem(good, (const struct party *const[]){&p.root, NULL});
    write_pem(ended, (const struct party *const[]){&p.root, &p.old, NULL});
    struct aw_config_ca cas[] = {
        {.name = names[0], .issuers = good},
        {.name = names[1]},
        {.name = names[2], .issuers = ended},
        {.name = names[3], .issuers = nowhere},
    };
    struct aw_config config = {.file = file, .cas = cas, .ca_count = AW_COUNT(cas)};
    assert_true(aw_ok(issuers_set_load(&config, &faults, &warnings, &set)));
    assert_int_equal(set.count, 4);
    assert_int_equal(issuers_count(set.items[0]), 1);
    assert_null(set.items[1]);
    assert_int_equal(issuers_count(set.items[2]), 2);
    assert_null(set.items[3]);
    assert_int_equal(faults.total, 1);
    assert_non_null(strstr(faults.items[0].message, "issuers of bad"));
    assert_int_equal(warnings.total, 2);
    assert_non_null(strstr(warnings.items[0].message, "CA none has no issuers"));
    assert_non_null(strstr(warnings.items[1].message, "CN=Old has expired"));
    issuers_set_free(&set);
    unlink(good);
    unlink(ended);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attack_88d_only_the_pinned_issuers_count),
        cmocka_unit_test(garbage_is_not_verified),
        cmocka_unit_test(files_are_read_strictly),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(they_say_who_they_are),
        cmocka_unit_test(a_configuration_is_told_what_is_lost),
    };

    return cmocka_run_group_tests_name("issuers", tests, make_parties, free_parties);
}
