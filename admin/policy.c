/* policy check and show: on the files, without signer or token. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/policy_files.h"
#include "common/io.h"

/* What the calendar does to a policy that is in order. */
static bool
print_dates(const struct policy_application *application, void *context)
{
    const int64_t *now = context;
    char expires[32], until[32];

    aw_time_text(application->expires, expires);
    aw_time_text(application->warn_until, until);
    if (application->expires != 0 && application->expires <= *now)
        printf("%s: expired on %.10s: everything is refused\n", application->name, expires);
    else if (application->warn_until > *now)
        printf("%s: in roll-out: what warn_until covers is signed with a warning until %.10s\n",
            application->name, until);
    else if (application->warn_until != 0)
        printf("%s: roll-out over: refusals count since %.10s, warn_until can go from the file\n",
            application->name, until);
    return true;
}

/* Members that are only there where the policies are in order. */
static void
write_summary(struct aw_json_writer *w, const struct admin_policy *loaded)
{
    struct policy_counts counts;

    policy_count(loaded->snapshot, &counts);
    aw_json_pair_integer(w, "applications", (int64_t)counts.applications);
    aw_json_pair_integer(w, "inert", (int64_t)counts.inert);
    aw_json_pair_integer(w, "names", (int64_t)counts.names);
    aw_json_pair(w, "policy_digest", policy_digest(loaded->snapshot));
}

static aw_result
print_check_json(const struct admin_policy *loaded)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    bool in_order = loaded->snapshot != NULL;

    aw_json_begin_object(&w);
    aw_json_pair_bool(&w, "in_order", in_order);
    aw_faults_write(&w, "faults", &loaded->faults);
    aw_faults_write(&w, "warnings", &loaded->warnings);
    if (in_order)
        write_summary(&w, loaded);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

static void
print_check(const struct admin_policy *loaded)
{
    struct policy_counts counts;

    admin_policy_warn(loaded);
    policy_count(loaded->snapshot, &counts);
    printf("%zu applications (%zu inert), %zu names: in order", counts.applications, counts.inert,
        counts.names);
    if (loaded->warnings.total > 0)
        printf(", %zu warning%s", loaded->warnings.total, loaded->warnings.total == 1 ? "" : "s");
    printf("\ndigest %s\n", policy_digest(loaded->snapshot));
    policy_visit_all(loaded->snapshot, print_dates, &(int64_t){(int64_t)time(NULL)});
}

aw_result
admin_policy_check(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    const char *folder = NULL;
    bool json = options->json;
    const struct admin_option table[] = {
        {.name = "policies", .value = &folder}, {.name = "json", .flag = &json}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    aw_result r = admin_policy_load(options, folder, &loaded);
    if (json && (aw_ok(r) || loaded.faults.total > 0)) {
        struct aw_error error;

        aw_error_save(&error);
        AW_TRY(print_check_json(&loaded));
        return aw_ok(r) ? r : aw_error_restore(&error);
    }
    AW_TRY(r);
    print_check(&loaded);
    return AW_OK;
}

/* show. */

/* An application's lists, by their names in its file. */
struct shown_lists {
    struct shown_list {
        const char *name;
        const char *const *items;
        size_t count;
    } names[5], others[2];
};

static struct shown_lists
lists_of(const struct policy_application *a)
{
    return (struct shown_lists){
        .names = {{"exact", a->exact, a->exact_count},
            {"subdomains_of", a->subdomains_of, a->subdomains_count},
            {"wildcards_of", a->wildcards_of, a->wildcards_count}, {"deny", a->deny, a->deny_count},
            {"addresses", a->addresses, a->addresses_count}},
        .others = {{"profiles", a->profiles, a->profiles_count},
            {"shares_with", a->shares_with, a->shares_count}},
    };
}

static void
print_lists(const struct shown_list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (lists[i].count == 0)
            continue;
        printf("  %-14s", lists[i].name);
        for (size_t j = 0; j < lists[i].count; j++)
            printf(" %s", lists[i].items[j]);
        putchar('\n');
    }
}

static void
print_day(const char *title, int64_t time)
{
    char text[32];

    if (time == 0)
        return;
    aw_time_text(time, text);
    printf("  %-14s %.10s\n", title, text);
}

/* One a line in the application, one after the other here. */
static void
print_principals(const char *principals)
{
    printf("  principals    %s", principals[0] == '\0' ? " none" : "");
    for (const char *at = principals; *at != '\0'; at = strchr(at, '\n') + 1)
        printf(" %.*s%s", (int)strcspn(at, "\n"), at, strchr(at, '\n')[1] == '\0' ? "" : ",");
    putchar('\n');
}

static void
print_relay(const struct policy_relay *relay)
{
    AW_CLEANUP(aw_free) char *text = NULL;

    if (relay->allowed && aw_ok(policy_relay_text(relay, &text)))
        printf("  relay          %s\n", text);
}

