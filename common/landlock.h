/**
 * @file landlock.h
 * @brief Landlock (landlock(7)): which files and networks a thread and its successors can reach.
 */
#ifndef AW_COMMON_LANDLOCK_H
#define AW_COMMON_LANDLOCK_H

#include "common/sandbox.h"

/** Puts the paths in force, with every right that this kernel can take away taken away elsewhere.
 */
AW_MUST_USE aw_result landlock_enter(const struct sandbox *sandbox);

#endif
