/* star.c - see star.h. */
#include "storage/star.h"

#include "base/own.h"
#include "storage/pg.h"

#include <stdio.h>
#include <xxhash.h>

enum { TEXT_BYTES_MAX = 256 * 1024, STAGING_LIFE_MS = 7 * 24 * 3600 * 1000 };

/* How a column's type looks on each side. */
static const struct {
    const char *rest, *sql, *mode;
    AvroKind avro;
    int precision, scale;
    const char *select; /* %s: the quoted name */
} TYPES[] = {
    [TYPE_TEXT] = {"STRING", "STRING", "NULLABLE", AVRO_STRING, 0, 0, "%s"},
    [TYPE_DATE] = {"DATE", "DATE", "NULLABLE", AVRO_DATE, 0, 0, "%s"},
    [TYPE_TIMESTAMP] = {"TIMESTAMP", "TIMESTAMP", "NULLABLE", AVRO_TIMESTAMP_US, 0, 0, "%s"},
    [TYPE_MONEY] = {"NUMERIC", "NUMERIC", "NULLABLE", AVRO_DECIMAL, 14, 2, "(%s * 100)::bigint"},
    [TYPE_PERCENT] = {"NUMERIC", "NUMERIC", "NULLABLE", AVRO_DECIMAL, 7, 2, "(%s * 100)::bigint"},
    [TYPE_INT] = {"INTEGER", "INT64", "NULLABLE", AVRO_LONG, 0, 0, "%s"},
    [TYPE_BIGINT] = {"INTEGER", "INT64", "NULLABLE", AVRO_LONG, 0, 0, "%s"},
    [TYPE_BOOL] = {"BOOLEAN", "BOOL", "NULLABLE", AVRO_BOOL, 0, 0, "%s"},
    [TYPE_TEXTS] = {"STRING", "ARRAY<STRING>", "REPEATED", AVRO_STRINGS, 0, 0, "%s"},
    [TYPE_UUID] = {"STRING", "STRING", "NULLABLE", AVRO_STRING, 0, 0, "%s::text"},
    [TYPE_BYTES] = {"BYTES", "BYTES", "NULLABLE", AVRO_STRING, 0, 0, "%s"},
};

StarColumns star_columns(const Entity *entity, PrivacyProfile profile) {
    StarColumns columns = {.n = 0};
    for (int i = 0; i < entity->n_columns; i++)
        if (column_leaves(&entity->columns[i], profile))
            columns.at[columns.n++] = &entity->columns[i];
    return columns;
}

const char *star_profile_name(PrivacyProfile profile) {
    return profile == PROFILE_FULL ? "full" : "limited";
}

/* ---- tables in BigQuery --------------------------------------------------------------------------- */

static BigQueryField field_of(const Column *column, bool required) {
    return (BigQueryField){.name = column->name, .type = TYPES[column->type].rest,
                           .mode = required ? "REQUIRED" : TYPES[column->type].mode,
                           .description = column->description};
}

static bool is_key(const Entity *entity, const Column *column) {
    return strcmp(column->name, entity->key) == 0;
}

static BigQueryTable *new_table(Arena *arena, const Entity *entity, PrivacyProfile profile) {
    StarColumns columns = star_columns(entity, profile);
    BigQueryField *fields = ARENA_ARRAY(arena, BigQueryField, (size_t)columns.n + 1); /* room for _deleted */
    for (int i = 0; i < columns.n; i++)
        fields[i] = field_of(columns.at[i], is_key(entity, columns.at[i]));
    BigQueryTable *table = ARENA_NEW(arena, BigQueryTable);
    *table = (BigQueryTable){.name = entity->gold, .description = entity->description,
                             .fields = fields, .n_fields = columns.n};
    return table;
}

const BigQueryTable *star_table(Arena *arena, const Entity *entity, PrivacyProfile profile) {
    BigQueryTable *table = new_table(arena, entity, profile);
    table->partition = entity->partition;
    memcpy(table->cluster, entity->cluster, sizeof table->cluster);
    table->labels[0] = (BigQueryLabel){"profile", star_profile_name(profile)};
    table->labels[1] = (BigQueryLabel){"schema_version", star_schema_version(arena, profile)};
    return table;
}

const char *star_staging_name(Arena *arena, const Entity *entity, int64_t publication_id) {
    return arena_printf(arena, "_stg_%lld_%s", (long long)publication_id, entity->gold);
}

const BigQueryTable *star_staging_table(Arena *arena, const Entity *entity, PrivacyProfile profile,
                                        int64_t publication_id, int64_t now_us) {
    BigQueryTable *table = new_table(arena, entity, profile);
    BigQueryField *fields = (BigQueryField *)table->fields;
    for (int i = 0; i < table->n_fields; i++)
        if (strcmp(fields[i].mode, "REQUIRED") == 0)
            fields[i].mode = "NULLABLE";
    fields[table->n_fields++] = (BigQueryField){.name = STAR_DELETED, .type = "BOOLEAN", .mode = "NULLABLE",
                                                .description = "the row is to leave the table"};
    table->name = star_staging_name(arena, entity, publication_id);
    table->description = "rows on their way into the table, for seven days";
    table->expires_ms = now_us / 1000 + STAGING_LIFE_MS;
    return table;
}

