/* acmeward: chooses the command, tells what came of it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "client/command.h"
#include "client/interrupt.h"
#include "client/trace.h"
#include "common/program.h"

static const struct command {
    const char *name;
    unsigned options;
    aw_result (*run)(const struct options *options, struct output *out);
    const char *help;
} commands[] = {
    {"certonly", OPTIONS_CERTONLY, cmd_certonly, "get a certificate and store it"},
    {"revoke", OPTIONS_REVOKE, cmd_revoke, "revoke a certificate"},
    {"renew", OPTIONS_RENEW, cmd_renew, "renew every certificate that is due"},
    {"orders", OPTIONS_ORDERS, cmd_orders,
        "list the orders under way; orders resume goes on with them"},
    {"import-certbot", OPTIONS_IMPORT, cmd_import_certbot,
        "take over certbot's renewal settings: import-certbot /etc/letsencrypt"},
    {"delete", OPTIONS_DELETE, cmd_delete, "remove a certificate's files and settings"},
    {"whoami", OPTIONS_WHOAMI, cmd_whoami, "show what you may ask the signer for"},
    {"connect", OPTIONS_CONNECT, cmd_connect, "join standard input and output to the signer (ssh)"},
    {"doctor", OPTIONS_DOCTOR, cmd_doctor, "look whether all is well here, and what to do"},
    {"certificates", OPTIONS_CERTIFICATES, cmd_certificates, "list what is stored"},
    {"export", OPTIONS_EXPORT, cmd_export, "write a certificate for another program or host"},
};

static void
print_commands(FILE *stream)
{
    fputs("usage: acmeward COMMAND [OPTIONS]\n\n", stream);
    for (size_t i = 0; i < AW_COUNT(commands); i++)
        fprintf(stream, "  %-14s %s\n", commands[i].name, commands[i].help);
    fputs("\nacmeward COMMAND --help lists its options; acmeward(1) explains them.\n", stream);
}

static void
print_help(const struct command *command)
{
    printf("usage: acmeward %s [OPTIONS]\n\n%s\n\n", command->name, command->help);
    options_print_help(command->options, stdout);
}

static const struct command *
find_command(const char *name)
{
    for (size_t i = 0; i < AW_COUNT(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static aw_result
run(const struct command *command, const struct options *options, struct output *out)
{
    out->json = options->json;
    out->quiet = options->quiet;
    if (options->help) {
        print_help(command);
        return AW_OK;
    }
    if (options->verbose)
        trace_begin(out);
    return command->run(options, out);
}

/* Also "acmeward -d NAME ...": certbot's options may stand before the command, ours may not. */
static int
refuse_command(const char *found)
{
    if (found[0] == '-')
        fputs("acmeward: the command comes first\n", stderr);
    else
        fprintf(stderr, "acmeward: no such command: %s\n", found);
    print_commands(stderr);
    return aw_code_exit(AW_CODE_USAGE);
}

/* A command line that can't be read is answered in the form that it asks for. */
static bool
asks_for_json(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

static int
main_command(int argc, char **argv, bool secret)
{
    AW_CLEANUP(options_free) struct options options = {0};
    AW_CLEANUP(output_close) struct output out;
    const struct command *command = find_command(argv[1]);

    output_open(&out, stdout, stderr);
    out.json = asks_for_json(argc, argv);
    if (command == NULL)
        return refuse_command(argv[1]);
    aw_result r = secret ? options_refuse_secret()
                         : options_read(argc - 1, argv + 1, command->options, &options);
    if (aw_ok(r))
        r = run(command, &options, &out);
    return aw_ok(r) ? 0 : output_failure(&out, r);
}

int
main(int argc, char **argv)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    aw_program_streams();
    bool secret = options_wipe_secrets(argc, argv);

    umask(0077); /* every file's mode is set when it is made */
    sigaction(SIGPIPE, &ignore, NULL);
    if (argc < 2) {
        print_commands(stderr);
        return aw_code_exit(AW_CODE_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_commands(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("acmeward " ACMEWARD_VERSION);
        return 0;
    }
    int status = main_command(argc, argv, secret);
    interrupt_end();
    return status;
}
