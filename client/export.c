/* The layouts: which files, where, with which modes. */
#include "client/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"

const char *const export_formats[] = {"pem", "pkcs12", "iis-ccs", "haproxy", NULL};

/* One export under way. */
struct work {
    const struct export_request *request;
    struct export_material material;
    struct export_result result;
};

static void
work_free(struct work *w)
{
    export_material_free(&w->material);
    export_result_free(&w->result);
}

bool
export_encrypts(enum export_format format)
{
    return format == EXPORT_PKCS12 || format == EXPORT_IIS_CCS;
}

static aw_result
remember(char ***list, size_t *count, const char *text)
{
    char **grown = realloc(*list, (*count + 1) * sizeof(*grown));

    if (grown == NULL)
        return aw_fail_memory();
    *list = grown;
    AW_TRY(aw_format(&grown[*count], "%s", text));
    (*count)++;
    return AW_OK;
}

/* Something with the key in it, or encrypted: its owner's and the group's that was named. */
static aw_result
write_private(struct work *w, const char *path, const void *bytes, size_t size)
{
    gid_t group = w->request->group;

    AW_TRY(aw_file_replace_for(path, bytes, size, group == (gid_t)-1 ? 0600 : 0640, group));
    return remember(&w->result.files, &w->result.file_count, path);
}

/* FOLDER/NAME.ENDING where the place given is a folder, which HAProxy reads whole. */
static aw_result
file_path(const struct work *w, const char *ending, char **out)
{
    const char *given = w->request->out;
    struct stat st;

    if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
        return aw_format(out, "%s/%s.%s", given, w->request->cert_name, ending);
    return aw_format(out, "%s", given);
}

/* A key in the clear goes only where nobody else can swap folders or files. */
static aw_result
check_place(const char *folder)
{
    struct stat st;

    if (stat(folder, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine folder %s", folder);
    return aw_path_check(folder, geteuid(), 0022);
}

static aw_result
check_place_of(const char *path)
{
    AW_CLEANUP(aw_free) char *folder = NULL;

    AW_TRY(aw_path_folder(path, &folder));
    return check_place(folder);
}

static aw_result
write_haproxy(struct work *w)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *chain = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *bundle = NULL;

    AW_TRY(file_path(w, "pem", &path));
    AW_TRY(check_place_of(path));
    AW_TRY(chain_pem(&w->material.chain, 0, CHAIN_CERTIFICATES_MAX, &chain));
    AW_TRY(chain_key_pem(w->material.key, &key));
    AW_TRY(aw_secret_new(strlen(chain) + key->size, &bundle));
    AW_TRY(aw_secret_append(bundle, chain, strlen(chain)));
    AW_TRY(aw_secret_append(bundle, key->data, key->size));
    return write_private(w, path, bundle->data, bundle->size);
}

/* One of the PEM files that hold no key. */
static aw_result
write_pem(struct work *w, const char *name, size_t first, size_t count)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;

    AW_TRY(aw_path_join(w->request->out, name, &path));
    AW_TRY(chain_pem(&w->material.chain, first, count, &text));
    AW_TRY(aw_file_replace(path, text, strlen(text), 0644));
    return remember(&w->result.files, &w->result.file_count, path);
}

static aw_result
write_folder(struct work *w)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;

    AW_TRY(aw_folder_make(w->request->out, 0755));
    AW_TRY(check_place(w->request->out));
    AW_TRY(aw_path_join(w->request->out, "privkey.pem", &path));
    AW_TRY(chain_key_pem(w->material.key, &key));
    AW_TRY(write_private(w, path, key->data, key->size));
    AW_TRY(write_pem(w, "fullchain.pem", 0, CHAIN_CERTIFICATES_MAX));
    AW_TRY(write_pem(w, "cert.pem", 0, 1));
    return write_pem(w, "chain.pem", 1, CHAIN_CERTIFICATES_MAX);
}

static aw_result
write_pkcs12(struct work *w)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    size_t size = 0;

    AW_TRY(file_path(w, "p12", &path));
    AW_TRY(export_pkcs12(&w->material, w->request, &der, &size));
    return write_private(w, path, der, size);
}

/* "If the certificate is a wild character certificate, use an underscore": Microsoft, Plan SSL
 * Central Certificate Store, 4.2. IIS looks for the host name's file, then for its domain's. */
static aw_result
write_host(struct work *w, const struct aw_name *name, const uint8_t *der, size_t size)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    if (name->form == AW_NAME_ADDRESS)
        return remember(&w->result.skipped, &w->result.skipped_count, name->text);
    AW_TRY(aw_format(&path, "%s/%s.pfx", w->request->out, name->text));
    if (name->form == AW_NAME_WILDCARD)
        path[strlen(w->request->out) + 1] = '_';
    return write_private(w, path, der, size);
}

/* The folder is a share as a rule: one that is not there is not mounted. */
static aw_result
check_share(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0 && errno == ENOENT)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no folder %s", path),
            "mount the share, or make the folder: the store's is not made here");
    if (stat(path, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine folder %s", path);
    return S_ISDIR(st.st_mode) ? AW_OK : aw_fail(AW_CODE_USAGE, "%s is no folder", path);
}

static aw_result
write_iis(struct work *w)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};
    AW_CLEANUP(aw_free) uint8_t *der = NULL;
    size_t size = 0;

    AW_TRY(check_share(w->request->out));
    AW_TRY(chain_leaf_read(w->material.chain.certificates[0], &leaf));
    AW_TRY(export_pkcs12(&w->material, w->request, &der, &size));
    for (size_t i = 0; i < leaf.name_count; i++)
        AW_TRY(write_host(w, &leaf.names[i], der, size));
    if (w->result.file_count == 0)
        return aw_fail(AW_CODE_USAGE, "certificate %s has no host name: IIS could not find it",
            w->request->cert_name);
    return AW_OK;
}

static aw_result
write_format(struct work *w)
{
    switch (w->request->format) {
    case EXPORT_PEM:
        return write_folder(w);
    case EXPORT_PKCS12:
        return write_pkcs12(w);
    case EXPORT_IIS_CCS:
        return write_iis(w);
    case EXPORT_HAPROXY:
        return write_haproxy(w);
    }
    return aw_fail(AW_CODE_INTERNAL, "no such format");
}

static aw_result
take_expiry(struct work *w)
{
    AW_CLEANUP(chain_leaf_free) struct chain_leaf leaf = {0};

    AW_TRY(chain_leaf_read(w->material.chain.certificates[0], &leaf));
    w->result.not_after = leaf.not_after;
    return AW_OK;
}

aw_result
export_run(const struct export_request *request, struct export_result *out)
{
    AW_CLEANUP(work_free) struct work w = {.request = request};

    AW_TRY(export_read(request->root, request->cert_name, &w.material));
    AW_TRY(take_expiry(&w));
    AW_TRY(aw_context(write_format(&w), "certificate %s to %s", request->cert_name, request->out));
    *out = w.result;
    memset(&w.result, 0, sizeof(w.result));
    return AW_OK;
}

static void
free_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

void
export_result_free(struct export_result *result)
{
    free_list(result->files, result->file_count);
    free_list(result->skipped, result->skipped_count);
    memset(result, 0, sizeof(*result));
}
