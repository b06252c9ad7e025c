/* history.c - see history.h.
 *
 * How a page is written: all versions of the members it tells of are fetched in PostgreSQL's binary form, and what it
 * tells is put among them (timeline.c). Every version that then stands otherwise than stored is deleted and copied in
 * again, new ones go by the same COPY. So there is one way to write a row, and untouched columns, settle's among them,
 * cannot be lost. */
#include "storage/history.h"

#include "base/own.h"
#include "sql.h"
#include "storage/silver_row.h"
#include "storage/template.h"
#include "storage/timeline.h"

#include <openssl/rand.h>

enum { PAGE_MAX_BYTES = 256 << 20 };
/* 9999-12-31T00:00:00Z */
static const int64_t OPEN_END_US = INT64_C(253402214400) * 1000000;

/* What the versions of each member come to; between decide and write. */
struct HistoryWork {
    TimelineShape shape;
    Timeline *timelines; /* of the members that the page tells something of */
    size_t n;
    Version **versions;  /* per timeline */
    size_t *n_versions;
};

static const char *fill(const SilverPage *page, const char *statement) {
    const Entity *entity = page->entity;
    return sql_fill(page->arena, statement, {"table", entity->name}, {"key", entity->key}, {"id", entity->id},
                    {"columns", silver_column_list(page->arena, entity)});
}

static const char *number(const SilverPage *page, int64_t value) {
    return arena_printf(page->arena, "%lld", (long long)value);
}

/* ---- look-up ---- */

static void take_known(const PgResult *found, int row, Known *known) {
    silver_take_known(found, row, known);
    known->version = (int32_t)pg_int(found, row, 6);
    known->effective_us = pg_int(found, row, 7) + PG_EPOCH_US;
}

/* Of rows that bear the same id the index has the last. */
static void share_known(const RowIndex *index, SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (silver_is_looked_up(&page->rows[i]))
            page->rows[i].known = row_index_find(index, page->rows[i].id)->known;
}

bool history_look_up(Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = silver_ids(page, &ids, err);
    TRY(array);
    TRY(pg_exec(pg, SQL_HISTORY_LOCK, PG_PARAMS(page->entity->name, page->source_system), NULL, err));
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, fill(page, SQL_HISTORY_LOOK_UP), PG_PARAMS(array, page->source_system), err);
    TRY(found);
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        SilverRow *row = row_index_find(index, pg_value(found, r, 0));
        if (row)
            take_known(found, r, &row->known);
    }
    share_known(index, page);
    return true;
}

/* ---- the members that the page tells something of ---- */

/* A live table's new rows have no versions to look at. */
static bool is_told(const SilverPage *page, const SilverRow *row) {
    if (row->fate == ROW_GONE)
        return known_can_go(&row->known);
    if (page->tells == TELLS_NOW)
        return row->fate == ROW_CHANGED;
    return silver_row_is_news(row);
}

/* One timeline for every id that is told of; `ret_of` says which, per row. */
static bool open_timelines(SilverPage *page, struct HistoryWork *work, Timeline ***ret_of) {
    Timeline **of = ARENA_ARRAY(page->arena, Timeline *, page->n_rows);
    const RowIndex *index = row_index_make(page->arena, page);
    work->timelines = ARENA_ARRAY(page->arena, Timeline, page->n_rows);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (!is_told(page, &page->rows[i]))
            continue;
        Timeline **shared = &of[row_index_find(index, page->rows[i].id) - page->rows];
        if (!*shared) {
            *shared = &work->timelines[work->n++];
            **shared = (Timeline){.id = page->rows[i].id, .was_empty = true, .seen_us = INT64_MIN,
                                  .seen_until_us = INT64_MAX};
        }
        of[i] = *shared;
    }
    *ret_of = of;
    return work->n > 0;
}

static const char *timeline_ids(const struct HistoryWork *work, Buf *out, Error *err) {
    for (size_t i = 0; i < work->n; i++)
        pg_array_text(out, work->timelines[i].id);
    return pg_array_end(out, err);
}

typedef enum Found { FOUND_FLAGS, FOUND_KEY, FOUND_START, FOUND_END, FOUND_VERSION, FOUND_DELETED, FOUND_COLUMNS } Found;

