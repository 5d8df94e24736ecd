#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "support.h"

void
folder_make(char out[64])
{
    snprintf(out, 64, "/tmp/policy-test-XXXXXX");
    assert_non_null(mkdtemp(out));
}

void
folder_write(const char *folder, const char *name, const char *text, size_t length)
{
    AW_CLEANUP(aw_free) char *path = NULL;

    assert_true(aw_ok(aw_path_join(folder, name, &path)));
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

void
folder_remove(const char *folder)
{
    DIR *entries = opendir(folder);
    struct dirent *entry;

    assert_non_null(entries);
    while ((entry = readdir(entries)) != NULL) {
        AW_CLEANUP(aw_free) char *path = NULL;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        assert_true(aw_ok(aw_path_join(folder, entry->d_name, &path)));
        assert_int_equal(remove(path), 0);
    }
    closedir(entries);
    assert_int_equal(rmdir(folder), 0);
}

static const struct {
    const char *name;
    uint32_t id;
} users[] = {{"alice", 1001}, {"bob", 1002}, {"carol", 1003}, {"root", 0}, {"nobody", 65534}},
  groups[] = {{"web", 2001}, {"ops", 2002}, {"root", 0}, {"nogroup", 65534}};

static aw_result
find_user(const char *name, bool *found, uid_t *uid, void *context)
{
    (void)context;
    for (size_t i = 0; i < AW_COUNT(users); i++) {
        if (strcmp(users[i].name, name) != 0)
            continue;
        *uid = users[i].id;
        *found = true;
        return AW_OK;
    }
    *found = false;
    return AW_OK;
}

static aw_result
find_group(const char *name, bool *found, gid_t *gid, void *context)
{
    (void)context;
    for (size_t i = 0; i < AW_COUNT(groups); i++) {
        if (strcmp(groups[i].name, name) != 0)
            continue;
        *gid = groups[i].id;
        *found = true;
        return AW_OK;
    }
    *found = false;
    return AW_OK;
}

const struct policy_resolver test_resolver = {find_user, find_group, NULL};

uid_t
test_uid(const char *user)
{
    uid_t uid = 0;
    bool found = false;

    assert_true(aw_ok(find_user(user, &found, &uid, NULL)));
    assert_true(found);
    return uid;
}

gid_t
test_gid(const char *group)
{
    gid_t gid = 0;
    bool found = false;

    assert_true(aw_ok(find_group(group, &found, &gid, NULL)));
    assert_true(found);
    return gid;
}

policy_snapshot *
load_folder(const char *folder, const struct policy_account *accounts, size_t account_count)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

    return load_folder_warned(folder, accounts, account_count, &warnings);
}

policy_snapshot *
load_folder_warned(const char *folder, const struct policy_account *accounts, size_t account_count,
    struct aw_faults *warnings)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    policy_snapshot *snapshot = NULL;
    aw_result r =
        policy_load(&(struct policy_source){folder, accounts, account_count, &test_resolver},
            &faults, warnings, &snapshot);

    if (!aw_ok(r)) {
        aw_faults_print(&faults, stderr);
        fail_msg("%s", aw_error_last()->message);
    }
    return snapshot;
}

struct aw_name
name_of(const char *text)
{
    struct aw_name name;
    bool address = strchr(text, ':') != NULL || text[strspn(text, "0123456789.")] == '\0';
    aw_result r = address ? aw_name_parse_address(text, strlen(text), &name)
                          : aw_name_parse_file(text, strlen(text), &name);

    if (!aw_ok(r))
        fail_msg("%s", aw_error_last()->message);
    return name;
}

struct policy_network
network_of(const char *text)
{
    struct policy_network network;

    if (!aw_ok(policy_network_parse(text, strlen(text), &network)))
        fail_msg("%s", aw_error_last()->message);
    return network;
}

policy_snapshot *
load_files_at(int64_t orders_per_day, const char *const (*files)[2])
{
    struct aw_name ceiling[] = {name_of("example.edu"), name_of("192.0.2.1")};
    struct policy_account accounts[] = {
        {.name = "main", .ceiling = ceiling, .ceiling_count = 2, .orders_per_day = orders_per_day}};
    char folder[64];

    folder_make(folder);
    for (; (*files)[0] != NULL; files++)
        folder_write(folder, (*files)[0], (*files)[1], strlen((*files)[1]));
    policy_snapshot *snapshot = load_folder(folder, accounts, 1);
    folder_remove(folder);
    return snapshot;
}

policy_snapshot *
load_files(const char *const (*files)[2])
{
    return load_files_at(0, files);
}
