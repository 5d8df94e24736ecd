#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signer_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/b64url.h"
#include "common/io.h"
#include "common/nss.h"

#define FAR "2099-01-01"

/* Files. */

void
world_path(const struct world *w, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", w->folder, name);
}

void
world_write(struct world *w, const char *name, const char *text)
{
    char path[256];

    world_path(w, name, path);
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void
make_folder(const struct world *w, const char *name, mode_t mode)
{
    char path[256];

    world_path(w, name, path);
    assert_int_equal(mkdir(path, mode), 0);
}

static void
write_config(struct world *w)
{
    char text[2048];

    snprintf(text, sizeof(text),
        "token:\n  module: %s\n  uri: \"%s\"\n  pin_source: %s\n  sessions: 4\n"
        "paths:\n  state: %s/state\n  policies: %s/policy.d\n"
        "  application_socket: %s/run/signer.sock\n  admin_socket: %s/run/admin.sock\n"
        "cas:\n"
        "  - {name: ca1, directory: \"" CA "directory\"}\n"
        "  - {name: ca2, directory: \"https://ca.example.org/directory\"}\n"
        "accounts:\n"
        "  - {name: main, ca: ca1, ceiling: [example.edu, 192.0.2.0/24]}\n"
        "  - {name: twin, ca: ca1, ceiling: [example.edu]}\n"
        "  - {name: raw, ca: ca1, ceiling: [example.edu]}\n"
        "  - {name: unpinned, ca: ca2, ceiling: [example.edu]}\n"
        "  - {name: keyless, ca: ca1, ceiling: [example.edu]}\n"
        "administrators:\n  officers: [{user: sys}]\n  operators: [{user: games}]\n"
        "relays:\n  - {user: " RELAY ", url: \"" RELAY_URL "\"}\n",
        SOFTHSM_MODULE, w->h.uri, w->h.pin_path, w->folder, w->folder, w->folder, w->folder);
    world_write(w, "signer.yaml", text);
}

void
world_pin_issuers(struct world *w, const char *name)
{
    static const char mark[] = "name: ca1, ";
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(aw_free) char *changed = NULL;
    char setting[300] = "", path[256];
    size_t size;

    if (name != NULL) {
        world_path(w, name, path);
        snprintf(setting, sizeof(setting), "issuers: \"%s\", ", path);
    }
    assert_ok(aw_file_read(w->config, 8192, &text, &size));
    const char *at = strstr(text, mark);
    assert_non_null(at);
    at += strlen(mark);
    const char *rest = strstr(at, "directory");
    assert_non_null(rest);
    assert_ok(aw_format(&changed, "%.*s%s%s", (int)(at - text), text, setting, rest));
    world_write(w, "signer.yaml", changed);
}

static const struct {
    const char *name, *principals, *account, *names, *more;
} applications[] = {
    {"app-a", "[{user: daemon}]", "main",
        "{exact: [a.example.edu, www.a.example.edu], subdomains_of: [sub.a.example.edu],"
        " wildcards_of: [w.a.example.edu, v.a.example.edu],"
        " deny: [deny.sub.a.example.edu, pay.v.a.example.edu],"
        " addresses: [192.0.2.16/28]}",
        "operations: [order, revoke]\nkeys: [ec-p256, rsa-2048]\nprofiles: [classic]\n"
        "limits: {names_per_certificate: 4, orders_per_day: 200}\n"},
    {"app-b", "[{user: bin}]", "main", "{exact: [b.example.edu]}", "operations: [order]\n"},
    {"app-g", "[{group: www-data}]", "main", "{exact: [g.example.edu]}", ""},
    {"app-m1", "[{user: mail}]", "main", "{exact: [m1.example.edu]}", ""},
    {"app-m2", "[{user: mail}]", "main", "{exact: [m2.example.edu]}", ""},
    {"app-warn", "[{user: news}]", "main", "{exact: [warn.example.edu]}", "warn_until: " FAR "\n"},
    {"app-expired", "[{user: uucp}]", "main", "{exact: [e.example.edu]}", "expires: 2020-01-01\n"},
    {"app-inert", "[{user: proxy}, {user: no-such-user}]", "main", "{exact: [i.example.edu]}", ""},
    {"app-raw", "[{user: man}]", "raw", "{exact: [r.example.edu]}", ""},
    {"app-unpinned", "[{user: backup}]", "unpinned", "{exact: [u.example.edu]}", ""},
    {"app-keyless", "[{user: list}]", "keyless", "{exact: [k.example.edu]}", ""},
    {"app-one", "[{user: irc}]", "main", "{exact: [one.example.edu]}",
        "limits: {orders_per_day: 1}\n"},
};

static void
write_policies(struct world *w)
{
    for (size_t i = 0; i < AW_COUNT(applications); i++) {
        char name[64], text[1024];

        snprintf(name, sizeof(name), "policy.d/%s.yaml", applications[i].name);
        snprintf(text, sizeof(text),
            "application: %s\nowner: team@example.edu\naccount: %s\nprincipals: %s\nnames: %s\n%s",
            applications[i].name, applications[i].account, applications[i].principals,
            applications[i].names, applications[i].more);
        world_write(w, name, text);
    }
}

static void
write_account(struct world *w, const char *name, const char *ca, const char *thumbprint,
    const char *key, const char *url)
{
    char file[64], text[1024];

    snprintf(file, sizeof(file), "state/accounts/%s.json", name);
    snprintf(text, sizeof(text),
        "{\"ca\":\"%s\",\"state\":\"registered\",\"thumbprint\":\"%s\",\"key\":\"%s\","
        "\"url\":\"%s\",\"orders\":\"%s/orders\",\"registered_at\":1790000000}",
        ca, thumbprint, key, url, url);
    world_write(w, file, text);
}

static void
digest_text(const void *data, size_t size, char out[64])
{
    uint8_t digest[32];

    assert_int_equal(EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL), 1);
    aw_b64url_encode(digest, sizeof(digest), out);
}

