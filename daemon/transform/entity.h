/* entity.h - the common data model as one table.
 *
 * What silver holds, what gold and BigQuery show, what may leave the house, what makes history: all
 * of it is read from here (COPY lists, BigQuery schemas, Avro schemas, the data dictionary). The
 * migrations in storage/sql/migrations create the same columns; a test compares the two.
 * Static, read-only; any thread. */
#pragma once
#include "base/str.h"

typedef enum ColumnType {
    TYPE_TEXT,
    TYPE_DATE,      /* days since 1970-01-01 */
    TYPE_TIMESTAMP, /* microseconds since 1970-01-01T00:00:00Z */
    TYPE_MONEY,     /* cents; numeric(14,2) */
    TYPE_PERCENT,   /* hundredths; numeric(7,2) */
    TYPE_INT,       /* int (32 bit in PostgreSQL) */
    TYPE_BIGINT,
    TYPE_BOOL,
    TYPE_TEXTS, /* text[] */
    TYPE_UUID,
    TYPE_BYTES
} ColumnType;

typedef enum ColumnRole {
    ROLE_SYSTEM,    /* kept by place or history: flags, hashes, batch, interval, iteration, … */
    ROLE_ID,        /* the row's own source id */
    ROLE_SURROGATE, /* its own key */
    ROLE_ATTRIBUTE, /* comes from the mapping; part of record_hash */
    ROLE_DERIVED,   /* place computes it from attributes of the same row; part of record_hash */
    ROLE_SETTLE,    /* settle owns it (model.md's °) */
    ROLE_GOLD       /* exists in gold and BigQuery only */
} ColumnRole;

/* What kind of thing a column tells about a person; decides whether it leaves (rules, section 9). */
typedef enum PrivacyClass {
    CLASS_NONE,        /* no class: never leaves */
    CLASS_TECHNICAL,   /* surrogate keys, source, flags, versions, batch */
    CLASS_CODE,        /* codes, statuses, types, reference texts, provider and payer ids and names */
    CLASS_AMOUNT,
    CLASS_PERSON_DATE, /* a date that tells about a person */
    CLASS_PLACE,       /* city, state, ZIP */
    CLASS_DEMOGRAPHIC, /* gender, age */
    CLASS_DIRECT,      /* names, contact, address, record and member numbers of patients */
    CLASS_SSN
} PrivacyClass;

typedef enum HistoryMode { HISTORY_VERSION, HISTORY_OVERWRITE, HISTORY_IGNORE } HistoryMode;

/* What a feed's rows speak of (rules, section 7). */
typedef enum Tells {
    TELLS_NOW,  /* a live table: what is true */
    TELLS_PAST, /* what was: a history table; each row at the time it bears */
    TELLS_AGAIN /* what was received before, cleaned anew: it corrects, it is no news */
} Tells;

/* "history", "overwrite", "ignore"; false for any other word. */
bool history_mode_find(const char *name, HistoryMode *ret_mode);

typedef enum EntityKind {
    ENTITY_HISTORY, /* SCD2: patients, providers */
    ENTITY_MEMBER,  /* dimension with its current row only: departments, payers */
    ENTITY_CODE,    /* belongs to no source: procedures, diagnoses, codes of adjustments, dates */
    ENTITY_FACT,
    ENTITY_CLAIM    /* a fact with iterations */
} EntityKind;

typedef struct Column {
    const char *name;
    const char *description;
    ColumnType type;
    ColumnRole role;
    PrivacyClass privacy;
    HistoryMode history; /* counts for ENTITY_HISTORY's attributes only */
} Column;

enum { ENTITY_COLUMNS_MAX = 64, COLUMN_NONE = -1 };

typedef struct Entity {
    const char *name;       /* "patients": the table in silver, the `entity:` of a feed */
    const char *gold;       /* "dim_patients": the view in gold, the table in BigQuery */
    const char *id;         /* "source_patient_id"; NULL for codes' own `code` and dates */
    const char *key;        /* "patient_key" */
    const char *description;
    EntityKind kind;
    const char *partition;  /* BigQuery MONTH partition column, NULL for dimensions */
    const char *cluster[4]; /* clustering columns, NULL at the end */
    const Column *columns;
    int n_columns;
} Entity;

extern const Entity ENTITIES[];
extern const int N_ENTITIES;

/* NULL when there is none of that name. */
const Entity *entity_find(Str name);
/* The end of a sentence about an unknown entity, of those that feeds fill; `ret_text` as in base/nearest.h. */
void entity_suggest(Str name, char *ret_text);
/* Index into columns, or COLUMN_NONE. */
int entity_column(const Entity *entity, Str name);
/* True for columns a mapping may fill: ids and attributes, source_inserted_at, source_modified_at. */
bool column_is_mappable(const Column *column);
/* True for columns record_hash covers (rules, section 2). */
bool column_is_hashed(const Column *column);
/* True for columns the silver table has. */
bool column_is_stored(const Column *column);

typedef enum PrivacyProfile { PROFILE_LIMITED, PROFILE_FULL } PrivacyProfile;
/* True when the column may leave under the profile (45 CFR 164.514(e) for `limited`). */
bool column_leaves(const Column *column, PrivacyProfile profile);
