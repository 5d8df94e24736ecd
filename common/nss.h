/**
 * @file nss.h
 * @brief Users and groups by the system's databases (NSS): known, not known, or not to be told.
 *
 * "There is no such user" takes rights away, so it must never stand for "could not look": no
 * memory, no descriptor, a directory service that is down.
 */
#ifndef AW_COMMON_NSS_H
#define AW_COMMON_NSS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/result.h"

/** Looks a user up; may block.
 * @param[out] found false: there is no such user
 * @param[out] uid set where one is found
 * @return AW_CODE_MEMORY, AW_CODE_IO, AW_CODE_PERMISSION: could not look (errno is the cause) */
AW_MUST_USE aw_result aw_nss_user(const char *name, bool *found, uid_t *uid);

/** The same for a group. */
AW_MUST_USE aw_result aw_nss_group(const char *name, bool *found, gid_t *gid);

/** Fails as these do when they could not look a user or group up, with that errno as cause. */
AW_MUST_USE aw_result aw_nss_fail(const char *kind, const char *name, int error);

#endif
