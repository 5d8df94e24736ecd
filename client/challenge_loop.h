/**
 * @file challenge_loop.h
 * @brief libevent's loop in a thread of its own, for the servers that answer challenges; an eventfd
 * ends it.
 *
 * Listen, give a server the port's socket and the loop's base, start it; stop it, release the
 * server, close it.
 */
#ifndef AW_CLIENT_CHALLENGE_LOOP_H
#define AW_CLIENT_CHALLENGE_LOOP_H

#include <pthread.h>
#include <stdbool.h>

#include "common/result.h"

struct event;
struct event_base;

/** The loop; closed when it is CHALLENGE_LOOP_CLOSED. */
struct challenge_loop {
    struct event_base *base; /**< what a server is added to */
    struct event *stop;
    int stop_fd;
    unsigned port; /**< that is listened at */
    pthread_t thread;
    bool running;
};

/** What a loop is before it listens. */
#define CHALLENGE_LOOP_CLOSED ((struct challenge_loop){.stop_fd = -1})

/**
 * Listens as challenge_listen does, and makes the base. Release, after a failure too:
 * challenge_loop_close.
 * @param[out] fd the port's socket, for the server to take over
 */
AW_MUST_USE aw_result challenge_loop_listen(
    struct challenge_loop *loop, const char *address, unsigned port, const char *option, int *fd);

/** Starts the thread, which no signal interrupts: they are for the main thread. */
AW_MUST_USE aw_result challenge_loop_start(struct challenge_loop *loop);

/** Ends the thread and waits for it, if it was started. */
void challenge_loop_stop(struct challenge_loop *loop);

/** Releases what is left once the loop has been stopped. */
void challenge_loop_close(struct challenge_loop *loop);

#endif
