#include "policy/file.h"

#include <stdarg.h>
#include <stdlib.h>

#include "policy/policy.h"

enum { PATH_SIZE = 200, MESSAGE_SIZE = 700 };

#define AT(field) offsetof(struct policy_file, field)

static const struct aw_yaml_field name_fields[] = {
    {.name = "exact", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_EXACT])},
    {.name = "subdomains_of", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_SUBDOMAINS])},
    {.name = "wildcards_of", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_WILDCARDS])},
    {.name = "deny", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_DENY])},
    {.name = "addresses", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_ADDRESSES])},
    {.name = NULL},
};

static const struct aw_yaml_field limit_fields[] = {
    {.name = "names_per_certificate",
        .kind = AW_YAML_INTEGER,
        .offset = AT(names_per_certificate),
        .min = 1,
        .max = POLICY_REQUEST_NAMES_MAX},
    {.name = "orders_per_day",
        .kind = AW_YAML_INTEGER,
        .offset = AT(orders_per_day),
        .min = 1,
        .max = FILE_ORDERS_PER_DAY_MAX},
    {.name = "revocations_per_day",
        .kind = AW_YAML_INTEGER,
        .offset = AT(revocations_per_day),
        .min = 1,
        .max = FILE_ORDERS_PER_DAY_MAX},
    {.name = NULL},
};

static const struct aw_yaml_field relay_fields[] = {
    {.name = "networks",
        .kind = AW_YAML_STRINGS,
        .offset = AT(lists[FILE_RELAY_NETWORKS]),
        .min = 1,
        .max = FILE_RELAY_MAX},
    {.name = "client_certificates",
        .kind = AW_YAML_STRINGS,
        .offset = AT(lists[FILE_RELAY_CERTIFICATES]),
        .min = 1,
        .max = FILE_RELAY_MAX},
    {.name = "validation",
        .kind = AW_YAML_ENUM,
        .offset = AT(validation),
        .choices = policy_validation_names},
    {.name = NULL},
};

/* The nested tables fill the same struct: their rows count from its begin. */
static const struct aw_yaml_field file_fields[] = {
    {.name = "application",
        .kind = AW_YAML_STRING,
        .offset = AT(application),
        .required = true,
        .place = AT(place)},
    {.name = "owner",
        .kind = AW_YAML_STRING,
        .offset = AT(owner),
        .required = true,
        .place = AT(owner_place)},
    {.name = "account",
        .kind = AW_YAML_STRING,
        .offset = AT(account),
        .required = true,
        .place = AT(account_place)},
    {.name = "principals",
        .kind = AW_YAML_LIST,
        .offset = AT(principals),
        .place = AT(principals_place),
        .min = 1},
    {.name = "names",
        .kind = AW_YAML_MAPPING,
        .offset = 0,
        .required = true,
        .fields = name_fields,
        .place = AT(names_place)},
    {.name = "operations", .kind = AW_YAML_STRINGS, .offset = AT(operations), .min = 1},
    {.name = "keys", .kind = AW_YAML_STRINGS, .offset = AT(keys), .min = 1},
    {.name = "profiles",
        .kind = AW_YAML_STRINGS,
        .offset = AT(lists[FILE_PROFILES]),
        .min = 0,
        .max = FILE_PROFILES_MAX},
    {.name = "limits", .kind = AW_YAML_MAPPING, .offset = 0, .fields = limit_fields},
    {.name = "shares_with", .kind = AW_YAML_STRINGS, .offset = AT(lists[FILE_SHARES])},
    {.name = "relay",
        .kind = AW_YAML_MAPPING,
        .offset = 0,
        .fields = relay_fields,
        .place = AT(relay_place)},
    {.name = "expires", .kind = AW_YAML_DATE, .offset = AT(expires), .place = AT(expires_place)},
    {.name = "warn_until", .kind = AW_YAML_DATE, .offset = AT(warn_until), .place = AT(warn_place)},
    {.name = NULL},
};
#undef AT

#define AT(field) offsetof(struct file_principal, field)
static const struct aw_yaml_field principal_fields[] = {
    {.name = "user", .kind = AW_YAML_STRING, .offset = AT(user), .place = AT(place)},
    {.name = "group", .kind = AW_YAML_STRING, .offset = AT(group), .place = AT(place)},
    {.name = "uid",
        .kind = AW_YAML_INTEGER,
        .offset = AT(uid),
        .min = 0,
        .max = UINT32_MAX - 1,
        .place = AT(place)},
    {.name = "gid",
        .kind = AW_YAML_INTEGER,
        .offset = AT(gid),
        .min = 0,
        .max = UINT32_MAX - 1,
        .place = AT(place)},
    {.name = NULL},
};
#undef AT

void
policy_file_fault(aw_yaml_node node, struct aw_faults *faults, const char *format, ...)
{
    char path[PATH_SIZE] = "", message[MESSAGE_SIZE];
    va_list ap;

    /* Finding the path walks the file: not for faults that are only counted. */
    if (faults->count < AW_YAML_MAX_FAULTS)
        aw_yaml_path(node, path, sizeof(path));
    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    aw_yaml_fault(node, faults, "%s%s%s", path, path[0] == '\0' ? "" : ": ", message);
}

void
policy_file_read(aw_yaml_node root, struct policy_file *out, struct aw_faults *faults)
{
    *out = (struct policy_file){.names_per_certificate = FILE_NAMES_PER_CERTIFICATE,
        .orders_per_day = FILE_ORDERS_PER_DAY,
        .expires = FILE_NO_DAY,
        .warn_until = FILE_NO_DAY,
        .place = root};
    if (aw_yaml_shape(root) == AW_YAML_IS_NOTHING)
        aw_yaml_fault(root, faults,
            "found nothing, expected application, owner, account, principals and names");
    else
        aw_yaml_read_mapping(root, file_fields, out, faults);
    /* Without either nobody could use it, which nobody means. */
    if (aw_yaml_shape(root) == AW_YAML_IS_MAPPING && out->principals_place.index == 0 &&
        out->relay_place.index == 0)
        aw_yaml_fault(root, faults,
            "principals: found nothing, expected this key: it is required without relay");
}

bool
policy_file_is_relayed(const struct policy_file *file)
{
    return aw_yaml_shape(file->relay_place) == AW_YAML_IS_MAPPING;
}

bool
policy_file_principal(aw_yaml_node item, struct file_principal *out, struct aw_faults *faults)
{
    size_t before = faults->total;

    *out = (struct file_principal){.uid = -1, .gid = -1};
    aw_yaml_read_mapping(item, principal_fields, out, faults);
    if (faults->total != before)
        return false;
    int named = (out->user != NULL) + (out->group != NULL) + (out->uid >= 0) + (out->gid >= 0);
    if (named == 1)
        return true;
    policy_file_fault(
        item, faults, "found %d of user, group, uid and gid, expected exactly one", named);
    return false;
}

void
policy_file_release(struct policy_file *file)
{
    aw_yaml_release(file_fields, file);
}

void
policy_file_principal_release(struct file_principal *principal)
{
    aw_yaml_release(principal_fields, principal);
}
