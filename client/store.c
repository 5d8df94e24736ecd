#include "client/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/store_steps.h"
#include "common/io.h"
#include "common/log.h"

const char *const store_kind_names[STORE_KINDS] = {"cert", "chain", "fullchain", "privkey"};

static const char readme[] =
    "The files here are links to the newest version in ../../archive. Give your server their\n"
    "paths, so that it finds the next version there too:\n"
    "\n"
    "  fullchain.pem  the certificate and the chain above it: what most servers want\n"
    "  privkey.pem    the private key of the certificate\n"
    "  cert.pem       the certificate alone\n"
    "  chain.pem      the chain alone\n"
    "\n"
    "Do not move or edit them: acmeward renames links into place and refuses to work on files\n"
    "that it did not make.\n";

aw_result
store_name_check(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    size_t length = strlen(name);
    char shown[STORE_NAME_MAX + 1];

    if (length > 0 && length <= STORE_NAME_MAX && name[0] != '.' && name[0] != '-' &&
        strspn(name, allowed) == length)
        return AW_OK;
    aw_log_escape(name, length, shown, sizeof(shown));
    return aw_hint(aw_fail(AW_CODE_USAGE, "\"%s\" can't be the name of a certificate", shown),
        "expected 1 to %d letters, digits, \"_\", \"-\" and \".\", the first a letter, digit or "
        "\"_\"",
        STORE_NAME_MAX);
}

/* One that is there already may be somebody else's, or a link: the key must not go there. */
static aw_result
own_folder(const char *path, mode_t mode)
{
    AW_TRY(aw_folder_make(path, mode));
    return aw_path_check(path, geteuid(), 0022);
}

static aw_result
make_folder(const char *root, const char *name, mode_t mode)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_path_join(root, name, &path));
    return own_folder(path, mode);
}

/* The key will lie here: nobody else may be able to replace the folders above it. */
static aw_result
make_root(const char *root)
{
    AW_TRY(own_folder(root, 0755));
    AW_TRY(make_folder(root, "archive", 0700));
    return make_folder(root, "live", 0700);
}

static aw_result
write_readme(const store *s)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_path_join(s->live, "README", &path));
    if (access(path, F_OK) == 0)
        return AW_OK;
    return aw_file_replace(path, readme, strlen(readme), 0644);
}

/* A file that is never removed, so that two runs always lock the same one. */
static aw_result
lock(store *s)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(aw_format(&path, "%s/archive/.lock-%s", s->root, s->name));
    s->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->lock < 0)
        return aw_fail_errno(AW_CODE_IO, "can't make %s", path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
        return AW_OK;
    if (errno != EWOULDBLOCK)
        return aw_fail_errno(AW_CODE_IO, "can't lock %s", path);
    return aw_hint(aw_fail(AW_CODE_BUSY, "another run works on certificate %s", s->name),
        "wait for it to end (it holds %s)", path);
}

static aw_result
open_parts(store *s)
{
    AW_TRY(make_root(s->root));
    AW_TRY(lock(s));
    s->fresh = access(s->live, F_OK) != 0;
    AW_TRY(own_folder(s->archive, 0755));
    AW_TRY(own_folder(s->live, 0755));
    AW_TRY(store_mend(s));
    return write_readme(s);
}

aw_result
store_open(const char *root, const char *name, store **out)
{
    AW_CLEANUP(store_close) store *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return aw_fail_memory();
    s->lock = -1;
    AW_TRY(store_name_check(name));
    AW_TRY(aw_format(&s->root, "%s", root));
    AW_TRY(aw_format(&s->name, "%s", name));
    AW_TRY(aw_format(&s->archive, "%s/archive/%s", root, name));
    AW_TRY(aw_format(&s->live, "%s/live/%s", root, name));
    aw_result r = open_parts(s);
    if (r.code == AW_CODE_PERMISSION && aw_error_last()->hint[0] == '\0')
        r = aw_hint(r, "choose a folder that this user may write: --config-dir, or certificates: "
                       "in client.yaml");
    AW_TRY(aw_context(r, "certificate %s", name));
    *out = AW_MOVE(s);
    return AW_OK;
}

const char *
store_live(const store *s)
{
    return s->live;
}

