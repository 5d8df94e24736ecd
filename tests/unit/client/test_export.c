/* Exports: which files each layout has, with which modes; what is refused leaves nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <unistd.h>

#include "authority.h"
#include "client/export.h"
#include "client/store.h"
#include "common/io.h"
#include "store_place.h"

#define PASSPHRASE "correct horse"
#define REFERENCE                                                                    \
    "-----BEGIN PKCS#11 PROVIDER URI-----\n"                                         \
    "MEUaGVBLQ1MjMTEgUHJvdmlkZXIgVVJJIHYxLjAMKHBrY3MxMTp0b2tlbj13ZWI7b2JqZWN0PXd3\n" \
    "dzt0eXBlPXByaXZhdGU=\n-----END PKCS#11 PROVIDER URI-----\n"

static struct party authority, leaf;
static char *leaf_pem, *authority_text, *both, *key_pem;

static void
store_as(struct place *place, const char *name, const char *key_text)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    unsigned version = 0;

    assert_true(aw_ok(aw_secret_new(strlen(key_text), &key)));
    assert_true(aw_ok(aw_secret_append(key, key_text, strlen(key_text))));
    const struct store_version content = {leaf_pem, authority_text, both, key, NULL};
    assert_true(aw_ok(store_write(place->root, name, &content, &version)));
}

/* "name:mode " of all files of a folder, sorted. */
static void
list(const char *folder, char out[512])
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);

    out[0] = '\0';
    for (int i = 0; i < count; i++) {
        char path[1024];
        struct stat st;
        size_t used = strlen(out);

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && stat(path, &st) == 0)
            snprintf(out + used, 512 - used, "%s%s:%o", used == 0 ? "" : " ", entries[i]->d_name,
                (unsigned)st.st_mode & 07777);
        free(entries[i]);
    }
    free(entries);
}

static void
empty_folder(const char *folder)
{
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, alphasort);

    for (int i = 0; i < count; i++) {
        char path[1024];

        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        unlink(path);
        free(entries[i]);
    }
    free(entries);
    rmdir(folder);
}

static void
prepare(struct place *place)
{
    empty_folder(at(place, "out"));
    if (access(at(place, "live"), F_OK) == 0)
        empty_place(place);
    store_as(place, NAME, key_pem);
    assert_int_equal(mkdir(at(place, "out"), 0700), 0);
}

/* Damage that is done before the export. */
static void
nothing(struct place *place)
{
    (void)place;
}

static void
open_folder(struct place *place)
{
    assert_int_equal(chmod(at(place, "out"), 0777), 0);
}

static void
other_key(struct place *place)
{
    AW_CLEANUP(chain_key_free) EVP_PKEY *fresh = NULL;

    assert_true(aw_ok(chain_key_generate(NULL, "ec-p256", &fresh)));
    AW_CLEANUP(aw_free) char *pem = authority_key_pem(fresh);
    put(place, "archive/" NAME "/privkey1.pem", pem, 0600);
}

static void
token_key(struct place *place)
{
    put(place, "archive/" NAME "/privkey1.pem", REFERENCE, 0600);
}

static void
no_folder(struct place *place)
{
    assert_int_equal(rmdir(at(place, "out")), 0);
}

