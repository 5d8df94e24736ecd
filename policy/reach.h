/**
 * @file reach.h
 * @brief Which names the applications of two policies can and cannot have: the part of a comparison
 * that looks at verdicts.
 */
#ifndef AW_POLICY_REACH_H
#define AW_POLICY_REACH_H

#include "policy/changes.h"

/**
 * Adds who gains and who loses names, and entries whose change changes no verdict. It asks about
 * the names that entries which differ speak of, and only those who list them or something above
 * them, so its cost follows the difference.
 */
AW_MUST_USE aw_result policy_reach_compare(const struct comparison *comparison);

#endif
