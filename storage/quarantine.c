/* quarantine.c - see quarantine.h. */
#include "storage/quarantine.h"

#include "base/own.h"
#include "sql.h"
#include "storage/bronze.h"
#include "storage/held_claims.h"
#include "storage/held_contents.h"
#include "storage/spelling.h"

#include <stdio.h>
#include <unistr.h>

enum { PAGE_MAX_BYTES = 256 << 20 };

static void hold(SilverRow *row, const PgResult *found, int r) {
    row->held.is_found = true;
    row->held.source_hash = pg_int(found, r, 1);
    row->held.mapping_version = (int32_t)pg_int(found, r, 2);
    row->held.was_refused = pg_bool(found, r, 3);
    row->held.is_dismissed = pg_bool(found, r, 4);
}

/* Every row of that content, for several may have it; one whose id can be read now is not held by it. */
static void hold_content(SilverPage *page, const PgResult *found, int r) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (row->source_hash != pg_int(found, r, 1))
            continue;
        row->held.lacked_id = true;
        row->held.is_dismissed = pg_bool(found, r, 4);
        if (str_is_null(row->id))
            hold(row, found, r);
    }
}

static void take_held(SilverPage *page, const PgResult *found) {
    const RowIndex *index = row_index_make(page->arena, page);
    for (int r = 0; r < pg_rows(found); r++) {
        Str id = pg_value(found, r, 0);
        SilverRow *row = str_is_null(id) ? NULL : row_index_find(index, id);
        if (str_is_null(id))
            hold_content(page, found, r);
        else if (row)
            hold(row, found, r);
    }
}

typedef struct Entries {
    bool any;
    bool without_id;
} Entries;

static bool find_entries(Pg *pg, const char *feed, Entries *ret_entries, Error *err) {
    CLEANUP(pg_result_drop) PgResult *any = pg_query(pg, SQL_QUARANTINE_ANY, PG_PARAMS(feed), err);
    TRY(any);
    *ret_entries = (Entries){.any = pg_bool(any, 0, 0), .without_id = pg_bool(any, 0, 1)};
    return true;
}

/* Each row is an entry by itself, or each content of a file: none is in the way of another. */
static bool is_of_claims(const SilverPage *page) { return page->entity->kind == ENTITY_CLAIM; }

static bool look_up(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    Entries entries;
    TRY(find_entries(pg, feed, &entries, err));
    if (!entries.any)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf hashes = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (entries.without_id)
            pg_array_int(&hashes, page->rows[i].source_hash);
        if (!str_is_null(page->rows[i].id))
            pg_array_text(&ids, page->rows[i].id);
    }
    const char *id_array = pg_array_end(&ids, err), *hash_array = pg_array_end(&hashes, err);
    TRY(id_array && hash_array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_QUARANTINE_LOOK_UP, PG_PARAMS(feed, id_array, hash_array, page->source_system, RULE_ROW_REFUSED), err);
    TRY(found);
    take_held(page, found);
    return true;
}

bool quarantine_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err) {
    return (is_of_claims(page) ? held_claims_look_up : look_up)(pg, feed, page, err);
}

/* A field as JSON text can hold it: as it is, or with the bytes that no text holds escaped. */
static void put_field(Buf *array, Buf *scratch, Str field) {
    bool fits = str_is_null(field) || (!memchr(field.at, 0, field.size) &&
                                       !u8_check((const uint8_t *)field.at, field.size));
    if (!fits) {
        buf_clear(scratch);
        bronze_pack(scratch, &field, 1);
        field = buf_str(scratch);
    }
    pg_array_text(array, field);
}

/* When the row says that it was changed; NULL: it does not. */
static const char *modified_text(const SilverPage *page, const SilverRow *row) {
    int column = page->system.modified_at;
    bool is_told = row->record.values && column != COLUMN_NONE && row->record.values[column].is_set;
    return is_told ? arena_string(page->arena, str_of(pg_number(row->record.values[column].number).text)) : NULL;
}

/* What the contents of claims are ordered by; NULL: its file has none, or it has an id. */
static const char *period_text(const SilverPage *page, const SilverRow *row) {
    Str period = silver_row_file(page, row).period;
    return is_of_claims(page) && str_is_null(row->id) && period.size > 0 ? arena_string(page->arena, period) : NULL;
}

/* When a person dismissed what a row of claims says: asked with its entry, or known; NULL: nobody did. */
typedef struct Dismissed {
    bool is_known;
    const char *at;
} Dismissed;

