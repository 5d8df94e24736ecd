#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/challenge.h"
#include "common/io.h"
#include "common/log.h"

/* Folders below a web root, outermost first. */
static const char *const folder_names[] = {".well-known", "acme-challenge"};
enum { FOLDERS = AW_COUNT(folder_names) };

struct deployed {
    struct deployed *next;
    char token[CHALLENGE_TOKEN_MAX + 1]; /* empty once removed */
    bool written;                        /* the file is ours to remove */
    int folders[FOLDERS + 1];            /* descriptors: the web root, then each folder below it */
    bool made[FOLDERS];                  /* which of them we made */
};

struct challenge_webroot {
    struct deployed *first;
};

aw_result
challenge_token_check(const char *token)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(token);
    char shown[CHALLENGE_TOKEN_MAX];

    if (length > 0 && length <= CHALLENGE_TOKEN_MAX && strspn(token, allowed) == length)
        return AW_OK;
    aw_log_escape(token, length, shown, sizeof(shown));
    return aw_hint(aw_fail(AW_CODE_SYNTAX, "the CA's challenge token \"%s\" is none", shown),
        "expected base64url (RFC 8555 8.1); it would become a file's name, so it is not used");
}

aw_result
challenge_webroot_new(challenge_webroot **out)
{
    *out = calloc(1, sizeof(**out));
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static void
remove_file(struct deployed *d)
{
    if (d->written)
        unlinkat(d->folders[FOLDERS], d->token, 0);
    d->written = false;
    d->token[0] = '\0';
}

/* Folders that somebody else has put files into meanwhile stay: they can't be removed. */
static void
release(struct deployed *d)
{
    remove_file(d);
    for (size_t i = FOLDERS; i-- > 0;)
        if (d->made[i])
            unlinkat(d->folders[i], folder_names[i], AT_REMOVEDIR);
    for (size_t i = 0; i <= FOLDERS; i++)
        aw_close(&d->folders[i]);
    free(d);
}

void
challenge_webroot_free(challenge_webroot **w)
{
    if (w == NULL || *w == NULL)
        return;
    for (struct deployed *d = (*w)->first; d != NULL; d = d->next)
        remove_file(d);
    while ((*w)->first != NULL) {
        struct deployed *d = (*w)->first;
        (*w)->first = d->next;
        release(d);
    }
    free(*w);
    *w = NULL;
}

/* Not to the umask's mode: the server is another user. The folder must be the one that we made: the
 * web root's owner may have put another one, or a link, in its place meanwhile. */
static aw_result
open_to_server(int folder, const char *name, const char *root)
{
    struct stat st;

    if (fstat(folder, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s in %s", name, root);
    if (st.st_uid != geteuid())
        return aw_fail(
            AW_CODE_PERMISSION, "somebody replaced the folder %s in the web root %s", name, root);
    if (fchmod(folder, 0755) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set the mode of %s in %s", name, root);
    return AW_OK;
}

/* No link is followed: the web root's owner could lead us, who may be root, anywhere. */
static aw_result
enter_folder(struct deployed *d, size_t index, const char *root)
{
    const char *name = folder_names[index];
    int above = d->folders[index];

    if (mkdirat(above, name, 0755) == 0)
        d->made[index] = true;
    else if (errno != EEXIST)
        return aw_fail_errno(AW_CODE_IO, "can't make the folder %s in the web root %s", name, root);
    d->folders[index + 1] = openat(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->folders[index + 1] < 0)
        return aw_hint(
            aw_fail_errno(AW_CODE_IO, "can't open the folder %s in the web root %s", name, root),
            "it must be a folder and no symbolic link");
    return d->made[index] ? open_to_server(d->folders[index + 1], name, root) : AW_OK;
}

/* A run that was killed leaves its file, and the next one goes on with the same token. What is no
 * file of ours is somebody else's. */
static void
remove_left_over(const struct deployed *d)
{
    int folder = d->folders[FOLDERS];
    struct stat st;

    if (fstatat(folder, d->token, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        st.st_uid == geteuid())
        unlinkat(folder, d->token, 0);
}

static aw_result
write_token(struct deployed *d, const char *root, const char *text)
{
    int folder = d->folders[FOLDERS];

    remove_left_over(d);
    AW_CLEANUP(aw_close)
    int fd = openat(folder, d->token, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        bool taken = errno == EEXIST;
        aw_result r =
            aw_fail_errno(AW_CODE_IO, "can't make %s/" CHALLENGE_PATH "/%s", root, d->token);
        return taken ? aw_hint(r, "it is a link, or somebody else's: remove it") : r;
    }
    d->written = true;
    if (fchmod(fd, 0644) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't set the mode of %s in %s", d->token, root);
    return aw_context(
        aw_fd_write(fd, text, strlen(text)), "%s/" CHALLENGE_PATH "/%s", root, d->token);
}

static aw_result
deploy(struct deployed *d, const char *root, const char *text)
{
    d->folders[0] = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->folders[0] < 0)
        return aw_hint(aw_fail_errno(AW_CODE_IO, "can't open the web root %s", root),
            "--webroot-path is the folder that the web server serves as /");
    for (size_t i = 0; i < FOLDERS; i++)
        AW_TRY(enter_folder(d, i, root));
    return write_token(d, root, text);
}

aw_result
challenge_webroot_deploy(
    challenge_webroot *w, const char *root, const char *token, const char *text)
{
    AW_TRY(challenge_token_check(token));
    struct deployed *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i <= FOLDERS; i++)
        d->folders[i] = -1;
    memcpy(d->token, token, strlen(token) + 1);
    aw_result r = deploy(d, root, text);
    if (!aw_ok(r)) {
        release(d);
        return r;
    }
    d->next = w->first;
    w->first = d;
    return AW_OK;
}

/* Its folders wait for challenge_webroot_free: other tokens may lie in them. */
void
challenge_webroot_remove(challenge_webroot *w, const char *token)
{
    for (struct deployed *d = w->first; d != NULL; d = d->next)
        if (strcmp(d->token, token) == 0) {
            remove_file(d);
            return;
        }
}
