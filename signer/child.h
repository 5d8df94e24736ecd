/**
 * @file child.h
 * @brief Children of the signer: forked at its start, gone when it is gone.
 */
#ifndef AW_SIGNER_CHILD_H
#define AW_SIGNER_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "common/result.h"

/** What a child is. */
struct child {
    const char *name; /**< as ps(1) shows it */
    const int *keep;  /**< descriptors that it keeps, besides standard error */
    size_t keep_count;
    int (*run)(void *context); /**< what it does; gives its exit status */
    void *context;
};

/**
 * Forks. The child is killed when its parent ends, leaves the signals of the service manager and of
 * the terminal to it, bears a log that nobody reads, and closes every descriptor that it does not
 * keep; then it runs and ends.
 */
AW_MUST_USE aw_result child_start(const struct child *child, pid_t *out);

/** Waits for a child that has been told to end; kills it when it does not in CHILD_END_MS, or
 * leaves that to the kernel, where this process must not kill. */
void child_end(pid_t child);

/** Longest time that a child has to end by itself. */
enum { CHILD_END_MS = 10 * 1000 };

#endif
