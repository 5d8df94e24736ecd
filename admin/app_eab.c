/* relay-key create, show, destroy; app-eab create, list, revoke: what clients of a relay are bound
 * to their applications with. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/admin_cli.h"
#include "common/io.h"

/* relay-key. */

static void
print_relay_key(const cJSON *reply)
{
    if (admin_true(reply, "present"))
        printf("relay key: in the token, not extractable\n  check value    %s\n",
            admin_text(reply, "check"));
    else
        puts("relay key: none; an officer makes it: acmeward-admin relay-key create");
}

aw_result
admin_relay_key_create(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "CreateRelayKey", &reply));
    if (options->json)
        return admin_print_json(reply);
    print_relay_key(reply);
    admin_print_report(aw_json_member(reply, "report"), stdout);
    puts("  keep the check value: by it the key is known again after the token was restored\n"
         "  next: acmeward-admin app-eab create APPLICATION");
    return AW_OK;
}

aw_result
admin_relay_key_show(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;

    AW_TRY(admin_parse(argc, argv, NULL, 0, NULL, 0));
    AW_TRY(admin_call_plain(options, "GetRelayKey", &reply));
    if (options->json)
        return admin_print_json(reply);
    print_relay_key(reply);
    printf("  app-eabs       %lld that may be used\n", admin_number(reply, "app_eabs"));
    return AW_OK;
}

aw_result
admin_relay_key_destroy(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *shown = NULL;
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    AW_CLEANUP(aw_free) char *question = NULL;
    bool yes = false;
    const struct admin_option table[] = {{.name = "yes", .flag = &yes}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), NULL, 0));
    AW_TRY(admin_call_plain(options, "GetRelayKey", &shown));
    AW_TRY(aw_format(&question,
        "destroy the relay key? %lld app-eabs that may be used end with it, for good; accounts "
        "that "
        "were made with them go on",
        admin_number(shown, "app_eabs")));
    AW_TRY(admin_confirm(yes, question, "nothing was destroyed"));
    AW_TRY(admin_call_plain(options, "DestroyRelayKey", &reply));
    if (options->json)
        return admin_print_json(reply);
    puts("destroyed: no client is bound to an application any more until there is a new relay key "
         "and new app-eabs");
    return AW_OK;
}

/* app-eab create. */

static aw_result
read_create(int argc, char **argv, struct aw_json_writer *w, bool *json)
{
    const char *application = NULL, *expires = NULL;
    bool once = false;
    const struct admin_option table[] = {
        {.name = "expires", .value = &expires},
        {.name = "once", .flag = &once},
        {.name = "json", .flag = json},
    };
    int64_t when = 0;

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &application, 1));
    AW_TRY(admin_parse_time("expires", expires, 0, &when));
    if (expires != NULL && when <= (int64_t)time(NULL))
        return aw_fail(AW_CODE_USAGE, "--expires: %s has passed", expires);
    aw_json_begin_object(w);
    aw_json_pair(w, "application", application);
    if (expires != NULL)
        aw_json_pair_integer(w, "expires", when);
    aw_json_pair_bool(w, "once", once);
    aw_json_end_object(w);
    return AW_OK;
}

static void
print_terms(const cJSON *reply)
{
    if (cJSON_IsNumber(aw_json_member(reply, "expires")))
        printf(
            "  expires        %s: no account is made with it from then on; those that were go on\n",
            admin_time(reply, "expires"));
    if (admin_true(reply, "once"))
        puts("  once           one account may be made with it");
}

/* Files, not command lines: those can be read by every local user while the client runs. */
static void
print_clients(const char *directory, const char *kid, const char *key)
{
    printf("\ncertbot, /etc/letsencrypt/cli.ini (mode 0600):\n"
           "  server = %s\n  eab-kid = %s\n  eab-hmac-key = %s\n",
        directory, kid, key);
    printf("\nlego, a file of its environment (mode 0600):\n"
           "  LEGO_SERVER=%s\n  LEGO_EAB=true\n  LEGO_EAB_KID=%s\n  LEGO_EAB_HMAC=%s\n",
        directory, kid, key);
    printf("\nCaddy, global options of its Caddyfile (mode 0640):\n"
           "  acme_ca %s\n  acme_eab {\n    key_id %s\n    mac_key %s\n  }\n",
        directory, kid, key);
}

static aw_result
print_created(const cJSON *reply)
{
    const char *kid = NULL, *key = NULL, *directory = NULL;
    const cJSON *directories = NULL, *item;

    AW_TRY(aw_json_string(reply, "kid", 64, &kid));
    AW_TRY(aw_json_string(reply, "key", 128, &key));
    AW_TRY(aw_json_array(reply, "directories", 1, 1000, &directories));
    printf("app-eab of %s, shown this once: nobody can show it again\n"
           "  kid            %s\n  key            %s\n",
        admin_text(reply, "application"), kid, key);
    print_terms(reply);
    cJSON_ArrayForEach(item, directories)
    {
        if (!cJSON_IsString(item))
            return aw_fail(AW_CODE_SYNTAX, "directories: found something that is no text");
        printf("  directory      %s\n", item->valuestring);
        directory = directory == NULL ? item->valuestring : directory;
    }
    print_clients(directory, kid, key);
    puts("\nother clients: the directory as the ACME server's URL, kid and key as external account "
         "binding (EAB, HS256)");
    return AW_OK;
}

