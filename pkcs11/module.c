#include "pkcs11/module.h"

#include <dlfcn.h>
#include <string.h>

#include <libp11.h>
#include <openssl/err.h>

#include "pkcs11/ckr.h"
#include "pkcs11/token.h"

/*
 * RTLD_NODELETE: modules start threads and register exit handlers; code that was unmapped under
 * them crashes the process at its end.
 */
static aw_result
load_library(struct token_module *module, const char *path, CK_FUNCTION_LIST **out)
{
    CK_C_GetFunctionList get = NULL;

    module->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module->library == NULL)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN_ABSENT, "can't load the PKCS#11 module: %s", dlerror()),
            "\"module\" must be the path of the token's PKCS#11 library, for example "
            "/usr/lib/softhsm/libsofthsm2.so");
    void *symbol = dlsym(module->library, "C_GetFunctionList");
    if (symbol == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT,
                           "%s is no PKCS#11 module: it has no C_GetFunctionList", path),
            "\"module\" must be the path of the token's PKCS#11 library");
    memcpy(&get, &symbol, sizeof(get));
    CK_RV rv = get(out);
    if (rv != CKR_OK)
        return aw_context(token_ckr_fail(rv, "C_GetFunctionList"), "%s", path);
    return AW_OK;
}

static aw_result
initialize(const CK_FUNCTION_LIST *functions, const char *path)
{
    CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
    CK_RV rv = functions->C_Initialize(&arguments);

    if (rv == CKR_OK)
        return AW_OK;
    if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
        return aw_hint(aw_fail_cause(AW_CODE_TOKEN, AW_CAUSE_CKR, rv,
                           "%s is in use by another part of this process", path),
            "a process opens a module once: close the other token first");
    return aw_context(token_ckr_fail(rv, "C_Initialize"), "%s", path);
}

/* libp11 hides which answer of Cryptoki it was; its text is all there is. */
static aw_result
fail_libp11(const char *what, const char *path)
{
    aw_result r = aw_fail_openssl("libp11 can't %s", what);
    struct aw_error error;

    aw_error_save(&error);
    error.code = AW_CODE_TOKEN;
    (void)r;
    return aw_hint(aw_context(aw_error_restore(&error), "%s", path),
        "the log of the token's driver or service may say more; then start again");
}

static aw_result
load_libp11(struct token_module *module, const char *path)
{
    PKCS11_CTX *context = PKCS11_CTX_new();

    if (context == NULL)
        return aw_fail_memory();
    if (PKCS11_CTX_load(context, path) != 0) {
        PKCS11_CTX_free(context); /* not to be unloaded: 0.4.12 crashes on one that is not loaded */
        return fail_libp11("load the module", path);
    }
    module->context = context;
    return AW_OK;
}

static aw_result
list_slots(struct token_module *module, const char *path)
{
    unsigned count = 0;

    ERR_clear_error();
    AW_TRY(load_libp11(module, path));
    /* Asked first, since libp11 takes an empty list for a failure. */
    if (PKCS11_enumerate_slots(module->context, NULL, &count) == 0 && count == 0)
        return AW_OK;
    if (PKCS11_enumerate_slots(module->context, &module->slots, &module->slot_count) != 0)
        return fail_libp11("list the slots", path);
    return AW_OK;
}

static aw_result
open_steps(struct token_module *module, const char *path)
{
    CK_FUNCTION_LIST *functions = NULL;

    AW_TRY(load_library(module, path, &functions));
    if (functions == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT, "%s gives no list of PKCS#11 functions", path),
            "\"module\" must be the path of the token's PKCS#11 library");
    AW_TRY(initialize(functions, path));
    module->functions = functions; /* from here on ours to finalize */
    CK_RV rv = functions->C_GetInfo(&module->info);
    if (rv != CKR_OK)
        return aw_context(token_ckr_fail(rv, "C_GetInfo"), "%s", path);
    return list_slots(module, path);
}

aw_result
token_module_open(struct token_module *module, const char *path)
{
    if (path == NULL || path[0] != '/')
        return aw_hint(aw_fail(AW_CODE_CONFIG, "the PKCS#11 module \"%s\" is not an absolute path",
                           path == NULL ? "" : path),
            "give the whole path, for example /usr/lib/softhsm/libsofthsm2.so");
    aw_result r = open_steps(module, path);
    if (!aw_ok(r))
        token_module_close(module);
    return r;
}

void
token_module_close(struct token_module *module)
{
    if (module->slots != NULL)
        PKCS11_release_all_slots(module->context, module->slots, module->slot_count);
    if (module->context != NULL) {
        PKCS11_CTX_unload(module->context);
        PKCS11_CTX_free(module->context);
    }
    if (module->functions != NULL) /* libp11 may have finalised it: that answer is fine */
        module->functions->C_Finalize(NULL);
    if (module->library != NULL)
        dlclose(module->library);
    memset(module, 0, sizeof(*module));
}

/* Cryptoki's texts are padded with blanks and have no end (PKCS#11 v2.40, 3.2). */
static void
pad(unsigned char *field, size_t size, const char *text)
{
    size_t length = text == NULL ? 0 : strnlen(text, size);

    memset(field, ' ', size);
    if (length > 0)
        memcpy(field, text, length);
}

bool
token_module_token(const struct token_module *module, unsigned index, CK_TOKEN_INFO *info,
    CK_SLOT_INFO *slot, CK_SLOT_ID *id)
{
    PKCS11_SLOT *from = &module->slots[index];

    if (from->token == NULL || !from->token->initialized)
        return false;
    memset(info, 0, sizeof(*info));
    memset(slot, 0, sizeof(*slot));
    pad(info->label, sizeof(info->label), from->token->label);
    pad(info->manufacturerID, sizeof(info->manufacturerID), from->token->manufacturer);
    pad(info->model, sizeof(info->model), from->token->model);
    pad(info->serialNumber, sizeof(info->serialNumber), from->token->serialnr);
    pad(slot->slotDescription, sizeof(slot->slotDescription), from->description);
    pad(slot->manufacturerID, sizeof(slot->manufacturerID), from->manufacturer);
    *id = PKCS11_get_slotid_from_slot(from);
    return true;
}
