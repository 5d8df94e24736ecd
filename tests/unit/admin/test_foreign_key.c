/* Account keys of other clients: the forms in which they are kept, and their end. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "admin/foreign_key.h"
#include "common/io.h"

enum { NOBODY = 65534 };

struct place {
    char folder[32], key[64], conf[64];
};

static int
set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->folder, sizeof(place->folder), "%s", "/tmp/aw-foreign-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    snprintf(place->key, sizeof(place->key), "%s/account.key", place->folder);
    snprintf(place->conf, sizeof(place->conf), "%s/ca.conf", place->folder);
    *state = place;
    return 0;
}

static int
tear_down(void **state)
{
    struct place *place = *state;

    unlink(place->key);
    unlink(place->conf);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    return 0;
}

static void
write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Forms. */

enum form { PKCS8, TRADITIONAL, WITH_PARAMETERS, AFTER_TEXT, ENCRYPTED };

static const struct {
    const char *name;
    const char *curve; /* NULL: RSA */
    enum form form;
    enum aw_code verdict;
} forms[] = {
    {"lego: EC", "P-256", TRADITIONAL, AW_CODE_OK},
    {"lego: RSA", NULL, TRADITIONAL, AW_CODE_OK},
    {"acme.sh: ec-384", "P-384", TRADITIONAL, AW_CODE_OK},
    {"openssl ecparam without -noout", "P-256", WITH_PARAMETERS, AW_CODE_OK},
    {"openssl genpkey: EC", "P-256", PKCS8, AW_CODE_OK},
    {"openssl genpkey: RSA", NULL, PKCS8, AW_CODE_OK},
    {"openssl pkey -text", "P-256", AFTER_TEXT, AW_CODE_OK},
    {"with a passphrase", "P-256", ENCRYPTED, AW_CODE_CRYPTO},
};

static void
write_key(FILE *file, EVP_PKEY *key, enum form form)
{
    unsigned char passphrase[] = "secret";
    const EVP_CIPHER *cipher = form == ENCRYPTED ? EVP_aes_128_cbc() : NULL;

    if (form == AFTER_TEXT)
        fputs("Private-Key: (256 bit)\n", file);
    if (form == WITH_PARAMETERS) /* the name of P-256 in DER */
        fputs(
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n", file);
    if (form == TRADITIONAL || form == WITH_PARAMETERS) {
        BIO *bio = BIO_new_fp(file, BIO_NOCLOSE);

        assert_int_equal(
            PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL), 1);
        BIO_free_all(bio);
        return;
    }
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, cipher, (char *)passphrase,
                         cipher == NULL ? 0 : (int)strlen((char *)passphrase), NULL, NULL),
        1);
}

static void
test_forms(void **state)
{
    const struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(forms); i++) {
        EVP_PKEY *key = forms[i].curve == NULL ? EVP_RSA_gen(2048) : EVP_EC_gen(forms[i].curve),
                 *read = NULL;
        FILE *file = fopen(place->key, "w");
        const char *kind = NULL;

        assert_non_null(key);
        assert_non_null(file);
        write_key(file, key, forms[i].form);
        assert_int_equal(fclose(file), 0);
        AW_CLEANUP(admin_foreign_file_close) struct admin_foreign_file opened = {.fd = -1};
        aw_result r = admin_foreign_key_read(place->key, &opened, &read, &kind);
        if (r.code != forms[i].verdict || (aw_ok(r) && EVP_PKEY_eq(key, read) != 1))
            fail_msg("%s: %s", forms[i].name, aw_ok(r) ? "another key" : aw_error_last()->message);
        EVP_PKEY_free(key);
        EVP_PKEY_free(read);
    }
}

/* What acme.sh leaves beside it. */

static const struct {
    const char *name, *conf;
    bool found;
} confs[] = {
    {"none", NULL, false},
    {"an account without EAB", "ACCOUNT_URL='https://ca.example.org/acct/1'\n", false},
    {"the key's name alone", "CA_EAB_KEY_ID='kid-9'\n", false},
    {"an EAB key", "CA_EAB_KEY_ID='kid-9'\nCA_EAB_HMAC_KEY='AAAA'\n", true},
};

static void
test_eab_key_left(void **state)
{
    const struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(confs); i++) {
        AW_CLEANUP(aw_free) char *path = NULL;

        if (confs[i].conf != NULL)
            write_text(place->conf, confs[i].conf);
        if (!aw_ok(admin_foreign_eab_find(place->key, &path)) || (path != NULL) != confs[i].found)
            fail_msg("%s: found %s", confs[i].name, path == NULL ? "nothing" : path);
        if (path != NULL)
            assert_string_equal(path, place->conf);
    }
}

