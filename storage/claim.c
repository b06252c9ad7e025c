/* claim.c - see claim.h.
 *
 * Deliveries change places by SQL alone (claims <-> claims_absorbed, the same columns), so that only their
 * order, status, amounts and hashes come here. Rows that stay and merely get another number are updated in
 * place: what settle wrote in them stays. */
#include "storage/claim.h"

#include "sql.h"
#include "base/own.h"
#include "storage/claim_memory.h"
#include "storage/file.h"
#include "storage/silver_row.h"
#include "transform/iteration.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE_MAX_BYTES = 256 << 20 };
static const char *const AMOUNTS[CLAIM_AMOUNTS] = {"claim_amount", "paid_amount", "deductible",
                                                   "coinsurance", "copay"};

struct ClaimWork {
    Delivery *deliveries;
    size_t n_stored;  /* of them, as they were looked up */
    const DeliverySet **sets; /* of the page's rows, NULL for those in none; NULL: all are in none */
    Carried *carried; /* what each takes over from its row that was withdrawn; NULL: none was */
    size_t n;
    bool is_cleaned_again;
};

/* ---- what is stored ---- */

enum { /* columns of claim_look_up */
    FOUND_ID, FOUND_SHOWN, FOUND_KEY, FOUND_ITERATION, FOUND_FINAL, FOUND_FILE, FOUND_LINE,
    FOUND_MODIFIED, FOUND_PERIOD, FOUND_SHA256, FOUND_SOURCE_HASH, FOUND_RECORD_HASH, FOUND_STATUS,
    FOUND_AMOUNTS, FOUND_INSERTED = FOUND_AMOUNTS + CLAIM_AMOUNTS, FOUND_SET
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
        .set = take_set(found, row, FOUND_SET, arena),
    };
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        d.amounts[i] = found_number(found, row, FOUND_AMOUNTS + i);
    Str hash = pg_value(found, row, FOUND_RECORD_HASH);
    if (hash.size == sizeof d.record_hash)
        memcpy(d.record_hash, hash.at, hash.size);
    return d;
}

static bool is_remembered(const SilverPage *page, Str claim_id, const Delivery **ret_deliveries, size_t *ret_n) {
    return claim_memory_find(page->memory, page->source_system, claim_id, ret_deliveries, ret_n);
}

/* Most pages come in the order of their ids, and a pass costs less than sorting them. */
static void sort_unless_sorted(void *items, size_t n, size_t size, int (*compare)(const void *, const void *)) {
    const char *at = items;
    size_t i = 1;
    while (i < n && compare(at + (i - 1) * size, at + i * size) <= 0)
        i++;
    if (i < n)
        qsort(items, n, size, compare);
}

static int compare_ids(const void *a, const void *b) { return str_compare(*(const Str *)a, *(const Str *)b); }

