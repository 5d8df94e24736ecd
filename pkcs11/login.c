#include "pkcs11/login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "pkcs11/ckr.h"
#include "pkcs11/internal.h"

/*
 * systemd grants a service its credentials by an ACL on files of root; the ACL's mask shows as
 * group permission there (systemd.exec(5), LoadCredential=). Only root can make this folder.
 */
static const char credentials_folder[] = "/run/credentials/";

mode_t
token_pin_forbidden(const char *path)
{
    bool credential = strncmp(path, credentials_folder, sizeof(credentials_folder) - 1) == 0 &&
                      strstr(path, "/../") == NULL;

    return credential ? 0037 : 0077;
}

/* Any failure about the PIN's file is a failure of the PIN for the caller. */
static aw_result
as_pin_failure(aw_result r)
{
    struct aw_error error;

    if (aw_ok(r))
        return r;
    aw_error_save(&error);
    error.code = AW_CODE_TOKEN_PIN;
    if (error.hint[0] == '\0')
        snprintf(error.hint, sizeof(error.hint),
            "make it for the signer's user, who must be able to read it: install -o acmeward -m "
            "0400 "
            "/dev/null FILE, and write the PIN into it");
    r = aw_error_restore(&error);
    return aw_context(r, "the token's PIN");
}

aw_result
token_pin_check(const char *path)
{
    aw_result r = aw_path_check(path, geteuid(), token_pin_forbidden(path));

    return as_pin_failure(aw_ok(r) ? aw_path_check_place(path, geteuid()) : r);
}

static aw_result
read_pin(const char *path, aw_secret **out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;

    AW_TRY(aw_path_check_place(path, geteuid()));
    AW_TRY(aw_file_open_checked(path, geteuid(), token_pin_forbidden(path), &fd));
    AW_TRY(aw_secret_new(TOKEN_PIN_MAX + 1, &pin));
    AW_TRY(aw_fd_read_secret(fd, pin));
    if (pin->size > 0 && pin->data[pin->size - 1] == '\n')
        pin->size--;
    if (pin->size == 0)
        return aw_fail(AW_CODE_TOKEN_PIN, "%s is empty", path);
    if (pin->size > TOKEN_PIN_MAX)
        return aw_fail(AW_CODE_LIMIT, "%s holds more than %d octets", path, TOKEN_PIN_MAX);
    *out = AW_MOVE(pin);
    return AW_OK;
}

static aw_result
pin_read(const char *path, aw_secret **out)
{
    if (path == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "there is no source for the token's PIN"),
            "name the PIN's file with pin_source, or with pin-source in the token's URI");
    return as_pin_failure(read_pin(path, out));
}

/* The latch. */

static aw_result
latch_refuse_if_set(const token *t)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    size_t size = 0;

    if (access(t->latch, F_OK) != 0 && errno == ENOENT)
        return AW_OK;
    aw_result r = aw_file_read(t->latch, 1024, &text, &size);
    if (aw_ok(r))
        text[strcspn(text, "\n")] = '\0';
    return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "no login: an earlier one failed or was cut off (%s)",
                       aw_ok(r) ? text : "its marker can't be read"),
        "see that the PIN file%s%s is right, then remove %s; until then the PIN is not tried again",
        t->pin_source == NULL ? "" : " ", t->pin_source == NULL ? "" : t->pin_source, t->latch);
}

static aw_result
latch_set(const token *t, const struct token_info *info, const char *answer)
{
    char now[32];
    AW_CLEANUP(aw_free) char *text = NULL;

    aw_time_text((int64_t)time(NULL), now);
    AW_TRY(aw_format(&text, "%s, token serial %s, %s\n", now, info->serial, answer));
    return aw_hint(aw_context(aw_file_replace(t->latch, text, strlen(text), 0600),
                       "no login without a marker that keeps a wrong PIN from being tried again"),
        "the folder of %s must be there and writable for this user", t->latch);
}

static aw_result
latch_remove(const token *t)
{
    if (unlink(t->latch) != 0 && errno != ENOENT)
        return aw_fail_errno(AW_CODE_IO, "logged in, but can't remove the marker %s", t->latch);
    return aw_folder_sync_of(t->latch);
}

/* Login. */

static aw_result
refuse_by_flags(const struct token_info *info)
{
    if (info->pin_locked)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "the PIN of token \"%s\" is locked", info->label),
            "the token's security officer must set a new user PIN");
    if (info->pin_final_try)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN_PIN,
                "one more wrong PIN would lock token \"%s\": no login is tried", info->label),
            "log in once by hand with the right PIN (for example pkcs11-tool --login "
            "--list-objects)");
    if ((info->flags & CKF_USER_PIN_INITIALIZED) == 0)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "token \"%s\" has no user PIN yet", info->label),
            "the token's security officer must set one (for example pkcs11-tool --init-pin)");
    return AW_OK;
}

/*
 * Answers that by their definitions (PKCS#11 v2.40, 5.1 and 5.6.8) come before the PIN is looked
 * at. Whatever else fails may have come after the token counted a wrong try, or instead of that
 * answer: a device error, a removed device, no memory, a vendor's own code. A restart loop must not
 * try on.
 */
static const CK_RV before_the_pin[] = {CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SLOT_ID_INVALID,
    CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_READ_ONLY_EXISTS,
    CKR_OPERATION_ACTIVE, CKR_OPERATION_NOT_INITIALIZED, CKR_FUNCTION_NOT_SUPPORTED,
    CKR_USER_PIN_NOT_INITIALIZED, CKR_USER_TYPE_INVALID, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    CKR_USER_TOO_MANY_TYPES};

