/**
 * @file watch.h
 * @brief What administrators must look at: room for records that runs out, a clock that was
 * stepped.
 */
#ifndef AW_SIGNER_WATCH_H
#define AW_SIGNER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

struct core;

/** What was told already, so that it is told once. Only housekeeping uses it. */
struct watch {
    bool clock_off;
    int64_t clock_off_ms; /**< when it was off for the last time, monotonic */
    bool room_low;
};

/** Looks, and tells by an alarm record and a line of the log. */
AW_MUST_USE aw_result watch_look(struct core *core);

#endif
