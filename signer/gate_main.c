/* acmeward-gate: started by the signer with a listening socket and a socket to its core. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/log.h"
#include "signer/gate.h"
#include "signer/keeper.h"

static aw_result
harden_process(void)
{
    const struct rlimit none = {0, 0};

    if (prctl(PR_SET_DUMPABLE, 0) != 0 || setrlimit(RLIMIT_CORE, &none) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return aw_fail_errno(AW_CODE_INTERNAL, "can't switch core dumps and new privileges off");
    signal(SIGPIPE, SIG_IGN);
    return AW_OK;
}

int
main(int argc, char **argv)
{
    static const struct gate_limits limits = GATE_LIMITS;
    static const char *const names[] = KEEPER_GATE_NAMES;

    if (argc != 2 || (strcmp(argv[1], names[KEEPER_APPLICATIONS]) != 0 &&
                         strcmp(argv[1], names[KEEPER_ADMINISTRATORS]) != 0)) {
        fputs("acmeward-gate: acmeward-signer starts this program; it is of no use by itself\n",
            stderr);
        return EXIT_FAILURE;
    }
    aw_log_open("acmeward-gate", AW_LOG_INFO);
    aw_result r = harden_process();
    if (aw_ok(r))
        r = gate_run(KEEPER_LISTEN_FD, KEEPER_CORE_FD, &limits);
    if (aw_ok(r))
        return EXIT_SUCCESS;
    aw_log_failure(AW_LOG_ERROR, argv[1]);
    return EXIT_FAILURE;
}
