/**
 * @file words.h
 * @brief A text that grows, and what several texts about a policy say alike.
 */
#ifndef AW_POLICY_WORDS_H
#define AW_POLICY_WORDS_H

#include <stdio.h>

#include "policy/policy.h"

enum { POLICY_ALLOWED_SHOWN = 8 }; /**< entries of a shortened list */

/** A text in the making. Zero-initialise; release: policy_words_free. */
struct words {
    char *text;
    size_t size;
    FILE *stream; /**< where it is written */
};

/** Begins; AW_CODE_MEMORY. */
AW_MUST_USE aw_result policy_words_open(struct words *words);

/** Ends and hands the text over; AW_CODE_MEMORY if any of it was lost. */
AW_MUST_USE aw_result policy_words_finish(struct words *words, char **out);

/** Releases what was not handed over. */
void policy_words_free(struct words *words);

/** "ec-p256, ec-p384"; nothing for none. */
void policy_words_keys(FILE *out, uint32_t keys);

/** "classic, shortlived"; "none" for none. */
void policy_words_profiles(FILE *out, const struct policy_application *application);

/** "no"; "yes; from 192.0.2.0/24; validated by http-01". */
void policy_words_relay(FILE *out, const struct policy_relay *relay);

/** True when all that counts with `relay` counts with `wide`. */
bool policy_relay_covers(const struct policy_relay *wide, const struct policy_relay *relay);

/** "2027-06-30". */
void policy_words_day(FILE *out, int64_t seconds);

/** "a.example.edu, below b.example.edu and 3 more"; "nothing" for nothing. */
void policy_words_allowed(FILE *out, const struct policy_application *application, size_t most);

#endif
