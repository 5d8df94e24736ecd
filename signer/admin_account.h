/**
 * @file admin_account.h
 * @brief What the administrators' methods on accounts share.
 */
#ifndef AW_SIGNER_ADMIN_ACCOUNT_H
#define AW_SIGNER_ADMIN_ACCOUNT_H

#include "common/jws.h"
#include "signer/admin.h"

/** The work on an account: it reads the call and changes the draft. */
typedef aw_result (*admin_account_work)(
    struct admin_call *call, struct account *account, struct account *draft);

/** Reads "account" and runs the work; no other change happens meanwhile. AW_CODE_NOT_FOUND. */
AW_MUST_USE aw_result admin_with_account(struct admin_call *call, admin_account_work work);

/** Makes the draft durable and writes it as the reply's "state". */
AW_MUST_USE aw_result admin_commit_account(
    struct admin_call *call, struct account *account, struct account *draft);

/** Contacts of an account (RFC 8555 7.1.2), at most so many; they point into the call. */
enum { ADMIN_CONTACTS_MAX = 8 };
struct admin_contacts {
    const char *items[ADMIN_CONTACTS_MAX];
    size_t count;
};

/** Reads "contact". */
AW_MUST_USE aw_result admin_read_contacts(struct admin_call *call, struct admin_contacts *out);

/** Takes them into a draft, as last sent to the CA. */
AW_MUST_USE aw_result admin_note_contacts(
    struct account *draft, const struct admin_contacts *contacts);

/** AW_CODE_NOT_FOUND unless the account is registered and its CA pinned. */
AW_MUST_USE aw_result admin_check_registered(const struct account *account);

/** Refuses what can't be the URL of an account of that CA; `what` is the parameter. */
AW_MUST_USE aw_result admin_check_account_url(
    const struct account *account, const char *what, const char *url);

/** Replaces a text of a draft; NULL: none. */
AW_MUST_USE aw_result admin_set_text(char **slot, const char *text);

/** Makes the account's key of that number in the token, or takes it over where it is there. */
AW_MUST_USE aw_result admin_make_key(struct admin_call *call, const struct account *account,
    int64_t number, struct token_key_report *report, token_key **out);

/** Takes thumbprint and digest of draft->key into the draft. */
AW_MUST_USE aw_result admin_note_key(struct account *draft);

/** Signs and serializes. Allocated. */
AW_MUST_USE aw_result admin_sign_jws(token_key *key, const struct aw_jws *jws, char **out);

/** Writes "url" and "jws". */
void admin_write_jws(struct admin_call *call, const char *url, const char *jws);

#endif
