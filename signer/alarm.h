/**
 * @file alarm.h
 * @brief Alarm records about the policy in force: applications that can do nothing.
 */
#ifndef AW_SIGNER_ALARM_H
#define AW_SIGNER_ALARM_H

#include "signer/core.h"

/** Limits. */
enum {
    ALARM_INERT_MAX = 100
}; /**< applications alarmed of one by one; one record counts the rest */

/**
 * Records an alarm, which the log's warnings tell already, for each application of the present
 * policy whose user or group does not exist, but for those that were inert already before a reload.
 * @param before the policy that was in force; NULL: there was none
 * @return what core_record says: an alarm that cannot be recorded must not pass unnoticed
 */
AW_MUST_USE aw_result alarm_inert(struct core *core, const policy_snapshot *before);

#endif
