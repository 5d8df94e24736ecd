#include "signer/peer.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/system.h"

/* The kernel's overflow uid: it stands for users that this namespace does not know. */
enum { OVERFLOW_UID = 65534, LOOKUP_SIZE = 16384 };

static void
name_of_uid(uid_t uid, char out[PEER_USER_SIZE])
{
    struct passwd entry, *found = NULL;
    char buffer[LOOKUP_SIZE];

    if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL)
        snprintf(out, PEER_USER_SIZE, "%s", found->pw_name);
    else
        snprintf(out, PEER_USER_SIZE, "%u", (unsigned)uid);
}

aw_result
peer_from_fd(int fd, struct peer *out)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't ask the kernel who the peer is");
    if (credentials.uid == OVERFLOW_UID)
        return aw_fail(AW_CODE_PERMISSION,
            "the peer's uid is 65534 (nobody), which stands for every unknown user");
    out->uid = credentials.uid;
    out->groups[0] = credentials.gid;
    size = sizeof(out->groups) - sizeof(out->groups[0]);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, &out->groups[1], &size) != 0) {
        if (errno == ERANGE)
            return aw_fail(AW_CODE_LIMIT, "uid %u is in more than %d groups",
                (unsigned)credentials.uid, POLICY_SUBJECT_GROUPS_MAX - 1);
        return aw_fail_errno(AW_CODE_IO, "can't ask the kernel for the peer's groups");
    }
    out->group_count = 1 + size / sizeof(out->groups[0]);
    name_of_uid(out->uid, out->user);
    return AW_OK;
}

struct policy_subject
peer_subject(const struct peer *peer)
{
    return (struct policy_subject){
        .uid = peer->uid, .groups = peer->groups, .group_count = peer->group_count};
}

static bool
matches(const struct peer *peer, const struct aw_config_principal *principal)
{
    uid_t uid;
    gid_t gid;

    if (principal->user != NULL)
        return policy_system_resolver.user(principal->user, &uid, NULL) && uid == peer->uid;
    if (!policy_system_resolver.group(principal->group, &gid, NULL))
        return false;
    for (size_t i = 0; i < peer->group_count; i++)
        if (peer->groups[i] == gid)
            return true;
    return false;
}

enum peer_role
peer_role_of(const struct peer *peer, const struct aw_config *config)
{
    for (size_t i = 0; i < config->officers.count; i++)
        if (matches(peer, &config->officers.items[i]))
            return PEER_OFFICER;
    for (size_t i = 0; i < config->operators.count; i++)
        if (matches(peer, &config->operators.items[i]))
            return PEER_OPERATOR;
    return PEER_NOBODY;
}

const char *
peer_role_name(enum peer_role role)
{
    static const char *const names[] = {"nobody", "operator", "officer"};

    return names[role];
}