/* The page's ids, and those of its lines in earlier readings, of which all deliveries are needed, too; each once. */
static Str *list_ids(const SilverPage *page, size_t *ret_n) {
    size_t n = 0, n_kept = 0, n_former = page->former ? page->former->n_ids : 0;
    Str *ids = ARENA_ARRAY(page->arena, Str, page->n_rows + n_former + 1);
    for (size_t i = 0; i < page->n_rows; i++)
        if (!str_is_null(page->rows[i].id))
            ids[n++] = page->rows[i].id;
    for (size_t i = 0; i < n_former; i++)
        ids[n++] = page->former->ids[i];
    sort_unless_sorted(ids, n, sizeof *ids, compare_ids);
    for (size_t i = 0; i < n; i++)
        if (n_kept == 0 || !str_equal(ids[n_kept - 1], ids[i]))
            ids[n_kept++] = ids[i];
    *ret_n = n_kept;
    return ids;
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

static int64_t file_id_of(const SilverPage *page, size_t i) { return silver_row_file(page, &page->rows[i]).file_id; }

static bool look_up_sets(Pg *pg, const SilverPage *page, struct ClaimWork *work, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf lines = pg_array(PAGE_MAX_BYTES);
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

typedef struct Glance {
    bool may_be_stored; /* something of the page's claims */
    bool has_sets;      /* the page's files */
} Glance;

/* Before any claim is looked up: new ones lie where none is, mostly. */
static bool glance(Pg *pg, const SilverPage *page, const Str *ids, size_t n_ids, Glance *ret_glance, Error *err) {
    CLEANUP(buf_drop) Buf files = pg_array(PAGE_MAX_BYTES);
    const char *least = n_ids ? arena_string(page->arena, ids[0]) : NULL;
    const char *greatest = n_ids ? arena_string(page->arena, ids[n_ids - 1]) : NULL;
    const char *array = files_array(page, &files, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(pg, SQL_CLAIM_GLANCE, PG_PARAMS(least, greatest, page->source_system, pg_number((int64_t)n_ids).text, array), err);
    TRY(row);
    *ret_glance = (Glance){.may_be_stored = pg_bool(row, 0, 0), .has_sets = pg_bool(row, 0, 1)};
    return true;
}

static bool look_up_stored(Pg *pg, const SilverPage *page, const Str *ids, size_t n_ids, struct ClaimWork *work, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    pg_array_texts(&list, ids, n_ids);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_CLAIM_LOOK_UP, PG_PARAMS(array, page->source_system), err);
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

/* ---- what becomes of it ---- */

typedef struct Places { /* columns of the entity */
    int modified_at, inserted_at, status, amounts[CLAIM_AMOUNTS];
} Places;

static Places find_places(const Entity *entity) {
    Places places = {
        .modified_at = entity_column(entity, STR("source_modified_at")),
        .inserted_at = entity_column(entity, STR("source_inserted_at")),
        .status = entity_column(entity, STR("claim_status")),
    };
    for (int i = 0; i < CLAIM_AMOUNTS; i++)
        places.amounts[i] = entity_column(entity, str_of(AMOUNTS[i]));
    return places;
}

static Delivery new_delivery(const SilverPage *page, size_t i, const Places *places) {
    const SilverRow *row = &page->rows[i];
    RowFile file = silver_row_file(page, row);
    Delivery d = {
        .claim_id = row->id,
        .modified_at = row->record.values[places->modified_at],
        .inserted_at = row->record.values[places->inserted_at],
        .period = file.period,
        .sha256 = file.sha256,
        .line = row->line,
        .status = row->record.values[places->status],
        .source_hash = row->source_hash,
        .origin = DELIVERY_NEW,
        .file_id = file.file_id,
        .has_row = true,
        .row = (uint32_t)i,
        .set = page->claims->sets ? page->claims->sets[i] : NULL,
    };
    for (int a = 0; a < CLAIM_AMOUNTS; a++)
        d.amounts[a] = row->record.values[places->amounts[a]];
    memcpy(d.record_hash, row->record.record_hash, sizeof d.record_hash);
    return d;
}

static int compare_claims(const void *a, const void *b) {
    return str_compare(((const Delivery *)a)->claim_id, ((const Delivery *)b)->claim_id);
}

static RowFate fate_of_new(const Delivery *d, bool claim_is_known) {
    switch (d->fate) {
    case DELIVERY_SHOWN:
        return claim_is_known ? ROW_CHANGED : ROW_NEW;
    case DELIVERY_ABSORBED:
        return d->is_repeated ? ROW_ABSORBED : ROW_TOUCHED;
    default:
        return ROW_SAME;
    }
}

/* Of a stored one that was cleaned again. */
static RowFate fate_of_stored(const Delivery *d) {
    bool was_shown = d->origin == DELIVERY_STORED_SHOWN, is_shown = d->fate == DELIVERY_SHOWN;
    bool is_same = !d->differs && was_shown == is_shown &&
                   (!is_shown || (d->iteration == d->was_iteration && d->is_final == d->was_final));
    return is_same ? ROW_SAME : is_shown ? ROW_CHANGED : ROW_TOUCHED;
}

static bool is_news(const Delivery *d);

static void keep_in_memory(const SilverPage *page, const Delivery *deliveries, size_t n) {
    bool has_news = false;
    for (size_t i = 0; i < n; i++)
        has_news |= is_news(&deliveries[i]);
    if (has_news)
        claim_memory_put(page->memory, page->source_system, deliveries, n);
}

static void decide_claim(SilverPage *page, Delivery *deliveries, size_t n) {
    iterations_derive(deliveries, n);
    if (page->memory)
        keep_in_memory(page, deliveries, n);
    bool is_known = false;
    for (size_t i = 0; i < n; i++)
        is_known |= deliveries[i].origin != DELIVERY_NEW;
    for (size_t i = 0; i < n; i++)
        if (deliveries[i].has_row)
            page->rows[deliveries[i].row].fate = deliveries[i].origin == DELIVERY_NEW
                                                     ? fate_of_new(&deliveries[i], is_known)
                                                     : fate_of_stored(&deliveries[i]);
}

static void decide_claims(SilverPage *page) {
    struct ClaimWork *work = page->claims;
    sort_unless_sorted(work->deliveries, work->n, sizeof(Delivery), compare_claims);
    for (size_t first = 0, end; first < work->n; first = end) {
        end = first + 1;
        while (end < work->n && compare_claims(&work->deliveries[first], &work->deliveries[end]) == 0)
            end++;
        decide_claim(page, work->deliveries + first, end - first);
    }
}

static bool is_usable(const SilverRow *row) { return row->fate != ROW_SAME && row->fate != ROW_REJECTED; }

/* ---- read anew ---- */

static bool is_former(const FormerReading *former, const Delivery *d) {
    if (d->line < former->first_line || d->line >= former->end_line)
        return false;
    for (size_t i = 0; i < former->n; i++)
        if (former->file_ids[i] == d->file_id)
            return true;
    return false;
}

/* Lines of a page rise. NULL: the line is not, or not any more, where a row of that claim begins. */
static SilverRow *row_of_line(const SilverPage *page, const Delivery *d) {
    size_t low = 0, high = page->n_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (page->rows[middle].line < d->line)
            low = middle + 1;
        else
            high = middle;
    }
    bool is_it = low < page->n_rows && page->rows[low].line == d->line && str_equal(page->rows[low].id, d->claim_id);
    return is_it ? &page->rows[low] : NULL;
}

static void renew(Delivery *stored, const Delivery *cleaned);

/* A delivery that the page holds word by word stays, unless its bytes came again as those of another period. One of the
 * same claim that its line tells otherwise takes what the line tells, and keeps its key. Any other goes, also where its
 * line is held in quarantine now: what was read of it was not what its file says. True when it stands for its row, so
 * that the row is no news of its own. */
static bool decide_former(SilverPage *page, Delivery *d, const Places *places, SilverRow **ret_row) {
    SilverRow *row = row_of_line(page, d);
    *ret_row = row;
    bool is_in_place = d->file_id == page->file_id || str_equal(d->period, page->period);
    if (row && row->source_hash == d->source_hash && is_in_place) {
        if (!is_usable(row))
            return false;
        row->fate = ROW_SAME;
        return true;
    }
    d->differs = true;
    if (row && is_usable(row) && d->file_id == page->file_id) {
        Delivery cleaned = new_delivery(page, (size_t)(row - page->rows), places);
        renew(d, &cleaned);
        d->differs = true;
        return true;
    }
    d->is_gone = true;
    page->n_withdrawn++;
    return false;
}

static bool *decide_all_former(SilverPage *page, const Places *places) {
    struct ClaimWork *work = page->claims;
    bool *is_taken = ARENA_ARRAY(page->arena, bool, page->n_rows + 1);
    for (size_t i = 0; page->former && i < work->n; i++) {
        SilverRow *row;
        if (is_former(page->former, &work->deliveries[i]) && decide_former(page, &work->deliveries[i], places, &row))
            is_taken[row - page->rows] = true;
    }
    return is_taken;
}

bool claim_decide(Pg *pg, SilverPage *page, Error *err) {
    (void)pg;
    (void)err;
    struct ClaimWork *work = page->claims;
    Places places = find_places(page->entity);
    const bool *is_taken = decide_all_former(page, &places);
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_usable(&page->rows[i]) && !is_taken[i])
            work->deliveries[work->n++] = new_delivery(page, i, &places);
    decide_claims(page);
    return true;
}

/* ---- cleaned again ---- */

static int compare_origins(const void *a, const void *b) {
    const Delivery *x = a, *y = b;
    int order = str_compare(x->claim_id, y->claim_id);
    if (order == 0)
        order = (x->file_id > y->file_id) - (x->file_id < y->file_id);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static bool is_same_number(Value a, Value b) {
    return a.is_set == b.is_set && (!a.is_set || a.number == b.number);
}

/* The stored delivery with the content that its text has now. */
static void renew(Delivery *stored, const Delivery *cleaned) {
    Delivery d = *cleaned;
    d.origin = stored->origin;
    d.claim_key = stored->claim_key;
    d.was_iteration = stored->was_iteration;
    d.was_final = stored->was_final;
    d.differs = memcmp(stored->record_hash, cleaned->record_hash, sizeof d.record_hash) != 0 ||
                !is_same_number(stored->modified_at, cleaned->modified_at) ||
                !is_same_number(stored->inserted_at, cleaned->inserted_at);
    *stored = d;
}

bool claim_decide_again(SilverPage *page) {
    struct ClaimWork *work = page->claims;
    Places places = find_places(page->entity);
    size_t n_stored = work->n;
    work->is_cleaned_again = true;
    qsort(work->deliveries, n_stored, sizeof(Delivery), compare_origins);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (page->rows[i].fate == ROW_SAME || page->rows[i].fate == ROW_REJECTED)
            continue;
        Delivery cleaned = new_delivery(page, i, &places);
        Delivery *stored = bsearch(&cleaned, work->deliveries, n_stored, sizeof cleaned, compare_origins);
        if (stored)
            renew(stored, &cleaned);
        else
            work->deliveries[work->n++] = cleaned;
    }
    decide_claims(page);
    bool has_news = false;
    for (size_t i = 0; i < work->n; i++)
        has_news |= is_news(&work->deliveries[i]);
    return has_news;
}

/* ---- writing: a choice of deliveries, and lists of what they have ---- */

typedef bool (*Choice)(const Delivery *d);

static bool was_shown(const Delivery *d) { return d->origin == DELIVERY_STORED_SHOWN; }
static bool is_shown(const Delivery *d) { return d->fate == DELIVERY_SHOWN; }

static bool is_withdrawn(const Delivery *d) { return was_shown(d) && d->differs; }
static bool is_withdrawn_aside(const Delivery *d) { return d->origin == DELIVERY_STORED_ABSORBED && d->differs; }
static bool is_retired(const Delivery *d) { return was_shown(d) && !is_shown(d) && !d->differs; }
static bool is_renumbered(const Delivery *d) {
    return was_shown(d) && is_shown(d) && !d->differs &&
           (d->iteration != d->was_iteration || d->is_final != d->was_final);
}
static bool steps_aside(const Delivery *d) {
    return is_renumbered(d) && d->iteration != d->was_iteration;
}
static bool is_revived(const Delivery *d) {
    return d->origin == DELIVERY_STORED_ABSORBED && is_shown(d) && !d->differs;
}
static bool wants_key(const Delivery *d) { return is_shown(d) && d->key == 0; }
static bool is_copied(const Delivery *d) { return is_shown(d) && (d->origin == DELIVERY_NEW || d->differs); }
static bool is_copied_aside(const Delivery *d) {
    return d->fate == DELIVERY_ABSORBED && (d->origin == DELIVERY_NEW || d->differs);
}

static bool is_news(const Delivery *d) {
    return is_withdrawn(d) || is_withdrawn_aside(d) || is_retired(d) || is_renumbered(d) || is_revived(d) ||
           is_copied(d) || is_copied_aside(d);
}

static size_t count(const struct ClaimWork *work, Choice choice) {
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++)
        n += choice(&work->deliveries[i]);
    return n;
}

