/*
 * acmeward connect: the forced command of a login account on the signer's host. Whoever logs in
 * chooses nothing: SSH_ORIGINAL_COMMAND is not looked at, and what the client asked to be run came
 * to nothing when sshd put this command in its place.
 */
#include <unistd.h>

#include "client/certonly.h"
#include "client/command.h"
#include "client/connect.h"
#include "client/ssh_url.h"
#include "common/varlink.h"

static void
close_stream(aw_varlink_stream **stream)
{
    aw_varlink_stream_free(stream);
}

aw_result
cmd_connect(const struct options *options, struct output *out)
{
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;
    AW_CLEANUP(close_stream) aw_varlink_stream *stream = NULL;

    AW_TRY(certonly_config(options, out, &config));
    if (ssh_url_is(config->signer))
        return aw_hint(aw_fail(AW_CODE_CONFIG,
                           "found the signer %s, expected a socket of this host", config->signer),
            "connect is run on the signer's host, as the forced command of ssh");
    AW_TRY(aw_varlink_connect(config->signer, config->signer_uid, &stream));
    return connect_streams(STDIN_FILENO, STDOUT_FILENO, aw_varlink_stream_fd(stream));
}
