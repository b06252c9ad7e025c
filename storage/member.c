/* member.c - see member.h. One table of dimensions; each is asked once a page for what is not remembered. */
#include "storage/member.h"

#include "base/own.h"
#include "sql.h"
#include "storage/member_cache.h"
#include "storage/silver_row.h"
#include "transform/derive.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    PAGE_MAX_BYTES = 256 << 20,
    NAMES_MIN = 256,
    SAMPLE_ROWS = 16,   /* of a page's encounters, when it names more than SAMPLE_ABOVE */
    SAMPLE_ABOVE = 500,
    UNKNOWN_KEY = -1, /* the member for facts that name nothing */
    DAYS_FIRST = -719162, DAYS = 3652059, /* that there are: years 1 to 9999 (date.h) */
    ABSENT_PAGES = 8, /* so long a name that is nobody's is not asked for again */
    ABSENT_MOST = 4096,
    WARM_AT_ONCE = 4, /* of SQL_MEMBER_WARM's pages, with each page of a first load */
};

/* ---- the dimensions ---- */

typedef struct Dimension {
    const char *reference; /* the column that names a member */
    const char *key;       /* settle's column for it */
    const char *look_up;
    const char *make; /* for what a fact alone makes; NULL: settle infers it */
    SettleFlag orphan; /* set while the member is inferred; SETTLE_FLAGS: none */
} Dimension;

/* In the order in which missing ones are made: every page goes by it, so that two never wait in a circle. */
static const Dimension DIMENSIONS[] = {
    {"source_patient_id", "patient_key", SQL_MEMBER_PATIENTS, NULL, SETTLE_ORPHAN_PATIENT},
    {"source_provider_id", "provider_key", SQL_MEMBER_PROVIDERS, NULL, SETTLE_ORPHAN_PROVIDER},
    {"source_department_id", "department_key", SQL_MEMBER_DEPARTMENTS, NULL, SETTLE_ORPHAN_DEPARTMENT},
    {"source_payer_id", "payer_key", SQL_MEMBER_PAYERS, SQL_MEMBER_MAKE_PAYERS, SETTLE_FLAGS},
    {"procedure_code", "procedure_key", SQL_MEMBER_PROCEDURES, SQL_MEMBER_MAKE_PROCEDURES, SETTLE_FLAGS},
    {"diagnosis_code", "diagnosis_key", SQL_MEMBER_DIAGNOSES, SQL_MEMBER_MAKE_DIAGNOSES, SETTLE_FLAGS},
};
enum { N_DIMENSIONS = sizeof DIMENSIONS / sizeof *DIMENSIONS };

/* A dimension that the entity's rows name. */
typedef struct Bound {
    const Dimension *dimension;
    int reference, key; /* columns */
    MemberCache cache;
    MemberCache absent; /* names that were nobody's, of the last pages: who comes meanwhile is found by settle */
    int absent_pages;
} Bound;

struct Members {
    pthread_mutex_t mutex; /* while a page is resolved */
    MembersWay way;        /* of that page */
    const Entity *entity;
    const char *source_system;
    char fiscal_month[12];
    Bound bounds[N_DIMENSIONS];
    size_t n_bounds;
    int day, day_else; /* the columns that say which version counts */
    int patient;       /* index into bounds of the patient, or -1 */
    int encounter;     /* column that names an encounter, or COLUMN_NONE */
    int claim;         /* column of the claim a transaction names, or COLUMN_NONE */
    int payer;         /* column that names a payer, or COLUMN_NONE */
    int age, status, amount, paid, service_date;
    int dates[ENTITY_COLUMNS_MAX];
    size_t n_dates;
    uint64_t known_days[DAYS / 64 + 1]; /* a bit for each that the calendar has; memory for those of use alone, from calloc() */
    MemberCache known_spellings; /* of payers */
    enum { WARM, COLD, WARMING } warmth; /* COLD: a first load that has not read all patients; WARMING: a thread reads some */
    Buf warm_to;                         /* the last id of those that it has */
    size_t n_pages; /* of which something was written */
    int64_t change; /* ops.member_change when the caches were empty */
    Arena *scratch; /* of one question; empty between them */
};