/* What is there afterwards; code OK, or the failure's code and a part of its message. */
static const struct {
    const char *name;
    enum export_format format;
    const char *cert_name, *out;
    bool group;
    void (*damage)(struct place *place);
    const char *files;
    enum aw_code code;
    const char *words;
} rows[] = {
    {"pem", EXPORT_PEM, NAME, "out", false, nothing,
        "cert.pem:644 chain.pem:644 fullchain.pem:644 privkey.pem:600", AW_CODE_OK, NULL},
    {"pem for a group", EXPORT_PEM, NAME, "out", true, nothing,
        "cert.pem:644 chain.pem:644 fullchain.pem:644 privkey.pem:640", AW_CODE_OK, NULL},
    {"pem makes its folder", EXPORT_PEM, NAME, "out", false, no_folder,
        "cert.pem:644 chain.pem:644 fullchain.pem:644 privkey.pem:600", AW_CODE_OK, NULL},
    {"haproxy into a file", EXPORT_HAPROXY, NAME, "out/bundle.pem", false, nothing,
        "bundle.pem:600", AW_CODE_OK, NULL},
    {"haproxy into a folder", EXPORT_HAPROXY, NAME, "out", false, nothing, NAME ".pem:600",
        AW_CODE_OK, NULL},
    {"pkcs12 into a folder, for a group", EXPORT_PKCS12, NAME, "out", true, nothing,
        NAME ".p12:640", AW_CODE_OK, NULL},
    {"iis-ccs: a file a host name, none for an address", EXPORT_IIS_CCS, NAME, "out", false,
        nothing, "_.app.example.edu.pfx:600 www.example.edu.pfx:600", AW_CODE_OK, NULL},
    {"iis-ccs makes no folder", EXPORT_IIS_CCS, NAME, "out", false, no_folder, "",
        AW_CODE_NOT_FOUND, "there is no folder"},
    {"a key where all may write", EXPORT_PEM, NAME, "out", false, open_folder, "",
        AW_CODE_PERMISSION, "0777"},
    {"a bundle where all may write", EXPORT_HAPROXY, NAME, "out/bundle.pem", false, open_folder, "",
        AW_CODE_PERMISSION, "0777"},
    {"no such certificate", EXPORT_PEM, "other", "out", false, nothing, "", AW_CODE_NOT_FOUND,
        "no certificate other"},
    {"a key that is not the certificate's", EXPORT_HAPROXY, NAME, "out", false, other_key, "",
        AW_CODE_CORRUPT, "not the key"},
    {"a key in a token", EXPORT_PKCS12, NAME, "out", false, token_key, "", AW_CODE_UNSUPPORTED,
        "it is in a token and stays there"},
};

static void
test_layouts(void **state)
{
    struct place *place = *state;
    AW_CLEANUP(aw_secret_free) aw_secret *passphrase = NULL;

    assert_true(aw_ok(aw_secret_new(64, &passphrase)));
    assert_true(aw_ok(aw_secret_append(passphrase, PASSPHRASE, strlen(PASSPHRASE))));
    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        struct export_result result = {0};
        char files[512], out[600];

        prepare(place);
        rows[i].damage(place);
        snprintf(out, sizeof(out), "%s", at(place, rows[i].out));
        const struct export_request request = {place->root, rows[i].cert_name, rows[i].format, out,
            passphrase, false, rows[i].group ? getegid() : (gid_t)-1};
        aw_result r = export_run(&request, &result);
        if (r.code != rows[i].code)
            fail_msg("%s: %s", rows[i].name, aw_ok(r) ? "done" : aw_error_last()->message);
        if (!aw_ok(r) && strstr(aw_error_last()->message, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].name, aw_error_last()->message);
        list(at(place, "out"), files);
        if (strcmp(files, rows[i].files) != 0)
            fail_msg("%s: %s", rows[i].name, files);
        if (aw_ok(r))
            assert_int_equal(result.skipped_count, rows[i].format == EXPORT_IIS_CCS ? 1 : 0);
        export_result_free(&result);
        chmod(at(place, "out"), 0700);
    }
}

