/* Module, token, login. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "hostkey/internal.h"

enum {
    SLOTS_MAX = 64,
    LIST_SIZE = 512,           /* octets of the list of tokens in a message */
    PIN_FILE_MAX = 1024,       /* octets that are read */
    PIN_FILE_FORBIDDEN = 0027, /* a server's group may read the PIN that the server needs too */
};

aw_result
host_key_fail(enum aw_code code, CK_RV rv, const char *what)
{
    return aw_fail_cause(code, AW_CAUSE_CKR, rv, "%s: %s", what, p11_kit_strerror(rv));
}

/* The module. */

static aw_result
load_one(host_key *k)
{
    k->modules = calloc(2, sizeof(*k->modules));
    if (k->modules == NULL)
        return aw_fail_memory();
    CK_FUNCTION_LIST *module = p11_kit_module_load(k->module_path, P11_KIT_MODULE_CRITICAL);
    if (module == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT, "can't load the PKCS#11 module %s: %s",
                           k->module_path, p11_kit_message()),
            "pkcs11_module in %s names the library of the token's maker", k->settings);
    CK_RV rv = p11_kit_module_initialize(module);
    if (rv != CKR_OK) {
        p11_kit_module_release(module);
        return host_key_fail(AW_CODE_TOKEN_ABSENT, rv, k->module_path);
    }
    k->modules[0] = module;
    return AW_OK;
}

static aw_result
load(host_key *k)
{
    p11_kit_be_quiet();
    if (k->module_path != NULL)
        return load_one(k);
    k->modules = p11_kit_modules_load_and_initialize(0);
    return k->modules != NULL
               ? AW_OK
               : aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT, "no PKCS#11 module: %s", p11_kit_message()),
                     "name one by pkcs11_module in %s", k->settings);
}

/* The token. */

static bool
is_wanted(const host_key *k, CK_SLOT_ID slot, const CK_TOKEN_INFO *info)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(k->uri);

    return (info->flags & CKF_TOKEN_INITIALIZED) != 0 &&
           (wanted == (CK_SLOT_ID)-1 || wanted == slot) &&
           p11_kit_uri_match_token_info(k->uri, info) == 1;
}

static void
add_to_list(char list[LIST_SIZE], const CK_TOKEN_INFO *info)
{
    size_t length = sizeof(info->label), used = strlen(list);

    while (length > 0 && (info->label[length - 1] == ' ' || info->label[length - 1] == '\0'))
        length--;
    if ((info->flags & CKF_TOKEN_INITIALIZED) != 0)
        snprintf(list + used, LIST_SIZE - used, "%s%.*s", used == 0 ? "" : ", ", (int)length,
            (const char *)info->label);
}

static size_t
search_module(host_key *k, CK_FUNCTION_LIST *module, char list[LIST_SIZE])
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG count = SLOTS_MAX;
    size_t found = 0;

    if (module->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
        return 0;
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;

        if (module->C_GetTokenInfo(slots[i], &info) != CKR_OK)
            continue;
        add_to_list(list, &info);
        if (!is_wanted(k, slots[i], &info))
            continue;
        k->module = module;
        k->slot = slots[i];
        found++;
    }
    return found;
}

static aw_result
find_token(host_key *k)
{
    char list[LIST_SIZE] = "";
    size_t found = 0;

    for (size_t i = 0; k->modules[i] != NULL; i++)
        found += search_module(k, k->modules[i], list);
    if (found > 1)
        return aw_hint(aw_fail(AW_CODE_MISMATCH, "the key's URI fits %zu tokens", found),
            "serial= tells them apart");
    return found == 1 ? AW_OK
                      : aw_hint(aw_fail(AW_CODE_TOKEN_ABSENT,
                                    "the token of the key's URI is not there; there %s%s",
                                    list[0] == '\0' ? "is none" : "are: ", list),
                            "pkcs11_module in %s, or p11-kit's configuration, names the "
                            "module; is this user allowed to use the token?",
                            k->settings);
}

