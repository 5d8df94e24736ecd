#include "client/ssh_arguments.h"

#include <string.h>

#include "client/ssh.h"
#include "common/io.h"

/*
 * ssh_config(5): the first value obtained is used, so that these stand above the user's. Who is
 * trusted and how we log in is left to the user's configuration; what would open a second way
 * through the connection, ask questions, or outlive it, is not.
 */
static const char *const fixed_options[] = {
    "-T",
    "-oBatchMode=yes",
    "-oClearAllForwardings=yes",
    "-oForwardAgent=no",
    "-oForwardX11=no",
    "-oTunnel=no",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oStdinNull=no",
    "-oForkAfterAuthentication=no",
    "-oControlPersist=no",
    "-oConnectionAttempts=1",
    "-oConnectTimeout=20",
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=3",
    "-oLogLevel=INFO",
};
_Static_assert(SSH_CONNECT_TIMEOUT_S == 20, "the option above");

void
ssh_arguments_add(struct ssh_arguments *a, const char *word)
{
    /* posix_spawn(3) and execv(3) do not change them, though their types do not say so. */
    if (a->count + 1 < SSH_ARGUMENTS_MAX)
        memcpy(&a->words[a->count++], &word, sizeof(word));
}

void
ssh_arguments_add_option(struct ssh_arguments *a, const char *option, const char *value)
{
    if (value == NULL)
        return;
    ssh_arguments_add(a, option);
    ssh_arguments_add(a, value);
}

void
ssh_arguments_begin(
    struct ssh_arguments *a, const struct ssh_url *url, const char *config, const char *control)
{
    ssh_arguments_add(a, "ssh");
    for (size_t i = 0; i < AW_COUNT(fixed_options); i++)
        ssh_arguments_add(a, fixed_options[i]);
    ssh_arguments_add_option(a, "-S", control);
    ssh_arguments_add_option(a, "-F", config);
    ssh_arguments_add_option(a, "-l", url->user);
    ssh_arguments_add_option(a, "-p", url->port);
}
