/* claim_stored.c - see claim_work.h: which claims a page names, and what is stored of each. */
#include "sql.h"
#include "base/own.h"
#include "storage/claim_work.h"

#include <stdlib.h>

/* ---- a delivery as it is stored ---- */

enum { /* columns of claim_look_up */
    FOUND_CLAIM, FOUND_SHOWN, FOUND_KEY, FOUND_ITERATION, FOUND_FINAL, FOUND_FILE, FOUND_LINE,
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

size_t claim_of_stored(const PgResult *found) { return (size_t)pg_int(found, 0, FOUND_CLAIM) - 1; }

Delivery claim_stored(Str claim_id, const PgResult *found, Arena *arena) {
    bool is_shown = pg_bool(found, 0, FOUND_SHOWN);
    Delivery d = {
        .claim_id = claim_id,
        .modified_at = found_number(found, 0, FOUND_MODIFIED),
        .period = found_text(found, 0, FOUND_PERIOD, arena),
        .sha256 = found_text(found, 0, FOUND_SHA256, arena),
        .line = pg_int(found, 0, FOUND_LINE),
        .status = value_text(found_text(found, 0, FOUND_STATUS, arena)),
        .source_hash = pg_int(found, 0, FOUND_SOURCE_HASH),
        .origin = is_shown ? DELIVERY_STORED_SHOWN : DELIVERY_STORED_ABSORBED,
        .claim_key = pg_int(found, 0, FOUND_KEY),
        .was_iteration = (int32_t)pg_int(found, 0, FOUND_ITERATION),
        .was_final = pg_bool(found, 0, FOUND_FINAL),
        .file_id = pg_int(found, 0, FOUND_FILE),
        .inserted_at = found_number(found, 0, FOUND_INSERTED),
        .is_elsewhere = pg_bool(found, 0, FOUND_ELSEWHERE),
        .set = take_set(found, 0, FOUND_SET, arena),
    };
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        d.amounts[i] = found_number(found, 0, FOUND_AMOUNTS + i);
    Str hash = pg_value(found, 0, FOUND_RECORD_HASH);
    if (hash.size == sizeof d.record_hash)
        memcpy(d.record_hash, hash.at, hash.size);
    return d;
}

/* ---- which claims ---- */

enum { NO_ROW = UINT32_MAX };

static int compare_rows(const void *a, const void *b) {
    const ClaimRow *x = a, *y = b;
    int order = str_compare(x->id, y->id);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

/* Most pages come in the order of their ids, and a pass costs less than sorting them. */
static void sort_rows(ClaimRow *rows, size_t n) {
    size_t i = 1;
    while (i < n && compare_rows(&rows[i - 1], &rows[i]) <= 0)
        i++;
    if (i < n)
        qsort(rows, n, sizeof *rows, compare_rows);
}

/* The page's rows with an id, and without a row the claims of its lines in earlier readings. */
static ClaimRow *list_rows(const SilverPage *page, size_t *ret_n) {
    size_t n = 0, n_former = page->former ? page->former->n_ids : 0;
    ClaimRow *rows = ARENA_ARRAY(page->arena, ClaimRow, page->n_rows + n_former + 1);
    for (size_t i = 0; i < page->n_rows; i++)
        if (!str_is_null(page->rows[i].id))
            rows[n++] = (ClaimRow){page->rows[i].id, (uint32_t)i};
    for (size_t i = 0; i < n_former; i++)
        rows[n++] = (ClaimRow){page->former->ids[i], NO_ROW};
    *ret_n = n;
    return rows;
}

static void list_claims(const SilverPage *page, struct ClaimWork *work) {
    size_t n;
    ClaimRow *rows = list_rows(page, &n);
    sort_rows(rows, n);
    work->claims = ARENA_ARRAY(page->arena, PageClaim, n + 1);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || !str_equal(rows[i].id, rows[i - 1].id))
            work->claims[work->n_claims++] = (PageClaim){.id = rows[i].id, .rows = &rows[i]};
        work->claims[work->n_claims - 1].n_rows += rows[i].row != NO_ROW;
    }
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
static bool glance(Pg *pg, const SilverPage *page, const struct ClaimWork *work, Glance *ret_glance, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(CLAIM_ARRAY_MAX_BYTES);
    size_t n = work->n_claims;
    const char *least = n ? arena_string(page->arena, work->claims[0].id) : NULL;
    const char *greatest = n ? arena_string(page->arena, work->claims[n - 1].id) : NULL;
    const char *array = files_array(page, &files, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_CLAIM_GLANCE, PG_PARAMS(least, greatest, page->source_system, pg_number((int64_t)n).text, array), err);
    TRY(row);
    *ret_glance = (Glance){.may_be_stored = pg_bool(row, 0, 0), .has_sets = pg_bool(row, 0, 1)};
    return true;
}

bool claim_look_up(Pg *pg, SilverPage *page, Error *err) {
    enum { ROOM_FIRST = 64 }; /* and one for each row */
    struct ClaimWork *work = ARENA_NEW(page->arena, struct ClaimWork);
    Glance glanced;
    work->n_room = page->n_rows + ROOM_FIRST;
    work->deliveries = arena_alloc(page->arena, work->n_room * sizeof(Delivery));
    list_claims(page, work);
    TRY(glance(pg, page, work, &glanced, err));
    work->may_be_stored = glanced.may_be_stored;
    page->claims = work;
    return !glanced.has_sets || look_up_sets(pg, page, work, err);
}

bool claim_each_stored(Pg *pg, const SilverPage *page, PgTake take, void *ctx, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(CLAIM_ARRAY_MAX_BYTES);
    for (size_t i = 0; i < page->claims->n_claims; i++)
        pg_array_text(&ids, page->claims->claims[i].id);
    const char *array = pg_array_end(&ids, err);
    return array && pg_each(pg, PG_BINARY, SQL_CLAIM_LOOK_UP, PG_PARAMS(array, page->source_system, page->feed), take, ctx, err);
}