static void take_version(const struct HistoryWork *work, Timeline *timeline, const PgResult *found, int r) {
    Arena *arena = work->shape.page->arena;
    Str *values = ARENA_ARRAY(arena, Str, (size_t)work->shape.n);
    for (int s = 0; s < work->shape.n; s++) {
        Str value = pg_value(found, r, FOUND_COLUMNS + s);
        values[s] = str_is_null(value) ? STR_NULL : arena_copy(arena, value);
    }
    Str flags = arena_copy(arena, pg_value(found, r, FOUND_FLAGS));
    Moment *m = timeline_insert(timeline, arena, timeline->n);
    *m = (Moment){
        .at_us = pg_int(found, r, FOUND_START) + PG_EPOCH_US,
        .end_us = pg_int(found, r, FOUND_END) + PG_EPOCH_US,
        .values = values,
        .flags = flags,
        .key = pg_int(found, r, FOUND_KEY),
        .version = (int32_t)pg_int(found, r, FOUND_VERSION),
        .is_deleted = pg_bool(found, r, FOUND_DELETED),
        .is_blank = str_is_null(values[work->shape.record_hash]),
        .is_time_inferred = memmem(flags.at, flags.size, "time_inferred", 13) != NULL,
    };
    timeline->was_empty = false;
}

/* The timeline of an id: `of` is by row, and the index by id. */
static Timeline *find_timeline(const SilverPage *page, const RowIndex *index, Timeline **of, Str id) {
    const SilverRow *row = row_index_find(index, id);
    return row ? of[row - page->rows] : NULL;
}

static bool fetch_versions(Pg *pg, SilverPage *page, struct HistoryWork *work, Timeline **of, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = timeline_ids(work, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(pg, PG_BINARY, fill(page, SQL_HISTORY_VERSIONS),
                                                          PG_PARAMS(array, page->source_system), err);
    TRY(found);
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        Str id = pg_value(found, r, FOUND_COLUMNS + work->shape.n);
        Timeline *timeline = find_timeline(page, index, of, id);
        if (timeline)
            take_version(work, timeline, found, r);
    }
    return true;
}

/* The content of the version in force then, once more. */
static void take_seen(const struct HistoryWork *work, Timeline *timeline, int64_t at_us, bool is_inferred) {
    size_t place = timeline->n;
    while (place > 0 && timeline->moments[place - 1].at_us > at_us)
        place--;
    if (place == 0 || timeline->moments[place - 1].at_us == at_us || timeline->moments[place - 1].is_deleted)
        return;
    const Moment in_force = timeline->moments[place - 1];
    Moment *m = timeline_insert(timeline, work->shape.page->arena, place);
    *m = (Moment){.at_us = at_us, .values = in_force.values, .flags = in_force.flags, .is_seen = true,
                  .is_time_inferred = is_inferred};
}

static bool fetch_seen(Pg *pg, SilverPage *page, struct HistoryWork *work, Timeline **of, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = timeline_ids(work, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_HISTORY_SEEN, PG_PARAMS(array, page->source_system, page->entity->name), err);
    TRY(found);
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        Timeline *timeline = find_timeline(page, index, of, pg_value(found, r, 0));
        if (timeline)
            take_seen(work, timeline, pg_int(found, r, 1) + PG_EPOCH_US, pg_bool(found, r, 2));
    }
    return true;
}

/* ---- who they are ---- */

/* Random ids (RFC 9562, version 4) for members whom nobody knows yet: settle keeps them where a patient is a person by
 * himself, so that it need not write every new row. */
static bool draw_persons(SilverPage *page, struct HistoryWork *work, Error *err) {
    bool has_persons = entity_column(page->entity, STR("person_id")) != COLUMN_NONE;
    if (!has_persons || page->n_rows == 0)
        return true;
    size_t size = page->n_rows * PERSON_ID_BYTES;
    unsigned char *bytes = arena_alloc(page->arena, size);
    if (RAND_bytes(bytes, (int)size) != 1)
        return error_set(err, STATE_RESOURCES, "persons' ids: the system has no random bytes");
    for (unsigned char *id = bytes; id < bytes + size; id += PERSON_ID_BYTES) {
        id[6] = (unsigned char)((id[6] & 0x0f) | 0x40);
        id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    }
    work->shape.persons = (const char *)bytes;
    return true;
}

/* ---- what becomes of them ---- */

typedef void (*Tell)(const TimelineShape *shape, Timeline *timeline, SilverRow *row);

static void tell(const struct HistoryWork *work, SilverPage *page, Timeline **of) {
    static const Tell TELLS[] = {timeline_tell_now, timeline_tell_past, timeline_tell_again};
    for (size_t i = 0; i < page->n_rows; i++)
        if (of[i] && is_told(page, &page->rows[i]))
            (page->rows[i].fate == ROW_GONE ? timeline_bury : TELLS[page->tells])(&work->shape, of[i], &page->rows[i]);
}

