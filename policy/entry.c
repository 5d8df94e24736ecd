#include "policy/entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/io.h"
#include "policy/words.h"

/* Names. */

/* What each list of names takes. */
struct list_rule {
    enum claim_kind kind;
    bool single_label;  /* a name of one label is taken */
    bool public_suffix; /* a name below which anybody may have names is taken */
    const char *wildcard_hint;
};

static const struct list_rule list_rules[] = {
    [FILE_EXACT] = {CLAIM_EXACT, false, true, "wildcards_of takes the name behind the asterisk"},
    [FILE_SUBDOMAINS] = {CLAIM_SUBDOMAINS, false, false, "it covers all names below it"},
    [FILE_WILDCARDS] = {CLAIM_WILDCARDS, false, false, "the asterisk is meant already"},
    [FILE_DENY] = {CLAIM_DENY, true, true, "it denies its wildcard and all names below it"},
};

static bool
check_name(const struct checker *checker, const struct list_rule *rule,
    const struct aw_yaml_string *entry, const struct aw_name *name)
{
    struct aw_faults *faults = checker->draft->faults;

    if (name->form == AW_NAME_WILDCARD) {
        policy_file_fault(entry->node, faults, "found \"%s\", expected \"%s\": %s", name->text,
            name->text + 2, rule->wildcard_hint);
        return false;
    }
    if (name->labels == 1 && !rule->single_label) {
        policy_file_fault(entry->node, faults,
            "found \"%s\", expected a fully qualified name of two labels or more", name->text);
        return false;
    }
    if (!rule->public_suffix && psl_is_public_suffix(checker->suffixes, name->text)) {
        policy_file_fault(entry->node, faults,
            "found \"%s\", expected a domain of yours: this is a public suffix, below which "
            "anybody may have names",
            name->text);
        return false;
    }
    return true;
}

static aw_result
add_names(const struct checker *checker, enum file_list list, const struct policy_file *file)
{
    struct draft *draft = checker->draft;
    const struct list_rule *rule = &list_rules[list];

    for (size_t i = 0; i < file->lists[list].count; i++) {
        const struct aw_yaml_string *entry = &file->lists[list].items[i];
        struct aw_name name;

        if (!aw_ok(aw_name_parse_file(entry->text, strlen(entry->text), &name)))
            policy_file_fault(entry->node, draft->faults, "%s", aw_error_last()->message);
        else if (check_name(checker, rule, entry, &name))
            AW_TRY(policy_draft_claim(draft, rule->kind,
                policy_arena_put(&draft->snapshot->arena, name.text, name.length), entry->node));
    }
    return AW_OK;
}

static aw_result
add_addresses(const struct checker *checker, enum file_list list, const struct policy_file *file)
{
    struct draft *draft = checker->draft;
    policy_snapshot *snapshot = draft->snapshot;

    for (size_t i = 0; i < file->lists[list].count; i++) {
        const struct aw_yaml_string *entry = &file->lists[list].items[i];
        struct policy_network network;

        if (!aw_ok(policy_network_parse(entry->text, strlen(entry->text), &network))) {
            policy_file_fault(entry->node, draft->faults, "%s", aw_error_last()->message);
            continue;
        }
        if (list == FILE_ADDRESSES)
            snapshot->prefixes[prefix_row(network.size)][network.prefix] = true;
        AW_TRY(policy_draft_claim(draft,
            list == FILE_ADDRESSES ? CLAIM_ADDRESSES : CLAIM_RELAY_NETWORKS,
            policy_index_put_network(&snapshot->arena, &network), entry->node));
    }
    return AW_OK;
}

