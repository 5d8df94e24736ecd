/* eab wrapping-key create, show, destroy; eab wrap, which runs on an offline workstation and asks
 * nobody. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "admin/admin_cli.h"
#include "admin/eab_key.h"
#include "common/hex.h"
#include "common/io.h"
#include "common/openssl.h"
#include "common/wrapped.h"

enum { PEM_MAX = 16 * 1024, FILE_MODE = 0600 };

/* wrapping-key. */

static aw_result
print_wrapping(const cJSON *reply)
{
    const char *fingerprint = admin_text(reply, "fingerprint");

    AW_TRY(admin_print_text(reply, "pem", ""));
    fprintf(stderr,
        "SHA-256 fingerprint %s\n"
        "two persons compare it: one reads it here, the other at the workstation, over another way "
        "than the file:\n"
        "  acmeward-admin eab wrap --public-key FILE --fingerprint %s --ca NAME --kid KID --out "
        "WRAPPED\n",
        fingerprint, fingerprint);
    return AW_OK;
}

aw_result
admin_eab_wrapping_key(const struct admin_options *options, int argc, char **argv)
{
    static const struct {
        const char *verb, *method;
    } verbs[] = {{"create", "CreateWrappingKey"}, {"show", "GetWrappingKey"},
        {"destroy", "DestroyWrappingKey"}};
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    const char *verb = NULL;
    size_t i = 0;

    AW_TRY(admin_parse(argc, argv, NULL, 0, &verb, 1));
    while (i < AW_COUNT(verbs) && strcmp(verbs[i].verb, verb) != 0)
        i++;
    if (i == AW_COUNT(verbs))
        return aw_fail(AW_CODE_USAGE,
            "eab wrapping-key: found \"%s\", expected create, show or destroy", verb);
    AW_TRY(admin_call_plain(options, verbs[i].method, &reply));
    if (options->json)
        return admin_print_json(reply);
    if (i == 2) {
        puts("destroyed: what was wrapped to it and not imported yet can't be any more");
        return AW_OK;
    }
    admin_print_report(aw_json_member(reply, "report"), stderr);
    return print_wrapping(reply);
}

/* wrap. */

struct wrap_options {
    const char *public_key, *fingerprint, *ca, *kid, *algorithm, *key_fd, *out;
    bool force;
};

static void
octets_free(unsigned char **octets)
{
    OPENSSL_free(*octets);
}

static aw_result
read_public_key(const char *path, unsigned char **spki, size_t *size)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_bio_free) BIO *bio = NULL;
    AW_CLEANUP(aw_pkey_free) EVP_PKEY *key = NULL;
    size_t length = 0;

    AW_TRY(aw_file_read(path, PEM_MAX, &text, &length));
    bio = BIO_new_mem_buf(text, (int)length);
    key = bio == NULL ? NULL : PEM_read_bio_PUBKEY(bio, NULL, aw_no_passphrase, NULL);
    int got = key == NULL ? 0 : i2d_PUBKEY(key, spki);
    if (got <= 0)
        return aw_hint(aw_fail_openssl("%s is no public key in PEM form", path),
            "take what acmeward-admin eab wrapping-key show prints");
    *size = (size_t)got;
    return AW_OK;
}

/* As it was read out or copied: colons, spaces and capitals do not matter. */
static aw_result
read_fingerprint(const char *text, char out[AW_WRAPPED_HEX + 1])
{
    size_t used = 0;

    for (; *text != '\0' && used < AW_WRAPPED_HEX; text++)
        if (strchr(": -", *text) == NULL)
            out[used++] = (char)tolower((unsigned char)*text);
    out[used] = '\0';
    if (!aw_wrapped_is_fingerprint(out) || *text != '\0')
        return aw_fail(AW_CODE_USAGE, "--fingerprint: expected a SHA-256, %d hexadecimal digits",
            AW_WRAPPED_HEX);
    return AW_OK;
}

