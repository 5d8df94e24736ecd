#include "signer/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel's overflow uid and gid: they stand for those that this namespace does not know. */
enum { OVERFLOW_ID = 65534 };

aw_result
peer_from_fd(int fd, struct peer *out)
{
    struct ucred credentials;
    socklen_t size = sizeof(credentials);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return aw_fail_errno(AW_CODE_IO, "can't ask the kernel who the peer is");
    if (credentials.uid == OVERFLOW_ID)
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
    snprintf(out->user, sizeof(out->user), "%u", (unsigned)out->uid);
    return AW_OK;
}

struct policy_subject
peer_subject(const struct peer *peer)
{
    return (struct policy_subject){
        .uid = peer->uid, .groups = peer->groups, .group_count = peer->group_count};
}

aw_result
peer_look_up(const struct aw_config_principal *principal, const struct policy_resolver *resolver,
    bool *found, uint32_t *id)
{
    if (principal->user == NULL)
        AW_TRY(resolver->group(principal->group, found, id, resolver->context));
    else
        AW_TRY(resolver->user(principal->user, found, id, resolver->context));
    *found = *found && *id != OVERFLOW_ID;
    return AW_OK;
}

static aw_result
resolve_role(const struct aw_config_role *from, enum peer_role role, const char *file,
    const struct policy_resolver *resolver, struct aw_faults *warnings, struct peer_roles *out)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct aw_config_principal *principal = &from->items[i];
        struct peer_principal *item = &out->items[out->count];
        bool found = false;

        item->role = role;
        item->is_group = principal->user == NULL;
        AW_TRY(aw_context(peer_look_up(principal, resolver, &found, &item->id), "administrators"));
        if (found)
            out->count++;
        else
            aw_faults_add(warnings, file, 0, 0,
                "administrators: the %s \"%.64s\" does not exist or is nobody, and has no role",
                item->is_group ? "group" : "user",
                item->is_group ? principal->group : principal->user);
    }
    return AW_OK;
}

aw_result
peer_roles_resolve(const struct aw_config *config, const struct policy_resolver *resolver,
    struct aw_faults *warnings, struct peer_roles *out)
{
    *out = (struct peer_roles){
        .items = calloc(config->officers.count + config->operators.count + 1, sizeof(*out->items))};
    if (out->items == NULL)
        return aw_fail_memory();
    AW_TRY(resolve_role(&config->officers, PEER_OFFICER, config->file, resolver, warnings, out));
    return resolve_role(&config->operators, PEER_OPERATOR, config->file, resolver, warnings, out);
}

void
peer_roles_free(struct peer_roles *roles)
{
    free(roles->items);
    *roles = (struct peer_roles){0};
}

bool
peer_matches(const struct peer *peer, bool is_group, uint32_t id)
{
    if (!is_group)
        return id == peer->uid;
    for (size_t i = 0; i < peer->group_count; i++)
        if (peer->groups[i] == id)
            return true;
    return false;
}

static bool
matches(const struct peer *peer, const struct peer_principal *principal)
{
    return peer_matches(peer, principal->is_group, principal->id);
}

enum peer_role
peer_role_of(const struct peer *peer, const struct peer_roles *roles)
{
    enum peer_role role = PEER_NOBODY;

    for (size_t i = 0; i < roles->count; i++)
        if (roles->items[i].role > role && matches(peer, &roles->items[i]))
            role = roles->items[i].role;
    return role;
}

void
peer_grounds_of(const struct peer *peer, const struct peer_roles *roles, struct grounds *out)
{
    for (size_t i = 0; i < roles->count; i++)
        if (matches(peer, &roles->items[i]) &&
            !grounds_add(out, roles->items[i].is_group ? &roles->items[i].id : NULL, NULL))
            return;
}

const char *
peer_role_name(enum peer_role role)
{
    static const char *const names[] = {"nobody", "operator", "officer"};

    return names[role];
}