typedef enum Part { PART_ID, PART_OLD_KEY, PART_KEY, PART_ITERATION, PART_FINAL, PART_FILE, PART_LINE } Part;

static void put_part(Buf *list, const Delivery *d, Part part) {
    switch (part) {
    case PART_ID:
        pg_array_text(list, d->claim_id);
        break;
    case PART_OLD_KEY:
        pg_array_int(list, d->claim_key);
        break;
    case PART_KEY:
        pg_array_int(list, d->key);
        break;
    case PART_ITERATION:
        pg_array_int(list, d->iteration);
        break;
    case PART_FINAL:
        pg_array_int(list, d->is_final);
        break;
    case PART_FILE:
        pg_array_int(list, d->file_id);
        break;
    case PART_LINE:
        pg_array_int(list, d->line);
        break;
    }
}

/* An array literal in the page's arena; NULL and an error when it is too long. */
static const char *list_of(SilverPage *page, Choice choice, Part part, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->claims->n; i++)
        if (choice(&page->claims->deliveries[i]))
            put_part(&list, &page->claims->deliveries[i], part);
    const char *array = pg_array_end(&list, err);
    return array ? arena_string(page->arena, str_of(array)) : NULL;
}

static const char *batch_of(const SilverPage *page) {
    return arena_printf(page->arena, "%lld", (long long)page->batch_id);
}

