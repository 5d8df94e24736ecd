/**
 * @file ssh_url.h
 * @brief ssh://[user@]host[:port][/socket]: a signer on another host.
 *
 * What is read becomes arguments of ssh and words of a command, so the grammar is narrow: nothing
 * in it can be taken for an option or for something that a shell acts on.
 */
#ifndef AW_CLIENT_SSH_URL_H
#define AW_CLIENT_SSH_URL_H

#include <stdbool.h>

#include "common/result.h"

/** Its parts. Release: ssh_url_free. */
struct ssh_url {
    char *user;   /**< NULL: as ssh chooses */
    char *host;   /**< a name, an alias of the ssh configuration, or an address without brackets */
    char *port;   /**< NULL: as ssh chooses */
    char *socket; /**< absolute path on that host; NULL: as the configuration there says */
};

/** True for a text that is meant as such a URL, right or wrong. */
bool ssh_url_is(const char *text);

/** Parses. AW_CODE_CONFIG with what is wrong; *out is zero then. */
AW_MUST_USE aw_result ssh_url_parse(const char *text, struct ssh_url *out);

/** Releases and zeroes. */
void ssh_url_free(struct ssh_url *url);

#endif