static void bind_dimensions(Members *m) {
    m->patient = -1;
    for (size_t i = 0; i < N_DIMENSIONS; i++) {
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

/* A reference to a fact: a column of that name which is not the row's own id. */
static int fact_reference(const Entity *entity, const char *name) {
    int index = entity_column(entity, str_of(name));
    return index != COLUMN_NONE && entity->columns[index].role == ROLE_ATTRIBUTE ? index : COLUMN_NONE;
}

static void bind_columns(Members *m) {
    const Entity *entity = m->entity;
    int encounter_date = entity_column(entity, STR("encounter_date"));
    m->service_date = entity_column(entity, STR("service_date"));
    m->day = encounter_date != COLUMN_NONE ? encounter_date : m->service_date;
    m->day_else = entity_column(entity, STR("claim_date"));
    m->encounter = fact_reference(entity, "source_encounter_id");
    m->payer = fact_reference(entity, "source_payer_id");
    m->age = entity_column(entity, STR("patient_age"));
    m->claim = m->age != COLUMN_NONE ? fact_reference(entity, "source_claim_id") : COLUMN_NONE;
    m->status = entity_column(entity, STR("payment_status"));
    m->amount = entity_column(entity, STR("amount"));
    m->paid = entity_column(entity, STR("paid_amount"));
    for (int i = 0; i < entity->n_columns; i++)
        if (entity->columns[i].type == TYPE_DATE && entity->columns[i].role == ROLE_ATTRIBUTE)
            m->dates[m->n_dates++] = i;
}

Members *members_open(const Entity *entity, const char *source_system, int fiscal_year_start_month,
                      bool is_first_load) {
    Members *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    pthread_mutex_init(&m->mutex, NULL);
    m->entity = entity;
    m->source_system = source_system;
    m->scratch = arena_open();
    buf_init(&m->warm_to, PAGE_MAX_BYTES); /* an index holds longer ids than its pages, where they can be pressed */
    snprintf(m->fiscal_month, sizeof m->fiscal_month, "%d", fiscal_year_start_month);
    bind_dimensions(m);
    bind_columns(m);
    m->warmth = is_first_load && m->patient >= 0 ? COLD : WARM;
    return m;
}

static void forget_absent(Bound *bound) {
    member_cache_empty(&bound->absent);
    bound->absent_pages = 0;
}

static void forget(Members *m) {
    for (size_t i = 0; i < m->n_bounds; i++) {
        member_cache_empty(&m->bounds[i].cache);
        forget_absent(&m->bounds[i]);
    }
}

void members_free(Members *m) {
    if (!m)
        return;
    forget(m);
    member_cache_empty(&m->known_spellings);
    buf_done(&m->warm_to);
    arena_free(m->scratch);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

/* ---- names to ask for, each once ---- */

typedef struct Name {
    Str id;
    Value day;
    MemberAnswer answer;
} Name;

typedef struct NameList {
    Arena *arena;
    Name *names;
    size_t n, mask;  /* half of the slots have a name at most */
    uint32_t *slots; /* index into names + 1; 0: free */
} NameList;

static void names_init(NameList *list, Arena *arena) {
    *list = (NameList){.arena = arena, .names = arena_alloc(arena, NAMES_MIN / 2 * sizeof(Name)),
                       .mask = NAMES_MIN - 1, .slots = ARENA_ARRAY(arena, uint32_t, NAMES_MIN)};
}

static bool same_name(const Name *name, Str id, Value day) {
    return str_equal(name->id, id) && name->day.is_set == day.is_set &&
           (!day.is_set || name->day.number == day.number);
}

/* The slot of a name; its content is 0 when the name is not in the list. */
static uint32_t *names_slot(const NameList *list, Str id, Value day) {
    size_t at = XXH3_64bits_withSeed(id.at, id.size, day.is_set ? (uint64_t)day.number : 0) & list->mask;
    while (list->slots[at] && !same_name(&list->names[list->slots[at] - 1], id, day))
        at = (at + 1) & list->mask;
    return &list->slots[at];
}

static void names_grow(NameList *list) {
    NameList old = *list;
    size_t size = (old.mask + 1) * 4;
    list->mask = size - 1;
    list->names = arena_alloc(list->arena, size / 2 * sizeof(Name));
    list->slots = ARENA_ARRAY(list->arena, uint32_t, size);
    memcpy(list->names, old.names, old.n * sizeof(Name));
    for (size_t i = 0; i < old.n; i++)
        *names_slot(list, old.names[i].id, old.names[i].day) = (uint32_t)i + 1;
}

/* Its place in the list: names move while the list grows. */
static uint32_t names_add(NameList *list, Str id, Value day) {
    if (list->n * 2 > list->mask)
        names_grow(list);
    uint32_t *slot = names_slot(list, id, day);
    if (*slot == 0) {
        list->names[list->n] = (Name){.id = id, .day = day};
        *slot = (uint32_t)++list->n;
    }
    return *slot;
}

static Name *names_find(const NameList *list, Str id) {
    uint32_t slot = *names_slot(list, id, VALUE_NULL);
    return slot ? &list->names[slot - 1] : NULL;
}

static const char *ids_array(const NameList *list, size_t n, Buf *out, Error *err) {
    for (size_t i = 0; i < n; i++)
        pg_array_text(out, list->names[i].id);
    return pg_array_end(out, err);
}

static const char *days_array(const NameList *list, Buf *out, Error *err) {
    for (size_t i = 0; i < list->n; i++)
        silver_put_day(out, list->names[i].day);
    return pg_array_end(out, err);
}

/* ---- keys of dimensions ---- */

static bool is_written(const SilverRow *row) { return row->fate == ROW_NEW || row->fate == ROW_CHANGED; }

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
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf days = pg_array(PAGE_MAX_BYTES);
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

static const char *batch_text(const SilverPage *page) {
    return arena_printf(page->arena, "%lld", (long long)page->batch_id);
}

static bool may_make(const Members *m, Error *err) {
    return m->way == MEMBERS_MAKE || error_set(err, STATE_CONFLICT, "a page names what is to be made in its turn");
}

/* Makes the members that nobody named before, and asks for their keys. */
static bool make_missing(const Members *m, Pg *pg, const SilverPage *page, const Dimension *dimension,
                         NameList *list, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    size_t n_missing = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!list->names[i].answer.is_known) {
            pg_array_text(&ids, list->names[i].id);
            n_missing++;
        }
    if (n_missing == 0)
        return true;
    const char *array = pg_array_end(&ids, err);
    TRY(may_make(m, err) && array);
    TRY(pg_exec(pg, dimension->make, PG_PARAMS(array, m->source_system, batch_text(page)), NULL, err));
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
        Value named = is_written(row) ? row->record.values[bound->reference] : VALUE_NULL;
        if (!named.is_set)
            continue;
        if (!is_remembered(bound, value_str(named), &answers[i]))
            waits[i] = names_add(list, value_str(named), day_of(m, row));
    }
}

static void fill_in(const Bound *bound, SilverPage *page, const MemberAnswer *answers) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (!is_written(row))
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

/* Patients one by one would cost a first load a tenth of its time. They are read some with each page, that no page stands
 * still for all of them, from the second on: what comes in one page names few. Where the cache is full the others are
 * asked for as they come. */
static bool warm(Members *m, Pg *pg, Arena *arena, Error *err) {
    bool ok = true;
    if (m->n_pages++ == 0 || m->warmth != COLD)
        return true;
    for (int i = 0; i < WARM_AT_ONCE && ok && m->warmth != WARM; i++) {
        m->warmth = WARMING;
        ok = warm_more(m, pg, arena, err);
    }
    m->warmth = m->warmth == WARMING ? COLD : m->warmth;
    return ok;
}

/* ---- ages ---- */

static void set_ages(const Members *m, SilverPage *page, const MemberAnswer *patients) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (!is_written(row) || !patients[i].has_birth)
            continue;
        bool is_out_of_range = false;
        row->record.values[m->age] = derive_age(value_number(patients[i].birth_days),
                                                row->record.values[m->service_date], &is_out_of_range);
        if (is_out_of_range)
            row->record.settle_flags |= 1u << SETTLE_AGE_OUT_OF_RANGE;
    }
}

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
        if (!row || !is_written(row))
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