/* Its end. */

/* As if its key had been read. */
static void
open_file(const struct place *place, struct admin_foreign_file *out)
{
    out->fd = open(place->key, O_RDONLY | O_CLOEXEC);
    assert_true(out->fd >= 0);
    assert_int_equal(fstat(out->fd, &out->read), 0);
}

static void
test_destroys_what_its_owner_may_only_read(void **state)
{
    AW_CLEANUP(admin_foreign_file_close) struct admin_foreign_file read = {.fd = -1};
    const struct place *place = *state;
    const uid_t before = geteuid();
    char other[80], text[8] = "";

    write_text(place->key, "secret");
    /* A hard link shows what it was overwritten with. */
    snprintf(other, sizeof(other), "%s-link", place->key);
    assert_int_equal(link(place->key, other), 0);
    open_file(place, &read);
    assert_int_equal(chmod(place->key, 0400), 0);
    if (before == 0) { /* nothing is forbidden to root */
        assert_int_equal(chown(place->key, NOBODY, (gid_t)-1), 0);
        assert_int_equal(chown(place->folder, NOBODY, (gid_t)-1), 0);
        assert_int_equal(seteuid(NOBODY), 0);
    }
    aw_result r = admin_foreign_key_destroy(place->key, &read);
    assert_int_equal(seteuid(before), 0);
    if (!aw_ok(r))
        fail_msg("%s", aw_error_last()->message);
    assert_int_equal(access(place->key, F_OK), -1);
    FILE *file = fopen(other, "r");
    assert_non_null(file);
    assert_int_equal(fread(text, 1, sizeof(text), file), 6);
    assert_memory_equal(text, "\0\0\0\0\0\0", 6);
    fclose(file);
    unlink(other);
}

static void
test_destroys_no_link(void **state)
{
    AW_CLEANUP(admin_foreign_file_close) struct admin_foreign_file read = {.fd = -1};
    const struct place *place = *state;

    write_text(place->conf, "another file");
    assert_int_equal(symlink(place->conf, place->key), 0);
    open_file(place, &read);
    assert_false(aw_ok(admin_foreign_key_destroy(place->key, &read)));
    assert_int_equal(access(place->key, F_OK), 0);
}

static void
leave(const struct place *place)
{
    (void)place;
}

static void
move_another_there(const struct place *place)
{
    write_text(place->conf, "secret");
    assert_int_equal(rename(place->conf, place->key), 0);
}

static void
make_anew(const struct place *place)
{
    assert_int_equal(unlink(place->key), 0);
    write_text(place->key, "secret");
}

static void
write_into(const struct place *place)
{
    const struct timespec later[] = {{.tv_sec = 0}, {.tv_sec = 1}};

    write_text(place->key, "public");
    assert_int_equal(utimensat(AT_FDCWD, place->key, later, 0), 0);
}

/* Adopting takes a while: the other client may have made a key that is worth something meanwhile.
 */
static void
test_destroys_only_the_file_that_was_read(void **state)
{
    static const struct {
        const char *name;
        void (*meanwhile)(const struct place *place);
        enum aw_code verdict;
    } rows[] = {
        {"nothing happened", leave, AW_CODE_OK},
        {"another file was moved there", move_another_there, AW_CODE_MISMATCH},
        {"it was removed and made anew", make_anew, AW_CODE_MISMATCH},
        {"a new key was written into it", write_into, AW_CODE_MISMATCH},
    };
    const struct place *place = *state;

    for (size_t i = 0; i < AW_COUNT(rows); i++) {
        AW_CLEANUP(admin_foreign_file_close) struct admin_foreign_file read = {.fd = -1};
        char text[8] = "";

        write_text(place->key, "secret");
        open_file(place, &read);
        rows[i].meanwhile(place);
        aw_result r = admin_foreign_key_destroy(place->key, &read);
        if (r.code != rows[i].verdict)
            fail_msg("%s: %s", rows[i].name, aw_ok(r) ? "ok" : aw_error_last()->message);
        FILE *file = fopen(place->key, "r");
        if ((file == NULL) != aw_ok(r))
            fail_msg("%s: the file is %s", rows[i].name, file == NULL ? "gone" : "there");
        if (file == NULL)
            continue;
        assert_int_equal(fread(text, 1, sizeof(text), file), 6);
        assert_memory_not_equal(text, "\0\0\0\0\0\0", 6);
        fclose(file);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_eab_key_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_destroys_what_its_owner_may_only_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_destroys_no_link, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            test_destroys_only_the_file_that_was_read, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