/* Several rows of one id may stand in quarantine at a time: each is known by its content. */
static void hold_past(SilverPage *page) {
    for (size_t i = 0; page->tells == TELLS_PAST && i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (row->fate != ROW_REJECTED)
            continue;
        row->id = STR_NULL;
        if (row->held.lacked_id)
            row->fate = ROW_SAME;
    }
}

bool history_decide(Pg *pg, SilverPage *page, Error *err) {
    struct HistoryWork *work = ARENA_NEW(page->arena, struct HistoryWork);
    work->shape = timeline_shape(page);
    page->history = work;
    page->attributes = ARENA_ARRAY(page->arena, AttributeCount, (size_t)page->entity->n_columns);
    TRY(draw_persons(page, work, err));
    Timeline **of;
    if (open_timelines(page, work, &of)) {
        TRY(fetch_versions(pg, page, work, of, err));
        TRY(page->tells != TELLS_PAST || fetch_seen(pg, page, work, of, err));
        tell(work, page, of);
    }
    work->versions = ARENA_ARRAY(page->arena, Version *, work->n + 1);
    work->n_versions = ARENA_ARRAY(page->arena, size_t, work->n + 1);
    for (size_t i = 0; i < work->n; i++)
        work->versions[i] = timeline_versions(&work->shape, &work->timelines[i], &work->n_versions[i]);
    hold_past(page);
    return true;
}

/* ---- writing ---- */

typedef struct Writer {
    Pg *pg;
    SilverPage *page;
    const struct HistoryWork *work;
    Buf out; /* rows of binary COPY */
    int64_t n_out;
    int64_t *keys; /* the next new one */
} Writer;

static void writer_drop(Writer *w) { buf_done(&w->out); }

static void put_bytes(Buf *out, Str bytes) {
    buf_put_i32(out, str_is_null(bytes) ? -1 : (int32_t)bytes.size);
    buf_put_str(out, bytes);
}

/* Columns that say where a version stands, not what it says. */
typedef Value (*PlaceValue)(const Writer *w, const Version *v);
static Value place_key(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->key);
}
static Value place_start(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->first->at_us);
}
static Value place_end(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->end_us);
}
static Value place_current(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->is_current);
}
static Value place_version(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->number);
}
static Value place_deleted(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->shown->is_deleted);
}
static Value place_inferred(const Writer *w, const Version *v) {
    (void)w;
    return value_number(v->shown->is_blank);
}
static Value place_batch(const Writer *w, const Version *v) {
    (void)v;
    return value_number(w->page->batch_id);
}
static const struct {
    const char *column;
    PlaceValue value;
} PLACES[] = {
    {"effective_date", place_start}, {"expiry_date", place_end},     {"is_current", place_current},
    {"version", place_version},      {"is_deleted", place_deleted},  {"is_inferred", place_inferred},
    {"batch_id", place_batch},
};

static PlaceValue find_place(const Column *column) {
    for (size_t i = 0; i < sizeof PLACES / sizeof *PLACES; i++)
        if (strcmp(PLACES[i].column, column->name) == 0)
            return PLACES[i].value;
    return column->role == ROLE_SURROGATE ? place_key : NULL;
}

/* The current version's hashes are those of what told of it last: what a live table shows is compared with them, and
 * a row of the past may have overwritten what it showed. */
static const Moment *source_of(const TimelineShape *shape, const Version *v, int s) {
    bool is_hash = s == shape->source_hash || s == shape->record_hash;
    if (is_hash && v->is_current && !v->shown->is_deleted)
        return v->last;
    return s == shape->modified_at ? v->first : v->shown;
}

static void put_column(Writer *w, const Version *v, bool is_new, int s) {
    const TimelineShape *shape = &w->work->shape;
    const Column *column = &w->page->entity->columns[shape->columns[s]];
    const Moment *m = v->shown;
    PlaceValue place = find_place(column);
    bool is_made_now = (is_new || m->is_made) && strcmp(column->name, "made_by_batch") == 0;
    if (column->type == TYPE_TEXTS)
        silver_put_names(&w->out, m->flags, v->first->is_time_inferred);
    else if (place || is_made_now)
        silver_put_value(&w->out, column->type, place ? place(w, v) : value_number(w->page->batch_id));
    else if (column->role == ROLE_SETTLE && column->type != TYPE_UUID && m->row)
        silver_put_value(&w->out, column->type, m->row->record.values[shape->columns[s]]);
    else
        put_bytes(&w->out, source_of(shape, v, s)->values[s]);
}

