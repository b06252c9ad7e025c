/* claim_stored.c - see claim.h: what is stored of a page's claims, and of a plan what would be by now. */
#include "sql.h"
#include "base/own.h"
#include "storage/claim_memory.h"
#include "storage/claim_work.h"

#include <stdlib.h>

/* ---- a delivery as it is stored ---- */

enum { /* columns of claim_look_up */
    FOUND_ID, FOUND_SHOWN, FOUND_KEY, FOUND_ITERATION, FOUND_FINAL, FOUND_FILE, FOUND_LINE,
    FOUND_MODIFIED, FOUND_PERIOD, FOUND_SHA256, FOUND_SOURCE_HASH, FOUND_RECORD_HASH, FOUND_STATUS,
    FOUND_AMOUNTS, FOUND_INSERTED = FOUND_AMOUNTS + CLAIM_AMOUNTS, FOUND_ELSEWHERE, FOUND_SET
};
enum { SET_ORDERED, SET_STAGE, SET_BEGIN, SET_PAYMENT, SET_REFERENCE }; /* behind FOUND_SET, and of claim_sets */

static Str found_text(const PgResult *found, int row, int column, Arena *arena) {
    Str text = pg_value(found, row, column);
    return str_is_null(text) ? text : arena_copy(arena, text);
}

static Value found_number(const PgResult *found, int row, int column) {
    return str_is_null(pg_value(found, row, column)) ? VALUE_NULL
                                                     : value_number(pg_int(found, row, column));
}

/* What the set that a delivery stands in says of its place; NULL where it stands in none. */
static const DeliverySet *take_set(const PgResult *found, int row, int first, Arena *arena) {
    if (str_is_null(pg_value(found, row, first + SET_BEGIN)))
        return NULL;
    DeliverySet *set = ARENA_NEW(arena, DeliverySet);
    *set = (DeliverySet){
        .ordered_at = found_number(found, row, first + SET_ORDERED),
        .begin = pg_int(found, row, first + SET_BEGIN),
        .payment = found_text(found, row, first + SET_PAYMENT, arena),
        .reference = found_text(found, row, first + SET_REFERENCE, arena),
        .stage = (int)pg_int(found, row, first + SET_STAGE),
    };
    return set;
}

static Delivery stored_delivery(const PgResult *found, int row, Arena *arena) {
    bool is_shown = pg_bool(found, row, FOUND_SHOWN);
    Delivery d = {
        .claim_id = found_text(found, row, FOUND_ID, arena),
        .modified_at = found_number(found, row, FOUND_MODIFIED),
        .period = found_text(found, row, FOUND_PERIOD, arena),
        .sha256 = found_text(found, row, FOUND_SHA256, arena),
        .line = pg_int(found, row, FOUND_LINE),
        .status = value_text(found_text(found, row, FOUND_STATUS, arena)),
        .source_hash = pg_int(found, row, FOUND_SOURCE_HASH),
        .origin = is_shown ? DELIVERY_STORED_SHOWN : DELIVERY_STORED_ABSORBED,
        .claim_key = pg_int(found, row, FOUND_KEY),
        .was_iteration = (int32_t)pg_int(found, row, FOUND_ITERATION),
        .was_final = pg_bool(found, row, FOUND_FINAL),
        .file_id = pg_int(found, row, FOUND_FILE),
        .inserted_at = found_number(found, row, FOUND_INSERTED),
        .is_elsewhere = pg_bool(found, row, FOUND_ELSEWHERE),
        .set = take_set(found, row, FOUND_SET, arena),
    };
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        d.amounts[i] = found_number(found, row, FOUND_AMOUNTS + i);
    Str hash = pg_value(found, row, FOUND_RECORD_HASH);
    if (hash.size == sizeof d.record_hash)
        memcpy(d.record_hash, hash.at, hash.size);
    return d;
}

/* ---- which claims ---- */

/* The page's ids, and those of its lines in earlier readings, of which all deliveries are needed, too; each once. */
static Str *list_ids(const SilverPage *page, size_t *ret_n) {
    size_t n = 0, n_kept = 0, n_former = page->former ? page->former->n_ids : 0;
    Str *ids = ARENA_ARRAY(page->arena, Str, page->n_rows + n_former + 1);
    for (size_t i = 0; i < page->n_rows; i++)
        if (!str_is_null(page->rows[i].id))
            ids[n++] = page->rows[i].id;
    for (size_t i = 0; i < n_former; i++)
        ids[n++] = page->former->ids[i];
    str_sort(ids, n);
    for (size_t i = 0; i < n; i++)
        if (n_kept == 0 || !str_equal(ids[n_kept - 1], ids[i]))
            ids[n_kept++] = ids[i];
    *ret_n = n_kept;
    return ids;
}

/* ---- what a plan remembers ---- */

static bool is_remembered(const SilverPage *page, Str claim_id, const Delivery **ret_deliveries, size_t *ret_n) {
    return claim_memory_find(page->memory, page->source_system, claim_id, ret_deliveries, ret_n);
}

