/* member_links.c - see member_parts.h: what a page's rows name or say besides members of dimensions. */
#include "base/own.h"
#include "sql.h"
#include "storage/member_parts.h"
#include "transform/derive.h"

enum {
    SAMPLE_ROWS = 16, /* of a page's encounters, when it names more than SAMPLE_ABOVE */
    SAMPLE_ABOVE = 500,
};

/* ---- what claims say of transactions ---- */

typedef struct Claimed {
    bool is_named;    /* by a final claim */
    bool is_undenied; /* by one that is not denied */
    bool bears_it;    /* one bears the claim id that the transaction has */
} Claimed;

static void take_claims(const Members *m, SilverPage *page, const PgResult *found, Claimed *claimed) {
    const RowIndex *index = row_index_make(m->scratch, page);
    for (int r = 0; r < pg_rows(found); r++) {
        const SilverRow *row = row_index_find(index, pg_value(found, r, 0));
        if (!row || !member_is_written(row))
            continue;
        Claimed *of = &claimed[row - page->rows];
        Value named = row->record.values[m->claim];
        of->is_named = true;
        of->is_undenied |= !pg_bool(found, r, 2);
        of->bears_it |= named.is_set && str_equal(value_str(named), pg_value(found, r, 1));
    }
}

static void set_status(const Members *m, SilverRow *row, const Claimed *claimed) {
    Value *values = row->record.values;
    bool is_denied = claimed->is_named && !claimed->is_undenied;
    values[m->status] = value_text(derive_transaction_status(values[m->amount], values[m->paid], is_denied));
    if (values[m->claim].is_set && !claimed->bears_it)
        row->record.settle_flags |= 1u << SETTLE_CLAIM_LINK_MISMATCH;
}

bool member_look_at_claims(const Members *m, Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(MEMBER_ARRAY_MAX_BYTES);
    Str *ids = arena_alloc(m->scratch, (page->n_rows + 1) * sizeof *ids);
    size_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (member_is_written(&page->rows[i]))
            ids[n++] = page->rows[i].id;
    str_sort(ids, n);
    pg_array_texts(&list, ids, n);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_MEMBER_CLAIMS, PG_PARAMS(array, m->source_system), err);
    TRY(found);
    Claimed *claimed = ARENA_ARRAY(m->scratch, Claimed, page->n_rows);
    take_claims(m, page, found, claimed);
    for (size_t i = 0; i < page->n_rows; i++)
        if (member_is_written(&page->rows[i]))
            set_status(m, &page->rows[i], &claimed[i]);
    return true;
}

/* ---- encounters ---- */

/* Ids scattered over a large table cost more to look up than the row to write. Of a large page some are
 * asked for, and the others taken to be like most of them; settle checks every one (settle_scope_*). */