/* ACME profiles (draft-ietf-acme-profiles): names that the CA makes up, taken as they are. */
static bool
profile_ok(const char *text)
{
    size_t length = strlen(text);

    if (length > FILE_PROFILE_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static aw_result
add_profiles(const struct checker *checker, enum file_list list, const struct policy_file *file)
{
    struct draft *draft = checker->draft;

    for (size_t i = 0; i < file->lists[list].count; i++) {
        const struct aw_yaml_string *entry = &file->lists[list].items[i];

        if (!profile_ok(entry->text))
            policy_file_fault(entry->node, draft->faults,
                "found \"%.80s\", expected a profile's name: at most %d printable characters, no "
                "space",
                entry->text, FILE_PROFILE_MAX);
        else
            AW_TRY(policy_draft_claim(draft, CLAIM_PROFILES,
                policy_arena_put(&draft->snapshot->arena, entry->text, strlen(entry->text)),
                entry->node));
    }
    return AW_OK;
}

static aw_result
add_shares(const struct checker *checker, enum file_list list, const struct policy_file *file)
{
    struct draft *draft = checker->draft;

    for (size_t i = 0; i < file->lists[list].count; i++) {
        const struct aw_yaml_string *entry = &file->lists[list].items[i];

        AW_TRY(policy_draft_claim(draft, CLAIM_SHARES,
            policy_arena_put(&draft->snapshot->arena, entry->text, strlen(entry->text)),
            entry->node));
    }
    return AW_OK;
}

static aw_result
add_certificates(const struct checker *checker, enum file_list list, const struct policy_file *file)
{
    struct draft *draft = checker->draft;

    for (size_t i = 0; i < file->lists[list].count; i++) {
        const struct aw_yaml_string *entry = &file->lists[list].items[i];

        if (strlen(entry->text) != 64 || strspn(entry->text, "0123456789abcdef") != 64)
            policy_file_fault(entry->node, draft->faults,
                "found \"%.80s\", expected SHA-256 as 64 of 0-9 a-f: openssl x509 -in FILE "
                "-outform DER | sha256sum",
                entry->text);
        else
            AW_TRY(policy_draft_claim(draft, CLAIM_RELAY_CERTIFICATES,
                policy_arena_put(&draft->snapshot->arena, entry->text, strlen(entry->text)),
                entry->node));
    }
    return AW_OK;
}

/* In the order of the kinds, so that an application's lists follow one another in the index. */
static aw_result (*const adders[FILE_LIST_COUNT])(
    const struct checker *, enum file_list, const struct policy_file *) = {
    [FILE_EXACT] = add_names,
    [FILE_SUBDOMAINS] = add_names,
    [FILE_WILDCARDS] = add_names,
    [FILE_DENY] = add_names,
    [FILE_ADDRESSES] = add_addresses,
    [FILE_PROFILES] = add_profiles,
    [FILE_SHARES] = add_shares,
    [FILE_RELAY_NETWORKS] = add_addresses,
    [FILE_RELAY_CERTIFICATES] = add_certificates,
};

static aw_result
add_lists(
    const struct checker *checker, const struct policy_file *file, struct application *application)
{
    const struct policy_index *index = &checker->draft->snapshot->index;

    application->first = (uint32_t)index->count;
    for (unsigned list = 0; list < FILE_LIST_COUNT; list++) {
        size_t before = index->count;

        AW_TRY(adders[list](checker, (enum file_list)list, file));
        application->list_count[list] = (uint32_t)(index->count - before);
    }
    for (unsigned kind = 0; kind < CLAIM_NAMES; kind++)
        checker->draft->snapshot->counts.names += application->list_count[kind];
    return AW_OK;
}

/* Principals. */

static aw_result
add_member(struct members *members, uint32_t id, uint16_t application)
{
    if (members->count == members->capacity) {
        size_t capacity = members->capacity == 0 ? 16 : 2 * members->capacity;
        struct member *items = realloc(members->items, capacity * sizeof(*items));

        if (items == NULL)
            return aw_fail_memory();
        members->items = items;
        members->capacity = capacity;
    }
    members->items[members->count++] = (struct member){id, application};
    return AW_OK;
}

/* The principal's number, where there is such a user or group. */
static aw_result
resolve(const struct policy_resolver *resolver, const struct file_principal *p, bool *found,
    uint32_t *id)
{
    if (p->user != NULL)
        return resolver->user(p->user, found, id, resolver->context);
    if (p->group != NULL)
        return resolver->group(p->group, found, id, resolver->context);
    *found = true;
    *id = (uint32_t)(p->uid >= 0 ? p->uid : p->gid);
    return AW_OK;
}

/* Only who is named can be unknown: numbers are not looked up. */
static aw_result
note_unknown(
    struct draft *draft, const struct file_principal *p, struct policy_application *application)
{
    const char *kind = p->user != NULL ? "user" : "group";
    const char *name = p->user != NULL ? p->user : p->group;
    char text[POLICY_LABEL_MAX + 16];

    if (draft->warnings != NULL)
        policy_file_fault(p->place, draft->warnings,
            "there is no %s \"%.64s\": %s is refused everything until there is", kind, name,
            application->name);
    if (application->inert)
        return AW_OK;
    snprintf(text, sizeof(text), "%s %.64s", kind, name);
    application->inert = true;
    application->missing = policy_arena_put(&draft->snapshot->arena, text, strlen(text));
    return application->missing == NULL ? aw_fail_memory() : AW_OK;
}

static aw_result
add_principal(const struct checker *checker, const struct file_principal *p,
    struct draft_application *application)
{
    struct draft *draft = checker->draft;
    bool user = p->user != NULL || p->uid >= 0;
    bool found = false;
    uint32_t id = 0;

    AW_TRY(resolve(checker->resolver, p, &found, &id));
    if (!found)
        return note_unknown(draft, p, &application->compiled.shown);
    if (id == POLICY_NOBODY) {
        policy_file_fault(p->place, draft->faults,
            "found %u, expected a user or group of its own: this number stands for all that the "
            "system cannot name",
            id);
        return AW_OK;
    }
    return add_member(
        user ? &draft->snapshot->users : &draft->snapshot->groups, id, application->serial);
}

/* A line for each, as written: a value holds no line feed. */
static void
write_principal(FILE *out, const struct file_principal *p)
{
    if (p->user != NULL)
        fprintf(out, "user %s\n", p->user);
    else if (p->group != NULL)
        fprintf(out, "group %s\n", p->group);
    else if (p->uid >= 0)
        fprintf(out, "uid %lld\n", (long long)p->uid);
    else
        fprintf(out, "gid %lld\n", (long long)p->gid);
}

static aw_result
add_principals(const struct checker *checker, const struct policy_file *file,
    struct draft_application *application, FILE *written)
{
    for (size_t i = 0; i < file->principals.count; i++) {
        AW_CLEANUP(policy_file_principal_release) struct file_principal principal;

        if (!policy_file_principal(file->principals.items[i], &principal, checker->draft->faults))
            continue;
        write_principal(written, &principal);
        AW_TRY(add_principal(checker, &principal, application));
    }
    return AW_OK;
}

/* Operations and keys. */

static void
read_operations(
    const struct policy_file *file, struct policy_application *shown, struct aw_faults *faults)
{
    shown->can_order = file->operations.count == 0;
    for (size_t i = 0; i < file->operations.count; i++) {
        const struct aw_yaml_string *entry = &file->operations.items[i];

        if (strcmp(entry->text, policy_operation_name(POLICY_ORDER)) == 0)
            shown->can_order = true;
        else if (strcmp(entry->text, policy_operation_name(POLICY_REVOKE)) == 0)
            shown->can_revoke = true;
        else
            policy_file_fault(
                entry->node, faults, "found \"%.64s\", expected order or revoke", entry->text);
    }
}

#define KEY_WORD(name, text) " " text
static uint32_t
key_bit(const char *text)
{
    for (unsigned key = 0; key < POLICY_KEY_COUNT; key++)
        if (strcmp(policy_key_name((enum policy_key)key), text) == 0)
            return 1u << key;
    return 0;
}

static void
read_keys(
    const struct policy_file *file, struct policy_application *shown, struct aw_faults *faults)
{
    shown->keys = file->keys.count == 0 ? (1u << POLICY_KEY_COUNT) - 1 : 0;
    for (size_t i = 0; i < file->keys.count; i++) {
        const struct aw_yaml_string *entry = &file->keys.items[i];

        if (key_bit(entry->text) == 0)
            policy_file_fault(entry->node, faults,
                "found \"%.64s\", expected one of:" POLICY_KEYS(KEY_WORD), entry->text);
        shown->keys |= key_bit(entry->text);
    }
}

/* The application. */

static bool
has_names(const struct policy_file *file)
{
    return file->lists[FILE_EXACT].count + file->lists[FILE_SUBDOMAINS].count +
               file->lists[FILE_WILDCARDS].count + file->lists[FILE_ADDRESSES].count >
           0;
}

/* A snapshot's 0 means "never": a day that comes out as 0 or less must not get there. */
static void
check_days(const struct policy_file *file, struct aw_faults *faults)
{
    if (file->expires != FILE_NO_DAY && file->expires <= 0)
        policy_file_fault(file->expires_place, faults, "found a day before 1970-01-02");
    if (file->warn_until != FILE_NO_DAY && file->warn_until <= 0)
        policy_file_fault(file->warn_place, faults, "found a day before 1970-01-02");
    if (file->expires != FILE_NO_DAY && file->warn_until > file->expires)
        policy_file_fault(
            file->warn_place, faults, "found a day after that of expires, expected one before it");
}

static void
check_file(const struct policy_file *file, struct aw_faults *faults)
{
    if (!aw_config_label_ok(file->application))
        policy_file_fault(file->place, faults,
            "found \"%.80s\", expected 1 to %d of a-z 0-9 _ . -, a letter or digit first",
            file->application, POLICY_LABEL_MAX);
    if (file->owner != NULL && strlen(file->owner) > FILE_OWNER_MAX)
        policy_file_fault(file->owner_place, faults, "found %zu octets, expected at most %d",
            strlen(file->owner), FILE_OWNER_MAX);
    if (aw_yaml_shape(file->names_place) == AW_YAML_IS_MAPPING && !has_names(file))
        policy_file_fault(file->names_place, faults,
            "found no name that is allowed, expected exact, subdomains_of, wildcards_of or "
            "addresses");
    check_days(file, faults);
}

static const char *
keep(struct draft *draft, const char *text)
{
    return policy_arena_put(&draft->snapshot->arena, text, strlen(text));
}

static aw_result
fill_shown(struct draft *draft, const struct policy_file *file, struct policy_application *shown)
{
    shown->name = keep(draft, file->application);
    shown->owner = keep(draft, file->owner == NULL ? "" : file->owner);
    shown->account = keep(draft, file->account == NULL ? "" : file->account);
    shown->file = keep(draft, aw_yaml_name(file->place.yaml));
    if (shown->name == NULL || shown->owner == NULL || shown->account == NULL ||
        shown->file == NULL)
        return aw_fail_memory();
    shown->expires = file->expires == FILE_NO_DAY ? 0 : file->expires;
    shown->warn_until = file->warn_until == FILE_NO_DAY ? 0 : file->warn_until;
    shown->names_per_certificate = file->names_per_certificate;
    shown->orders_per_day = file->orders_per_day;
    shown->revocations_per_day =
        file->revocations_per_day == 0 ? file->orders_per_day : file->revocations_per_day;
    shown->relay.allowed = policy_file_is_relayed(file);
    shown->relay.validation = (enum policy_validation)file->validation;
    read_operations(file, shown, draft->faults);
    read_keys(file, shown, draft->faults);
    return AW_OK;
}

static aw_result
new_application(struct draft *draft, struct draft_application **out)
{
    if (draft->count == POLICY_APPLICATIONS_MAX)
        return aw_fail(AW_CODE_LIMIT, "found more than %d applications", POLICY_APPLICATIONS_MAX);
    if (draft->count == draft->capacity) {
        size_t capacity = draft->capacity == 0 ? 16 : 2 * draft->capacity;
        struct draft_application *items = realloc(draft->applications, capacity * sizeof(*items));

        if (items == NULL)
            return aw_fail_memory();
        draft->applications = items;
        draft->capacity = capacity;
    }
    *out = &draft->applications[draft->count];
    **out = (struct draft_application){.serial = (uint16_t)draft->count};
    draft->count++;
    return AW_OK;
}

/* Reads the principals and gives them as text. */
static aw_result
read_principals(const struct checker *checker, const struct policy_file *file,
    struct draft_application *application, char **written)
{
    AW_CLEANUP(policy_words_free) struct words words = {0};

    AW_TRY(policy_words_open(&words));
    AW_TRY(add_principals(checker, file, application, words.stream));
    return policy_words_finish(&words, written);
}

aw_result
policy_entry_add(const struct checker *checker, const struct policy_file *file)
{
    struct draft *draft = checker->draft;
    struct draft_application *application = NULL;
    AW_CLEANUP(aw_free) char *principals = NULL;

    if (file->application == NULL) {
        draft->incomplete = true;
        return AW_OK;
    }
    check_file(file, draft->faults);
    AW_TRY(new_application(draft, &application));
    if (application == NULL)
        return aw_fail(AW_CODE_INTERNAL, "an application was made and is not there");
    application->place = (struct place){file->place.line, file->place.column};
    application->account_place =
        (struct place){file->account_place.line, file->account_place.column};
    AW_TRY(fill_shown(draft, file, &application->compiled.shown));
    AW_TRY(add_lists(checker, file, &application->compiled));
    if (draft->snapshot->counts.names > POLICY_NAMES_MAX)
        return aw_fail(AW_CODE_LIMIT, "found more than %d names", POLICY_NAMES_MAX);
    AW_TRY(read_principals(checker, file, application, &principals));
    application->compiled.shown.principals = keep(draft, principals);
    if (application->compiled.shown.principals == NULL)
        return aw_fail_memory();
    return policy_digest_application(
        draft->snapshot, &application->compiled, principals, application->digest);
}