static bool check_count(int64_t n, size_t expected, Error *err) {
    if (n == (int64_t)expected)
        return true;
    return error_set(err, STATE_CONFLICT, "claims: rows changed while a page was placed");
}

static Delivery *find_key(const struct ClaimWork *work, int64_t key) {
    size_t i = 0;
    while (work->deliveries[i].claim_key != key)
        i++;
    return &work->deliveries[i];
}

static bool keep_past(Pg *pg, const SilverPage *page, const char *keys, Error *err) {
    return pg_exec(pg, SQL_CLAIM_PAST, PG_PARAMS(keys, batch_of(page)), NULL, err);
}

static bool withdraw(Pg *pg, SilverPage *page, Error *err) {
    struct ClaimWork *work = page->claims;
    const char *keys = list_of(page, is_withdrawn, PART_OLD_KEY, err);
    TRY(keys && keep_past(pg, page, keys, err));
    CLEANUP(pg_result_drop) PgResult *gone =
        pg_query_as(pg, PG_BINARY, SQL_CLAIM_WITHDRAW, PG_PARAMS(keys, batch_of(page)), err);
    TRY(gone);
    TRY(check_count(pg_rows(gone), count(work, is_withdrawn), err));
    work->carried = ARENA_ARRAY(page->arena, Carried, work->n);
    for (int r = 0; r < pg_rows(gone); r++)
        work->carried[find_key(work, pg_int(gone, r, 0)) - work->deliveries] =
            (Carried){.person_id = STR_NULL, .flags = arena_copy(page->arena, pg_value(gone, r, 1))};
    return true;
}

