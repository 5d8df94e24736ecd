/* Whether a certificate is due: what is kept of the last look, its settings, itself, the CA. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "client/chain.h"
#include "client/renew.h"
#include "client/store_steps.h"
#include "common/io.h"

/* One look at one certificate. */
struct look {
    struct renew *r;
    const char *name;
    struct renew_state state, before;
    struct renewal_config *config;
    struct options *settings;
    struct store_entry entry; /* names NULL: nothing that could be read is stored */
    X509 *leaf;
    char *why; /* NULL: not due */
    char *replaces, *domains, *key, *directory;
    unsigned version;
};

static void
free_look(struct look *look)
{
    renewal_config_free(&look->config);
    store_entry_free(&look->entry);
    X509_free(look->leaf);
    free(look->why);
    free(look->replaces);
    free(look->domains);
    free(look->key);
    free(look->directory);
}

/* What is kept. */

static aw_result
stamp(const char *path, struct renew_state *state)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't examine %s", path);
    state->settings = (int64_t)st.st_mtim.tv_sec;
    state->settings_ns = (int64_t)st.st_mtim.tv_nsec;
    state->settings_size = (int64_t)st.st_size;
    return AW_OK;
}

static aw_result
read_kept(struct look *look)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *live = NULL;
    bool found;

    AW_TRY(renewal_config_path(look->r->root, look->name, &path));
    AW_TRY(aw_format(&live, "%s/live/%s", look->r->root, look->name));
    AW_TRY(renew_state_read(look->r->root, look->name, &look->before, &found));
    look->state = look->before;
    AW_TRY(stamp(path, &look->state));
    AW_TRY(store_link_read(live, look->name, STORE_CERT, &look->version));
    if (!found) /* it was stored by something else: what is live is in use already */
        look->state.deployed = look->version;
    return AW_OK;
}

static bool
is_unchanged(const struct look *look)
{
    const struct renew_state *a = &look->before, *b = &look->state;

    return a->version == (int64_t)look->version && a->settings == b->settings &&
           a->settings_ns == b->settings_ns && a->settings_size == b->settings_size;
}

/* Nothing can have become due: neither the settings nor the certificate need to be read. What was
 * noted at a time that is yet to come, by a clock that was ahead, says nothing. */
static bool
is_settled(const struct look *look)
{
    const struct options *o = look->r->options;

    return !o->force_renewal && !o->dry_run && is_unchanged(look) &&
           look->before.looked <= look->r->now && look->r->now < look->before.next &&
           look->before.deployed == look->before.version;
}

/* The certificate and the settings. */

static aw_result
read_leaf(struct look *look)
{
    AW_CLEANUP(aw_free) char *path = NULL;
    AW_CLEANUP(aw_free) char *text = NULL;
    AW_CLEANUP(chain_free) struct chain chain = {0};
    size_t size;

    AW_TRY(aw_format(&path, "%s/live/%s/cert.pem", look->r->root, look->name));
    AW_TRY(aw_file_read(path, CHAIN_PEM_MAX, &text, &size));
    AW_TRY(chain_read_bare(text, size, &chain));
    look->leaf = chain.certificates[0];
    return X509_up_ref(look->leaf) == 1 ? AW_OK : aw_fail_memory();
}

static aw_result
read_both(struct look *look)
{
    AW_TRY(renew_settings(look->r, look->name, &look->config));
    look->settings = renewal_config_options(look->config);
    aw_result r = store_read(look->r->root, look->name, &look->entry);
    if (r.code == AW_CODE_NOT_FOUND)
        return AW_OK;
    return r;
}

static aw_result
join_names(struct look *look)
{
    AW_CLEANUP(aw_free) struct aw_name *names = calloc(look->settings->name_count, sizeof(*names));
    size_t count = look->settings->name_count;

    if (names == NULL)
        return aw_fail_memory();
    for (size_t i = 0; i < count; i++) {
        AW_CLEANUP(aw_free) char *before = AW_MOVE(look->domains);

        names[i] = look->settings->names[i].name;
        AW_TRY(aw_format(&look->domains, "%s%s%s", before == NULL ? "" : before,
            before == NULL ? "" : " ", names[i].text));
    }
    if (!aw_names_sort(names, count))
        return aw_fail(AW_CODE_INTERNAL, "a name is there twice");
    return renew_failure_key(names, count, &look->key);
}

