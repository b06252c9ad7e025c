/* reference.c - see reference.h. */
#include "storage/reference.h"

#include "base/own.h"
#include "sql.h"
#include "storage/template.h"
#include "transform/specialty.h"

enum { TELL_ROWS_MAX = 5000, ARRAY_BYTES_MAX = 4 << 20, LIST_BYTES_MAX = 256 << 20 };
#define UNUSABLE_MS (INT64_C(24) * 3600 * 1000)

static const char *text_or_null(Arena *arena, const PgResult *rows, int row, int column) {
    Str value = pg_value(rows, row, column);
    return str_is_null(value) ? NULL : arena_string(arena, value);
}

static const char *codes_array(const ReferenceAnswer *answers, size_t n, Buf *out, Error *err) {
    for (size_t i = 0; i < n; i++)
        pg_array_text(out, str_of(answers[i].code));
    return pg_array_end(out, err);
}

/* How long an answer is kept. */
static PgNumber age_of(const ReferenceAnswer *one, int64_t max_age_ms) {
    return pg_number(one->answer.outcome == LOOKUP_UNUSABLE && max_age_ms > UNUSABLE_MS ? UNUSABLE_MS : max_age_ms);
}

/* ---- NPIs, and providers ---- */

static PgResult *query_npi_pending(Pg *pg, const ReferenceKind *kind, const char *after, const char *max, Arena *arena,
                                   Error *err) {
    (void)kind;
    (void)arena;
    return pg_query(pg, SQL_REFERENCE_NPI_PENDING, PG_PARAMS(after, max), err);
}

static bool keep_npi(Pg *pg, const ReferenceKind *kind, const ReferenceAnswer *one, const char *age_ms, Error *err) {
    (void)kind;
    const LookupAnswer *answer = &one->answer;
    if (answer->outcome == LOOKUP_UNCHANGED)
        return pg_exec(pg, SQL_REFERENCE_NPI_RENEW, PG_PARAMS(one->code, age_ms), NULL, err);
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_BYTES_MAX);
    pg_array_texts(&list, answer->taxonomies, answer->n_taxonomies);
    const char *taxonomies = pg_array_end(&list, err);
    return taxonomies && pg_exec(pg, SQL_REFERENCE_NPI_WRITE,
                                 PG_PARAMS(one->code, lookup_outcome_name(answer->outcome),
                                           answer->is_organization ? "true" : "false", taxonomies, answer->etag,
                                           answer->last_modified, age_ms), NULL, err);
}

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

static bool tell_npi(Pg *pg, const ReferenceKind *kind, int64_t batch_id, const char *npis, Arena *arena,
                     int64_t *ret_changed, Error *err) {
    (void)kind;
    (void)arena;
    CLEANUP(pg_result_drop) PgResult *claims =
        pg_query(pg, SQL_REFERENCE_NPI_CLAIMS, PG_PARAMS(npis, npis ? NULL : pg_number(TELL_ROWS_MAX).text), err);
    TRY(claims);
    return pg_rows(claims) == 0 || apply(pg, batch_id, claims, ret_changed, err);
}

static PgResult *query_npi_untold(Pg *pg, const ReferenceKind *kind, Arena *arena, Error *err) {
    (void)kind;
    (void)arena;
    return pg_query(pg, SQL_REFERENCE_NPI_UNTOLD, PG_NONE, err);
}

/* ---- codes of a list, and procedures or diagnoses ---- */

static const char *code_statement(Arena *arena, const ReferenceKind *kind, const char *statement) {
    const char *wanted = sql_fill(arena, SQL_REFERENCE_CODE_WANTED, {"table", kind->table}, {"key", kind->key},
                                  {"group", kind->group});
    return sql_fill(arena, statement, {"table", kind->table}, {"key", kind->key}, {"group", kind->group},
                    {"wanted", wanted});
}

static PgResult *query_code_pending(Pg *pg, const ReferenceKind *kind, const char *after, const char *max, Arena *arena,
                                    Error *err) {
    return pg_query(pg, code_statement(arena, kind, SQL_REFERENCE_CODE_PENDING),
                    PG_PARAMS(after, max, kind->code_system), err);
}

static bool keep_code(Pg *pg, const ReferenceKind *kind, const ReferenceAnswer *one, const char *age_ms, Error *err) {
    const LookupAnswer *answer = &one->answer;
    if (answer->outcome == LOOKUP_UNCHANGED)
        return pg_exec(pg, SQL_REFERENCE_CODE_RENEW, PG_PARAMS(kind->code_system, one->code, age_ms), NULL, err);
    Str group = answer->outcome == LOOKUP_FOUND ? kind->group_of(str_of(one->code)) : STR_NULL;
    return pg_exec(pg, SQL_REFERENCE_CODE_WRITE,
                   PG_PARAMS(kind->code_system, one->code, lookup_outcome_name(answer->outcome), answer->description.at,
                             group.at, answer->etag, answer->last_modified, age_ms), NULL, err);
}

