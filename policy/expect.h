/**
 * @file expect.h
 * @brief Expectations of a policy, written as rows of a YAML file and asked without a signer.
 *
 *     expectations:
 *       - application: dept_myapp1
 *         request: {names: [www.myapp1.dept.example.edu], key: ec-p256, on: 2026-12-31}
 *         verdict: permit
 *         rule: names.subdomains_of
 *
 * An expectation is about an application, whoever its principals are: a policy that is loaded with
 * policy_anybody_resolver can be asked on any machine.
 */
#ifndef AW_POLICY_EXPECT_H
#define AW_POLICY_EXPECT_H

#include "policy/policy.h"

/** How one expectation came out. Texts live until the visit returns. */
struct policy_outcome {
    const char *file;
    unsigned line; /**< where the row begins */
    unsigned column;
    const char *name; /**< the row's own name, or what it asks */
    const char *application;
    const char *expected;      /**< verdict: "permit", "warn" or "refuse", as in records */
    const char *expected_rule; /**< NULL: any */
    const char *found;
    const char *found_rule;
    const char *reason; /**< of a refusal or a warning: the line that a user reads; else NULL */
    bool passed;
};

/** Called for each expectation. */
typedef void (*policy_expect_visit)(const struct policy_outcome *outcome, void *context);

/** Whom to tell. */
struct policy_expect_to {
    policy_expect_visit visit;
    void *context;
};

/**
 * Reads a file of expectations and asks them all. Nothing is asked when the file has faults; one
 * without any expectation is a fault, and so is a rule that does not exist.
 * @param now the date of rows that name none
 * @return AW_CODE_CONFIG with faults; AW_OK however the expectations come out
 */
AW_MUST_USE aw_result policy_expect(const policy_snapshot *snapshot, const char *path, int64_t now,
    struct aw_faults *faults, const struct policy_expect_to *to);

#endif
