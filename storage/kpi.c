/* kpi.c - see kpi.h. One line per figure. */
#include "storage/kpi.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/template.h"

/* Payers of a hospital may be as many as its claims: a snapshot has them by type. */
static const struct {
    const char *name;
    const char *by;
} KPIS[] = {
    {"approval_rate", "{month,source_system}"},
    {"ar_aging", "{source_system}"},
    {"claim_status_mix", "{month,source_system}"},
    {"coverage_rate", "{month,source_system}"},
    {"days_in_ar", "{source_system}"},
    {"denial_rate", "{month,source_system}"},
    {"denial_reasons", "{month,source_system,group_code,reason_code}"},
    {"gross_collection_rate", "{month,source_system}"},
    {"net_collection_rate", "{month,source_system}"},
    {"outstanding_ar", "{source_system}"},
    {"patient_volume", "{month,source_system}"},
    {"payer_mix", "{month,source_system,payer_type}"},
    {"total_billed", "{month,source_system}"},
    {"total_paid", "{month,source_system}"},
    {"write_off_amount", "{month,source_system,group_code}"},
};
const int N_KPIS = (int)(sizeof KPIS / sizeof *KPIS);

const char *kpi_name(int index) { return KPIS[index].name; }

bool kpi_is_due(Pg *pg, bool *ret_is_due, Error *err) {
    CLEANUP(pg_result_drop) PgResult *asked = pg_query(pg, SQL_KPI_IS_DUE, PG_NONE, err);
    TRY(asked);
    *ret_is_due = pg_bool(asked, 0, 0);
    return true;
}

bool kpi_seen(Pg *pg, Arena *arena, const char **ret_seen, Error *err) {
    CLEANUP(pg_result_drop) PgResult *seen = pg_query(pg, SQL_KPI_SEEN, PG_NONE, err);
    TRY(seen);
    *ret_seen = arena_string(arena, pg_value(seen, 0, 0));
    return true;
}

bool kpi_asked(Pg *pg, const LeaseFence *fence, const char *seen, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_KPI_ASKED, PG_PARAMS(seen), NULL, err));
    return lease_check(tx, fence, err) && pg_commit(&tx, PG_FLUSHED, err);
}

bool kpi_snapshot(Pg *pg, const LeaseFence *fence, Arena *arena, int index, bool *ret_kept, Error *err) {
    const char *sql = sql_fill(arena, SQL_KPI_SNAPSHOT, {"figure", pg_quote_ident(arena, KPIS[index].name)});
    int64_t n_kept;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_KPI_LOCK, PG_NONE, NULL, err));
    if (!pg_exec(tx, sql, PG_PARAMS(KPIS[index].by), &n_kept, err))
        return error_context(err, "figure %s", KPIS[index].name);
    FAILPOINT("kpi.before_commit");
    TRY(lease_check(tx, fence, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    *ret_kept = n_kept > 0;
    return true;
}
