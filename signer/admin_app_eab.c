/* Administrators' methods on the relay key and the app-EABs that are derived of it. */
#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/b64url.h"
#include "common/io.h"
#include "signer/admin.h"
#include "signer/app_eab.h"

/* App-EABs of one answer: some 100 KiB. */
enum { LISTED_MAX = 400 };

/* The relay key. */

static aw_result
write_relay_key(struct admin_call *call)
{
    char check[APP_EAB_CHECK_SIZE + 1] = "";
    aw_result r = app_eab_check_value(call->core, check);

    if (!aw_ok(r) && r.code != AW_CODE_TOKEN_KEY_MISSING)
        return r;
    aw_json_pair_bool(&call->reply, "present", aw_ok(r));
    aw_json_pair(&call->reply, "check", aw_ok(r) ? check : NULL);
    return AW_OK;
}

aw_result
admin_create_relay_key(struct admin_call *call)
{
    struct token_key_report report = {.padded = false};

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(admin_record(call, "relay-key-create", true));
    AW_TRY(token_mac_generate(call->core->token, APP_EAB_RELAY_KEY, TOKEN_HS256, &report));
    AW_TRY(write_relay_key(call));
    admin_write_report(&call->reply, &report);
    return AW_OK;
}

struct counting {
    int64_t now, usable;
};

static bool
count_usable(void *context, const struct ledger_app_eab *found)
{
    struct counting *counting = context;

    if (ledger_app_eab_rule(found, counting->now) == LEDGER_NONE)
        counting->usable++;
    return true;
}

aw_result
admin_get_relay_key(struct admin_call *call)
{
    struct counting counting = {.now = core_time(call->core, NULL)};

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(write_relay_key(call));
    AW_TRY(ledger_app_eab_visit(call->core->ledger, NULL, 0, count_usable, &counting));
    aw_json_pair_integer(&call->reply, "app_eabs", counting.usable);
    return AW_OK;
}

/* On record, app-eabs end; then the key. A key that could not be destroyed binds nobody any more.
 */
aw_result
admin_destroy_relay_key(struct admin_call *call)
{
    AW_CLEANUP(token_mac_free) token_mac *mac = NULL;

    AW_TRY(aw_json_only(call->parameters, NULL, 0));
    AW_TRY(token_mac_find(call->core->token, APP_EAB_RELAY_KEY, TOKEN_HS256, &mac));
    AW_TRY(admin_record(call, "relay-key-destroy", true));
    return token_mac_destroy(mac);
}

/* Creating. */

struct creation {
    const char *application;
    int64_t expires; /* 0: never */
    bool once;
};

static aw_result
read_creation(struct admin_call *call, struct creation *out)
{
    static const char *const members[] = {"application", "expires", "once"};

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "application";
    AW_TRY(aw_json_string(call->parameters, "application", AW_CONFIG_LABEL_MAX, &out->application));
    call->field = "expires";
    AW_TRY(aw_json_optional_integer(
        call->parameters, "expires", 1, INT64_C(253402300799), &out->expires));
    if (out->expires != 0 && out->expires <= core_time(call->core, NULL))
        return aw_fail(AW_CODE_SYNTAX, "expires: found a time that has passed");
    call->field = "once";
    AW_TRY(aw_json_optional_bool(call->parameters, "once", &out->once));
    call->field = NULL;
    return AW_OK;
}

static bool
has_relays(struct core *core)
{
    pthread_mutex_lock(&core->lock);
    bool has = core->relays.count > 0;
    pthread_mutex_unlock(&core->lock);
    return has;
}

