/* client.yaml: what is accepted is complete and in range. */
#include <string.h>

#include "client/chain.h"
#include "client/config.h"
#include "fuzz.h"

static struct {
    const char *text;
    size_t length;
} file;

/* In place of reading the file (linked with --wrap). */
aw_result __wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out);

aw_result
__wrap_aw_yaml_load(const char *path, struct aw_faults *faults, aw_yaml **out)
{
    return aw_yaml_parse(path, file.text, file.length, faults, out);
}

static void
check_config(const struct client_config *config)
{
    size_t types = 0;

    while (chain_key_types[types] != NULL)
        types++;
    FUZZ_CHECK(config->signer[0] == '/' && config->certificates[0] == '/');
    FUZZ_CHECK(config->signer_user[0] != '\0');
    FUZZ_CHECK(config->ca_file == NULL || config->ca_file[0] == '/');
    FUZZ_CHECK(config->key_type >= 0 && (size_t)config->key_type < types);
    FUZZ_CHECK(config->http_01_port >= 1 && config->http_01_port <= 65535);
    FUZZ_CHECK(config->tls_alpn_01_port >= 1 && config->tls_alpn_01_port <= 65535);
    fuzz_check_plain(config->signer);
    fuzz_check_plain(config->certificates);
    fuzz_check_plain(config->proxy);
    fuzz_check_plain(config->application);
    fuzz_check_plain(config->http_01_address);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AW_CLEANUP(aw_faults_free) struct aw_faults faults = {0};
    AW_CLEANUP(client_config_free) struct client_config *config = NULL;

    file.text = (const char *)data;
    file.length = size;
    aw_result r = client_config_load("/nowhere/client.yaml", &faults, &config);
    fuzz_check_faults(&faults);
    FUZZ_CHECK(aw_ok(r) == (config != NULL) && aw_ok(r) == (faults.total == 0));
    if (config == NULL) {
        FUZZ_CHECK(r.code == AW_CODE_CONFIG);
        return 0;
    }
    check_config(config);
    fuzz_accept();
    return 0;
}
