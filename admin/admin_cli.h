/**
 * @file admin_cli.h
 * @brief What the commands of acmeward-admin share: options, the link to the signer, output.
 */
#ifndef AW_ADMIN_CLI_H
#define AW_ADMIN_CLI_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/config.h"
#include "common/hex.h"
#include "common/json.h"
#include "common/names.h"
#include "common/result.h"
#include "common/varlink.h"

/** Options that every command takes. */
struct admin_options {
    const char *config; /**< signer.yaml */
    const char *socket; /**< administrators' socket; NULL: as signer.yaml says */
    bool json;          /**< print the signer's reply as it is */
};

/** One command: "eab import" and so on. */
struct admin_command {
    const char *noun;
    const char *verb; /**< NULL: a command of one word */
    aw_result (*run)(const struct admin_options *options, int argc, char **argv);
    const char *usage; /**< arguments, for the help */
    const char *about; /**< one line */
};

/** All commands, ended by a row whose noun is NULL. */
extern const struct admin_command admin_commands[];

/**
 * @name Commands
 * One file per noun; main.c's table has their words and help. argv[0] is the verb (or the noun of a
 * one-word command). They print; a failure is printed by main, with its hint.
 * @{
 */
aw_result admin_eab_import(const struct admin_options *options, int argc, char **argv);
aw_result admin_eab_wrapping_key(const struct admin_options *options, int argc, char **argv);
aw_result admin_eab_wrap(const struct admin_options *options, int argc, char **argv);
aw_result admin_eab_list(const struct admin_options *options, int argc, char **argv);
aw_result admin_eab_destroy(const struct admin_options *options, int argc, char **argv);
aw_result admin_ca_pin(const struct admin_options *options, int argc, char **argv);
aw_result admin_app_connect_line(const struct admin_options *options, int argc, char **argv);
aw_result admin_ca_presets(const struct admin_options *options, int argc, char **argv);
aw_result admin_ca_list(const struct admin_options *options, int argc, char **argv);
aw_result admin_relay_key_create(const struct admin_options *options, int argc, char **argv);
aw_result admin_relay_key_show(const struct admin_options *options, int argc, char **argv);
aw_result admin_relay_key_destroy(const struct admin_options *options, int argc, char **argv);
aw_result admin_app_eab_create(const struct admin_options *options, int argc, char **argv);
aw_result admin_app_eab_list(const struct admin_options *options, int argc, char **argv);
aw_result admin_app_eab_revoke(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_create(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_register(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_rotate(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_adopt(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_update(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_deactivate(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_recover(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_show(const struct admin_options *options, int argc, char **argv);
aw_result admin_account_list(const struct admin_options *options, int argc, char **argv);
aw_result admin_token_doctor(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_check(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_show(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_explain(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_new(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_test(const struct admin_options *options, int argc, char **argv);
aw_result admin_policy_diff(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_show(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_key(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_rotate(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_checkpoint(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_prove(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_verify_proof(const struct admin_options *options, int argc, char **argv);
aw_result admin_audit_verify(const struct admin_options *options, int argc, char **argv);
aw_result admin_certificates(const struct admin_options *options, int argc, char **argv);
aw_result admin_doctor(const struct admin_options *options, int argc, char **argv);
aw_result admin_report_p4(const struct admin_options *options, int argc, char **argv);
aw_result admin_report(const struct admin_options *options, int argc, char **argv);
aw_result admin_revoke(const struct admin_options *options, int argc, char **argv);
aw_result admin_status(const struct admin_options *options, int argc, char **argv);
aw_result admin_reload(const struct admin_options *options, int argc, char **argv);
aw_result admin_freeze(const struct admin_options *options, int argc, char **argv);
aw_result admin_unfreeze(const struct admin_options *options, int argc, char **argv);
/** @} */

/** One option of a command: "--kid VALUE", or a flag. */
struct admin_option {
    const char *name;   /**< without "--" */
    const char **value; /**< receives the value; NULL for a flag or a list */
    bool *flag;         /**< set for a flag; NULL otherwise */
    const char **list;  /**< receives each value of an option that may be repeated */
    size_t *list_count;
    size_t list_max;
};

/**
 * Reads a command's options; what is left must be exactly `positional_count` words.
 * @return AW_CODE_USAGE, with what is wrong
 */
AW_MUST_USE aw_result admin_parse(int argc, char **argv, const struct admin_option *options,
    size_t option_count, const char **positional, size_t positional_count);

/** Words that are no options, where any number of them may be. */
struct admin_words {
    const char **items;
    size_t *count;
    size_t max;
};

/** The same for a command that takes up to `words->max` words. */
AW_MUST_USE aw_result admin_parse_words(int argc, char **argv, const struct admin_option *options,
    size_t option_count, const struct admin_words *words);

/** Reads an option's time, "2026-11-24" or "2026-11-24T02:34:25Z"; without text the fallback. */
AW_MUST_USE aw_result admin_parse_time(
    const char *option, const char *text, int64_t fallback, int64_t *out);

/** Reads a name or an address of an option, as people write it, into the form that policies and
 * records have: a misspelt one would look like one that nobody has. */
AW_MUST_USE aw_result admin_parse_name(const char *option, const char *text, struct aw_name *out);

/** The folder of the audit log: the one given, or signer.yaml's. Allocated. */
AW_MUST_USE aw_result admin_audit_folder(
    const struct admin_options *options, const char *given, char **out);

/** The failure `r` to load the file `path`, with the group that may read it as the hint where only
 * the caller's rights were in the way. */
AW_MUST_USE aw_result admin_unreadable(aw_result r, const char *path);

/** Reads signer.yaml; its faults are printed. Release: aw_config_free. */
AW_MUST_USE aw_result admin_config(const struct admin_options *options, struct aw_config **out);

/**
 * Calls a method of org.acmeward.Admin. An error reply becomes a failure with its own code, message
 * and hint. The parameters' text is wiped and released.
 * @param[out] reply the reply's parameters; release with aw_json_free
 */
AW_MUST_USE aw_result admin_call(const struct admin_options *options, const char *method,
    struct aw_json_writer *parameters, cJSON **reply);

/** Calls a method without parameters. */
AW_MUST_USE aw_result admin_call_plain(
    const struct admin_options *options, const char *method, cJSON **reply);

/**
 * Has a person say yes at the terminal; a script says --yes. AW_CODE_REFUSED with `otherwise` for
 * no, AW_CODE_USAGE where nobody is there.
 */
AW_MUST_USE aw_result admin_confirm(bool yes, const char *question, const char *otherwise);

/** True when something was printed as JSON: then a failure is in it, or comes behind a result. */
bool admin_has_told(void);

/** Says so where a command printed it otherwise than by the functions below. */
void admin_note_told(bool json);

/** Prints a reply as JSON. */
AW_MUST_USE aw_result admin_print_json(const cJSON *reply);

/** Prints what was written, as a line. */
AW_MUST_USE aw_result admin_print_writer(struct aw_json_writer *w);

/** A member's text for a person, escaped for a terminal; "-" for null. Valid until the next few
 * calls. */
const char *admin_text(const cJSON *object, const char *name);

/** A member's number, 0 when absent. */
long long admin_number(const cJSON *object, const char *name);

/** A member's time as UTC text; "-" for null. Valid until the next few calls. */
const char *admin_time(const cJSON *object, const char *name);

/** Prints what the token refused or set otherwise when a key was made (KeyReport); NULL: nothing.
 */
void admin_print_report(const cJSON *report, FILE *stream);

/** Prints a reply's text of several lines, and `end`; refuses one with control characters. */
AW_MUST_USE aw_result admin_print_text(const cJSON *reply, const char *name, const char *end);

/** SHA-256 as 64 hexadecimal digits and NUL. */
AW_MUST_USE aw_result admin_sha256(const char *text, size_t size, char hex[AW_DIGEST_HEX_SIZE]);

/** Prints "what sha256 HEX". */
AW_MUST_USE aw_result admin_print_sha256(const char *what, const char *text, size_t size);

/** True for a member that is true. */
bool admin_true(const cJSON *object, const char *name);

#endif