/* A credential that nobody could use is a mistake, which is better told before it is sent out. */
static aw_result
check_application(struct admin_call *call, const struct creation *asked)
{
    AW_CLEANUP(policy_release) policy_snapshot *snapshot = core_snapshot(call->core);
    const struct policy_application *found = policy_find(snapshot, asked->application);

    if (found == NULL)
        return aw_hint(
            aw_fail(AW_CODE_NOT_FOUND, "there is no application \"%.64s\"", asked->application),
            "acmeward-admin policy show lists those that there are");
    if (!found->relay.allowed)
        return aw_hint(aw_fail(AW_CODE_REFUSED, "%s may not be used through a relay (rule relay)",
                           asked->application),
            "put \"relay: {}\" or conditions under relay into its policy, then acmeward-admin "
            "reload");
    if (found->expires != 0 && found->expires <= core_now())
        return aw_hint(aw_fail(AW_CODE_REFUSED,
                           "the policy of %s has ended (rule "
                           "application.expired)",
                           asked->application),
            "put another day under expires into its policy, then acmeward-admin reload");
    if (!has_relays(call->core))
        return aw_hint(aw_fail(AW_CODE_CONFIG, "signer.yaml names no relay that exists"),
            "put user and url of one under relays, then acmeward-admin reload");
    snprintf(call->application, sizeof(call->application), "%s", asked->application);
    return AW_OK;
}

static void
write_directories(struct admin_call *call)
{
    struct core *core = call->core;
    struct aw_json_writer *w = &call->reply;

    aw_json_name(w, "directories");
    aw_json_begin_array(w);
    pthread_mutex_lock(&core->lock);
    for (size_t i = 0; i < core->relays.count; i++) {
        char url[AW_CONFIG_RELAY_URL_MAX + sizeof("/directory")];

        snprintf(url, sizeof(url), "%s/directory", core->relays.items[i].url);
        aw_json_write_string(w, url);
    }
    pthread_mutex_unlock(&core->lock);
    aw_json_end_array(w);
}

static void
write_expiry(struct aw_json_writer *w, int64_t expires)
{
    if (expires == 0)
        aw_json_pair(w, "expires", NULL);
    else
        aw_json_pair_integer(w, "expires", expires);
}

/* Derived before it is on record: what can't be shown is not made. */
static aw_result
make(struct admin_call *call, const struct creation *asked, aw_secret *key)
{
    char text[AW_B64URL_LENGTH(APP_EAB_KEY_SIZE) + 1];

    AW_TRY(app_eab_kid_new(call->core, call->kid));
    AW_TRY(app_eab_key(call->core, call->kid, asked->application, key));
    call->not_after = asked->expires;
    call->count = asked->once ? 1 : 0;
    AW_TRY(admin_record(call, "app-eab-create", true));
    aw_b64url_encode(key->data, key->size, text);
    aw_json_pair(&call->reply, "kid", call->kid);
    aw_json_pair(&call->reply, "key", text);
    OPENSSL_cleanse(text, sizeof(text));
    return AW_OK;
}

aw_result
admin_create_app_eab(struct admin_call *call)
{
    AW_CLEANUP(aw_secret_free) aw_secret *key = NULL;
    struct creation asked = {.application = NULL};

    AW_TRY(read_creation(call, &asked));
    AW_TRY(check_application(call, &asked));
    AW_TRY(aw_secret_new(APP_EAB_KEY_SIZE, &key));
    AW_TRY(make(call, &asked, key));
    aw_json_pair(&call->reply, "application", asked.application);
    write_expiry(&call->reply, asked.expires);
    aw_json_pair_bool(&call->reply, "once", asked.once);
    write_directories(call);
    return AW_OK;
}

/* Listing. */

struct listing {
    struct aw_json_writer *w;
    int64_t now;
    size_t count;
    bool more;
};

static const char *
state_of(const struct ledger_app_eab *app_eab, int64_t now)
{
    enum ledger_rule rule = ledger_app_eab_rule(app_eab, now);

    return rule == LEDGER_INNER_REVOKED   ? "revoked"
           : rule == LEDGER_INNER_EXPIRED ? "expired"
           : rule == LEDGER_INNER_USED    ? "used"
                                          : "usable";
}

