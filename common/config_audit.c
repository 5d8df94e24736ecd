/* The section "audit" of signer.yaml: what its members must be together. */
#include <string.h>

#include "common/config_parts.h"

/* What stands in each checkpoint, and as the name of its key (C2SP signed-note). */
static bool
origin_ok(const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++)
        if (text[i] <= ' ' || text[i] > '~' || text[i] == '+')
            return false;
    return length > 0 && length <= AW_CONFIG_ORIGIN_MAX;
}

/* A log that proves itself to nobody but its own host proves little: not to export is a choice that
 * somebody has to write down. */
static void
check_checkpoints(const struct aw_config *config, aw_yaml_node audit, struct aw_faults *faults)
{
    const struct {
        const char *name, *value;
    } rows[] = {{"origin", config->audit.origin}, {"export", config->audit.export}};

    for (size_t i = 0; i < AW_COUNT(rows); i++)
        if (config->audit.key != NULL && rows[i].value == NULL)
            aw_yaml_fault(audit, faults,
                "audit: missing \"%s\": checkpoints, which \"key\" asks for, need it%s",
                rows[i].name,
                i == 0 ? ""
                       : " (none, journal, or the absolute path of a folder off which they "
                         "are fetched)");
        else if (config->audit.key == NULL && rows[i].value != NULL)
            aw_yaml_fault(aw_config_place(audit, rows[i].name), faults,
                "audit.%s: of no use without \"key\": no checkpoints are made", rows[i].name);
}

void
aw_config_check_audit(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    aw_yaml_node audit = aw_config_place(root, "audit");
    const char *export = config->audit.export;

    aw_config_check_label("audit.key", config->audit.key, config->audit.place, faults);
    if (config->audit.origin != NULL && !origin_ok(config->audit.origin))
        aw_yaml_fault(aw_config_place(audit, "origin"), faults,
            "audit.origin: found \"%.140s\", expected 1 to %d printable ASCII characters without "
            "space and plus, such as acmeward.example.edu/audit",
            config->audit.origin, AW_CONFIG_ORIGIN_MAX);
    if (export != NULL && strcmp(export, "none") != 0 && strcmp(export, "journal") != 0 &&
        export[0] != '/')
        aw_yaml_fault(aw_config_place(audit, "export"), faults,
            "audit.export: found \"%.200s\", expected none, journal, or the absolute path of a "
            "folder",
            export);
    aw_config_check_socket(
        audit, "audit.forward_socket", "forward_socket", config->audit.forward_socket, faults);
    check_checkpoints(config, audit, faults);
}

const char *
aw_config_export_folder(const struct aw_config *config)
{
    const char *export = config->audit.export;

    return export != NULL && export[0] == '/' ? export : NULL;
}

/* node_exporter's textfile collector reads *.prom only. */
void
aw_config_check_metrics(const struct aw_config *config, aw_yaml_node root, struct aw_faults *faults)
{
    aw_yaml_node metrics = aw_config_place(root, "metrics");
    const char *file = config->metrics.file;
    size_t length = file == NULL ? 0 : strlen(file);

    aw_config_check_absolute(metrics, "metrics.file", "file", file, faults);
    if (file != NULL && (length < 5 || strcmp(file + length - 5, ".prom") != 0))
        aw_yaml_fault(aw_config_place(metrics, "file"), faults,
            "metrics.file: found \"%.200s\", expected a name that ends in .prom, which the "
            "textfile collector asks for",
            file);
}
