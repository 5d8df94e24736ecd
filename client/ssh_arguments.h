/**
 * @file ssh_arguments.h
 * @brief The words of an ssh command line, and what is fixed in it whatever the user's
 * configuration says.
 */
#ifndef AW_CLIENT_SSH_ARGUMENTS_H
#define AW_CLIENT_SSH_ARGUMENTS_H

#include <stddef.h>

#include "client/ssh_url.h"

/** Most words of one. */
enum { SSH_ARGUMENTS_MAX = 64 };

/** Words, NULL behind the last; none is copied. */
struct ssh_arguments {
    char *words[SSH_ARGUMENTS_MAX];
    size_t count;
};

/** Adds a word. */
void ssh_arguments_add(struct ssh_arguments *a, const char *word);

/** Adds an option and its value; NULL: neither. */
void ssh_arguments_add_option(struct ssh_arguments *a, const char *option, const char *value);

/**
 * "ssh" and its options, up to the host's name; the remote command is left to the caller.
 * @param config file for ssh -F; NULL: the user's and the system's
 * @param control options of a shared connection, one word; NULL: a connection of its own
 */
void ssh_arguments_begin(
    struct ssh_arguments *a, const struct ssh_url *url, const char *config, const char *control);

#endif