static bool withdraw_aside(Pg *pg, SilverPage *page, Error *err) {
    const char *ids = list_of(page, is_withdrawn_aside, PART_ID, err);
    const char *files = list_of(page, is_withdrawn_aside, PART_FILE, err);
    const char *lines = list_of(page, is_withdrawn_aside, PART_LINE, err);
    TRY(ids && files && lines);
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_CLAIM_WITHDRAW_ABSORBED, PG_PARAMS(ids, page->source_system, files, lines), &n, err));
    return check_count(n, count(page->claims, is_withdrawn_aside), err);
}

static bool is_gone(const Delivery *d) { return d->is_gone; }

/* For settle: what the delivery said may be all that there was of its claim. */
static bool note_withdrawn(Pg *pg, SilverPage *page, Error *err) {
    const char *ids = list_of(page, is_gone, PART_ID, err);
    return ids && pg_exec(pg, SQL_CLAIM_NOTE_WITHDRAWN, PG_PARAMS(ids, page->source_system, batch_of(page)), NULL, err);
}

static bool retire(Pg *pg, SilverPage *page, Error *err) {
    const char *keys = list_of(page, is_retired, PART_OLD_KEY, err);
    TRY(keys && keep_past(pg, page, keys, err));
    CLEANUP(pg_result_drop) PgResult *gone =
        pg_query(pg, SQL_CLAIM_RETIRE, PG_PARAMS(keys, batch_of(page)), err);
    TRY(gone);
    return check_count(pg_int(gone, 0, 0), count(page->claims, is_retired), err);
}