static bool insert_entry(Pg *pg, const char *feed, const char *names, size_t n_columns,
                         const SilverPage *page, const SilverRow *row, Dismissed dismissed, Error *err) {
    CLEANUP(buf_drop) Buf values = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf scratch;
    buf_init(&scratch, PAGE_MAX_BYTES);
    for (size_t i = 0; i < n_columns; i++)
        put_field(&values, &scratch, row->fields[i]);
    const char *array = pg_array_end(&values, err);
    TRY(array);
    char file[24], line[24], hash[24], version[24], batch[24];
    int64_t file_id = silver_row_file(page, row).file_id;
    snprintf(file, sizeof file, "%lld", (long long)file_id);
    snprintf(line, sizeof line, "%lld", (long long)row->line);
    snprintf(hash, sizeof hash, "%lld", (long long)row->source_hash);
    snprintf(version, sizeof version, "%d", page->mapping_version);
    snprintf(batch, sizeof batch, "%lld", (long long)page->batch_id);
    const char *id = str_is_null(row->id) ? NULL : arena_string(page->arena, row->id);
    CLEANUP(held_further_drop) HeldFurther further = held_contents_further(row, err);
    TRY(!buf_overflowed(&further.lines));
    return pg_exec(pg, SQL_QUARANTINE_INSERT,
                   PG_PARAMS(feed, page->source_system, id, names, array, row->record.reject_rule,
                             row->record.reject_reason, file_id ? file : NULL,
                             row->line ? line : NULL, hash, version, batch, modified_text(page, row),
                             is_of_claims(page) ? "superseded" : "open", period_text(page, row),
                             further.n.text, further.text, dismissed.is_known ? "true" : "false", dismissed.at), NULL, err);
}

/* Entries that become history: those of these ids, and those without an id of this content. */
typedef struct Outdated {
    Buf ids, hashes;
} Outdated;

static void outdated_drop(Outdated *outdated) {
    buf_done(&outdated->ids);
    buf_done(&outdated->hashes);
}

static void outdated_init(Outdated *outdated) {
    outdated->ids = pg_array(PAGE_MAX_BYTES);
    outdated->hashes = pg_array(PAGE_MAX_BYTES);
}

static bool supersede_outdated(Pg *pg, const char *feed, const SilverPage *page, Outdated *outdated,
                               Error *err) {
    if (outdated->ids.size == 1 && outdated->hashes.size == 1)
        return true;
    const char *ids = pg_array_end(&outdated->ids, err), *hashes = pg_array_end(&outdated->hashes, err);
    TRY(ids && hashes);
    return pg_exec(pg, SQL_QUARANTINE_SUPERSEDE, PG_PARAMS(feed, ids, page->source_system, hashes), NULL, err);
}

/* Every row with an entry and something new to it: the entry is history, whatever becomes of the row. */
static bool supersede(Pg *pg, const char *feed, const SilverPage *page, Error *err) {
    CLEANUP(outdated_drop) Outdated outdated;
    outdated_init(&outdated);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate == ROW_SAME)
            continue;
        if (row->held.is_found && !str_is_null(row->id))
            pg_array_text(&outdated.ids, row->id);
        if (row->held.lacked_id)
            pg_array_int(&outdated.hashes, row->source_hash);
    }
    return supersede_outdated(pg, feed, page, &outdated, err);
}

bool quarantine_withdraw(Pg *pg, const char *feed, const SilverPage *page, int64_t *ret_n, Error *err) {
    const FormerReading *former = page->former;
    CLEANUP(buf_drop) Buf files = pg_array(PAGE_MAX_BYTES), lines = pg_array(PAGE_MAX_BYTES), hashes = pg_array(PAGE_MAX_BYTES);
    pg_array_ints(&files, former->file_ids, former->n);
    for (size_t i = 0; i < page->n_rows; i++) {
        pg_array_int(&lines, page->rows[i].line);
        pg_array_int(&hashes, page->rows[i].source_hash);
    }
    const char *file_array = pg_array_end(&files, err), *line_array = pg_array_end(&lines, err);
    const char *hash_array = pg_array_end(&hashes, err);
    TRY(file_array && line_array && hash_array);
    CLEANUP(content_list_drop) ContentList contents = content_list_make();
    CLEANUP(pg_result_drop) PgResult *ended = pg_query(
        pg, SQL_QUARANTINE_WITHDRAW, PG_PARAMS(file_array, pg_number(former->first_line).text, pg_number(former->end_line).text,
        line_array, hash_array, silver_period(page), feed), err);
    TRY(ended);
    *ret_n = pg_rows(ended);
    content_list_add_rows(&contents, ended);
    return held_contents_decide(pg, &contents, err);
}

/* ---- cleaned again ---- */

typedef struct HeldList {
    Buf keys, hashes, rules, reasons, entries;
    size_t n;
} HeldList;

