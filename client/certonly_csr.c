/* certonly --csr: the key stays where the request was made; here are only names and result. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "client/certonly.h"
#include "client/chain.h"
#include "common/io.h"
#include "csr/csr.h"

/* Octets of a file with a request in it; PEM takes a third more than DER. */
enum { FILE_MAX = 2 * CSR_SIZE_MAX };

/* What the programs that people have write by default, and how they are made to leave it out. */
static const struct {
    const char *rule;
    const char *hint;
} advice[] = {
    {"csr.attribute.missing",
        "the names go into subjectAltName: openssl req -new -key KEY -subj / -addext "
        "subjectAltName=DNS:www.example.edu"},
    {"csr.san.missing", "openssl req -new -key KEY -subj / -addext "
                        "subjectAltName=DNS:www.example.edu"},
    {"csr.subject.attribute",
        "the CA fills the subject in. openssl req: -subj / -addext "
        "subjectAltName=DNS:www.example.edu; keytool: -dname CN=www.example.edu"},
    {"csr.subject.cn-not-in-san",
        "name it in subjectAltName too: openssl req ... -addext "
        "subjectAltName=DNS:www.example.edu; keytool: -ext san=dns:www.example.edu"},
    {"csr.extension.unknown",
        "the CA chooses the other extensions; openssl req: leave req_extensions out, or keep to "
        "subjectAltName, keyUsage, extendedKeyUsage and subjectKeyIdentifier = hash"},
    {"csr.attribute.unknown",
        "certreq and IIS add attributes of Windows that can't be left out: make key and request "
        "with openssl and import both as PKCS#12 (docs/distribution.md)"},
    {"csr.attribute.challenge-password",
        "leave the challenge password empty when openssl req asks"},
};

static aw_result
advise(aw_result r, const char *rule)
{
    for (size_t i = 0; i < AW_COUNT(advice); i++)
        if (strcmp(advice[i].rule, rule) == 0)
            return aw_hint(r, "%s", advice[i].hint);
    return r;
}

static aw_result
read_input(char **text, size_t *size)
{
    AW_CLEANUP(aw_secret_free) aw_secret *input = NULL;

    AW_TRY(aw_secret_new(FILE_MAX, &input));
    AW_TRY(aw_context(aw_fd_read_secret(STDIN_FILENO, input), "standard input"));
    *text = malloc(input->size + 1);
    if (*text == NULL)
        return aw_fail_memory();
    memcpy(*text, input->data, input->size);
    (*text)[input->size] = '\0';
    *size = input->size;
    return AW_OK;
}

static aw_result
take_names(struct certonly *c, const struct csr *parsed)
{
    c->names = calloc(parsed->name_count, sizeof(*c->names));
    if (c->names == NULL)
        return aw_fail_memory();
    memcpy(c->names, parsed->names, parsed->name_count * sizeof(*c->names));
    c->name_count = parsed->name_count;
    return aw_format(&c->cert_name, "%s", c->names[0].text);
}

static aw_result
parse(struct certonly *c)
{
    AW_CLEANUP(csr_free) struct csr *parsed = NULL;
    char rule[CSR_RULE_SIZE] = "";

    aw_result r = csr_parse(c->csr.der, c->csr.size, NULL, NULL, rule, &parsed);
    if (!aw_ok(r))
        return aw_context(advise(r, rule), "refused (rule %s)", rule);
    AW_TRY(take_names(c, parsed));
    return chain_csr_key(c->csr.der, c->csr.size, &c->csr.key);
}

static aw_result
refuse_others(const struct options *o)
{
    const struct {
        const char *name;
        bool given;
    } others[] = {{"domain", o->name_count > 0}, {"cert-name", o->cert_name != NULL},
        {"key-type", o->key_type != NULL}, {"key-uri", o->key_uri != NULL},
        {"reuse-key", o->reuse_key}, {"new-key", o->new_key}, {"must-staple", o->must_staple},
        {"dry-run", o->dry_run}, {"pre-hook", o->pre_hook != NULL},
        {"post-hook", o->post_hook != NULL}, {"deploy-hook", o->deploy_hook != NULL}};

    for (size_t i = 0; i < AW_COUNT(others); i++)
        if (others[i].given)
            return aw_hint(aw_fail(AW_CODE_USAGE, "--%s does not go with --csr", others[i].name),
                "names, key and extensions are those of the CSR; nothing is stored under a name");
    return AW_OK;
}