/* The login. */

static aw_result
read_pin(const char *path, aw_secret **out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    AW_CLEANUP(aw_secret_free) aw_secret *pin = NULL;

    AW_TRY(aw_file_open_checked(path, geteuid(), PIN_FILE_FORBIDDEN, &fd));
    AW_TRY(aw_secret_new(PIN_FILE_MAX, &pin));
    AW_TRY(aw_context(aw_fd_read_secret(fd, pin), "%s", path));
    if (pin->size > 0 && pin->data[pin->size - 1] == '\n')
        pin->size--;
    if (pin->size == 0)
        return aw_fail(AW_CODE_TOKEN_PIN, "%s is empty", path);
    if (pin->size > HOST_KEY_PIN_MAX)
        return aw_hint(
            aw_fail(AW_CODE_TOKEN_PIN, "%s has more than %d octets", path, HOST_KEY_PIN_MAX),
            "servers read it by pkcs11-provider, which cuts it there: give the token a shorter "
            "PIN");
    *out = AW_MOVE(pin);
    return AW_OK;
}

static aw_result
take_pin(host_key *k, const struct host_key_place *place)
{
    const char *source = p11_kit_uri_get_pin_source(k->uri);

    if (source == NULL)
        source = place->pin_file;
    if (source == NULL)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "there is no source for the token's PIN"),
            "add ?pin-source=file:/PATH to the key's URI, or key_pin_file to %s", k->settings);
    if (strncmp(source, "file:", strlen("file:")) == 0)
        source += strlen("file:");
    return aw_context(read_pin(source, &k->pin), "the token's PIN");
}

static aw_result
check_flags(const CK_TOKEN_INFO *info, bool unattended)
{
    if ((info->flags & CKF_USER_PIN_INITIALIZED) == 0)
        return aw_fail(AW_CODE_TOKEN_PIN, "the token has no user PIN yet");
    if ((info->flags & CKF_USER_PIN_LOCKED) != 0)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "the token's PIN is locked"),
            "its security officer unlocks it");
    if ((info->flags & CKF_USER_PIN_FINAL_TRY) != 0)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN, "one more wrong PIN locks the token"),
            "log in once with the right one by another tool (pkcs11-tool --login --test)");
    if (unattended && (info->flags & CKF_USER_PIN_COUNT_LOW) != 0)
        return aw_hint(aw_fail(AW_CODE_TOKEN_PIN,
                           "the last login to the token failed: none is tried unattended"),
            "mend the PIN's file, then log in once: acmeward certonly, run by you, does, and so "
            "does "
            "pkcs11-tool --login --test");
    return AW_OK;
}

static aw_result
login(host_key *k, const struct host_key_place *place)
{
    CK_TOKEN_INFO info;
    CK_RV rv = k->module->C_GetTokenInfo(k->slot, &info);

    if (rv != CKR_OK)
        return host_key_fail(AW_CODE_TOKEN, rv, "the token's flags");
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0)
        return AW_OK;
    AW_TRY(take_pin(k, place));
    AW_TRY(check_flags(&info, place->unattended));
    rv = k->module->C_Login(k->session, CKU_USER, k->pin->data, k->pin->size);
    if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_INVALID)
        return aw_hint(host_key_fail(AW_CODE_TOKEN_PIN, rv, "the token does not take the PIN"),
            "some tokens lock after a few wrong ones: mend the PIN's file before the next try");
    if (rv == CKR_PIN_LOCKED)
        return host_key_fail(AW_CODE_TOKEN_PIN, rv, "the token's PIN");
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN
               ? AW_OK
               : host_key_fail(AW_CODE_TOKEN, rv, "logging in to the token");
}

static aw_result
name_module(host_key *k)
{
    if (k->module_path != NULL)
        return aw_format(&k->provider_path, "%s", k->module_path);
    k->provider_path = p11_kit_module_get_filename(k->module);
    return AW_OK;
}

