add_library(aw_ledger STATIC
    budget.c
    ledger.c
    ledger_app_eabs.c
    ledger_apply.c
    ledger_claims.c
    ledger_db.c
    ledger_freezes.c
    ledger_inner.c
    ledger_keys.c
    ledger_names.c
    ledger_order.c
    ledger_quota.c
    ledger_recovery.c
    ledger_rules.c
    ledger_schema.c
    ledger_seal.c)
target_link_libraries(aw_ledger PUBLIC aw_common aw_db aw_audit PkgConfig::CRYPTO Threads::Threads)