static bool renumber(Pg *pg, SilverPage *page, Error *err) {
    const char *keys = list_of(page, is_renumbered, PART_KEY, err);
    const char *moving = list_of(page, steps_aside, PART_KEY, err);
    const char *iterations = list_of(page, is_renumbered, PART_ITERATION, err);
    const char *finals = list_of(page, is_renumbered, PART_FINAL, err);
    TRY(keys && moving && iterations && finals && keep_past(pg, page, keys, err));
    if (count(page->claims, steps_aside) > 0)
        TRY(pg_exec(pg, SQL_CLAIM_STEP_ASIDE, PG_PARAMS(moving), NULL, err));
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_CLAIM_RENUMBER, PG_PARAMS(keys, iterations, finals, batch_of(page)), &n, err));
    return check_count(n, count(page->claims, is_renumbered), err);
}

static bool revive(Pg *pg, SilverPage *page, Error *err) {
    const char *ids = list_of(page, is_revived, PART_ID, err);
    const char *files = list_of(page, is_revived, PART_FILE, err);
    const char *lines = list_of(page, is_revived, PART_LINE, err);
    const char *keys = list_of(page, is_revived, PART_KEY, err);
    const char *iterations = list_of(page, is_revived, PART_ITERATION, err);
    const char *finals = list_of(page, is_revived, PART_FINAL, err);
    TRY(ids && files && lines && keys && iterations && finals);
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_CLAIM_PREPARE, PG_PARAMS(ids, page->source_system, files, lines, keys,
                                                 iterations, finals, batch_of(page)), NULL, err));
    TRY(pg_exec(pg, SQL_CLAIM_REVIVE, PG_PARAMS(ids, page->source_system, files, lines), &n, err));
    return check_count(n, count(page->claims, is_revived), err);
}

/* ---- files of which nothing shows any more, or something again ---- */

/* Such files as the page makes them, `n_stored` from the front, the others from the back. */
typedef struct Touched {
    int64_t *ids;
    size_t n_stored, n_new, n_most;
} Touched;

static bool is_said(const Delivery *d, const Delivery *claim, size_t n, Choice shows) {
    for (size_t i = 0; i < n; i++)
        if (shows(&claim[i]) && memcmp(claim[i].record_hash, d->record_hash, sizeof d->record_hash) == 0)
            return true;
    return false;
}

/* Of one that was cleaned again it is not known here what it said before. */
static bool may_turn(const Delivery *d, const Delivery *claim, size_t n, bool is_cleaned) {
    return is_cleaned || is_said(d, claim, n, was_shown) != is_said(d, claim, n, is_shown);
}

static void touch_files(Touched *touched, const Delivery *claim, size_t n, bool is_cleaned) {
    bool has_news = false;
    for (size_t i = 0; i < n; i++) {
        has_news |= is_news(&claim[i]);
        is_cleaned |= claim[i].differs;
    }
    for (size_t i = 0; has_news && i < n; i++) {
        int64_t id = claim[i].file_id;
        if (claim[i].origin != DELIVERY_NEW) {
            bool is_again = touched->n_stored > 0 && touched->ids[touched->n_stored - 1] == id;
            if (!is_again && may_turn(&claim[i], claim, n, is_cleaned))
                touched->ids[touched->n_stored++] = id;
        } else if ((is_cleaned || !is_shown(&claim[i])) &&
                   (touched->n_new == 0 || touched->ids[touched->n_most - touched->n_new] != id)) {
            touched->ids[touched->n_most - ++touched->n_new] = id;
        }
    }
}

