/**
 * @file overlap.h
 * @brief Warnings about entries of a policy that is valid, for the files of this folder.
 */
#ifndef AW_POLICY_OVERLAP_H
#define AW_POLICY_OVERLAP_H

#include "policy/decide.h"
#include "policy/draft.h"

/** One entry of an application's list. */
struct entry {
    const struct application *application;
    uint32_t claim;
    enum claim_kind kind;
    const char *text;
};

/** Adds a warning at the entry's place. */
void policy_warn_entry(struct draft *draft, const struct entry *entry, const char *format, ...)
    AW_PRINTF(3, 4);

/** Where a claim stands, for a warning about another entry of the same file. */
static inline uint32_t
line_of(const struct draft *draft, uint32_t claim)
{
    return draft->places[claim].line;
}

/** Warns of names that no validation of the section `relay` can prove. */
void policy_warn_relay(struct draft *draft, const struct application *application);

/**
 * Warns of an entry that never decides anything, because an entry of the same application covers
 * it and nobody else has a say in between. An entry of exact that is alone at its name still keeps
 * others' wildcards away, so it is warned of only where the covering entry does that too.
 */
void policy_warn_shadowed(struct draft *draft, const struct entry *entry);

#endif
