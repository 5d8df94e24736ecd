#include "pkcs11/token.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"
#include "pkcs11/login.h"
#include "pkcs11/uri.h"

/* A call that takes longer than the first, or than so many waits for a session, hangs. */
enum { STUCK_MS_LEAST = 30000, STUCK_FACTOR = 6 };

/* Between two looks for the token at start. */
static const struct timespec retry_pause = {.tv_nsec = 100000000};

static aw_result
copy_text(const char *text, char **out)
{
    if (text == NULL)
        return AW_OK;
    *out = strdup(text);
    return *out == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
fetch_digests(token *t)
{
    t->sha256 = EVP_MD_fetch(t->libctx, "SHA2-256", t->properties);
    t->sha384 = EVP_MD_fetch(t->libctx, "SHA2-384", t->properties);
    if (t->sha256 == NULL || t->sha384 == NULL)
        return aw_fail_openssl("OpenSSL offers no SHA-256 or SHA-384 with properties \"%s\"",
            t->properties == NULL ? "" : t->properties);
    return AW_OK;
}

aw_result
token_pin_source(const char *uri, const char *module, char **out)
{
    AW_CLEANUP(token_uri_free) token_uri *parsed = NULL;
    const char *source = NULL;

    *out = NULL;
    AW_TRY(token_uri_parse(uri, module, &parsed));
    AW_TRY(token_uri_pin_source(parsed, &source));
    return copy_text(source, out);
}

static aw_result
take_config(token *t, const struct token_config *config, const token_uri *uri)
{
    const char *pin_source = config->pin_source;

    if (config->latch == NULL)
        return aw_fail(AW_CODE_CONFIG, "there is no path for the PIN's latch marker");
    if (pin_source == NULL)
        AW_TRY(token_uri_pin_source(uri, &pin_source));
    AW_TRY(copy_text(pin_source, &t->pin_source));
    AW_TRY(copy_text(config->latch, &t->latch));
    AW_TRY(copy_text(config->properties, &t->properties));
    t->libctx = config->libctx;
    t->stuck_ms = config->stuck_ms;
    if (t->stuck_ms == 0)
        t->stuck_ms = config->timeout_ms > STUCK_MS_LEAST / STUCK_FACTOR
                          ? config->timeout_ms * STUCK_FACTOR
                          : STUCK_MS_LEAST;
    return fetch_digests(t);
}

/*
 * Other processes that log in rewrite SoftHSM's token file, and it lists tokens only when it is
 * initialised: so each look loads anew.
 */
static aw_result
find_token(token *t, const struct token_config *config, const token_uri *uri)
{
    for (unsigned tries = 0;; tries++) {
        AW_TRY(token_module_open(&t->module, config->module));
        aw_result r = token_uri_select(uri, &t->module, &t->slot);
        if (r.code != AW_CODE_TOKEN_ABSENT || tries >= config->start_retries)
            return aw_context(r, "%s", config->module);
        token_module_close(&t->module);
        nanosleep(&retry_pause, NULL);
    }
}

static aw_result
open_steps(token *t, const struct token_config *config)
{
    AW_CLEANUP(token_uri_free) token_uri *uri = NULL;
    struct token_info info;

    AW_TRY(token_uri_parse(config->uri, config->module == NULL ? "" : config->module, &uri));
    AW_TRY(take_config(t, config, uri));
    AW_TRY(find_token(t, config, uri));
    AW_TRY(token_pool_open(t, config->sessions, config->timeout_ms));
    AW_TRY(token_info_get(t, &info));
    t->login_required = (info.flags & CKF_LOGIN_REQUIRED) != 0;
    memcpy(t->serial, info.serial, sizeof(t->serial));
    return token_login(t);
}

static aw_result
init_locks(token *t)
{
    t->asker.owner = t;
    pthread_mutex_init(&t->pool.lock, NULL);
    AW_TRY(token_lock_init(&t->login_lock));
    AW_TRY(token_lock_init(&t->write_lock));
    AW_TRY(token_lock_init(&t->store_lock));
    return token_lock_init(&t->ask_lock);
}

aw_result
token_open(const struct token_config *config, token **out)
{
    AW_CLEANUP(token_close) token *t = calloc(1, sizeof(*t));

    if (t == NULL)
        return aw_fail_memory();
    AW_TRY(init_locks(t));
    AW_TRY(open_steps(t, config));
    *out = AW_MOVE(t);
    return AW_OK;
}

unsigned
token_sessions(const token *t)
{
    return t->pool.size;
}

void
token_close(token **pointer)
{
    token *t = pointer == NULL ? NULL : *pointer;

    if (t == NULL)
        return;
    token_pool_close(t);
    token_module_close(&t->module);
    EVP_MD_free(t->sha256);
    EVP_MD_free(t->sha384);
    token_lock_destroy(&t->login_lock);
    token_lock_destroy(&t->write_lock);
    token_lock_destroy(&t->store_lock);
    token_lock_destroy(&t->ask_lock);
    pthread_mutex_destroy(&t->pool.lock);
    free(t->pin_source);
    free(t->latch);
    free(t->properties);
    free(t);
    *pointer = NULL;
}

/* What the token says of itself. libp11 can't read it again safely (module.h), Cryptoki can. */

static void
copy_padded(const unsigned char *text, size_t size, char *out)
{
    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\0'))
        size--;
    memcpy(out, text, size);
    out[size] = '\0';
}

static aw_result
ask_info(token *t, CK_TOKEN_INFO *out)
{
    const struct timespec deadline = token_deadline(t->pool.timeout_ms);

    AW_TRY(token_lock_take(&t->ask_lock, &deadline));
    token_session_forgive(&t->asker);
    aw_result r = TOKEN_CALL(&t->asker, C_GetTokenInfo, t->slot, out);
    token_lock_release(&t->ask_lock);
    return r;
}

aw_result
token_info_get(token *t, struct token_info *out)
{
    CK_TOKEN_INFO info;

    AW_TRY(ask_info(t, &info));
    memset(out, 0, sizeof(*out));
    copy_padded(info.label, sizeof(info.label), out->label);
    copy_padded(info.manufacturerID, sizeof(info.manufacturerID), out->manufacturer);
    copy_padded(info.model, sizeof(info.model), out->model);
    copy_padded(info.serialNumber, sizeof(info.serialNumber), out->serial);
    out->slot = t->slot;
    out->flags = info.flags;
    out->pin_count_low = (info.flags & CKF_USER_PIN_COUNT_LOW) != 0;
    out->pin_final_try = (info.flags & CKF_USER_PIN_FINAL_TRY) != 0;
    out->pin_locked = (info.flags & CKF_USER_PIN_LOCKED) != 0;
    out->write_protected = (info.flags & CKF_WRITE_PROTECTED) != 0;
    return AW_OK;
}
