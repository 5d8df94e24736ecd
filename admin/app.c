/* app connect-line: the line that lets another host's key reach the signer through ssh, and no
 * more.
 */
#include <stdio.h>
#include <string.h>

#include "admin/policy_files.h"
#include "admin/ssh_key.h"

/*
 * sshd(8), AUTHORIZED_KEYS FILE FORMAT: restrict switches off forwarding, terminal and ~/.ssh/rc,
 * also what later versions may add; command is run whatever was asked for.
 */
#define LINE "restrict,command=\"" ACMEWARD_CLIENT " connect\" %s %s%s%s\n"

static aw_result
print_json(const struct policy_application *application, const struct ssh_key *key)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    char line[32 * 1024];

    snprintf(line, sizeof(line), LINE, key->type, key->base64, key->comment[0] == '\0' ? "" : " ",
        key->comment);
    line[strcspn(line, "\n")] = '\0';
    aw_json_begin_object(&w);
    aw_json_pair(&w, "application", application->name);
    aw_json_pair(&w, "principals", application->principals);
    aw_json_pair(&w, "line", line);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

/* The line says nothing of the application: who logs in is all that counts. */
static void
print_whose(const struct policy_application *application)
{
    fprintf(stderr,
        "Put this line into .ssh/authorized_keys of the login account that acts for %s on the "
        "signer's host. Its principals are:\n",
        application->name);
    for (const char *p = application->principals; *p != '\0'; p += strspn(p, "\n")) {
        int length = (int)strcspn(p, "\n");

        fprintf(stderr, "  %.*s\n", length, p);
        p += length;
    }
    if (application->inert)
        fprintf(stderr, "There is no %s here: the application is out of use until there is.\n",
            application->missing);
}

aw_result
admin_app_connect_line(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy policy = {0};
    AW_CLEANUP(ssh_key_free) struct ssh_key key = {0};
    const struct policy_application *application;
    const char *words[2];

    AW_TRY(admin_parse(argc, argv, NULL, 0, words, AW_COUNT(words)));
    AW_TRY(ssh_key_read(words[1], &key));
    AW_TRY(admin_policy_load(options, NULL, &policy));
    AW_TRY(admin_policy_find(&policy, words[0], &application));
    if (options->json)
        return print_json(application, &key);
    printf(LINE, key.type, key.base64, key.comment[0] == '\0' ? "" : " ", key.comment);
    fflush(stdout);
    print_whose(application);
    return AW_OK;
}
