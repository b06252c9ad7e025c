/* star.h - the star schema in BigQuery, derived from the entity table.
 *
 * One answer per question, all from transform/entity.h and a privacy profile: which columns leave, as
 * what type, how they are read from PostgreSQL, written as Avro, and merged. Pure; any thread; texts
 * live in the caller's arena. Not the sender: storage/bigquery.h speaks to BigQuery, publication.h
 * keeps the ledger. */
#pragma once
#include "base/arena.h"
#include "storage/bigquery.h"
#include "transform/entity.h"
#include "transform/formats/avro.h"

/* The staging column that marks a row that is to leave its table. */
#define STAR_DELETED "_deleted"
/* Under which BigQuery knows what was published (rules, section 8). */
#define STAR_PUBLICATIONS "_publications"

/* Columns of the entity that leave under the profile, in the order of the entity table. */
typedef struct StarColumns {
    const Column *at[ENTITY_COLUMNS_MAX];
    int n;
} StarColumns;
StarColumns star_columns(const Entity *entity, PrivacyProfile profile);

/* The published table, with partitions, clustering, descriptions and labels. */
const BigQueryTable *star_table(Arena *arena, const Entity *entity, PrivacyProfile profile);
/* `_stg_<publication>_<table>`: the same columns, all nullable, and STAR_DELETED; gone after a week. */
const BigQueryTable *star_staging_table(Arena *arena, const Entity *entity, PrivacyProfile profile,
                                        int64_t publication_id, int64_t now_us);
const BigQueryTable *star_publications_table(Arena *arena);
const char *star_staging_name(Arena *arena, const Entity *entity, int64_t publication_id);
/* "limited", "full": the value of the label and of the configuration. */
const char *star_profile_name(PrivacyProfile profile);
/* Which shape the tables have: changes when a column, type or description does. A label's value. */
const char *star_schema_version(Arena *arena, PrivacyProfile profile);
/* The same of one text, a view's. */
const char *star_text_version(Arena *arena, Str text);

/* The staging table's columns as Avro; STAR_DELETED last. *ret_n of them. */
const AvroColumn *star_avro_columns(Arena *arena, const Entity *entity, PrivacyProfile profile, int *ret_n);
/* The select list that gives PostgreSQL's columns in the form star_avro_columns() wants them: money and
 * percent as whole hundredths, uuid as text. `prefix` "v." or "". */
const char *star_select_list(Arena *arena, const Entity *entity, PrivacyProfile profile, const char *prefix);

/* CREATE TABLE in BigQuery's SQL: the readable form, kept in storage/sql/bigquery and compared. */
const char *star_ddl(Arena *arena, const Entity *entity, PrivacyProfile profile);
