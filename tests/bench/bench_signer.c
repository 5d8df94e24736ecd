/*
 * Load on the signer: threads with a connection each ask for POST-as-GET signatures, or for what
 * takes neither the token nor the disk: orders that are refused, URLs claimed once more, the
 * service's description. Messages are made beforehand and replies only searched, so that what is
 * measured is the signer.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"
#include "common/io.h"
#include "signer/ledger.h"

enum { REPLY_MAX = 64 * 1024 };

/* As long as Pebble's; the signer has no use for it but to sign it. */
#define NONCE "k1mVh8nYyJqWv5o0Hc3Qpw"

struct options {
    const char *socket, *application, *name, *origin;
    double threads, seconds;
    bool ordered; /* an order is opened before */
};

struct client {
    const struct options *options;
    unsigned thread;
    unsigned orders; /* opened so far */
    unsigned left;   /* signatures that the ledger still gives for the order */
    int fd;
    char *call;  /* the message, with its NUL */
    char *claim; /* that of the order's URL, likewise */
    size_t call_size;
    char reply[REPLY_MAX];
};

static aw_result
connect_to(const char *path, int *out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AW_CLEANUP(aw_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(address.sun_path))
        return aw_fail(AW_CODE_USAGE, "%s is too long for a socket's path", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't connect to %s", path);
    *out = fd;
    fd = -1;
    return AW_OK;
}

/* A reply up to its NUL. */
static aw_result
receive(struct client *client)
{
    size_t size = 0;

    do {
        ssize_t got = read(client->fd, client->reply + size, sizeof(client->reply) - size);
        if (got <= 0)
            return aw_fail(AW_CODE_CLOSED, "the signer closed the connection");
        size += (size_t)got;
        if (size == sizeof(client->reply))
            return aw_fail(AW_CODE_LIMIT, "a reply is longer than %zu octets", size);
    } while (client->reply[size - 1] != '\0');
    return AW_OK;
}

static aw_result
exchange(struct client *client, const char *call, size_t size)
{
    AW_TRY(aw_fd_write(client->fd, call, size));
    AW_TRY(receive(client));
    if (strstr(client->reply, "\"error\"") != NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "the signer answers %.900s", client->reply);
    return AW_OK;
}

static aw_result
ask_new_order(struct client *client, long long *order)
{
    static const char member[] = "\"order\":";
    AW_CLEANUP(aw_free) char *call = NULL;

    AW_TRY(aw_format(&call,
        "{\"method\":\"org.acmeward.Signer.NewOrder\",\"parameters\":{\"application\":\"%s\","
        "\"nonce\":\"" NONCE "\",\"identifiers\":[{\"type\":\"dns\",\"value\":\"%s\"}]}}",
        client->options->application, client->options->name));
    AW_TRY(exchange(client, call, strlen(call) + 1));
    const char *found = strstr(client->reply, member);
    if (found == NULL)
        return aw_fail(AW_CODE_SYNTAX, "no order in %.900s", client->reply);
    *order = strtoll(found + strlen(member), NULL, 10);
    return AW_OK;
}

/* The ledger signs LEDGER_POLLS_MAX times for an order: then there is another. */
static aw_result
open_order(struct client *client)
{
    AW_CLEANUP(aw_free) char *url = NULL;
    long long order = 0;

    AW_TRY(ask_new_order(client, &order));
    AW_TRY(aw_format(&url, "%s/my-order/%d-%u-%u", client->options->origin, (int)getpid(),
        client->thread, client->orders++));
    free(client->claim);
    client->claim = NULL;
    AW_TRY(aw_format(&client->claim,
        "{\"method\":\"org.acmeward.Signer.ClaimUrls\",\"parameters\":{\"application\":\"%s\","
        "\"order\":%lld,\"urls\":[{\"kind\":\"order\",\"url\":\"%s\"}]}}",
        client->options->application, order, url));
    AW_TRY(exchange(client, client->claim, strlen(client->claim) + 1));
    free(client->call);
    client->call = NULL;
    AW_TRY(aw_format(&client->call,
        "{\"method\":\"org.acmeward.Signer.PostAsGet\",\"parameters\":{\"application\":\"%s\","
        "\"nonce\":\"" NONCE "\",\"order\":%lld,\"url\":\"%s\"}}",
        client->options->application, order, url));
    client->call_size = strlen(client->call) + 1;
    client->left = LEDGER_POLLS_MAX;
    return AW_OK;
}

/* The job. */

static void
close_client(void *state)
{
    struct client *client = state;

    if (client == NULL)
        return;
    aw_close(&client->fd);
    free(client->call);
    free(client->claim);
    free(client);
}

static aw_result
open_client(void *context, unsigned thread, void **state)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return aw_fail_memory();
    *state = client;
    client->options = context;
    client->thread = thread;
    client->fd = -1;
    AW_TRY(connect_to(client->options->socket, &client->fd));
    return client->options->ordered ? open_order(client) : AW_OK;
}