aw_result
certonly_csr_read(struct certonly *c)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    const char *file = c->options->csr;
    bool input = strcmp(file, "-") == 0;
    size_t size = 0;

    AW_TRY(refuse_others(c->options));
    AW_TRY(input ? read_input(&text, &size) : aw_file_read(file, FILE_MAX, &text, &size));
    aw_result r = csr_from_text(text, size, &c->csr.der, &c->csr.size);
    if (aw_ok(r))
        r = parse(c);
    return aw_context(r, "--csr %s", input ? "from standard input" : file);
}

aw_result
certonly_csr_refuse_paths(const struct options *o)
{
    if (o->csr != NULL ||
        (o->cert_path == NULL && o->chain_path == NULL && o->fullchain_path == NULL))
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_USAGE, "--cert-path, --chain-path and --fullchain-path go with --csr"),
        "other certificates are in live/NAME; acmeward export copies them");
}

/* Where a file can't be made, an order would be wasted. */
aw_result
certonly_csr_check_paths(const struct certonly *c)
{
    const char *const paths[] = {
        c->options->cert_path, c->options->chain_path, c->options->fullchain_path};

    for (size_t i = 0; i < AW_COUNT(paths); i++) {
        AW_CLEANUP(aw_free) char *folder = NULL;

        if (paths[i] == NULL)
            continue;
        AW_TRY(aw_path_folder(paths[i], &folder));
        if (access(folder, W_OK | X_OK) != 0)
            return aw_fail_errno(AW_CODE_IO, "can't write %s", paths[i]);
    }
    return AW_OK;
}

static aw_result
write_part(const char *path, const struct chain *chain, size_t first, size_t count)
{
    AW_CLEANUP(aw_free) char *pem = NULL;

    if (path == NULL)
        return AW_OK;
    AW_TRY(chain_pem(chain, first, count, &pem));
    return aw_file_replace(path, pem, strlen(pem), 0644);
}

static aw_result
write_json(const struct certonly *c, const struct chain *chain, const char *pem)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "status", "issued");
    aw_json_pair(&w, "csr", c->options->csr);
    aw_json_name(&w, "names");
    aw_json_begin_array(&w);
    for (size_t i = 0; i < c->name_count; i++)
        aw_json_write_string(&w, c->names[i].text);
    aw_json_end_array(&w);
    aw_json_pair(&w, "application", c->application->name);
    aw_json_pair(&w, "serial", chain->serial);
    aw_json_pair_integer(&w, "not_before", chain->not_before);
    aw_json_pair_integer(&w, "not_after", chain->not_after);
    aw_json_pair(&w, "cert", c->options->cert_path);
    aw_json_pair(&w, "chain", c->options->chain_path);
    aw_json_pair(&w, "fullchain", c->options->fullchain_path);
    aw_json_pair(&w, "pem", pem);
    aw_json_end_object(&w);
    return output_json(c->out, &w);
}

aw_result
certonly_csr_deliver(const struct certonly *c, const struct chain *chain)
{
    AW_CLEANUP(aw_free) char *pem = NULL;
    const struct options *o = c->options;
    bool files = o->cert_path != NULL || o->chain_path != NULL || o->fullchain_path != NULL;
    char expiry[32];

    AW_TRY(write_part(o->cert_path, chain, 0, 1));
    AW_TRY(write_part(o->chain_path, chain, 1, CHAIN_CERTIFICATES_MAX));
    AW_TRY(write_part(o->fullchain_path, chain, 0, CHAIN_CERTIFICATES_MAX));
    AW_TRY(chain_pem(chain, 0, CHAIN_CERTIFICATES_MAX, &pem));
    AW_TRY(write_json(c, chain, pem));
    output_clear(c->out);
    aw_time_text(chain->not_after, expiry);
    output_note(c->out, "issued: for %s%s, expires %s, serial %s", c->names[0].text,
        c->name_count > 1 ? " and others" : "", expiry, chain->serial);
    if (files || c->out->json)
        return AW_OK;
    return fputs(pem, c->out->results) < 0 || fflush(c->out->results) != 0
               ? aw_fail_errno(AW_CODE_IO, "can't write the certificate")
               : AW_OK;
}

void
certonly_csr_free(struct certonly_csr *csr)
{
    free(csr->der);
    chain_key_free(&csr->key);
    memset(csr, 0, sizeof(*csr));
}
