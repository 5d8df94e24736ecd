/**
 * @file diff.h
 * @brief What two policies allow differently: who gains and who loses what, in words.
 *
 * Names are compared by what they are worth, not by where they are listed: a name that another
 * application now holds is lost, though its entry is still there. An entry that changes and changes
 * no verdict is told as such.
 */
#ifndef AW_POLICY_DIFF_H
#define AW_POLICY_DIFF_H

#include "policy/arena.h"
#include "policy/policy.h"

/** What a change means to its subject. */
enum policy_effect { POLICY_GAINS, POLICY_LOSES, POLICY_CHANGES, POLICY_EFFECT_COUNT };

/** "gains", "loses", "changes". */
const char *policy_effect_name(enum policy_effect effect);

/** One change. Texts live as long as the changes. */
struct policy_change {
    bool of_account; /**< the subject is an account, else an application */
    const char *subject;
    enum policy_effect effect;
    const char *what;   /**< "name", "names below", "operation", "limits.orders_per_day" ... */
    const char *text;   /**< which one of them; NULL where there is only one */
    const char *before; /**< what it was, or how it was decided; NULL: there was none */
    const char *after;  /**< what it is, or how it is decided; NULL: there is none */
};

/** All changes, by subject (accounts first), effect, what and text. Zero-initialise. */
struct policy_changes {
    struct policy_change *items;
    size_t count;
    size_t capacity;
    size_t counts[POLICY_EFFECT_COUNT]; /**< of each effect */
    struct policy_arena texts;
};

/** Compares two policies; nothing of them is referred to afterwards. AW_CODE_MEMORY. */
AW_MUST_USE aw_result policy_diff(
    const policy_snapshot *before, const policy_snapshot *after, struct policy_changes *out);

/** Releases and zeroes. */
void policy_changes_free(struct policy_changes *changes);

#endif
