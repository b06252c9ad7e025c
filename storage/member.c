/* member.c - see member.h: the columns by which an entity names others, and a page's way through the parts. */
#include "storage/member.h"

#include "base/own.h"
#include "sql.h"
#include "storage/member_parts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what the entity names ---- */

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

Members *members_open(const Entity *entity, const char *source_system, int fiscal_year_start_month) {
    Members *m = calloc(1, sizeof *m);
    if (!m)
        abort();
    pthread_mutex_init(&m->mutex, NULL);
    m->entity = entity;
    m->source_system = source_system;
    m->scratch = arena_open();
    buf_init(&m->warm_to, MEMBER_ARRAY_MAX_BYTES); /* an index holds longer ids than its pages, where they can be pressed */
    snprintf(m->fiscal_month, sizeof m->fiscal_month, "%d", fiscal_year_start_month);
    member_bind_dimensions(m);
    bind_columns(m);
    return m;
}

/* What was read ahead for a load before is there yet. */
void members_expect_many(Members *m) {
    if (m->expects_many || m->patient < 0)
        return;
    m->expects_many = true;
    m->warmth = COLD;
}

void members_free(Members *m) {
    if (!m)
        return;
    member_forget(m);
    member_cache_empty(&m->known_spellings);
    buf_done(&m->warm_to);
    arena_free(m->scratch);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

/* ---- a page ---- */

const char *member_batch(const SilverPage *page) {
    return arena_printf(page->arena, "%lld", (long long)page->batch_id);
}

bool member_may_make(const Members *m, Error *err) {
    return m->way == MEMBERS_MAKE || error_set(err, STATE_CONFLICT, "a page names what is to be made in its turn");
}

bool member_check_change(Members *m, Pg *pg, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_MEMBER_CHANGE, PG_NONE, err);
    TRY(found);
    if (pg_int(found, 0, 0) != m->change)
        member_forget(m);
    m->change = pg_int(found, 0, 0);
    return true;
}

static bool done_with(Members *m, bool ok) {
    arena_empty(m->scratch);
    return ok;
}

static bool resolve_dimensions(Members *m, Pg *pg, SilverPage *page, Error *err) {
    for (size_t i = 0; i < m->n_bounds; i++)
        TRY(done_with(m, member_resolve_dimension(m, i, pg, page, err)));
    return true;
}

static bool resolve_page(Members *m, Pg *pg, bool has_written, SilverPage *page, Error *err) {
    if (has_written)
        TRY(resolve_dimensions(m, pg, page, err));
    int folded = m->payer != COLUMN_NONE ? mapping_folded_field(page->mapping, m->payer) : -1;
    if (folded >= 0)
        TRY(done_with(m, member_spell_payers(m, pg, page, folded, err)));
    if (has_written && m->claim != COLUMN_NONE)
        TRY(done_with(m, member_look_at_claims(m, pg, page, err)));
    if (has_written && m->encounter != COLUMN_NONE)
        TRY(done_with(m, member_look_at_encounters(m, pg, page, err)));
    return m->n_dates == 0 || done_with(m, member_make_dates(m, pg, page, err));
}

bool members_resolve(Members *m, Pg *pg, MembersWay way, SilverPage *page, Error *err) {
    bool has_written = silver_count(page, ROW_NEW) + silver_count(page, ROW_CHANGED) > 0;
    pthread_mutex_lock(&m->mutex);
    bool ok = !has_written || (member_check_change(m, pg, err) && member_warm(m, pg, page->arena, err));
    m->way = way;
    ok = ok && resolve_page(m, pg, has_written, page, err);
    pthread_mutex_unlock(&m->mutex);
    return ok;
}
