/* held_claims.c - see held_claims.h. */
#include "storage/held_claims.h"

#include "base/own.h"
#include "sql.h"
#include "storage/held_contents.h"
#include "storage/quarantine.h"
#include "transform/holding.h"

enum { ARRAY_MAX_BYTES = 256 << 20 };

/* ---- at a place ---- */

enum { PLACE_LINE, PLACE_ENTRY, PLACE_ID, PLACE_HASH, PLACE_MAPPING, PLACE_REFUSED };

/* Rows of a page stand in the order of their lines. */
static SilverRow *row_at(SilverPage *page, int64_t line) {
    size_t first = 0, end = page->n_rows;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (page->rows[middle].line < line)
            first = middle + 1;
        else
            end = middle;
    }
    return first < page->n_rows && page->rows[first].line == line ? &page->rows[first] : NULL;
}

/* One that is read as another's, or as nobody's, is another row; the entry goes. One that nobody's was and is, is held by its
 * content. */
static void hold_place(SilverPage *page, SilverRow *row, const PgResult *found, int r) {
    Str id = pg_value(found, r, PLACE_ID);
    int64_t entry = pg_int(found, r, PLACE_ENTRY);
    if (!str_equal(row->id, id))
        page->outdated[page->n_outdated++] = entry;
    if (str_is_null(row->id) || !str_equal(row->id, id))
        return;
    row->held = (Held){
        .is_found = true,
        .entry = entry,
        .source_hash = pg_int(found, r, PLACE_HASH),
        .mapping_version = (int32_t)pg_int(found, r, PLACE_MAPPING),
        .was_refused = pg_bool(found, r, PLACE_REFUSED),
    };
}

static bool look_up_places(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    const FormerReading *former = page->former;
    CLEANUP(buf_drop) Buf files = pg_array(ARRAY_MAX_BYTES);
    pg_array_ints(&files, former->file_ids, former->n);
    const char *array = pg_array_end(&files, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_HELD_CLAIMS_PLACES,
        PG_PARAMS(array, pg_number(former->first_line).text, pg_number(former->end_line).text, page->source_system,
                  RULE_ROW_REFUSED, silver_period(page), feed), err);
    TRY(found);
    page->outdated = ARENA_ARRAY(page->arena, int64_t, (size_t)pg_rows(found) + 1);
    for (int r = 0; r < pg_rows(found); r++) {
        SilverRow *row = row_at(page, pg_int(found, r, PLACE_LINE));
        if (row)
            hold_place(page, row, found, r);
    }
    return true;
}

bool held_claims_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    page->n_outdated = 0;
    return (!page->former || look_up_places(pg, feed, page, err)) && held_contents_look_up(pg, feed, page, err);
}

/* Of contents the next one counts. */
static bool withdraw(Pg *pg, Buf *entries, Error *err) {
    CLEANUP(content_list_drop) ContentList contents = content_list_make();
    const char *array = pg_array_end(entries, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *ended = pg_query(pg, SQL_HELD_CLAIMS_WITHDRAW, PG_PARAMS(array), err);
    TRY(ended);
    content_list_add_rows(&contents, ended);
    return held_contents_decide(pg, &contents, err);
}

bool held_claims_withdraw(Pg *pg, const SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf entries = pg_array(ARRAY_MAX_BYTES);
    size_t n = page->n_outdated;
    pg_array_ints(&entries, page->outdated, n);
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].held.entry && page->rows[i].fate != ROW_SAME) {
            pg_array_int(&entries, page->rows[i].held.entry);
            n++;
        }
    return n == 0 || withdraw(pg, &entries, err);
}

/* ---- which entries count ---- */

/* Claims one after another, of each what is usable and then its entries from the last to the first. Only the one claim is known,
 * and of that what holding.h keeps: a claim may have more deliveries than could be held at once. */
