#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include <ftw.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "certonly_world.h"
#include "client/command.h"
#include "client/store.h"
#include "common/io.h"

enum { WORDS_MAX = 32 };

static struct party authority, ordered, other_key, other_name, old;

/* The seam: every key that is made is the one that `ordered` is for. */
aw_result __wrap_chain_key_generate(OSSL_LIB_CTX *libctx, const char *type, EVP_PKEY **out);

aw_result
__wrap_chain_key_generate(OSSL_LIB_CTX *libctx, const char *type, EVP_PKEY **out)
{
    (void)libctx;
    (void)type;
    EVP_PKEY_up_ref(ordered.key);
    *out = ordered.key;
    return AW_OK;
}

static char *
chain_of(const struct party *leaf, const char *more)
{
    char *first = authority_pem(leaf->certificate), *second = authority_pem(authority.certificate);
    char *all = authority_join(first, second, more, NULL);

    free(first);
    free(second);
    return all;
}

static void
make_chains(struct world *w)
{
    const char *san = "DNS:a.example.edu";

    authority = authority_make(NULL, &(struct wish){.subject = "Test CA", .ca = true});
    ordered = authority_make(&authority, &(struct wish){.subject = "a", .san = san});
    old = authority_make(&authority, &(struct wish){.subject = "a", .san = san});
    other_key = authority_make(&authority, &(struct wish){.subject = "a", .san = san});
    other_name = authority_make(
        &authority, &(struct wish){.subject = "b", .san = "DNS:b.example.edu", .key = ordered.key});
    char *key = authority_key_pem(ordered.key);
    w->chains[GOOD] = chain_of(&ordered, "");
    w->chains[GARBAGE] = strdup("<html>busy</html>");
    w->chains[OTHER_KEY] = chain_of(&other_key, "");
    w->chains[OTHER_NAME] = chain_of(&other_name, "");
    w->chains[WITH_KEY] = chain_of(&ordered, key);
    w->old_leaf = authority_pem(old.certificate);
    w->old_key = authority_key_pem(old.key);
    free(key);
}

int
make_world(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char yaml[256];

    assert_non_null(w);
    scripted_ca_clean_environment();
    make_chains(w);
    scripted_ca_start(&w->ca, &(struct ca_server_options){0});
    scripted_signer_start(&w->signer, w->ca.base);
    snprintf(w->root, sizeof(w->root), "/dev/shm/acmeward-certonly-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    snprintf(w->config, sizeof(w->config), "%s/client.yaml", w->root);
    snprintf(yaml, sizeof(yaml), "signer: %s\nsigner_user: %s\ncertificates: %s/tls\nca_file: %s\n",
        w->signer.path, getpwuid(geteuid())->pw_name, w->root, w->ca.ca_file);
    assert_true(aw_ok(aw_file_replace(w->config, yaml, strlen(yaml), 0644)));
    snprintf(w->whoami, sizeof(w->whoami),
        "{\"uid\":0,\"user\":\"me\",\"frozen\":false,\"applications\":[{\"name\":\"app\",\"owner\":"
        "\"team@example.edu\",\"account\":\"ov\",\"state\":\"ready\",\"names\":{},\"operations\":"
        "[\"order\"],\"keys\":[\"ec-p256\"],\"limits\":{\"names_per_certificate\":9,"
        "\"orders_per_day\":9,\"orders_today\":0,\"revocations_per_day\":9,\"revocations_today\":0}"
        ",\"account_url\":\"%s/account\",\"thumbprint\":"
        "\"thumb\",\"directory\":{\"ca\":\"loop\",\"directory\":\"%s/dir\",\"newNonce\":"
        "\"%s/nonce\"}}]}",
        w->ca.base, w->ca.base, w->ca.base);
    w->authority = authority;
    *state = w;
    return 0;
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

int
remove_world(void **state)
{
    struct world *w = *state;

    scripted_signer_stop(&w->signer);
    scripted_ca_stop(&w->ca);
    assert_int_equal(nftw(w->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    for (size_t i = 0; i < CHAIN_KINDS; i++)
        free(w->chains[i]);
    free(w->old_leaf);
    free(w->old_key);
    free(w->out);
    free(w->err);
    free(w);
    authority_free(&authority);
    authority_free(&ordered);
    authority_free(&other_key);
    authority_free(&other_name);
    authority_free(&old);
    return 0;
}

/* Stores a good certificate for a.example.edu, if the row begins with one, in an empty folder. */
void
begin(struct world *w, bool stored)
{
    char root[128];
    aw_secret *key = NULL;
    unsigned version = 0;

    snprintf(root, sizeof(root), "%s/tls", w->root);
    nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    if (!stored)
        return;
    assert_true(aw_ok(aw_secret_new(strlen(w->old_key), &key)));
    assert_true(aw_ok(aw_secret_append(key, w->old_key, strlen(w->old_key))));
    const struct store_version content = {w->old_leaf, "", w->old_leaf, key, NULL};
    assert_true(aw_ok(store_write(root, "a.example.edu", &content, &version)));
    aw_secret_free(&key);
}

static aw_result
run_line(const char *words, const char *config, struct output *out)
{
    AW_CLEANUP(options_free) struct options options = {0};
    char text[1024], *argv[WORDS_MAX + 1], *rest = NULL;
    int argc = 0;

    snprintf(text, sizeof(text), "certonly --config %s %s", config, words);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    AW_TRY(options_read(argc, argv, OPTIONS_CERTONLY, &options));
    out->json = options.json;
    out->quiet = options.quiet;
    return cmd_certonly(&options, out);
}

int
run_into(struct world *w, const char *words, FILE *results, FILE *messages)
{
    struct output out;
    int status = 0;

    output_open(&out, results, messages);
    aw_result r = run_line(words, w->config, &out);
    if (!aw_ok(r))
        status = output_failure(&out, r);
    output_close(&out);
    return status;
}

int
run(struct world *w, const char *words)
{
    size_t out_size = 0, err_size = 0;

    free(w->out);
    free(w->err);
    FILE *results = open_memstream(&w->out, &out_size);
    FILE *messages = open_memstream(&w->err, &err_size);
    int status = run_into(w, words, results, messages);
    fclose(results);
    fclose(messages);
    return status;
}