static void put_version(Writer *w, Version *v) {
    bool is_new = v->key == 0;
    if (is_new)
        v->key = *w->keys++;
    buf_put_i16(&w->out, (int16_t)w->work->shape.n);
    for (int s = 0; s < w->work->shape.n; s++)
        put_column(w, v, is_new, s);
    w->n_out++;
}

typedef bool (*VersionChoice)(const Version *v);
static bool is_rewritten(const Version *v) { return v->is_written && v->key; }
static bool wants_key(const Version *v) { return v->is_written && !v->key; }

static size_t count_versions(const struct HistoryWork *work, VersionChoice choice) {
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++)
        for (size_t v = 0; v < work->n_versions[i]; v++)
            n += choice(&work->versions[i][v]);
    return n;
}

/* Stored versions that another shows from now on: BigQuery loses them too. */
static size_t list_vanished(const struct HistoryWork *work, Buf *keys) {
    size_t n = 0;
    for (size_t i = 0; i < work->n; i++)
        for (size_t m = 0; m < work->timelines[i].n; m++)
            if (work->timelines[i].moments[m].vanishes) {
                pg_array_int(keys, work->timelines[i].moments[m].key);
                n++;
            }
    return n;
}

static bool forget_vanished(Writer *w, size_t *ret_n, Error *err) {
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    *ret_n = list_vanished(w->work, &keys);
    const char *array = pg_array_end(&keys, err);
    TRY(array);
    return *ret_n == 0 || pg_exec(w->pg, SQL_HISTORY_VANISHED,
                                  PG_PARAMS(w->page->entity->name, number(w->page, w->page->batch_id), array), NULL, err);
}

static bool remove_old(Writer *w, Error *err) {
    CLEANUP(buf_drop) Buf keys = pg_array(PAGE_MAX_BYTES);
    const struct HistoryWork *work = w->work;
    size_t n_old = list_vanished(work, &keys) + count_versions(work, is_rewritten);
    for (size_t i = 0; i < work->n; i++)
        for (size_t v = 0; v < work->n_versions[i]; v++)
            if (is_rewritten(&work->versions[i][v]))
                pg_array_int(&keys, work->versions[i][v].key);
    if (n_old == 0)
        return true;
    const char *array = pg_array_end(&keys, err);
    TRY(array);
    int64_t n_removed = 0;
    TRY(pg_exec(w->pg, fill(w->page, SQL_HISTORY_REMOVE), PG_PARAMS(array), &n_removed, err));
    if (n_removed != (int64_t)n_old)
        return error_set(err, STATE_CONFLICT, "%s: versions changed while a page was placed", w->page->entity->name);
    return true;
}

/* New members of a live table: one version, from the record itself. */
static void put_new(Writer *w, SilverRow *row) {
    SilverPage *page = w->page;
    Value modified = row->record.values[page->system.modified_at];
    bool is_usable = modified.is_set && modified.number <= page->source_now_us;
    if (!is_usable)
        row->record.flags |= UINT64_C(1) << FLAG_TIME_INFERRED;
    silver_set(&row->record, page->system.effective_date, value_number(is_usable ? modified.number : page->received_us));
    silver_set(&row->record, page->system.expiry_date, value_number(OPEN_END_US));
    silver_set(&row->record, page->system.is_current, value_number(true));
    silver_set(&row->record, page->system.version, value_number(1));
    silver_set_system(page, row, *w->keys++);
    Carried carried = {.person_id = timeline_person(&w->work->shape, row), .flags = STR_NULL};
    silver_put_row(&w->out, page, &row->record, &carried);
    w->n_out++;
}

static bool is_put_new(const SilverPage *page, const SilverRow *row) {
    return page->tells == TELLS_NOW && row->fate == ROW_NEW;
}

static bool put_rows(Writer *w, Error *err) {
    SilverPage *page = w->page;
    size_t n_keys = count_versions(w->work, wants_key);
    for (size_t i = 0; i < page->n_rows; i++)
        n_keys += is_put_new(page, &page->rows[i]);
    if (n_keys > 0)
        TRY(silver_take_keys(w->pg, page->entity, n_keys, page->arena, &w->keys, err));
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_put_new(page, &page->rows[i]))
            put_new(w, &page->rows[i]);
    for (size_t i = 0; i < w->work->n; i++)
        for (size_t v = 0; v < w->work->n_versions[i]; v++)
            if (w->work->versions[i][v].is_written)
                put_version(w, &w->work->versions[i][v]);
    return true;
}

