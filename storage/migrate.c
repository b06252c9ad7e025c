/* migrate.c - see migrate.h. */
#include "storage/migrate.h"

#include "base/own.h"
#include "sql.h"

static bool apply_one(Pg *owner, const SqlText *migration, int *applied, Error *err) {
    const PgParams *params = PG_PARAMS(migration->name, migration->text);
    CLEANUP(pg_result_drop) PgResult *known = pg_query(owner, SQL_MIGRATE_APPLIED, params, err);
    TRY(known);
    if (pg_rows(known) == 1 && pg_bool(known, 0, 0))
        return true;
    if (pg_rows(known) == 1) {
        error_set(err, STATE_CONFIG, "migration %s was applied in another wording", migration->name);
        return error_hint(err, "this database was made by another build; use that one, or start anew");
    }
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(owner, err);
    TRY(tx);
    if (!pg_script(tx, migration->text, err))
        return error_context(err, "migration %s", migration->name);
    TRY(pg_exec(tx, SQL_MIGRATE_RECORD, params, NULL, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    ++*applied;
    return true;
}

static bool apply_all(Pg *owner, int *applied, Error *err) {
    TRY(pg_script(owner, SQL_MIGRATE_LEDGER, err));
    for (const SqlText *migration = SQL_MIGRATIONS; migration->name; migration++)
        TRY(apply_one(owner, migration, applied, err));
    return true;
}

bool migrate_apply(Pg *owner, int *ret_applied, Error *err) {
    *ret_applied = 0;
    TRY(pg_exec(owner, SQL_MIGRATE_LOCK, PG_NONE, NULL, err));
    bool ok = apply_all(owner, ret_applied, err);
    Error ignored = {0};
    pg_exec(owner, SQL_MIGRATE_UNLOCK, PG_NONE, NULL, &ignored);
    return ok;
}

static const char *newest_name(int64_t *ret_n) {
    const char *name = "";
    *ret_n = 0;
    for (const SqlText *migration = SQL_MIGRATIONS; migration->name; migration++, ++*ret_n)
        name = migration->name;
    return name;
}

bool migrate_check(Pg *pg, Error *err) {
    CLEANUP(pg_result_drop) PgResult *newest = pg_query(pg, SQL_MIGRATE_NEWEST, PG_NONE, err);
    bool is_missing = !newest && strcmp(err->state, "42P01") == 0;
    if (!newest && !is_missing)
        return false;
    int64_t n;
    const char *name = newest_name(&n);
    if (!is_missing && strcmp(pg_text(newest, 0, 0), name) == 0 && pg_int(newest, 0, 1) == n)
        return true;
    error_set(err, STATE_CONFIG, "the database's schemas are not those of this build");
    return error_hint(err, "run `revcycled --config FILE migrate`");
}
