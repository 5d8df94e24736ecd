/**
 * @file gate_fixture.h
 * @brief A gate and the core's side of it in one process, with a service whose methods are the
 * cases of the tests; and the other end, which calls.
 */
#ifndef AW_TESTS_GATE_FIXTURE_H
#define AW_TESTS_GATE_FIXTURE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "signer/connections.h"

/** Nobody waits longer than PATIENCE_MS for what must come. */
enum { PATIENCE_MS = 20000, LONG_MS = 60000 };

#define CALL "{\"method\":\"org.example.Test." /**< and a name, "\"}" */
#define GOOD "{\"parameters\":{}}"             /**< what is answered */

/** Whether the service admits (the test's user by himself, others by each of their groups), how
 * many calls it has answered. */
extern atomic_bool gate_admits;
extern atomic_int gate_answered;

/** Whether all its answers are held back; whether its calls are light. */
extern atomic_bool gate_paces, gate_light;

/** How often a gate was to be killed. */
extern atomic_int gate_killed;

/** Whom it saw in Who. */
void gate_user(char out[PEER_USER_SIZE]);

/** Wait posts the one and waits for the other. */
extern sem_t gate_entered, gate_released;

/** Both. */
struct gate_fixture {
    char folder[64], path[96];
    struct gate_service service;
    connections *gate;
    int listen_fd;
    int ends[2]; /* of the socket between the two; the core's first, -1 once it is taken */
    pthread_t thread;
    bool hostile; /**< the test is the gate */
    bool silent;  /**< and says not that it accepts */
};

int gate_fixture_setup(void **state);
int gate_fixture_teardown(void **state);

/** The core's side alone: the test is the gate, at ends[1] and listen_fd. */
void gate_fixture_start_hostile(struct gate_fixture *f);

/** Starts and ends both. */
void gate_fixture_start(struct gate_fixture *f);
void gate_fixture_end(struct gate_fixture *f);

/** Connects. */
int gate_dial(const struct gate_fixture *f);

/** Sends a message. */
void gate_say(int fd, const char *text);

/** Reads to a NUL or the end; true when the message is `expected` ("" is the end). */
bool gate_hears(int fd, const char *expected);

/** Calls, and hears the answer; the gate may have closed it by now. */
bool gate_serves(int fd);

/** Takes connections until one is closed by the gate; gives how many stayed. */
int gate_fill(const struct gate_fixture *f, int *fds, int most);

#endif