/* As if the ceremonies had been held: pin, key in the token, registration. */
static void
write_state(struct world *w)
{
    struct token_key_report report;
    token_key *key = NULL;
    const uint8_t *spki;
    size_t size;
    char digest[64];

    make_folder(w, "state/cas", 0750);
    make_folder(w, "state/accounts", 0750);
    world_write(w, "state/cas/ca1.json",
        "{\"directory\":\"" CA "directory\",\"pinned_at\":1790000000,\"pin\":{"
        "\"newNonce\":\"" CA "new-nonce\",\"newAccount\":\"" CA "new-account\","
        "\"newOrder\":\"" CA "new-order\",\"revokeCert\":\"" CA "revoke-cert\","
        "\"keyChange\":\"" CA "key-change\",\"renewalInfo\":\"" CA "renewal-info\","
        "\"termsOfService\":null,\"externalAccountRequired\":true},\"eabs\":[]}");
    assert_ok(token_key_generate(
        w->core->token, "acmeward-account:main", TOKEN_KEY_EC_P256, &report, &key));
    token_key_spki(key, &spki, &size);
    digest_text(spki, size, digest);
    write_account(w, "main", "ca1", token_key_thumbprint(key), digest, ACCOUNT_URL);
    token_key_free(&key);
    octets twin = public_key(KEY_P256_OTHER);
    digest_text(twin.data, twin.size, digest);
    write_account(w, "twin", "ca1", "thumbprint-of-the-twin", digest, CA "acct/2");
    write_account(w, "keyless", "ca1", "thumbprint-of-a-lost-key", digest, CA "acct/3");
    write_account(
        w, "unpinned", "ca2", "thumbprint-of-another", digest, "https://ca.example.org/acct/1");
}

void
world_open(struct world *w)
{
    struct aw_faults faults = {0};

    aw_result r = core_open(w->config, NULL, &faults, &w->core);
    if (faults.total > 0)
        aw_faults_print(&faults, stderr);
    aw_faults_free(&faults);
    assert_ok(r);
}

void
world_make_bare(struct world *w)
{
    *w = (struct world){.variable_count = 0};
    umask(022);
    softhsm_make(&w->h);
    snprintf(w->folder, sizeof(w->folder), "%s/w", w->h.root);
    snprintf(w->config, sizeof(w->config), "%s/signer.yaml", w->folder);
    assert_int_equal(mkdir(w->folder, 0755), 0);
    make_folder(w, "policy.d", 0755);
    make_folder(w, "state", 0750);
    make_folder(w, "run", 0755);
    write_config(w);
    write_policies(w);
    world_open(w);
}

void
world_make(struct world *w)
{
    world_make_bare(w);
    write_state(w);
    world_reload(w);
    world_set(w, "N", "nonce-1");
}

void
world_remove(struct world *w)
{
    core_close(&w->core);
    softhsm_remove(&w->h);
    for (size_t i = 0; i < w->variable_count; i++)
        free(w->variables[i].value);
    builder_end();
}

static int
set_up(void **state, void (*make)(struct world *))
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    *state = w;
    make(w);
    return 0;
}

int
world_setup(void **state)
{
    return set_up(state, world_make);
}

int
world_setup_bare(void **state)
{
    return set_up(state, world_make_bare);
}

int
world_teardown(void **state)
{
    struct world *w = *state;

    world_remove(w);
    free(w);
    return 0;
}

void
world_restart(struct world *w)
{
    core_close(&w->core);
    world_open(w);
}

void
world_reload(struct world *w)
{
    struct aw_faults faults = {0}, warnings = {0};

    aw_result r = core_reload(w->core, NULL, &faults, &warnings);
    if (faults.total > 0)
        aw_faults_print(&faults, stderr);
    aw_faults_free(&faults);
    aw_faults_free(&warnings);
    assert_ok(r);
}

struct peer
world_peer(const char *user, const char *group)
{
    struct peer peer = {.group_count = 1};
    bool found = false;

    assert_ok(aw_nss_user(user, &found, &peer.uid));
    if (!found)
        fail_msg("the system has no user %s", user);
    /* The primary group would let www-data in by its name: peers of tests have none that counts. */
    peer.groups[0] = 12345;
    if (group != NULL)
        assert_ok(aw_nss_group(group, &found, &peer.groups[peer.group_count++]));
    if (!found)
        fail_msg("the system has no group %s", group);
    snprintf(peer.user, sizeof(peer.user), "%s", user);
    return peer;
}

void
world_configure_audit(struct world *w, const char *section)
{
    AW_CLEANUP(aw_free) char *old = NULL, *new = NULL;
    size_t size;

    assert_ok(aw_file_read(w->config, 65536, &old, &size));
    char *before = strstr(old, "audit:");
    if (before != NULL)
        *before = '\0';
    assert_ok(aw_format(&new, "%s%s", old, section));
    world_write(w, "signer.yaml", new);
}

void
world_expect_admin(struct world *w, const char *row, const char *operation, const char *verdict)
{
    AW_CLEANUP(world_record_free) struct world_record last = {0};

    world_last(w, &last);
    if (last.entry->kind != AUDIT_ADMIN || strcmp(last.entry->operation, operation) != 0 ||
        strcmp(last.entry->verdict, verdict) != 0)
        fail_msg("%s: the last record is %s %s %s", row, audit_kind_name(last.entry->kind),
            last.entry->operation ? last.entry->operation : "",
            last.entry->verdict ? last.entry->verdict : "");
}