static bool tell_code(Pg *pg, const ReferenceKind *kind, int64_t batch_id, const char *codes, Arena *arena,
                      int64_t *ret_changed, Error *err) {
    return pg_exec(pg, code_statement(arena, kind, SQL_REFERENCE_CODE_TELL),
                   PG_PARAMS(kind->code_system, codes, pg_number(TELL_ROWS_MAX).text, pg_number(batch_id).text),
                   ret_changed, err);
}

static PgResult *query_code_untold(Pg *pg, const ReferenceKind *kind, Arena *arena, Error *err) {
    return pg_query(pg, code_statement(arena, kind, SQL_REFERENCE_CODE_UNTOLD), PG_PARAMS(kind->code_system), err);
}

/* ---- payers' spellings and types ---- */

static const char *payer_statement(Arena *arena, const char *statement) {
    return sql_fill(arena, statement, {"wanted", SQL_REFERENCE_PAYER_WANTED});
}

static bool tell_payer(Pg *pg, const ReferenceKind *kind, int64_t batch_id, const char *codes, Arena *arena,
                       int64_t *ret_changed, Error *err) {
    (void)kind;
    (void)codes;
    return pg_exec(pg, payer_statement(arena, SQL_REFERENCE_PAYER_TELL),
                   PG_PARAMS(pg_number(TELL_ROWS_MAX).text, pg_number(batch_id).text), ret_changed, err);
}

static PgResult *query_payer_untold(Pg *pg, const ReferenceKind *kind, Arena *arena, Error *err) {
    (void)kind;
    return pg_query(pg, payer_statement(arena, SQL_REFERENCE_PAYER_UNTOLD), PG_NONE, err);
}

/* ---- each ---- */

/* Statements of a family of kinds: those of numbers, of lists of codes, and of payers. */
typedef struct Family {
    PgResult *(*pending)(Pg *pg, const ReferenceKind *kind, const char *after, const char *max, Arena *arena, Error *err);
    bool (*keep)(Pg *pg, const ReferenceKind *kind, const ReferenceAnswer *one, const char *age_ms, Error *err);
    /* `codes`: an array, or NULL for all that are untold */
    bool (*tell)(Pg *pg, const ReferenceKind *kind, int64_t batch_id, const char *codes, Arena *arena,
                 int64_t *ret_changed, Error *err);
    PgResult *(*untold)(Pg *pg, const ReferenceKind *kind, Arena *arena, Error *err);
} Family;
static const Family NUMBERS = {query_npi_pending, keep_npi, tell_npi, query_npi_untold};
static const Family CODES = {query_code_pending, keep_code, tell_code, query_code_untold};
static const Family PAYERS = {.tell = tell_payer, .untold = query_payer_untold};

static const Family *family_of(Reference reference) {
    static const Family *const OTHERS[REFERENCES] = {[REFERENCE_NPI] = &NUMBERS, [REFERENCE_PAYERS] = &PAYERS};
    return REFERENCE_KINDS[reference].code_system ? &CODES : OTHERS[reference];
}

bool reference_pending(Pg *pg, Reference reference, const char *after, int max, Arena *arena,
                       ReferencePending **ret_pending, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = family_of(reference)->pending(pg, &REFERENCE_KINDS[reference], after,
                                                                           pg_number(max).text, arena, err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    ReferencePending *pending = ARENA_ARRAY(arena, ReferencePending, n + 1);
    for (size_t i = 0; i < n; i++)
        pending[i] = (ReferencePending){arena_string(arena, pg_value(rows, (int)i, 0)),
                                        text_or_null(arena, rows, (int)i, 1), text_or_null(arena, rows, (int)i, 2)};
    *ret_pending = pending;
    *ret_n = n;
    return true;
}

bool reference_keep(Pg *pg, Reference reference, const ReferenceAnswer *answers, size_t n, int64_t max_age_ms, Error *err) {
    for (size_t i = 0; i < n; i++)
        TRY(family_of(reference)->keep(pg, &REFERENCE_KINDS[reference], &answers[i],
                                       age_of(&answers[i], max_age_ms).text, err));
    return true;
}

bool reference_tell(Pg *pg, Reference reference, int64_t batch_id, const ReferenceAnswer *answers, size_t n, Arena *arena,
                    int64_t *ret_changed, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_BYTES_MAX);
    const char *codes = codes_array(answers, n, &list, err);
    TRY(codes);
    *ret_changed = 0;
    return family_of(reference)->tell(pg, &REFERENCE_KINDS[reference], batch_id, answers ? codes : NULL, arena,
                                      ret_changed, err);
}