typedef struct Deciding {
    Arena *arena; /* of the claim */
    Str claim_id; /* STR_NULL: none yet */
    Str period;   /* of the delivery before */
    HoldingFold fold;
    int64_t *counted; /* entries that did until now */
    size_t n_counted;
    Buf ending, opening; /* entries of all claims */
    size_t n_ending, n_opening;
} Deciding;

static void deciding_drop(Deciding *deciding) {
    arena_drop(&deciding->arena);
    buf_done(&deciding->ending);
    buf_done(&deciding->opening);
}

static void note_counted(Deciding *deciding, int64_t entry) {
    int64_t *counted = ARENA_ARRAY(deciding->arena, int64_t, deciding->n_counted + 1); /* mostly the only one */
    for (size_t i = 0; i < deciding->n_counted; i++)
        counted[i] = deciding->counted[i];
    counted[deciding->n_counted++] = entry;
    deciding->counted = counted;
}

static void end_claim(Deciding *deciding) {
    int64_t counting = deciding->fold.counting.entry;
    bool did_count = false;
    for (size_t i = 0; i < deciding->n_counted; i++)
        if (deciding->counted[i] == counting) {
            did_count = true;
        } else {
            pg_array_int(&deciding->ending, deciding->counted[i]);
            deciding->n_ending++;
        }
    if (counting && !did_count) {
        pg_array_int(&deciding->opening, counting);
        deciding->n_opening++;
    }
}

static void begin_claim(Deciding *deciding, Str claim_id) {
    arena_empty(deciding->arena);
    deciding->claim_id = arena_copy(deciding->arena, claim_id);
    deciding->period = STR_NULL;
    deciding->fold = (HoldingFold){.counting = {.entry = 0}};
    deciding->n_counted = 0;
}

/* As they come most have the period of the one before. */
static Str keep_period(Deciding *deciding, Str period) {
    if (str_is_null(period))
        return period;
    if (str_is_null(deciding->period) || !str_equal(deciding->period, period))
        deciding->period = arena_copy(deciding->arena, period);
    return deciding->period;
}

enum { FOUND_ID, FOUND_ENTRY, FOUND_COUNTS, FOUND_ORDERED, FOUND_STAGE, FOUND_PERIOD, FOUND_FILE, FOUND_LINE };

static Holding found_holding(Deciding *deciding, const PgResult *row) {
    bool is_ordered = !str_is_null(pg_value(row, 0, FOUND_ORDERED));
    return (Holding){
        .claim_id = deciding->claim_id,
        .ordered_at = is_ordered ? value_number(pg_int(row, 0, FOUND_ORDERED)) : VALUE_NULL,
        .stage = (int)pg_int(row, 0, FOUND_STAGE),
        .period = keep_period(deciding, pg_value(row, 0, FOUND_PERIOD)),
        .file_id = pg_int(row, 0, FOUND_FILE),
        .line = pg_int(row, 0, FOUND_LINE),
        .entry = pg_int(row, 0, FOUND_ENTRY),
        .did_count = pg_bool(row, 0, FOUND_COUNTS),
    };
}

static bool take_holding(void *ctx, const PgResult *row, Error *err) {
    (void)err;
    Deciding *deciding = ctx;
    Str claim_id = pg_value(row, 0, FOUND_ID);
    if (str_is_null(deciding->claim_id) || !str_equal(deciding->claim_id, claim_id)) {
        end_claim(deciding);
        begin_claim(deciding, claim_id);
    }
    Holding holding = found_holding(deciding, row);
    if (holding.did_count)
        note_counted(deciding, holding.entry);
    (holding.entry ? holding_add_entry : holding_add_usable)(&deciding->fold, &holding);
    return true;
}

static bool change(Pg *pg, const char *statement, Buf *entries, size_t n, Error *err) {
    const char *array = pg_array_end(entries, err);
    return array && (n == 0 || pg_exec(pg, statement, PG_PARAMS(array), NULL, err));
}