static bool
has_names(const struct look *look)
{
    const struct options *settings = look->settings;

    for (size_t i = 0; i < settings->name_count; i++) {
        bool found = false;

        for (size_t j = 0; j < look->entry.name_count && !found; j++)
            found = strcmp(look->entry.names[j], settings->names[i].name.text) == 0;
        if (!found)
            return false;
    }
    return settings->name_count == look->entry.name_count;
}

/* What makes it due whatever its age is. NULL: nothing. */
static const char *
reason(const struct look *look)
{
    AW_CLEANUP(aw_free) char *order = NULL;
    const char *key_type = look->settings->key_type;

    if (look->r->options->dry_run)
        return "dry run";
    if (look->r->options->force_renewal)
        return "by force";
    if (aw_ok(aw_format(&order, "%s/archive/.order-%s.json", look->r->root, look->name)) &&
        access(order, F_OK) == 0)
        return "its order is under way";
    if (look->entry.names == NULL)
        return "none is stored";
    if (look->entry.fault != NULL)
        return "what is stored is damaged";
    if (!has_names(look))
        return "its settings have other names";
    if (!certonly_same_uri(look->settings->key_uri, look->entry.key_uri))
        return "its settings have another place of the key";
    return key_type != NULL && strcmp(key_type, look->entry.key_type) != 0
               ? "its settings have another key type"
               : NULL;
}

/* The CA's window. */

/* Keeps the time that was chosen as long as the window is the same (RFC 9773 4.2). */
static aw_result
take_window(struct look *look, const struct ari *ari)
{
    struct renew_state *state = &look->state;
    bool same = state->window_start == ari->start && state->window_end == ari->end;

    state->ask = look->r->now + ari->retry_after;
    if (same && state->chosen != 0)
        return AW_OK;
    state->window_start = ari->start;
    state->window_end = ari->end;
    if (ari->explanation != NULL)
        output_note(look->r->out, "the CA has %s renewed earlier or later than usual: %s",
            look->name, ari->explanation);
    return ari_choose(ari, &state->chosen);
}

static aw_result
ask_ca(struct look *look)
{
    AW_CLEANUP(aw_free) char *id = NULL;
    AW_CLEANUP(ari_free) struct ari ari = {0};
    struct renew_ca *ca = NULL;
    const struct renew_ca_settings settings = {
        look->settings, renew_shared_ssh(look->r, look->settings)};

    AW_TRY(renew_ca_find(&look->r->cas, &settings, look->r->out, &ca));
    if (ca->directory != NULL)
        AW_TRY(aw_format(&look->directory, "%s", ca->directory));
    /* What has no such identifier is ordered without a word on what it replaces. */
    if (ca->renewal_info == NULL || look->entry.names == NULL || !aw_ok(read_leaf(look)) ||
        !aw_ok(ari_id(look->leaf, &id)))
        return AW_OK;
    AW_TRY(aw_format(&look->replaces, "%s", id));
    if (ca->broken || look->r->now < look->state.ask)
        return AW_OK;
    aw_result r = renew_ca_window(ca, id, &ari);
    if (aw_ok(r))
        return take_window(look, &ari);
    look->state.ask = look->r->now + ARI_RETRY_DEFAULT;
    output_note(look->r->out, "%s: %s", look->name, aw_error_last()->message);
    return AW_OK;
}

/* When. */

static int64_t
due_time(const struct look *look)
{
    int64_t end = look->entry.not_after, life = end - look->entry.not_before;
    int64_t last = end - life / RENEW_LAST_PART;
    const struct renew_state *state = &look->state;

    if (state->window_end == 0)
        return end - life / RENEW_PART;
    if (state->window_end <= look->r->now + RENEW_INTERVAL)
        return look->r->now;
    return state->chosen < last ? state->chosen : last;
}

