/**
 * @file sandbox_tries.h
 * @brief What each of the signer's processes, and the relay, tries in its sandbox, and what it is
 * answered.
 */
#ifndef AW_TESTS_SANDBOX_TRIES_H
#define AW_TESTS_SANDBOX_TRIES_H

#include <stdbool.h>
#include <stddef.h>

/** Answers, beside errno. */
enum { DONE = 0, KILLED = 1000 };

/** A folder with what the core has, and things beside that it has not. */
extern char sandbox_folder[64];

/** Where `name` is in it; overwritten by the next call. */
const char *sandbox_at(const char *name);

/** A try gives -1 and errno, or what is no fault; -1 as an answer: it is not asked. */
struct sandbox_try {
    const char *name;
    long (*try)(void);
    int core, gate, keeper, users, relay, starting; /**< the last: a relay that starts programs */
    bool left;                                      /**< to sanitizers */
};

extern const struct sandbox_try sandbox_tries[];
extern const size_t sandbox_try_count;

/** Those that are tried under other configurations too. */
long try_read_beside(void);
long try_write_beside(void);
long try_socket_inet(void);
long try_socket_unix(void);
long try_socket_packet(void);
long try_list_home(void);
long try_control_terminal(void);

#endif