bool reference_is_untold(Pg *pg, Reference reference, Arena *arena, bool *ret_is, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = family_of(reference)->untold(pg, &REFERENCE_KINDS[reference], arena, err);
    TRY(rows);
    *ret_is = pg_bool(rows, 0, 0);
    return true;
}

/* ---- files ---- */

/* What a statement about a file's rows takes: an array for each column, and their lines. */
typedef struct ListArrays {
    Buf columns[LIST_COLUMNS_MAX], lines;
    PgParams params; /* columns, then lines; the kind's code system or name first */
} ListArrays;

static void list_arrays_drop(ListArrays *arrays) {
    for (int i = 0; i < LIST_COLUMNS_MAX; i++)
        buf_done(&arrays->columns[i]);
    buf_done(&arrays->lines);
}

static bool list_arrays_fill(ListArrays *arrays, const ReferenceKind *kind, const ReferenceList *list, Error *err) {
    int n = 0;
    arrays->params.values[n++] = kind->code_system ? kind->code_system : kind->name;
    arrays->lines = pg_array(LIST_BYTES_MAX);
    for (int i = 0; i < kind->format->n; i++)
        arrays->columns[i] = pg_array(LIST_BYTES_MAX);
    for (size_t row = 0; row < list->n; row++) {
        pg_array_int(&arrays->lines, list->rows[row].line);
        for (int i = 0; i < kind->format->n; i++)
            pg_array_text(&arrays->columns[i], list->rows[row].values[i]);
    }
    for (int i = 0; i < kind->format->n; i++)
        TRY(arrays->params.values[n++] = pg_array_end(&arrays->columns[i], err));
    TRY(arrays->params.values[n++] = pg_array_end(&arrays->lines, err));
    arrays->params.n = n;
    return true;
}

bool reference_list_is_kept(Pg *pg, Reference reference, const ReferenceList *list, bool *ret_is, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_REFERENCE_LIST_KEPT, PG_PARAMS(REFERENCE_KINDS[reference].name, list->sha256), err);
    TRY(rows);
    *ret_is = pg_bool(rows, 0, 0);
    return true;
}

bool reference_list_find_conflict(Pg *pg, Reference reference, const ReferenceList *list, int64_t *ret_line,
                                  int64_t *ret_other, Error *err) {
    const ReferenceKind *kind = &REFERENCE_KINDS[reference];
    CLEANUP(list_arrays_drop) ListArrays arrays = {0};
    TRY(list_arrays_fill(&arrays, kind, list, err));
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(
        pg, kind->code_system ? SQL_REFERENCE_CODE_CONFLICT : SQL_REFERENCE_PAYER_CONFLICT, &arrays.params, err);
    TRY(rows);
    *ret_line = pg_rows(rows) > 0 ? pg_int(rows, 0, 0) : 0;
    *ret_other = pg_rows(rows) > 0 ? pg_int(rows, 0, 1) : 0;
    return true;
}

bool reference_list_keep(Pg *pg, Reference reference, const ReferenceList *list, Error *err) {
    const ReferenceKind *kind = &REFERENCE_KINDS[reference];
    CLEANUP(list_arrays_drop) ListArrays arrays = {0};
    TRY(list_arrays_fill(&arrays, kind, list, err));
    TRY(kind->code_system ? pg_exec(pg, SQL_REFERENCE_CODE_CLEAR, PG_PARAMS(kind->code_system), NULL, err)
                          : pg_exec(pg, SQL_REFERENCE_PAYER_CLEAR, PG_NONE, NULL, err));
    TRY(pg_exec(pg, kind->code_system ? SQL_REFERENCE_CODE_FILL : SQL_REFERENCE_PAYER_FILL, &arrays.params, NULL, err));
    return pg_exec(pg, SQL_REFERENCE_LIST_WRITE,
                   PG_PARAMS(kind->name, kind->code_system, list->sha256, pg_number((int64_t)list->n).text), NULL, err);
}

/* ---- services ---- */

bool reference_service_rest(Pg *pg, Reference reference, int64_t *ret_ms, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_REFERENCE_SERVICE_REST,
                                                      PG_PARAMS(REFERENCE_KINDS[reference].name), err);
    TRY(rows);
    *ret_ms = pg_rows(rows) > 0 ? pg_int(rows, 0, 0) : 0;
    return true;
}

bool reference_service_answered(Pg *pg, Reference reference, Error *err) {
    return pg_exec(pg, SQL_REFERENCE_SERVICE_ANSWERED, PG_PARAMS(REFERENCE_KINDS[reference].name), NULL, err);
}

bool reference_service_failed(Pg *pg, Reference reference, int64_t wished_ms, const char *error, uint32_t random,
                              Error *err) {
    return pg_exec(pg, SQL_REFERENCE_SERVICE_FAILED,
                   PG_PARAMS(REFERENCE_KINDS[reference].name, pg_number(wished_ms).text, error,
                             pg_number(random % 1000).text), NULL, err);
}
