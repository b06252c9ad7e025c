/* hospitals.c - see hospitals.h. */
#include "storage/hospitals.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "sql.h"
#include "storage/state.h"

enum { ARRAY_MAX_BYTES = 1 << 20 };

/* Less than systemd waits for a start. Who has the locks may be stopped: better to fail, and to be started again. */
static const char PATIENCE[] = "30s";

static bool rename_one(Pg *pg, const char *owner, const Hospital *hospital, bool *ret_any, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_HOSPITAL_RENAME, PG_PARAMS(hospital->renamed_from, hospital->name, owner), err);
    TRY(row);
    if (pg_rows(row) == 0 || str_is_null(pg_value(row, 0, 0)))
        return true;
    *ret_any = true;
    LOG_INFO("source renamed", LOG_TEXT("source", hospital->name), LOG_TEXT("from", hospital->renamed_from),
             LOG_INT("rows", pg_int(row, 0, 0)));
    return true;
}

static bool rename_all(Pg *pg, const char *owner, const Hospital *hospitals, size_t n, bool *ret_any, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(!hospitals[i].renamed_from || rename_one(pg, owner, &hospitals[i], ret_any, err));
    return true;
}

static bool refuse_old_name(Pg *pg, const Hospital *hospital, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_HOSPITAL_RENAMED_TO, PG_PARAMS(hospital->name), err);
    TRY(row);
    const char *name = pg_rows(row) ? pg_text(row, 0, 0) : "";
    error_set(err, STATE_CONFIG, "source %s was renamed: its rows bear the name %s", hospital->name, name);
    return error_hint(err, "call it %s in the configuration; to name it back, say `renamed_from: %s`", name, name);
}

static bool register_one(Pg *pg, const char *owner, const Hospital *hospital, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_HOSPITAL_TAKE, PG_PARAMS(hospital->name, hospital->timezone, owner), err);
    TRY(row);
    return pg_rows(row) == 1 || refuse_old_name(pg, hospital, err);
}

static bool own_these_alone(Pg *pg, const char *owner, const Hospital *hospitals, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        pg_array_text(&names, str_of(hospitals[i].name));
    const char *array = pg_array_end(&names, err);
    TRY(array && pg_exec(pg, SQL_HOSPITAL_OWN, PG_PARAMS(owner, array), NULL, err));
    CLEANUP(pg_result_drop) PgResult *gone = pg_query(pg, SQL_HOSPITAL_RETIRE, PG_PARAMS(owner, array), err);
    TRY(gone);
    for (int r = 0; r < pg_rows(gone); r++) {
        LOG_INFO("source retired: its rows stay", LOG_TEXT("source", pg_text(gone, r, 0)));
        TRY(pg_exec(pg, SQL_HOSPITAL_AUDIT_RETIRED, PG_PARAMS(pg_text(gone, r, 0)), NULL, err));
    }
    return true;
}

static bool free_jobs(Pg *pg, const char *owner, const char *const *jobs, size_t n_jobs, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(ARRAY_MAX_BYTES);
    pg_array_names(&names, jobs, n_jobs);
    const char *array = pg_array_end(&names, err);
    return array && pg_exec(pg, SQL_HOSPITAL_FREE_JOBS, PG_PARAMS(owner, array), NULL, err);
}

bool hospitals_take(Pg *pg, const char *owner, const Hospital *hospitals, size_t n, const char *const *jobs,
                    size_t n_jobs, Error *err) {
    bool renamed = false;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && state_patience(tx, PATIENCE, err) && rename_all(tx, owner, hospitals, n, &renamed, err));
    if (renamed)
        FAILPOINT("hospitals.before_commit");
    for (size_t i = 0; i < n; i++)
        TRY(register_one(tx, owner, &hospitals[i], err));
    TRY(own_these_alone(tx, owner, hospitals, n, err) && free_jobs(tx, owner, jobs, n_jobs, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    if (renamed)
        FAILPOINT("hospitals.after_commit");
    FAILPOINT("hospitals.taken");
    return true;
}

bool hospitals_retired(Pg *pg, Arena *arena, RetiredHospital **ret_retired, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_HOSPITAL_RETIRED, PG_NONE, err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_retired = ARENA_ARRAY(arena, RetiredHospital, *ret_n + 1);
    for (int r = 0; r < pg_rows(rows); r++)
        (*ret_retired)[r] = (RetiredHospital){arena_string(arena, pg_value(rows, r, 0)), pg_int(rows, r, 1)};
    return true;
}
