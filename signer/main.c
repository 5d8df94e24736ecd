/* acmeward-signer: forks the processes that do what the core must not, opens the core, has the
 * gates opened, waits for signals, closes in order. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <systemd/sd-daemon.h>

#include "common/io.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/program.h"
#include "signer/confine.h"
#include "signer/core.h"
#include "signer/doors.h"
#include "signer/keeper.h"
#include "signer/probe.h"
#include "signer/sockets.h"
#include "signer/users.h"

/* Descriptors: two for each connection of both gates, and room for log, ledger, token and files. */
enum { HOUSEKEEPING_MS = 200, WATCH_MS = 500, DESCRIPTORS = 4 * GATE_CONNECTIONS_MAX + 512 };

static const char usage[] =
    "usage: acmeward-signer [--config FILE] [--check-config | --probe-token [--json]] [--verbose]\n"
    "\n"
    "  --config FILE    signer.yaml (default: " AW_CONFIG_PATH ")\n"
    "  --check-config   report every fault of the configuration and the policies, and exit\n"
    "  --probe-token    try on throw-away keys what the token enforces, and exit; as the signer's\n"
    "                   user, with the signer stopped\n"
    "  --json           tell it as JSON\n"
    "  --verbose        log debug messages too\n"
    "  --version, --help\n"
    "\n"
    "The signer runs in the foreground, for a service manager. SIGHUP reloads, SIGTERM ends.\n"
    "Exit status: 0 ended in order, 2 usage or configuration, 5 token unavailable, 1 otherwise.\n"
    "--probe-token: 0 all that must hold holds, 1 it does not.\n";

struct options {
    const char *config;
    bool check;
    bool probe;
    bool json;
    bool verbose;
};

/* -1: go on. */
static int
parse_options(int argc, char **argv, struct options *out)
{
    const struct aw_program_flag flags[] = {{"check-config", &out->check},
        {"probe-token", &out->probe}, {"json", &out->json}, {"verbose", &out->verbose}};
    int status = aw_program_options(
        &(struct aw_program){"acmeward-signer", usage, &out->config, flags, AW_COUNT(flags)}, argc,
        argv);

    if (status != -1 || (out->probe ? !out->check : !out->json))
        return status;
    fprintf(stderr, "acmeward-signer: --json goes with --probe-token, --check-config does not\n%s",
        usage);
    return aw_code_exit(AW_CODE_USAGE);
}

static int
check_config(const char *path)
{
    struct aw_faults faults = {0}, warnings = {0};
    aw_result r = core_check_config(path, &faults, &warnings);

    aw_faults_print(&faults, stdout);
    for (size_t i = 0; i < warnings.count; i++) {
        const struct aw_fault *warning = &warnings.items[i];

        if (warning->line == 0)
            printf("%s: warning: %s\n", warning->file, warning->message);
        else
            printf("%s:%u:%u: warning: %s\n", warning->file, warning->line, warning->column,
                warning->message);
    }
    if (aw_ok(r))
        printf("%s: the configuration and its policies are in order\n", path);
    else if (faults.total == 0)
        aw_program_failed("acmeward-signer");
    else
        fprintf(
            stderr, "acmeward-signer: %zu fault%s\n", faults.total, faults.total == 1 ? "" : "s");
    aw_faults_free(&faults);
    aw_faults_free(&warnings);
    return aw_code_exit(r.code);
}

/* What would have the C library or OpenSSL load or read what we did not choose. The rest is kept,
 * since tokens' modules are configured by it (SOFTHSM2_CONF and the like). */
static const char *const shed[] = {"GCONV_PATH", "GETCONF_DIR", "GLIBC_TUNABLES", "HOSTALIASES",
    "LOCALDOMAIN", "LOCPATH", "MALLOC_TRACE", "NIS_PATH", "NLSPATH", "OPENSSL_ENGINES",
    "OPENSSL_MODULES", "RESOLV_HOST_CONF", "RES_OPTIONS", "TZDIR"};

/* What the dynamic loader has followed already can't be taken back. */
static aw_result
check_loader(void)
{
    for (char **variable = environ; *variable != NULL; variable++)
        if (strncmp(*variable, "LD_", strlen("LD_")) == 0)
            return aw_hint(aw_fail(AW_CODE_PERMISSION,
                               "%.*s is set, and could have put foreign code into the signer",
                               (int)strcspn(*variable, "="), *variable),
                "start it without; a library that the token's module needs is found by its own "
                "path, or by ldconfig");
    return AW_OK;
}

/* Descriptors that nobody is meant to have, and variables. */
static void
shed_inheritance(void)
{
    int passed = sd_listen_fds(0);

    close_range(SD_LISTEN_FDS_START + (unsigned)(passed > 0 ? passed : 0), ~0U, 0);
    for (size_t i = 0; i < AW_COUNT(shed); i++)
        unsetenv(shed[i]);
    aw_log_never_wait();
}

