/* Every parser of names, addresses and networks: what it accepts is canonical. */
#include <arpa/inet.h>
#include <string.h>

#include "common/names.h"
#include "fuzz.h"
#include "policy/policy.h"

static void
check_refused(aw_result r, const struct aw_name *name)
{
    fuzz_check_refusal(r);
    fuzz_check_plain(aw_error_last()->message);
    FUZZ_CHECK(name->length == 0 && name->labels == 0 && name->text[0] == '\0');
}

static void
check_host(const struct aw_name *name)
{
    unsigned dots = 0;

    for (const char *c = name->text; *c != '\0'; c++) {
        FUZZ_CHECK((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ||
                   strchr(name->form == AW_NAME_WILDCARD ? ".-*" : ".-", *c) != NULL);
        dots += *c == '.';
    }
    FUZZ_CHECK(name->labels == dots + 1);
    FUZZ_CHECK((name->form == AW_NAME_WILDCARD) == (strncmp(name->text, "*.", 2) == 0));
    FUZZ_CHECK(name->form == AW_NAME_HOST || strchr(name->text + 1, '*') == NULL);
}

static bool
check_names(const char *text, size_t size)
{
    struct aw_name name, from_file;
    aw_result r = aw_name_parse(text, size, &name);
    bool accepted = aw_ok(r);

    if (accepted) {
        check_host(&name);
        fuzz_check_name(&name);
        FUZZ_CHECK(name.labels >= 2 && size == name.length);
        FUZZ_CHECK(strncasecmp(text, name.text, size) == 0);
    } else {
        check_refused(r, &name);
    }
    r = aw_name_parse_file(text, size, &from_file);
    if (aw_ok(r)) {
        check_host(&from_file);
        fuzz_check_name(&from_file);
    } else {
        check_refused(r, &from_file);
    }
    FUZZ_CHECK(!accepted || (aw_ok(r) && aw_name_compare(&name, &from_file) == 0));
    return accepted || aw_ok(r);
}

static bool
check_address(const char *text, size_t size)
{
    struct aw_name name, again;
    char canonical[INET6_ADDRSTRLEN];
    aw_result r = aw_name_parse_address(text, size, &name);

    if (!aw_ok(r)) {
        check_refused(r, &name);
        return false;
    }
    int family = name.address_size == 4 ? AF_INET : AF_INET6;
    FUZZ_CHECK(name.form == AW_NAME_ADDRESS && name.labels == 0);
    FUZZ_CHECK(inet_ntop(family, name.address, canonical, sizeof(canonical)) != NULL);
    FUZZ_CHECK(strlen(canonical) == size && memcmp(canonical, text, size) == 0);
    FUZZ_CHECK(aw_ok(aw_name_from_address(name.address, name.address_size, &again)));
    FUZZ_CHECK(aw_name_compare(&name, &again) == 0);
    fuzz_check_name(&name);
    /* One text is never both. */
    FUZZ_CHECK(!aw_ok(aw_name_parse(text, size, &again)));
    return true;
}

static bool
check_network(const char *text, size_t size)
{
    struct policy_network network, again;
    char canonical[POLICY_NETWORK_TEXT_SIZE];
    aw_result r = policy_network_parse(text, size, &network);

    if (!aw_ok(r)) {
        fuzz_check_refusal(r);
        return false;
    }
    FUZZ_CHECK(network.size == 4 || network.size == 16);
    FUZZ_CHECK(network.prefix <= network.size * 8 && network.prefix >= 8);
    policy_network_text(&network, canonical);
    FUZZ_CHECK(aw_ok(policy_network_parse(canonical, strlen(canonical), &again)));
    FUZZ_CHECK(network.size == again.size && network.prefix == again.prefix &&
               memcmp(network.address, again.address, network.size) == 0);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    bool name = check_names(text, size), address = check_address(text, size);

    if (check_network(text, size) || name || address)
        fuzz_accept();
    return 0;
}
