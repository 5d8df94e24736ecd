/**
 * @file sandbox.h
 * @brief What a process gives up before it looks at anything foreign: privileges,
 * dumps, system calls (seccomp), files and networks (Landlock).
 *
 * Each process has an allow-list. What can't be put in force ends the process's start: there is no
 * quiet way without. Nothing can be taken back afterwards.
 */
#ifndef AW_COMMON_SANDBOX_H
#define AW_COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"
#include "common/result.h"

/** Which process it is: what that one does is allowed. */
enum sandbox_kind {
    SANDBOX_CORE,   /**< files below named paths; no socket is made, nothing is started */
    SANDBOX_GATE,   /**< uses the descriptors it has, starts threads; opens nothing */
    SANDBOX_KEEPER, /**< starts gates */
    SANDBOX_USERS,  /**< asks the system's databases, which may be behind a socket; writes nothing
                     */
    SANDBOX_RELAY,  /**< serves, calls the signer and CAs, keeps a store; starts nothing */
    SANDBOX_RELAY_PROGRAMS, /**< starts programs too: ssh, hooks */
    SANDBOX_KINDS
};

/** What may be done below a path. */
enum sandbox_access {
    SANDBOX_READ,    /**< read files, list folders */
    SANDBOX_PROGRAM, /**< read, and execute */
    SANDBOX_WRITE,   /**< read, write, make and remove files and folders */
    SANDBOX_REMOVE,  /**< remove files */
    SANDBOX_DEVICE,  /**< read, write, control devices */
};

/** A file or folder; one that is not there opens nothing. */
struct sandbox_path {
    const char *path;
    enum sandbox_access access;
};

/** What a process keeps. */
struct sandbox {
    enum sandbox_kind kind;
    struct aw_config_sandbox use;   /**< what of it the configuration leaves in force */
    enum aw_config_network network; /**< of the core: what the token's module needs */
    bool devices;                   /**< of the core: likewise */
    bool reconnects; /**< of the core: syslog may go and come, on a socket that is there */
    const struct sandbox_path *paths;
    size_t path_count;
};

/** No core dumps, no tracing by others, no new privileges, no capabilities, in any set that can be
 * emptied. AW_CODE_PERMISSION when one is left. */
AW_MUST_USE aw_result sandbox_drop_privileges(void);

/**
 * Puts the rest in force, for this thread and those that it starts: so before there is another.
 * @return AW_CODE_UNSUPPORTED, with what to do, when the kernel does not offer it
 */
AW_MUST_USE aw_result sandbox_enter(const struct sandbox *sandbox);

/** The kernel's version of Landlock's interface; 0: it has none, or it is switched off. */
int sandbox_landlock_version(void);

#endif
