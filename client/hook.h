/**
 * @file hook.h
 * @brief A command of the administrator's, run by the shell as certbot runs hooks.
 *
 * `/bin/sh -c COMMAND` in a process group of its own, with standard input closed off (/dev/null),
 * umask 022, and an environment of PATH (HOOK_PATH) and the given variables alone. What it
 * writes is kept up to a limit. It ends with its shell: what it left running in the background is
 * not waited for. At the time limit, or when this process is interrupted, the whole group gets
 * SIGTERM, and SIGKILL after a while.
 */
#ifndef AW_CLIENT_HOOK_H
#define AW_CLIENT_HOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/result.h"

/** Limits. */
enum {
    HOOK_OUTPUT_MAX = 64 * 1024, /**< octets kept of each of its two outputs; the rest is dropped */
    HOOK_SECONDS = 1800,         /**< time limit where none is given: some wait for DNS */
    HOOK_GRACE_MS = 2000,        /**< from SIGTERM to SIGKILL */
    HOOK_VARIABLES_MAX = 32,
};

/** Where a hook's programs are looked for: the same by hand, from cron and from a timer. */
#define HOOK_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** A variable of its environment. */
struct hook_variable {
    const char *name;
    const char *value;
};

/** What to run. */
struct hook {
    const char *option;  /**< how a person gave it, for messages: "--deploy-hook" */
    const char *command; /**< for /bin/sh -c */
    const struct hook_variable *variables;
    size_t variable_count; /**< at most HOOK_VARIABLES_MAX */
    unsigned seconds;      /**< 0: HOOK_SECONDS */
    bool always;           /**< clean-up: runs, and to its end, also when this process is
                                interrupted */
};

/** What it wrote, without white space at the end; NULL where it never ran. */
struct hook_output {
    char *out;
    char *err;
    bool cut; /**< there was more than HOOK_OUTPUT_MAX */
};

/**
 * Runs it and waits. `out` is filled on failure too. Release: hook_output_free, on every path.
 * @return AW_CODE_IO: it ended with another status than 0 or by a signal (its last words are in
 * the message); AW_CODE_TIMEOUT; AW_CODE_INTERRUPTED; AW_CODE_SYNTAX: a variable's name is none
 */
AW_MUST_USE aw_result hook_run(const struct hook *hook, struct hook_output *out);

/** Releases and zeroes. */
void hook_output_free(struct hook_output *output);

/**
 * Looks for the program that a command begins with, where the shell would: AW_CODE_USAGE when there
 * is none, or nothing that can be run. What does not begin with a plain word passes; so does NULL.
 */
AW_MUST_USE aw_result hook_check(const char *option, const char *command);

#endif
