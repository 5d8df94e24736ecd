#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "world.h"

const char *const world_ceilings[2][2] = {{"example.edu", NULL}, {"a.example.edu", "b.test"}};
const unsigned world_octets[2] = {256, 16};

static const char *const networks[2] = {"192.0.2.0/24", "192.0.2.0/28"};

static const char *const list_names[LISTS] = {
    "exact", "subdomains_of", "wildcards_of", "deny", "addresses"};

/* xorshift64*: the same numbers everywhere. */
static uint64_t random_state = 0x5eed5eed5eed5eedull;

unsigned
pick(unsigned below)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (unsigned)((random_state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

void
random_name(char out[TEXT_SIZE])
{
    unsigned labels = pick(4);
    size_t length = 0;

    for (unsigned i = 0; i < labels; i++)
        length += (size_t)snprintf(out + length, TEXT_SIZE - length, "%s",
            (const char *const[]){"a.", "b.", "c."}[pick(3)]);
    snprintf(out + length, TEXT_SIZE - length, "%s",
        (const char *const[]){"example.edu", "a.example.edu", "b.test", "example.edu"}[pick(4)]);
}

static void
random_network(char out[TEXT_SIZE])
{
    unsigned bits = 24 + pick(9);
    unsigned host = bits == 24 ? 0 : pick(64) >> (32 - bits) << (32 - bits);

    snprintf(out, TEXT_SIZE, bits == 32 ? "192.0.2.%u" : "192.0.2.%u/%u", host, bits);
}

struct aw_name
random_identifier(void)
{
    char text[TEXT_SIZE + 2] = "*.", name[TEXT_SIZE];

    if (pick(6) == 0) {
        snprintf(text, sizeof(text), "192.0.2.%u", pick(64));
        return name_of(text);
    }
    random_name(name);
    if (pick(3) != 0)
        return name_of(name);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", name);
    return name_of(text);
}

bool
has(const struct rules *a, enum list list, const char *text)
{
    for (int i = 0; i < a->counts[list]; i++)
        if (strcmp(a->lists[list][i], text) == 0)
            return true;
    return false;
}

static void
random_lists(struct rules *a)
{
    char text[TEXT_SIZE];

    for (int list = 0; list < LISTS; list++) {
        int count = (int)pick(list == DENY ? 3 : LIST_MAX);

        for (int i = 0; i < count; i++) {
            if (list == ADDRESSES)
                random_network(text);
            else
                random_name(text);
            if (!has(a, (enum list)list, text))
                snprintf(a->lists[list][a->counts[list]++], TEXT_SIZE, "%s", text);
        }
    }
    if (a->counts[EXACT] == 0)
        random_name(a->lists[EXACT][a->counts[EXACT]++]);
}

void
world_random_rules(struct world *w, int number)
{
    struct rules *a = &w->applications[number];

    *a = (struct rules){.account = (int)pick(2),
        .order = pick(8) != 0,
        .revoke = pick(2) == 0,
        .ghost = pick(20) == 0,
        .most_names = 1 + (int)pick(4),
        .expires = pick(20) == 0,
        .warns = pick(4) == 0,
        .profile = pick(2) == 0};
    snprintf(a->name, sizeof(a->name), "app%02d", number);
    a->order = a->order || !a->revoke;
    for (int i = 0; i < USERS; i++)
        a->of_user[i] = pick(3) == 0;
    for (int i = 0; i < POLICY_KEY_COUNT; i++)
        a->keys[i] = i == 0 || pick(3) != 0;
    for (int i = 0; i < w->count; i++)
        a->shares[i] = i != number && pick(4) == 0;
    random_lists(a);
}

void
world_random(struct world *w)
{
    w->count = 1 + (int)pick(APPLICATIONS_MAX);
    for (int a = 0; a < w->count; a++)
        world_random_rules(w, a);
}

/* The same policy as a file. */

static void
write_flags(FILE *out, const struct rules *a)
{
    fprintf(out, "operations: [%s%s%s]\nkeys: [", a->order ? "order" : "",
        a->order && a->revoke ? ", " : "", a->revoke ? "revoke" : "");
    for (int i = 0; i < POLICY_KEY_COUNT; i++)
        if (a->keys[i])
            fprintf(out, "%s%s", i > 0 ? ", " : "", policy_key_name((enum policy_key)i));
    fprintf(out, "]\nlimits:\n  names_per_certificate: %d\n", a->most_names);
    if (a->expires)
        fputs("expires: 1970-01-02\n", out);
    if (a->warns)
        fputs("warn_until: 1970-01-02\n", out);
    if (a->profile)
        fputs("profiles: [classic]\n", out);
}

/* The order of the files is not that of the applications. */
static void
file_name(int number, char out[16])
{
    snprintf(out, 16, "%c.yaml", 'z' - number * 7 % 26);
}

int
world_number_of(const struct world *w, const char *file)
{
    const char *base = strrchr(file, '/') + 1;
    char name[16];

    for (int number = 0; number < w->count; number++) {
        file_name(number, name);
        if (strcmp(name, base) == 0)
            return number;
    }
    fail_msg("%s is no file of this world", file);
    return -1;
}

/* As write_rules puts them: four lines and a group, the users, "names:", a line for each list. */
unsigned
world_line_of(const struct world *w, int number, enum list list)
{
    const struct rules *a = &w->applications[number];
    unsigned line = 5;

    for (int i = 0; i < USERS; i++)
        line += a->of_user[i];
    return line + a->ghost + 2 + list;
}

static void
write_rules(const struct world *w, int number, const char *folder)
{
    const struct rules *a = &w->applications[number];
    char *text = NULL, file[16];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    fprintf(out, "application: %s\nowner: o@example.edu\naccount: acc%d\nprincipals:\n", a->name,
        a->account);
    fprintf(out, "  - gid: %d\n", 9000 + number);
    for (int i = 0; i < USERS; i++)
        if (a->of_user[i])
            fprintf(out, "  - uid: %d\n", 5000 + i);
    fprintf(out, "%snames:\n", a->ghost ? "  - user: ghost\n" : "");
    for (int list = 0; list < LISTS; list++) {
        fprintf(out, "  %s: [", list_names[list]);
        for (int i = 0; i < a->counts[list]; i++)
            fprintf(out, "%s%s", i > 0 ? ", " : "", a->lists[list][i]);
        fputs("]\n", out);
    }
    fputs("shares_with: [", out);
    for (int i = 0, first = 1; i < w->count; i++)
        if (a->shares[i])
            fprintf(out, "%sapp%02d", first-- > 0 ? "" : ", ", i);
    fputs("]\n", out);
    write_flags(out, a);
    assert_int_equal(fclose(out), 0);
    file_name(number, file);
    folder_write(folder, file, text, size);
    free(text);
}

policy_snapshot *
world_load(const struct world *w)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults warnings = {0};

    return world_load_warned(w, &warnings);
}

policy_snapshot *
world_load_warned(const struct world *w, struct aw_faults *warnings)
{
    struct aw_name names[2][2];
    struct policy_network nets[2] = {network_of(networks[0]), network_of(networks[1])};
    struct policy_account accounts[2];
    char folder[64];

    for (int i = 0; i < 2; i++) {
        size_t count = 0;

        for (; count < 2 && world_ceilings[i][count] != NULL; count++)
            names[i][count] = name_of(world_ceilings[i][count]);
        accounts[i] = (struct policy_account){.name = i == 0 ? "acc0" : "acc1",
            .ceiling = names[i],
            .ceiling_count = count,
            .networks = &nets[i],
            .network_count = 1};
    }
    folder_make(folder);
    for (int i = 0; i < w->count; i++)
        write_rules(w, i, folder);
    policy_snapshot *snapshot = load_folder_warned(folder, accounts, 2, warnings);
    folder_remove(folder);
    return snapshot;
}