static bool look_at_claims(const Members *m, Pg *pg, SilverPage *page, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_written(&page->rows[i]))
            pg_array_text(&ids, page->rows[i].id);
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_MEMBER_CLAIMS, PG_PARAMS(array, m->source_system), err);
    TRY(found);
    Claimed *claimed = ARENA_ARRAY(m->scratch, Claimed, page->n_rows);
    take_claims(m, page, found, claimed);
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_written(&page->rows[i]))
            set_status(m, &page->rows[i], &claimed[i]);
    return true;
}

/* ---- encounters ---- */

/* Ids scattered over a large table cost more to look up than the row to write. Of a large page some are
 * asked for, and the others taken to be like most of them; settle checks every one (settle_scope_*). */
static bool look_at_encounters(const Members *m, Pg *pg, SilverPage *page, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    for (size_t i = 0; i < page->n_rows; i++)
        if (is_written(&page->rows[i]) && page->rows[i].record.values[m->encounter].is_set)
            names_add(&list, value_str(page->rows[i].record.values[m->encounter]), VALUE_NULL);
    size_t n_asked = list.n > SAMPLE_ABOVE ? SAMPLE_ROWS : list.n;
    if (n_asked == 0)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    const char *array = ids_array(&list, n_asked, &ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query_as(pg, PG_BINARY, SQL_MEMBER_ENCOUNTERS, PG_PARAMS(array, m->source_system), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        names_find(&list, pg_value(found, r, 0))->answer.is_known = true;
    for (size_t i = n_asked; i < list.n; i++)
        list.names[i].answer.is_known = (size_t)pg_rows(found) * 2 >= n_asked;
    for (size_t i = 0; i < page->n_rows; i++) {
        Value named = is_written(&page->rows[i]) ? page->rows[i].record.values[m->encounter] : VALUE_NULL;
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
        for (size_t d = 0; d < m->n_dates && is_written(&page->rows[i]); d++) {
            const Value *day = &page->rows[i].record.values[m->dates[d]];
            if (day->is_set && !is_known_day(m, day->number))
                names_add(list, date_name(day), *day);
        }
}

static bool make_dates(Members *m, Pg *pg, SilverPage *page, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    gather_dates(m, page, &list);
    if (list.n == 0)
        return true;
    CLEANUP(buf_drop) Buf days = pg_array(PAGE_MAX_BYTES);
    const char *array = days_array(&list, &days, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *found = pg_query_as(pg, PG_BINARY, SQL_MEMBER_DATES, PG_PARAMS(array), err);
    TRY(found);
    for (int r = 0; r < pg_rows(found); r++)
        remember_day(m, list.names[pg_int(found, r, 0) - 1].day.number);
    if ((size_t)pg_rows(found) == list.n)
        return true;
    return may_make(m, err) &&
           pg_exec(pg, SQL_MEMBER_MAKE_DATES, PG_PARAMS(array, m->fiscal_month, batch_text(page)), NULL, err);
}

/* ---- how payers are spelled ---- */

/* Another spelling of the same id changes no content: the row is merely touched. */
static bool is_spelled(const SilverRow *row) { return is_written(row) || row->fate == ROW_TOUCHED; }

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

static bool spell_payers(Members *m, Pg *pg, SilverPage *page, int field, Error *err) {
    NameList list;
    names_init(&list, m->scratch);
    size_t *rows = ARENA_ARRAY(m->scratch, size_t, page->n_rows);
    gather_spellings(m, page, field, &list, rows);
    if (list.n == 0)
        return true;
    CLEANUP(buf_drop) Buf ids = pg_array(PAGE_MAX_BYTES);
    CLEANUP(buf_drop) Buf spellings = pg_array(PAGE_MAX_BYTES);
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
    return may_make(m, err) && pg_exec(pg, SQL_MEMBER_SPELL,
                                       PG_PARAMS(id_array, spelling_array, m->source_system, batch_text(page)), NULL, err);
}

/* ---- the whole ---- */

/* Read behind the placement lock: a settle that put facts right is over, or has not begun. */
static bool check_change(Members *m, Pg *pg, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_MEMBER_CHANGE, PG_NONE, err);
    TRY(found);
    if (pg_int(found, 0, 0) != m->change)
        forget(m);
    m->change = pg_int(found, 0, 0);
    return true;
}

static bool resolve_dimension(Members *m, size_t i, Pg *pg, SilverPage *page, Error *err) {
    MemberAnswer *answers;
    TRY(resolve(m, &m->bounds[i], pg, page, &answers, err));
    if ((int)i == m->patient && m->age != COLUMN_NONE)
        set_ages(m, page, answers);
    return true;
}

static bool done_with(Members *m, bool ok) {
    arena_empty(m->scratch);
    return ok;
}

static bool resolve_dimensions(Members *m, Pg *pg, SilverPage *page, Error *err) {
    for (size_t i = 0; i < m->n_bounds; i++)
        TRY(done_with(m, resolve_dimension(m, i, pg, page, err)));
    return true;
}

static bool resolve_page(Members *m, Pg *pg, bool has_written, SilverPage *page, Error *err) {
    if (has_written)
        TRY(resolve_dimensions(m, pg, page, err));
    int folded = m->payer != COLUMN_NONE ? mapping_folded_field(page->mapping, m->payer) : -1;
    if (folded >= 0)
        TRY(done_with(m, spell_payers(m, pg, page, folded, err)));
    if (has_written && m->claim != COLUMN_NONE)
        TRY(done_with(m, look_at_claims(m, pg, page, err)));
    if (has_written && m->encounter != COLUMN_NONE)
        TRY(done_with(m, look_at_encounters(m, pg, page, err)));
    return m->n_dates == 0 || done_with(m, make_dates(m, pg, page, err));
}

bool members_resolve(Members *m, Pg *pg, MembersWay way, SilverPage *page, Error *err) {
    bool has_written = silver_count(page, ROW_NEW) + silver_count(page, ROW_CHANGED) > 0;
    pthread_mutex_lock(&m->mutex);
    bool ok = !has_written || (check_change(m, pg, err) && warm(m, pg, page->arena, err));
    m->way = way;
    ok = ok && resolve_page(m, pg, has_written, page, err);
    pthread_mutex_unlock(&m->mutex);
    return ok;
}
