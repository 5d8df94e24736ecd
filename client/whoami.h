/**
 * @file whoami.h
 * @brief The signer's answer to WhoAmI: which applications this user is, and what they may do.
 */
#ifndef AW_CLIENT_WHOAMI_H
#define AW_CLIENT_WHOAMI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/signer_link.h"
#include "common/json.h"
#include "common/result.h"

/** Limits; more in an answer is a failure. */
enum { WHOAMI_TEXT_MAX = 4096 };

/** One application. Strings are of the reply; NULL where the signer knows none. */
struct whoami_application {
    const char *name;
    const char *owner;
    const char *account;
    const char *state; /**< "ready", or why it is not */
    const char *account_url;
    const char *thumbprint;
    const char *ca;
    const char *directory;   /**< URL */
    const char *new_nonce;   /**< URL */
    const char *revoke_cert; /**< URL */
    int64_t names_per_certificate, orders_per_day, orders_today;
    int64_t revocations_per_day, revocations_today;
    int64_t expires;    /**< 0: never */
    int64_t warn_until; /**< 0: not */
    const cJSON *json;  /**< the whole object; lists are read from it */
};

/** The answer. Release: whoami_free. */
struct whoami {
    cJSON *reply;
    int64_t uid;
    const char *user;
    bool frozen;
    struct whoami_application *applications;
    size_t count;
};

/**
 * Asks. A signer that closes the connection at accept most likely knows no application of this
 * user: that is AW_CODE_UNAVAILABLE, for it may be a full or stopping signer too, and the hint says
 * what to ask for.
 */
AW_MUST_USE aw_result whoami_ask(signer_link *link, struct whoami *out);

/** Reads an answer; takes the tree over, on failure too. */
AW_MUST_USE aw_result whoami_read(cJSON *reply, struct whoami *out);

/** Releases and zeroes. */
void whoami_free(struct whoami *whoami);

/**
 * The application of that name, or the only one for NULL. AW_CODE_REFUSED when this user is none
 * (of that name); AW_CODE_USAGE when it must be named.
 */
AW_MUST_USE aw_result whoami_find(
    const struct whoami *whoami, const char *name, const struct whoami_application **out);

/** Fails when the application can't order now, with the reason. */
AW_MUST_USE aw_result whoami_ready(
    const struct whoami *whoami, const struct whoami_application *application);

/** True when the application's list `member` ("keys", "operations" ...) holds `value`. */
bool
whoami_has(const struct whoami_application *application, const char *member, const char *value);

/** "a, b" of a list of the application or of its `names` object, without control characters;
 * allocated, "" for an empty one. */
AW_MUST_USE aw_result whoami_list_text(const cJSON *object, const char *member, char **out);

/** Writes the reply as JSON text. */
void whoami_write(struct aw_json_writer *w, const cJSON *reply);

#endif
