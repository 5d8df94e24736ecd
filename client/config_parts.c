#include "client/config_parts.h"

#include <unistd.h>

#include "client/config.h"
#include "client/ssh_url.h"
#include "common/io.h"
#include "common/nss.h"

aw_result
config_default(char **slot, const char *value)
{
    return *slot == NULL ? client_config_replace(slot, value) : AW_OK;
}

aw_result
config_signer_user(const char *user, aw_yaml_node named, struct aw_faults *faults, uid_t *out)
{
    bool found = false;

    AW_TRY(aw_nss_user(user, &found, out));
    if (!found && named.line != 0)
        aw_yaml_fault(named, faults,
            "signer_user: there is no user \"%.64s\" here, expected the one that the signer runs "
            "as",
            user);
    return AW_OK;
}

void
config_check_paths(
    const struct config_path *paths, size_t count, aw_yaml_node root, struct aw_faults *faults)
{
    for (size_t i = 0; i < count; i++)
        if (paths[i].path != NULL && paths[i].path[0] != '/')
            aw_yaml_fault(root, faults, "%s: found \"%.200s\", expected an absolute path",
                paths[i].field, paths[i].path);
}

void
config_check_signer(const char *signer, aw_yaml_node root, struct aw_faults *faults)
{
    AW_CLEANUP(ssh_url_free) struct ssh_url url = {0};

    if (ssh_url_is(signer) && !aw_ok(ssh_url_parse(signer, &url)))
        aw_yaml_fault(root, faults, "signer: %s", aw_error_last()->message);
}

aw_result
config_check_owner(const char *path, struct aw_faults *faults)
{
    aw_result r = aw_path_check(path, geteuid(), 0022);

    if (r.code == AW_CODE_PERMISSION)
        aw_faults_add(faults, path, 0, 0, "%s", aw_error_last()->message);
    return aw_ok(r) || r.code == AW_CODE_PERMISSION || r.code == AW_CODE_NOT_FOUND ? AW_OK : r;
}
