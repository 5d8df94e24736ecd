/**
 * @file report_p4.h
 * @brief Evidence for a security review: what was collected, and its page.
 *
 * The signer tells of token, keys, sandbox and freezes (an operator's calls); policies,
 * configuration, audit log and the probe's result are read from files.
 */
#ifndef AW_ADMIN_REPORT_P4_H
#define AW_ADMIN_REPORT_P4_H

#include "admin/audit_files.h"
#include "admin/policy_files.h"
#include "admin/report_page.h"
#include "audit/stored.h"

/** The signer's --probe-token keeps its result there, in the state folder. */
#define P4_PROBE_NAME "probe.json"

/** What was collected. Zero-initialise; release: p4_free. */
struct p4 {
    struct admin_policy policy;
    cJSON *status;   /**< GetStatus */
    cJSON *token;    /**< ExamineToken */
    cJSON *accounts; /**< ListAccounts */
    cJSON *probe;    /**< result of the last probe; NULL: none is kept */
    void *uses;      /**< last uses, by key: a tree (tsearch) */
    struct audit_verdict verdict;
    char damage[AW_ERROR_MESSAGE_SIZE]; /**< why the log is not whole; empty: it is */
    struct audit_checkpoint checkpoint; /**< the last stored one */
    int64_t checkpoints;                /**< stored ones */
    int64_t now;
};

/** Collects. */
AW_MUST_USE aw_result p4_collect(
    const struct admin_options *options, struct admin_audit_log *log, struct p4 *out);

/** When a key of the token was last used, by its label, as the log tells; 0: it does not. */
int64_t p4_last_use(const struct p4 *p4, const char *label);

/** Fills the page. Release: report_page_free. */
void p4_fill(const struct p4 *p4, struct report_page *page);

/** Adds the section of what does not hold, or could not be shown: the first thing to look at. */
void p4_fill_findings(const struct p4 *p4, struct report_page *page);

/** Releases. */
void p4_free(struct p4 *p4);

#endif
