/* Checkpoints that are gone at a start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "signer/admin.h"
#include "signer_world.h"

/* Opens the core; what it says meanwhile. */
static void
open_and_listen(struct world *w, char said[8192])
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);

    assert_non_null(file);
    assert_true(kept >= 0 && dup2(fileno(file), STDERR_FILENO) >= 0);
    world_open(w);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(file);
    said[fread(said, 1, 8191, file)] = '\0';
    assert_int_equal(fclose(file), 0);
}

/* It signs on, since the ledger knows the log; but it is said, and not of a log that has them. */
static void
lost_checkpoints_are_told(void **state)
{
    static const char told[] = "the file checkpoints was lost";
    struct world *w = *state;
    AW_CLEANUP(world_answer_free) struct world_answer answer = {0};
    char path[256], said[8192];

    core_close(&w->core);
    world_configure_audit(w, "audit: {key: audit-1, origin: o, every_records: 5, export: none}\n");
    world_open(w);
    world_call_admin(w, OFFICER, "CreateAuditKey", "{}", &answer);
    assert_string_equal(answer.error, "");
    core_close(&w->core);
    open_and_listen(w, said);
    assert_null(strstr(said, told));
    core_close(&w->core);
    world_path(w, "state/audit/checkpoints", path);
    assert_int_equal(unlink(path), 0);
    open_and_listen(w, said);
    assert_non_null(strstr(said, told));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_checkpoints_are_told),
    };

    return cmocka_run_group_tests_name("checkpoints_lost", tests, world_setup, world_teardown);
}