/* The next page is of other claims, and mostly of the same files. */
static bool note_unsure(Pg *pg, const Touched *touched, Error *err) {
    return (touched->n_stored == 0 || file_note_unsure(pg, touched->ids, touched->n_stored, err)) &&
           (touched->n_new == 0 || file_note_unsure(pg, touched->ids + touched->n_most - touched->n_new, touched->n_new, err));
}

/* A file that is being received is looked at when it is done. */
static bool restate_files(Pg *pg, const SilverPage *page, Error *err) {
    const struct ClaimWork *work = page->claims;
    Touched touched = {.ids = ARENA_ARRAY(page->arena, int64_t, work->n + 1), .n_most = work->n};
    for (size_t first = 0, end; first < work->n; first = end) {
        end = first + 1;
        while (end < work->n && compare_claims(&work->deliveries[first], &work->deliveries[end]) == 0)
            end++;
        touch_files(&touched, work->deliveries + first, end - first, work->is_cleaned_again);
    }
    if (work->is_cleaned_again)
        return note_unsure(pg, &touched, err);
    TRY(touched.n_stored == 0 || file_restate(pg, touched.ids, touched.n_stored, FILE_MOSTLY_REPLACED, err));
    return touched.n_new == 0 ||
           file_restate(pg, touched.ids + touched.n_most - touched.n_new, touched.n_new, FILE_MOSTLY_SHOWS, err);
}

static bool give_keys(Pg *pg, SilverPage *page, Error *err) {
    size_t n = count(page->claims, wants_key);
    if (n == 0)
        return true;
    int64_t *keys;
    TRY(silver_take_keys(pg, page->entity, n, page->arena, &keys, err));
    for (size_t i = 0; i < page->claims->n; i++)
        if (wants_key(&page->claims->deliveries[i]))
            page->claims->deliveries[i].key = *keys++;
    return true;
}

static void put_delivery(Buf *out, SilverPage *page, const Delivery *d) {
    SilverRow *row = &page->rows[d->row];
    silver_set_system(page, row, d->key);
    silver_set(&row->record, page->system.iteration, value_number(d->iteration));
    silver_set(&row->record, page->system.is_final, value_number(d->is_final));
    silver_set(&row->record, page->system.file_id, value_number(d->file_id));
    silver_set(&row->record, page->system.line, value_number(d->line));
    const Carried *carried = page->claims->carried;
    silver_put_row(out, page, &row->record, carried && is_shown(d) ? &carried[d - page->claims->deliveries] : NULL);
}

static bool copy(Pg *pg, SilverPage *page, const char *table, Choice choice, Error *err) {
    CLEANUP(row_stream_drop) RowStream out = {.pg = NULL};
    for (size_t i = 0; i < page->claims->n; i++) {
        if (!choice(&page->claims->deliveries[i]))
            continue;
        if (!out.is_open)
            TRY(row_stream_begin(&out, pg, silver_copy_statement(page->arena, table, page->entity), err));
        put_delivery(&out.rows, page, &page->claims->deliveries[i]);
        TRY(row_stream_next(&out, err));
    }
    return !out.is_open || row_stream_end(&out, err);
}

typedef bool (*Verb)(Pg *pg, SilverPage *page, Error *err);

bool claim_write(Pg *pg, SilverPage *page, Error *err) {
    static const struct {
        Choice choice;
        Verb write; /* where there is one such delivery */
    } CHANGES[] = {{is_withdrawn, withdraw}, {is_withdrawn_aside, withdraw_aside}, {is_gone, note_withdrawn},
                   {is_retired, retire}, {is_renumbered, renumber}, {is_revived, revive}};
    TRY(give_keys(pg, page, err));
    for (size_t i = 0; page->claims->n_stored > 0 && i < sizeof CHANGES / sizeof *CHANGES; i++)
        TRY(count(page->claims, CHANGES[i].choice) == 0 || CHANGES[i].write(pg, page, err));
    TRY(copy(pg, page, page->entity->name, is_copied, err));
    TRY(copy(pg, page, "claims_absorbed", is_copied_aside, err));
    return restate_files(pg, page, err);
}
