/**
 * @file filter.h
 * @brief Which system calls a process can make (seccomp).
 */
#ifndef AW_COMMON_FILTER_H
#define AW_COMMON_FILTER_H

#include "common/sandbox.h"

/** Puts the process's list in force, for all its threads. */
AW_MUST_USE aw_result filter_enter(const struct sandbox *sandbox);

#endif