static void held_list_init(HeldList *list) {
    *list = (HeldList){.keys = pg_array(PAGE_MAX_BYTES), .hashes = pg_array(PAGE_MAX_BYTES),
                       .rules = pg_array(PAGE_MAX_BYTES), .reasons = pg_array(PAGE_MAX_BYTES),
                       .entries = pg_array(PAGE_MAX_BYTES)};
}

static void held_list_drop(HeldList *list) {
    buf_done(&list->keys);
    buf_done(&list->hashes);
    buf_done(&list->rules);
    buf_done(&list->reasons);
    buf_done(&list->entries);
}

static void held_list_add(HeldList *list, const SilverRow *row) {
    pg_array_text(&list->keys, row->held.lacked_id ? STR_NULL : row->id);
    pg_array_int(&list->hashes, row->source_hash);
    pg_array_text(&list->rules, str_of(row->record.reject_rule));
    pg_array_text(&list->reasons, str_of(row->record.reject_reason));
    list->n++;
}

static bool replay(Pg *pg, const char *feed, const SilverPage *page, HeldList *list, int64_t *ret_n, Error *err) {
    const char *keys = pg_array_end(&list->keys, err), *hashes = pg_array_end(&list->hashes, err);
    TRY(keys && hashes);
    return list->n == 0 || pg_exec(pg, SQL_QUARANTINE_REPLAYED, PG_PARAMS(feed, page->source_system, keys, hashes),
                                   ret_n, err);
}

static bool confirm(Pg *pg, const char *feed, const SilverPage *page, HeldList *list, int64_t *ret_n, Error *err) {
    const char *keys = pg_array_end(&list->keys, err), *hashes = pg_array_end(&list->hashes, err);
    const char *rules = pg_array_end(&list->rules, err), *reasons = pg_array_end(&list->reasons, err);
    TRY(keys && hashes && rules && reasons);
    const char *version = arena_printf(page->arena, "%d", page->mapping_version);
    return list->n == 0 || pg_exec(pg, SQL_QUARANTINE_CONFIRM, PG_PARAMS(feed, page->source_system, keys, hashes,
                                                                         rules, reasons, version), ret_n, err);
}

bool quarantine_again(Pg *pg, const char *feed, SilverPage *page, int64_t *ret_n, Error *err) {
    CLEANUP(held_list_drop) HeldList usable;
    CLEANUP(held_list_drop) HeldList unusable;
    held_list_init(&usable);
    held_list_init(&unusable);
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        bool is_it = (row->held.is_found && row->held.source_hash == row->source_hash) || row->held.lacked_id;
        if (!is_it || row->fate == ROW_REPEATED)
            continue;
        if (!row->record.reject_rule)
            held_list_add(&usable, row);
        else if (row->held.mapping_version != page->mapping_version || row->held.lacked_id)
            held_list_add(&unusable, row);
        row->held = (Held){.is_found = false};
    }
    int64_t n_usable = 0, n_unusable = 0;
    TRY(replay(pg, feed, page, &usable, &n_usable, err) && confirm(pg, feed, page, &unusable, &n_unusable, err));
    *ret_n = n_usable + n_unusable;
    return true;
}

bool quarantine_end(Pg *pg, const int64_t *entries, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    pg_array_ints(&ids, entries, n);
    const char *array = pg_array_end(&ids, err);
    return array && (n == 0 || pg_exec(pg, SQL_QUARANTINE_END, PG_PARAMS(array), NULL, err));
}

bool quarantine_renew(Pg *pg, const SilverPage *page, const int64_t *entries, Error *err) {
    CLEANUP(held_list_drop) HeldList list;
    CLEANUP(buf_drop) Buf times = pg_array(PAGE_MAX_BYTES);
    held_list_init(&list);
    for (size_t i = 0; i < page->n_rows; i++) {
        if (entries[i] == 0)
            continue;
        held_list_add(&list, &page->rows[i]);
        pg_array_int(&list.entries, entries[i]);
        pg_array_text(&times, str_of(modified_text(page, &page->rows[i])));
    }
    const char *ids = pg_array_end(&list.entries, err), *rules = pg_array_end(&list.rules, err);
    const char *reasons = pg_array_end(&list.reasons, err), *time_array = pg_array_end(&times, err);
    TRY(ids && rules && reasons && time_array);
    return list.n == 0 || pg_exec(pg, SQL_QUARANTINE_RENEW,
                                  PG_PARAMS(ids, rules, reasons, pg_number(page->mapping_version).text, time_array), NULL, err);
}

/* ---- a person's decisions ---- */

