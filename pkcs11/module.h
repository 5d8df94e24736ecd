/**
 * @file module.h
 * @brief A loaded PKCS#11 module: our Cryptoki side first, libp11 beside it on the same library.
 *
 * We initialise (CKF_OS_LOCKING_OK) before libp11 does and finalise after it. A module that
 * somebody else in this process has initialised is refused: its locking would be unknown, and
 * login, sessions and finalisation would be shared. So a process has one token a module.
 *
 * libp11 loads the module and lists slots and tokens, once, before any session is open: releasing
 * its list closes every session of the process in those slots (pkcs11_slot_unref calls
 * C_CloseAllSessions), and updating one in place frees memory still in use (0.4.12).
 */
#ifndef AW_PKCS11_MODULE_H
#define AW_PKCS11_MODULE_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

#include "common/result.h"

struct PKCS11_ctx_st;
struct PKCS11_slot_st;

/** A loaded and initialised module. */
struct token_module {
    void *library;               /**< our dlopen handle */
    CK_FUNCTION_LIST *functions; /**< Cryptoki on the same library */
    CK_INFO info;                /**< what the library says of itself */
    struct PKCS11_ctx_st *context;
    struct PKCS11_slot_st *slots; /**< libp11's list, as it was at start */
    unsigned slot_count;
};

/**
 * Loads and initialises the module at an absolute path and lists its slots. `module` is zero
 * before.
 * @return AW_CODE_CONFIG (relative path), AW_CODE_TOKEN_ABSENT (no such module, or none that
 *         initialises), AW_CODE_TOKEN
 */
AW_MUST_USE aw_result token_module_open(struct token_module *module, const char *path);

/** Finalises and releases; a zero module is allowed. All sessions must be closed or forgotten. */
void token_module_close(struct token_module *module);

/** libp11's token in slot `index` in Cryptoki's terms; false when there is no initialised token. */
bool token_module_token(const struct token_module *module, unsigned index, CK_TOKEN_INFO *info,
    CK_SLOT_INFO *slot, CK_SLOT_ID *id);

#endif
