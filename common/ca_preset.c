#include "common/ca_preset.h"

#include <string.h>

const char *const aw_ca_eab_names[] = {"unknown", "none", "reusable", "one-time", NULL};
const char *const aw_ca_key_change_names[] = {"unknown", "supported", "unsupported", NULL};
const char *const aw_ca_validation_names[] = {"unknown", "prevalidated", "challenges", NULL};
const char *const aw_ca_scope_names[] = {"unknown", "domains", "none", NULL};

#define INCOMMON_NOTE "the CA's pages and its answers differ on whether an EAB may be used again"

/*
 * Name, directory, EAB, key change, validation, scope, note; as of 2026-11. CAs move and change
 * their minds: what is found out is put into signer.yaml first, and here with the next version.
 */
#define PRESETS(X)                                                                                \
    X("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory", NONE, YES, CHALLENGES,     \
        UNKNOWN, "")                                                                              \
    X("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory", NONE, YES, \
        CHALLENGES, UNKNOWN, "its certificates are trusted by nobody")                            \
    X("sectigo-incommon-rsa-ov", "https://acme.sectigo.com/v2/InCommonRSAOV", UNKNOWN, UNKNOWN,   \
        BEFORE, DOMAINS, INCOMMON_NOTE)                                                           \
    X("sectigo-incommon-ecc-ov", "https://acme.sectigo.com/v2/InCommonECCOV", UNKNOWN, UNKNOWN,   \
        BEFORE, DOMAINS, INCOMMON_NOTE)                                                           \
    X("sectigo-ov", "https://acme.sectigo.com/v2/OV", UNKNOWN, UNKNOWN, BEFORE, DOMAINS,          \
        INCOMMON_NOTE)                                                                            \
    X("sectigo-universal", "https://acme.enterprise.sectigo.com", UNKNOWN, UNKNOWN, BEFORE, NONE, \
        "cannot be scoped to domains")                                                            \
    X("zerossl", "https://acme.zerossl.com/v2/DV90", REUSABLE, NO, CHALLENGES, UNKNOWN,           \
        "answers 500 to every key change")                                                        \
    X("google", "https://dv.acme-v02.api.pki.goog/directory", ONE_TIME, YES, CHALLENGES, UNKNOWN, \
        "an EAB is unusable 7 days after it was made; internationalized names are not "           \
        "taken")                                                                                  \
    X("google-staging", "https://dv.acme-v02.test-api.pki.goog/directory", ONE_TIME, YES,         \
        CHALLENGES, UNKNOWN, "its certificates are trusted by nobody")                            \
    X("digicert", "https://acme.digicert.com/v2/acme/directory/", UNKNOWN, UNKNOWN, BEFORE,       \
        UNKNOWN, "the directory's URLs differ by EAB: one CA entry for each")

const struct aw_ca_preset aw_ca_presets[] = {
#define ROW(name, directory, eab, key_change, validation, scope, note)                         \
    {directory, AW_CA_EAB_##eab, AW_CA_KEY_CHANGE_##key_change, AW_CA_VALIDATION_##validation, \
        AW_CA_SCOPE_##scope, note},
    PRESETS(ROW)
#undef ROW
};

const char *const aw_ca_preset_names[] = {
#define NAME(name, directory, eab, key_change, validation, scope, note) name,
    PRESETS(NAME)
#undef NAME
        NULL};

static size_t
length_without_slash(const char *url)
{
    size_t length = strlen(url);

    return length > 0 && url[length - 1] == '/' ? length - 1 : length;
}

int
aw_ca_preset_of(const char *directory)
{
    size_t length = length_without_slash(directory);

    for (int i = 0; aw_ca_preset_names[i] != NULL; i++) {
        const char *other = aw_ca_presets[i].directory;

        if (length == length_without_slash(other) && strncmp(directory, other, length) == 0)
            return i;
    }
    return -1;
}