bool quarantine_ask(Pg *pg, const QuarantineChoice *choice, Arena *arena, QuarantineAsked **ret_asked, size_t *ret_n,
                    Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_QUARANTINE_ASK, PG_PARAMS(choice->feed, choice->rule, choice->file_id, choice->ids, RULE_KEY_COLLISION,
                                                   choice->never), err);
    TRY(rows);
    *ret_n = (size_t)pg_rows(rows);
    *ret_asked = ARENA_ARRAY(arena, QuarantineAsked, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++)
        (*ret_asked)[i] = (QuarantineAsked){arena_string(arena, pg_value(rows, (int)i, 0)), pg_int(rows, (int)i, 1)};
    return true;
}

bool quarantine_dismiss(Pg *pg, int64_t entry, Arena *arena, const char **ret_state, Error *err) {
    const char *id = arena_printf(arena, "%lld", (long long)entry);
    TRY(pg_exec(pg, SQL_QUARANTINE_DISMISS, PG_PARAMS(id), NULL, err));
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_QUARANTINE_STATE, PG_PARAMS(id), err);
    TRY(row);
    *ret_state = pg_rows(row) > 0 ? arena_string(arena, pg_value(row, 0, 0)) : NULL;
    return true;
}

/* ---- writing ---- */

/* A row without an id is known by its content: the same content once more adds nothing. */
static bool has_entry_by_now(const SilverPage *page, size_t i) {
    if (!str_is_null(page->rows[i].id) || is_of_claims(page))
        return page->rows[i].held.is_repeat;
    for (size_t j = 0; j < i; j++)
        if (page->rows[j].fate == ROW_REJECTED && str_is_null(page->rows[j].id) &&
            page->rows[j].source_hash == page->rows[i].source_hash)
            return true;
    return false;
}

static const char *names_of(const Field *columns, size_t n_columns, Buf *names, Error *err) {
    for (size_t i = 0; i < n_columns; i++)
        pg_array_text(names, str_of(columns[i].name));
    return pg_array_end(names, err);
}

bool quarantine_add(Pg *pg, const char *feed, const Field *columns, size_t n_columns, const SilverPage *page,
                    const SilverRow *row, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(PAGE_MAX_BYTES);
    const char *array = names_of(columns, n_columns, &names, err);
    return array && insert_entry(pg, feed, array, n_columns, page, row, (Dismissed){.is_known = false}, err);
}

static bool becomes_entry(const SilverPage *page, size_t i) {
    return page->rows[i].fate == ROW_REJECTED && !has_entry_by_now(page, i);
}

/* Of all entries of a page at once: PostgreSQL plans the function anew for every statement that calls it. */
static bool look_up_dismissed(Pg *pg, const char *feed, const SilverPage *page, Dismissed *ret_dismissed, Error *err) {
    CLEANUP(buf_drop) Buf rows = pg_array(PAGE_MAX_BYTES), ids = pg_array(PAGE_MAX_BYTES), hashes = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++)
        if (becomes_entry(page, i)) {
            ret_dismissed[i].is_known = true;
            pg_array_int(&rows, (int64_t)i);
            pg_array_text(&ids, page->rows[i].id);
            pg_array_int(&hashes, page->rows[i].source_hash);
        }
    const char *row_array = pg_array_end(&rows, err), *id_array = pg_array_end(&ids, err);
    const char *hash_array = pg_array_end(&hashes, err);
    TRY(row_array && id_array && hash_array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query(pg, SQL_QUARANTINE_DISMISSED, PG_PARAMS(feed, page->source_system, row_array, id_array, hash_array), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        ret_dismissed[pg_int(found, r, 0)].at = arena_string(page->arena, pg_value(found, r, 1));
    return true;
}

static bool insert_entries(Pg *pg, const char *feed, const Field *columns, size_t n_columns, const SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf names = pg_array(PAGE_MAX_BYTES);
    const char *array = names_of(columns, n_columns, &names, err);
    TRY(array);
    Dismissed *dismissed = ARENA_ARRAY(page->arena, Dismissed, page->n_rows);
    TRY(!is_of_claims(page) || look_up_dismissed(pg, feed, page, dismissed, err));
    for (size_t i = 0; i < page->n_rows; i++)
        if (becomes_entry(page, i))
            TRY(insert_entry(pg, feed, array, n_columns, page, &page->rows[i], dismissed[i], err));
    return true;
}

bool quarantine_write(Pg *pg, const char *feed, const Field *columns, size_t n_columns,
                      const SilverPage *page, Error *err) {
    TRY(is_of_claims(page) ? held_claims_withdraw(pg, page, err) : supersede(pg, feed, page, err));
    return silver_count(page, ROW_REJECTED) == 0 || insert_entries(pg, feed, columns, n_columns, page, err);
}