/* No core dump, no ptrace by the same user: the PIN and EAB keys pass through this process. */
static aw_result
harden_process(void)
{
    umask(0027);
    AW_TRY(check_loader());
    shed_inheritance();
    AW_TRY(sandbox_drop_privileges());
    /* OpenSSL's default context must not read a configuration that we did not choose. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
        return aw_fail_openssl("can't initialise OpenSSL");
    return AW_OK;
}

/* The processes beside the core. */
struct children {
    users *users;
    keeper *keeper;
};

/* Before anything is opened and any thread is started. */
static aw_result
start_children(const struct aw_config_sandbox *use, struct children *children)
{
    AW_TRY(confine_check(use));
    AW_TRY(users_start(use, &children->users));
    return keeper_start(use, &children->keeper);
}

static void
stop_children(struct children *children)
{
    keeper_stop(&children->keeper);
    users_stop(&children->users);
}

/* Without them nobody can connect, or is known: the service manager starts the signer anew. */
static aw_result
check_children(const struct children *children)
{
    if (users_gone(children->users) || keeper_gone(children->keeper))
        return aw_fail(AW_CODE_INTERNAL, "a process of the signer's own has ended");
    return AW_OK;
}

/* The service manager is told once it knows that the signer is ready. */
static void
reload(struct core *core, bool ready)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};
    struct timespec now;
    char state[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
        (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    if (ready)
        notify_send(state);
    if (aw_ok(core_reload(core, NULL, &faults, &warnings)))
        aw_log(AW_LOG_NOTICE, "configuration and policies were loaded anew");
    else
        aw_log_failure(AW_LOG_ERROR, "the configuration and policies in force are unchanged");
    if (ready)
        notify_send("READY=1");
}

/* True when the signer is to end. */
static bool
take_signal(struct core *core, int fd, bool ready)
{
    struct signalfd_siginfo info;

    if (read(fd, &info, sizeof(info)) != sizeof(info))
        return false;
    if (info.ssi_signo == SIGHUP) {
        reload(core, ready);
        return false;
    }
    aw_log(AW_LOG_NOTICE, "ending on signal %u", info.ssi_signo);
    return true;
}

/* A call to the token that hangs: a thread of its own, since housekeeping may wait for the token.
 */
struct guard {
    struct core *core;
    int stop_fd;
    pthread_t thread;
};

/* Ends the process at once: closing in order would wait for the call. Log and ledger bear it. */
static void *
guard_token(void *context)
{
    const struct guard *guard = context;
    struct pollfd stop = {.fd = guard->stop_fd, .events = POLLIN};

    while (poll(&stop, 1, WATCH_MS) <= 0) {
        aw_result r = token_watch(guard->core->token);
        if (aw_ok(r))
            continue;
        aw_log_failure(AW_LOG_ERROR, "ended at once");
        _exit(aw_code_exit(r.code));
    }
    return NULL;
}

static aw_result
guard_start(struct core *core, struct guard *guard)
{
    guard->core = core;
    guard->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (guard->stop_fd < 0)
        return aw_fail_errno(AW_CODE_INTERNAL, "can't watch the token");
    errno = pthread_create(&guard->thread, NULL, guard_token, guard);
    if (errno == 0)
        return AW_OK;
    aw_result r = aw_fail_errno(AW_CODE_INTERNAL, "can't watch the token");
    aw_close(&guard->stop_fd);
    return r;
}

static void
guard_stop(struct guard *guard)
{
    if (guard->stop_fd < 0)
        return;
    eventfd_write(guard->stop_fd, 1);
    pthread_join(guard->thread, NULL);
    aw_close(&guard->stop_fd);
}

static aw_result
block_signals(int *fd)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is an error of write, not an end */
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    *fd = error == 0 ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
    return *fd >= 0 ? AW_OK : aw_fail_errno(AW_CODE_INTERNAL, "can't take signals");
}

/* Root passes every mode and owner that the files of the signer are protected by. */
static aw_result
check_user(const struct aw_config_sandbox *use)
{
    if (geteuid() != 0)
        return AW_OK;
    if (!use->allow_root)
        return aw_hint(aw_fail(AW_CODE_PERMISSION, "the signer is not run as root"),
            "start it as a user of its own, who owns its state folder, as the unit "
            "acmeward-signer.service does (User=acmeward); where there is none, as in a container, "
            "say allow_root: true in signer.yaml");
    aw_log(AW_LOG_WARNING, "running as root (allow_root in signer.yaml)");
    return AW_OK;
}

/* Whether what the configuration leaves in force is there. */
static aw_result
read_sandbox(const char *config, struct aw_config_sandbox *use)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = confine_read(config, &faults, use);

    core_log_faults(AW_LOG_ERROR, &faults);
    AW_TRY(r);
    AW_TRY(check_user(use));
    if (!use->seccomp || !use->landlock)
        aw_log(AW_LOG_WARNING, "signer.yaml switches off:%s%s", use->seccomp ? "" : " seccomp",
            use->landlock ? "" : " landlock");
    return AW_OK;
}

