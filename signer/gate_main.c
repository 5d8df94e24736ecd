/* acmeward-gate: started by the signer with a listening socket and a socket to its core. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/sandbox.h"
#include "signer/gate.h"
#include "signer/keeper.h"

/* False: not started by the keeper. */
static bool
read_arguments(int argc, char **argv, struct aw_config_sandbox *use)
{
    static const char *const names[] = KEEPER_GATE_NAMES;

    if (argc < 2 || (strcmp(argv[1], names[KEEPER_APPLICATIONS]) != 0 &&
                        strcmp(argv[1], names[KEEPER_ADMINISTRATORS]) != 0))
        return false;
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], KEEPER_NO_SECCOMP) == 0)
            use->seccomp = false;
        else if (strcmp(argv[i], KEEPER_NO_LANDLOCK) == 0)
            use->landlock = false;
        else
            return false;
    return true;
}

/* None at all, but for what counts lines and looks for leaks in tests. */
static const struct sandbox_path paths[] = {
#ifdef ACMEWARD_INSTRUMENTED
    {"/proc", SANDBOX_READ},
#endif
#ifdef ACMEWARD_COUNTERS
    {ACMEWARD_COUNTERS, SANDBOX_WRITE},
#endif
    {NULL, SANDBOX_READ},
};

static aw_result
run(const struct aw_config_sandbox *use)
{
    static const struct gate_limits limits = GATE_LIMITS(GATE_CALLS_PER_UID);
    const struct sandbox sandbox = {
        .kind = SANDBOX_GATE, .use = *use, .paths = paths, .path_count = AW_COUNT(paths) - 1};

    signal(SIGPIPE, SIG_IGN);
    AW_TRY(sandbox_drop_privileges());
    AW_TRY(sandbox_enter(&sandbox));
    return gate_run(KEEPER_LISTEN_FD, KEEPER_CORE_FD, &limits);
}

int
main(int argc, char **argv)
{
    struct aw_config_sandbox use = {.seccomp = true, .landlock = true};

    if (!read_arguments(argc, argv, &use)) {
        fputs("acmeward-gate: acmeward-signer starts this program; it is of no use by itself\n",
            stderr);
        return EXIT_FAILURE;
    }
    aw_log_open("acmeward-gate", AW_LOG_INFO);
    aw_log_never_wait();
    aw_result r = run(&use);
    if (aw_ok(r))
        return EXIT_SUCCESS;
    aw_log_failure(AW_LOG_ERROR, argv[1]);
    return EXIT_FAILURE;
}
