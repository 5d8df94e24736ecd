/**
 * @file clock.h
 * @brief The time that records and quotas go by: the real-time clock, as far as it runs evenly.
 *
 * A step of the clock must not reset a quota, nor hold it used up for years (attack 92). So within
 * a run this time keeps to what has really passed (CLOCK_BOOTTIME, which nobody sets): it follows
 * the real-time clock within CLOCK_SLACK seconds and one part in CLOCK_DRIFT, and no further. It
 * begins at the later of the real-time clock and the log's last record, since records never go
 * back. What the policy asks (expiry) goes by the real-time clock itself: core_now.
 */
#ifndef AW_SIGNER_CLOCK_H
#define AW_SIGNER_CLOCK_H

#include <stdint.h>

/** Limits. */
enum {
    CLOCK_SLACK = 60, /**< seconds that a correction of the clock may be, in all, at once */
    CLOCK_DRIFT = 64, /**< part of the time passed that it may be besides: 56 seconds an hour */
};

/** When the run began. Does not change afterwards, so threads may share it. */
struct clock {
    int64_t begin; /**< Unix seconds */
    int64_t boot;  /**< seconds of CLOCK_BOOTTIME */
};

/** Begins a run: `last` is the time of the log's last record. */
void clock_begin(struct clock *clock, int64_t last);

/**
 * The time now. `ahead`, if not NULL, gets the seconds that the real-time clock is ahead of it
 * (negative: behind): anything but 0 means that it was stepped, or is behind the log.
 */
int64_t clock_now(const struct clock *clock, int64_t *ahead);

#endif
