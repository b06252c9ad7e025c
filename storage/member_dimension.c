/* member_dimension.c - see member_parts.h: the keys of those whom a page's rows name. One table of dimensions; each is asked
 * once a page for what is not remembered. */
#include "base/own.h"
#include "sql.h"
#include "storage/member_parts.h"
#include "storage/silver_row.h"
#include "transform/derive.h"

#include <stdlib.h>

enum {
    UNKNOWN_KEY = -1, /* the member for facts that name nothing */
    ABSENT_PAGES = 8, /* so long a name that is nobody's is not asked for again */
    ABSENT_MOST = 4096,
    WARM_AT_ONCE = 4, /* of SQL_MEMBER_WARM's pages, with each page, while many patients are expected */
};

/* In the order in which missing ones are made: every page goes by it, so that two never wait in a circle. */
static const Dimension DIMENSIONS[MEMBER_DIMENSIONS] = {
    {"source_patient_id", "patient_key", SQL_MEMBER_PATIENTS, NULL, SETTLE_ORPHAN_PATIENT},
    {"source_provider_id", "provider_key", SQL_MEMBER_PROVIDERS, NULL, SETTLE_ORPHAN_PROVIDER},
    {"source_department_id", "department_key", SQL_MEMBER_DEPARTMENTS, NULL, SETTLE_ORPHAN_DEPARTMENT},
    {"source_payer_id", "payer_key", SQL_MEMBER_PAYERS, SQL_MEMBER_MAKE_PAYERS, SETTLE_FLAGS},
    {"procedure_code", "procedure_key", SQL_MEMBER_PROCEDURES, SQL_MEMBER_MAKE_PROCEDURES, SETTLE_FLAGS},
    {"diagnosis_code", "diagnosis_key", SQL_MEMBER_DIAGNOSES, SQL_MEMBER_MAKE_DIAGNOSES, SETTLE_FLAGS},
};

void member_bind_dimensions(Members *m) {
    m->patient = -1;
    for (size_t i = 0; i < MEMBER_DIMENSIONS; i++) {
        Bound bound = {.dimension = &DIMENSIONS[i],
                       .reference = entity_column(m->entity, str_of(DIMENSIONS[i].reference)),
                       .key = entity_column(m->entity, str_of(DIMENSIONS[i].key))};
        bool is_settles = bound.key != COLUMN_NONE && m->entity->columns[bound.key].role == ROLE_SETTLE;
        if (bound.reference == COLUMN_NONE || !is_settles)
            continue;
        if (DIMENSIONS[i].orphan == SETTLE_ORPHAN_PATIENT)
            m->patient = (int)m->n_bounds;
        m->bounds[m->n_bounds++] = bound;
    }
}

static void forget_absent(Bound *bound) {
    member_cache_empty(&bound->absent);
    bound->absent_pages = 0;
}

void member_forget(Members *m) {
    for (size_t i = 0; i < m->n_bounds; i++) {
        member_cache_empty(&m->bounds[i].cache);
        forget_absent(&m->bounds[i]);
    }
    buf_clear(&m->warm_to);
    if (m->expects_many && m->warmth == WARM)
        m->warmth = COLD;
}

/* ---- keys ---- */

static Value column_value(const SilverRow *row, int column) {
    return column == COLUMN_NONE ? VALUE_NULL : row->record.values[column];
}

static Value day_of(const Members *m, const SilverRow *row) {
    Value day = column_value(row, m->day);
    return day.is_set ? day : column_value(row, m->day_else);
}

static MemberAnswer take_answer(const PgResult *found, int row) {
    return (MemberAnswer){
        .is_known = true,
        .key = pg_int(found, row, 1),
        .is_only = pg_bool(found, row, 2),
        .is_inferred = pg_bool(found, row, 3),
        .has_birth = !str_is_null(pg_value(found, row, 4)),
        .birth_days = (int32_t)pg_int(found, row, 4) + PG_EPOCH_DAYS,
    };
}

static int compare_names(const void *a, const void *b) {
    return str_compare((*(Name *const *)a)->id, (*(Name *const *)b)->id);
}