/* Without memory too: it may be why nothing was issued. */
static void
remove_readme(const store *s)
{
    AW_CLEANUP(aw_close) int live = open(s->live, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (live >= 0)
        unlinkat(live, "README", 0);
}

/* Nothing was issued: leave no folders that look as if something had been. */
static void
remove_empty(const store *s)
{
    if (!s->fresh || s->highest > 0 || rmdir(s->archive) != 0)
        return;
    remove_readme(s);
    rmdir(s->live);
}

void
store_close(store **slot)
{
    if (slot == NULL || *slot == NULL)
        return;
    store *s = *slot;

    remove_empty(s);
    aw_close(&s->lock);
    free(s->root);
    free(s->name);
    free(s->archive);
    free(s->live);
    free(s);
    *slot = NULL;
}

static aw_result
path_of(const store *s, enum store_kind kind, unsigned version, char **out)
{
    return aw_format(out, "%s/%s%u.pem", s->archive, store_kind_names[kind], version);
}

/* What has to be durable before the key makes them count is begun with all three first. */
static aw_result
write_public(const store *s, enum store_kind kind, unsigned version, const char *text)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(path_of(s, kind, version, &path));
    return aw_file_replace_unsynced(path, text, strlen(text), 0644);
}

/* A second name of a file that is durable costs no other one. */
static aw_result
place_key(const char *path, const struct store_version *content)
{
    const char *from = content->key_file;

    if (from != NULL && link(from, path) == 0)
        return aw_folder_sync_of(path);
    return aw_file_replace(path, content->key->data, content->key->size, 0600);
}

/* Where the key is, the version is whole: so the others are made durable before. Links are made
 * after it, so the folder is synced with it. */
static aw_result
write_key(const store *s, unsigned version, const struct store_version *content)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    for (unsigned i = 0; i < STORE_PRIVKEY; i++) {
        AW_CLEANUP(aw_free) char *other = NULL;

        AW_TRY(path_of(s, (enum store_kind)i, version, &other));
        AW_TRY(aw_file_sync(other));
    }
    AW_TRY(path_of(s, STORE_PRIVKEY, version, &path));
    return place_key(path, content);
}

aw_result
store_link_prepare(const store *s, enum store_kind kind, unsigned version)
{
    AW_CLEANUP(aw_free) char *target = NULL;
    AW_CLEANUP(aw_free) char *fresh = NULL;
    const char *kind_name = store_kind_names[kind];

    AW_TRY(aw_format(&target, "../../archive/%s/%s%u.pem", s->name, kind_name, version));
    AW_TRY(aw_format(&fresh, "%s/.%s.pem.new", s->live, kind_name));
    if (unlink(fresh) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "can't remove %s", fresh);
    if (symlink(target, fresh) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make the link %s", fresh);
    return AW_OK;
}

/* Allocates nothing: want of memory between two links would leave a key beside another's
 * certificate. */
aw_result
store_link_commit(const store *s, enum store_kind kind)
{
    AW_CLEANUP(aw_close) int live = open(s->live, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char name[32], fresh[32];

    if (live < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open the folder %s", s->live);
    snprintf(name, sizeof(name), "%s.pem", store_kind_names[kind]);
    snprintf(fresh, sizeof(fresh), ".%s.pem.new", store_kind_names[kind]);
    if (renameat(live, fresh, live, name) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't replace the link %s/%s", s->live, name);
    if (kind == STORE_PRIVKEY && fsync(live) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't make the folder %s durable", s->live);
    return AW_OK;
}

aw_result
store_step(const store *s, const struct store_version *content, unsigned version, unsigned step)
{
    const char *const texts[] = {[STORE_CERT] = content->cert,
        [STORE_CHAIN] = content->chain,
        [STORE_FULLCHAIN] = content->fullchain};
    enum store_kind kind = (enum store_kind)(step % STORE_KINDS);

    if (step < STORE_PRIVKEY)
        return write_public(s, kind, version, texts[kind]);
    if (step == STORE_PRIVKEY)
        return write_key(s, version, content);
    if (step < 2 * STORE_KINDS)
        return store_link_prepare(s, kind, version);
    return store_link_commit(s, kind);
}

aw_result
store_add(store *s, const struct store_version *content, unsigned *version)
{
    unsigned next = s->highest + 1;

    if (next > STORE_VERSION_MAX)
        return aw_fail(AW_CODE_LIMIT, "certificate %s has %u versions", s->name, s->highest);
    for (unsigned step = 0; step < STORE_STEPS; step++)
        AW_TRY(aw_context(
            store_step(s, content, next, step), "certificate %s, version %u", s->name, next));
    s->highest = next;
    *version = next;
    return AW_OK;
}

aw_result
store_write(
    const char *root, const char *name, const struct store_version *content, unsigned *version)
{
    AW_CLEANUP(store_close) store *s = NULL;

    AW_TRY(store_open(root, name, &s));
    return store_add(s, content, version);
}
