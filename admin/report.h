/**
 * @file report.h
 * @brief The report on grants, certificates and refusals: what it is made from, and its pages.
 */
#ifndef AW_ADMIN_REPORT_H
#define AW_ADMIN_REPORT_H

#include "admin/policy_files.h"
#include "admin/report_log.h"
#include "admin/report_page.h"

/** What was read. Zero-initialise; release: report_data_free. */
struct report_data {
    struct admin_policy policy;
    struct report_grants grants;
    struct report_log log;
    struct report_period period;
    const char *section; /**< the only one that is wanted; NULL: all */
};

/** Releases. */
void report_data_free(struct report_data *data);

/** Fills a page: of all, or of one owner's applications. Release: report_page_free. */
void report_fill(const struct report_data *data, const char *owner, struct report_page *page);

/**
 * Runs a command of the shell for each owner, with a page as text on its standard input and
 * ACMEWARD_* in its environment. A command that fails does not stop the others.
 * @return AW_CODE_IO when one failed, with how many
 */
AW_MUST_USE aw_result report_mail(const struct report_data *data, const char *command);

#endif
