/**
 * @file thread.h
 * @brief Threads of connections, of a gate and of the core: many, so with small stacks.
 */
#ifndef AW_SIGNER_THREAD_H
#define AW_SIGNER_THREAD_H

#include <pthread.h>

#include "common/result.h"

/** Octets of a connection thread's stack. */
enum { THREAD_STACK = 512 * 1024 };

/** Starts a thread, to be joined. */
AW_MUST_USE aw_result thread_start(pthread_t *out, void *(*run)(void *context), void *context);

#endif
