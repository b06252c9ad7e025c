/* orphan.c - see orphan.h. */
#include "storage/orphan.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/template.h"
#include "transform/entity.h"

static const struct {
    const char *table, *current, *flags;
} TABLES[] = {
    {"encounters", "NOT t.is_deleted", "{orphan_patient,orphan_provider,orphan_department}"},
    {"transactions", "NOT t.is_deleted", "{orphan_patient,orphan_provider,orphan_department,orphan_encounter}"},
    {"claims", "t.is_final AND NOT t.is_deleted",
     "{orphan_patient,orphan_provider,orphan_department,orphan_encounter,orphan_transaction}"},
    {"adjustments", "NOT t.is_deleted", "{orphan_claim}"},
};

static bool find(Pg *tx, Arena *arena, Error *err) {
    TRY(pg_exec(tx, SQL_ORPHAN_BEGIN, PG_NONE, NULL, err));
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++) {
        const char *key = entity_find(str_of(TABLES[i].table))->key;
        TRY(pg_exec(tx, sql_fill(arena, SQL_ORPHAN_FIND, {"table", TABLES[i].table}, {"key", key}, {"flags", TABLES[i].flags},
                                 {"current", TABLES[i].current}), PG_NONE, NULL, err));
    }
    return true;
}

bool orphan_take(Pg *pg, const LeaseFence *fence, Arena *arena, int64_t *ret_changed, Error *err) {
    int64_t n_resolved, n_added;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && find(tx, arena, err));
    TRY(pg_exec(tx, SQL_ORPHAN_RESOLVE, PG_NONE, &n_resolved, err) && pg_exec(tx, SQL_ORPHAN_ADD, PG_NONE, &n_added, err));
    FAILPOINT("quality.orphans_before_commit");
    TRY(lease_check(tx, fence, err) && pg_commit(&tx, PG_FLUSHED, err));
    *ret_changed = n_resolved + n_added;
    return true;
}

bool orphan_tell(Pg *pg, OrphanTell *tell, void *ctx, Error *err) {
    CLEANUP(pg_result_drop) PgResult *counts = pg_query(pg, SQL_ORPHAN_COUNTS, PG_NONE, err);
    TRY(counts);
    for (int r = 0; r < pg_rows(counts); r++)
        tell(ctx, pg_text(counts, r, 0), pg_text(counts, r, 1), pg_int(counts, r, 2));
    return true;
}