bool held_claims_decide_ids(Pg *pg, const char *feed, const char *source_system, const Str *ids, size_t n, Error *err) {
    CLEANUP(deciding_drop) Deciding deciding = {.arena = arena_open(), .claim_id = STR_NULL,
                                                .ending = pg_array(ARRAY_MAX_BYTES), .opening = pg_array(ARRAY_MAX_BYTES)};
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_MAX_BYTES);
    pg_array_texts(&list, ids, n);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    TRY(pg_each(pg, PG_BINARY, SQL_HELD_CLAIMS, PG_PARAMS(feed, source_system, array), take_holding, &deciding, err));
    end_claim(&deciding);
    return change(pg, SQL_HELD_CLAIMS_END, &deciding.ending, deciding.n_ending, err) &&
           change(pg, SQL_HELD_CLAIMS_OPEN, &deciding.opening, deciding.n_opening, err);
}

static bool feed_has_entries(Pg *pg, const char *feed, bool *ret_any, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_HELD_CLAIMS_ANY, PG_PARAMS(feed), err);
    TRY(row);
    *ret_any = pg_bool(row, 0, 0);
    return true;
}

/* A feed that holds none costs one look-up. */
static bool decide_if_any(Pg *pg, const char *feed, const SilverPage *page, const Str *ids, size_t n, Error *err) {
    bool any;
    TRY(feed_has_entries(pg, feed, &any, err));
    return !any || held_claims_decide_ids(pg, feed, page->source_system, ids, n, err);
}

static PgResult *find_former_feeds(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(ARRAY_MAX_BYTES);
    pg_array_ints(&files, page->former->file_ids, page->former->n);
    const char *array = pg_array_end(&files, err);
    return array ? pg_query(pg, SQL_HELD_CLAIMS_FORMER_FEEDS, PG_PARAMS(array, feed), err) : NULL;
}

bool held_claims_lock_former(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(pg_result_drop) PgResult *locked = find_former_feeds(pg, feed, page, err);
    return locked != NULL;
}

/* What the feeds of those files lost here, and hold of the same claims besides. */
static bool decide_former(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(pg_result_drop) PgResult *feeds = find_former_feeds(pg, feed, page, err);
    TRY(feeds);
    for (int r = 0; r < pg_rows(feeds); r++) {
        const char *other = arena_string(page->arena, pg_value(feeds, r, 0));
        TRY(decide_if_any(pg, other, page, page->former->ids, page->former->n_ids, err));
    }
    return true;
}

/* Of a page's rows those that are news, and of a file that is read anew all, with whatever earlier readings made of its lines. */
bool held_claims_decide(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    size_t n = 0, n_former = page->former ? page->former->n_ids : 0;
    Str *ids = ARENA_ARRAY(page->arena, Str, page->n_rows + n_former + 1);
    for (size_t i = 0; i < page->n_rows; i++)
        if ((page->rows[i].fate != ROW_SAME || page->former) && !str_is_null(page->rows[i].id))
            ids[n++] = page->rows[i].id;
    for (size_t i = 0; i < n_former; i++)
        ids[n++] = page->former->ids[i];
    return (n == 0 || decide_if_any(pg, feed, page, ids, n, err)) && (n_former == 0 || decide_former(pg, feed, page, err)) &&
           held_contents_decide_page(pg, feed, page, err);
}

bool held_claims_ceased(Pg *pg, const int64_t *entries, size_t n, Arena *arena, int64_t **ret_ceased, size_t *ret_n, Error *err) {
    *ret_n = 0;
    if (n == 0)
        return true;
    CLEANUP(buf_drop) Buf list = pg_array(ARRAY_MAX_BYTES);
    pg_array_ints(&list, entries, n);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_HELD_CLAIMS_CEASED, PG_PARAMS(array), err);
    TRY(found);
    *ret_n = (size_t)pg_rows(found);
    *ret_ceased = ARENA_ARRAY(arena, int64_t, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_ceased)[i] = pg_int(found, (int)i, 0);
    return true;
}
