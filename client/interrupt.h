/**
 * @file interrupt.h
 * @brief SIGINT, SIGTERM and SIGHUP end a run in order: what was deployed for the CA is removed.
 *
 * The first signal is noted, and whatever waits ends with AW_CODE_INTERRUPTED; a second one, of
 * whatever kind, ends the process at once. One state for the process; before interrupt_begin
 * nothing is caught and all functions answer "no". A process that is forked notes its own signals,
 * any number of them: it may be sent the same one by a terminal or a service manager, which know
 * all processes, and by the one that it was forked by.
 */
#ifndef AW_CLIENT_INTERRUPT_H
#define AW_CLIENT_INTERRUPT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/result.h"

/** Catches the signals, but those that the caller of the program had ignored (nohup). Again:
 * nothing.
 */
AW_MUST_USE aw_result interrupt_begin(void);

/** Whether a signal came; async-signal-safe. */
bool interrupt_came(void);

/** Becomes readable with the first signal and stays so; -1 before interrupt_begin. */
int interrupt_fd(void);

/** Fails when a signal came: AW_CODE_INTERRUPTED. */
AW_MUST_USE aw_result interrupt_check(void);

/** Waits; AW_CODE_INTERRUPTED at once when a signal came or comes. */
AW_MUST_USE aw_result interrupt_wait(int64_t ms);

/** Ends the process by the signal that came, as its caller expects; returns when none did. */
void interrupt_end(void);

#endif