aw_result
admin_app_eab_create(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};
    bool json = options->json;
    aw_result r = read_create(argc, argv, &w, &json);

    if (!aw_ok(r)) {
        aw_json_writer_free(&w);
        return r;
    }
    AW_TRY(admin_call(options, "CreateAppEab", &w, &reply));
    return json ? admin_print_json(reply) : print_created(reply);
}

/* app-eab list. */

static aw_result
list_page(const struct admin_options *options, const char *application, int64_t after, cJSON **out)
{
    struct aw_json_writer w = {0};

    aw_json_begin_object(&w);
    if (application != NULL)
        aw_json_pair(&w, "application", application);
    aw_json_pair_integer(&w, "after", after);
    aw_json_end_object(&w);
    return admin_call(options, "ListAppEabs", &w, out);
}

static void
print_item(const cJSON *item)
{
    bool expires = cJSON_IsNumber(aw_json_member(item, "expires"));

    printf("%s  %s  %s, made %s", admin_text(item, "kid"), admin_text(item, "application"),
        admin_text(item, "state"), admin_time(item, "created"));
    if (expires)
        printf(", expires %s", admin_time(item, "expires"));
    printf("%s, %lld account%s\n", admin_true(item, "once") ? ", once" : "",
        admin_number(item, "used"), admin_number(item, "used") == 1 ? "" : "s");
}

/* Printed, or written as members of the array that is open. */
static void
take_item(const cJSON *item, struct aw_json_writer *w)
{
    static const char *const texts[] = {"kid", "application", "state"};

    if (w == NULL) {
        print_item(item);
        return;
    }
    aw_json_begin_object(w);
    for (size_t i = 0; i < AW_COUNT(texts); i++)
        aw_json_pair(w, texts[i], cJSON_GetStringValue(aw_json_member(item, texts[i])));
    aw_json_pair_integer(w, "created", admin_number(item, "created"));
    if (cJSON_IsNumber(aw_json_member(item, "expires")))
        aw_json_pair_integer(w, "expires", admin_number(item, "expires"));
    else
        aw_json_pair(w, "expires", NULL);
    aw_json_pair_bool(w, "once", admin_true(item, "once"));
    aw_json_pair_integer(w, "used", admin_number(item, "used"));
    aw_json_end_object(w);
}

static aw_result
list_all(const struct admin_options *options, const char *application, struct aw_json_writer *w)
{
    int64_t after = 0, count = 0;
    bool more = true;

    while (more) {
        AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
        const cJSON *items = NULL, *item;

        AW_TRY(list_page(options, application, after, &reply));
        AW_TRY(aw_json_array(reply, "app_eabs", 0, 100000, &items));
        more = admin_true(reply, "more") && cJSON_GetArraySize(items) > 0;
        cJSON_ArrayForEach(item, items)
        {
            take_item(item, w);
            after = admin_number(item, "record");
            count++;
        }
    }
    if (w == NULL && count == 0)
        puts("no app-eabs; acmeward-admin app-eab create APPLICATION makes one");
    return AW_OK;
}

aw_result
admin_app_eab_list(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_writer_free) struct aw_json_writer w = {0};
    const char *application = NULL;
    size_t count = 0;
    bool json = options->json;
    const struct admin_option table[] = {{.name = "json", .flag = &json}};
    const struct admin_words words = {&application, &count, 1};

    AW_TRY(admin_parse_words(argc, argv, table, AW_COUNT(table), &words));
    if (!json)
        return list_all(options, application, NULL);
    aw_json_begin_object(&w);
    aw_json_name(&w, "app_eabs");
    aw_json_begin_array(&w);
    AW_TRY(list_all(options, application, &w));
    aw_json_end_array(&w);
    aw_json_end_object(&w);
    return admin_print_writer(&w);
}

/* app-eab revoke. */

aw_result
admin_app_eab_revoke(const struct admin_options *options, int argc, char **argv)
{
    AW_CLEANUP(aw_json_free) cJSON *reply = NULL;
    struct aw_json_writer w = {0};
    const char *kid = NULL;
    const cJSON *accounts = NULL, *item;
    bool end = false;
    const struct admin_option table[] = {{.name = "accounts", .flag = &end}};

    AW_TRY(admin_parse(argc, argv, table, AW_COUNT(table), &kid, 1));
    aw_json_begin_object(&w);
    aw_json_pair(&w, "kid", kid);
    aw_json_pair_bool(&w, "accounts", end);
    aw_json_end_object(&w);
    AW_TRY(admin_call(options, "RevokeAppEab", &w, &reply));
    if (options->json)
        return admin_print_json(reply);
    printf(
        "revoked: no account of %s is made with it any more\n", admin_text(reply, "application"));
    AW_TRY(aw_json_array(reply, "accounts", 0, 1000000, &accounts));
    if (cJSON_GetArraySize(accounts) == 0)
        return AW_OK;
    printf("  accounts that were made with it %s:", end ? "are deactivated" : "go on");
    cJSON_ArrayForEach(item, accounts) printf(" %.0f", item->valuedouble);
    puts(end ? "" : "; --accounts deactivates them");
    return AW_OK;
}
