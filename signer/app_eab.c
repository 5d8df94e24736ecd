#include "signer/app_eab.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "common/b64url.h"
#include "common/hex.h"
#include "common/io.h"

static const char prefix[] = "app-";

enum { PREFIX_SIZE = sizeof(prefix) - 1, RANDOM_SIZE = 16 };

_Static_assert(
    PREFIX_SIZE + AW_B64URL_LENGTH(RANDOM_SIZE) == LEDGER_KID_SIZE, "what an identifier has");

aw_result
app_eab_kid_new(struct core *core, char out[LEDGER_KID_SIZE + 1])
{
    uint8_t random[RANDOM_SIZE];

    if (RAND_bytes_ex(core->libctx, random, sizeof(random), 0) != 1)
        return aw_fail_openssl("no random octets for a key identifier");
    memcpy(out, prefix, PREFIX_SIZE);
    aw_b64url_encode(random, sizeof(random), out + PREFIX_SIZE);
    return AW_OK;
}

bool
app_eab_kid_ok(const char *kid)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    return strncmp(kid, prefix, PREFIX_SIZE) == 0 && strspn(kid, letters) == LEDGER_KID_SIZE &&
           kid[LEDGER_KID_SIZE] == '\0';
}

/* Found anew each time: accounts are made seldom, and what is not kept can't be the old one after
 * the relay key was made anew. */
static aw_result
compute(struct core *core, const char *text, uint8_t out[TOKEN_MAC_MAX])
{
    AW_CLEANUP(token_mac_free) token_mac *mac = NULL;
    size_t size = 0;
    aw_result r = token_mac_find(core->token, APP_EAB_RELAY_KEY, TOKEN_HS256, &mac);

    if (r.code == AW_CODE_TOKEN_KEY_MISSING)
        return aw_hint(r, "an officer makes the relay key, once: acmeward-admin relay-key create");
    AW_TRY(r);
    return token_mac_compute(mac, text, strlen(text), out, &size);
}

aw_result
app_eab_key(struct core *core, const char *kid, const char *application, aw_secret *out)
{
    AW_CLEANUP(aw_free) char *text = NULL;
    uint8_t derived[TOKEN_MAC_MAX];

    aw_secret_wipe(out);
    /* Neither holds a line feed, so no two pairs make one text. */
    if (!app_eab_kid_ok(kid) || !aw_config_label_ok(application))
        return aw_fail(AW_CODE_SYNTAX, "\"%.64s\" is no app-eab", kid);
    AW_TRY(aw_format(&text, "acmeward app-eab v1\n%s\n%s\n", kid, application));
    aw_result r = compute(core, text, derived);
    if (aw_ok(r))
        r = aw_secret_append(out, derived, APP_EAB_KEY_SIZE);
    OPENSSL_cleanse(derived, sizeof(derived));
    return r;
}

aw_result
app_eab_check_value(struct core *core, char out[APP_EAB_CHECK_SIZE + 1])
{
    uint8_t mac[TOKEN_MAC_MAX];

    AW_TRY(compute(core, "acmeward relay-key check v1\n", mac));
    aw_hex(mac, APP_EAB_CHECK_SIZE / 2, out);
    return AW_OK;
}
