/* timeline.h - the versions of one member in the order of time, and what a row that tells of it changes.
 *
 * A timeline is a list of moments: the stored versions, the instants at which a version's content was seen once more,
 * and what the page's rows tell. Neighbours of equal content make one version, which begins with the first of them:
 * so the versions are a function of what was told of the past, not of the order it was told in (rules, section 7).
 * Values are those of the entity's stored columns in COPY's binary form, so that old and new ones compare and travel
 * alike. No I/O; everything lives in the page's arena. */
#pragma once
#include "storage/silver.h"

typedef struct TimelineShape {
    SilverPage *page;
    int columns[ENTITY_COLUMNS_MAX]; /* the entity's column behind each stored one */
    int n;
    int modified_at, source_hash, record_hash, made_by_batch; /* stored columns */
    const char *persons; /* an id for each row of the page, in PostgreSQL's binary form; NULL: the entity has none */
} TimelineShape;

typedef struct Moment {
    int64_t at_us;
    const Str *values;      /* by stored column; what depends on the place in the list is written anew */
    Str flags;              /* names, joined by commas; `time_inferred` is `is_time_inferred` */
    SilverRow *row;         /* the page's row that says so; NULL: it was here */
    int64_t key, end_us;    /* a stored version's; key 0: none is stored */
    int32_t version;        /* a stored version's */
    bool is_deleted;        /* a tombstone */
    bool is_blank;          /* an inferred member: nothing is known of it yet */
    bool is_time_inferred;
    bool is_seen;           /* stored as an instant at which the content was seen once more */
    bool is_made, is_changed; /* by this page: told of for the first time, other content than stored */
    bool opens, vanishes;     /* timeline_versions(): begins a version; stored, and shown by another from now on */
} Moment;

typedef struct Timeline {
    Str id;
    Moment *moments; /* in the order of time */
    size_t n, capacity;
    bool was_empty;
    int64_t seen_us;       /* the content was seen once more then; INT64_MIN: it was not */
    int64_t seen_until_us; /* what was seen from here on is contradicted; INT64_MAX: nothing */
} Timeline;

/* One version as it is to stand. */
typedef struct Version {
    const Moment *shown; /* whose content */
    const Moment *first; /* when, and since which change of content */
    const Moment *last;  /* what showed it last: whose hashes the current version bears */
    int64_t end_us;
    int32_t number;
    int64_t key; /* 0: it wants a new one */
    bool is_current, is_written; /* stands otherwise than stored */
} Version;

enum { PERSON_ID_BYTES = 16 };

TimelineShape timeline_shape(SilverPage *page);
/* The id that a member bears from this row on, when nobody knew him before. */
Str timeline_person(const TimelineShape *shape, const SilverRow *row);
/* The row's record as values; settle's columns are left out. Flags of its own alone. */
Str *timeline_encode(const TimelineShape *shape, SilverRow *row);
Moment *timeline_insert(Timeline *timeline, Arena *arena, size_t place);

/* What a row tells. Each sets the row's fate, and counts attributes in the page. */
void timeline_tell_now(const TimelineShape *shape, Timeline *timeline, SilverRow *row);
void timeline_tell_past(const TimelineShape *shape, Timeline *timeline, SilverRow *row);
void timeline_tell_again(const TimelineShape *shape, Timeline *timeline, SilverRow *row);
/* The row is gone. */
void timeline_bury(const TimelineShape *shape, Timeline *timeline, SilverRow *row);

/* Does the row, by its modification time, show after an instant what it showed then? */
bool timeline_sees(const TimelineShape *shape, const SilverRow *row, int64_t after_us);

/* The versions in order. Where none stands otherwise than stored, the rows that were told are given fate TOUCHED. */
Version *timeline_versions(const TimelineShape *shape, Timeline *timeline, size_t *ret_n);