/* Before it is due where the CA is to be asked, or from when on its window is not waited for. */
static int64_t
next_look(const struct look *look, int64_t due)
{
    int64_t last_wait = look->state.window_end - RENEW_INTERVAL;

    if (look->replaces != NULL && look->state.ask < due)
        due = look->state.ask;
    return look->state.window_end != 0 && last_wait < due ? last_wait : due;
}

/* By age; sets when to look again. */
static aw_result
judge_age(struct look *look)
{
    int64_t due = due_time(look);
    char date[32];

    if (due > look->r->now) {
        look->state.next = next_look(look, due);
        return AW_OK;
    }
    look->state.next = 0;
    aw_time_text(look->entry.not_after, date);
    return aw_format(&look->why, "%s, it expires %s",
        look->state.window_end == 0 ? "a third of its lifetime is left" : "the CA's time has come",
        date);
}

static aw_result
judge(struct look *look)
{
    const char *why;

    if (look->state.version != (int64_t)look->version) {
        look->state.window_start = look->state.window_end = look->state.chosen = look->state.ask =
            0;
        look->state.version = look->version;
    }
    if (look->before.looked > look->r->now)
        look->state.ask = 0;
    look->state.looked = look->r->now;
    AW_TRY(join_names(look));
    why = reason(look);
    if (why != NULL)
        AW_TRY(aw_format(&look->why, "%s", why));
    look->state.next = 0;
    if (!look->r->options->dry_run)
        AW_TRY(ask_ca(look));
    return why != NULL ? AW_OK : judge_age(look);
}

/* What follows. */

static aw_result
add_item(struct look *look)
{
    struct renew *r = look->r;

    AW_TRY(aw_array_grow(&r->items, r->count, &r->room, sizeof(*r->items)));
    struct renew_item *item = &r->items[r->count];
    *item = (struct renew_item){.left = look->entry.not_after - r->now, .version = look->version};
    AW_TRY(aw_format(&item->name, "%s", look->name));
    r->count++;
    item->why = AW_MOVE(look->why);
    item->replaces = AW_MOVE(look->replaces);
    item->key = AW_MOVE(look->key);
    item->domains = AW_MOVE(look->domains);
    item->directory = AW_MOVE(look->directory);
    return AW_OK;
}

/* A failure of this set of names, or of its CA, that is still to be waited out. */
static aw_result
find_failure(const struct look *look, struct renew_failure *failure, bool *found)
{
    const char *keys[] = {look->key, look->directory};

    *found = false;
    for (size_t i = 0; i < AW_COUNT(keys) && !*found; i++) {
        if (keys[i] == NULL)
            continue;
        renew_failure_free(failure);
        AW_TRY(renew_failure_read(look->r->root, keys[i], failure));
        *found = renew_failure_holds(failure, look->r->now);
    }
    return AW_OK;
}

static aw_result
decide(struct look *look)
{
    AW_CLEANUP(renew_failure_free) struct renew_failure failure = {0};
    const struct options *o = look->r->options;
    bool waits = false;

    if (look->why == NULL) {
        look->r->not_due++;
        return AW_OK;
    }
    if (!o->force_renewal && !o->dry_run)
        AW_TRY(find_failure(look, &failure, &waits));
    if (!waits)
        return add_item(look);
    look->state.next = failure.next;
    renew_wait(look->r, look->name, &failure);
    return AW_OK;
}

static aw_result
examine(struct look *look)
{
    AW_TRY(read_kept(look));
    if (is_settled(look)) {
        look->r->not_due++;
        return AW_OK;
    }
    AW_TRY(read_both(look));
    AW_TRY(judge(look));
    if (!look->r->options->dry_run && look->version != 0 &&
        look->state.deployed != (int64_t)look->version) {
        output_note(look->r->out, "version %u of %s came without its deploy hooks: they run now",
            look->version, look->name);
        if (renew_deploy(look->r, look->name, look->settings, look->domains))
            look->state.deployed = look->version;
    }
    AW_TRY(decide(look));
    if (look->r->options->dry_run || memcmp(&look->state, &look->before, sizeof(look->state)) == 0)
        return AW_OK;
    return look->state.deployed == look->state.version
               ? renew_state_note(look->r->root, look->name, &look->state)
               : renew_state_write(look->r->root, look->name, &look->state);
}

