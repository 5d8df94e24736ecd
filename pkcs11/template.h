/**
 * @file template.h
 * @brief Templates of new keys and the ladder of attributes.
 *
 * Tokens refuse attributes with several answers and don't say which one it was. The ladder tries
 * the whole template, then leaves out droppable attributes: every single one, every pair, every
 * three, then all. So no more is dropped than must be. A refused creation makes nothing.
 */
#ifndef AW_PKCS11_TEMPLATE_H
#define AW_PKCS11_TEMPLATE_H

#include "pkcs11/object.h"

/** Limits. */
enum {
    TOKEN_TEMPLATE_MAX = 24,  /**< attributes of a template */
    TOKEN_DROPPABLE_MAX = 16, /**< droppable ones of a ladder */
    TOKEN_NEW_ID_SIZE = 16,   /**< octets of the CKA_ID of what is made here: random */
};

/** A template: those marked may be left out, in the order written (the least important first). */
struct token_template {
    CK_ATTRIBUTE attributes[TOKEN_TEMPLATE_MAX];
    bool droppable[TOKEN_TEMPLATE_MAX];
    unsigned count;
};

/** Appends an attribute that is never dropped. */
void token_template_must(struct token_template *t, CK_ATTRIBUTE attribute);

/** Appends a flag that is never dropped. */
void token_template_must_flag(struct token_template *t, CK_ATTRIBUTE_TYPE type, bool value);

/** Appends what makes it an object of the token, found by label and CKA_ID; borrows both. */
void token_template_name(
    struct token_template *t, const char *label, const uint8_t id[TOKEN_NEW_ID_SIZE]);

/** Appends an attribute that may be dropped. */
void token_template_may(struct token_template *t, CK_ATTRIBUTE attribute);

/** Appends flags that shall be false, and may be dropped. */
void token_template_deny(struct token_template *t, const CK_ATTRIBUTE_TYPE *types, unsigned count);

/** A creation and its templates: one, or public and private. */
struct token_ladder {
    struct token_template templates[2];
    unsigned template_count;
    /** Creates with these templates (attributes and count are what is left). */
    aw_result (*create)(
        struct token_session *s, const struct token_template *templates, void *context);
    void *context;
};

/** Climbs down until the token accepts; report->dropped names what was left out. */
AW_MUST_USE aw_result token_ladder_create(
    struct token_session *s, const struct token_ladder *ladder, struct token_key_report *report);

/**
 * Reads a new key's flags back. report->weaker names those that are not as asked in `template`.
 * @return AW_CODE_TOKEN when it is not SENSITIVE or is EXTRACTABLE: it must be destroyed
 */
AW_MUST_USE aw_result token_template_verify(struct token_session *s, CK_OBJECT_HANDLE object,
    const struct token_template *template, struct token_key_report *report);

/** Reads the flags that only the token can set, and only on a key that was born in it. */
AW_MUST_USE aw_result token_template_born(
    struct token_session *s, CK_OBJECT_HANDLE object, struct token_key_report *report);

#endif