const BigQueryTable *star_publications_table(Arena *arena) {
    static const BigQueryField SEQUENCE_FIELDS[] = {
        {"name", "STRING", "NULLABLE", "sequence of surrogate keys in PostgreSQL", NULL, 0},
        {"position", "INTEGER", "NULLABLE", "its value when the publication was claimed", NULL, 0},
    };
    static const BigQueryField TABLE_FIELDS[] = {
        {"name", "STRING", "NULLABLE", "table of the star schema", NULL, 0},
        {"row_count", "INTEGER", "NULLABLE", "rows in the touched partitions after the publication", NULL, 0},
        {"changed", "INTEGER", "NULLABLE", "rows the publication sent, deletions among them", NULL, 0},
        {"checksum", "INTEGER", "NULLABLE", "sum of the keys in the touched partitions, each modulo 1000000007", NULL, 0},
    };
    static const BigQueryField FIELDS[] = {
        {"publication_id", "INTEGER", "REQUIRED", "1, 2, …, per database", NULL, 0},
        {"published_at", "TIMESTAMP", "NULLABLE", "when its transaction ran", NULL, 0},
        {"epoch", "STRING", "NULLABLE", "which database sent it; new after a restore", NULL, 0},
        {"as_of", "DATE", "NULLABLE", "the figures' default date when it was claimed", NULL, 0},
        {"sequences", "RECORD", "REPEATED", "where surrogate keys stood", SEQUENCE_FIELDS, 2},
        {"tables", "RECORD", "REPEATED", "what it changed", TABLE_FIELDS, 4},
    };
    BigQueryTable *table = ARENA_NEW(arena, BigQueryTable);
    *table = (BigQueryTable){
        .name = STAR_PUBLICATIONS, .fields = FIELDS, .n_fields = sizeof FIELDS / sizeof *FIELDS,
        .description = "every publication that was applied; the proof of each is in the database"};
    return table;
}

/* ---- DDL ------------------------------------------------------------------------------------------------ */

/* A string literal of BigQuery's SQL. */
static void put_literal(Buf *out, const char *text) {
    buf_put_byte(out, '\'');
    for (const char *at = text; *at; at++) {
        if (*at == '\'' || *at == '\\')
            buf_put_byte(out, '\\');
        buf_put_byte(out, (uint8_t)*at);
    }
    buf_put_byte(out, '\'');
}

static void put_columns(Buf *out, const Entity *entity, PrivacyProfile profile) {
    StarColumns columns = star_columns(entity, profile);
    for (int i = 0; i < columns.n; i++) {
        const Column *column = columns.at[i];
        buf_printf(out, "    %s %s%s OPTIONS (description = ", column->name, TYPES[column->type].sql,
                   is_key(entity, column) ? " NOT NULL" : "");
        put_literal(out, column->description);
        buf_put_str(out, i + 1 < columns.n ? STR("),\n") : STR(")\n"));
    }
}

static void put_table(Buf *out, const Entity *entity, PrivacyProfile profile) {
    buf_printf(out, "CREATE TABLE `{dataset}.%s` (\n", entity->gold);
    put_columns(out, entity, profile);
    buf_put_str(out, STR(")\n"));
    if (entity->partition)
        buf_printf(out, "PARTITION BY DATE_TRUNC(%s, MONTH)\n", entity->partition);
    for (int i = 0; i < 4 && entity->cluster[i]; i++)
        buf_printf(out, "%s%s", i == 0 ? "CLUSTER BY " : ", ", entity->cluster[i]);
    if (entity->cluster[0])
        buf_put_byte(out, '\n');
    buf_put_str(out, STR("OPTIONS (description = "));
    put_literal(out, entity->description);
    buf_printf(out, ", labels = [('profile', '%s')]);", star_profile_name(profile));
}

const char *star_ddl(Arena *arena, const Entity *entity, PrivacyProfile profile) {
    CLEANUP(buf_done) Buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    put_table(&out, entity, profile);
    return arena_string(arena, buf_str(&out));
}

const char *star_schema_version(Arena *arena, PrivacyProfile profile) {
    CLEANUP(buf_done) Buf all;
    buf_init(&all, 32 * TEXT_BYTES_MAX);
    for (int i = 0; i < N_ENTITIES; i++)
        put_table(&all, &ENTITIES[i], profile);
    return star_text_version(arena, buf_str(&all));
}

const char *star_text_version(Arena *arena, Str text) {
    return arena_printf(arena, "%016llx", (unsigned long long)XXH3_64bits(text.at, text.size));
}

/* ---- the way from PostgreSQL ------------------------------------------------------------------------------ */

const AvroColumn *star_avro_columns(Arena *arena, const Entity *entity, PrivacyProfile profile, int *ret_n) {
    StarColumns columns = star_columns(entity, profile);
    AvroColumn *avro = ARENA_ARRAY(arena, AvroColumn, (size_t)columns.n + 1);
    for (int i = 0; i < columns.n; i++) {
        ColumnType type = columns.at[i]->type;
        avro[i] = (AvroColumn){.name = columns.at[i]->name, .kind = TYPES[type].avro, .nullable = true,
                               .precision = TYPES[type].precision, .scale = TYPES[type].scale};
    }
    avro[columns.n] = (AvroColumn){.name = STAR_DELETED, .kind = AVRO_BOOL, .nullable = true};
    *ret_n = columns.n + 1;
    return avro;
}

const char *star_select_list(Arena *arena, const Entity *entity, PrivacyProfile profile,
                             const char *prefix) {
    StarColumns columns = star_columns(entity, profile);
    CLEANUP(buf_done) Buf out;
    buf_init(&out, TEXT_BYTES_MAX);
    for (int i = 0; i < columns.n; i++) {
        const char *quoted = arena_printf(arena, "%s%s", prefix,
                                          pg_quote_ident(arena, columns.at[i]->name));
        const char *select = TYPES[columns.at[i]->type].select;
        const char *place = strstr(select, "%s");
        buf_put_str(&out, i > 0 ? STR(", ") : STR(""));
        buf_put(&out, select, (size_t)(place - select));
        buf_put_str(&out, str_of(quoted));
        buf_put_str(&out, str_of(place + 2));
    }
    return arena_string(arena, buf_str(&out));
}
