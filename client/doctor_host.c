/* What is stored here: folders, certificates, orders under way; and whether a timer renews. */
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/doctor.h"
#include "client/renew.h"
#include "common/io.h"

enum { DAY = 24 * 3600 };

#define TIMER "acmeward-renew.timer"

extern char **environ;

/* Folders. */

static void
look_at_folder(struct doctor *d, const char *name, mode_t forbidden)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    struct stat st;

    aw_result r = name == NULL ? aw_format(&path, "%s", d->config->certificates)
                               : aw_path_join(d->config->certificates, name, &path);
    if (aw_ok(r) && name != NULL && lstat(path, &st) != 0 && errno == ENOENT)
        return;
    if (aw_ok(r))
        r = aw_path_check(path, geteuid(), forbidden);
    if (!aw_ok(r))
        doctor_tell_failure(d, DOCTOR_FAIL, "store");
    else if (access(path, W_OK) != 0)
        doctor_tell(d, DOCTOR_FAIL, "store", path,
            "it can't be written to by this user: run acmeward as its owner, or name another "
            "folder by certificates in client.yaml");
    else
        doctor_tell(d, DOCTOR_OK, "store", path, NULL);
}

/* Certificates. */

static void
look_at_key(struct doctor *d, const struct store_entry *entry)
{
    AW_CLEANUP(aw_free) char *path = NULL, *text = NULL;
    struct stat st;

    if (entry->key_uri != NULL) {
        doctor_look_at_token(d, entry);
        return;
    }
    if (!aw_ok(aw_path_join(entry->live, "privkey.pem", &path)) || stat(path, &st) != 0 ||
        (st.st_mode & 0077) == 0)
        return;
    if (aw_ok(aw_format(&text, "%s: others may read %s (mode %04o)", entry->name, path,
            (unsigned)st.st_mode & 07777)))
        doctor_tell(d, DOCTOR_FAIL, "key", text,
            "chmod 0600 the file; a key that others read is to "
            "be replaced: certonly --force-renewal");
}

static void
look_at_expiry(struct doctor *d, const struct store_entry *entry)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    int64_t left = entry->not_after - (int64_t)time(NULL);
    bool due = left < (entry->not_after - entry->not_before) / RENEW_PART;

    if (!aw_ok(aw_format(&text, "%s: %s %lld days", entry->name, left < 0 ? "EXPIRED since" : "for",
            (long long)(left < 0 ? -left : left) / DAY)))
        return;
    doctor_tell(d,
        left < 0 ? DOCTOR_FAIL
        : due    ? DOCTOR_WARN
                 : DOCTOR_OK,
        "certificate", text, due ? "it is due: renew it, and look why no timer did" : NULL);
}

static aw_result
look_at_certificate(const struct store_entry *entry, void *context)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    struct doctor *d = context;

    if (entry->fault != NULL && aw_ok(aw_format(&text, "%s: %s", entry->name, entry->fault)))
        doctor_tell(d, DOCTOR_FAIL, "certificate", text,
            "acmeward certificates tells more; the next certonly mends what can be mended");
    if (entry->serial != NULL)
        look_at_expiry(d, entry);
    look_at_key(d, entry);
    return AW_OK;
}

/* Orders under way: archive/.order-NAME.json (client/store_order.c). */

static void
look_at_order(struct doctor *d, const char *folder, const char *file)
{
    AW_CLEANUP(aw_free) char *path = NULL, *text = NULL;
    int length = (int)strlen(file) - (int)strlen(".order-") - (int)strlen(".json");
    const char *name = file + strlen(".order-");
    struct stat st;

    if (!aw_ok(aw_path_join(folder, file, &path)) || lstat(path, &st) != 0)
        return;
    long long hours = ((long long)time(NULL) - (long long)st.st_mtime) / 3600;
    if (aw_ok(aw_format(&text, "%.*s has had one under way for %lld hours", length, name, hours)))
        doctor_tell(d, DOCTOR_WARN, "order", text,
            "a run was cut off or the CA did not finish: the next certonly goes on with it");
}

static void
close_folder(DIR **folder)
{
    if (*folder != NULL)
        closedir(*folder);
}

static void
look_at_orders(struct doctor *d)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    size_t found = 0;

    if (!aw_ok(aw_path_join(d->config->certificates, "archive", &path)))
        return;
    AW_CLEANUP(close_folder) DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (const struct dirent *e = readdir(folder); e != NULL; e = readdir(folder)) {
        size_t length = strlen(e->d_name);

        if (strncmp(e->d_name, ".order-", strlen(".order-")) != 0 ||
            length < strlen(".order-.json") ||
            strcmp(e->d_name + length - strlen(".json"), ".json") != 0)
            continue;
        look_at_order(d, path, e->d_name);
        found++;
    }
    if (found == 0)
        doctor_tell(d, DOCTOR_OK, "order", "none was left over", NULL);
}

/* The timer. */

static bool
is_active(const char *unit)
{
    char program[] = "systemctl", verb[] = "is-active", quiet[] = "--quiet";
    AW_CLEANUP(aw_free) char *name = strdup(unit);
    char *const words[] = {program, verb, quiet, name, NULL};
    int status = -1;
    pid_t pid;

    if (name == NULL || posix_spawnp(&pid, program, NULL, NULL, words, environ) != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* sd_booted(3): where systemd is the system's manager this folder is there. */
static void
look_at_timer(struct doctor *d)
{
    if (access("/run/systemd/system", F_OK) != 0)
        doctor_tell(d, DOCTOR_WARN, "timer", "there is no systemd here to renew by a timer",
            "have cron or another manager run the renewals every day");
    else if (is_active(TIMER))
        doctor_tell(d, DOCTOR_OK, "timer", TIMER " is active", NULL);
    else
        doctor_tell(d, DOCTOR_WARN, "timer", TIMER " is not active: nothing is renewed by itself",
            "systemctl enable --now " TIMER ", unless another timer does it");
}

void
doctor_look_at_host(struct doctor *d)
{
    look_at_folder(d, NULL, 0022);
    look_at_folder(d, "archive", 0022);
    look_at_folder(d, "live", 0022);
    if (!aw_ok(store_list(d->config->certificates, look_at_certificate, d)))
        doctor_tell_failure(d, DOCTOR_FAIL, "store");
    look_at_orders(d);
    look_at_timer(d);
}