static aw_result
load_core(const char *config, users *who, struct core **core)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    aw_result r = core_load(config, who, &faults, core);

    core_log_faults(AW_LOG_ERROR, &faults);
    return r;
}

/* From here on nothing can be opened but what the configuration names, and no socket made. So
 * sockets come before, and the token's module, its threads and ours after. */
static aw_result
confine(struct core *core)
{
    int version = sandbox_landlock_version();

    AW_TRY(confine_core(core->config));
    core->sandbox.root = geteuid() == 0;
    core->sandbox.seccomp = core->config->sandbox.seccomp;
    core->sandbox.landlock = core->config->sandbox.landlock ? version : 0;
    return AW_OK;
}

/* What a run of the signer is. */
struct run {
    struct children children;
    struct core *core;
    int signals;
    struct doors doors;
    struct guard guard;
};

static aw_result
prepare(const char *config, struct run *run)
{
    struct aw_config_sandbox use = {.seccomp = true, .landlock = true};

    AW_TRY(harden_process());
    AW_TRY(read_sandbox(config, &use));
    /* With the usual 1024, connections could use up what the log and the token need; the gates need
     * as many. Nothing is logged here: children are still to be forked. */
    bool enough = aw_program_descriptors(DESCRIPTORS);
    AW_TRY(start_children(&use, &run->children));
    if (!enough)
        aw_log(AW_LOG_WARNING, "there may be fewer than %d descriptors: raise LimitNOFILE",
            DESCRIPTORS);
    notify_open();
    AW_TRY(block_signals(&run->signals));
    AW_TRY(load_core(config, run->children.users, &run->core));
    AW_TRY(sockets_open(run->core->config, &run->doors.sockets));
    AW_TRY(confine(run->core));
    AW_TRY(core_start(run->core));
    AW_TRY(guard_start(run->core, &run->guard));
    return doors_open(run->core, run->children.keeper, &run->doors);
}

static aw_result
look_after(const struct run *run)
{
    if (atomic_load(&run->core->token_gone))
        return aw_hint(aw_fail(AW_CODE_TOKEN_GONE, "the token is gone"),
            "the service manager starts the signer anew; check the device");
    AW_TRY(check_children(&run->children));
    AW_TRY(doors_check(&run->doors));
    return core_housekeep(run->core);
}

/* Ready is when both gates accept: who connects then is served. */
static aw_result
wait_for_end(struct run *run)
{
    struct pollfd waits[1 + KEEPER_GATES] = {{.fd = run->signals, .events = POLLIN}};
    bool ready = false;

    for (;;) {
        size_t awaited = ready ? 0 : doors_awaited(&run->doors, &waits[1]);

        if (!ready && awaited == 0) {
            ready = true;
            notify_send("READY=1");
            aw_log(AW_LOG_NOTICE, "ready");
        }
        int got = poll(waits, 1 + awaited, HOUSEKEEPING_MS);
        if (got < 0 && errno != EINTR)
            return aw_fail_errno(AW_CODE_INTERNAL, "can't wait for signals");
        if (got > 0 && waits[0].revents != 0 && take_signal(run->core, run->signals, ready))
            return AW_OK;
        AW_TRY(look_after(run));
    }
}

/* Why it ends is told afterwards: what fails on the way does not take its place. */
static void
end(struct run *run)
{
    struct aw_error why;

    aw_error_save(&why);
    doors_close(&run->doors);
    guard_stop(&run->guard);
    core_close(&run->core);
    aw_close(&run->signals);
    stop_children(&run->children);
    aw_ignore(aw_error_restore(&why), "the caller has its result");
}

static aw_result
serve(const char *config)
{
    AW_CLEANUP(end)
    struct run run = {.signals = -1,
        .doors = {.sockets = {.application = -1, .admin = -1}},
        .guard = {.stop_fd = -1}};

    AW_TRY(prepare(config, &run));
    aw_result r = wait_for_end(&run);
    notify_send("STOPPING=1");
    return r;
}

static int
probe(const struct options *options)
{
    bool holds = false;
    aw_result r = harden_process();

    if (aw_ok(r))
        r = probe_token(options->config, options->json, stdout, &holds);
    if (aw_ok(r))
        return holds ? 0 : 1;
    aw_log_failure(AW_LOG_ERROR, "the token was not probed");
    return aw_code_exit(r.code);
}

int
main(int argc, char **argv)
{
    struct options options = {.config = AW_CONFIG_PATH};

    aw_program_streams();
    int status = parse_options(argc, argv, &options);
    if (status >= 0)
        return status;
    aw_log_open("acmeward-signer", options.verbose ? AW_LOG_DEBUG : AW_LOG_INFO);
    if (options.check)
        return check_config(options.config);
    if (options.probe)
        return probe(&options);
    aw_result r = serve(options.config);
    if (aw_ok(r))
        return 0;
    aw_log_failure(AW_LOG_ERROR, "ended");
    return aw_code_exit(r.code);
}
