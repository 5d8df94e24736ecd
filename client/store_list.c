/* Reading what is stored; nothing is changed, and a damaged certificate is told, not skipped. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "client/chain.h"
#include "client/listing.h"
#include "client/store_steps.h"
#include "client/stored_key.h"
#include "common/io.h"
#include "common/openssl.h"
#include "hostkey/host_key.h"

/* The failure just met becomes the entry's fault; the first one stays. Want of memory is none of
 * the certificate's. */
static aw_result
note_fault(struct store_entry *entry, aw_result r)
{
    if (r.code == AW_CODE_MEMORY)
        return r;
    if (entry->fault == NULL)
        entry->fault = strdup(aw_error_last()->message);
    return entry->fault == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
read_versions(struct store_entry *entry)
{
    for (unsigned i = 0; i < STORE_KINDS; i++) {
        unsigned version = 0;

        AW_TRY(store_link_read(entry->live, entry->name, (enum store_kind)i, &version));
        if (version == 0)
            return aw_fail(AW_CODE_CORRUPT, "%s.pem is missing", store_kind_names[i]);
        if (i > 0 && version != entry->version)
            return aw_fail(AW_CODE_CORRUPT,
                "the links point at versions %u and %u; the next certonly mends them",
                entry->version, version);
        entry->version = version;
    }
    return AW_OK;
}

static aw_result
take_names(const struct chain_leaf *leaf, struct store_entry *entry)
{
    entry->names = calloc(leaf->name_count + 1, sizeof(*entry->names));
    if (entry->names == NULL)
        return aw_fail_memory();
    for (; entry->name_count < leaf->name_count; entry->name_count++)
        AW_TRY(
            aw_format(&entry->names[entry->name_count], "%s", leaf->names[entry->name_count].text));
    return AW_OK;
}

static aw_result
take_issuer(const X509 *certificate, struct store_entry *entry)
{
    AW_CLEANUP(aw_bio_free) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (bio == NULL ||
        X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253) < 0)
        return aw_fail_openssl("can't write the issuer's name");
    long size = BIO_get_mem_data(bio, &text);
    return aw_format(&entry->issuer, "%.*s", (int)size, size > 0 ? text : "");
}

static aw_result
take_leaf(const X509 *certificate, struct store_entry *entry)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};

    AW_TRY(chain_leaf_read(certificate, &leaf));
    AW_TRY(take_names(&leaf, entry));
    AW_TRY(take_issuer(certificate, entry));
    AW_TRY(aw_format(&entry->serial, "%s", leaf.serial));
    AW_TRY(aw_format(&entry->key_type, "%s", stored_key_type(certificate)));
    entry->not_before = leaf.not_before;
    entry->not_after = leaf.not_after;
    return AW_OK;
}

static aw_result
read_text(const struct store_entry *entry, enum store_kind kind, char **text, size_t *size)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/%s.pem", entry->live, store_kind_names[kind]));
    return aw_file_read(path, CHAIN_PEM_MAX, text, size);
}

typedef aw_result (*reader)(const char *pem, size_t size, struct chain *out);

static aw_result
read_pem(const struct store_entry *entry, enum store_kind kind, reader read, struct chain *out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    AW_TRY(read_text(entry, kind, &text, &size));
    return aw_context(read(text, size, out), "%s.pem", store_kind_names[kind]);
}

/* As we write it: cert.pem and chain.pem, one behind the other. */
static aw_result
read_joined(const struct store_entry *entry, bool *joined)
{
    AW_CLEANUP(aw_free) char *cert = NULL;
    AW_CLEANUP(aw_free) char *chain = NULL;
    AW_CLEANUP(aw_free) char *full = NULL;
    size_t cert_size = 0, chain_size = 0, full_size = 0;

    AW_TRY(read_text(entry, STORE_CERT, &cert, &cert_size));
    AW_TRY(read_text(entry, STORE_CHAIN, &chain, &chain_size));
    AW_TRY(read_text(entry, STORE_FULLCHAIN, &full, &full_size));
    *joined = full_size == cert_size + chain_size && memcmp(full, cert, cert_size) == 0 &&
              memcmp(full + cert_size, chain, chain_size) == 0;
    return AW_OK;
}

/* Parsing costs ten times what comparing does, so it is left for files of somebody else's. */
static aw_result
check_full(const struct store_entry *entry)
{
    AW_CLEANUP(chain_free) struct chain full = {0}, leaf = {0};
    bool joined = false;

    AW_TRY(read_joined(entry, &joined));
    if (joined)
        return AW_OK;
    AW_TRY(read_pem(entry, STORE_FULLCHAIN, chain_read, &full));
    AW_TRY(read_pem(entry, STORE_CERT, chain_read, &leaf));
    if (X509_cmp(full.certificates[0], leaf.certificates[0]) != 0)
        return aw_fail(AW_CODE_CORRUPT, "fullchain.pem and cert.pem are of two certificates");
    return AW_OK;
}

