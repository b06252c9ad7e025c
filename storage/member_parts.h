/* member_parts.h - what the parts of member.h share.
 *
 * member.c binds an entity's columns and takes a page through the parts; member_dimension.c has the keys of those whom its
 * rows name, member_links.c what they name or say besides: claims, encounters, days, payers' spellings. For these alone;
 * under the mutex. */
#pragma once
#include "storage/member.h"
#include "storage/member_names.h"

#include <pthread.h>

enum {
    MEMBER_ARRAY_MAX_BYTES = 256 << 20, /* of a page's names */
    MEMBER_DIMENSIONS = 6,
    DAYS_FIRST = -719162, DAYS = 3652059, /* that there are: years 1 to 9999 (date.h) */
};

typedef struct Dimension {
    const char *reference; /* the column that names a member */
    const char *key;       /* settle's column for it */
    const char *look_up;
    const char *make; /* for what a fact alone makes; NULL: settle infers it */
    SettleFlag orphan; /* set while the member is inferred; SETTLE_FLAGS: none */
} Dimension;

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
    Bound bounds[MEMBER_DIMENSIONS];
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
    bool expects_many;                   /* patients, where its rows name any */
    enum { WARM, COLD, WARMING } warmth; /* COLD: many are expected, and not all have been read; WARMING: a thread reads some */
    Buf warm_to;                         /* the last id of those that it has */
    size_t n_pages; /* of which something was written */
    int64_t change; /* ops.member_change when the caches were empty */
    Arena *scratch; /* of one question; empty between them */
};

/* Rows of which something is told: they have a record. */
static inline bool member_is_written(const SilverRow *row) { return row->fate == ROW_NEW || row->fate == ROW_CHANGED; }

/* Whether what nobody named before may be made now; else a conflict. */
bool member_may_make(const Members *m, Error *err);
const char *member_batch(const SilverPage *page);

/* Which dimensions the entity's rows name. */
void member_bind_dimensions(Members *m);
/* All members, where a settle may have put them right. */
void member_forget(Members *m);
/* The same where one did so since they were remembered. Asked behind the placement lock: a settle is over, or has not begun. */
bool member_check_change(Members *m, Pg *pg, Error *err);
/* Patients are read ahead, some with each page while many are expected; the mutex is free while PostgreSQL answers. */
bool member_warm(Members *m, Pg *pg, Arena *arena, Error *err);
/* Keys of dimension i, in rows; and of patients the ages. `scratch` is the caller's to empty. */
bool member_resolve_dimension(Members *m, size_t i, Pg *pg, SilverPage *page, Error *err);

/* The rest, as rows name or say it; each for an entity that has the column. */
bool member_look_at_claims(const Members *m, Pg *pg, SilverPage *page, Error *err);
bool member_look_at_encounters(const Members *m, Pg *pg, SilverPage *page, Error *err);
bool member_make_dates(Members *m, Pg *pg, SilverPage *page, Error *err);
/* `field`: the source's, in which payers are spelled. */
bool member_spell_payers(Members *m, Pg *pg, SilverPage *page, int field, Error *err);