static bool
came_before_the_pin(CK_RV answer)
{
    for (size_t i = 0; i < AW_COUNT(before_the_pin); i++)
        if (before_the_pin[i] == answer)
            return true;
    return false;
}

/* The marker stays. Gone stays gone: the process ends, and its successor reads the marker. */
static aw_result
keep_latched(const token *t, CK_RV answer)
{
    enum token_ckr_class class = token_ckr_class(answer);

    if (class == TOKEN_CKR_PIN)
        return aw_hint(
            aw_fail_cause(AW_CODE_TOKEN_PIN, AW_CAUSE_CKR, answer,
                "the token refused the PIN of %s (%s)", t->pin_source, token_ckr_name(answer)),
            "correct the PIN in %s, then remove %s; until then it is not tried again",
            t->pin_source, t->latch);
    return aw_hint(
        aw_fail_cause(class == TOKEN_CKR_GONE ? AW_CODE_TOKEN_GONE : AW_CODE_TOKEN_PIN,
            AW_CAUSE_CKR, answer,
            "the token answered the login with %s, which leaves open whether it counted a try",
            token_ckr_name(answer)),
        "see that the token is well and that the PIN in %s is right, then remove %s; until then it "
        "is not tried again",
        t->pin_source, t->latch);
}

static aw_result
login_failed(const token *t, const struct token_info *info, CK_RV answer, aw_result r)
{
    struct aw_error error;

    if (!came_before_the_pin(answer)) {
        aw_ignore(latch_set(t, info, token_ckr_name(answer)), "the marker before it is as good");
        return keep_latched(t, answer);
    }
    aw_error_save(&error);
    aw_ignore(latch_remove(t), "the failed login is what the caller must hear of");
    (void)r;
    return aw_hint(aw_error_restore(&error),
        "the PIN was not looked at and will be tried again; see who else uses the token, and how");
}

/* A token that takes a login and forgets it would have us log in for every signature. */
static aw_result
confirm(token *t)
{
    CK_SESSION_INFO info = {.state = CKS_RO_PUBLIC_SESSION};

    AW_TRY(TOKEN_CALL(&t->anchor, C_GetSessionInfo, t->anchor.handle, &info));
    if (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS)
        return AW_OK;
    return aw_hint(aw_fail(AW_CODE_TOKEN,
                       "the token took the login, but its session says that nobody is logged in"),
        "see whether another program logs the token out; if not, its PKCS#11 module is faulty");
}

/* The slot may hold another token by now. It must not be given this one's PIN. */
static aw_result
refuse_another_token(const token *t, const struct token_info *info)
{
    if (strcmp(t->serial, info->serial) == 0)
        return AW_OK;
    return aw_hint(
        aw_fail(AW_CODE_TOKEN_GONE, "another token is in the slot: its serial is %s, it was %s",
            info->serial, t->serial),
        "put the token back, or name the new one in the configuration");
}

static aw_result
call_login(token *t, const struct token_info *info)
{
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;

    AW_TRY(pin_read(t->pin_source, &pin));
    aw_result r = latch_set(t, info, "no answer yet");
    if (!aw_ok(r)) {
        (void)unlink(t->latch); /* nothing was tried; it may be there for all that */
        return r;
    }
    r = TOKEN_CALL(&t->anchor, C_Login, t->anchor.handle, CKU_USER, pin->data, pin->size);
    aw_secret_free(&pin);
    CK_RV answer = t->anchor.answer;
    token_session_forgive(&t->anchor);
    /* A logged-in token answers CKR_USER_ALREADY_LOGGED_IN whatever the PIN. */
    if (!aw_ok(r) && answer != CKR_USER_ALREADY_LOGGED_IN)
        return login_failed(t, info, answer, r);
    AW_TRY(latch_remove(t));
    return confirm(t);
}

static aw_result
login_now(token *t)
{
    struct token_info info;

    AW_TRY(latch_refuse_if_set(t));
    AW_TRY(token_info_get(t, &info));
    AW_TRY(refuse_another_token(t, &info));
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0)
        return AW_OK;
    AW_TRY(refuse_by_flags(&info));
    return call_login(t, &info);
}

/* All sessions of the slot may have been closed behind our back, the anchor too. */
static aw_result
read_state(token *t, CK_SESSION_INFO *info)
{
    aw_result r = TOKEN_CALL(&t->anchor, C_GetSessionInfo, t->anchor.handle, info);

    if (token_ckr_class(t->anchor.answer) != TOKEN_CKR_SESSION)
        return r;
    AW_TRY(token_session_open(&t->anchor, 0));
    return TOKEN_CALL(&t->anchor, C_GetSessionInfo, t->anchor.handle, info);
}

static aw_result
login_locked(token *t)
{
    CK_SESSION_INFO info = {.state = CKS_RO_PUBLIC_SESSION};

    token_session_forgive(&t->anchor);
    AW_TRY(read_state(t, &info));
    if (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS)
        return AW_OK;
    return login_now(t);
}

aw_result
token_login_by(token *t, const struct timespec *deadline)
{
    AW_TRY(token_lock_take(&t->login_lock, deadline));
    aw_result r = login_locked(t);
    token_lock_release(&t->login_lock);
    return r;
}

aw_result
token_login(token *t)
{
    const struct timespec deadline = token_deadline(t->pool.timeout_ms);

    return token_login_by(t, &deadline);
}