bool member_look_at_encounters(const Members *m, Pg *pg, SilverPage *page, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    for (size_t i = 0; i < page->n_rows; i++)
        if (member_is_written(&page->rows[i]) && page->rows[i].record.values[m->encounter].is_set)
            names_add(&list, value_str(page->rows[i].record.values[m->encounter]), VALUE_NULL);
    size_t n_asked = list.n > SAMPLE_ABOVE ? SAMPLE_ROWS : list.n;
    if (n_asked == 0)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(MEMBER_ARRAY_MAX_BYTES);
    const char *array = names_ids(&list, n_asked, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_MEMBER_ENCOUNTERS, PG_PARAMS(array, m->source_system), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        names_find(&list, pg_value(found, r, 0))->answer.is_known = true;
    for (size_t i = n_asked; i < list.n; i++)
        list.names[i].answer.is_known = (size_t)pg_rows(found) * 2 >= n_asked;
    for (size_t i = 0; i < page->n_rows; i++) {
        Value named = member_is_written(&page->rows[i]) ? page->rows[i].record.values[m->encounter] : VALUE_NULL;
        if (named.is_set && !names_find(&list, value_str(named))->answer.is_known)
            page->rows[i].record.settle_flags |= 1u << SETTLE_ORPHAN_ENCOUNTER;
    }
    return true;
}

/* ---- dates ---- */

static bool is_known_day(const Members *m, int64_t day) {
    uint64_t i = (uint64_t)(day - DAYS_FIRST);
    return i < DAYS && m->known_days[i / 64] >> i % 64 & 1;
}

static void remember_day(Members *m, int64_t day) {
    uint64_t i = (uint64_t)(day - DAYS_FIRST);
    if (i < DAYS)
        m->known_days[i / 64] |= UINT64_C(1) << i % 64;
}

static Str date_name(const Value *day) { return (Str){(const char *)&day->number, sizeof day->number}; }

static void gather_dates(const Members *m, const SilverPage *page, NameList *list) {
    for (size_t i = 0; i < page->n_rows; i++)
        for (size_t d = 0; d < m->n_dates && member_is_written(&page->rows[i]); d++) {
            const Value *day = &page->rows[i].record.values[m->dates[d]];
            if (day->is_set && !is_known_day(m, day->number))
                names_add(list, date_name(day), *day);
        }
}

bool member_make_dates(Members *m, Pg *pg, SilverPage *page, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    gather_dates(m, page, &list);
    if (list.n == 0)
        return true;
    CLEANUP(buf_drop) Buf days = pg_array(MEMBER_ARRAY_MAX_BYTES);
    const char *array = names_days(&list, &days, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(pg, PG_BINARY, SQL_MEMBER_DATES, PG_PARAMS(array), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        remember_day(m, list.names[pg_int(found, r, 0) - 1].day.number);
    if ((size_t)pg_rows(found) == list.n)
        return true;
    return member_may_make(m, err) &&
           pg_exec(pg, SQL_MEMBER_MAKE_DATES, PG_PARAMS(array, m->fiscal_month, member_batch(page)), NULL, err);
}

/* ---- how payers are spelled ---- */

/* Another spelling of the same id changes no content: the row is merely touched. */
static bool is_spelled(const SilverRow *row) { return member_is_written(row) || row->fate == ROW_TOUCHED; }

/* Spellings of the page that are not remembered: `ret_rows[n]` is the row that name n stands in. */
static void gather_spellings(const Members *m, const SilverPage *page, int field, NameList *list, size_t *ret_rows) {
    MemberAnswer known;
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (!is_spelled(row) || !row->record.values[m->payer].is_set ||
            member_cache_find(&m->known_spellings, row->fields[field], &known))
            continue;
        size_t n_before = list->n, place = names_add(list, row->fields[field], VALUE_NULL);
        if (list->n > n_before)
            ret_rows[place - 1] = i;
    }
}

bool member_spell_payers(Members *m, Pg *pg, SilverPage *page, int field, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    size_t *rows = ARENA_ARRAY(m->scratch, size_t, page->n_rows);
    gather_spellings(m, page, field, &list, rows);
    if (list.n == 0)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(MEMBER_ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf spellings = pg_array(MEMBER_ARRAY_MAX_BYTES);
    for (size_t i = 0; i < list.n; i++) {
        const SilverRow *row = &page->rows[rows[i]];
        pg_array_text(&ids, value_str(row->record.values[m->payer]));
        pg_array_text(&spellings, mapping_spelling(page->mapping, m->payer, row->fields, m->scratch));
    }
    const char *id_array = pg_array_end(&ids, err), *spelling_array = pg_array_end(&spellings, err);
    TRY(id_array && spelling_array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, SQL_MEMBER_SPELLED, PG_PARAMS(id_array, spelling_array, m->source_system), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        member_cache_put(&m->known_spellings, list.names[pg_int(found, r, 0) - 1].id, &(MemberAnswer){.is_known = true});
    if ((size_t)pg_rows(found) == list.n)
        return true;
    /* also such as only a delivery names that does not show: whether it ever did hangs on the order */
    return member_may_make(m, err) &&
           pg_exec(pg, SQL_MEMBER_MAKE_PAYERS, PG_PARAMS(id_array, m->source_system, member_batch(page)), NULL, err) &&
           pg_exec(pg, SQL_MEMBER_SPELL, PG_PARAMS(id_array, spelling_array, m->source_system, member_batch(page)), NULL, err);
}