/* What earlier pages would have placed goes before what is stored. */
static void remember(SilverPage *page, struct ClaimWork *work) {
    const Delivery *remembered;
    size_t n_ids, n, n_kept = 0, n_more = 0;
    const Str *ids = list_ids(page, &n_ids);
    for (size_t i = 0; i < work->n; i++)
        if (!is_remembered(page, work->deliveries[i].claim_id, &remembered, &n))
            work->deliveries[n_kept++] = work->deliveries[i];
    for (size_t i = 0; i < n_ids; i++)
        n_more += is_remembered(page, ids[i], &remembered, &n) ? n : 0;
    Delivery *all = arena_alloc(page->arena, (n_kept + n_more + page->n_rows) * sizeof *all);
    if (n_kept > 0)
        memcpy(all, work->deliveries, n_kept * sizeof *all);
    for (size_t i = 0; i < n_ids; i++)
        if (is_remembered(page, ids[i], &remembered, &n)) {
            memcpy(all + n_kept, remembered, n * sizeof *all);
            n_kept += n;
        }
    work->deliveries = all;
    work->n = n_kept;
}

/* ---- the sets that rows stand in ---- */

static int64_t file_id_of(const SilverPage *page, size_t i) { return silver_row_file(page, &page->rows[i]).file_id; }

static bool look_up_sets(Pg *pg, const SilverPage *page, struct ClaimWork *work, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(CLAIM_ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf lines = pg_array(CLAIM_ARRAY_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++) {
        pg_array_int(&files, file_id_of(page, i));
        pg_array_int(&lines, page->rows[i].line);
    }
    const char *file_array = pg_array_end(&files, err), *line_array = pg_array_end(&lines, err);
    TRY(file_array && line_array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_CLAIM_SETS, PG_PARAMS(file_array, line_array), err);
    TRY(found);
    work->sets = ARENA_ARRAY(page->arena, const DeliverySet *, page->n_rows);
    for (int r = 0; r < pg_rows(found); r++)
        work->sets[pg_int(found, r, 0) - 1] = take_set(found, r, 1, page->arena);
    return true;
}

/* Files of the page's rows, each once where its rows stand together. */
static const char *files_array(const SilverPage *page, Buf *out, Error *err) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (i == 0 || file_id_of(page, i) != file_id_of(page, i - 1))
            pg_array_int(out, file_id_of(page, i));
    return pg_array_end(out, err);
}

/* ---- the look-up ---- */

typedef struct Glance {
    bool may_be_stored; /* something of the page's claims */
    bool has_sets;      /* the page's files */
} Glance;

/* Before any claim is looked up: new ones lie where none is, mostly. */
static bool glance(Pg *pg, const SilverPage *page, const Str *ids, size_t n_ids, Glance *ret_glance, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(CLAIM_ARRAY_MAX_BYTES);
    const char *least = n_ids ? arena_string(page->arena, ids[0]) : NULL;
    const char *greatest = n_ids ? arena_string(page->arena, ids[n_ids - 1]) : NULL;
    const char *array = files_array(page, &files, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_CLAIM_GLANCE, PG_PARAMS(least, greatest, page->source_system,
                                                   pg_number((int64_t)n_ids).text, array), err);
    TRY(row);
    *ret_glance = (Glance){.may_be_stored = pg_bool(row, 0, 0), .has_sets = pg_bool(row, 0, 1)};
    return true;
}

static bool look_up_stored(Pg *pg, const SilverPage *page, const Str *ids, size_t n_ids, struct ClaimWork *work, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(CLAIM_ARRAY_MAX_BYTES);
    pg_array_texts(&list, ids, n_ids);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_CLAIM_LOOK_UP, PG_PARAMS(array, page->source_system, page->feed), err);
    TRY(found);
    work->deliveries = arena_alloc(page->arena, ((size_t)pg_rows(found) + page->n_rows) * sizeof(Delivery));
    for (int r = 0; r < pg_rows(found); r++)
        work->deliveries[work->n++] = stored_delivery(found, r, page->arena);
    return true;
}

bool claim_look_up(Pg *pg, SilverPage *page, Error *err) {
    struct ClaimWork *work = ARENA_NEW(page->arena, struct ClaimWork);
    size_t n_ids;
    Glance glanced;
    const Str *ids = list_ids(page, &n_ids);
    TRY(glance(pg, page, ids, n_ids, &glanced, err));
    if (glanced.may_be_stored)
        TRY(look_up_stored(pg, page, ids, n_ids, work, err));
    else
        work->deliveries = arena_alloc(page->arena, page->n_rows * sizeof(Delivery));
    page->claims = work;
    if (glanced.has_sets)
        TRY(look_up_sets(pg, page, work, err));
    if (page->memory)
        remember(page, work);
    work->n_stored = work->n;
    return true;
}