/* Whether it is the leaf's key, of one in a token only the token could tell. */
static aw_result
check_token(struct store_entry *entry)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/privkey.pem", entry->live));
    return host_key_reference_of(path, &entry->key_uri);
}

/* By OpenSSL, which takes its time. */
static aw_result
compare_keys(const struct store_entry *entry, const char *path)
{
    AW_CLEANUP(chain_free) struct chain leaf = {0};
    AW_CLEANUP(chain_key_free) EVP_PKEY *key = NULL;

    AW_TRY(chain_key_read(path, "privkey.pem", &key));
    AW_TRY(read_pem(entry, STORE_CERT, chain_read, &leaf));
    EVP_PKEY *its_key = X509_get0_pubkey(leaf.certificates[0]);
    if (its_key != NULL && EVP_PKEY_eq(its_key, key) == 1)
        return AW_OK;
    ERR_clear_error();
    return aw_fail(AW_CODE_CORRUPT, "privkey.pem is not the key of cert.pem");
}

static aw_result
check_key(struct store_entry *entry, const X509 *leaf)
{
    AW_CLEANUP(aw_secret_free) aw_secret *text = NULL;
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/privkey.pem", entry->live));
    aw_result r = chain_key_file_read(path, "privkey.pem", &text);
    if (r.code == AW_CODE_UNSUPPORTED)
        return check_token(entry);
    AW_TRY(r);
    return stored_key_matches(text, leaf) ? AW_OK : compare_keys(entry, path);
}

static aw_result
examine(struct store_entry *entry)
{
    AW_CLEANUP(chain_free) struct chain leaf = {0};

    aw_result versions = read_versions(entry);
    if (!aw_ok(versions))
        AW_TRY(note_fault(entry, versions));
    AW_TRY(read_pem(entry, STORE_CERT, chain_read_bare, &leaf));
    AW_TRY(take_leaf(leaf.certificates[0], entry));
    AW_TRY(check_key(entry, leaf.certificates[0]));
    return check_full(entry);
}

static aw_result
read_once(const char *root, const char *name, struct store_entry *out)
{
    AW_CLEANUP(store_entry_free) struct store_entry entry = {0};
    struct stat st;

    AW_TRY(store_name_check(name));
    AW_TRY(aw_format(&entry.name, "%s", name));
    AW_TRY(aw_format(&entry.live, "%s/live/%s", root, name));
    if (stat(entry.live, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", entry.live);
    aw_result r = examine(&entry);
    if (!aw_ok(r))
        AW_TRY(note_fault(&entry, r));
    *out = entry;
    memset(&entry, 0, sizeof(entry));
    return AW_OK;
}

/* A fault counts when it is seen twice, with memory: see chain_check. */
aw_result
store_read(const char *root, const char *name, struct store_entry *out)
{
    AW_TRY(read_once(root, name, out));
    if (out->fault == NULL)
        return AW_OK;
    store_entry_free(out);
    AW_TRY(read_once(root, name, out));
    if (out->fault == NULL || !aw_openssl_lacked_memory())
        return AW_OK;
    store_entry_free(out);
    return aw_fail_memory();
}

void
store_entry_free(struct store_entry *entry)
{
    for (size_t i = 0; i < entry->name_count; i++)
        free(entry->names[i]);
    free(entry->names);
    free(entry->name);
    free(entry->live);
    free(entry->serial);
    free(entry->issuer);
    free(entry->key_type);
    free(entry->key_uri);
    free(entry->fault);
    memset(entry, 0, sizeof(*entry));
}

static int
is_certificate(const struct dirent *entry)
{
    return strcmp(entry->d_name, "README") != 0 && aw_ok(store_name_check(entry->d_name));
}

aw_result
store_list(const char *root, store_visit visit, void *context)
{
    AW_CLEANUP(aw_free) char *live = NULL;
    AW_CLEANUP(listing_free) struct listing found = {.count = 0};

    AW_TRY(aw_path_join(root, "live", &live));
    AW_TRY(listing_read(live, is_certificate, &found));
    for (int i = 0; i < found.count; i++) {
        AW_CLEANUP(store_entry_free) struct store_entry entry = {0};

        AW_TRY(store_read(root, found.items[i]->d_name, &entry));
        AW_TRY(visit(&entry, context));
    }
    return AW_OK;
}
