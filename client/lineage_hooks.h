/**
 * @file lineage_hooks.h
 * @brief Hooks before, after and at a renewal, with certbot's meaning and environment.
 *
 * Pre and post hooks run once in a run, however many certificates name the same one, and only when
 * something is ordered; post hooks run at its end, also when all failed. Deploy hooks run for each
 * certificate that is new, with RENEWED_LINEAGE and RENEWED_DOMAINS. The programs in
 * renewal-hooks/{pre,post,deploy} run for `renew`, in order of their names, before those of the
 * certificate. A hook that fails is told and does not stop what it stands beside.
 *
 * What has to run at the end is on disk (archive/.post-hooks.json) before the first pre hook runs:
 * a run that is killed between them leaves it to the next one.
 */
#ifndef AW_CLIENT_LINEAGE_HOOKS_H
#define AW_CLIENT_LINEAGE_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "client/output.h"
#include "common/result.h"

/** Different hooks of one run; more are refused. */
enum { LINEAGE_HOOKS_MAX = 1000 };

/** The hooks of one run. */
typedef struct lineage_hooks lineage_hooks;

/**
 * Begins; takes over what a killed run left to be done at the end.
 * @param root the folder of archive/; must outlive it, as `out`
 * @param folders run the programs of renewal-hooks/ too
 * Release: lineage_hooks_free.
 */
AW_MUST_USE aw_result lineage_hooks_new(
    const char *root, bool folders, struct output *out, lineage_hooks **hooks);

/** Releases and nulls; NULL is allowed. Runs nothing. */
void lineage_hooks_free(lineage_hooks **hooks);

/** What a certificate names; NULL: none. */
struct lineage_commands {
    const char *pre, *post, *deploy;
};

/** Before an order of this certificate: its pre hook, and its post hook noted for the end. */
AW_MUST_USE aw_result lineage_hooks_before(
    lineage_hooks *hooks, const struct lineage_commands *commands);

/** A certificate that is new. */
struct lineage {
    const char *live;    /**< its folder */
    const char *domains; /**< names with spaces between */
};

/** Deploy hooks of a new certificate. @return false when one failed, which was told */
bool lineage_hooks_deploy(
    lineage_hooks *hooks, const struct lineage_commands *commands, const struct lineage *lineage);

/** For the post hooks: names that were renewed, or were not. */
void lineage_hooks_note(lineage_hooks *hooks, bool renewed, const char *domains);

/** The end: runs what was noted, once each. @return false when one failed, which was told */
bool lineage_hooks_after(lineage_hooks *hooks);

#endif