static aw_result
open_into(host_key *k, const struct host_key_place *place)
{
    k->settings = place->settings != NULL ? place->settings : "client.yaml";
    AW_TRY(host_key_uri_check(place->uri, &k->text));
    AW_TRY(host_key_uri_parse(k->text, &k->uri));
    if (place->module != NULL)
        AW_TRY(aw_format(&k->module_path, "%s", place->module));
    AW_TRY(load(k));
    AW_TRY(find_token(k));
    AW_TRY(name_module(k));
    AW_TRY(host_key_configure(k));
    CK_RV rv = k->module->C_OpenSession(k->slot, CKF_SERIAL_SESSION, NULL, NULL, &k->session);
    if (rv != CKR_OK)
        return host_key_fail(AW_CODE_TOKEN, rv, "opening a session with the token");
    return login(k, place);
}

static void
wait_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* SoftHSM's folder is read and rewritten by each process that starts on it: two at once can each
 * see no token, or half of one. */
static aw_result
take_turn(const char *path, int *out)
{
    AW_CLEANUP(aw_close) int fd = -1;
    int64_t end_ms = aw_now_ms() + (int64_t)HOST_KEY_TURN_SECONDS * 1000;

    if (path != NULL)
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (path == NULL || (fd < 0 && errno == ENOENT)) /* nothing was ever stored there */
        return AW_OK;
    if (fd < 0)
        return aw_fail_errno(AW_CODE_IO, "can't open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return aw_fail_errno(AW_CODE_IO, "can't lock %s", path);
        if (aw_now_ms() > end_ms)
            return aw_hint(aw_fail(AW_CODE_BUSY, "other runs of acmeward use the token for %d s",
                               HOST_KEY_TURN_SECONDS),
                "try again when they are done (they hold %s)", path);
        wait_ms(HOST_KEY_TURN_WAIT_MS);
    }
    *out = fd;
    fd = -1;
    return AW_OK;
}

static aw_result
open_once(const struct host_key_place *place, host_key **out)
{
    AW_CLEANUP(host_key_close) host_key *k = calloc(1, sizeof(*k));

    if (k == NULL)
        return aw_fail_memory();
    k->turn = -1;
    AW_TRY(take_turn(place->lock, &k->turn));
    AW_TRY(open_into(k, place));
    *out = AW_MOVE(k);
    return AW_OK;
}

aw_result
host_key_open(const struct host_key_place *place, host_key **out)
{
    *out = NULL;
    aw_result r = open_once(place, out);
    /* A server may have started just then: the module is asked anew. */
    for (int i = 1; r.code == AW_CODE_TOKEN_ABSENT && i < HOST_KEY_TOKEN_TRIES; i++) {
        wait_ms(HOST_KEY_TOKEN_WAIT_MS);
        r = open_once(place, out);
    }
    return r;
}

/* Before OpenSSL's exit handlers: SoftHSM uses OpenSSL, and must be finalized before it. */
static void
unload_modules(host_key *k)
{
    if (k->module_path == NULL) {
        if (k->modules != NULL)
            p11_kit_modules_finalize_and_release(k->modules);
        return;
    }
    if (k->modules != NULL && k->modules[0] != NULL) {
        p11_kit_module_finalize(k->modules[0]);
        p11_kit_module_release(k->modules[0]);
    }
    free(k->modules);
}

void
host_key_close(host_key **slot)
{
    host_key *k = *slot;

    if (k == NULL)
        return;
    host_key_unload(k);
    if (k->session != 0)
        k->module->C_CloseSession(k->session);
    unload_modules(k);
    aw_secret_free(&k->pin);
    aw_close(&k->turn);
    p11_kit_uri_free(k->uri);
    free(k->text);
    free(k->module_path);
    free(k->provider_path);
    free(k);
    *slot = NULL;
}