void
admin_policy_print(const struct policy_application *a)
{
    struct shown_lists lists = lists_of(a);

    printf("%s  (%s)\n  owner          %s\n  account        %s\n", a->name, a->file, a->owner,
        a->account);
    print_principals(a->principals);
    if (a->inert)
        printf("  INERT          there is no %s: everything is refused\n", a->missing);
    print_lists(lists.names, AW_COUNT(lists.names));
    print_lists(lists.others, AW_COUNT(lists.others));
    printf("  operations    %s%s\n  keys          ", a->can_order ? " order" : "",
        a->can_revoke ? " revoke" : "");
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if ((a->keys >> i & 1) != 0)
            printf(" %s", policy_key_name((enum policy_key)i));
    printf("\n  limits         %lld names a certificate, %lld orders a day",
        (long long)a->names_per_certificate, (long long)a->orders_per_day);
    if (a->can_revoke)
        printf(", %lld revocations a day", (long long)a->revocations_per_day);
    putchar('\n');
    print_day("expires", a->expires);
    print_day("warn_until", a->warn_until);
    print_relay(&a->relay);
}

static bool
print_application(const struct policy_application *a, void *context)
{
    (void)context;
    admin_policy_print(a);
    return true;
}

/* The same for programs, with the members of a file. */

static void
write_lists(struct aw_json_writer *w, const struct shown_list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        aw_json_name(w, lists[i].name);
        aw_json_begin_array(w);
        for (size_t j = 0; j < lists[i].count; j++)
            aw_json_write_string(w, lists[i].items[j]);
        aw_json_end_array(w);
    }
}

static void
write_principals(struct aw_json_writer *w, const char *principals)
{
    char line[512];

    aw_json_name(w, "principals");
    aw_json_begin_array(w);
    for (const char *at = principals; *at != '\0'; at = strchr(at, '\n') + 1) {
        snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
        aw_json_write_string(w, line);
    }
    aw_json_end_array(w);
}

static void
write_rights(struct aw_json_writer *w, const struct policy_application *a)
{
    aw_json_name(w, "operations");
    aw_json_begin_array(w);
    if (a->can_order)
        aw_json_write_string(w, policy_operation_name(POLICY_ORDER));
    if (a->can_revoke)
        aw_json_write_string(w, policy_operation_name(POLICY_REVOKE));
    aw_json_end_array(w);
    aw_json_name(w, "keys");
    aw_json_begin_array(w);
    for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
        if ((a->keys >> i & 1) != 0)
            aw_json_write_string(w, policy_key_name((enum policy_key)i));
    aw_json_end_array(w);
    aw_json_name(w, "limits");
    aw_json_begin_object(w);
    aw_json_pair_integer(w, "names_per_certificate", a->names_per_certificate);
    aw_json_pair_integer(w, "orders_per_day", a->orders_per_day);
    aw_json_pair_integer(w, "revocations_per_day", a->revocations_per_day);
    aw_json_end_object(w);
}

static void
write_day(struct aw_json_writer *w, const char *name, int64_t time)
{
    char text[32];

    aw_time_text(time, text);
    text[10] = '\0';
    aw_json_pair(w, name, time == 0 ? NULL : text);
}

/* null: the application may not be used through a relay. */
static void
write_relay(struct aw_json_writer *w, const struct policy_relay *relay)
{
    const struct shown_list lists[] = {
        {"networks", relay->networks, relay->network_count},
        {"client_certificates", relay->client_certificates, relay->certificate_count},
    };

    if (!relay->allowed) {
        aw_json_pair(w, "relay", NULL);
        return;
    }
    aw_json_name(w, "relay");
    aw_json_begin_object(w);
    write_lists(w, lists, AW_COUNT(lists));
    aw_json_pair(w, "validation", policy_validation_names[relay->validation]);
    aw_json_end_object(w);
}

void
admin_policy_write(struct aw_json_writer *w, const struct policy_application *a)
{
    struct shown_lists lists = lists_of(a);

    aw_json_begin_object(w);
    aw_json_pair(w, "application", a->name);
    aw_json_pair(w, "file", a->file);
    aw_json_pair(w, "owner", a->owner);
    aw_json_pair(w, "account", a->account);
    write_principals(w, a->principals);
    aw_json_pair(w, "missing", a->missing);
    aw_json_name(w, "names");
    aw_json_begin_object(w);
    write_lists(w, lists.names, AW_COUNT(lists.names));
    aw_json_end_object(w);
    write_rights(w, a);
    write_lists(w, lists.others, AW_COUNT(lists.others));
    write_day(w, "expires", a->expires);
    write_day(w, "warn_until", a->warn_until);
    write_relay(w, &a->relay);
    aw_json_end_object(w);
}

static bool
write_application(const struct policy_application *a, void *context)
{
    admin_policy_write(context, a);
    return true;
}

static aw_result
show_json(const struct admin_policy *loaded, const struct policy_application *one)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    aw_json_pair(&w, "policy_digest", policy_digest(loaded->snapshot));
    aw_json_name(&w, "applications");
    aw_json_begin_array(&w);
    if (one == NULL)
        policy_visit_all(loaded->snapshot, write_application, &w);
    else
        admin_policy_write(&w, one);
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

aw_result
admin_policy_show(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(admin_policy_free) struct admin_policy loaded = {0};
    const struct policy_application *application = NULL;
    const char *name = NULL, *folder = NULL;
    bool json = options->json;
    const struct admin_option table[] = {{.name = "application", .value = &name},
        {.name = "policies", .value = &folder}, {.name = "json", .flag = &json}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(admin_policy_load(options, folder, &loaded));
    if (name != NULL)
        AW_TRY(admin_policy_find(&loaded, name, &application));
    if (json)
        return show_json(&loaded, application);
    if (application == NULL)
        policy_visit_all(loaded.snapshot, print_application, NULL);
    else
        admin_policy_print(application);
    return AW_OK;
}
