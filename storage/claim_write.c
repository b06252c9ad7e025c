/* claim_write.c - see claim.h: the difference between what is stored of a page's claims and what was decided.
 *
 * Deliveries change places by SQL alone (claims <-> claims_absorbed, the same columns), so that only their
 * order, status, amounts and hashes come here. Rows that stay and merely get another number are updated in
 * place: what settle wrote in them stays. */
#include "sql.h"
#include "base/own.h"
#include "storage/claim_work.h"

#include <stdio.h>

/* ---- a choice of deliveries, and lists of what they have ---- */

typedef bool (*Choice)(const Delivery *d);

static bool is_withdrawn(const Delivery *d) { return claim_was_shown(d) && d->differs; }
static bool is_withdrawn_aside(const Delivery *d) { return d->origin == DELIVERY_STORED_ABSORBED && d->differs; }
static bool is_retired(const Delivery *d) { return claim_was_shown(d) && !claim_is_shown(d) && !d->differs; }
static bool is_renumbered(const Delivery *d) {
    return claim_was_shown(d) && claim_is_shown(d) && !d->differs &&
           (d->iteration != d->was_iteration || d->is_final != d->was_final);
}
static bool steps_aside(const Delivery *d) {
    return is_renumbered(d) && d->iteration != d->was_iteration;
}
static bool is_revived(const Delivery *d) {
    return d->origin == DELIVERY_STORED_ABSORBED && claim_is_shown(d) && !d->differs;
}
static bool wants_key(const Delivery *d) { return claim_is_shown(d) && d->key == 0; }
static bool is_copied(const Delivery *d) { return claim_is_shown(d) && (d->origin == DELIVERY_NEW || d->differs); }
static bool is_copied_aside(const Delivery *d) {
    return d->fate == DELIVERY_ABSORBED && (d->origin == DELIVERY_NEW || d->differs);
}

bool claim_is_news(const Delivery *d) {
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
    CLEANUP(buf_drop) Buf list = pg_array(CLAIM_ARRAY_MAX_BYTES);
    for (size_t i = 0; i < page->claims->n; i++)
        if (choice(&page->claims->deliveries[i]))
            put_part(&list, &page->claims->deliveries[i], part);
    const char *array = pg_array_end(&list, err);
    return array ? arena_string(page->arena, str_of(array)) : NULL;
}

/* ---- the changes ---- */

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

/* ---- the rows that the page brings ---- */

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
    silver_put_row(out, page, &row->record, carried && claim_is_shown(d) ? &carried[d - page->claims->deliveries] : NULL);
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
    return claim_restate_files(pg, page, err);
}
