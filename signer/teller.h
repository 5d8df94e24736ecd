/**
 * @file teller.h
 * @brief Lines of the log that a client can cause: some at once, then one a second, the rest
 * counted.
 */
#ifndef AW_SIGNER_TELLER_H
#define AW_SIGNER_TELLER_H

#include <pthread.h>
#include <stdint.h>

#include "common/log.h"

/** Limits. */
enum {
    TELLER_BURST = 20,      /**< lines at once */
    TELLER_PAUSE_MS = 1000, /**< for one more */
};

/** Begin with TELLER_INIT. Thread-safe. */
struct teller {
    pthread_mutex_t lock;
    int64_t next_ms; /**< when all lines are paid for */
    unsigned untold;
};

/** A teller that has told nothing yet. */
#define TELLER_INIT                       \
    {                                     \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

/** Writes this thread's last failure as aw_log_failure would, or counts it. */
void teller_failure(struct teller *teller, enum aw_log_level level, const char *context);

#endif