/* Key and chain as another reader finds them; no other passphrase opens it. */
static void
test_pkcs12_holds_key_and_chain(void **state)
{
    AW_CLEANUP(aw_secret_free) aw_secret *passphrase = NULL;
    struct place *place = *state;

    prepare(place);
    assert_true(aw_ok(aw_secret_new(64, &passphrase)));
    assert_true(aw_ok(aw_secret_append(passphrase, PASSPHRASE, strlen(PASSPHRASE))));
    for (int legacy = 0; legacy < 2; legacy++) {
        struct export_material material = {0};
        const struct export_request request = {
            .cert_name = NAME, .passphrase = passphrase, .legacy = legacy == 1};
        AW_CLEANUP(aw_free) uint8_t *der = NULL;
        size_t size = 0;

        assert_true(aw_ok(export_read(place->root, NAME, &material)));
        assert_true(aw_ok(export_pkcs12(&material, &request, &der, &size)));
        const unsigned char *bytes = der;
        PKCS12 *p12 = d2i_PKCS12(NULL, &bytes, (long)size);
        assert_non_null(p12);
        assert_int_equal(PKCS12_verify_mac(p12, "wrong horse", -1), 0);
        EVP_PKEY *key = NULL;
        X509 *certificate = NULL;
        STACK_OF(X509) *others = NULL;
        assert_int_equal(PKCS12_parse(p12, PASSPHRASE, &key, &certificate, &others), 1);
        assert_int_equal(EVP_PKEY_eq(key, leaf.key), 1);
        assert_int_equal(X509_cmp(certificate, leaf.certificate), 0);
        assert_int_equal(sk_X509_num(others), 1);
        assert_int_equal(X509_cmp(sk_X509_value(others, 0), authority.certificate), 0);
        sk_X509_pop_free(others, X509_free);
        X509_free(certificate);
        EVP_PKEY_free(key);
        PKCS12_free(p12);
        export_material_free(&material);
    }
}

#define LONG "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONGER LONG LONG LONG LONG

/* A file with a passphrase; NULL: refused, `words` say why. */
static const struct {
    const char *name, *text;
    mode_t mode;
    const char *passphrase, *words;
} passphrases[] = {
    {"without an end of line", "secret", 0600, "secret", NULL},
    {"one line", "secret\n", 0600, "secret", NULL},
    {"a line of Windows", "secret\r\n", 0400, "secret", NULL},
    {"blanks count", " a b \n", 0600, " a b ", NULL},
    {"empty", "", 0600, NULL, "the passphrase is empty"},
    {"an empty line", "\n", 0600, NULL, "the passphrase is empty"},
    {"two lines", "one\ntwo\n", 0600, NULL, "octet 4"},
    {"not ASCII", "se\303\244cret\n", 0600, NULL, "octet 3"},
    {"for others to read", "secret\n", 0644, NULL, "0644"},
    {"too long", LONGER LONGER LONGER LONGER "x", 0600, NULL, "the passphrase"},
};

static void
test_passphrases(void **state)
{
    struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(passphrases); i++) {
        AW_CLEANUP(aw_secret_free) aw_secret *read = NULL;
        const char *expected = passphrases[i].passphrase;

        put(place, "passphrase", passphrases[i].text, passphrases[i].mode);
        aw_result r = passphrase_read(at(place, "passphrase"), -1, &read);
        if (aw_ok(r) != (expected != NULL))
            fail_msg("%s: %s", passphrases[i].name, aw_ok(r) ? "read" : aw_error_last()->message);
        if (expected != NULL && !aw_secret_equal(read, expected, strlen(expected)))
            fail_msg("%s: another passphrase", passphrases[i].name);
        if (expected == NULL && strstr(aw_error_last()->message, passphrases[i].words) == NULL)
            fail_msg("%s: %s", passphrases[i].name, aw_error_last()->message);
        assert_int_equal(unlink(at(place, "passphrase")), 0);
    }
}

static int
make_leaf(void **state)
{
    (void)state;
    authority = authority_make(NULL, &(struct wish){.subject = "Test CA", .ca = true});
    leaf = authority_make(&authority,
        &(struct wish){.subject = HOST, .san = "DNS:" HOST ",DNS:*.app.example.edu,IP:192.0.2.7"});
    leaf_pem = authority_pem(leaf.certificate);
    authority_text = authority_pem(authority.certificate);
    both = authority_join(leaf_pem, authority_text, NULL);
    key_pem = authority_key_pem(leaf.key);
    return 0;
}

static int
free_leaf(void **state)
{
    (void)state;
    authority_free(&authority);
    authority_free(&leaf);
    free(leaf_pem);
    free(authority_text);
    free(both);
    free(key_pem);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_layouts),
        IN_PLACE(test_pkcs12_holds_key_and_chain),
        IN_PLACE(test_passphrases),
    };

    umask(022);
    return cmocka_run_group_tests(tests, make_leaf, free_leaf);
}
