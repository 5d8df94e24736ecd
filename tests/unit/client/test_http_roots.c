/* HTTPS to a CA that the system trusts: by the folder of roots, or by the bundle alone. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "client/http.h"
#include "common/io.h"
#include "scripted_ca.h"

#define ROOTS "/etc/ssl/certs" /* Debian's, where libcurl looks */

enum { EXIT_GOT = 0, EXIT_REFUSED = 10, EXIT_OTHER = 11, EXIT_SKIP = 77 };

static const struct row {
    const char *name;
    bool in_folder, in_bundle;
    int exit;
} rows[] = {
    {"in the folder only", true, false, EXIT_GOT},
    {"in the bundle only", false, true, EXIT_GOT},
    {"in both", true, true, EXIT_GOT},
    {"in neither", false, false, EXIT_REFUSED},
};

static bool
put_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0;
}

/* A mount namespace where we are root, whoever we are outside, with no roots in it. */
static bool
hide_roots(void)
{
    char users[64], groups[64];

    snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
    snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put_text("/proc/self/uid_map", users) &&
           put_text("/proc/self/setgroups", "deny") && put_text("/proc/self/gid_map", groups) &&
           mount("none", ROOTS, "tmpfs", 0, "size=64k,mode=0755") == 0;
}

static bool
put_root(const char *pem, const struct row *row)
{
    char path[64];
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *root = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
    bool good = root != NULL;

    if (good) {
        snprintf(path, sizeof(path), ROOTS "/%08lx.0", X509_subject_name_hash(root));
        good = (!row->in_folder || put_text(path, pem)) &&
               (!row->in_bundle || put_text(ROOTS "/ca-certificates.crt", pem));
    }
    X509_free(root);
    BIO_free(bio);
    return good;
}

/* Where the CA is, for a child that was there before it. */
struct place {
    char url[256];
    char ca_file[256];
};

static int
ask_in_child(int from, const struct row *row)
{
    AW_CLEANUP(aw_free) char *pem = NULL;
    AW_CLEANUP(http_close) http *h = NULL;
    AW_CLEANUP(http_response_free) struct http_response response = {0};
    struct place ca;
    size_t size;

    if (read(from, &ca, sizeof(ca)) != (ssize_t)sizeof(ca)) /* of a pipe: whole (PIPE_BUF) */
        return EXIT_OTHER;
    if (!aw_ok(aw_file_read(ca.ca_file, 65536, &pem, &size)) || !hide_roots())
        return EXIT_SKIP;
    if (!put_root(pem, row) || !aw_ok(http_open(&(struct http_options){.ca_file = NULL}, &h)))
        return EXIT_OTHER;
    if (aw_ok(http_request(h, HTTP_GET, ca.url, NULL, &response)))
        return response.status == 200 ? EXIT_GOT : EXIT_OTHER;
    return strstr(aw_error_last()->hint, "--ca-file") != NULL ? EXIT_REFUSED : EXIT_OTHER;
}

static void
tell_child(int to, const struct scripted_ca *ca)
{
    struct place place = {0};

    snprintf(place.url, sizeof(place.url), "%s/x", ca->base);
    snprintf(place.ca_file, sizeof(place.ca_file), "%s", ca->ca_file);
    assert_int_equal(write(to, &place, sizeof(place)), sizeof(place));
}

/* The child is made before the CA's thread: a fork copies locks that another thread holds. */
static void
trusts_the_systems_roots_wherever_they_are(void **state)
{
    static const struct ca_answer answer = {"GET /x", 200, NULL, "{}", CA_CLOSE};
    static const struct ca_server_options plain = {NULL, false};
    unsigned failed = 0;
    bool possible = true;

    (void)state;
    for (size_t i = 0; i < AW_COUNT(rows) && possible; i++) {
        AW_CLEANUP(scripted_ca_stop) struct scripted_ca ca;
        int status = 0, ends[2];

        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(ends[1]);
            _exit(ask_in_child(ends[0], &rows[i]));
        }
        close(ends[0]);
        scripted_ca_start(&ca, &plain);
        scripted_ca_load(&ca, &answer, rows[i].exit == EXIT_GOT ? 1 : 0);
        tell_child(ends[1], &ca);
        close(ends[1]);
        assert_int_equal(waitpid(child, &status, 0), child);
        possible = !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SKIP;
        if (!possible)
            break;
        if (WIFEXITED(status) && WEXITSTATUS(status) == rows[i].exit &&
            scripted_ca_check(&ca, rows[i].name))
            continue;
        failed++;
        print_error("%s: status %x, expected exit %d\n", rows[i].name, status, rows[i].exit);
    }
    assert_int_equal(failed, 0);
    if (!possible) /* no user namespaces here; said where nothing is left to be released */
        skip();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusts_the_systems_roots_wherever_they_are),
    };

    scripted_ca_clean_environment();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
