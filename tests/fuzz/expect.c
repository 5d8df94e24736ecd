/* Files of expectations: nothing is asked of a file with faults, and what is met is what is found.
 */
#include "policy/expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"
#include "fuzz.h"
#include "policy/system.h"

/* 2026-11-24. */
#define NOW 1795478400

static const char policy[] =
    "application: app\nowner: o@example.edu\naccount: main\nprincipals: [{user: u}]\n"
    "names:\n  exact: [a.example.edu]\n  subdomains_of: [s.example.edu]\n"
    "  wildcards_of: [w.example.edu]\n  deny: [pay.s.example.edu]\n  addresses: [192.0.2.0/24]\n"
    "keys: [ec-p256]\nprofiles: [classic]\nlimits: {names_per_certificate: 2}\n"
    "warn_until: 2026-12-01\nexpires: 2027-01-01\n";

static struct {
    const char *text; /* NULL: files are files */
    size_t length;
} file;

/* In place of reading the file (linked with --wrap). */
aw_result __real_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out);
aw_result __wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out);

aw_result
__wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out)
{
    return file.text == NULL ? __real_aw_yaml_load(path, faults, out)
                             : aw_yaml_parse(path, file.text, file.length, faults, out);
}

/* One policy for all inputs, which change nothing of it. */
static policy_snapshot *
make_snapshot(void)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(aw_free) char *folder = NULL;
    AW_CLEANUP(aw_free) char *path = NULL;
    struct aw_name ceiling;
    struct policy_network network;
    policy_snapshot *snapshot = NULL;

    FUZZ_CHECK(aw_ok(aw_name_parse("example.edu", 11, &ceiling)));
    FUZZ_CHECK(aw_ok(policy_network_parse("192.0.2.0/24", 12, &network)));
    struct policy_account account = {.name = "main",
        .ceiling = &ceiling,
        .ceiling_count = 1,
        .networks = &network,
        .network_count = 1};
    FUZZ_CHECK(aw_ok(aw_path_join(fuzz_folder(), "policy.d", &folder)));
    FUZZ_CHECK(mkdir(folder, 0700) == 0 && aw_ok(aw_path_join(folder, "app.yaml", &path)));
    FUZZ_CHECK(aw_ok(aw_file_replace(path, policy, sizeof(policy) - 1, 0600)));
    FUZZ_CHECK(aw_ok(policy_load_working_copy(
        &(struct policy_source){folder, &account, 1, &policy_anybody_resolver}, &faults, NULL,
        &snapshot)));
    return snapshot;
}

static bool
is_verdict(const char *word)
{
    return strcmp(word, "permit") == 0 || strcmp(word, "warn") == 0 || strcmp(word, "refuse") == 0;
}

static void
hear(const struct policy_outcome *o, void *context)
{
    bool same = strcmp(o->expected, o->found) == 0 &&
                (o->expected_rule == NULL || strcmp(o->expected_rule, o->found_rule) == 0);
    bool known = strcmp(o->application, "app") == 0;

    FUZZ_CHECK(is_verdict(o->expected) && is_verdict(o->found) && o->line >= 1 && o->column >= 1);
    FUZZ_CHECK(!o->passed || same);
    FUZZ_CHECK(o->passed || !same || !known);
    FUZZ_CHECK((strcmp(o->found_rule, "application.unknown") == 0) == !known);
    FUZZ_CHECK((o->reason == NULL) == (strcmp(o->found, "permit") == 0));
    fuzz_check_plain(o->name);
    fuzz_check_plain(o->application);
    fuzz_check_plain(o->reason);
    ++*(size_t *)context;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static policy_snapshot *snapshot;
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    size_t heard = 0;

    file.text = NULL;
    if (snapshot == NULL)
        snapshot = make_snapshot();
    file.text = (const char *)data;
    file.length = size;
    aw_result r = policy_expect(
        snapshot, "/rows.yaml", NOW, &faults, &(struct policy_expect_to){hear, &heard});
    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (faults.total == 0) && aw_ok(r) == (heard > 0));
    FUZZ_CHECK(aw_ok(r) || r.code == AW_CODE_CONFIG);
    if (aw_ok(r))
        fuzz_accept();
    return 0;
}