static aw_result
be_refused(void *state)
{
    struct client *client = state;
    long long order = 0;

    if (aw_ok(ask_new_order(client, &order)))
        return aw_fail(AW_CODE_MISMATCH, "an order was permitted: %.900s", client->reply);
    if (strstr(client->reply, "PolicyRefused") == NULL)
        return aw_fail(AW_CODE_UNAVAILABLE, "no refusal: %s", aw_error_last()->message);
    return AW_OK;
}

static aw_result
sign(void *state)
{
    struct client *client = state;

    if (client->left == 0)
        AW_TRY(open_order(client));
    client->left--;
    AW_TRY(exchange(client, client->call, client->call_size));
    if (strstr(client->reply, "\"signature\"") == NULL)
        return aw_fail(AW_CODE_SYNTAX, "no signature in %.900s", client->reply);
    return AW_OK;
}

static aw_result
claim_again(void *state)
{
    struct client *client = state;

    return exchange(client, client->claim, strlen(client->claim) + 1);
}

static aw_result
describe(void *state)
{
    static const char call[] = "{\"method\":\"org.varlink.service.GetInfo\"}";

    return exchange(state, call, sizeof(call));
}

static aw_result
ask_invalid(void *state)
{
    static const char call[] = "{\"method\":\"org.acmeward.Signer.NewOrder\"}";
    struct client *client = state;

    if (aw_ok(exchange(client, call, sizeof(call))) ||
        strstr(client->reply, "InvalidRequest") == NULL)
        return aw_fail(AW_CODE_MISMATCH, "an invalid call was answered %.900s", client->reply);
    return AW_OK;
}

static const struct load {
    const char *name;
    bool ordered;
    aw_result (*operate)(void *state);
} loads[] = {
    {"signatures", true, sign},
    {"refusals", false, be_refused}, /* the name is not the application's */
    {"claims", true, claim_again},
    {"descriptions", false, describe},
    {"invalid", false, ask_invalid},
};

static const char usage[] =
    "usage: bench_signer --socket PATH --application A --name NAME --origin https://HOST:PORT\n"
    "                    [--threads N] [--seconds S]\n"
    "                    [--ask signatures|refusals|claims|descriptions|invalid]\n";

static aw_result
find_load(const char *name, const struct load **out)
{
    for (size_t i = 0; i < AW_COUNT(loads); i++)
        if (strcmp(loads[i].name, name) == 0) {
            *out = &loads[i];
            return AW_OK;
        }
    return aw_fail(AW_CODE_USAGE, "--ask %s is unknown; %s", name, usage);
}

static aw_result
parse(int argc, char **argv, struct options *out, const struct load **load)
{
    static const struct option names[] = {{"socket", required_argument, NULL, 'u'},
        {"application", required_argument, NULL, 'a'}, {"name", required_argument, NULL, 'd'},
        {"origin", required_argument, NULL, 'o'}, {"threads", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'}, {"ask", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'u')
            out->socket = optarg;
        else if (option == 'a')
            out->application = optarg;
        else if (option == 'd')
            out->name = optarg;
        else if (option == 'o')
            out->origin = optarg;
        else if (option == 'k')
            AW_TRY(find_load(optarg, load));
        else if (option == 'n')
            AW_TRY(bench_number("--threads", optarg, &out->threads));
        else if (option == 's')
            AW_TRY(bench_number("--seconds", optarg, &out->seconds));
        else
            return aw_fail(AW_CODE_USAGE, "the command line is wrong; %s", usage);
    }
    if (out->socket == NULL || out->application == NULL || out->name == NULL || out->origin == NULL)
        return aw_fail(AW_CODE_USAGE, "an option is missing; %s", usage);
    return AW_OK;
}

static aw_result
run(int argc, char **argv, struct bench_outcome *outcome)
{
    struct options options = {.threads = 1, .seconds = 1};
    const struct load *load = &loads[0];

    AW_TRY(parse(argc, argv, &options, &load));
    options.ordered = load->ordered;
    return bench_run(&(struct bench_job){.context = &options,
                         .open = open_client,
                         .operate = load->operate,
                         .close = close_client},
        &(struct bench_plan){(unsigned)options.threads, options.seconds}, outcome);
}

int
main(int argc, char **argv)
{
    static struct bench_outcome outcome;

    if (!aw_ok(run(argc, argv, &outcome)))
        return bench_failed("bench_signer");
    bench_print(&outcome);
    return 0;
}