static bool
write_one(void *context, const struct ledger_app_eab *found)
{
    struct listing *listing = context;
    struct aw_json_writer *w = listing->w;

    listing->more = listing->count == LISTED_MAX;
    if (listing->more)
        return false;
    listing->count++;
    aw_json_begin_object(w);
    aw_json_pair_integer(w, "record", found->seq);
    aw_json_pair(w, "kid", found->kid);
    aw_json_pair(w, "application", found->application);
    aw_json_pair_integer(w, "created", found->created);
    write_expiry(w, found->expires);
    aw_json_pair_bool(w, "once", found->once);
    aw_json_pair(w, "state", state_of(found, listing->now));
    aw_json_pair_integer(w, "used", found->used);
    aw_json_end_object(w);
    return true;
}

aw_result
admin_list_app_eabs(struct admin_call *call)
{
    static const char *const members[] = {"application", "after"};
    struct listing listing = {.w = &call->reply, .now = core_time(call->core, NULL)};
    const char *application = NULL;
    int64_t from = 0;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "application";
    AW_TRY(aw_json_optional_string(
        call->parameters, "application", AW_CONFIG_LABEL_MAX, &application));
    call->field = "after";
    AW_TRY(
        aw_json_optional_integer(call->parameters, "after", 0, INT64_C(9007199254740991), &from));
    call->field = NULL;
    aw_json_name(&call->reply, "app_eabs");
    aw_json_begin_array(&call->reply);
    AW_TRY(ledger_app_eab_visit(call->core->ledger, application, from, write_one, &listing));
    aw_json_end_array(&call->reply);
    aw_json_pair_bool(&call->reply, "more", listing.more);
    return AW_OK;
}

/* Revoking. */

/* Accounts that were made with it go on, or end, each on record. None comes between: it is revoked.
 */
static aw_result
tell_accounts(struct admin_call *call, bool end)
{
    AW_CLEANUP(aw_free) int64_t *ids = NULL;
    size_t count = 0;

    AW_TRY(ledger_app_eab_accounts(call->core->ledger, call->kid, &ids, &count));
    aw_json_name(&call->reply, "accounts");
    aw_json_begin_array(&call->reply);
    for (size_t i = 0; i < count; i++) {
        call->account_id = ids[i];
        if (end)
            AW_TRY(admin_record(call, "inner-deactivate", true));
        aw_json_write_integer(&call->reply, ids[i]);
    }
    aw_json_end_array(&call->reply);
    call->account_id = 0;
    return AW_OK;
}

aw_result
admin_revoke_app_eab(struct admin_call *call)
{
    static const char *const members[] = {"kid", "accounts"};
    AW_CLEANUP(ledger_app_eab_free) struct ledger_app_eab found = {.kid = NULL};
    const char *kid = NULL;
    bool end = false;

    AW_TRY(aw_json_only(call->parameters, members, AW_COUNT(members)));
    call->field = "accounts";
    AW_TRY(aw_json_optional_bool(call->parameters, "accounts", &end));
    call->field = "kid";
    AW_TRY(aw_json_string(call->parameters, "kid", LEDGER_KID_SIZE, &kid));
    if (!app_eab_kid_ok(kid))
        return aw_fail(AW_CODE_SYNTAX, "kid: expected app- and %d characters",
            LEDGER_KID_SIZE - (int)sizeof("app-") + 1);
    call->field = NULL;
    AW_TRY(ledger_app_eab_find(call->core->ledger, kid, &found));
    if (found.kid == NULL)
        return aw_hint(aw_fail(AW_CODE_NOT_FOUND, "there is no app-eab %s", kid),
            "acmeward-admin app-eab list shows those that there are");
    snprintf(call->kid, sizeof(call->kid), "%s", kid);
    snprintf(call->application, sizeof(call->application), "%s", found.application);
    if (found.revoked == 0) /* once is enough, and asked again it is no fault */
        AW_TRY(admin_record(call, "app-eab-revoke", true));
    call->recorded = true;
    aw_json_pair(&call->reply, "application", found.application);
    return tell_accounts(call, end);
}