/* In the order of ids: 2,500 neighbours in the index take 16 ms where scattered ones take 26. */
static Name **sort_names(const NameList *list) {
    Name **sorted = arena_alloc(list->arena, list->n * sizeof *sorted);
    for (size_t i = 0; i < list->n; i++)
        sorted[i] = &list->names[i];
    qsort(sorted, list->n, sizeof *sorted, compare_names);
    return sorted;
}

static bool ask(const Members *m, Pg *pg, const Dimension *dimension, NameList *list, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(MEMBER_ARRAY_MAX_BYTES);
    CLEANUP(buf_drop) Buf days = pg_array(MEMBER_ARRAY_MAX_BYTES);
    Name **names = sort_names(list);
    for (size_t i = 0; i < list->n; i++) {
        pg_array_text(&ids, names[i]->id);
        silver_put_day(&days, names[i]->day);
    }
    const char *id_array = pg_array_end(&ids, err), *day_array = pg_array_end(&days, err);
    TRY(id_array && day_array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(
        pg, PG_BINARY, dimension->look_up, PG_PARAMS(id_array, day_array, m->source_system), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        names[pg_int(found, r, 0) - 1]->answer = take_answer(found, r);
    return true;
}

/* Makes the members that nobody named before, and asks for their keys. */
static bool make_missing(const Members *m, Pg *pg, const SilverPage *page, const Dimension *dimension,
                         NameList *list, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(MEMBER_ARRAY_MAX_BYTES);
    size_t n_missing = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!list->names[i].answer.is_known) {
            pg_array_text(&ids, list->names[i].id);
            n_missing++;
        }
    if (n_missing == 0)
        return true;
    const char *array = pg_array_end(&ids, err);
    TRY(member_may_make(m, err) && array);
    TRY(pg_exec(pg, dimension->make, PG_PARAMS(array, m->source_system, member_batch(page)), NULL, err));
    return ask(m, pg, dimension, list, err);
}

static bool is_remembered(const Bound *bound, Str name, MemberAnswer *ret_answer) {
    MemberAnswer ignored;
    return member_cache_find(&bound->cache, name, ret_answer) || member_cache_find(&bound->absent, name, &ignored);
}

/* Names of the page that are not remembered; `waits[i]`: the place of the one that row i waits for, or 0. */
static void gather(const Members *m, const Bound *bound, SilverPage *page, MemberAnswer *answers, uint32_t *waits,
                   NameList *list) {
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        Value named = member_is_written(row) ? row->record.values[bound->reference] : VALUE_NULL;
        if (!named.is_set)
            continue;
        if (!is_remembered(bound, value_str(named), &answers[i]))
            waits[i] = names_add(list, value_str(named), day_of(m, row));
    }
}

static void fill_in(const Bound *bound, SilverPage *page, const MemberAnswer *answers) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (!member_is_written(row))
            continue;
        Value *key = &row->record.values[bound->key];
        *key = VALUE_NULL;
        if (!row->record.values[bound->reference].is_set)
            *key = value_number(UNKNOWN_KEY);
        else if (answers[i].is_known)
            *key = value_number(answers[i].key);
        if (answers[i].is_inferred && bound->dimension->orphan != SETTLE_FLAGS)
            row->record.settle_flags |= 1u << bound->dimension->orphan;
    }
}

static void remember(Bound *bound, const NameList *list) {
    for (size_t i = 0; i < list->n; i++) {
        const Name *name = &list->names[i];
        if (name->answer.is_known && name->answer.is_only)
            member_cache_put(&bound->cache, name->id, &name->answer);
        else if (!name->answer.is_known && !bound->dimension->make && bound->absent.n_used < ABSENT_MOST)
            member_cache_put(&bound->absent, name->id, &name->answer);
    }
}