static aw_result
check_fingerprint(const struct wrap_options *asked, const unsigned char *spki, size_t size)
{
    char wanted[AW_WRAPPED_HEX + 1], found[AW_WRAPPED_HEX + 1];
    uint8_t digest[32];

    AW_TRY(read_fingerprint(asked->fingerprint, wanted));
    if (EVP_Digest(spki, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return aw_fail_openssl("SHA-256");
    aw_hex(digest, sizeof(digest), found);
    if (strcmp(wanted, found) == 0)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_MISMATCH,
                       "the key in %s has the fingerprint %s, and not the one that was said",
                       asked->public_key, found),
        "somebody may have put another key in its place: do not wrap; ask at the HSM host again "
        "(acmeward-admin eab wrapping-key show)");
}

static aw_result
check_options(const struct wrap_options *asked)
{
    if (asked->public_key == NULL || asked->fingerprint == NULL)
        return aw_fail(AW_CODE_USAGE,
            "--public-key and --fingerprint are needed: eab wrapping-key show prints both");
    if (asked->ca == NULL || asked->kid == NULL || asked->kid[0] == '\0')
        return aw_fail(AW_CODE_USAGE,
            "--ca and --kid are needed: the CA's name in signer.yaml, and the key identifier");
    if (!aw_config_label_ok(asked->ca) || strlen(asked->kid) > AW_WRAPPED_KID_MAX)
        return aw_fail(AW_CODE_USAGE, "--ca or --kid is not of a form that signer.yaml may have");
    if (asked->out == NULL)
        return aw_fail(AW_CODE_USAGE, "--out is needed: the file to write");
    return AW_OK;
}

static aw_result
wrap(const struct wrap_options *asked, char **file, bool *twice)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(octets_free) unsigned char *spki = NULL;
    const struct aw_wrapped_terms terms = {
        .ca = asked->ca, .kid = asked->kid, .algorithm = asked->algorithm};
    size_t size = 0;

    AW_TRY(read_public_key(asked->public_key, &spki, &size));
    AW_TRY(check_fingerprint(asked, spki, size)); /* before the key is asked for */
    AW_TRY(admin_eab_key_read(asked->key_fd, &key, twice));
    return aw_wrapped_make(&terms, key, spki, size, asked->force, file);
}

static aw_result
tell_json(const struct wrap_options *asked, const char *line, bool twice)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {.text = NULL};
    char sha256[AW_DIGEST_HEX_SIZE];

    AW_TRY(admin_sha256(line, strlen(line), sha256));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "file", asked->out);
    aw_json_pair(&w, "sha256", sha256);
    aw_json_pair(&w, "ca", asked->ca);
    aw_json_pair(&w, "kid", asked->kid);
    aw_json_pair(&w, "algorithm", asked->algorithm);
    aw_json_pair_bool(&w, "decoded_twice", twice);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

static aw_result
tell_wrapped(const struct wrap_options *asked, const char *line, bool twice)
{
    printf(
        "wrapped for CA %s, kid %s, %s with RSA-OAEP (SHA-1): only the token of that wrapping key "
        "can unwrap it\n",
        asked->ca, asked->kid, asked->algorithm);
    if (twice)
        puts(ADMIN_EAB_TWICE);
    AW_TRY(admin_print_sha256("  file", line, strlen(line)));
    printf("  on the HSM host: acmeward-admin eab import --wrapped %s, which prints the same "
           "SHA-256; then destroy every other copy of the key\n",
        asked->out);
    return AW_OK;
}

aw_result
admin_eab_wrap(const struct admin_options *options, int argc, char **argv)
{
    struct wrap_options asked = {.algorithm = "HS256"};
    const struct admin_option table[] = {
        {.name = "public-key", .value = &asked.public_key},
        {.name = "fingerprint", .value = &asked.fingerprint},
        {.name = "ca", .value = &asked.ca},
        {.name = "kid", .value = &asked.kid},
        {.name = "algorithm", .value = &asked.algorithm},
        {.name = "key-fd", .value = &asked.key_fd},
        {.name = "out", .value = &asked.out},
        {.name = "force", .flag = &asked.force},
    };
    AW_CLEANUP(aw_free) char *file = NULL, *line = NULL;
    bool twice = false;

    /* No signer, no token, no configuration. */
    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(check_options(&asked));
    AW_TRY(wrap(&asked, &file, &twice));
    AW_TRY(aw_format(&line, "%s\n", file));
    AW_TRY(aw_file_replace(asked.out, line, strlen(line), FILE_MODE));
    return options->json ? tell_json(&asked, line, twice) : tell_wrapped(&asked, line, twice);
}