static bool send_rows(Writer *w, Error *err) {
    const SilverPage *page = w->page;
    CLEANUP(row_stream_drop) RowStream out;
    TRY(row_stream_begin(&out, w->pg, silver_copy_statement(page->arena, page->entity->name, page->entity), err));
    TRY(pg_copy_put(w->pg, &out.rows, err) && pg_copy_put(w->pg, &w->out, err));
    buf_clear(&out.rows);
    out.n_rows = w->n_out;
    return row_stream_end(&out, err);
}

/* ---- what was seen once more ---- */

typedef struct Instants {
    Buf ids, at, inferred;
    size_t n;
} Instants;

static void instants_drop(Instants *instants) {
    buf_done(&instants->ids);
    buf_done(&instants->at);
    buf_done(&instants->inferred);
}

static void instants_init(Instants *instants) {
    *instants = (Instants){.ids = pg_array(PAGE_MAX_BYTES), .at = pg_array(PAGE_MAX_BYTES),
                           .inferred = pg_array(PAGE_MAX_BYTES)};
}

static void instants_add(Instants *instants, Str id, int64_t at_us, bool is_inferred) {
    pg_array_text(&instants->ids, id);
    pg_array_int(&instants->at, at_us);
    pg_array_int(&instants->inferred, is_inferred);
    instants->n++;
}

static bool forget_contradicted(Writer *w, Error *err) {
    CLEANUP(instants_drop) Instants gone;
    instants_init(&gone);
    for (size_t i = 0; i < w->work->n; i++)
        if (w->work->timelines[i].seen_until_us != INT64_MAX)
            instants_add(&gone, w->work->timelines[i].id, w->work->timelines[i].seen_until_us, false);
    if (gone.n == 0)
        return true;
    const char *ids = pg_array_end(&gone.ids, err), *at = pg_array_end(&gone.at, err);
    TRY(ids && at);
    return pg_exec(w->pg, SQL_HISTORY_SEEN_FORGET, PG_PARAMS(ids, at, w->page->source_system, w->page->entity->name),
                   NULL, err);
}

/* Moments that open no version, and what live rows showed once more. */
static void list_seen(const struct HistoryWork *work, Instants *seen) {
    const SilverPage *page = work->shape.page;
    int modified_at = work->shape.columns[work->shape.modified_at];
    for (size_t i = 0; page->tells == TELLS_NOW && i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate == ROW_TOUCHED && timeline_sees(&work->shape, row, row->known.effective_us))
            instants_add(seen, row->id, row->record.values[modified_at].number, false);
    }
    for (size_t i = 0; i < work->n; i++) {
        const Timeline *timeline = &work->timelines[i];
        if (timeline->seen_us != INT64_MIN)
            instants_add(seen, timeline->id, timeline->seen_us, false);
        for (size_t m = 0; m < timeline->n; m++)
            if (!timeline->moments[m].opens && !timeline->moments[m].is_seen)
                instants_add(seen, timeline->id, timeline->moments[m].at_us, timeline->moments[m].is_time_inferred);
    }
}

static bool remember_seen(Writer *w, Error *err) {
    CLEANUP(instants_drop) Instants seen;
    instants_init(&seen);
    list_seen(w->work, &seen);
    if (seen.n == 0)
        return true;
    const char *ids = pg_array_end(&seen.ids, err), *at = pg_array_end(&seen.at, err);
    const char *inferred = pg_array_end(&seen.inferred, err);
    TRY(ids && at && inferred);
    return pg_exec(w->pg, SQL_HISTORY_SEEN_ADD,
                   PG_PARAMS(ids, at, w->page->source_system, w->page->entity->name, inferred), NULL, err);
}

bool history_write(Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(writer_drop) Writer w = {.pg = pg, .page = page, .work = page->history};
    buf_init(&w.out, PAGE_MAX_BYTES);
    size_t n_vanished;
    TRY(forget_vanished(&w, &n_vanished, err));
    TRY(remove_old(&w, err) && put_rows(&w, err));
    TRY(w.n_out == 0 || send_rows(&w, err));
    TRY(forget_contradicted(&w, err) && remember_seen(&w, err));
    return page->tells != TELLS_NOW || silver_touch(pg, page, err);
}
