/**
 * @file exporter.h
 * @brief Puts checkpoints into the folder that they leave the host from.
 *
 * The folder may be a share that hangs for minutes: a thread of its own writes there, and whoever
 * makes checkpoints or asks how it is waits for nothing. Of checkpoints that could not be written
 * yet the last one is kept, which covers those before it.
 */
#ifndef AW_SIGNER_EXPORTER_H
#define AW_SIGNER_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

/** An exporter. Thread-safe. */
typedef struct exporter exporter;

/** Starts the thread. */
AW_MUST_USE aw_result exporter_open(const char *folder, exporter **out);

/** Has the last one written and ends the thread, in a few seconds or not at all: a folder that
 * hangs keeps its thread, which the process's end takes along. Nulls; NULL is allowed. */
void exporter_close(exporter **slot);

/**
 * Has the checkpoint written at once, and again in a minute where that fails. One that was written
 * is not written again.
 * @param note a copy is kept
 * @param size records that it covers: it names the file
 * @param[out] ticket for exporter_wait
 */
AW_MUST_USE aw_result exporter_give(
    exporter *self, const char *note, int64_t size, int64_t *ticket);

/** Waits until what was given, or what came after it, was written or could not be; not for long:
 * AW_CODE_IO may say that the folder has not answered. */
AW_MUST_USE aw_result exporter_wait(exporter *self, int64_t ticket);

/** For `status` and the figures. */
struct exporter_state {
    int64_t exported;    /**< records that the last file which was written covers; 0: none yet */
    int64_t waiting;     /**< files in the folder that nobody has fetched and removed */
    int64_t waiting_for; /**< seconds that the oldest of them has been there; 0: none is */
    char message[AW_ERROR_MESSAGE_SIZE]; /**< why the last attempt failed, or that the folder hangs;
                                              else empty */
};

/** How it is; never waits for the folder. */
void exporter_state(exporter *self, struct exporter_state *out);

#endif