static void
free_faults(struct aw_faults *faults)
{
    aw_faults_free(faults);
}

/* What is said on this command line holds before what is kept. */
static void
put_over(const struct options *typed, const char *name, struct options *settings)
{
    settings->cert_name = name;
    settings->config = typed->config;
    settings->config_dir = typed->config_dir;
    settings->dry_run = typed->dry_run;
    settings->quiet = typed->quiet;
    if (typed->signer != NULL)
        settings->signer = typed->signer;
    if (typed->ca_file != NULL)
        settings->ca_file = typed->ca_file;
    if (typed->proxy != NULL)
        settings->proxy = typed->proxy;
    if (typed->issuance_timeout != NULL)
        settings->issuance_timeout = typed->issuance_timeout;
}

/* An order that is gone on with has settings of its own: it may be the first of its name. */
static aw_result
settings_path(const struct renew *r, const char *name, char **out)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    if (r->resume)
        AW_TRY(aw_format(&path, "%s/archive/.order-%s.conf", r->root, name));
    if (path == NULL || access(path, F_OK) != 0)
        return renewal_config_path(r->root, name, out);
    *out = AW_MOVE(path);
    return AW_OK;
}

static aw_result
add_order(struct look *look)
{
    AW_CLEANUP(aw_free) char *live = NULL;

    AW_TRY(aw_format(&live, "%s/live/%s", look->r->root, look->name));
    AW_TRY(store_link_read(live, look->name, STORE_CERT, &look->version));
    AW_TRY(read_both(look));
    AW_TRY(join_names(look));
    AW_TRY(aw_format(&look->why, "its order is under way"));
    return add_item(look);
}

aw_result
renew_add_order(struct renew *r, const char *name)
{
    AW_CLEANUP(free_look) struct look look = {.r = r, .name = name};

    r->examined++;
    aw_result result = add_order(&look);
    if (aw_ok(result) || result.code == AW_CODE_MEMORY)
        return result;
    renew_fail(r, name);
    return AW_OK;
}

aw_result
renew_settings(struct renew *r, const char *name, struct renewal_config **config)
{
    AW_CLEANUP(free_faults) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *path = NULL;

    AW_TRY(settings_path(r, name, &path));
    aw_result result = renewal_config_read(path, &faults, config);
    if (!aw_ok(result) && faults.count > 1 && !r->out->json)
        aw_faults_print(&faults, r->out->messages);
    if (aw_ok(result))
        put_over(r->options, name, renewal_config_options(*config));
    return result;
}

static void
item_free(struct renew_item *item)
{
    free(item->name);
    free(item->why);
    free(item->replaces);
    free(item->key);
    free(item->domains);
    free(item->directory);
    memset(item, 0, sizeof(*item));
}

void
renew_free(struct renew *r)
{
    for (size_t i = 0; i < r->count; i++)
        item_free(&r->items[i]);
    free(r->items);
    lineage_hooks_free(&r->hooks);
    renew_cas_free(&r->cas);
    renew_shared_ssh_end(r);
    aw_json_writer_free(&r->renewed_json);
    aw_json_writer_free(&r->failed_json);
    aw_json_writer_free(&r->waiting_json);
    client_config_free(&r->config);
    aw_close(&r->lock);
    memset(r, 0, sizeof(*r));
}

aw_result
renew_examine(struct renew *r, const char *name)
{
    AW_CLEANUP(free_look) struct look look = {.r = r, .name = name};

    r->examined++;
    aw_result result = examine(&look);
    if (aw_ok(result) || result.code == AW_CODE_MEMORY || result.code == AW_CODE_INTERRUPTED)
        return result;
    renew_fail(r, name);
    return AW_OK;
}
