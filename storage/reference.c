/* reference.c - see reference.h. */
#include "storage/reference.h"

#include "base/own.h"
#include "sql.h"
#include "transform/specialty.h"

enum { TELL_ROWS_MAX = 5000, ARRAY_BYTES_MAX = 4 << 20 };
#define UNUSABLE_MS (INT64_C(24) * 3600 * 1000)

static const char *text_or_null(Arena *arena, const PgResult *rows, int row, int column) {
    Str value = pg_value(rows, row, column);
    return str_is_null(value) ? NULL : arena_string(arena, value);
}

bool reference_npi_pending(Pg *pg, const char *after, int max, Arena *arena, NpiPending **ret_pending, size_t *ret_n,
                           Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_REFERENCE_NPI_PENDING, PG_PARAMS(after, pg_number(max).text), err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    NpiPending *pending = ARENA_ARRAY(arena, NpiPending, n + 1);
    for (size_t i = 0; i < n; i++)
        pending[i] = (NpiPending){arena_string(arena, pg_value(rows, (int)i, 0)), text_or_null(arena, rows, (int)i, 1),
                                  text_or_null(arena, rows, (int)i, 2)};
    *ret_pending = pending;
    *ret_n = n;
    return true;
}

/* ---- keeping ---- */

static bool keep(Pg *pg, const NpiAnswer *one, int64_t max_age_ms, Error *err) {
    const NppesAnswer *answer = &one->answer;
    bool is_unusable = answer->outcome == NPPES_UNUSABLE;
    PgNumber age = pg_number(is_unusable && max_age_ms > UNUSABLE_MS ? UNUSABLE_MS : max_age_ms);
    if (answer->outcome == NPPES_UNCHANGED)
        return pg_exec(pg, SQL_REFERENCE_NPI_RENEW, PG_PARAMS(one->npi, age.text), NULL, err);
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_BYTES_MAX);
    pg_array_texts(&list, answer->taxonomies, answer->n_taxonomies);
    const char *taxonomies = pg_array_end(&list, err);
    return taxonomies && pg_exec(pg, SQL_REFERENCE_NPI_WRITE,
                                 PG_PARAMS(one->npi, nppes_outcome_name(answer->outcome),
                                           answer->is_organization ? "true" : "false", taxonomies, answer->etag,
                                           answer->last_modified, age.text), NULL, err);
}

bool reference_npi_keep(Pg *pg, const NpiAnswer *answers, size_t n, int64_t max_age_ms, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(keep(pg, &answers[i], max_age_ms, err));
    return true;
}

/* ---- telling ---- */

static const char *status_of(const PgResult *rows, int row) {
    if (strcmp(pg_text(rows, row, 2), "not_found") == 0)
        return "not_found";
    Str theirs = pg_value(rows, row, 3);
    bool agrees = theirs.size == 0 || specialty_agrees(pg_value(rows, row, 1), theirs);
    return agrees ? "valid" : "mismatch";
}

static bool apply(Pg *pg, int64_t batch_id, const PgResult *claims, int64_t *ret_changed, Error *err) {
    CLEANUP(buf_drop) Buf npis = pg_array(ARRAY_BYTES_MAX);
    CLEANUP(buf_drop) Buf specializations = pg_array(ARRAY_BYTES_MAX);
    CLEANUP(buf_drop) Buf statuses = pg_array(ARRAY_BYTES_MAX);
    for (int i = 0; i < pg_rows(claims); i++) {
        pg_array_text(&npis, pg_value(claims, i, 0));
        pg_array_text(&specializations, pg_value(claims, i, 1));
        pg_array_text(&statuses, str_of(status_of(claims, i)));
    }
    const char *first = pg_array_end(&npis, err), *second = first ? pg_array_end(&specializations, err) : NULL;
    const char *third = second ? pg_array_end(&statuses, err) : NULL;
    return third && pg_exec(pg, SQL_REFERENCE_NPI_APPLY, PG_PARAMS(pg_number(batch_id).text, first, second, third),
                            ret_changed, err);
}

bool reference_npi_tell(Pg *pg, int64_t batch_id, const NpiAnswer *answers, size_t n, int64_t *ret_changed, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        pg_array_text(&list, str_of(answers[i].npi));
    const char *npis = pg_array_end(&list, err);
    TRY(npis);
    CLEANUP(pg_result_drop) PgResult *claims =
        pg_query(pg, SQL_REFERENCE_NPI_CLAIMS,
                 PG_PARAMS(answers ? npis : NULL, answers ? NULL : pg_number(TELL_ROWS_MAX).text), err);
    TRY(claims);
    *ret_changed = 0;
    return pg_rows(claims) == 0 || apply(pg, batch_id, claims, ret_changed, err);
}

bool reference_npi_is_untold(Pg *pg, bool *ret_is, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_REFERENCE_NPI_UNTOLD, PG_NONE, err);
    TRY(rows);
    *ret_is = pg_bool(rows, 0, 0);
    return true;
}

/* ---- services ---- */

bool reference_service_rest(Pg *pg, const char *service, int64_t *ret_ms, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_REFERENCE_SERVICE_REST, PG_PARAMS(service), err);
    TRY(rows);
    *ret_ms = pg_rows(rows) > 0 ? pg_int(rows, 0, 0) : 0;
    return true;
}

bool reference_service_answered(Pg *pg, const char *service, Error *err) {
    return pg_exec(pg, SQL_REFERENCE_SERVICE_ANSWERED, PG_PARAMS(service), NULL, err);
}

bool reference_service_failed(Pg *pg, const char *service, int64_t wished_ms, const char *error, uint32_t random,
                              Error *err) {
    return pg_exec(pg, SQL_REFERENCE_SERVICE_FAILED,
                   PG_PARAMS(service, pg_number(wished_ms).text, error, pg_number(random % 1000).text), NULL, err);
}