/* What this page itself makes is not remembered: it may yet be rolled back. */
static bool resolve(Members *m, Bound *bound, Pg *pg, SilverPage *page, MemberAnswer **ret_answers, Error *err) {
    NameList list;
    MemberAnswer *answers = ARENA_ARRAY(m->scratch, MemberAnswer, page->n_rows);
    uint32_t *waits = ARENA_ARRAY(m->scratch, uint32_t, page->n_rows);
    if (bound->absent_pages == ABSENT_PAGES)
        forget_absent(bound);
    bound->absent_pages++;
    names_init(&list, m->scratch);
    gather(m, bound, page, answers, waits, &list);
    if (list.n > 0) {
        TRY(ask(m, pg, bound->dimension, &list, err));
        remember(bound, &list);
        if (bound->dimension->make)
            TRY(make_missing(m, pg, page, bound->dimension, &list, err));
    }
    for (size_t i = 0; i < page->n_rows; i++)
        if (waits[i])
            answers[i] = list.names[waits[i] - 1].answer;
    fill_in(bound, page, answers);
    *ret_answers = answers;
    return true;
}

/* ---- ages ---- */

static void set_ages(const Members *m, SilverPage *page, const MemberAnswer *patients) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (!member_is_written(row) || !patients[i].has_birth)
            continue;
        bool is_out_of_range = false;
        row->record.values[m->age] = derive_age(value_number(patients[i].birth_days),
                                                row->record.values[m->service_date], &is_out_of_range);
        if (is_out_of_range)
            row->record.settle_flags |= 1u << SETTLE_AGE_OUT_OF_RANGE;
    }
}

bool member_resolve_dimension(Members *m, size_t i, Pg *pg, SilverPage *page, Error *err) {
    MemberAnswer *answers;
    TRY(resolve(m, &m->bounds[i], pg, page, &answers, err));
    if ((int)i == m->patient && m->age != COLUMN_NONE)
        set_ages(m, page, answers);
    return true;
}

/* ---- patients, ahead ---- */

/* The next patients behind `warm_to`. Other threads have their turn while PostgreSQL answers. */
static bool warm_more(Members *m, Pg *pg, Arena *arena, Error *err) {
    MemberCache *cache = &m->bounds[m->patient].cache;
    const char *behind = arena_string(arena, buf_str(&m->warm_to));
    pthread_mutex_unlock(&m->mutex);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_MEMBER_WARM, PG_PARAMS(m->source_system, behind), err);
    pthread_mutex_lock(&m->mutex);
    TRY(found);
    int n = pg_rows(found);
    for (int r = 0; r < n; r++) {
        MemberAnswer answer = take_answer(found, r);
        member_cache_put(cache, pg_value(found, r, 0), &answer);
    }
    buf_clear(&m->warm_to);
    if (n > 0)
        buf_put_str(&m->warm_to, pg_value(found, n - 1, 0));
    m->warmth = n > 0 && cache->n_used < MEMBER_CACHE_MAX / 8 * 7 ? COLD : WARM;
    return true;
}

/* Not what another thread is reading. */
static bool warm(Members *m, Pg *pg, int n_at_once, Arena *arena, Error *err) {
    bool ok = true;
    if (m->warmth == WARMING)
        return true;
    for (int i = 0; i < n_at_once && ok && m->warmth != WARM; i++) {
        m->warmth = WARMING;
        ok = warm_more(m, pg, arena, err);
    }
    m->warmth = m->warmth == WARMING ? COLD : m->warmth;
    return ok;
}

/* Patients one by one would cost a first load a tenth of its time, and a large file 15 ms a page. They are read some with each
 * page, that no page stands still for all of them, from the second on: what comes in one page names few. Where the cache is
 * full the others are asked for as they come. */
bool member_warm(Members *m, Pg *pg, Arena *arena, Error *err) {
    return m->n_pages++ == 0 || warm(m, pg, WARM_AT_ONCE, arena, err);
}

bool members_read_ahead(Members *m, Pg *pg, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    pthread_mutex_lock(&m->mutex);
    bool ok = m->warmth != COLD || (member_check_change(m, pg, err) && warm(m, pg, 1, arena, err));
    pthread_mutex_unlock(&m->mutex);
    return ok;
}

bool members_are_to_read(Members *m) {
    pthread_mutex_lock(&m->mutex);
    bool are = m->warmth == COLD;
    pthread_mutex_unlock(&m->mutex);
    return are;
}
