/* acmeward-relay: reads its configuration, listens, gives up what it does not need, serves, ends in
 * order. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/program.h"
#include "common/sandbox.h"
#include "relay/config.h"
#include "relay/confine.h"
#include "relay/listen.h"
#include "relay/server.h"

static const char usage[] =
    "usage: acmeward-relay [--config FILE] [--check-config] [--verbose]\n"
    "\n"
    "  --config FILE    relay.yaml (default: " RELAY_CONFIG_PATH ")\n"
    "  --check-config   report every fault of the configuration, and exit\n"
    "  --verbose        log debug messages too\n"
    "  --version, --help\n"
    "\n"
    "The relay runs in the foreground, for a service manager. SIGHUP loads its certificate anew,\n"
    "SIGTERM ends it.\n"
    "Exit status: 0 ended in order, 2 usage or configuration, 1 otherwise.\n";

struct options {
    const char *config;
    bool check;
    bool verbose;
};

/* -1: go on. */
static int
parse_options(int argc, char **argv, struct options *out)
{
    const struct aw_program_flag flags[] = {
        {"check-config", &out->check}, {"verbose", &out->verbose}};

    return aw_program_options(
        &(struct aw_program){"acmeward-relay", usage, &out->config, flags, AW_COUNT(flags)}, argc,
        argv);
}

/* Every fault is shown; what is no fault of the file is this thread's last error. */
static aw_result
load(const char *path, FILE *shown, struct relay_config **out)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};

    aw_result r = relay_config_load(path, &faults, out);
    aw_faults_print(&faults, shown);
    return r;
}

static int
check_config(const char *path)
{
    AW_CLEANUP(relay_config_free) struct relay_config *config = NULL;
    AW_CLEANUP(relay_tls_free) struct relay_tls *tls = NULL;

    aw_result r = load(path, stdout, &config);
    if (aw_ok(r))
        r = relay_tls_new(config, &tls);
    if (aw_ok(r))
        printf("%s: the configuration is in order\n", path);
    else
        aw_program_failed("acmeward-relay");
    return aw_code_exit(r.code);
}

/* Descriptors: connections, a few for each worker (signer, CA, store), and room for the rest. */
static void
raise_descriptors(const struct relay_config *config)
{
    enum { OF_A_WORKER = 8, OTHERS = 256 };
    rlim_t wanted = (rlim_t)config->limits.connections +
                    (rlim_t)(config->limits.workers + config->limits.orders) * OF_A_WORKER + OTHERS;

    if (!aw_program_descriptors(wanted))
        aw_log(AW_LOG_WARNING,
            "limits.connections wants %llu descriptors, and there may not be as many: raise "
            "LimitNOFILE",
            (unsigned long long)wanted);
}

static aw_result
take_signals(int *out)
{
    sigset_t taken;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&taken);
    sigaddset(&taken, SIGHUP);
    sigaddset(&taken, SIGINT);
    sigaddset(&taken, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &taken, NULL);
    *out = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out >= 0 ? AW_OK : aw_fail_errno(AW_CODE_IO, "can't take signals");
}

static aw_result
check_state(const struct relay_config *config)
{
    return aw_hint(aw_path_check(config->state, geteuid(), 0027),
        "the folder that state names belongs to the relay's user, mode 0700");
}

/* What needs rights that are given up afterwards: ports, the key's file. */
static aw_result
prepare(const struct relay_config *config, struct relay_sockets *sockets, struct relay_tls **tls)
{
    if (geteuid() == 0 && !config->sandbox.allow_root)
        return aw_hint(aw_fail(AW_CODE_PERMISSION, "the relay does not run as root"),
            "start it as a user of its own (acmeward-relay); for tests there is allow_root: true");
    AW_TRY(check_state(config));
    AW_TRY(relay_sockets_open(config, sockets));
    AW_TRY(relay_tls_new(config, tls));
    raise_descriptors(config);
    notify_open();
    AW_TRY(sandbox_drop_privileges());
    return relay_confine(config);
}

static aw_result
serve(struct relay_server *server, const struct relay_config *config, struct relay_sockets *sockets)
{
    while (sockets->count > 0)
        AW_TRY(relay_server_listen(server, sockets->fds[--sockets->count]));
    aw_log(AW_LOG_NOTICE, "%s/directory is served", config->url);
    notify_send("READY=1");
    return relay_server_run(server);
}

static aw_result
run(const struct relay_config *config)
{
    AW_CLEANUP(relay_sockets_close) struct relay_sockets sockets = {0};
    AW_CLEANUP(relay_tls_free) struct relay_tls *tls = NULL;
    AW_CLEANUP(relay_close) struct relay relay = {0};
    AW_CLEANUP(relay_server_free) struct relay_server *server = NULL;
    AW_CLEANUP(aw_close) int signals = -1;

    AW_TRY(take_signals(&signals)); /* first: a token's module may start threads */
    AW_TRY(prepare(config, &sockets, &tls));
    AW_TRY(relay_open(config, &relay));
    AW_TRY(relay_server_new(&(struct relay_server_of){&relay, tls, signals}, &server));
    AW_TRY(relay_begin(&relay));
    aw_result r = serve(server, config, &sockets);
    relay_server_free(&server); /* before the descriptor that it listens to */
    return r;
}

int
main(int argc, char **argv)
{
    struct options options = {.config = RELAY_CONFIG_PATH};
    AW_CLEANUP(relay_config_free) struct relay_config *config = NULL;

    aw_program_streams();
    int status = parse_options(argc, argv, &options);
    if (status >= 0)
        return status;
    umask(0027);
    if (options.check)
        return check_config(options.config);
    aw_log_open("acmeward-relay", options.verbose ? AW_LOG_DEBUG : AW_LOG_INFO);
    aw_log_never_wait();
    aw_result r = load(options.config, stderr, &config);
    if (aw_ok(r))
        r = run(config);
    if (!aw_ok(r))
        aw_log_failure(AW_LOG_ERROR, "the relay ends");
    return aw_code_exit(r.code);
}
